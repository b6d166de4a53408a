"""Shards: several processes that share the objects of one deployment, and the last of them writes the marker."""
import collections
import hashlib
import json
import os
import random
import re
import signal
import time

import data
import proxyfault
from harness import JOB, RUN, production
from proxyfault import FOREVER, answer, s3_error
from test_replicas import GATE, OBJECTS, PATHS, SHORT, ReplicaCase

SHARDS = f".storsync/{JOB}/lease/shards/"


class ShardCase(ReplicaCase):
    COUNT, OBJECTS = 8, 60
    lease = {}  # SHORT where some are killed, or it is waited until a lease is surely over

    def setUp(self):
        super().setUp()
        self.source, self.destination = self.make("source"), self.make("destination")
        for number in range(self.OBJECTS):
            self.source.put(f"public/{number}", data.body(number, 5000), **self.OLD)

    OLD = {}

    def make(self, side):
        return self.bucket(side)

    def env(self, deployment="d1", **more):
        return production(self.source, self.destination, deployment,
                          **{**PATHS, **self.lease, "STORSYNC_CONCURRENCY": "2", **more})

    def shard(self, index, count=COUNT, deployment="d1", **how):
        env = self.env(deployment, STORSYNC_SHARD=f"/{count}", JOB_COMPLETION_INDEX=str(index))
        return self.replica({**env, **how.pop("env", {})}, command=False, **how)

    def at_once(self, starts):
        """What `starts` return, all held back until the last one exists."""
        gate, opener = os.pipe()
        with open(gate) as stdin, open(opener, "w"):
            tools = [start(stdin=stdin, prefix=GATE) for start in starts]
        return [tool.wait() for tool in tools]

    def all_shards(self, count=COUNT, deployment="d1", **how):
        return [lambda i=i, **more: self.shard(i, count, deployment, **how, **more) for i in range(count)]

    def assert_codes(self, tools, code=0):
        self.assertEqual([tool.code for tool in tools], [code] * len(tools))

    def synced(self, tools):
        return sum(tool.status["syncedFiles"] for tool in tools)

    def contents(self, bucket):
        if hasattr(bucket, "contents"):
            return bucket.contents()
        return {key: bucket.get(key) for key in bucket.keys("public/")}

    def assert_equal_buckets(self):
        here, there = self.contents(self.destination), self.contents(self.source)
        different = [key for key in {*here, *there} if here.get(key) != there.get(key)]
        self.assertEqual(sorted(different), [])  # a diff of all their bytes takes minutes

    def left(self):
        return [key for key in self.destination.keys(".storsync/") if key.startswith(SHARDS)]


class Together:
    """Eight processes, each its share; for each kind of bucket below."""

    def test_all_of_it_once(self):
        mark = self.mark()
        tools = self.at_once(self.all_shards())
        self.assert_codes(tools)
        self.assertEqual([tool.status["state"] for tool in tools], ["synced"] * 8)
        self.assertEqual([tool.status["shard"] for tool in tools], [f"{i}/8" for i in range(8)])
        self.assertEqual(self.synced(tools), self.OBJECTS)
        self.assert_equal_buckets()
        marker = json.loads(self.destination.marker("d1"))
        self.assertEqual((marker["syncedFiles"], marker["deploymentId"]), (self.OBJECTS, "d1"))
        self.assertEqual(marker["totalSize"], self.OBJECTS * 5000)
        self.assertEqual(self.left(), [], "what only shards need is gone")
        self.assertIn("all 8 shards are done", " ".join(tool.status["message"] for tool in tools))
        self.check_requests(mark)

        again = [self.shard(3).wait(), self.replica(self.env(), command=False).wait()]
        self.assert_codes(again)
        self.assertEqual([tool.status["state"] for tool in again], ["already-synced"] * 2)
        for tool in (self.tool("--health", env=again[1].env), self.tool("--status", env=again[0].env)):
            self.assertEqual(tool.code, 0)
        self.assertIn("3/8", self.tools[-1].out)

    def mark(self):
        return None

    def check_requests(self, mark):
        pass


