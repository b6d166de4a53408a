/*
 * lease - the protocol of include/lease.h and src/app/modes.c, for spin. tests/model/run checks it.
 *
 * What is modelled
 *   - N replicas of one deployment. Each does what mode_deploy does: it looks for the highest epoch, watches it
 *     or takes the next one (create, the second create that proves the primitive, the listing, the removal of lower
 *     ones, the look at the marker), has a pass with renewals in it, confirms, writes the marker, releases.
 *   - Every request is one step at the service; a replica may rest between any two steps for any time. So a delayed
 *     answer, one that comes after the world has changed, and an owner that sleeps through its TTL and wakes are
 *     ordinary runs. A replica that never goes on is one that was killed at that step.
 *   - FAULTS requests fail: it happened and the answer is lost; it did not happen; or the sender gives it up and it
 *     happens later, at any time, even after the sender's end (process network).
 *   - With -DBESIDE: of a renewal's write and look, which are sent together, either is answered first, else the write;
 *     and a replica looks at the marker before it looks for epochs, and not again when the last one had ended by then.
 *   - With -DEARLY: the buckets are listed as soon as the create is answered, beside its proof. Whoever is in a pass, with a lease
 *     that is not over, may copy what that does not show.
 *   - Time: ticks, for every replica alike. `seen` is the age of what an observer sees, `renewed` that of an owner's
 *     last successful renewal, both counted to TTL; `ago` is the age of an object by the service's clock. An observer
 *     takes over when nothing changed for a TTL since its own first look, or when the service says, at any look, that
 *     the object is older than a TTL and a margin: the service may also be unable to say so. An owner looks at its clock only when lease_step does: asleep, it does not find out.
 *   - With -DFINISH: no rest is endless. CRASHES replicas are killed at any step, or leave with a pass that is not
 *     clean or a marker that cannot be written; a live owner oversleeps at most SLEEPS times. Whatever else can
 *     happen does happen (a run ends only when nobody can go on).
 *
 * What is left out
 *   - Advisory mode, and the limits after which a waiting replica gives up: `wait`, `timeout`, RACES_MAX, LOSSES_MAX
 *     (here LOSSES for all together), backoff, the minimum interval. To give up is to be killed, for everybody else.
 *   - The counter of renewals: `changed` says that an observer would see another record than at its last look.
 *   - A renewal begins when it is written (earlier, in truth): the owner here believes longer than the real one. What
 *     an observer first sees is as old as its read (younger, in truth): the observer here takes over sooner.
 *   - Released and failed are both ENDED. What is copied; two passes at once do no harm, they copy the same.
 *
 *   - The second create is answered before the listing that is sent with it: a later one is as one that was given up.
 *     Lower epochs are removed before the pass, not beside it: others do not notice but by asking for them.
 *
 * Assumptions
 *   (A1) Create-if-absent is atomic, and reads and listings show every write that was answered before they began.
 *   (A2) Monotonic clocks run alike, also while a replica sleeps. Without that an owner finds out only when its next
 *        renewal looks for a higher epoch; that look is what -DNO_LOOK alone leaves out, and not found with (A2).
 *   (A3) No two writes of one epoch's object have the same content, or else the earlier one does not happen again
 *        after the later one. -DREPEATED_RENEWAL shows what happens otherwise.
 *   (A4) Nobody else writes below the prefix.
 *   (A5) What the service says of the time of a write and of the time of its answer is of one clock, or of clocks that
 *        differ by less than the margin; it runs as the others do (A2), and the time of a write is not before that
 *        write was asked for. -DNO_MARGIN shows what happens otherwise.
 *
 * Properties, and the invariants of include/lease.h that they keep
 *   (1) L1, L2  Whoever has won or renewed the lease is the only one with a renewal younger than its TTL: alone().
 *   (2) L2      The marker is written only after a clean pass, and by an owner that confirmed after it: at `mark`.
 *   (3)         Somebody finishes: nobody waits for ever, and in the end there is a marker (judge). With -DNP there
 *               is no endless run either.
 *   (4) L4      The highest epoch there ever was is never removed: remove().
 *   (5) L3, L1  Nobody begins a pass who won the lease after the marker was written: at `need`. Not asserted of a marker
 *               that comes late, from who has given it up or has been taken over from.
 *   (6)         With -DEARLY: whoever wins the lease has listed after all that those wrote who had it before: at `highest`. Not so
 *               if it is listed when the last owner is first looked at, instead (-DTOO_EARLY).
 *       L3 has no assertion of its own: without it (-DBLIND_CREATE) the first one fails.
 *
 * Broken on purpose, each of which must be found: NO_RENEWAL_CHECK, NO_EXPIRY, NO_HIGHEST_CHECK, BLIND_CREATE,
 * MARKER_EARLY, NO_CONFIRM, NO_NEED_CHECK, REMOVE_OWN (instead of marking it as released), RENEWED_LATE (counted from
 * the answer instead of from the beginning), REPEATED_RENEWAL, NO_MARGIN (a clock that is off by more than it allows for).
 */
