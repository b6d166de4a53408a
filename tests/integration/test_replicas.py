"""Several replicas of one deployment: one syncs, the others wait for it, and whoever dies or sleeps is replaced."""
import collections
import datetime
import json
import os
import re
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import data
import gcs
import proxyfault
from harness import JOB, RUN, TestCase, production
from proxyfault import FOREVER, answer, s3_error

OBJECTS = r"/public/|/o/public%2F"  # what is asked for, as S3 and as Google spell it
XML = {"Content-Type": "application/xml"}
LEASE = r"(/|%2F)lease(/|%2F)"
GATE = ["/bin/sh", "-c", 'read -r _; exec "$@"', "sh"]  # runs what follows once its standard input ends
TTL = 3  # seconds, where an owner is to lose its lease: on a busy machine nobody else should, for being slow
SHORT = {"STORSYNC_LEASE_TTL": f"{TTL}s"}
PATHS = {"PUBLIC_OBJECT_SEARCH_PATHS": "/bucket/public", "PRIVATE_OBJECT_DIR": "/bucket/private"}


class ReplicaCase(TestCase):
    def replica(self, env, *args, command=True, **how):
        """A start of the tool with a status file and an application of its own. The latter notes when it began."""
        number = RUN.fresh("replica")
        began = self.dir / f"{number}.began"
        note = ["--", "/bin/sh", "-c", 'date +%s%N >"$0"', began] if command else []
        tool = self.start(*args, *note, env={**PATHS, "STORSYNC_PART_SIZE": "5MiB", **env,
                                             "STORSYNC_STATUS_FILE": str(self.dir / f"{number}.json")}, **how)
        tool.began = began
        return tool

    def together(self, count, env):
        """That many replicas, all held back until the last one exists."""
        gate, opener = os.pipe()
        with open(gate) as stdin, open(opener, "w"):
            tools = [self.replica(env, stdin=stdin, prefix=GATE) for _ in range(count)]
        for tool in tools:
            tool.wait()
        return tools

    def assert_one_synced(self, tools, objects, finished):
        states = collections.Counter(tool.status["state"] for tool in tools)
        self.assertEqual(states, {"synced": 1, "already-synced": len(tools) - 1})
        self.assertEqual([tool.code for tool in tools], [0] * len(tools))
        self.assertEqual(sum(tool.status["syncedFiles"] for tool in tools), objects)
        for tool in tools:
            self.assertGreaterEqual(began_at(tool), finished, "no application starts before the sync is complete")


def began_at(tool):
    """When the application began; Unix time."""
    return int(tool.began.read_text()) / 1e9


def finished_at(marker):
    return datetime.datetime.fromisoformat(json.loads(marker)["finishedAt"].replace("Z", "+00:00")).timestamp()


def waited(tools):
    return sum("waiting for replica" in tool.err for tool in tools)