class OnRgw(Together, ShardCase):
    def setUp(self):
        self.not_with_gs("OnGoogle")
        super().setUp()

    def mark(self):
        return self.source.server.mark()

    def check_requests(self, mark):
        """By the server's own log: each object once, the marker once, and last."""
        requests = self.source.server.requests_since(mark)
        puts = [r.path for r in requests if r.method == "PUT"]
        copies = collections.Counter(path for path in puts if "/public/" in path)
        self.assertEqual(copies, {f"/{self.destination.name}/public/{n}": 1 for n in range(self.OBJECTS)})
        markers = [at for at, path in enumerate(puts) if "/deployments/" in path]
        self.assertEqual(len(markers), 1)
        self.assertGreater(markers[0], max(at for at, path in enumerate(puts) if "/public/" in path))
        self.assertGreater(markers[0], max(at for at, path in enumerate(puts) if path.endswith("/done.json")))

    def test_a_repeated_shard_is_three_requests_and_one_when_all_are_done(self):
        self.assert_codes([self.shard(0, 2).wait()])
        for state, expected in (("already-synced", 3), ("already-synced", 1)):
            mark = self.source.server.mark()
            tool = self.shard(0, 2).wait()
            self.assertEqual((tool.code, tool.status["state"]), (0, state))
            self.assertEqual(len(self.source.server.requests_since(mark)), expected)
            self.assert_codes([self.shard(1, 2).wait()])


class OnDirectories(Together, ShardCase):
    OLD = {"age": 100}

    def make(self, side):
        self.not_with_gs("OnGoogle")
        return self.dir_bucket()


class OnGoogle(Together, ShardCase):
    def make(self, side):
        return self.gs_bucket()

    def env(self, *args, **more):
        return super().env(*args, **{"STORAGE_EMULATOR_HOST": RUN.google.endpoint, **more})

    def mark(self):
        return RUN.google.mark()

    def check_requests(self, mark):
        requests = [r for r in RUN.google.requests_since(mark) if r.method == "POST" and r.status == 200]
        copies = [r.path for r in requests if "/rewriteTo/" in r.path]
        self.assertEqual((len(copies), len(set(copies))), (self.OBJECTS, self.OBJECTS))


class DirCase(ShardCase):
    """What is no matter of the service: with directories."""

    OLD = {"age": 100}

    def make(self, side):
        return self.bucket(side, self.dir_bucket)

    def record(self, folder, state, deployment, age=0, epoch=1, **more):
        self.destination.put(f"{folder}lease/{epoch:016d}", json.dumps(
            {"schema": 1, "epoch": epoch, "state": state, "owner": "pod", "nonce": "ab" * 16, "deploymentId": deployment,
             "renewals": 0, "ttl": 3000, "attempts": 1, "idle": False, "began": int((time.time() - age) * 1000),
             "spans": [], **more}), age=age)


