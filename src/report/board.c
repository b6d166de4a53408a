#include "board.h"

#include "clock.h"
#include "json.h"

#include <string.h>
#include <sys/mman.h>

#define INTERVAL 1000 /* ms */
#define TRIES 4

struct board *board_make(void)
{
    void *memory =
        mmap(NULL, sizeof(struct board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    return memory != MAP_FAILED ? memory : NULL;
}

void board_clear(struct board *board)
{
    atomic_store(&board->status.sequence, 0);
}

/* ---- reading ---- */

static bool read_part(const struct board_part *part, const struct board_figures *figures, const char *text,
                      size_t room, struct board_figures *figures_out, char *text_out)
{
    for (int i = 0; i < TRIES; i++) {
        uint32_t before = atomic_load(&part->sequence);
        uint32_t len = part->len;

        if (before == 0 || before % 2 != 0)
            continue;
        if (len > room)
            return false;
        *figures_out = *figures;
        memcpy(text_out, text, len);
        text_out[len] = '\0';
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load(&part->sequence) == before)
            return true;
    }
    return false;
}

bool board_read(const struct board *board, struct board_figures *figures, char text[BOARD_TEXT_MAX + 1])
{
    return read_part(&board->status, &board->figures, board->text, BOARD_TEXT_MAX, figures, text);
}

bool board_read_differences(const struct board *board, struct board_figures *validation,
                            char keys[BOARD_KEYS_SIZE + 1])
{
    return read_part(&board->differences, &board->validation, board->keys, BOARD_KEYS_SIZE, validation, keys);
}

/* ---- writing ---- */

static void write_part(struct board_part *part, struct board_figures *figures, char *text,
                       const struct board_figures *new_figures, const struct buf *new_text)
{
    uint32_t odd = atomic_load(&part->sequence) | 1; /* who was here before may have died of it */

    atomic_store(&part->sequence, odd);
    atomic_thread_fence(memory_order_release);
    *figures = *new_figures;
    part->len = (uint32_t)new_text->len;
    memcpy(text, buf_str(new_text), new_text->len);
    atomic_store(&part->sequence, odd + 1 != 0 ? odd + 1 : 2);
}

static void take_figures(const struct report *report, struct board_figures *out)
{
    *out = (struct board_figures){
        .listed = report->mode == REPORT_VALIDATE ? report->validation.checked : report->listed,
        .moved = report->moved,
        .active = (uint64_t)report->active,
        .compared = report->validation.done,
    };
    metrics_take(&out->run, report);
}

static void write_moment(struct board_writer *writer, const struct report *report)
{
    struct board *board = writer->board;
    struct board_figures figures;
    struct buf text;

    buf_init(&text, BOARD_TEXT_MAX);
    if (!report_json_members(report, &text) || text.failed)
        buf_free(&text);
    take_figures(report, &figures);
    write_part(&board->status, &board->figures, board->text, &figures, &text);
    if (report->mode == REPORT_VALIDATE && report->finished != CLOCK_UNKNOWN && figures.compared != 0)
        write_part(&board->differences, &board->validation, board->keys, &figures, &writer->keys);
    buf_free(&text);
}

static void add_difference(struct board_writer *writer, const struct report_event *event)
{
    static const char *const kinds[] = {"missing", "different", "extra"};
    struct buf *keys = &writer->keys;
    size_t before = keys->len;

    if (writer->key_count >= BOARD_KEYS_MAX)
        return;
    buf_puts(keys, before > 0 ? ",{\"key\":" : "{\"key\":");
    json_put_text(keys, event->key);
    buf_printf(keys, ",\"kind\":\"%s\"}", kinds[event->difference]);
    writer->key_count++;
    if (keys->failed) {
        keys->len = before;
        writer->key_count = BOARD_KEYS_MAX;
    }
}

static void write_board(void *ctx, const struct report *report, const struct report_event *event)
{
    struct board_writer *writer = ctx;

    switch (event->kind) {
    case REPORT_EVENT_DIFFERENCE:
        add_difference(writer, event);
        return;
    case REPORT_EVENT_TICK:
        if (clock_mono() < writer->due)
            return;
        break;
    case REPORT_EVENT_STARTING:
    case REPORT_EVENT_WAITING:
    case REPORT_EVENT_BEGUN:
    case REPORT_EVENT_FINISHED:
        break;
    default:
        return;
    }
    writer->due = clock_mono() + INTERVAL;
    write_moment(writer, report);
}

void board_listen(struct board_writer *writer, struct board *board, struct report *report)
{
    *writer = (struct board_writer){.listener = {.event = write_board, .ctx = writer}, .board = board};
    buf_init(&writer->keys, BOARD_KEYS_SIZE);
    if (board != NULL)
        report_listen(report, &writer->listener);
}

void board_end(struct board_writer *writer)
{
    buf_free(&writer->keys);
}
