#include "content.h"

#include "clock.h"
#include "log.h"

#include <string.h>

#define SOURCE 0
#define DESTINATION 1

static void begin_reading(struct content *c);

void content_init(struct content *c, struct store *source, struct store *destination, uint64_t piece)
{
    *c = (struct content){.sides = {{.store = source}, {.store = destination}}, .piece = piece};
    call_init(&c->sides[SOURCE].call);
    call_init(&c->sides[DESTINATION].call);
}

void content_free(struct content *c)
{
    for (int i = 0; i < 2; i++) {
        call_free(&c->sides[i].call);
        pipe_free(&c->sides[i].pipe);
    }
    absence_end(&c->absence);
}

bool content_idle(const struct content *c)
{
    return c->state == NULL;
}

int64_t content_wake(const struct content *c)
{
    return c->wake != 0 ? c->wake : INT64_MAX;
}

/* ---- endings ---- */

static void end_look(struct content *c, enum content_result result)
{
    for (int i = 0; i < 2; i++)
        pipe_free_large(&c->sides[i].pipe);
    c->state = NULL;
    c->result = result;
}

static void fail_look(struct content *c, const struct error *error)
{
    c->error = *error;
    end_look(c, CONTENT_FAILED);
}

/* ---- has it changed? ---- */

static void wait_for_proof(struct content *c)
{
    switch (absence_look(&c->absence, &c->error)) {
    case ABSENCE_WAIT:
        return;
    case ABSENCE_PROVEN:
        end_look(c, CONTENT_CHANGED);
        break;
    case ABSENCE_FAILED:
        end_look(c, CONTENT_FAILED);
        break;
    }
    absence_end(&c->absence);
}

static bool has_changed(const struct content_side *side)
{
    return side->call.info.version[0] != '\0' && side->entry.version[0] != '\0' &&
           !object_versions_equal(side->call.info.version, side->entry.version);
}

/* Looks at what a side said of its object. False: the look is over, or goes on otherwise. */
static bool is_unchanged_side(struct content *c, struct content_side *side)
{
    if (side->call.error.kind == ERROR_NOT_FOUND) {
        if (absence_begin(&c->absence, side->store, c->key, &c->error))
            c->state = wait_for_proof;
        else
            end_look(c, CONTENT_FAILED);
        return false;
    }
    if (side->call.error.kind != ERROR_NONE)
        fail_look(c, &side->call.error);
    else if (has_changed(side))
        end_look(c, CONTENT_CHANGED);
    return c->state != NULL;
}

/* Both are still what was listed: so they differ, or c->error is the last word. */
static void wait_for_looks(struct content *c)
{
    const struct content_side *told = &c->sides[1 - c->one];

    if (!c->sides[SOURCE].call.done || !c->sides[DESTINATION].call.done)
        return;
    if (!is_unchanged_side(c, &c->sides[SOURCE]) || !is_unchanged_side(c, &c->sides[DESTINATION]))
        return;
    if (!c->both && told->call.info.false_hash) {
        c->both = true;
        c->offset = 0;
        error_clear(&c->error);
        begin_reading(c);
    } else {
        end_look(c, c->error.kind != ERROR_NONE ? CONTENT_FAILED : CONTENT_DIFFERS);
    }
}

static void ask_both_again(struct content *c)
{
    for (int i = 0; i < 2; i++)
        store_head(c->sides[i].store, &c->sides[i].call, c->key);
    c->state = wait_for_looks;
}

/* ---- trying again ---- */

static void wait_for_pause(struct content *c)
{
    if (clock_mono() < c->wake)
        return;
    c->wake = 0;
    begin_reading(c);
}

static struct retry *budget_of(const struct content *c)
{
    return loop_retry(store_loop(c->sides[DESTINATION].store));
}

static void read_again(struct content *c, const struct error *error)
{
    int64_t wait = retry_wait(budget_of(c), ++c->attempt, 0);

    if (wait < 0) {
        fail_look(c, error);
        return;
    }
    c->wake = clock_mono() + wait;
    c->state = wait_for_pause;
    if (wait > RETRY_QUIET)
        log_warn("trying again in %lld s: %s", (long long)wait / 1000, error->text);
}

/* Has the reading of that side failed? Then the look goes on in another way. */
static bool has_failed(struct content *c, const struct content_side *side)
{
    const struct call *call = &side->call;
    struct error why = call->error;

    if (!call->done || why.kind == ERROR_NONE)
        return false;
    call_cancel(&c->sides[SOURCE].call, &why);
    call_cancel(&c->sides[DESTINATION].call, &why);
    if (why.kind == ERROR_NOT_FOUND || why.kind == ERROR_PRECONDITION) {
        c->error = why;
        ask_both_again(c);
    } else if (call->again) {
        read_again(c, &why);
    } else {
        fail_look(c, &why);
    }
    return true;
}

/* ---- reading ---- */

static void conclude_reading(struct content *c, bool same)
{
    if (same) {
        retry_success(budget_of(c));
        end_look(c, CONTENT_SAME);
        return;
    }
    ask_both_again(c);
}

/* How much of it is read at once: ranges of what tells no version could be of different ones. */
static uint64_t piece_length(const struct content *c)
{
    uint64_t left = c->sides[SOURCE].entry.size - c->offset;
    bool versions =
        c->sides[SOURCE].entry.version[0] != '\0' && c->sides[DESTINATION].entry.version[0] != '\0';

    return versions && left > c->piece ? c->piece : left;
}