class Parts(DirCase):
    def test_one_is_missing(self):
        for i in (0, 1, 2, 3, 4, 6, 7):
            tool = self.shard(i).wait()
            self.assertEqual((tool.code, tool.status["state"]), (0, "synced"))
        self.assertEqual(self.destination.markers(), [])
        self.assertIn("shard 7/8 is done, 1 not yet (5)", tool.status["message"])
        self.assertEqual(tool.status["shardsDone"], 7)
        tool = self.shard(6).wait()
        self.assertEqual((tool.code, tool.status["state"], tool.status["syncedFiles"]), (0, "already-synced", 0))
        self.assertIn("1 not yet (5)", tool.status["message"])
        self.assertEqual(self.destination.markers(), [])
        tool = self.shard(5).wait()
        self.assertIn("all 8 shards are done", tool.status["message"])
        self.assertEqual(self.destination.markers(), ["d1.json"])
        self.assert_equal_buckets()

    def test_one_fails(self):
        """An object that cannot be copied: its shard is not done, and so is no deployment."""
        (self.source.root / "public/7").chmod(0)
        self.destination.root.chmod(0o777)
        tools = [self.shard(i, 4, nobody=True).wait() for i in range(4)] if os.geteuid() == 0 else []
        if not tools:
            self.skipTest("needs root, to be somebody else")
        self.assertEqual(sorted(tool.code for tool in tools), [0, 0, 0, 2])
        self.assertEqual(self.destination.markers(), [])
        for i, tool in enumerate(tools):
            self.assertRegex(tool.status["message"], rf"shard {i}/4 is done, \d+ not yet" if tool.code == 0 else
                             rf"1 failed; shard {i}/4 is not done: started again it goes on from there")
        (self.source.root / "public/7").chmod(0o644)
        [failed] = [i for i, tool in enumerate(tools) if tool.code]
        self.assertEqual(self.shard(failed, 4, nobody=True).wait().status["syncedFiles"], 1)
        self.assertEqual(self.destination.markers(), ["d1.json"])

    def test_more_shards_than_objects(self):
        for number in range(3, self.OBJECTS):
            self.source.remove(f"public/{number}")
        tools = self.at_once(self.all_shards(16))
        self.assert_codes(tools)
        self.assertEqual((self.synced(tools), self.destination.markers()), (3, ["d1.json"]))

    def test_an_empty_source_is_no_proof(self):
        for number in range(self.OBJECTS):
            self.source.remove(f"public/{number}")
        tools = [self.shard(i, 2).wait() for i in (0, 1, 0)]
        self.assert_codes(tools)
        self.assertEqual(self.destination.markers(), [])
        for tool in tools:
            self.assertIn("nothing", " ".join(tool.warnings))

    def test_a_part_that_is_none_is_missing(self):
        self.shard(0, 2).wait()
        [part] = [key for key in self.left() if key.endswith("/0/done.json")]
        for text in ("", "{}", "x" * 300_000, self.destination.get(part).replace(b'"d1"', b'"d2"'),
                     self.destination.get(part).replace(b'"shard":0', b'"shard":1'),
                     self.destination.get(part).replace(b'"config":"', b'"config":"0')):
            self.destination.put(part, text)
            tool = self.shard(1, 2).wait()
            self.assertEqual((tool.code, self.destination.markers()), (0, []), text[:100])
            self.assertIn("not what shard 0/2 writes", " ".join(tool.warnings))
            self.assertIn("shard 1/2 is done, 1 not yet (0)", tool.status["message"])
        tool = self.shard(0, 2).wait()
        self.assertEqual((tool.code, tool.status["state"]), (0, "synced"), "its share is looked at again")
        self.assertEqual(self.destination.markers(), ["d1.json"])
        self.assertEqual(self.left(), [])

    def test_parts_of_other_paths_do_not_count(self):
        self.source.put("other/1", b"other")
        self.assert_codes([self.shard(0, 2).wait()])
        tool = self.shard(1, 2, env={"PUBLIC_OBJECT_SEARCH_PATHS": "/bucket/other"}).wait()
        self.assertEqual((tool.code, tool.status["shardsDone"], self.destination.markers()), (0, 1, []))
        self.assertIn("not what shard 0/2 writes", " ".join(tool.warnings))
        tool = self.shard(0, 2, env={"PUBLIC_OBJECT_SEARCH_PATHS": "/bucket/other"}).wait()
        self.assertEqual((tool.code, tool.status["state"], self.destination.markers()), (0, "synced", ["d1.json"]))

    def test_what_cannot_be_done_in_shards_is_refused(self):
        for more, args, said in [
                ({"STORSYNC_DELETE": "extra"}, (), "delete"),
                ({"STORSYNC_KEEP_PREVIOUS": "copies"}, (), "keep_previous"),
                ({"STORSYNC_CONFLICT": "keep"}, (), "conflict"),
                ({"STORSYNC_DEPLOYMENT_ID": ""}, (), "deployment_id"),
                ({"JOB_COMPLETION_INDEX": "8"}, (), "from 0 to 7"),
                ({"STORSYNC_SHARD": "2/8"}, (), "JOB_COMPLETION_INDEX is 1: shard=/8 takes it from there"),
                ({"JOB_COMPLETION_INDEX": ""}, (), "JOB_COMPLETION_INDEX"),
                ({"STORSYNC_SHARD": "8/8"}, (), "no sync begins"),
                ({}, ("--sync",), "leave it out of --sync"),
        ]:
            tool = self.tool(*args, env={**self.env(), "STORSYNC_SHARD": "/8", "JOB_COMPLETION_INDEX": "1", **more,
                                         "STORSYNC_ON_FAILURE": "stop"})
            self.assertEqual(tool.code, 78, said)
            self.assertIn(said, " ".join(tool.errors))
        app = self.app()
        tool = self.tool("--", app.path, env={**self.env(), "STORSYNC_SHARD": "0/8", "STORSYNC_ON_FAILURE": "stop"})
        self.assertEqual((tool.code, app.started), (78, False))
        self.assertEqual(self.contents(self.destination), {})

    def test_without_the_setting_the_index_of_a_job_means_nothing(self):
        tool = self.replica({**self.env(), "JOB_COMPLETION_INDEX": "1"}, command=False).wait()
        self.assertEqual((tool.code, self.synced([tool])), (0, self.OBJECTS))
        self.assertIn("JOB_COMPLETION_INDEX", " ".join(tool.warnings))

    def test_a_dry_run_is_about_the_share(self):
        tools = [self.shard(i, 4, env={"STORSYNC_DRY_RUN": "true"}).wait() for i in range(4)]
        self.assert_codes(tools)
        would = [key for tool in tools for key in re.findall(r"Would sync: (\d+) \(", tool.err)]
        self.assertEqual(sorted(would, key=int), [str(number) for number in range(self.OBJECTS)])
        self.assertEqual(self.destination.keys(), [])


