"""conflict: what production has changed itself, before a sync, between its listing and a copy, and during that copy; on
directories, RGW and the stand-in of Google's."""
import re
import time
from pathlib import Path

import proxyfault
from gcs import GoogleStorage
from harness import TestCase, production

# One after the other, in this order: when the one before is read, production changes the one behind it.
KEYS = ("public/a", "public/before", "public/between", "public/during", "public/new1", "public/new2")
POLICIES = Path(__file__).resolve().parents[2] / "docs" / "POLICIES.md"
QUIET = 4.2  # s after a sync in which what is written counts as the sync's (LEASE_CLOCK_MARGIN, and whole seconds)


class ConflictCase(TestCase):
    """The source is on RGW, behind a proxy, so that every copy is read through it."""

    unguarded = ()  # what is lost if production changes it during its copy: the service takes no condition for that
    tells_time = True  # the destination says what time it is, so a sync's beginning is known to the second

    def setUp(self):
        super().setUp()
        self.source = self.s3_bucket()
        self.proxied = self.proxy(self.source.server.endpoint)
        self.env = {}

    def sync(self, destination, *args, code=0):
        env = {**production(self.source, destination), **self.source.env("source", self.proxied.endpoint),
               "STORSYNC_SOURCE_ALLOW_HTTP": "true", "STORSYNC_CONCURRENCY": "1", **self.env}
        tool = self.tool("--sync", *args, env=env)
        self.assertEqual(tool.code, code)
        return tool

    def when(self, read, *change):
        """While `read` is read, `change` happens."""
        def action(x):
            for destination, key in change:
                destination.put(key, "production's")
            proxyfault.passthrough(x)
        self.proxied.fault(action, method="GET", target=re.escape(read) + r"(\?|$)")

    def interfere(self, destination):
        self.proxied.clear()
        self.when("public/a", (destination, "public/between"), (destination, "public/new1"))
        self.when("public/during", (destination, "public/during"))
        self.when("public/new2", (destination, "public/new2"))

    def told(self, tool, word):
        return re.findall(rf"{word}: (\S+) \(changed in production\)", tool.err)

    def check(self, buckets):
        for destination in buckets:
            for key in KEYS[:-2]:
                self.source.put(key, "first")
            self.sync(destination)
        time.sleep(QUIET)
        for key in KEYS:
            self.source.put(key, "development's second")
        overwrite, keep, fail = buckets
        rows = re.findall(r"(?m)^\| (?!prod|---)(.*?) \| (copied.*?) \| (kept|failed) \| (kept|failed) \|$",
                          POLICIES.read_text().partition("## What production has changed")[2])
        self.assertEqual(len(rows), len(KEYS) - 1)
        document = {policy: [row[column] for row in rows]
                    for column, policy in enumerate(("overwrite", "keep", "fail"), 1)}
        for destination in buckets:
            destination.put("public/before", "production's")
        time.sleep(1.1)  # times are whole seconds

        self.interfere(overwrite)
        tool = self.sync(overwrite)
        self.assertEqual(self.told(tool, "Overwrote"), ["before"])
        self.assertEqual((tool.status["overwrittenFiles"], tool.status["keptFiles"]), (1, 0))
        self.assertEqual({overwrite.get(key) for key in KEYS}, {b"development's second"})
        self.assertEqual(tool.status["syncedFiles"], 6)
        self.assertEqual(document["overwrite"], ["copied and told", *["copied"] * 4])

        for destination, policy, code in ((keep, "keep", 0), (fail, "fail", 2)):
            self.interfere(destination)
            tool = self.sync(destination, "--conflict", policy, code=code)
            self.assertEqual(destination.get("public/a"), b"development's second")
            lost = {key for key in self.unguarded if destination.get(key) != b"production's"}
            kept = [key for key in KEYS[1:] if key not in lost]
            self.assertEqual([key for key in KEYS if destination.get(key) == b"production's"], kept)
            names = [key.removeprefix("public/") for key in kept]
            self.assertEqual(document[policy], ["kept" if policy == "keep" else "failed"] * 5)
            if policy == "keep":
                self.assertEqual(self.told(tool, "Kept"), names)
                self.assertEqual((tool.status["state"], tool.status["keptFiles"]), ("synced", len(kept)))
            else:
                self.assertEqual([e["file"] for e in tool.status["errors"]], kept)
                self.assertIn("setting conflict", tool.status["errors"][0]["error"])
        if self.tells_time:  # it stays production's, whatever has been synced since
            self.assertEqual(self.told(self.sync(keep, "--conflict=keep"), "Kept")[:1], ["before"])
            self.assertEqual(keep.get("public/before"), b"production's")