class StartTogether(ReplicaCase):
    OBJECTS = 60

    def test_sixteen_on_rgw(self):
        """Ten times: one syncs, fifteen wait for it, and the access log shows no object copied twice."""
        self.not_with_gs("test_gcs.Replicas")
        source = self.s3_bucket()
        for number in range(self.OBJECTS):
            source.put(f"public/{number}", data.body(number, 500))
        total = 0
        for number in range(2 if RUN.instrumented else 10):
            destination = self.s3_bucket()
            mark = source.server.mark()
            # Few at a time, so that the last of the sixteen finds the first still at work.
            tools = self.together(16, production(source, destination, f"d{number}", STORSYNC_CONCURRENCY="2"))
            requests = source.server.requests_since(mark)
            copies = collections.Counter(r.path for r in requests if r.method == "PUT" and "/public/" in r.path)
            self.assertEqual(copies, {f"/{destination.name}/public/{n}": 1 for n in range(self.OBJECTS)})
            marker = destination.marker(f"d{number}")
            self.assert_one_synced(tools, self.OBJECTS, finished_at(marker))
            self.assertEqual(destination.lease()["state"], "released")
            self.assertLess(max(tool.seconds for tool in tools), 10 * RUN.slow)
            total += waited(tools)
            self._kill_all()
        self.assertGreater(total, 0 if RUN.instrumented else 10, "they really met")

    def test_eight_on_a_directory(self):
        source = self.bucket("source", self.dir_bucket)
        for number in range(self.OBJECTS):
            source.put(f"public/{number}", data.body(number, 50_000), age=100)
        total = 0
        for number in range(2 if RUN.instrumented else 8):
            destination = self.bucket("destination", self.dir_bucket)
            tools = self.together(8, production(source, destination, f"d{number}", STORSYNC_CONCURRENCY="1"))
            self.assertEqual(destination.contents(), source.contents())
            marker = destination.marker(f"d{number}")
            self.assert_one_synced(tools, self.OBJECTS, finished_at(marker))
            self.assertEqual(destination.lease()["state"], "released")
            total += waited(tools)
            self._kill_all()
        self.assertGreater(total, 0, "they really met")

    def test_two_deployments(self):
        """The lease belongs to the destination: two deployments do not copy into it at the same time either."""
        source, destination = (self.bucket(side, self.dir_bucket) for side in ("source", "destination"))
        for number in range(self.OBJECTS):
            source.put(f"public/{number}", data.body(number, 50_000), age=100)
        env = production(source, destination, STORSYNC_MIN_INTERVAL="0s", STORSYNC_CONCURRENCY="1")
        gate, opener = os.pipe()
        with open(gate) as stdin, open(opener, "w"):
            tools = [self.replica({**env, "STORSYNC_DEPLOYMENT_ID": f"d{n}"}, stdin=stdin, prefix=GATE)
                     for n in range(4)]
        self.assertEqual([tool.wait().code for tool in tools], [0] * 4)
        self.assertEqual(sorted(tool.status["syncedFiles"] for tool in tools), [0, 0, 0, self.OBJECTS])
        self.assertEqual(destination.markers(), ["d0.json", "d1.json", "d2.json", "d3.json"])


class SlowSource(ReplicaCase):
    """An owner whose source is slow, so that there is time to do something to it. Others read it at full speed."""

    OBJECTS = 12

    def setUp(self):
        super().setUp()
        if "slow source" not in RUN.cache:
            RUN.cache["slow source"] = source = self.bucket("source")
            for number in range(self.OBJECTS):
                source.put(f"public/{number}", data.body(number, 700_000 if number < 2 else 20_000))
        self.source = RUN.cache["slow source"]
        self.wanted = {f"public/{n}": data.body(n, 700_000 if n < 2 else 20_000) for n in range(self.OBJECTS)}

    def slow(self, proxy, delay=0.3):
        proxy.fault(proxyfault.delay(delay), method="GET", target=OBJECTS, times=FOREVER)
        return {**self.source.env("source", endpoint=proxy.endpoint), "STORSYNC_CONCURRENCY": "4"}

    def contents(self, bucket):
        if hasattr(bucket, "contents"):
            return bucket.contents()
        return {key: bucket.get(key) for key in bucket.keys("public/")}

    def owner(self, destination, then=proxyfault.passthrough, **more):
        """A replica that holds the lease and gets nowhere; and the event that lets it go on, to `then`."""
        def hold(x):
            go_on.wait()
            then(x)

        go_on = threading.Event()
        self.addCleanup(go_on.set)
        proxy = self.proxy(self.source.server.endpoint)
        proxy.fault(hold, method="GET", target=OBJECTS, times=FOREVER)
        tool = self.replica({**production(self.source, destination), "STORSYNC_STALL_TIMEOUT": "5m",
                             **self.source.env("source", endpoint=proxy.endpoint), **more})
        tool.wait_for(lambda: any(re.search(OBJECTS, r.path) for r in proxy.requests))
        return tool, go_on