class Remembered(DirCase):
    """What others have left, written by hand."""

    def group(self, deployment, count):
        return f"{SHARDS}{hashlib.sha256(deployment.encode()).hexdigest()[:16]}-{count}/"

    def test_a_rollback_forgets_what_was_done(self):
        self.assert_codes([self.replica(self.env("d0"), command=False).wait()])
        for number in range(self.OBJECTS):
            self.source.put(f"public/{number}", b"second", age=-5)
        more = {"STORSYNC_MIN_INTERVAL": "0s"}
        self.assert_codes([self.replica(self.env("d1", STORSYNC_KEEP_PREVIOUS="copies", **more), command=False).wait()])
        self.assert_codes([self.shard(0, 2, "d2", env=more).wait()])
        self.assert_codes([self.replica(self.env("d3"), "--rollback", command=False).wait()])
        self.assertEqual([key for key in self.left() if key.endswith("done.json")], [])
        self.assert_codes([self.shard(1, 2, "d2", env=more).wait()])
        self.assertNotIn("d2.json", self.destination.markers())
        self.assert_codes([self.shard(0, 2, "d2", env=more).wait()])
        self.assertIn("d2.json", self.destination.markers())
        self.assert_equal_buckets()

    def test_a_pod_that_is_repeated_begins_at_once(self):
        """However often it has failed: the Job counts, and waits."""
        self.record(self.group("d1", 2) + "0/", "failed", "d1", epoch=5, attempts=5)
        tool = self.shard(0, 2).wait()
        self.assertEqual((tool.code, tool.status["state"]), (0, "synced"))

    def test_who_looks_at_the_dead_does_not_prolong_their_time(self):
        self.record(f".storsync/{JOB}/", "released", "d0", age=2000)
        group = self.group("d1", 2)
        self.destination.put(group + "begun", "{}", age=1500)
        self.record(group + "0/", "released", "d1", age=1400)
        self.destination.put(group + "0/clock", "{}")
        self.destination.put("public/1", b"of production", age=700)
        tool = self.replica(self.env("d2", STORSYNC_CONFLICT="keep"), command=False).wait()
        self.assertEqual((tool.code, tool.status["keptFiles"]), (0, 1))
        self.assertEqual(self.destination.get("public/1"), b"of production")

    def test_who_waits_for_several_waits_as_long_as_for_one(self):
        for i in range(3):
            self.record(f"{self.group('d1', 3)}{i}/", "held", "d1", ttl=60000)
        self.destination.put(self.group("d1", 3) + "begun", "{}")
        tool = self.replica(self.env("d2", STORSYNC_WAIT="1s"), command=False).wait()
        self.assertEqual(tool.code, 75)
        self.assertRegex(" ".join(tool.errors), r"replica .pod. is still syncing after 1 s")

    def test_shards_have_no_interval(self):
        """Whatever was synced lately: a share that is missing is synced."""
        more = {"STORSYNC_MIN_INTERVAL": "1h"}
        self.assert_codes([self.shard(0, 2).wait()])
        self.assert_codes([self.replica(self.env("d2", **more), command=False).wait()])
        tool = self.shard(1, 2, env=more).wait()
        self.assertEqual((tool.code, tool.status["state"], tool.status["shardsDone"]), (0, "synced", 2))
        self.assertEqual(self.destination.markers(), ["d1.json", "d2.json"])

    def whole(self):
        """The newest record of the lease of all of the job, and its epoch."""
        *_, key = [key for key in self.destination.keys(f".storsync/{JOB}/lease/0") if key[-16:].isdigit()]
        return json.loads(self.destination.get(key)), int(key[-16:])

    def spoil(self):
        for number in range(self.OBJECTS):
            self.destination.put(f"public/{number}", data.body(99, 5000), age=50)

    def test_who_writes_only_the_marker_settles_no_doubt(self):
        self.assert_codes([self.replica(self.env("d0"), command=False).wait(), self.shard(0, 2).wait()])
        self.record(f".storsync/{JOB}/", "failed", "d9", epoch=self.whole()[1] + 1)
        self.spoil()
        self.assert_codes([self.shard(1, 2).wait()])
        self.assertEqual(self.destination.markers(), ["d0.json", "d1.json"])
        self.assertEqual((self.whole()[0]["state"], self.whole()[0]["unused"]), ("failed", True))
        tool = self.replica(self.env("d2", STORSYNC_MIN_INTERVAL="0s"), command=False).wait()
        self.assertEqual(tool.code, 0)
        self.assert_equal_buckets()

    def test_a_lease_that_was_not_used_settles_no_doubt(self):
        for unused, age in ((False, 55), (True, 55), (False, 7300), (True, 7300)):
            self.destination = self.make("destination")
            self.spoil()
            self.destination.put(self.group("d1", 2) + "begun", "{}", age=age + 5)
            self.record(self.group("d1", 2) + "0/", "failed", "d1", age=age)
            self.record(f".storsync/{JOB}/", "released", "d0", age=20, unused=unused, spans=[1, 2])
            tool = self.replica(self.env("d2"), command=False).wait()
            self.assertEqual((tool.code, tool.status["syncedFiles"]), (0, self.OBJECTS if unused else 0))

    def test_a_rollback_settles_no_doubt(self):
        """It looks at what its journals tell of, and not at what a sync has left that kept nothing."""
        more = {"STORSYNC_MIN_INTERVAL": "0s"}
        for shards in (False, True):
            with self.subTest(shards=shards):
                self.destination = self.make("destination")
                self.assert_codes([self.replica(self.env("d0"), command=False).wait()])
                self.source.put("public/0", b"the second", age=100)
                self.assert_codes(
                    [self.replica(self.env("d1", STORSYNC_KEEP_PREVIOUS="copies", **more), command=False).wait()])
                if shards:
                    self.destination.put(self.group("d2", 2) + "begun", "{}")
                    self.record(self.group("d2", 2) + "0/", "failed", "d2")
                else:
                    self.record(f".storsync/{JOB}/", "failed", "d2", epoch=self.whole()[1] + 1)
                self.spoil()
                self.assert_codes([self.replica(self.env("d3"), "--rollback", command=False).wait()])
                self.assertEqual([key for key in self.left() if "/0/" in key], [])
                self.assert_codes([self.replica(self.env("d4", **more), command=False).wait()])
                self.assert_equal_buckets()

    def test_what_a_thousand_have_left(self):
        """Nobody asks for each of them, which cannot even be understood, and who does all of the job removes them after a month."""
        group = self.group("d1", 1000)
        for age, left in ((7300, 1001), (31 * 24 * 3600, 0)):
            self.destination = self.make("destination")
            self.destination.put(group + "begun", "{}", age=age)
            for i in range(1000):
                self.destination.put(f"{group}{i}/lease/{1:016d}", "?", age=age)
            tool = self.replica(self.env("d2"), command=False).wait()
            self.assertEqual((tool.code, tool.warnings), (0, []))
            self.assertEqual(len(self.left()), left)
        self.record(group + "0/", "failed", "d1")
        self.assert_codes([self.replica(self.env("d1", STORSYNC_MIN_INTERVAL="0s"), command=False).wait()])
        self.assertEqual(self.left(), [], "what is of a deployment that has its marker is removed at once")