#ifdef NO_RENEWAL_CHECK
#define NO_EXPIRY
#define NO_LOOK
#endif
#ifdef TOO_EARLY
#define EARLY
#endif

#ifndef N
#define N 3 /* contenders */
#endif
#ifndef TTL
#define TTL 2 /* ticks */
#endif
#ifndef LOSSES
#define LOSSES 1 /* how often, all in all, a lost lease is waited for again */
#endif
#ifndef FAULTS
#define FAULTS 1 /* requests whose answer, or which themselves, are lost or delayed */
#endif
#ifndef SLEEPS
#define SLEEPS 1 /* FINISH: how often a live owner may oversleep */
#endif
#ifndef CRASHES
#define CRASHES (N - 1) /* FINISH: contenders that die or leave without having finished */
#endif

#define EPOCHS (N + LOSSES + FAULTS) /* more cannot come to be */
#define TRIES 3             /* CREATE_TRIES */

/* The service tells times that are cut off, so what it calls TTL + 1 ticks old (LEASE_CLOCK_MARGIN) is TTL at least. */
#ifdef NO_MARGIN
#define OVER (TTL - 1)
#else
#define OVER TTL
#endif

/* An epoch's object. */
#define NONE 0
#define HELD(i) (1 + (i))
#define ENDED(i) (1 + N + (i))
#define is_held(r) ((r) != NONE && (r) <= N)
#define is_ended(r) ((r) > N)
#define is_of(r, i) ((r) == HELD(i) || (r) == ENDED(i))

/* Requests that are still under way although their sender has given them up. */
#define LATE_CREATE 1
#define LATE_RENEWAL 2
#define LATE_RELEASE 3
#define LATE_REMOVE 4
#define LATE_MARKER 5
#define late_request(kind, epoch) ((kind) * 16 + (epoch))

/* ---- the service ---- */

byte object[EPOCHS + 1];
byte ago[EPOCHS + 1]; /* ticks since it was written, to TTL; of what is held, the others do not count */
bool marker;
byte late[N];
byte faults = FAULTS;

/* ---- the contenders, as far as others (or the clock) look at them ---- */

byte watched[N];   /* the epoch that is watched; 0: none */
bool changed[N];   /* was it written since the last look? */
byte seen[N];      /* ticks since the first look that showed it as it is */
byte renewed[N];   /* ticks since the last successful renewal began; TTL: does not believe, or should not */
byte began[N];     /* ticks since the renewal (or the taking) under way began */
bool since[N];     /* there was no marker when it looked, and no epoch has ended since then */
byte losses = LOSSES;
byte started;
byte gone;         /* contenders that have ended */

/* ---- for the assertions only ---- */

#ifdef EARLY
byte listing[N];   /* 1: begun, and not used yet; 2: something was copied since */
#define begin_listing listing[id] = 1
#define drop_listing listing[id] = 0
#define use_listing assert(listing[id] != 2); listing[id] = 0
#define outdate(i) listing[i] = (listing[i] != 0 && i != id && renewed[id] < TTL -> 2 : listing[i])
#define copy each(outdate)
#else
#define begin_listing skip
#define drop_listing skip
#define use_listing skip
#define copy skip
#endif

byte written;       /* scratch */
byte top;          /* the highest epoch that ever was */
bool clean_pass;   /* somebody had one */
bool marked;       /* the marker was written by who had the highest epoch then */

#ifdef FINISH
byte crashes = CRASHES;
byte sleeps = SLEEPS;
bool dead[N];
bool left[N];
#endif

