"""max_requests and max_bytes: how much a second. That it is not more is exact however slow the machine is: what came
later than it could only makes the whole take longer. That it is not much less is for `make bench`."""
import data
import pki
from harness import RUN, TestCase, production, sides

MB = 1 << 20


class RateCase(TestCase):
    """From a bucket of the RGW, with a relay in front of it that counts."""

    TLS = False

    def setUp(self):
        super().setUp()
        self.source = self.s3_bucket()
        self.front = self.proxy(self.source.server.plain if self.TLS else self.source.server.endpoint, **self.tls())

    def tls(self):
        return {"tls": pki.server_context(RUN.pki.pem(RUN.certificate))} if self.TLS else {}

    def env(self, bucket, side):
        return bucket.env(side, endpoint=self.front.endpoint, ca_file=str(RUN.ca_file))

    def fill(self, bucket, count, size):
        for number in range(count):
            bucket.put(f"public/{number:04}", data.body(number, size))

    def measured(self, total, rate, env, *args, **how):
        """Runs it; `total` may take no less than the rate says, but for what the first tenth of a second brings."""
        tool = self.succeed("--sync", *args, env=env, timeout=60, **how)
        self.assertGreater(tool.seconds, 0.95 * total / rate - 0.1)
        return tool


class Http(RateCase):
    def test_requests(self):
        self.fill(self.source, 60, 10)
        target = self.dir_bucket()
        self.measured(60, 30, {**self.env(self.source, "source"), **target.env("destination"),
                               "STORSYNC_MAX_REQUESTS": "30"})
        self.assertEqual(len(target.keys("public/")), 60)
        self.assertGreaterEqual(len(self.front.requests), 60)
        # Nor in bunches: 16 transfers at once would have asked for 16 objects at once.
        times = [request.at for request in self.front.requests]
        self.assertGreater(times[-1] - times[0], 0.95 * (len(times) - 4) / 30 - 0.5)

    def test_retries_count(self):
        self.fill(self.source, 10, 10)
        self.front.fault(self.failing, method="GET", target="public/0", times=20)
        target = self.dir_bucket()
        self.measured(30, 15, {**self.env(self.source, "source"), **target.env("destination"),
                               "STORSYNC_MAX_REQUESTS": "15"})
        self.assertGreaterEqual(len(self.front.requests), 30)

    @staticmethod
    def failing(x):
        x.drain()
        x.reply(503, b"<Error><Code>SlowDown</Code></Error>", {"Content-Type": "application/xml"})

    def test_bytes_received(self):
        self.fill(self.source, 6, MB)
        target = self.dir_bucket()
        self.measured(6 * MB, 2 * MB, {**self.env(self.source, "source"), **target.env("destination"),
                                       "STORSYNC_MAX_BYTES": "2MB"})
        self.assertEqual(target.get("public/0003"), data.body(3, MB))

    def test_bytes_sent(self):
        origin = self.dir_bucket()
        self.fill(origin, 6, MB)
        self.measured(6 * MB, 2 * MB, {**origin.env("source"), **self.env(self.source, "destination"),
                                       "STORSYNC_MAX_BYTES": "2MB"})
        self.assertEqual(self.source.get("public/0003"), data.body(3, MB))

    def test_bytes_of_both_directions(self):
        """A relay: what comes is sent on, and is twice as much."""
        self.fill(self.source, 3, MB)
        target = self.s3_bucket(1)
        self.measured(6 * MB, 2 * MB, {**self.env(self.source, "source"), **target.env("destination"),
                                       "STORSYNC_MAX_BYTES": "2MB"})
        self.assertEqual(target.get("public/0001"), data.body(1, MB))

    def test_memory_of_what_waits(self):
        """Nothing comes for a body that waits for its turn: it would have to be kept."""
        self.fill(self.source, 4, 16 * MB)
        target = self.s3_bucket(1)
        tool = self.measured(128 * MB, 40 * MB, {**self.source.env("source"), **target.env("destination"),
                                                 "STORSYNC_MAX_BYTES": "40MB"})
        if not RUN.instrumented:
            self.assertLess(tool.peak_rss, 8 * data.MIB)

    def test_waiting_is_no_stall(self):
        """A body that waits for its turn longer than a request may take, or be silent."""
        self.fill(self.source, 1, 5 * MB)
        target = self.dir_bucket()
        tool = self.measured(5 * MB, MB, {**self.env(self.source, "source"), **target.env("destination"),
                                          "STORSYNC_MAX_BYTES": "1MB", "STORSYNC_REQUEST_TIMEOUT": "3s",
                                          "STORSYNC_RETRIES": "0"})
        self.assertEqual(tool.status["syncedFiles"], 1)

    def test_the_least_that_counts(self):
        self.fill(self.source, 1, 64 * 1024)
        target = self.dir_bucket()
        tool = self.succeed("--sync", env={**self.env(self.source, "source"), **target.env("destination"),
                                           "STORSYNC_MAX_BYTES": "1"}, timeout=60)
        self.assertIn("max_bytes counts as 64KiB", tool.err)

    def test_not_understood(self):
        """What was meant to hold us back, and cannot be read, does."""
        target = self.dir_bucket()
        for name, value in (("MAX_REQUESTS", "a few"), ("MAX_BYTES", "8 MBit")):
            tool = self.tool("--sync", env={**self.env(self.source, "source"), **target.env("destination"),
                                            f"STORSYNC_{name}": value})
            self.assertEqual(tool.code, 78)
            self.assertIn(name, tool.err)
        self.assertEqual(self.front.requests, [])

    def test_lease_goes_ahead(self):
        """Renewals each second, at a rate at which they would come too late behind all the copies."""
        origin = self.dir_bucket()
        self.fill(origin, 12, 10)
        env = {**production(origin, self.source), **self.env(self.source, "destination"),
               "STORSYNC_MAX_REQUESTS": "4", "STORSYNC_LEASE_TTL": "3s", "STORSYNC_TIMEOUT": "2m"}
        tool = self.succeed("--", "/bin/true", env=env, timeout=60)
        self.assertEqual(tool.status["state"], "synced")
        self.assertIn("lease_ttl counts as 5s: renewals would be more than half of max_requests", tool.err)
        renewals = [r for r in self.front.requests if r.method == "PUT" and "/lease/" in r.target]
        self.assertGreater(len(renewals), 2)

    def test_stop(self):
        """It is not waited for the next turn, and the lease is given back."""
        origin = self.dir_bucket()
        self.fill(origin, 100, 10)
        env = {**origin.env("source"), **self.env(self.source, "destination"), "STORSYNC_MAX_REQUESTS": "2"}
        tool = self.start("--sync", env=env)
        tool.wait_for(lambda: any("public/0" in r.target for r in self.front.requests), timeout=30)
        tool.kill(15)
        tool.wait()
        self.assertEqual(tool.code, 128 + 15)
        self.assertLess(len(self.source.keys("public/")), 100)
        self.assertEqual(self.source.lease()["state"], "failed", "given back")


class Https(RateCase):
    TLS = True

    def test_bytes(self):
        self.fill(self.source, 6, MB)
        target = self.dir_bucket()
        self.measured(6 * MB, 2 * MB, {**self.env(self.source, "source"), **target.env("destination"),
                                       "STORSYNC_MAX_BYTES": "2MB"})

    def test_requests(self):
        self.fill(self.source, 40, 10)
        target = self.dir_bucket()
        self.measured(40, 20, {**self.env(self.source, "source"), **target.env("destination"),
                               "STORSYNC_MAX_REQUESTS": "20"})


class Directories(TestCase):
    def test_no_network_no_limit(self):
        """Between directories nothing goes over the network, so nothing is counted."""
        origin, target = self.dir_bucket(), self.dir_bucket()
        for number in range(4):
            origin.put(f"public/{number}", bytes(MB))
        self.succeed("--sync", env=sides(origin, target, STORSYNC_MAX_BYTES="64KB", STORSYNC_MAX_REQUESTS="1"))
        self.assertEqual(target.contents(), origin.contents())