class Crash(SlowSource):
    """kill -9 at every named point of the protocol, while another replica waits or comes later."""

    BEFORE_MARKER = ("lease-before-create", "lease-created", "copying", "renewing", "synced", "before-marker")
    AFTER_MARKER = ("after-marker", "before-release", "released")
    POINTS = (*BEFORE_MARKER, "between-markers", *AFTER_MARKER)
    LONGER = 8  # s: of two dozen processes at once none is to lose its lease for being slow

    def setUp(self):
        super().setUp()
        if not RUN.test_binary:
            self.skipTest("NOT TESTED: crash points; build build/test/storsync-init and set STORSYNC_TEST_BIN to it")

    def fail_over(self, point, destination, later, errors):
        """One owner dies at `point`, another replica comes. What is wrong about it goes to `errors`."""
        def check(good, what):
            if not good:
                errors.append(what)

        env = {**production(self.source, destination), "STORSYNC_LEASE_TTL": f"{self.LONGER}s"}
        proxy = self.proxy(self.source.server.endpoint)
        first = self.replica({**env, **self.slow(proxy), "STORSYNC_CRASH_AT": point}, binary=RUN.test_binary)
        while first.running() and (later or not destination.lease()):
            time.sleep(0.02)
        over = threading.Event()
        watcher = threading.Thread(target=self.watch, args=(destination, over, check))
        watcher.start()
        # Nothing keeps the second back if the first died before there was a lease: then it comes after the look at the marker.
        second = None if later or not first.running() else self.replica(env)
        first.wait()
        died = time.time()
        check(first.code == -signal.SIGKILL, f"the first ended with {first.code}")
        had_marker = bool(destination.markers())
        if point != "between-markers":  # both are written at once
            check(had_marker == (point in self.AFTER_MARKER), f"marker: {had_marker}")
        if had_marker or point == "between-markers":
            check(self.contents(destination) == self.wanted, "the marker lies")
        second = second or self.replica(env)
        second.wait()
        over.set()
        watcher.join()
        check(second.code == 0, f"the second ended with {second.code}")
        state = second.status["state"]
        # Complete, but its deployment's own marker is missing: the time of the last sync says so as well.
        wanted = "already-synced" if had_marker or point == "between-markers" else "synced"
        check(state == wanted, f"the second says {state}")
        check(self.contents(destination) == self.wanted, "the result is not complete")
        # The point is that nobody waits for `wait`, which is two minutes.
        late = began_at(second) - died
        check(late < (self.LONGER + 2) * RUN.slow, f"took over after {late:.1f} s")
        check(point in ("lease-before-create", "released") or destination.lease()["epoch"] in (1, 2), "epoch")

    def watch(self, destination, over, check):
        """All the time: what is visible is whole. (Of a directory; a server shows nothing half.)"""
        while hasattr(destination, "contents") and not over.wait(0.005):
            for path in destination.root.glob("public/*"):
                check(path.read_bytes() == self.wanted[f"public/{path.name}"], f"{path.name} is half-written")

    def all_points(self, make, later):
        """All of them at the same time: most of it is waiting for TTLs."""
        destinations = {point: make() for point in self.POINTS}
        errors = {point: [] for point in self.POINTS}
        with ThreadPoolExecutor(len(self.POINTS)) as pool:
            jobs = {point: pool.submit(self.fail_over, point, destinations[point], later, errors[point])
                    for point in self.POINTS}
        for point, job in jobs.items():
            with self.subTest(point=point):
                job.result()
                self.assertEqual(errors[point], [])

    def test_rgw_another_waits(self):
        self.all_points(lambda: self.bucket("destination"), later=False)

    def test_rgw_another_comes_later(self):
        self.all_points(lambda: self.bucket("destination"), later=True)

    def test_directory_another_waits(self):
        self.all_points(self.dir_bucket, later=False)

    def test_directory_another_comes_later(self):
        self.all_points(self.dir_bucket, later=True)

    def test_again_and_again(self):
        """Each replica dies a little later than the one before; one after the other they get it done."""
        destination = self.dir_bucket()
        env = {**production(self.source, destination), **SHORT}
        for point in ("lease-created", "copying"):
            self.assertEqual(self.replica({**env, "STORSYNC_CRASH_AT": point}, binary=RUN.test_binary).wait().code, -9)
        tool = self.replica(env).wait()
        self.assertEqual((tool.code, tool.status["state"]), (0, "synced"))
        self.assertGreater(tool.status["skippedFiles"], 0, "what the dead ones copied is not copied again")
        self.assertEqual(self.contents(destination), self.wanted)
        self.assertEqual(len(destination.state("lease")), 1, "the epochs of the dead are cleaned away")