class OnDirectories(ConflictCase):
    tells_time = False

    def test_phases(self):
        self.check([self.dir_bucket() for _ in range(3)])

    def test_a_file_that_only_moved_is_not_changed_again(self):
        """What nobody has changed is synced, however often that was done before."""
        destination = self.dir_bucket()
        for number in range(5):
            self.source.put("public/a", f"{number}" * (number + 1))
            tool = self.sync(destination, "--conflict=keep")
            self.assertEqual((tool.status["syncedFiles"], tool.status["keptFiles"]), (1, 0))


class OnRgw(ConflictCase):
    def test_phases(self):
        self.check([self.s3_bucket() for _ in range(3)])


class BeforeRgw(TestCase):
    """Between the tool and the bucket that it writes to there is somebody who delays, and loses answers."""

    def setUp(self):
        super().setUp()
        self.source, self.destination = self.s3_bucket(), self.s3_bucket()
        self.proxied = self.proxy(self.destination.server.endpoint)
        self.env = {**production(self.source, self.destination), **self.destination.env("destination", self.proxied.endpoint),
                    "STORSYNC_DESTINATION_ALLOW_HTTP": "true", "STORSYNC_CONFLICT": "keep"}
        self.keys = [f"public/{n}" for n in range(8)]
        for key in self.keys:
            self.source.put(key, "first")
        self.succeed("--sync", env=self.env)
        time.sleep(1.1)
        for key in self.keys:
            self.source.put(key, "the second")
        self.proxied.clear()

    def check(self):
        self.assertEqual(self.tools[-1].status["syncedFiles"], 8)
        self.assertEqual({self.destination.get(key) for key in self.keys}, {b"the second"})

    def test_a_refusal_that_comes_late(self):
        """By then others know how this service wants a condition put. All have asked before the first is answered."""
        def writes(status=None):
            return [r for r in self.proxied.requests if r.method == "PUT" and "/public/" in r.target and status in (None, r.status)]

        late = "/public/[1357]$"
        self.proxied.fault(proxyfault.once(lambda: len(writes(200)) >= 4), method="PUT", target=late, times=4)
        self.proxied.fault(proxyfault.once(lambda: len(writes()) >= 8), method="PUT", target="/public/", times=4)
        self.succeed("--sync", env={**self.env, "STORSYNC_CONCURRENCY": "8"})
        self.check()
        self.assertTrue(all("if-match" in r.headers for r in writes()))
        self.assertEqual((len(writes(412)), len(writes(200))), (8, 8))

    def test_an_answer_that_is_lost(self):
        """What is there is looked at: it is what was sent, so it is not sent again."""
        lost = []

        def lose(x):
            if x.request.headers["if-match"].startswith('"') or x.request.target in lost:
                proxyfault.passthrough(x)
            else:
                lost.append(x.request.target)
                proxyfault.drop_answer(x)
        self.proxied.fault(lose, method="PUT", target="public/[0-3]$", times=proxyfault.FOREVER)
        self.succeed("--sync", env=self.env)
        self.check()
        self.assertEqual(len(lost), 4)
        sent = [r.target for r in self.proxied.requests if r.method == "PUT" and not r.headers.get("if-match", '"').startswith('"')]
        self.assertEqual(sorted(t for t in sent if t in lost), sorted(lost))


class OnRgwWithVersions(ConflictCase):
    """There it takes no notice of "only if there is none" either. What is lost is the version before."""
    unguarded = ("public/during", "public/new2")

    def test_phases(self):
        buckets = [self.s3_bucket() for _ in range(3)]
        for bucket in buckets:
            bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
        self.check(buckets)
        for bucket in buckets:
            for key in self.unguarded:
                versions = bucket.client.list_object_versions(Bucket=bucket.name, Prefix=key)["Versions"]
                bodies = [bucket.client.get_object(Bucket=bucket.name, Key=key, VersionId=v["VersionId"])["Body"].read()
                          for v in versions]
                self.assertIn(b"production's", bodies)


class OnGoogle(ConflictCase):
    def test_phases(self):
        server = GoogleStorage().start()
        self.addCleanup(server.stop)
        self.env = {"STORAGE_EMULATOR_HOST": server.endpoint}
        self.check([server.bucket(f"prod-bucket{number}") for number in range(3)])
