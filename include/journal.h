/*
 * journal - what a sync has done to the destination, written down before it is done (setting keep_previous).
 *
 *     runs/<run>/chunk-000001.json   up to JOURNAL_CHUNK entries: what is going to be created, overwritten, deleted
 *     runs/<run>/again/000000000001.json   one entry, instead of the one of that number
 *     runs/<run>/kept/000000000001   the version before, of the entry of that number
 *     runs/<run>/run.json            how the run went: its last object
 *
 * below the job's prefix (job.h). <run> is the epoch of the lease under which it ran, 16 digits (journal_number), so the names
 * of runs are in their order. A run that died has no run.json. Its chunks have no gap: each is there before the next one is begun.
 *
 * An entry says what the destination had (`before`), what the source had (`after`), by the listings of both, and what was
 * going to be done. Whether it was done shows in what the destination has now: undo.h.
 *
 * What production changes after that, and is to be overwritten all the same, gets another entry, which replaces the one in the
 * chunk: of each object there is one entry that counts.
 *
 * INVARIANT: no object is written or removed before the chunk with its entry was answered, and none is written over but in
 * the version which that entry, or what is kept, has: as far as the service can tell.
 *
 * What is read here may have been written by anybody: a document that is not understood is none.
 */
#ifndef STORSYNC_JOURNAL_H
#define STORSYNC_JOURNAL_H

#include "buf.h"
#include "job.h"
#include "json.h"
#include "lease.h"
#include "object.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JOURNAL_FOLDER "runs/"
#define JOURNAL_KEY_SIZE (JOB_PREFIX_SIZE + sizeof JOURNAL_FOLDER + 48)

#define JOURNAL_CHUNK 500 /* entries */
/* A chunk takes no more entries beyond this: what is left of STORE_SMALL_MAX holds the longest one. */
#define JOURNAL_CHUNK_FULL (STORE_SMALL_MAX - (size_t)16 * 1024)

#define JOURNAL_RUNS_MAX 1000  /* of a job; that are looked at */
#define JOURNAL_AGAIN_MAX 1000 /* entries of a run that are replaced */

enum journal_deed { JOURNAL_CREATE, JOURNAL_OVERWRITE, JOURNAL_DELETE };

struct journal_entry {
    char key[OBJECT_KEY_MAX + 1];
    enum journal_deed deed;
    uint64_t number;            /* from 1, in its run */
    struct object_entry before; /* its key is the one above; not with CREATE */
    struct object_entry after;  /* the same; not with DELETE */
};

/* Which run it is, in each chunk and in run.json. */
struct journal_head {
    uint64_t run;
    char nonce[LEASE_NONCE_SIZE]; /* tells two runs of one number apart, of which one is left over */
    char deployment[DETECT_ID_MAX + 1];
    bool versions; /* what was there before is a version of the bucket's, else a copy */
    int64_t started;
};

enum journal_state { JOURNAL_DIED, JOURNAL_SYNCED, JOURNAL_FAILED, JOURNAL_ROLLED_BACK };
const char *journal_state_name(enum journal_state state); /* "rolled-back" */

/* What run.json holds. */
struct journal_run {
    struct journal_head head;
    enum journal_state state; /* DIED: there is none */
    int64_t finished;
    uint64_t chunks, created, overwritten, deleted, bytes; /* bytes: of what was there before */
};

void journal_chunk_key(const struct job *job, uint64_t run, uint64_t chunk, char out[JOURNAL_KEY_SIZE]);
void journal_kept_key(const struct job *job, uint64_t run, uint64_t number, char out[JOURNAL_KEY_SIZE]);
void journal_again_key(const struct job *job, uint64_t run, uint64_t number, char out[JOURNAL_KEY_SIZE]);
void journal_run_key(const struct job *job, uint64_t run, char out[JOURNAL_KEY_SIZE]);
/* What all keys of a run begin with; of all runs with 0. `below` is a folder in it, or "". */
void journal_prefix(const struct job *job, uint64_t run, const char *below, char out[JOURNAL_KEY_SIZE]);
bool journal_parse_run(const struct job *job, const char *key, uint64_t *run); /* false: no key of a run's */
bool journal_parse_again(const struct job *job, uint64_t run, const char *key,
                         uint64_t *number); /* the same */

/* A chunk is begun, gets its entries, and is ended. Check `out` at the end. */
void journal_begin_chunk(const struct journal_head *head, struct buf *out);
void journal_add(const struct journal_entry *entry, struct buf *out);
void journal_end_chunk(struct buf *out);

struct journal_chunk {
    yyjson_doc *doc;
    struct journal_head head;
    yyjson_arr_iter iter;
};
/* False: it is none; nothing is to be freed. */
bool journal_open(const char *json, size_t len, struct journal_chunk *chunk);
void journal_close(struct journal_chunk *chunk);
/* 1; 0: that was the last one; -1: an entry that cannot be understood. */
int journal_next(struct journal_chunk *chunk, struct journal_entry *entry);

bool journal_write_run(const struct journal_run *run, struct buf *out);
bool journal_read_run(const char *json, size_t len, struct journal_run *run);

/* ---- with the store (journal_store.c); these wait ---- */

/* The numbers of the runs that there are, in their order; of more than JOURNAL_RUNS_MAX, the last ones. */
struct journal_runs {
    uint64_t numbers[JOURNAL_RUNS_MAX];
    int count;
};
bool journal_list(const struct job *job, struct journal_runs *runs, struct error *error);

/* The number of a run that is going to begin, given its lease's epoch: the same, or where the epochs have begun anew, because
 * somebody has removed them, the one after the last run that there is. So what older runs have kept is not overwritten, and the
 * order of the numbers is that of the runs. Costs one listing. ERROR_PROTOCOL: there is no such number. */
bool journal_number(const struct job *job, uint64_t *number, struct error *error);

/* What is known of a run: its run.json, else the first chunk. False with *error; ERROR_NOT_FOUND: of neither, so parts of it
 * may be removed already; ERROR_PROTOCOL: it cannot be understood. */
bool journal_look(const struct job *job, uint64_t number, struct journal_run *run, struct error *error);

/* The numbers of the entries that are replaced, in their order. ERROR_PROTOCOL: more than there can be. */
struct journal_again {
    uint64_t numbers[JOURNAL_AGAIN_MAX];
    int count;
};
bool journal_list_again(const struct job *job, uint64_t run, struct journal_again *again,
                        struct error *error);
bool journal_has_again(const struct journal_again *again, uint64_t number);

bool journal_save_run(const struct job *job, const struct journal_run *run, struct error *error);

/* Removes what is in the folder `below` of a run ("": all of it), several objects at once. *bytes grows by what it had. The
 * lease, which may be NULL, is kept meanwhile. */
bool journal_remove(const struct job *job, uint64_t run, const char *below, struct lease *lease,
                    uint64_t *bytes, struct error *error);

/* After a clean run: all but the newest `kept` runs are removed, and it is told how many bytes that were. What fails is told,
 * and left for the next time. */
void journal_prune(const struct job *job, int64_t kept, struct lease *lease);

#endif