/* False: that was the last one. */
static bool begin_next_piece(struct content *c)
{
    c->offset += piece_length(c);
    c->attempt = 0;
    if (c->offset == c->sides[SOURCE].entry.size)
        return false;
    begin_reading(c);
    return true;
}

static void wait_for_one(struct content *c)
{
    struct content_side *side = &c->sides[c->one];
    const unsigned char *data;
    size_t len;

    while ((len = pipe_peek(&side->pipe, &data)) > 0) {
        pipe_consume(&side->pipe, len);
        c->read += len;
    }
    if (!side->call.done || has_failed(c, side))
        return;
    c->hash = side->pipe.digest = c->more;
    c->sum = side->pipe.sum;
    if (!begin_next_piece(c))
        conclude_reading(c, pipe_matches(&side->pipe, &c->sides[1 - c->one].entry.hash));
}

/* As far as both are here. False: there is a difference. */
static bool compare_pipes(struct content *c)
{
    struct pipe *a = &c->sides[SOURCE].pipe, *b = &c->sides[DESTINATION].pipe;
    const unsigned char *from, *to;
    bool same = true;

    for (;;) {
        size_t len = pipe_peek(a, &from), other = pipe_peek(b, &to);

        if (other < len)
            len = other;
        if (len == 0 || !same)
            return same;
        same = memcmp(from, to, len) == 0;
        pipe_consume(a, len);
        pipe_consume(b, len);
        c->read += 2 * len;
    }
}

static void wait_for_both(struct content *c)
{
    static const struct error enough = {.kind = ERROR_NONE};
    bool same = compare_pipes(c);

    if (!same) {
        call_cancel(&c->sides[SOURCE].call, &enough);
        call_cancel(&c->sides[DESTINATION].call, &enough);
        conclude_reading(c, false);
        return;
    }
    if (has_failed(c, &c->sides[SOURCE]) || has_failed(c, &c->sides[DESTINATION]))
        return;
    if (!c->sides[SOURCE].call.done || !c->sides[DESTINATION].call.done)
        return;
    same = c->sides[SOURCE].pipe.len == 0 && c->sides[DESTINATION].pipe.len == 0;
    if (!same || !begin_next_piece(c))
        conclude_reading(c, same);
}

/* False: no memory. */
static bool read_side(struct content *c, struct content_side *side)
{
    struct store_source from = {.store = side->store, .key = c->key, .version = side->entry.version};

    if (side->pipe.data == NULL && !pipe_init(&side->pipe))
        return false;
    pipe_reset(&side->pipe);
    c->more = c->hash;
    if (!c->both && c->sides[1 - c->one].entry.hash.kind == OBJECT_HASH_MD5)
        side->pipe.more = &c->more;
    else if (!c->both)
        pipe_sum(&side->pipe, c->sum);
    if (piece_length(c) < side->entry.size) {
        store_get(&from, &side->call, c->offset, piece_length(c), &side->pipe);
    } else {
        side->pipe.size = side->entry.size;
        store_get(&from, &side->call, 0, UINT64_MAX, &side->pipe);
    }
    return true;
}

static void begin_reading(struct content *c)
{
    struct error error;

    c->state = c->both ? wait_for_both : wait_for_one;
    for (int i = 0; i < 2; i++) {
        if ((c->both || i == c->one) && !read_side(c, &c->sides[i])) {
            error_set(&error, ERROR_LOCAL, "out of memory");
            content_stop(c, &error);
            fail_look(c, &error);
            return;
        }
    }
}

/* ---- the interface ---- */

void content_start(struct content *c, const struct object_entry *source,
                   const struct object_entry *destination)
{
    bool told = source->hash.kind != OBJECT_HASH_NONE;
    size_t len = strnlen(source->key, OBJECT_KEY_MAX);

    memcpy(c->key, source->key, len);
    c->key[len] = '\0';
    c->sides[SOURCE].entry = *source;
    c->sides[DESTINATION].entry = *destination;
    c->one = told ? DESTINATION : SOURCE;
    c->both = (!told && destination->hash.kind == OBJECT_HASH_NONE) ||
              object_hashes_comparable(&source->hash, &destination->hash);
    c->result = CONTENT_NONE;
    error_clear(&c->error);
    c->read = 0;
    c->attempt = 0;
    c->offset = 0;
    c->sum = 0;
    digest_begin(&c->hash);
    if (source->size == 0)
        end_look(c, CONTENT_SAME);
    else
        begin_reading(c);
}

bool content_step(struct content *c)
{
    bool moved = false;

    /* Each change of state starts a call or ends, so this terminates. */
    while (c->state != NULL) {
        void (*before)(struct content * c) = c->state;
        uint64_t read = c->read;

        for (int i = 0; i < 2; i++)
            if (!c->sides[i].call.done)
                moved |= store_step(&c->sides[i].call);
        moved |= absence_step(&c->absence);
        c->state(c);
        moved |= c->read != read;
        if (c->state == before)
            break;
        moved = true;
    }
    return moved;
}

void content_stop(struct content *c, const struct error *why)
{
    for (int i = 0; i < 2; i++)
        call_cancel(&c->sides[i].call, why);
    absence_end(&c->absence);
    c->wake = 0;
    end_look(c, CONTENT_NONE);
}
