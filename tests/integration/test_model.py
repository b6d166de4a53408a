"""Rounds of chance against a model: edits on both sides, a sync that may be killed, and sometimes the way back. After each
run every object of production is compared with what the policies say of it (docs/POLICIES.md).

A saga is a pair of buckets with thousands of objects and some rounds, one after the other. Both are on the stand-in of Google's,
whose clock is set forward, so that hours pass between two runs without anybody waiting.

    STORSYNC_MODEL_SEED=1 STORSYNC_MODEL_SAGAS=0-24 tests/integration/run test_model

plays 25 sagas, 200 rounds of them. A failure says how to play its saga again.
"""
import json
import os
import random
import signal
import threading

from gcs import GoogleStorage, Refusal
from harness import JOB, RUN, TestCase, sides

SEED = os.environ.get("STORSYNC_MODEL_SEED", "1")
ROUNDS = 8                # of a saga: not more runs than the lease remembers
OBJECTS = 2000
EDITS = 120               # in a round, about
ENOUGH = 60               # s, after which a run that was killed has left no lease that counts
TEN_MINUTES = 600
EXCLUDED = ".tmp"
# Places at which the test binary dies by itself.
PLACES = ("lease-before-create", "lease-created", "copying", "synced", "before-release", "released", "before-end")
KEEPING = {"off": (), "copies": ("journaling", "journaled", "kept", "journal-end"),
           "versions": ("journaling", "journaled", "journal-end")}
BACK = ("lease-created", "undoing", "undone", "undone-told", "before-release")


def chosen_sagas():
    text = os.environ.get("STORSYNC_MODEL_SAGAS", "1-2")
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


class Requests(list):
    """Those of a server. Before one of them is done, something happens once."""

    def __init__(self):
        super().__init__()
        self.left, self.action, self.lock = 0, None, threading.Lock()

    def at(self, left, action):
        self.left, self.action = left, action

    def append(self, request):
        super().append(request)
        with self.lock:
            self.left -= 1
            if self.left > 0 or self.action is None:
                return
            action, self.action = self.action, None
        action()


def kill(tool, lost):
    """All of its processes. `lost`: what they asked for last is not done."""
    for pid in tool.family():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    if lost:
        raise ConnectionError("it never arrived")


class Thing:
    """What a bucket has under one key, as far as anybody cares."""

    def __init__(self, stored):
        self.body, self.fields = stored.body, json.dumps(stored.fields, sort_keys=True)
        self.md5, self.created, self.updated = stored.md5, int(stored.created * 1000), int(stored.updated * 1000)

    content = property(lambda self: (self.body, self.fields))

    def __repr__(self):
        return f"{self.body[:30]!r} {self.fields}"