/* All contenders: a macro because loops would cost spin its speed. */
#if N == 2
#define each(what) what(0); what(1)
#define any(what) (what(0) || what(1))
#elif N == 3
#define each(what) what(0); what(1); what(2)
#define any(what) (what(0) || what(1) || what(2))
#else
#error "two or three contenders"
#endif

#define notice(i) changed[i] = changed[i] || watched[i] == written
#define unnoticed(i) changed[i] = false
#define ended(i) since[i] = since[i] && !is_ended(object[written])
#define young(i) (seen[i] < TTL || renewed[i] < TTL || began[i] < TTL)
#define due(i) (renewed[i] == TTL - 1 || began[i] == TTL - 1)
#define age(i) \
    seen[i] = (seen[i] < TTL -> seen[i] + 1 : TTL); \
    renewed[i] = (renewed[i] < TTL -> renewed[i] + 1 : TTL); \
    began[i] = (began[i] < TTL -> began[i] + 1 : TTL)
#define believes(i) (i != id && renewed[i] < TTL)

inline put(epoch, what)
{
    d_step {
        object[epoch] = what;
        ago[epoch] = 0;
        written = epoch;
        each(notice);
        each(ended);
        top = (written > top -> written : top);
        written = 0
    }
}

inline remove(epoch)
{
    assert(epoch < top); /* (4), L4 */
    object[epoch] = NONE;
    ago[epoch] = 0;
    assert(object[top] != NONE)
}

/* What a listing shows. */
inline list(highest)
{
    d_step {
        highest = EPOCHS;
        do
        :: highest > 0 && object[highest] == NONE -> highest--
        :: else -> break
        od
    }
}

/* (1), L1 and L2: whoever has just been told that the lease is its own is the only one who believes that. */
inline alone()
{
    assert(renewed[id] == TTL || !any(believes))
}

inline forget()
{
    watched[id] = 0;
    changed[id] = false;
    seen[id] = TTL
}

inline disbelieve()
{
    renewed[id] = TTL;
    began[id] = TTL
}

#ifdef FINISH
#define may_fail crashes > 0
#define leave_unfinished crashes--
#define more_renewals tries == 0 /* one in a pass, and one before the marker */
#define used_renewal tries = 1
#else
#define may_fail true
#define leave_unfinished skip
#define more_renewals true
#define used_renewal skip
#endif