class Sleeper(SlowSource):
    """An owner that is stopped for more than its TTL and then goes on."""

    def sleep_and_wake(self, destination, replace):
        proxy, go_on = self.proxy(self.source.server.endpoint), threading.Event()
        self.addCleanup(go_on.set)
        proxy.fault(proxyfault.once(go_on.is_set), method="GET", target=OBJECTS, skip=4, times=FOREVER)
        owner = self.replica({**production(self.source, destination), **self.slow(proxy, 0.4), **SHORT,
                              "STORSYNC_CONCURRENCY": "1"})
        owner.wait_for(lambda: len(self.contents(destination)) >= 2)
        owner.freeze()
        go_on.set()
        stopped = time.monotonic()
        if replace:
            other = self.replica({**production(self.source, destination), **SHORT})
            other.wait()
            self.assertEqual((other.code, other.status["state"]), (0, "synced"))
        time.sleep(max(0, stopped + TTL + 1 - time.monotonic()))
        return owner

    def test_replaced_on_rgw(self):
        destination = self.bucket("destination")
        owner = self.sleep_and_wake(destination, replace=True)
        marker = destination.marker("d1")
        mark = destination.server.mark()
        owner.thaw()
        owner.wait()
        requests = destination.server.requests_since(mark)
        writes = [r for r in requests if r.method in ("PUT", "POST") and not re.search(LEASE, f"{r.path}?{r.query}")]
        self.assertEqual(writes, [], "it copies nothing more, and writes no marker")
        self.assert_noticed(owner)
        self.assertEqual(destination.marker("d1"), marker)
        self.assertEqual(self.contents(destination), self.wanted)

    def test_replaced_on_a_directory(self):
        destination = self.dir_bucket()
        owner = self.sleep_and_wake(destination, replace=True)
        before = self.records(destination)
        inodes = {p: p.stat().st_ino for p in destination.root.glob("public/*")}
        owner.thaw()
        owner.wait()
        self.assert_noticed(owner)
        self.assertEqual({p: p.stat().st_ino for p in destination.root.glob("public/*")}, inodes)
        self.assertEqual(self.records(destination), before)

    @staticmethod
    def records(destination):
        """When each of the tool's records was written. It may have been stopped just before it gave one its name."""
        return {p.with_suffix(""): p.stat().st_mtime_ns
                for p in destination.root.rglob("*") if p.suffix in (".json", ".next")}

    def assert_noticed(self, owner):
        self.assertEqual((owner.code, owner.status["state"]), (0, "already-synced"))
        self.assertIn("the lease is lost", owner.err)
        self.assertIn("copying nothing more", owner.err)
        self.assertLess(owner.status["syncedFiles"], self.OBJECTS)

    def test_nobody_came(self):
        """Its lease is over all the same: it takes the next epoch before it goes on."""
        destination = self.dir_bucket()
        owner = self.sleep_and_wake(destination, replace=False)
        owner.thaw()
        owner.wait()
        self.assertIn("the lease is lost", owner.err)
        self.assertEqual((owner.code, owner.status["state"]), (0, "synced"))
        self.assertEqual(self.contents(destination), self.wanted)
        self.assertEqual((destination.lease()["epoch"], destination.lease()["state"]), (2, "released"))

    def test_stopped_while_it_waits(self):
        """Somebody who only waits and sleeps through it finds the work done."""
        destination = self.dir_bucket()
        owner, go_on = self.owner(destination)
        other = self.replica(production(self.source, destination))
        other.wait_for(lambda: "waiting for replica" in other.err)
        other.freeze()
        go_on.set()
        owner.wait()
        other.thaw()
        self.assertEqual(other.wait().status["state"], "already-synced")


