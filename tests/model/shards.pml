/*
 * shards - the protocol of include/parts.h, include/gate.h and src/app/shards.c, for spin. tests/model/run checks it.
 *
 * What is modelled
 *   - The shards of one deployment, by PODS processes: of a shard that has two, one is a pod that was taken for dead. Beside them a
 *     rollback, or with -DWHOLE a replica that does all of the job.
 *   - Leases are what lease.pml says of them: one holder, who believes in it or not. Whoever does not may be taken over from. Any
 *     belief may end at any time (a process that sleeps; LAPSES of them), which it finds out at its next step that looks.
 *   - PAUSES lapses are those of a process whose clock has stood still as well: it goes on believing until its next renewal, of
 *     which there is one at least in a pass, and one behind it. A renewal reads its own epoch, as others may have removed it.
 *   - Every request is one step. A process that never goes on is one that was killed there. FAULTS requests fail: a part that was
 *     written and is not known to be, one that was not, one that arrives later, at any time, even after its sender's end (process
 *     network); a marker that was written and is not known to be, or was not.
 *   - With -DFINISH: no rest is endless, a belief ends by death only, of which there are KILLS; whoever has died or failed is started
 *     again, and twice more when all have ended without a marker.
 *
 * What is left out
 *   - Other deployments, of which the gate sees to it that one group is at work at a time, as here the rollback.
 *   - A marker that arrives late: lease.pml has it, and whoever writes it has just confirmed.
 *
 * Properties
 *   (1) The marker is written only when all shares are as the source has them: at `mark`.
 *   (2) Never two who believe in their leases write to one range: alone().
 *   (2') Nor has who was paused its lease again by a renewal, while a rollback is at work that took him for dead: alone() there.
 *   (3) With -DFINISH: nobody waits for ever, and in the end there is a marker (judge).
 *
 * Broken on purpose, each of which must be found: NO_FENCE (a rollback removes the parts, and writes no epoch), LATE_TOKEN (a part
 * names the rollback that is known at its end), NO_LOOK (who marks goes by what was listed before it had the lease of the job),
 * NO_GATE (a shard does not look at the lease of the job), DONE_IS_OVER (the gate takes no notice of a shard that has its part),
 * BY_NAME (a shard believes in its part without reading it; with -DFINISH), NO_READ (a renewal makes the epoch anew), KEEP_EPOCHS (a
 * rollback does not remove those that it took for dead), FENCE_FIRST (it does so behind the epoch that it writes).
 */
#ifndef SHARDS
#define SHARDS 2
#endif
#ifndef PODS
#define PODS 3
#endif
#ifndef FAULTS
#define FAULTS 1
#endif
#ifndef LAPSES
#define LAPSES 2 /* leases that end while their owner is alive */
#endif
#ifndef KILLS
#define KILLS 2
#endif
#ifndef PAUSES
#ifdef WHOLE
#define PAUSES 0 /* two that copy the same do no harm */
#else
#define PAUSES 1
#endif
#endif
#define OTHER PODS /* the rollback, or the replica */
#define share(id) ((id) % SHARDS)

/* ---- the service ---- */

byte part[SHARDS];  /* 0: none; else 1 + the rollback that it names */
byte late[SHARDS];  /* the same, under way although its sender has given it up */
byte undone;   /* the last rollback that has told of itself */
bool marker;
byte own[SHARDS];   /* who has a shard's lease: 1 + process; 0: nobody */
byte whole;    /* and that of all of the job */
byte faults = FAULTS;
byte lapses = LAPSES;
byte pauses = PAUSES;

/* ---- the processes ---- */

bool sure[PODS];        /* believes in its shard's lease */
bool sure_whole[PODS + 1];
bool paused[PODS];      /* is not sure, and does not know: its clock stood still */
bool writing[PODS + 1]; /* to its share, or to all */

/* ---- for the assertions only ---- */

bool synced[SHARDS];      /* the share is as the source has it */

#ifdef FINISH
byte kills = KILLS;
bool dead[PODS];
bool at_end[PODS];
bool other_ended;
byte round; /* how often all that have ended are started again */
#endif

#define own_free(i) (own[i] == 0 || !sure[own[i] - 1])
#define whole_free (whole == 0 || !sure_whole[whole - 1])
#define named(i) (part[i] != 0)
#define valid(i) (part[i] == undone + 1)
#ifdef BY_NAME
#define mine named(share(id))
#else
#define mine valid(share(id))
#endif
#if SHARDS == 2
#define all(what) (what(0) && what(1))
#define each(what) what(0); what(1)
#elif SHARDS == 3
#define all(what) (what(0) && what(1) && what(2))
#define each(what) what(0); what(1); what(2)
#endif
#define is_synced(i) synced[i]

