"""What bounds a start that goes wrong: deadlines, the failure policy, the backoff; clocks and disks that play up."""
import datetime
import json
import os
import signal
import socket
import time

import data
import proxyfault
import rgw
from harness import JOB, RUN, S3Bucket, TestCase, production
from proxyfault import FOREVER, BlackHole, Silence, answer, s3_error

# One limit at a time: none of the others ends these runs.
PATIENT = {"STORSYNC_STALL_TIMEOUT": "5m", "STORSYNC_CONNECT_TIMEOUT": "2m", "STORSYNC_TIMEOUT": "5m",
           "STORSYNC_WAIT": "5m"}
NAMES = {"BUCKET": "b", "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "s", "REGION": "us-east-1"}
XML = {"Content-Type": "application/xml"}


def service(endpoint):
    """Both buckets on a service of which nothing is expected."""
    sides = {f"STORSYNC_{side}_{name}": value for side in ("SOURCE", "DESTINATION") for name, value in NAMES.items()}
    return {**sides, "STORSYNC_SOURCE_BUCKET": "a", "STORSYNC_SOURCE_ENDPOINT": endpoint,
            "STORSYNC_DESTINATION_ENDPOINT": endpoint, "STORSYNC_ENVIRONMENT": "production",
            "STORSYNC_DEPLOYMENT_ID": "d1"}


class LimitCase(TestCase):
    def both_policies(self, env, code, state="failed", message=".", **how):
        """Runs it with on_failure=start and =stop. Returns the two."""
        tools = []
        for policy in ("start", "stop"):
            application = self.app(code=7)
            tool = self.tool("--on-failure", policy, "--", application.path, env=env, **how)
            self.assertEqual((tool.code, application.started), (7, True) if policy == "start" else (code, False))
            self.assertEqual((tool.status["state"], tool.status["success"]), (state, False))
            self.assertRegex(tool.status["message"], message)
            tools.append(tool)
        return tools


class WholeLimit(LimitCase):
    """`timeout` on a service that is a black hole: the application starts within it, and a second more."""

    LIMIT = 2

    def bounded(self, endpoint, **how):
        env = {**PATIENT, **service(endpoint), "STORSYNC_TIMEOUT": f"{self.LIMIT}s"}
        for tool in self.both_policies(env, 75, message="setting timeout", **how):
            self.assertGreater(tool.seconds, self.LIMIT - 0.1)
            self.assertLess(tool.seconds, (self.LIMIT + 1) * RUN.slow)

    def test_connect(self):
        with BlackHole() as hole:
            self.bounded(hole.endpoint)

    def test_tls_handshake(self):
        server = Silence()
        self.addCleanup(server.close)
        self.bounded(f"https://localhost:{server.port}")

    def test_answer(self):
        server = Silence()
        self.addCleanup(server.close)
        self.bounded(f"http://127.0.0.1:{server.port}")

    def test_name_lookup(self):
        address = "127.53.53.54"
        (self.dir / "resolv.conf").write_text(f"nameserver {address}\noptions timeout:30\n")
        space = self.mounts(f"mount --bind '{self.dir}/resolv.conf' /etc/resolv.conf")
        resolver = Silence(socket.SOCK_DGRAM, (address, 53))
        self.addCleanup(resolver.close)
        self.bounded("https://storage.example.test:8000", prefix=space.prefix)
        self.assertTrue(resolver.heard.is_set())

    def test_answer_that_drips(self):
        """There is progress all the time, a byte of it: only the whole limit ends that."""
        def drip(x):
            x.client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not x.proxy.stopping.wait(0.2):
                x.client.send(b" ")
        proxy = self.proxy()
        proxy.fault(drip, times=FOREVER)
        self.bounded(proxy.endpoint)

    def test_storm(self):
        """Retries and their pauses count as well."""
        proxy = self.proxy()
        proxy.fault(proxyfault.slow_down("60"), times=FOREVER)
        env = {**PATIENT, **service(proxy.endpoint), "STORSYNC_TIMEOUT": "2s"}
        for tool in self.both_policies(env, 75):
            self.assertLess(tool.seconds, 3 * RUN.slow)

    def test_what_was_copied_stays(self):
        """The next start goes on from there; the one that ran out of time left the lease, and no marker."""
        source, destination = self.s3_bucket(), self.s3_bucket()
        for number in range(20):
            source.put(f"public/{number:02}", data.body(number, 5000))
        source.put("public/large", data.body("large", 12 * data.MIB))
        proxy = self.proxy(source.server.endpoint)
        proxy.fault(proxyfault.stall(), method="GET", target="/public/1[0-9]", times=FOREVER)
        proxy.fault(proxyfault.stall(after=1_000_000), method="GET", target="/public/large", times=FOREVER, skip=1)
        env = {**PATIENT, **production(source, destination), **source.env("source", endpoint=proxy.endpoint),
               "STORSYNC_PART_SIZE": "5MiB", "STORSYNC_TIMEOUT": "2s"}
        application = self.app()
        tool = self.tool("--", application.path, env=env)
        self.assertEqual((tool.code, application.started, tool.status["state"]), (0, True, "failed"))
        self.assertLess(tool.seconds, 3 * RUN.slow)
        copied = destination.keys("public/")
        self.assertEqual(copied, [f"public/{n:02}" for n in range(10)])
        self.assertEqual((tool.status["syncedFiles"], tool.status["failedFiles"]), (10, 0))
        self.assertEqual((destination.markers(), destination.unfinished_uploads()), ([], []))
        self.assertEqual(destination.lease()["state"], "failed")
        proxy.clear()
        tool = self.succeed(env={**env, "STORSYNC_TIMEOUT": "5m"})
        self.assertEqual((tool.status["syncedFiles"], tool.status["skippedFiles"]), (11, 10))
        self.assertEqual(data.compare_buckets(source, destination, ("public/",)), [])


class SingleLimits(LimitCase):
    """Connect and stall limits end a request, the retries' number ends the run."""

    def ends(self, endpoint, least, code=69, **more):
        env = {**PATIENT, **service(endpoint), "STORSYNC_RETRIES": "0", **more}
        for tool in self.both_policies(env, code):
            self.assertGreater(tool.seconds, least)
            self.assertLess(tool.seconds, (least + 1.5) * RUN.slow)

    def test_connect(self):
        with BlackHole() as hole:
            self.ends(hole.endpoint, 0.5, STORSYNC_CONNECT_TIMEOUT="500ms")

    def test_tls_handshake_belongs_to_connecting(self):
        server = Silence()
        self.addCleanup(server.close)
        self.ends(f"https://localhost:{server.port}", 0.5, STORSYNC_CONNECT_TIMEOUT="500ms")

    def test_stall(self):
        server = Silence()
        self.addCleanup(server.close)
        self.ends(f"http://127.0.0.1:{server.port}", 0.5, 75, STORSYNC_STALL_TIMEOUT="500ms")

    def test_name_lookup_fails(self):
        (self.dir / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        space = self.mounts(f"mount --bind '{self.dir}/resolv.conf' /etc/resolv.conf")
        env = {**PATIENT, **service("https://storage.invalid:8000"), "STORSYNC_RETRIES": "0",
               "STORSYNC_CONNECT_TIMEOUT": "3s"}
        self.both_policies(env, 69, message="storage.invalid", prefix=space.prefix)


class Policy(LimitCase):
    """Every class of failure, with both policies: the codes of README.md."""

    def test_2_some_objects_failed(self):
        source, destination = self.dir_bucket(), self.dir_bucket()
        destination.root.chmod(0o777)
        source.put("public/a", "a")
        source.put("public/hidden", "h").chmod(0)
        if os.geteuid() != 0:
            self.skipTest("NOT TESTED: needs root to become somebody else")
        self.both_policies(production(source, destination), 2, "partial", "1 failed", nobody=True)

    def test_69_bucket_is_missing(self):
        source = self.s3_bucket()
        missing = {**source.env("destination"), "STORSYNC_DESTINATION_BUCKET": "no-such-bucket-here"}
        self.both_policies({**production(source, source), **missing}, 69, message="no-such-bucket-here")
        missing = {**source.env("source"), "STORSYNC_SOURCE_BUCKET": "no-such-bucket-here"}
        self.both_policies({**production(source, self.s3_bucket()), **missing}, 69, message="no-such-bucket-here")

    def test_69_directory_is_missing(self):
        env = production(self.dir_bucket(), self.dir_bucket(), STORSYNC_DESTINATION_BUCKET="file:///no/such/place")
        self.both_policies(env, 69, message="/no/such/place")

    def test_69_nobody_listens(self):
        port = proxyfault.closed_port()
        self.both_policies({**service(f"http://127.0.0.1:{port}"), "STORSYNC_RETRIES": "1"}, 69, message=str(port))

    def test_69_not_an_object_store(self):
        self.both_policies({**service(self.proxy().endpoint), "STORSYNC_RETRIES": "0"}, 69)

    def test_75_out_of_time(self):
        server = Silence()
        self.addCleanup(server.close)
        env = {**service(f"http://127.0.0.1:{server.port}"), "STORSYNC_TIMEOUT": "500ms"}
        self.both_policies(env, 75, message="time limit")

    def test_75_another_holds_the_lease(self):
        source, destination = self.dir_bucket(), self.dir_bucket()
        source.put("public/a", "a")
        hold(destination, owner="replica-of-the-test")
        env = production(source, destination, STORSYNC_WAIT="0")
        self.both_policies(env, 75, message="replica-of-the-test")
        self.assertEqual(destination.contents(), {})

    def test_77_unknown_key(self):
        source, destination = self.s3_bucket(), self.s3_bucket()
        for side, bucket in (("source", source), ("destination", destination)):
            with self.subTest(side=side):
                env = {**production(source, destination), **bucket.env(side, secret_access_key="wrong")}
                self.both_policies(env, 77)

    def test_77_not_allowed(self):
        theirs = S3Bucket(RUN.rgw(), rgw.BOB)
        env = {**production(self.s3_bucket(), theirs), **theirs.env("destination", access_key_id=rgw.ALICE.access_key,
                                                                    secret_access_key=rgw.ALICE.secret_key)}
        self.both_policies(env, 77)

    def test_78_configuration(self):
        source, destination = self.dir_bucket(), self.dir_bucket()
        self.both_policies(production(source, destination, STORSYNC_SOURCE_BUCKET="ftp://bucket"), 78, message="ftp://")
        self.both_policies(production(source, destination, STORSYNC_CONFIG="/no/such/file"), 78, message="/no/such")

    def test_words_for_machines(self):
        """The log says the class as well."""
        env = {**service(f"http://127.0.0.1:{proxyfault.closed_port()}"), "STORSYNC_RETRIES": "0",
               "STORSYNC_LOG_FORMAT": "json"}
        lines = [json.loads(line) for line in self.tool(env=env).err.splitlines()]
        self.assertEqual([line["state"] for line in lines if "state" in line], ["failed"])


def hold(bucket, owner, age=0, **more):
    """Makes a directory bucket's lease one that somebody else holds."""
    record = {"schema": 1, "epoch": 1, "state": "held", "owner": owner, "nonce": "f" * 32, "deploymentId": "d1",
              "renewals": 0, "ttl": 30000, "attempts": 1, **more}
    bucket.put(f".storsync/{JOB}/lease/{record['epoch']:016}", json.dumps(record), age)


class CrashLoop(LimitCase):
    """A deployment that fails again and again does not hammer the service."""

    def setUp(self):
        super().setUp()
        self.source, self.destination = self.s3_bucket(), self.s3_bucket()
        for number in range(5):
            self.source.put(f"public/{number}", data.body(number, 1000))
        self.proxy = self.proxy(self.source.server.endpoint)
        self.rule = self.proxy.fault(answer(403, s3_error("AccessDenied"), XML), method="PUT", target="/public/3",
                                     times=FOREVER)
        self.env = {**production(self.source, self.destination),
                    **{k: v for side, b in (("source", self.source), ("destination", self.destination))
                       for k, v in b.env(side, endpoint=self.proxy.endpoint).items()}}

    def fail_three_times(self):
        for _ in range(3):
            self.assertEqual(self.tool(env=self.env).code, 2)
        self.assertEqual((self.destination.lease()["state"], self.destination.lease()["attempts"]), ("failed", 3))

    def test_fourth_start_waits(self):
        self.fail_three_times()
        self.proxy.requests.clear()
        self.source.put("public/new", "n")
        for tool in self.both_policies(self.env, 75, message=r"failed 3 times in a row.* due in ([12]\d|30) s"):
            self.assertIn("failed 3 times", tool.err)
        self.assertLessEqual(len(self.proxy.requests), 2 * 4, [r.target for r in self.proxy.requests])
        self.assertEqual({r.method for r in self.proxy.requests}, {"GET"})
        self.assertNotIn("public/new", self.destination.keys())
        self.assertEqual(self.destination.lease()["attempts"], 3, "to be turned away is no attempt")

    def test_by_hand_it_works_at_once(self):
        self.fail_three_times()
        self.rule.times = 0
        tool = self.succeed("--sync", env=self.env)
        self.assertEqual((tool.status["syncedFiles"], tool.status["skippedFiles"]), (1, 4))
        self.assertEqual(self.succeed(env=self.env).status["state"], "synced", "and ends the backoff")
        self.assertEqual(len(self.destination.markers()), 1)

    def test_another_deployment_is_free(self):
        self.fail_three_times()
        self.rule.times = 0
        tool = self.succeed(env={**self.env, "STORSYNC_DEPLOYMENT_ID": "d2"})
        self.assertEqual(tool.status["state"], "synced")

    def test_killed_again_and_again(self):
        """Out of memory, say: nobody was there to note the failure."""
        if not RUN.test_binary:
            self.skipTest("NOT TESTED: crash points; build build/test/storsync-init and set STORSYNC_TEST_BIN to it")
        env = {**self.env, "STORSYNC_LEASE_TTL": "1s"}
        for _ in range(3):
            tool = self.tool(env={**env, "STORSYNC_CRASH_AT": "lease-created"}, binary=RUN.test_binary)
            self.assertEqual(tool.code, -signal.SIGKILL)
        tool = self.tool(env=env)
        self.assertEqual(tool.code, 75)
        self.assertIn("failed 3 times", tool.status["message"])

    def test_waiting_times_double(self):
        """On a directory, whose clock can be set."""
        source, destination = self.dir_bucket(), self.dir_bucket()
        source.put("public/a", "a")
        env = production(source, destination)
        for attempts, seconds in ((3, 30), (4, 60), (5, 120), (8, 900), (1000, 900)):
            hold(destination, "somebody", age=seconds - 10, state="failed", attempts=attempts)
            tool = self.tool(env=env)
            self.assertEqual(tool.code, 75)
            self.assertRegex(tool.status["message"], rf"failed {attempts} times in a row; .* due in ([1-9]|10|11) s")
        hold(destination, "somebody", age=901, state="failed", attempts=1000)
        self.assertEqual(self.succeed(env=env).status["state"], "synced")


class Clocks(LimitCase):
    """Wall clocks that are wrong, or jump. The lease knows only the monotonic one of each replica."""

    def last_sync(self, bucket, seconds):
        """A last sync that many seconds from now."""
        when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
        bucket.put(f".storsync/{JOB}/last-sync.json", json.dumps({
            "schema": 1, "version": "0.1.0", "deploymentId": "d0", "syncedFiles": 0,
            "finishedAt": when.strftime("%Y-%m-%dT%H:%M:%S.000Z"), "skippedFiles": 0, "totalSize": 0}))

    def test_last_sync(self):
        """An hour either way: in the future it is not believed, in the past it is over."""
        source = self.dir_bucket()
        source.put("public/a", "a")
        for seconds, state, warns in ((-3700, "synced", False), (-3500, "too-soon", False), (60, "too-soon", False),
                                      (3600, "synced", True), (-3600 * 24 * 365, "synced", False)):
            with self.subTest(seconds=seconds):
                destination = self.dir_bucket()
                self.last_sync(destination, seconds)
                tool = self.succeed(env=production(source, destination))
                self.assertEqual(tool.status["state"], state)
                self.assertEqual(any("in the future" in w for w in tool.warnings), warns, tool.warnings)

    def jump(self, seconds, destination):
        if not RUN.test_binary:
            self.skipTest("NOT TESTED: a clock that jumps; build build/test/storsync-init and set STORSYNC_TEST_BIN")
        source = self.s3_bucket()
        for number in range(8):
            source.put(f"public/{number}", data.body(number, 1000))
        proxy = self.proxy(source.server.endpoint)
        proxy.fault(proxyfault.delay(0.8), method="GET", target="/public/", times=FOREVER)
        env = {**production(source, destination), "STORSYNC_LEASE_TTL": "6s"}
        jumping = {"STORSYNC_CLOCK_JUMP": str(seconds)}
        owner = self.start(env={**env, **jumping, **source.env("source", endpoint=proxy.endpoint),
                                "STORSYNC_CONCURRENCY": "2"}, binary=RUN.test_binary)
        owner.wait_for(lambda: destination.lease())
        others = [self.start(env={**env, **more, "STORSYNC_STATUS_FILE": str(self.dir / f"{number}.json")},
                             binary=RUN.test_binary) for number, more in enumerate((jumping, {}))]
        for tool in (owner, *others):
            tool.wait()
        self.assertEqual([tool.code for tool in (owner, *others)], [0] * 3)
        self.assertEqual((owner.status["state"], owner.status["syncedFiles"]), ("synced", 8))
        self.assertNotIn("lease is lost", owner.err)
        self.assertEqual([tool.status["state"] for tool in others], ["already-synced"] * 2)
        self.assertEqual((destination.lease()["epoch"], destination.lease()["state"]), (1, "released"))

    def test_forwards_on_rgw(self):
        """Its signatures are refused from then on: the server's clock is learnt."""
        self.jump(3600, self.s3_bucket())

    def test_backwards_on_rgw(self):
        self.jump(-3600, self.s3_bucket())

    def test_forwards_on_a_directory(self):
        self.jump(3600, self.dir_bucket())

    def test_backwards_on_a_directory(self):
        self.jump(-3600, self.dir_bucket())

    def test_monotonic_clocks_are_not_compared(self):
        """One machine has been up for a month, the other for a minute."""
        self.needs_root("a monotonic clock of its own")
        month = ["unshare", "--time", "--monotonic", "2592000", "--fork", "--kill-child"]
        source, destination = self.dir_bucket(), self.dir_bucket()
        source.put("public/a", "a")
        hold(destination, "somebody who died", ttl=1000)
        tool = self.tool(env=production(source, destination, STORSYNC_LEASE_TTL="3s"), prefix=month)
        self.assertEqual((tool.code, tool.status["state"]), (0, "synced"))
        self.assertGreater(tool.seconds, 2.9)
        self.assertLess(tool.seconds, 5 * RUN.slow)


class Disks(LimitCase):
    """A disk that is full, or cannot be written to. For the status file that is a warning and nothing else."""

    def small(self, name, size, more=""):
        place = self.dir / name
        place.mkdir()
        return place, self.mounts(f"mount -t tmpfs -o size={size},mode=777 none '{place}'\n{more.format(place=place)}")

    def status_refused(self, place, space, env=None, bare=False):
        source, destination = self.dir_bucket(), self.dir_bucket()
        source.put("public/a", "a")
        application = self.app()
        where = {} if bare else {"STORSYNC_STATUS_FILE": str(place / "status.json")}
        tool = self.succeed("--", application.path, env={**production(source, destination), **where, **(env or {})},
                            prefix=space.prefix, bare=bare)
        self.assertTrue(application.started)
        self.assertEqual(destination.markers(), ["d1.json"])
        self.assertEqual(len([w for w in tool.warnings if "no status file" in w]), 1, tool.warnings)
        return tool

    def test_status_file_on_a_full_disk(self):
        place, space = self.small("full", "8k", "echo old >'{place}'/status.json\n"
                                  "head -c 4096 /dev/zero >'{place}'/rest")
        self.status_refused(place, space)
        inside = space.path(place)
        self.assertEqual((inside / "status.json").read_text(), "old\n", "the old one or the new one, never half")
        self.assertEqual(sorted(p.name for p in inside.iterdir()), ["rest", "status.json"])

    def test_status_file_on_a_read_only_disk(self):
        place, space = self.small("read-only", "8k", "mount -o remount,ro '{place}'")
        tool = self.status_refused(place, space)
        self.assertTrue(any("ead-only" in w for w in tool.warnings), tool.warnings)

    def test_read_only_root(self):
        """Neither of the two default places."""
        space = self.mounts("mount -t tmpfs -o ro none /run\nmount -t tmpfs -o ro none /tmp")
        if str(self.dir).startswith(("/tmp/", "/run/")):
            self.skipTest("NOT TESTED: the tests themselves live there")
        self.status_refused(None, space, {"PATH": "/usr/bin:/bin"}, bare=True)

    def test_destination_becomes_full(self):
        """What fits is whole, the rest is counted, nothing temporary takes up the room; with more room it goes on."""
        source, place = self.dir_bucket(), None
        for number in range(30):
            source.put(f"public/{number:02}", data.body(number, 100_000), age=100)
        place, space = self.small("small", "1m")
        env = production(source, source, STORSYNC_DESTINATION_BUCKET=f"file://{place}")
        self.both_policies(env, 2, "partial", "failed", prefix=space.prefix)
        inside = space.path(place)
        found = {f"public/{p.name}": p.read_bytes() for p in (inside / "public").iterdir()}
        self.assertGreater(len(found), 3)
        self.assertEqual({k: v for k, v in found.items() if source.get(k) != v}, {})
        self.assertEqual([*(inside / ".storsync" / "tmp").iterdir()], [])
        self.assertEqual([*inside.glob(".storsync/*/deployments/d1.json")], [])
        os.system(f"nsenter --mount=/proc/{space.holder.pid}/ns/mnt mount -o remount,size=10m '{place}'")
        tool = self.succeed(env=env, prefix=space.prefix)
        self.assertEqual((tool.status["syncedFiles"], tool.status["skippedFiles"]), (30 - len(found), len(found)))
        self.assertEqual(len([*inside.glob(".storsync/*/deployments/d1.json")]), 1)

    def test_destination_is_full(self):
        """Not even the lease fits."""
        source = self.dir_bucket()
        source.put("public/a", "a")
        place, space = self.small("full", "64k", "head -c 70000 /dev/zero >'{place}'/rest 2>/dev/null || true")
        env = production(source, source, STORSYNC_DESTINATION_BUCKET=f"file://{place}")
        self.both_policies(env, 69, message="(?i)no space left", prefix=space.prefix)

    def test_destination_is_read_only(self):
        source = self.dir_bucket()
        source.put("public/a", "a")
        place, space = self.small("read-only", "1m", "mount -o remount,ro '{place}'")
        env = production(source, source, STORSYNC_DESTINATION_BUCKET=f"file://{place}")
        self.both_policies(env, 77, message="(?i)read-only", prefix=space.prefix)

    def test_source_is_read_only(self):
        """As a volume usually is."""
        place, space = self.small("read-only", "1m", "mkdir '{place}'/public\necho a >'{place}'/public/a\n"
                                  "mount -o remount,ro '{place}'")
        destination = self.dir_bucket()
        env = production(destination, destination, STORSYNC_SOURCE_BUCKET=f"file://{place}")
        self.succeed(env=env, prefix=space.prefix)
        self.assertEqual(destination.contents(), {"public/a": b"a\n"})