proctype contender(byte id)
{
    byte epoch; /* that is wanted, or owned */
    byte tries;
    byte x;
    bool known;     /* that there is something to do: there was no epoch at all, or the last one had ended by then */
    bool too_late;  /* for an assertion: the marker was there when the lease was won */
    bool confirming;
    bool confirmed;
    bool clean;
    bool looked;    /* the renewal's look was answered before its write */

    {
    started == id; /* they are alike: only one order of their first steps needs to be looked at */
#ifdef BESIDE
    since[id] = !marker;
#endif

find:
    atomic {
        if
        :: started == id -> started++
        :: else
        fi;
        list(x);
        epoch = x + 1;
        known = x == 0;
        if
        :: known -> x = 0; goto take
        :: else -> watched[id] = x; seen[id] = 0; x = 0
        fi;
#ifdef TOO_EARLY
        begin_listing
#endif
    }

look:
    atomic {
        if
        :: object[watched[id]] == NONE -> forget(); goto find
        :: is_ended(object[watched[id]]) -> known = since[id]; forget(); goto take
        :: is_held(object[watched[id]]) && changed[id] -> changed[id] = false; seen[id] = 0; goto look
        :: is_held(object[watched[id]]) && !changed[id] && seen[id] == TTL -> forget(); goto take
        :: is_held(object[watched[id]]) && ago[watched[id]] >= OVER -> forget(); goto take
        :: marker -> forget(); goto end
        fi
    }

take:
    atomic {
        assert(epoch <= EPOCHS);
        began[id] = (tries == 0 -> 0 : began[id]);
        if
        :: object[epoch] == NONE ->
            put(epoch, HELD(id));
#ifndef TOO_EARLY
            begin_listing;
#endif
            goto prove
        :: object[epoch] != NONE -> goto refused
        :: faults > 0 ->
            faults--;
            if
            :: object[epoch] == NONE -> put(epoch, HELD(id))
            :: skip
            :: late[id] == 0 -> late[id] = late_request(LATE_CREATE, epoch)
            fi;
#ifdef BLIND_CREATE
            goto highest
#endif
        fi
    }
settle: /* L3: the answer was lost */
    atomic {
        if
        :: object[epoch] == NONE && tries < TRIES - 1 -> tries++; goto take
        :: object[epoch] == NONE && tries == TRIES - 1 -> disbelieve(); goto end
        :: is_of(object[epoch], id) -> goto highest
        :: object[epoch] != NONE && !is_of(object[epoch], id) -> disbelieve(); tries = 0; goto find
        fi
    }
refused: /* L3: or there was one already; perhaps by a create of our own whose answer was lost */
    atomic {
        if
        :: is_of(object[epoch], id) -> goto highest
        :: !is_of(object[epoch], id) -> disbelieve(); tries = 0; goto find
        fi
    }
prove: /* would a second create go through, too? */
    atomic {
        if
        :: object[epoch] != NONE
        :: object[epoch] == NONE -> put(epoch, HELD(id)) /* removed meanwhile: looks like a service without create */
        :: faults > 0 && late[id] == 0 -> faults--; late[id] = late_request(LATE_CREATE, epoch)
        fi
    }
highest:
    atomic {
        tries = 0;
        list(x);
#ifndef NO_HIGHEST_CHECK
        if
        :: x != epoch -> x = 0; goto lose
        :: else
        fi;
#endif
        x = 0;
        renewed[id] = began[id];
        began[id] = TTL;
        too_late = marked;
        use_listing;
        alone()
    }
clean_up:
    atomic {
        x = 1;
        do
        :: x < epoch && object[x] == NONE -> x++
        :: else -> break
        od;
        if
        :: x < epoch -> remove(x); x = 0; goto clean_up
        :: x < epoch && faults > 0 && late[id] == 0 -> faults--; late[id] = late_request(LATE_REMOVE, x)
        :: skip
        fi;
        x = 0
    }
need:
    atomic {
        if
#ifndef NO_NEED_CHECK
        :: !known && marker -> goto release
#endif
        :: known || !marker -> assert(!too_late) /* (5) */
#ifdef NO_NEED_CHECK
        :: else -> assert(!too_late)
#endif
        fi;
        known = false;
        too_late = false
    }

work:
    atomic {
        if
#ifdef NO_EXPIRY
        :: false
#else
        :: renewed[id] == TTL -> goto lose
#endif
        :: confirming || more_renewals -> /* it begins */
            copy;
            used_renewal;
            began[id] = 0
        :: !confirming ->
            copy;
            clean = true;
            clean_pass = true;
            tries = 0;
#ifdef NO_CONFIRM
            goto mark
#else
            confirming = true;
            goto work
#endif
        :: !confirming && may_fail -> leave_unfinished; tries = 0; goto release
#ifdef MARKER_EARLY
        :: !confirming -> confirming = true; goto work
#endif
        fi;
#ifdef BESIDE
        if
        :: skip
#ifndef NO_LOOK
        :: list(x); looked = true
#endif
        fi;
        if
        :: x > epoch -> goto lose
        :: else
        fi;
        x = 0
    }
renew:
    atomic {
#endif
        if
        :: put(epoch, HELD(id))
#ifdef REPEATED_RENEWAL
        :: faults > 0 && late[id] == 0 ->
            faults--;
            put(epoch, HELD(id));
            late[id] = late_request(LATE_RENEWAL, epoch)
#endif
        :: faults > 0 ->
            faults--;
            if
            :: put(epoch, HELD(id))
            :: skip
            :: late[id] == 0 -> late[id] = late_request(LATE_RENEWAL, epoch)
            fi;
            began[id] = TTL;
            looked = false;
            goto work
        fi
    }
#ifndef NO_EXPIRY
check:
    atomic {
        if
        :: renewed[id] == TTL -> goto lose
        :: else
        fi
    }
#endif
higher:
    atomic {
#ifndef NO_LOOK
        if
        :: !looked -> list(x)
        :: else
        fi;
        looked = false;
        if
        :: x > epoch -> goto lose
        :: else
        fi;
        x = 0;
#endif
#ifdef RENEWED_LATE
        renewed[id] = 0;
#else
        renewed[id] = began[id];
#endif
        began[id] = TTL;
        alone();
        if
        :: confirming -> confirming = false; confirmed = true
        :: else -> goto work
        fi
    }

mark:
    atomic {
        assert(clean && clean_pass && confirmed); /* (2) */
        clean = false;
        confirmed = false;
        if
        :: marker = true; marked = marked || epoch == top
        :: faults > 0 && may_fail ->
            faults--;
            leave_unfinished;
            if
            :: marker = true; marked = marked || epoch == top
            :: skip
            :: late[id] == 0 -> late[id] = late_request(LATE_MARKER, 0)
            fi
        fi
    }
release:
    atomic {
        known = false;
        too_late = false;
        disbelieve()
    }
#ifdef REMOVE_OWN
    atomic { remove(epoch); goto end }
#endif
    atomic {
        if
        :: put(epoch, ENDED(id))
        :: faults > 0 ->
            faults--;
            if
            :: skip
            :: late[id] == 0 -> late[id] = late_request(LATE_RELEASE, epoch)
            fi
        fi;
        goto end
    }

lose:
    atomic {
        disbelieve();
        drop_listing;
        x = 0;
        looked = false;
        clean = false;
        confirming = false;
        confirmed = false;
        tries = 0;
        if
        :: losses > 0 -> losses--; goto find
        :: losses == 0
        fi
    }
end:
    atomic {
        drop_listing;
        epoch = 0;
        tries = 0;
        gone++
#ifdef FINISH
        ;
        left[id] = true
#endif
    }
    }
#ifdef FINISH
    unless {
        dead[id];
        atomic { epoch = 0; tries = 0; known = false; looked = false; too_late = false; confirming = false; confirmed = false;
            clean = false }
    }
#endif
}

