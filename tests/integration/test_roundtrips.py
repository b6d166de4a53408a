"""How often a deploy waits for answers: what does not depend on each other is asked for together."""
import json
import re
import threading

from harness import JOB, RUN, TestCase, production
from proxyfault import drop_answer, passthrough

STATE = f"/.storsync/{JOB}/"
LIST_LEASE = f"GET .*prefix=.storsync%2F{JOB}%2Flease%2F"


def epoch(number, method="PUT"):
    return f"{method} .*{STATE}lease/{number:016}$"


def marker(name, method="GET"):
    return f"{method} .*{STATE}deployments/{name}.json$"


def last_sync(method="GET"):
    return f"{method} .*{STATE}last-sync.json$"


def listings(path):
    return [f"GET .*prefix={path}%2F"] * 2


class Waves:
    """Each wave is a list of requests, none of which is answered before all of them have come. So a wave is one wait, however
    slow the machine is. `told`: the Date of the answer to one request."""

    def __init__(self, *waves, told=("nothing", "")):
        self.waves = [[*wave] for wave in waves]
        self.complete = [threading.Event() for _ in waves]
        self.lock = threading.Lock()
        self.told = told
        self.wrong = []
        self.__name__ = "wave"

    def __call__(self, x):
        asked = f"{x.request.method} {x.request.target}"
        with self.lock:
            number = self.number_of(asked)
            if number is None:
                self.wrong.append(f"not expected: {asked}")
            elif not self.waves[number]:
                self.complete[number].set()
        if number is not None and not self.complete[number].wait(10 * RUN.slow):
            self.wrong.append(f"alone in wave {number}: {asked}")
        pattern, date = self.told
        if not re.fullmatch(pattern, asked):
            passthrough(x)
            return
        x.forward()
        x.answer_head = re.sub(rb"(?mi)^date: [^\r]*", b"Date: " + date.encode(), x.answer_head)
        x.relay()

    def number_of(self, asked):
        """Of the first wave that still waits for such a request."""
        for number, wave in enumerate(self.waves):
            for pattern in wave:
                if re.fullmatch(pattern, asked):
                    wave.remove(pattern)
                    return number
        return None

    def left(self):
        return [*self.wrong, *(f"missing in wave {n}: {wave}" for n, wave in enumerate(self.waves) if wave)]


class Waits(TestCase):
    LATE, EARLY = "Fri, 01 Jan 2038 00:00:00 GMT", "Sat, 01 Jan 2000 00:00:00 GMT"

    def setUp(self):
        super().setUp()
        self.not_with_gs("requests of S3's")
        self.source, self.destination = self.s3_bucket(), self.s3_bucket()
        self.proxied = self.proxy(self.source.server.endpoint)
        self.endpoints = {f"STORSYNC_{side}_ENDPOINT": self.proxied.endpoint for side in ("SOURCE", "DESTINATION")}
        for key in ("public/1", "public/2", "private/1"):
            self.source.put(key)

    def deploy(self, *waves, state="synced", deployment="d1", told=("nothing", ""), **more):
        expected = Waves(*waves, told=told)
        self.proxied.clear()
        self.proxied.fault(expected, times=10 ** 9)
        env = production(self.source, self.destination, deployment, STORSYNC_LEASE_TTL="1h", **more)  # no renewal between
        tool = self.succeed(env={**env, **self.endpoints})
        self.assertEqual(expected.left(), [])
        self.assertEqual(tool.status["state"], state)

    def first(self):
        self.deploy([marker("d1")],
                    [last_sync(), LIST_LEASE],
                    [epoch(1)],
                    [epoch(1), LIST_LEASE, *listings("public"), *listings("private")],
                    ["PUT .*/public/1", "PUT .*/public/2", "PUT .*/private/1"],
                    [epoch(1), LIST_LEASE],
                    [last_sync("PUT"), marker("d1", "PUT")],
                    [epoch(1)])

    def test_first_deployment(self):
        self.first()
        self.deploy([marker("d1")], state="already-synced")
        self.deploy([marker("d2")], [last_sync(), LIST_LEASE], state="too-soon", deployment="d2")

    def next(self, *asked_again, date):
        """`date`: when the service says that there is no marker."""
        self.first()
        self.deploy([marker("d2")],
                    [last_sync(), LIST_LEASE],
                    [epoch(1, "GET")],
                    [epoch(2)],
                    [epoch(2), LIST_LEASE, *listings("public"), *listings("private")],
                    *asked_again,
                    [epoch(2), LIST_LEASE, epoch(1, "DELETE")],
                    [last_sync("PUT"), marker("d2", "PUT")],
                    [epoch(2)],
                    deployment="d2", STORSYNC_MIN_INTERVAL="0", told=(marker("d2"), date))

    def test_listings_from_before_shards_were_looked_at_are_not_used(self):
        """They may have been at work until then."""
        env = {**production(self.source, self.destination), **self.endpoints}
        self.succeed(env={**env, "STORSYNC_SHARD": "0/2"})
        self.proxied.clear()
        self.succeed(env={**env, "STORSYNC_DEPLOYMENT_ID": "d2", "STORSYNC_MIN_INTERVAL": "0"})
        self.assert_listed_twice()

    def assert_listed_twice(self):
        for path in "public", "private":
            asked = [r for r in self.proxied.requests if re.fullmatch(listings(path)[0], f"{r.method} {r.target}")]
            self.assertEqual(len(asked), 4)

    def test_listings_of_an_epoch_that_is_no_lease_are_not_used(self):
        """A higher one was there, and has ended; the answer to the create of the next one gets lost."""
        def overtake(x):
            self.destination.put(f"{STATE[1:]}lease/{9:016}", json.dumps(rival))
            passthrough(x)

        rival = {"schema": 1, "epoch": 9, "state": "released", "owner": "rival", "nonce": "r", "ttl": 60000}
        self.proxied.fault(overtake, method="GET", target=LIST_LEASE.removeprefix("GET "), skip=1, times=1)
        self.proxied.fault(drop_answer, method="PUT", target=f"lease/{10:016}$", times=1)
        tool = self.succeed(env={**production(self.source, self.destination), **self.endpoints})
        self.assertEqual(tool.status["state"], "synced")
        self.assert_listed_twice()

    def test_next_deployment(self):
        """Whoever had the lease gave it back before the marker was asked for."""
        self.next(date=self.LATE)

    def test_next_deployment_that_is_in_doubt(self):
        """He may have given it back afterwards, and written the marker in between."""
        self.next([marker("d2")], [last_sync()], date=self.EARLY)