class Killed(SlowSource):
    """An owner that was killed, and starts that have no time to wait for its lease to end."""

    MARGIN = 3  # seconds: LEASE_CLOCK_MARGIN

    def kill_an_owner(self, destination):
        owner, _ = self.owner(destination, **SHORT)
        owner.wait_for(lambda: destination.lease())
        owner.kill(signal.SIGKILL)
        owner.wait()
        died = time.monotonic()
        env = production(self.source, destination, STORSYNC_WAIT="0", **SHORT)
        tool = self.replica(env, "--on-failure", "stop").wait()
        self.assertEqual((tool.code, destination.lease()["epoch"]), (75, 1), "so soon it may be alive")
        return died, env

    def takes_over_at_once(self, destination):
        died, env = self.kill_an_owner(destination)
        time.sleep(max(0, died + TTL + self.MARGIN + 1.1 - time.monotonic()))
        tool = self.replica({**env, "STORSYNC_DEPLOYMENT_ID": "d2"}).wait()
        self.assertEqual((tool.code, tool.status["state"]), (0, "synced"))
        self.assertNotIn("waiting for replica", tool.err, "by the destination's clock, not by watching")
        self.assertEqual((destination.lease()["epoch"], destination.lease()["state"]), (2, "released"))
        self.assertEqual(self.contents(destination), self.wanted)

    def test_takeover_without_waiting_on_rgw(self):
        self.takes_over_at_once(self.bucket("destination"))

    def test_takeover_without_waiting_on_a_directory(self):
        destination = self.dir_bucket()
        self.takes_over_at_once(destination)
        self.assertTrue((destination.root / ".storsync" / JOB / "clock").exists())

    def test_no_clock_no_takeover(self):
        """A service that does not say what time it is: its lease has to be watched."""
        self.not_with_gs("the time is in a resource, which is not taken for one without it")
        destination = self.bucket("destination")
        died, env = self.kill_an_owner(destination)
        proxy = self.proxy(destination.server.endpoint)
        proxy.fault(without_last_modified, method="GET", target="/lease/|/clock", times=FOREVER)
        env.update(destination.env("destination", endpoint=proxy.endpoint))
        time.sleep(max(0, died + TTL + self.MARGIN + 1.1 - time.monotonic()))
        self.assertEqual(self.replica(env, "--on-failure", "stop").wait().code, 75)
        tool = self.replica({**env, "STORSYNC_WAIT": "1m"}).wait()
        self.assertEqual((tool.code, tool.status["state"]), (0, "synced"))
        self.assertGreaterEqual(tool.seconds, TTL)

    def test_by_hand_it_waits_for_a_ttl(self):
        """Whatever `wait` says: somebody looks on."""
        destination = self.dir_bucket()
        _, env = self.kill_an_owner(destination)
        tool = self.replica(env, "--sync", command=False).wait()
        self.assertEqual((tool.code, tool.status["state"]), (0, "synced"))

    def test_too_short_a_ttl_counts_as_the_shortest(self):
        env = production(self.source, self.dir_bucket(), STORSYNC_LEASE_TTL="1s")
        tool = self.tool("--check-config", env=env)
        self.assertEqual((tool.code, len([w for w in tool.warnings if "lease_ttl counts as 3s" in w])), (0, 1))

    def test_too_short_a_wait_is_told(self):
        env = production(self.source, self.dir_bucket(), STORSYNC_LEASE_TTL="1m", STORSYNC_WAIT="59s")
        tool = self.tool("--check-config", env=env)
        self.assertEqual((tool.code, [w.split(": ")[2] for w in tool.warnings if "lease_ttl" in w]),
                         (0, ["wait is shorter than lease_ttl"]))
        for more in ({"STORSYNC_WAIT": "60s"}, {"STORSYNC_WAIT": "60s", "STORSYNC_TIMEOUT": "0"}):
            tool = self.tool("--check-config", env={**env, **more})
            self.assertEqual([w for w in tool.warnings if "lease_ttl" in w], [])
        tool = self.tool("--check-config", env={**env, "STORSYNC_WAIT": "1h", "STORSYNC_TIMEOUT": "10s"})
        self.assertEqual([w.split(": ")[2] for w in tool.warnings if "lease_ttl" in w],
                         ["timeout is shorter than lease_ttl"])


class Rights(SlowSource):
    def test_without_the_right_to_delete(self):
        """Old epochs stay: said once, with the name of the right."""
        destination = self.bucket("destination")
        proxy = self.proxy(destination.server.endpoint)
        refused = (gcs.error_body(403, "forbidden"), {}) if RUN.gs == "destination" else (s3_error("AccessDenied"), XML)
        proxy.fault(answer(403, *refused), method="DELETE", times=FOREVER)
        env = {**production(self.source, destination), **destination.env("destination", endpoint=proxy.endpoint),
               **self.slow(self.proxy(self.source.server.endpoint))}
        for number in range(3):
            if number > 0:
                destination.remove("public/2")  # nobody waits for the answer to the DELETE: there is something to do
            tool = self.replica(env, "--sync", command=False).wait()
            self.assertEqual((tool.code, tool.status["state"]), (0, "synced"))
            told = [w for w in tool.warnings if "s3:DeleteObject" in w or "storage.objects.delete" in w]
            self.assertEqual(len(told), 1 if number > 0 else 0, tool.warnings)
        self.assertEqual(len(destination.state("lease")), 3)