/* (2): whoever begins to write is the only one who does, and believes that it may. */
#define at_work(other) (other != id && writing[other] && sure[other])
#define at_share(other) (at_work(other) && share(other) == share(id))
inline alone()
{
    assert(!at_share(0) && !at_share(1) && !(PODS > 2 && at_share(PODS - 1)));
    assert(!(writing[OTHER] && sure_whole[OTHER]))
}
inline all_alone()
{
    assert(!at_work(0) && !at_work(1) && !(PODS > 2 && at_work(PODS - 1)))
}

#define believes(id) (sure[id] || paused[id])

/* Of a shard. False in sure[id] afterwards: the lease is lost. Higher epochs are seen anyway. */
inline renew()
{
    if
    :: paused[id] && own[share(id)] == id + 1 -> sure[id] = true
#ifdef NO_READ
    :: paused[id] && own[share(id)] == 0 -> own[share(id)] = id + 1; sure[id] = true
#endif
    :: else
    fi;
    paused[id] = false
}

inline give_own()
{
    paused[id] = false;
    if
    :: own[share(id)] == id + 1 -> own[share(id)] = 0 /* only one's own epoch is removed */
    :: else
    fi;
    sure[id] = false;
    writing[id] = false
}

inline give_whole()
{
    if
    :: whole == id + 1 -> whole = 0
    :: else
    fi;
    sure_whole[id] = false
}

inline remove_names()
{
    part[0] = 0;
    part[1] = 0;
#if SHARDS > 2
    part[2] = 0
#endif
}
inline remove_parts()
{
    d_step {
        remove_names();
        undone = 0
    }
}

proctype shard(byte id)
{
    byte known; /* the last rollback when it began */
    bool complete;
#ifdef FINISH
    byte rounds;
#endif

again:
    {
    atomic {
        if
        :: marker -> goto end
        :: !marker && mine -> complete = all(named); goto look
        :: !marker && !mine
        fi
    }
take:
    atomic {
        own_free(share(id)) -> own[share(id)] = id + 1; sure[id] = true; paused[id] = false
    }
gate:
    atomic {
        if
        :: !believes(id) -> goto lost
#ifndef NO_GATE
        :: believes(id) && whole_free
#else
        :: believes(id)
#endif
        fi
    }
need_again:
    atomic {
        if
        :: marker -> goto end
        :: else
        fi
    }
list:
    atomic {
        known = undone;
        if
        :: mine -> complete = all(named); goto look
        :: else
        fi
    }
pass:
    atomic {
        if
        :: !believes(id) -> goto lost
        :: sure[id] -> alone(); writing[id] = true
        :: paused[id] -> writing[id] = true
        fi
    }
renewal:
    atomic {
        renew();
        if
        :: !sure[id] -> goto lost
        :: else -> alone()
        fi
    }
confirm:
    atomic {
        renew();
        writing[id] = false;
        if
        :: !sure[id] -> goto lost
        :: else -> alone(); synced[share(id)] = true
        fi
    }
write:
    atomic {
#ifdef LATE_TOKEN
        known = undone;
#endif
        if
        :: part[share(id)] = known + 1
        :: faults > 0 ->
            faults--;
            if
            :: part[share(id)] = known + 1
            :: skip
            :: late[share(id)] == 0 -> late[share(id)] = known + 1
            fi;
            goto failed
        fi
    }
list_again:
    atomic {
        complete = all(named)
    }
look:
    atomic {
        if
        :: !complete -> goto end
        :: else -> complete = false
        fi
    }
take_whole:
    atomic {
        whole_free -> whole = id + 1; sure_whole[id] = true
    }
need_marker:
    atomic {
        if
        :: marker -> goto end
        :: else
        fi
    }
look_again:
    atomic {
#ifndef NO_LOOK
        if
        :: !all(valid) -> goto end /* it is not, any more */
        :: else
        fi
#else
        skip
#endif
    }
mark:
    atomic {
        if
        :: !sure_whole[id] -> goto failed
        :: else
        fi;
        if
        :: assert(all(is_synced)); marker = true /* (1) */
        :: faults > 0 ->
            faults--;
            if
            :: assert(all(is_synced)); marker = true
            :: skip
            fi;
            goto failed
        fi
    }
end_own:
    atomic {
        give_own()
    }
remove:
    atomic {
        if
        :: sure_whole[id] -> remove_parts()
        :: else
        fi;
        goto end
    }
lost:
    atomic {
        give_own();
        goto again
    }
failed:
    atomic {
        known = 0;
        complete = false;
        give_own();
        give_whole();
#ifdef FINISH
        goto again /* somebody repeats it */
#else
        goto endover
#endif
    }
end:
    atomic {
        known = 0;
        complete = false;
        give_own();
        give_whole()
#ifdef FINISH
        ;
        at_end[id] = true
#endif
    }
endover:
#ifdef FINISH
    atomic { rounds < round && !marker; rounds = round; at_end[id] = false; goto again }
#else
    skip
#endif
    }
#ifdef FINISH
    unless {
        atomic { dead[id]; dead[id] = false; known = 0; complete = false; goto again }
    }
#endif
}