class Crash(DirCase):
    lease = SHORT
    DONE = ("part-written", "shards-done", "between-markers", "shards-marked", "before-release")
    POINTS = ("starting", "lease-created", "copying", "synced", *DONE)

    def setUp(self):
        if not RUN.test_binary:
            self.skipTest("NOT TESTED: crash points; build build/test/storsync-init and set STORSYNC_TEST_BIN to it")
        super().setUp()

    def test_killed_and_repeated(self):
        """kill -9 at each point; the Job starts the pod anew, which ends it all. What is done is not done again."""
        for number, point in enumerate(self.POINTS):
            with self.subTest(point=point):
                deployment = f"d{number}"
                self.destination = self.make("destination")
                self.assert_codes([self.shard(0, 2, deployment).wait()])
                tool = self.shard(1, 2, deployment, env={"STORSYNC_CRASH_AT": point}, binary=RUN.test_binary).wait()
                self.assertEqual(tool.code, -signal.SIGKILL)
                if point != "between-markers":  # both are written at once
                    self.assertEqual(self.destination.markers() != [], point in ("shards-marked", "before-release"))
                tool = self.shard(1, 2, deployment, env={"STORSYNC_WAIT": "30s"}).wait(60)
                self.assertEqual((tool.code, tool.status["shardsDone"]), (0, 2), tool.err)
                self.assertEqual(tool.status["state"], "already-synced" if point in self.DONE else "synced")
                self.assertEqual(self.destination.markers(), [f"{deployment}.json"])
                self.assert_equal_buckets()

    def test_eight_are_killed_at_random_and_repeated(self):
        chance = random.Random(16)
        crashes = [chance.sample(self.POINTS, 4) for _ in range(2)]
        left = range(8)
        for points in (*crashes, []):
            dying = dict(zip(chance.sample(left, min(len(points), len(left))), points))
            starts = [lambda i=i, **how: self.shard(
                i, env={"STORSYNC_WAIT": "60s", **({"STORSYNC_CRASH_AT": dying[i]} if i in dying else {})},
                binary=RUN.test_binary, **how) for i in left]
            tools = dict(zip(left, self.at_once(starts)))
            left = [i for i, tool in tools.items() if tool.code != 0]
            self.assertLessEqual(set(left), set(dying), "only those that were killed did not get to their end")
        self.assertEqual(left, [])
        self.assertEqual(self.destination.markers(), ["d1.json"])
        self.assert_equal_buckets()

    def test_a_rollback_while_a_shard_sleeps(self):
        """It takes the lease of one that sleeps; whatever that has found out or writes afterwards does not count any more."""
        more = {"STORSYNC_MIN_INTERVAL": "0s", "STORSYNC_WAIT": "60s"}
        for point in ("synced", "part-written", "shards-done"):
            with self.subTest(point=point):
                self.destination = self.make("destination")
                for number in range(self.OBJECTS):
                    self.source.put(f"public/{number}", b"first", age=100)
                self.assert_codes([self.replica(self.env("d0", **more), command=False).wait()])
                first = self.contents(self.destination)
                for number in range(self.OBJECTS):
                    self.source.put(f"public/{number}", b"the second", age=-5)
                self.assert_codes([
                    self.replica(self.env("d1", STORSYNC_KEEP_PREVIOUS="copies", **more), command=False).wait(),
                    self.shard(0, 2, "d2", env=more).wait()])
                last = self.shard(1, 2, "d2", binary=RUN.test_binary, env={
                    **more, "STORSYNC_CRASH_AT": point, "STORSYNC_CRASH_HOW": str(int(signal.SIGSTOP))})
                last.wait_for(lambda tool=last: self.is_stopped(tool.worker))
                self.assert_codes([self.replica(self.env("d3", **more), "--rollback", command=False).wait(60)])
                last.thaw()
                last.wait()
                self.assertEqual(last.code, 75, last.err)
                self.assertIn("undone meanwhile by a rollback; shard 1/2 is not done", last.status["message"])
                self.assertNotIn("d2.json", self.destination.markers())
                self.assertEqual(self.contents(self.destination), first)
                self.assert_codes([self.shard(i, 2, "d2", env=more).wait(60) for i in range(2)])
                self.assertIn("d2.json", self.destination.markers())
                self.assert_equal_buckets()

    def test_a_rollback_while_one_sleeps_before_its_marker(self):
        """Whoever does all of the job finds out, too, and begins anew."""
        more = {"STORSYNC_MIN_INTERVAL": "0s", "STORSYNC_WAIT": "60s"}
        self.assert_codes([self.replica(self.env("d0", **more), command=False).wait()])
        for number in range(self.OBJECTS):
            self.source.put(f"public/{number}", b"the second", age=-5)
        self.assert_codes(
            [self.replica(self.env("d1", STORSYNC_KEEP_PREVIOUS="copies", **more), command=False).wait()])
        tool = self.replica(self.env("d2", STORSYNC_CRASH_AT="before-marker", STORSYNC_CRASH_HOW=str(int(signal.SIGSTOP)),
                                     **more), command=False, binary=RUN.test_binary)
        tool.wait_for(lambda: self.is_stopped(tool.worker))
        self.assert_codes([self.replica(self.env("d3", **more), "--rollback", command=False).wait(60)])
        self.assertNotIn("d2.json", self.destination.markers())
        while tool.running():  # it stops there again
            tool.thaw()
            time.sleep(0.005)
        tool.wait()
        self.assertEqual((tool.code, tool.status["syncedFiles"]), (0, self.OBJECTS), tool.err)
        self.assertIn("d2.json", self.destination.markers())
        self.assert_equal_buckets()

    def test_another_writes_the_marker_before_one_has_looked(self):
        first = self.shard(0, 2, binary=RUN.test_binary, env={
            "STORSYNC_CRASH_AT": "part-written", "STORSYNC_CRASH_HOW": str(int(signal.SIGSTOP))})
        first.wait_for(lambda: self.is_stopped(first.worker))
        self.assert_codes([self.shard(1, 2).wait()])
        self.assertEqual((self.destination.markers(), len(self.left())), (["d1.json"], 0))
        first.thaw()
        first.wait()
        self.assertEqual((first.code, first.status["state"], first.status["shardsDone"]), (0, "synced", 2), first.err)
        self.assertIn("all 2 shards are done", first.status["message"])
        self.assertEqual(self.left(), [])
        self.assert_equal_buckets()

    def test_the_marker_is_there_although_the_lease_was_removed_with_the_rest(self):
        self.assert_codes([self.shard(0, 2).wait()])
        tool = self.shard(1, 2, binary=RUN.test_binary, env={
            "STORSYNC_CRASH_AT": "shards-done", "STORSYNC_CRASH_HOW": str(int(signal.SIGSTOP)), "STORSYNC_WAIT": "60s"})
        tool.wait_for(lambda: self.is_stopped(tool.worker))
        marker = {"schema": 1, "deploymentId": "d1", "finishedAt": "2020-01-01T00:00:00Z"}
        self.destination.put(f".storsync/{JOB}/deployments/d1.json", json.dumps(marker))
        for key in self.left():
            self.destination.remove(key)
        self.record(f".storsync/{JOB}/", "held", "d9")  # whoever it was has it still
        tool.thaw()
        tool.wait()
        self.assertEqual((tool.code, tool.status["state"], tool.status["shardsDone"]), (0, "synced", 2), tool.err)
        self.assertEqual(self.left(), [])

    def test_one_sleeps_until_all_of_it_was_done_by_others(self):
        """With its clock, as in a virtual machine: it believes in its lease still, which nobody else does."""
        self.lease = {}
        tool = self.shard(0, 2, binary=RUN.test_binary, env={
            "STORSYNC_CRASH_AT": "copying", "STORSYNC_CRASH_HOW": str(int(signal.SIGSTOP))})
        tool.wait_for(lambda: self.is_stopped(tool.worker))
        for key in self.left():
            self.destination.remove(key)
        self.assert_codes([self.shard(i, 2).wait() for i in range(2)])
        self.assertEqual((self.destination.markers(), self.left()), (["d1.json"], []))
        while tool.running():  # it stops with each of its objects
            tool.thaw()
            time.sleep(0.005)
        tool.wait()
        self.assertEqual((tool.code, tool.status["state"], tool.status["shardsDone"]), (0, "already-synced", 2), tool.err)
        self.assertIn("the lease is lost", tool.err)
        self.assertEqual(self.left(), [], "nothing of what was over is made anew")
        self.assert_equal_buckets()

    @staticmethod
    def is_stopped(pid):
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "T"