class Unneeded(SlowSource):
    def test_giving_back_takes_no_time(self):
        """The work was done while the lease was won, and the service does not answer when it is given back."""
        def done_meanwhile(x):
            destination.put(f".storsync/{JOB}/deployments/d1.json",
                            json.dumps({"schema": 1, "deploymentId": "d1", "finishedAt": "2026-01-01T00:00:00.000Z"}))
            proxyfault.passthrough(x)

        destination = self.bucket("destination")
        destination.put(f".storsync/{JOB}/lease/{1:016}", json.dumps({"schema": 1, "epoch": 1, "state": "failed"}))
        proxy = self.proxy(destination.server.endpoint)
        google = RUN.gs == "destination"
        write = {"method": "POST" if google else "PUT", "target": LEASE}
        proxy.fault(proxyfault.named(done_meanwhile, "done_meanwhile"), **write, times=1)
        proxy.fault(proxyfault.stall(), **write, skip=0 if google else 1, times=FOREVER)
        tool = self.replica({**production(self.source, destination), "STORSYNC_LEASE_TTL": "1h", "STORSYNC_WAIT": "1h",
                             **destination.env("destination", endpoint=proxy.endpoint)}).wait()
        self.assertEqual((tool.code, tool.status["state"]), (0, "already-synced"))
        self.assertIn("the lease could not be released", tool.err)
        self.assertLess(tool.seconds, 3 * RUN.slow)


def without_last_modified(x):
    """An answer that has lost its Last-Modified."""
    x.forward()
    x.answer_head = re.sub(rb"(?i)\r\nlast-modified:[^\r]*", b"", x.answer_head)
    x.relay()


def refuse_precondition(x):
    """A server that does not know If-None-Match with PUT, and says so."""
    if "if-none-match" not in x.request.headers:
        return proxyfault.passthrough(x)
    return answer(501, s3_error("NotImplemented"), XML)(x)


def ignore_precondition(client, bucket):
    """A server that ignores it: whatever is there is overwritten."""
    def action(x):
        with lock:
            if "if-none-match" in x.request.headers:
                client.delete_object(Bucket=bucket, Key=x.request.path.partition(f"/{bucket}/")[2])
            proxyfault.passthrough(x)

    lock = threading.Lock()
    return proxyfault.named(action, "ignore_precondition")


class Advisory(SlowSource):
    """Servers without create-if-absent."""

    def setUp(self):
        self.not_with_gs("create-if-absent is the service's own")
        super().setUp()

    def behind(self, destination, action):
        proxy = self.proxy(destination.server.endpoint)
        proxy.fault(action, method="PUT", target=r"/\.storsync/[^/]*/lease/", times=FOREVER)
        return proxy, {**production(self.source, destination),
                       **destination.env("destination", endpoint=proxy.endpoint)}

    def servers(self):
        yield "501", lambda bucket: refuse_precondition
        yield "ignores it", lambda bucket: ignore_precondition(bucket.client, bucket.name)

    def test_one(self):
        """It syncs, and says what it could not do."""
        for name, action in self.servers():
            with self.subTest(server=name):
                destination = self.bucket("destination")
                _, env = self.behind(destination, action(destination))
                tool = self.replica(env).wait()
                self.assertEqual((tool.code, tool.status["state"], tool.status["lease"]), (0, "synced", "advisory"))
                self.assertEqual(len([w for w in tool.warnings if "only if it is absent" in w]), 1, tool.warnings)
                self.assertEqual(self.contents(destination), self.wanted)
                self.assertEqual(destination.lease()["state"], "released")

    def test_four_together(self):
        for name, action in self.servers():
            with self.subTest(server=name):
                destination = self.bucket("destination")
                proxy, env = self.behind(destination, action(destination))
                tools = self.together(4, env)
                self.assertEqual([tool.code for tool in tools], [0] * 4)
                self.assertEqual({tool.status["success"] for tool in tools}, {True})
                self.assertEqual(self.contents(destination), self.wanted)
                # One, when all of them start within the time for settling it. That is not promised.
                self.assertIn("synced", {tool.status["state"] for tool in tools})

    def test_real_server_is_exclusive(self):
        destination = self.bucket("destination")
        paths = {name: path.replace("bucket", destination.name) for name, path in PATHS.items()}
        tool = self.replica({**production(self.source, destination), **paths}).wait()
        self.assertEqual((tool.status["lease"], tool.warnings), ("exclusive", []))