/* What was under way arrives. */
proctype network()
{
    byte i;
    byte kind;
    byte epoch;

end:
    do
    :: atomic {
        if
        :: late[0] != 0 -> i = 0
#if N > 1
        :: late[1] != 0 -> i = 1
#endif
#if N > 2
        :: late[2] != 0 -> i = 2
#endif
        fi;
        kind = late[i] / 16;
        epoch = late[i] % 16;
        late[i] = 0;
        if
        :: kind == LATE_CREATE && object[epoch] == NONE -> put(epoch, HELD(i))
        :: kind == LATE_CREATE && object[epoch] != NONE
        :: kind == LATE_RENEWAL -> put(epoch, HELD(i))
#ifdef REPEATED_RENEWAL
        :: kind == LATE_RENEWAL -> object[epoch] = HELD(i); ago[epoch] = 0; each(unnoticed) /* as it was when they looked */
#endif
        :: kind == LATE_RELEASE -> put(epoch, ENDED(i))
        :: kind == LATE_REMOVE -> remove(epoch)
        :: kind == LATE_MARKER -> assert(clean_pass); marker = true
        fi;
        i = 0;
        kind = 0;
        epoch = 0
    }
    od
}

/* Of the service's objects. */
inline age_objects()
{
    x = 1;
    do
    :: x <= EPOCHS && is_held(object[x]) && ago[x] < TTL -> ago[x]++; x++
    :: x <= EPOCHS && !(is_held(object[x]) && ago[x] < TTL) -> x++
    :: else -> break
    od;
    x = 0
}

proctype time()
{
    byte x;

end:
    do
#ifdef FINISH
    :: d_step { any(young) && !any(due) -> each(age); age_objects() }
    :: d_step { any(due) && sleeps > 0 -> sleeps--; each(age); age_objects() }
#else
    :: d_step { any(young) -> each(age); age_objects() }
#endif
    od
}

#ifdef FINISH
proctype death()
{
    byte id;

end:
    do
    :: atomic {
        crashes > 0 && gone < started;
        if
        :: started > 0 && !left[0] && !dead[0] -> id = 0
#if N > 1
        :: started > 1 && !left[1] && !dead[1] -> id = 1
#endif
#if N > 2
        :: started > 2 && !left[2] && !dead[2] -> id = 2
#endif
        fi;
        crashes--;
        dead[id] = true;
        gone++;
        forget();
        disbelieve();
        id = 0
    }
    od
}

proctype judge()
{
    atomic {
        timeout;
        assert(gone == N); /* nobody waits for ever */
        assert(marker)     /* (3) */
    }
}
#endif

init {
    atomic {
        byte i = 0;

        do
        :: i < N ->
            seen[i] = TTL;
            renewed[i] = TTL;
            began[i] = TTL;
            run contender(i);
            i++
        :: else -> break
        od;
        run network();
        run time();
#ifdef FINISH
        run death();
        run judge();
#endif
        i = 0
    }
}