class Marker(ShardCase):
    """All is done, and the marker cannot be written."""

    OBJECTS = 16

    def test_the_next_start_of_any_writes_it_and_does_nothing_else(self):
        self.not_with_gs("a proxy for S3")
        proxy = self.proxy(self.destination.server.endpoint)
        env = self.destination.env("destination", endpoint=proxy.endpoint)
        self.assert_codes([self.shard(0, 2, env=env).wait()])
        proxy.fault(answer(403, s3_error("AccessDenied")), method="PUT", target="/deployments/", times=1)
        tool = self.shard(1, 2, env=env).wait()
        self.assertNotEqual(tool.code, 0)
        self.assertIn("all shards are done, but the marker could not be written: ", tool.status["message"])
        self.assertNotIn("is not done", tool.status["message"])
        self.assertEqual(self.destination.markers(), [])
        mark = self.source.server.mark()
        tool = self.shard(0, 2, env=env).wait()
        self.assertEqual((tool.code, tool.status["state"], tool.status["shardsDone"]), (0, "already-synced", 2))
        self.assertEqual([r for r in self.source.server.requests_since(mark) if "public" in r.path], [])
        self.assertEqual(self.destination.markers(), ["d1.json"])
        self.assertEqual(self.left(), [])
        self.assert_equal_buckets()