/* Who does all of the job looks at each shard's lease, and gives its own back before it waits. */
#ifdef DONE_IS_OVER
#define shut(i) (!own_free(i) && !named(i))
#else
#define shut(i) (!own_free(i))
#endif
inline pass_gate(i)
{
    atomic {
        if
        :: shut(i) -> give_whole(); own_free(i); goto take
        :: else
        fi
    }
}

/* Its epoch is removed. One that waits at the gate loses its lease with it, at a renewal. */
inline end_shard(i)
{
    if
    :: own[i] != 0 -> paused[own[i] - 1] = paused[own[i] - 1] || sure[own[i] - 1]; sure[own[i] - 1] = false; own[i] = 0
    :: else
    fi
}

proctype other()
{
    byte id = OTHER;

take:
    atomic {
        whole_free -> whole = id + 1; sure_whole[id] = true
    }
    pass_gate(0);
    pass_gate(1);
#if SHARDS > 2
    pass_gate(2);
#endif
#ifdef WHOLE
need:
    atomic {
        if
        :: marker -> goto end
        :: else
        fi
    }
#else
forget:
    atomic {
        if
        :: !sure_whole[id] -> goto end
        :: else
        fi;
        remove_names();
#if !defined KEEP_EPOCHS && !defined FENCE_FIRST
        each(end_shard)
#endif
    }
fence:
    atomic {
        if
        :: !sure_whole[id] -> goto end
        :: else
        fi;
#ifndef NO_FENCE
        undone = 1
#endif
    }
#ifdef FENCE_FIRST
    each(end_shard);
#endif
#endif
pass:
    atomic {
        if
        :: !sure_whole[id] -> goto end
        :: else -> all_alone(); writing[id] = true
        fi;
#ifndef WHOLE
        synced[0] = false;
        synced[1] = false;
#if SHARDS > 2
        synced[2] = false;
#endif
#endif
    }
confirm:
    atomic {
        writing[id] = false;
        if
        :: !sure_whole[id] -> goto end
        :: else
        fi;
#ifdef WHOLE
        marker = true; /* each share was looked at */
        remove_parts()
#endif
    }
end:
    atomic {
        writing[id] = false;
        give_whole()
#ifdef FINISH
        ;
        other_ended = true
#endif
    }
}

/* What was under way arrives. */
proctype network()
{
end:
    do
    :: atomic { late[0] != 0 -> part[0] = late[0]; late[0] = 0 }
    :: atomic { late[1] != 0 -> part[1] = late[1]; late[1] = 0 }
#if SHARDS > 2
    :: atomic { late[2] != 0 -> part[2] = late[2]; late[2] = 0 }
#endif
    od
}

#ifdef FINISH
inline kill(id)
{
    kills--;
    dead[id] = true;
    sure[id] = false;
    paused[id] = false;
    sure_whole[id] = false;
    writing[id] = false
}

proctype death()
{
end:
    do
    :: atomic { kills > 0 && !at_end[0] && !dead[0] -> kill(0) }
    :: atomic { kills > 0 && !at_end[1] && !dead[1] -> kill(1) }
#if PODS > 2
    :: atomic { kills > 0 && !at_end[2] && !dead[2] -> kill(2) }
#endif
    od
}

proctype judge()
{
    atomic { timeout; round = 1 }
    atomic { timeout; round = 2 }
    atomic {
        timeout;
        assert(at_end[0] && at_end[1] && (PODS < 3 || at_end[PODS - 1]) && other_ended); /* nobody waits for ever */
        assert(marker) /* (3) */
    }
}
#else
inline lapse(i)
{
    lapses--;
    sure[i] = false;
    if
    :: pauses > 0 -> pauses--; paused[i] = true
    :: skip
    fi
}

/* A lease is over for its owner before it is for anybody else, but for whose clock has stood still. */
proctype time()
{
end:
    do
    :: atomic { lapses > 0 && sure[0] -> lapse(0) }
    :: atomic { lapses > 0 && sure[1] -> lapse(1) }
#if PODS > 2
    :: atomic { lapses > 0 && sure[2] -> lapse(2) }
#endif
    :: atomic { lapses > 0 && sure_whole[0] -> lapses--; sure_whole[0] = false }
    :: atomic { lapses > 0 && sure_whole[1] -> lapses--; sure_whole[1] = false }
#if PODS > 2
    :: atomic { lapses > 0 && sure_whole[2] -> lapses--; sure_whole[2] = false }
#endif
    :: atomic { lapses > 0 && sure_whole[OTHER] -> lapses--; sure_whole[OTHER] = false }
    od
}
#endif

init {
    atomic {
        run shard(0);
        run shard(1);
#if PODS > 2
        run shard(2);
#endif
        run other();
        run network();
#ifdef FINISH
        run death();
        run judge()
#else
        run time()
#endif
    }
}
