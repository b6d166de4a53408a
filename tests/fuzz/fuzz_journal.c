/* The input as a chunk of a journal, and as run.json: whatever is taken from it can be used, and written again. */
#include "journal.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_entry(const struct journal_entry *entry)
{
    if (entry->key[0] == '\0' || strlen(entry->key) > OBJECT_KEY_MAX || entry->number == 0 ||
        strncmp(entry->key, OBJECT_STATE_PREFIX, strlen(OBJECT_STATE_PREFIX)) == 0)
        abort();
}

static void check_chunk(const char *json, size_t len)
{
    struct journal_chunk chunk;
    struct journal_entry entry;
    struct buf out;
    int found;

    if (!journal_open(json, len, &chunk))
        return;
    buf_init(&out, JSON_MAX * 8);
    journal_begin_chunk(&chunk.head, &out);
    while ((found = journal_next(&chunk, &entry)) != 0) {
        if (found < 0)
            continue;
        check_entry(&entry);
        journal_add(&entry, &out);
    }
    journal_end_chunk(&out);
    journal_close(&chunk);
    if (out.failed || (out.len <= JSON_MAX && !journal_open(out.data, out.len, &chunk)))
        abort();
    if (out.len <= JSON_MAX)
        journal_close(&chunk);
    buf_free(&out);
}

static void check_run(const char *json, size_t len)
{
    struct journal_run run, again;
    struct buf out;

    if (!journal_read_run(json, len, &run))
        return;
    buf_init(&out, JSON_MAX);
    if (!journal_write_run(&run, &out) || !journal_read_run(out.data, out.len, &again) ||
        again.bytes != run.bytes || again.state != run.state)
        abort();
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = size > 0 ? (const char *)data : "";

    check_chunk(text, size);
    check_run(text, size);
    return 0;
}
