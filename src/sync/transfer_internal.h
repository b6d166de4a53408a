/*
 * transfer_internal - what the files of transfer share; nobody else includes this.
 *
 *     transfer.c         a transfer's beginning and end, trying again, and what the source is by its own word
 *     transfer_copy.c    one copy inside the service, and what is made of a refusal
 *     transfer_meta.c    what is asked of an object besides its bytes: metadata, tags, grants
 *     transfer_relay.c   the two halves of a relay; small objects: one get, one put
 *     transfer_parts.c   large objects, relayed or copied in parts
 *
 * Each function here leaves the transfer in another state, or idle, unless it says otherwise.
 */
#ifndef STORSYNC_TRANSFER_INTERNAL_H
#define STORSYNC_TRANSFER_INTERNAL_H

#include "transfer.h"

/* How often a source object may change under one transfer before it counts as failed. */
#define VERSION_CHANGES_MAX 3

/* ---- transfer.c ---- */

const char *transfer_key_there(const struct transfer *t); /* at the destination */

/* What is copied, and what shall come of it, as far as that is known by now: the latter is going to be written. Borrowed from
 * the transfer. */
struct store_source transfer_source(const struct transfer *t);
struct store_target transfer_target(struct transfer *t);

void transfer_begin(struct transfer *t); /* from the start, with what is known by now */
void transfer_end(struct transfer *t, enum transfer_result result);
/* The state in which nothing but the end of those parts is waited for that others have. */
void transfer_wait_for_others(struct transfer *t);
/* It has the part of another's object no longer. */
void transfer_leave(struct transfer *t);
/* It has had one, which has failed, and hands it over. False: it is its own affair. */
bool transfer_hands_over(struct transfer *t);
/* All that is known of an object to begin with. No change of state. */
void transfer_prepare(struct transfer *t, const struct object_entry *entry);
/* Gives up what was begun at the destination, then either ends with `result` or starts over. */
void transfer_abandon(struct transfer *t, enum transfer_result result, bool again);
void transfer_fail(struct transfer *t, const struct error *error);
/* The same when something was being written, which may have happened all the same. */
void transfer_give_up(struct transfer *t, const struct error *error);
/* t->put, a write, has failed. Can it be its condition, or that the service has none? Then the transfer is on another course
 * already. Where an attempt before it may have been what changed the destination it ends as a failure, so that the next sync
 * doubts what is there. */
bool transfer_settle_condition(struct transfer *t);
/* Looks whether the destination has what this is to replace, if it is guarded; `next` follows if so, or if nothing is there that
 * could be lost. */
void transfer_look_there(struct transfer *t, void (*next)(struct transfer *t));
/* What t->put has written is what the next write is to replace. No change of state. */
void transfer_over_own(struct transfer *t);
/* A half of a relay broke in a way that another attempt may mend: the same again after a backoff, if there is one left. */
void transfer_try_again(struct transfer *t, const struct error *error);
/* The budget that this is counted against. */
struct retry *transfer_retry(const struct transfer *t);
/* What an error of the reading half means for the object. */
void transfer_source_failed(struct transfer *t, const struct call *call);

/* What is the object now, by its own bucket and the source's credentials? `next` is the state that waits for t->get. */
void transfer_ask_source(struct transfer *t, void (*next)(struct transfer *t));
/* The usual one: whatever it is now is copied, from the start. */
void transfer_wait_for_look(struct transfer *t);
/* Takes over what a HEAD said of the source. What it left out is as it was listed, if it is that version; an answer that
 * names no version does not replace one that does. No change of state. */
bool transfer_adopt(struct transfer *t, struct error *error);

/* All bytes are at the destination. */
void transfer_arrived(struct transfer *t);

/* ---- transfer_copy.c ---- */

void transfer_begin_copy(struct transfer *t);
/* t->put, a copy of the object or of a part, has failed. */
void transfer_copy_failed(struct transfer *t);

/* ---- transfer_relay.c ---- */

void transfer_begin_relay(struct transfer *t);
/* Begins with showing the destination a body with another MD5 than it is told; transfer_begin follows. False: there is no need. */
bool transfer_begin_trial(struct transfer *t);
/* It is larger than a part, and is relayed in one piece, because that spares looking at it here. No change of state. */
bool transfer_fits_whole(const struct transfer *t);
/* 1: both halves are through; 0: still going; -1: one broke and the transfer is on another course already. They end
 * together: none waits for a pipe whose other end is gone. */
int transfer_relay_settle(struct transfer *t);
/* The destination has forgotten the parts of an upload: another one is begun, if not too often. */
void transfer_upload_lost(struct transfer *t);
/* t->put has failed for good. */
void transfer_write_failed(struct transfer *t);
/* Must the MD5 of the body be found before it is sent? No change of state. */
bool transfer_must_measure(const struct transfer *t, bool whole);
void transfer_begin_measure(struct transfer *t, uint64_t offset, uint64_t length);

/* ---- transfer_meta.c ---- */

/* All about the object is known but its tags and grants: takes over what `from` has, fetches them if they are wanted and there
 * are any, then goes on with `next`. */
void transfer_with_meta(struct transfer *t, const struct object_meta *from, void (*next)(struct transfer *t));
/* The grants alone. They are not older than the version that is known: what is written next on the condition that it is still
 * that one is about both. */
void transfer_with_acl(struct transfer *t, void (*next)(struct transfer *t));

/* ---- transfer_parts.c ---- */

void transfer_begin_parts(struct transfer *t);
void transfer_begin_part(struct transfer *t);
/* The state in which an upload is being opened. */
void transfer_wait_for_upload(struct transfer *t);

#endif