class Losers(SlowSource):
    """Those who wait: for how long, how politely, and what then."""

    def test_no_time_to_wait(self):
        destination = self.bucket("destination")
        self.owner(destination)
        env = production(self.source, destination)
        for limit, least in (("0", 0), ("1500ms", 1.5)):
            with self.subTest(wait=limit):
                tool = self.replica({**env, "STORSYNC_WAIT": limit}, "--on-failure", "stop").wait()
                self.assertEqual((tool.code, tool.status["state"], tool.began.exists()), (75, "failed", False))
                self.assertIn(socket.gethostname(), tool.status["message"])
                self.assertGreaterEqual(tool.seconds, least)
                self.assertLess(tool.seconds, (least + 1) * RUN.slow)
                tool = self.replica({**env, "STORSYNC_WAIT": limit}).wait()
                self.assertEqual((tool.code, tool.status["state"], tool.began.exists()), (0, "failed", True))
                tool = self.replica({**env, "STORSYNC_WAIT": limit}, command=False).wait()
                self.assertEqual(tool.code, 75)
        tool = self.replica({**env, "STORSYNC_WAIT": "0"}, "--sync", command=False).wait()
        self.assertEqual(tool.code, 75, "a sync by hand takes the lease as well")
        self.assertEqual(self.contents(destination), {})

    def test_the_whole_limit_counts_for_waiting_too(self):
        destination = self.dir_bucket()
        self.owner(destination)
        tool = self.replica({**production(self.source, destination), "STORSYNC_TIMEOUT": "2s"},
                            "--on-failure", "stop").wait()
        self.assertEqual(tool.code, 75)
        self.assertLess(tool.seconds, 3 * RUN.slow)

    def test_waits_politely_and_goes_on_at_once(self):
        """At most a request a second, whom it waits for is told, and it starts when the marker is there."""
        destination = self.bucket("destination")
        owner, go_on = self.owner(destination)
        proxy = self.proxy(destination.server.endpoint)
        tool = self.replica({**production(self.source, destination),
                             **destination.env("destination", endpoint=proxy.endpoint)})
        tool.wait_for(lambda: tool.status_file.exists() and tool.status["state"] == "waiting")
        self.assertEqual(tool.status["waitingFor"], socket.gethostname())
        self.assertIn(f"waiting for replica {socket.gethostname()}", tool.err)
        seen, began = len(proxy.requests), time.monotonic()
        tool.wait_for(lambda: len([r for r in proxy.requests[seen:] if re.search(LEASE, r.path)]) >= 4)
        polls = proxy.requests[seen:]
        self.assertLessEqual(len(polls), time.monotonic() - began + 1)
        looks = [r for r in polls if re.search(LEASE, r.path)]
        gaps = [b.at - a.at for a, b in zip(looks, looks[1:])]
        self.assertGreater(sum(gaps), 0.95 * len(gaps) - 0.5, "the first may be seen late")
        self.assertGreater(max(gaps) - min(gaps), 0.001, "with jitter")
        go_on.set()
        owner.wait()
        tool.wait()
        self.assertEqual((tool.code, tool.status["state"]), (0, "already-synced"))
        self.assertLess(began_at(tool) - began_at(owner), 3 * RUN.slow)

    def test_owner_that_fails_is_followed(self):
        """Whoever waited for one that failed tries itself."""
        destination = self.bucket("destination")
        owner, go_on = self.owner(destination, answer(500), STORSYNC_RETRIES="0")
        other = self.replica(production(self.source, destination))
        other.wait_for(lambda: "waiting for replica" in other.err)
        go_on.set()
        owner.wait()
        self.assertEqual(owner.status["state"], "partial")
        other.wait()
        self.assertEqual((other.code, other.status["state"]), (0, "synced"))
        self.assertEqual(self.contents(destination), self.wanted)