class Others(DirCase):
    """Who must not copy at the same time."""

    def test_two_deployments(self):
        more = {"env": {"STORSYNC_MIN_INTERVAL": "0s", "STORSYNC_CONCURRENCY": "1"}}
        for _ in range(3):
            self.destination = self.make("destination")
            starts = [start for pair in zip(self.all_shards(4, "d1", **more), self.all_shards(4, "d2", **more))
                      for start in pair]
            tools = self.at_once(starts)
            self.assert_codes(tools)
            self.assertEqual(self.synced(tools), self.OBJECTS, "nothing was copied twice")
            self.assertEqual(self.destination.markers(), ["d1.json", "d2.json"])
            self.assert_equal_buckets()
            self._kill_all()

    def test_beside_one_that_does_all(self):
        """A replica of the same deployment, or a sync by hand, waits for shards that are at work; or they for it."""
        for arguments in ((), ("--sync",)):
            self.destination = self.make("destination")
            whole = lambda **how: self.replica(self.env(STORSYNC_CONCURRENCY="1"), *arguments, command=False, **how)
            tools = self.at_once([*self.all_shards(6), whole])
            self.assert_codes(tools)
            self.assertEqual(self.synced(tools), self.OBJECTS, "nothing was copied twice")
            self.assertEqual(self.destination.markers(), ["d1.json"])
            self.assert_equal_buckets()
            self._kill_all()