class Saga:
    def __init__(self, case, number):
        self.case, self.number = case, number
        self.dice = random.Random(f"storsync {SEED} {number}")
        self.server = GoogleStorage().start()
        self.server.requests = Requests()
        self.dev, self.prod = self.server.bucket("dev-bucket"), self.server.bucket("prod-bucket")
        self.conflict = self.dice.choice(["overwrite", "keep", "fail"])
        self.keep = "copies" if self.dice.random() < 0.6 else "off"
        if self.dice.random() < 0.4:
            self.server.rewrite = self.refuse_from_dev
        self.delete = random.Random(f"delete {SEED} {number}").random() < 0.6
        if self.keep != "off" and random.Random(f"versions {SEED} {number}").random() < 0.4:
            self.keep, self.prod.versioning = "versions", True
        self.owned = set()        # keys at which production has what it wrote itself
        self.sure = set()         # keys at which it has what a sync wrote that was not the first
        self.writes = 0
        self.story = [f"conflict={self.conflict} keep_previous={self.keep} "
                      f"delete={'extra' if self.delete else 'off'}"]
        self.env = {**sides(self.dev, self.prod), "STORSYNC_JOB": JOB, "STORSYNC_CONFLICT": self.conflict,
                    "STORSYNC_LEASE_TTL": "3s", "STORSYNC_EXCLUDE": f"*{EXCLUDED}", "STORSYNC_LOG_LEVEL": "warn",
                    "STORSYNC_MAX_FAILURES": "0", "PUBLIC_OBJECT_SEARCH_PATHS": "/*/public",
                    "STORSYNC_STATUS_FILE": str(case.dir / f"saga{number}.json"), "STORSYNC_KEEP_PREVIOUS": self.keep}
        if self.delete:
            self.env.update(STORSYNC_DELETE="extra", STORSYNC_MAX_DELETE="100%")

    def refuse_from_dev(self, source, *rest):
        """Nothing is copied inside the service: bytes pass through the tool."""
        if source is self.dev:
            raise Refusal(501, "Not implemented", "notImplemented")
        return GoogleStorage.rewrite(self.server, source, *rest)

    # The world.

    def pass_time(self, least=1, most=60):
        self.server.ahead += self.dice.uniform(least, most)

    def text(self, size=None):
        """No two are alike."""
        self.writes += 1
        text = f"{self.writes} ".encode()
        return text.ljust(size or self.dice.choice([9, 9, 40, 200]), b".")

    def fields(self):
        return {"metadata": {"n": str(self.writes)}} if self.dice.random() < 0.3 else {}

    def write(self, bucket, key, size=None):
        bucket.put(key, self.text(size), **self.fields())

    def populate(self):
        """Most are the same on both sides."""
        for number in range(OBJECTS):
            key = f"public/{number % 37}/{number:05}{EXCLUDED if number % 20 == 0 else ''}"
            chance = self.dice.random()
            if chance < 0.9:
                self.write(self.dev, key)
            if chance < 0.8:
                self.server.ahead += 0.001
                self.prod.put(key, self.dev.get(key), **self.dev.objects[key].fields)
            elif chance > 0.97:
                self.write(self.prod, key)
        self.pass_time(30, 90)

    def edit(self, bucket):
        keys = self.keys
        key = self.dice.choice(keys)
        has = bucket.objects.get(key)
        what = self.dice.random()
        if has is None:
            self.write(bucket, key)
        elif what < 0.35:
            self.write(bucket, key)
        elif what < 0.65:
            self.write(bucket, key, size=len(has.body))
        elif what < 0.75:
            bucket.put(key, has.body, **has.fields)
        elif what < 0.85:
            self.writes += 1
            bucket.patch(key, n=str(self.writes))
        else:
            bucket.remove(key)
        return key

    def edit_both(self, count, sides=("dev", "prod")):
        """Returns what production has edited."""
        edited = set()
        for _ in range(count):
            self.server.ahead += self.dice.choice([0, 0, 0.01, 1, 5])
            if self.dice.random() < 0.02:
                self.server.ahead += 2 * TEN_MINUTES
            if self.dice.choice(sides) == "dev":
                self.edit(self.dev)
                continue
            key = self.edit(self.prod)
            edited.add(key)
            self.owned.discard(key)
            self.sure.discard(key)
            if self.begun and key in self.prod.objects:
                self.owned.add(key)
        return edited

    def look(self, bucket):
        with self.server.lock:
            return {key: Thing(stored) for key, stored in bucket.objects.items() if not key.startswith(".storsync/")}

    # What the policies say.

    def is_due(self, here, there):
        """Would it be copied, whoever wrote what is there?"""
        if there is None or len(here.body) != len(there.body) or here.updated > there.created:
            return True
        return here.md5 != there.md5 and there.created - here.created <= TEN_MINUTES * 1000

    def extras(self, dev, prod):
        """What delete=extra is about."""
        return {key for key in prod if key not in dev and not key.endswith(EXCLUDED)} if self.delete else set()

    def theirs(self, keys):
        """Of those that only production has, what counts as its own: before the first sync, everything."""
        return keys & self.owned if self.begun else set(keys)

    def first_span(self):
        """Until when what was written may be the first sync's."""
        spans = (self.prod.lease() or {"spans": []})["spans"]
        return spans[1] if spans else float("inf")

    def removals(self, dev, prod, disputed):
        """What a sync removes: where production's own is to be kept, only what a sync has surely written."""
        extras = self.extras(dev, prod)
        if self.conflict == "fail" and (disputed or self.theirs(extras)):
            return set()
        if self.conflict != "overwrite":
            extras = {key for key in extras & self.sure if prod[key].updated > self.first_span()}
        return extras

    def failures(self, dev, prod, disputed):
        return len(disputed) + len(self.theirs(self.extras(dev, prod))) if self.conflict == "fail" else 0

    def predict(self, dev, prod):
        """(what production has after a sync, keys copied, keys that are production's and would be copied over, keys removed)"""
        after, copied, disputed = dict(prod), set(), set()
        for key, here in dev.items():
            if key.endswith(EXCLUDED) or not self.is_due(here, prod.get(key)):
                continue
            if key in self.owned:
                disputed.add(key)
                if self.conflict != "overwrite":
                    continue
            after[key] = here
            copied.add(key)
        removed = self.removals(dev, prod, disputed)
        return {key: there for key, there in after.items() if key not in removed}, copied, disputed, removed

    def note_written(self, keys, now, later):
        """By a sync, which is not the first if it is a `later` one."""
        self.owned -= keys
        self.sure -= keys
        if later:
            self.sure |= keys & now.keys()

    # The runs.

    def tool(self, *args, **how):
        tool = self.case.start(*args, env={**self.env, **how.pop("env", {})}, **how)
        self.case.tools.remove(tool)  # thousands of them; the story has what matters
        return tool

    def end(self, tool):
        tool.wait(60, every=20)
        self.said = tool.err
        tool.close()
        return tool.code

    def require(self, condition, what):
        if not condition:
            raise AssertionError(f"{what}\n{self.said}")

    def same(self, found, expected, what, beside=()):
        for key in sorted(found.keys() | expected.keys()):
            if key not in beside and key not in found:
                self.require(False, f"{what}: {key} is gone, and should be {expected[key]}")
            if key not in beside and key not in expected:
                self.require(False, f"{what}: {key} is there: {found[key]}")
            if key not in beside and found[key].content != expected[key].content:
                self.require(False, f"{what}: {key} is {found[key]}, and should be {expected[key]}")

    def plan(self):
        """A dry run says it before, and touches nothing."""
        dev, prod, state = self.look(self.dev), self.look(self.prod), self.prod.keys(".storsync/")
        _, copied, disputed, removed = self.predict(dev, prod)
        file = self.case.dir / f"plan{self.number}"
        code = self.end(self.tool("--sync", "--dry-run", "--plan", str(file)))
        self.require(code == (2 if self.failures(dev, prod, disputed) else 0), f"dry run: exit {code}")
        with file.open(encoding="utf-8") as plan:
            objects = [json.loads(line) for line in plan][1:-1]
        fates = {o["key"]: o["action"] for o in objects}
        self.require({k for k, fate in fates.items() if fate in ("create", "overwrite", "metadata")} == copied,
                     "dry run: other copies are planned")
        self.require({k for k, fate in fates.items() if fate == "delete"} == removed, "dry run: other removals")
        self.require({o["key"] for o in objects if o["changedInProduction"]} ==
                     disputed | self.theirs(self.extras(dev, prod)), "dry run: other conflicts")
        self.same(self.look(self.prod), prod, "dry run")
        self.require(self.prod.keys(".storsync/") == state, "dry run: it has written state")

    def clean_run(self):
        dev, prod = self.look(self.dev), self.look(self.prod)
        expected, copied, disputed, removed = self.predict(dev, prod)
        failed = self.failures(dev, prod, disputed)
        tool = self.tool("--sync")
        code = self.end(tool)
        self.story.append(f"sync: {len(copied)} copied, {len(removed)} removed, {len(disputed)} conflicts, exit {code}")
        self.require(code == (2 if failed else 0), f"sync: exit {code}")
        self.same(self.look(self.prod), expected, "sync")
        figures = {"syncedFiles": len(copied), "failedFiles": failed, "deletedFiles": len(removed),
                   "overwrittenFiles": len(disputed) if self.conflict == "overwrite" else 0,
                   "keptFiles": len(disputed) if self.conflict == "keep" else 0}
        status = tool.status
        self.require({name: status[name] for name in figures} == figures, f"sync: the status tells { {name: status[name] for name in figures} }, and should tell {figures}")
        self.note_written(copied | removed, expected, self.begun)
        self.begun = True
        return prod, copied | removed

    def disturbed_run(self):
        """Both sides are edited while it runs. Of what was edited, each object is one that somebody wrote there, and with
        `keep` and `fail` production's own."""
        dev, prod = self.look(self.dev), self.look(self.prod)
        expected, copied, disputed, _ = self.predict(dev, prod)
        edited, theirs = [], {}

        def edit():
            with self.server.lock:
                edited.extend(self.edit_both(self.dice.randint(1, 40)))
                theirs.update({key: self.prod.objects[key].body if key in self.prod.objects else None for key in edited})

        # By the eighth request it has the lease: what is written from then on is in its span of time.
        self.server.requests.at(self.dice.choice([self.dice.randint(8, 20), self.dice.randint(8, 150)]), edit)
        tool = self.tool("--sync")
        code = self.end(tool)
        self.server.requests.at(0, None)
        self.story.append(f"sync, disturbed: {len(edited)} edited by production, exit {code}")
        self.require(code in (0, 2), f"disturbed sync: exit {code}")
        now, dev_now = self.look(self.prod), self.look(self.dev)
        beside = set(edited) | {key for key in {*dev, *dev_now} if key not in dev or key not in dev_now or
                                dev[key].content != dev_now[key].content or dev[key].created != dev_now[key].created}
        # As many are removed as were counted, whichever those are in the second look; none after a failure.
        beside |= self.extras(dev, prod)
        self.same(now, expected, "disturbed sync", beside)
        # What was removed before it could be kept (keep_previous) is a failure as well.
        self.require({e["file"] for e in tool.status["errors"]} <= beside | (disputed if self.conflict == "fail" else set()),
                     "disturbed sync: nobody has disturbed what failed")
        for key in beside:
            possible = [thing.body for side in (dev, dev_now, prod) if (thing := side.get(key))] + [theirs.get(key)]
            has = now[key].body if key in now else None
            may_be_gone = key not in prod or (self.delete and not (key in dev and key in dev_now))
            self.require(has in possible or (has is None and may_be_gone), f"disturbed sync: {key} is {has}")
            if self.conflict != "overwrite" and theirs.get(key) is not None:
                self.require(has == theirs[key], f"disturbed sync: {key} was production's {theirs[key]}, and is {has}")
        # What was written while it ran counts as the sync's.
        self.note_written(set(edited) | {key for key in copied | beside if key not in now or key not in prod or
                                         now[key].created != prod[key].created}, now, self.begun)
        self.begun = True
        self.pass_time(5, 60)

    def kill_at(self, args, places):
        """A run that dies, or nearly: at a place in the code, or at a request."""
        if self.dice.random() < 0.4:
            place = self.dice.choice(places)
            tool = self.tool(*args, env={"STORSYNC_CRASH_AT": place}, binary=RUN.test_binary)
            self.story.append(f"{args[0]} dies at {place}")
        else:
            left, lost = self.dice.choice([self.dice.randint(1, 12), self.dice.randint(1, 150)]), self.dice.random() < 0.5
            with self.server.lock:  # no request is done before it is known who dies
                tool = self.tool(*args)
                self.server.requests.at(left, lambda: kill(tool, lost))
            self.story.append(f"{args[0]} dies at request {left}{' which is lost' if lost else ''}")
        self.end(tool)
        self.server.requests.at(0, None)
        self.server.settle(10 * RUN.slow)

    def killed_run(self):
        """Each object is as before, or as it would be after the whole run."""
        dev, prod = self.look(self.dev), self.look(self.prod)
        expected, copied, _, removed = self.predict(dev, prod)
        self.kill_at(["--sync"], PLACES + KEEPING[self.keep] + (("removing",) if removed else ()))
        now = self.look(self.prod)
        removed -= now.keys()
        changed = {key for key in copied if key in now and now[key].content == expected[key].content
                   and (key not in prod or now[key].created != prod[key].created)}
        self.same(now, {**prod, **{key: expected[key] for key in changed}}, "killed sync", removed)
        self.require(not removed or changed == copied, "killed sync: something is removed before all is copied")
        self.story[-1] += f", {len(changed)} of {len(copied)} copied, {len(removed)} removed"
        self.note_written(changed | removed, now, self.begun)
        self.begun |= any("/lease/" in key for key in self.prod.keys(".storsync/"))  # it may have died before that
        self.pass_time(ENOUGH, 2 * ENOUGH)
        return prod, changed | removed

    def way_back(self, before, changed):
        """Production is as it was, but for what it has changed since."""
        run = self.prod.lease()["epoch"]
        dev = self.look(self.dev)
        self.pass_time(5, 60)
        since = self.edit_both(self.dice.choice([0, 0, 50]), sides=("prod",))
        now = self.look(self.prod)
        self.pass_time(5, 60)
        killed = 0
        while self.dice.random() < 0.4:
            self.kill_at(["--rollback", str(run)], BACK)
            self.pass_time(ENOUGH, 2 * ENOUGH)
            killed += 1
        code = self.end(self.tool("--rollback", str(run)))
        self.story.append(f"rollback of {run}: exit {code}, {len(changed & since)} of {len(changed)} changed since")
        self.require(code == 0 or (killed and "is rolled back already" in self.said), f"rollback: exit {code}")
        after = {**now, **{key: before.get(key) for key in changed - since}}
        after = {key: thing for key, thing in after.items() if thing is not None}
        self.same(self.look(self.prod), after, "rollback")
        self.same(self.look(self.dev), dev, "rollback: development")
        self.note_written(changed - since, after, True)

    def play(self):
        self.begun = False
        self.populate()
        self.keys = sorted(self.dev.keys() + self.prod.keys("public/") + [f"public/new/{n}" for n in range(100)])
        for number in range(ROUNDS):
            self.story.append(f"round {number}")
            self.edit_both(self.dice.randint(1, 2 * EDITS))
            self.pass_time(5, 600)
            if self.dice.random() < 0.3:
                self.plan()
            if self.dice.random() < 0.25:
                self.disturbed_run()
                self.pass_time(5, 600)
            last = None
            while self.dice.random() < 0.4:
                last = self.killed_run()
                if self.dice.random() < 0.3:
                    break
            else:
                last = self.clean_run()
                self.pass_time(5, 60)
            if self.keep != "off" and last[1] and self.dice.random() < 0.4:
                self.way_back(*last)
                self.pass_time(5, 60)
        self.clean_run()
        return self.story


class Model(TestCase):
    def test_sagas(self):
        self.not_wrapped("hundreds of runs")
        if RUN.test_binary is None:
            self.skipTest("not tested here: STORSYNC_TEST_BIN is not set")
        for number in chosen_sagas():
            saga = Saga(self, number)
            try:
                saga.play()
            except Exception as error:
                story = "\n  ".join(saga.story)
                self.fail(f"seed {SEED}, saga {number}: {error}\nagain: STORSYNC_MODEL_SEED={SEED} "
                          f"STORSYNC_MODEL_SAGAS={number} tests/integration/run {self.id()}\n  {story}")
            finally:
                saga.server.stop()