class Slow(ShardCase):
    """A source that can be held, so that there is time to meet a shard at work."""

    OBJECTS = 16
    lease = SHORT

    def setUp(self):
        self.not_with_gs("a proxy for S3")
        super().setUp()
        self.proxy_ = self.proxy(self.source.server.endpoint)
        self.destination = self.dir_bucket()

    def held(self, index, count, deployment="d1"):
        """A shard that is at work, and does not get on."""
        self.proxy_.fault(proxyfault.delay(30), method="GET", target=OBJECTS, times=FOREVER)
        tool = self.shard(index, count, deployment,
                          env=self.source.env("source", endpoint=self.proxy_.endpoint))
        tool.wait_for(lambda: any(re.search(OBJECTS, r.path) for r in self.proxy_.requests))
        return tool

    def test_they_do_not_agree_on_how_many_they_are(self):
        first = self.held(0, 2)
        tool = self.shard(0, 3, env={"STORSYNC_WAIT": "30s"}).wait(60)
        self.assertEqual(tool.code, 78)
        self.assertRegex(" ".join(tool.errors), r"works as one of 2, this one as one of 3 \(setting shard\)")
        first.kill()
        first.wait()
        # The number was mended: who was killed is no mistake, and the other number's parts do not count.
        tools = [self.shard(i, 3, env={"STORSYNC_WAIT": "30s"}).wait(60) for i in range(3)]
        self.assert_codes(tools)
        self.assertEqual(self.destination.markers(), ["d1.json"])
        self.assert_equal_buckets()

    def test_another_deployment_waits_and_says_for_whom(self):
        first = self.held(0, 2)
        tool = self.shard(1, 2, "d2", env={"STORSYNC_WAIT": "1s"}).wait(60)
        self.assertEqual(tool.code, 75)
        self.assertRegex(" ".join(tool.errors), r"replica .* is still syncing")
        self.assertNotIn("Synced", tool.err)
        tool = self.tool("--sync", env=self.env(STORSYNC_WAIT="1s"), timeout=60)
        self.assertEqual(tool.code, 75)
        first.kill()
        first.wait()
        # Who was killed is noticed as one that is not sharded would be.
        tool = self.shard(1, 2, "d2", env={"STORSYNC_WAIT": "30s"}).wait(60)
        self.assertEqual((tool.code, tool.status["state"]), (0, "synced"))


class Afterwards(DirCase):
    lease = SHORT

    def test_what_shards_have_written_is_not_taken_for_productions(self):
        """conflict=keep of a later sync: it knows when shards have written, those of a deployment that was not finished too."""
        more = {"STORSYNC_MIN_INTERVAL": "0s"}
        buckets = {2: self.destination, 1: self.make("destination")}  # by how many of two shards are done
        copied = {}

        def each():
            for shards, self.destination in buckets.items():
                yield shards, self.destination

        for _, bucket in each():
            self.assert_codes([self.replica(self.env("d0", **more), command=False).wait()])
        time.sleep(4)  # more than the margin of the leases' times
        for _, bucket in each():
            bucket.put("public/own", b"of production")
        time.sleep(4)
        for number in range(self.OBJECTS):
            self.source.put(f"public/{number}", "shards", age=-5)
        for shards, bucket in each():
            tools = [self.shard(i, 2, env=more).wait() for i in range(shards)]
            self.assert_codes(tools)
            copied[shards] = [key for key, body in self.contents(bucket).items() if body == b"shards"]
            self.assertEqual(len(copied[shards]), self.synced(tools))
        time.sleep(7)
        self.source.put("public/own", b"of the source", age=-15)
        for number in range(self.OBJECTS):
            self.source.put(f"public/{number}", b"new", age=-15)
        for shards, bucket in each():
            changed, *others = copied[shards]
            bucket.put(changed, b"changed in production")
            tool = self.replica(self.env("d2", STORSYNC_CONFLICT="keep", **more), command=False).wait()
            self.assertEqual((tool.code, tool.status["keptFiles"]), (0, 2))
            self.assertEqual(bucket.get(changed), b"changed in production")
            self.assertEqual(bucket.get("public/own"), b"of production")
            self.assertEqual({bucket.get(key) for key in others}, {b"new"})
