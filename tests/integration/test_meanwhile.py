"""keep_previous, and production does not stand still: what it makes, changes and removes while a sync is going on is overwritten
in no version but the one that was kept, so --rollback gives it back."""
import json
import re
import signal

import proxyfault
from gcs import GoogleStorage
from harness import RUN, TestCase, production

# One after the other, in this order. While "a" is read, production does to the "between" ones what they are called, so before
# they are kept; to each "during" one while that is read, so after it was looked at.
DEEDS = ("changed", "made", "removed")
BETWEEN = [f"public/between-{deed}" for deed in DEEDS]
DURING = [f"public/during-{deed}" for deed in DEEDS]
KEYS = ["public/a", *BETWEEN, *DURING, "public/z"]


class MeanwhileCase(TestCase):
    """The source is on RGW, behind a proxy, so that every copy is read through it."""

    keep = "copies"
    unguarded = ()  # where the service takes no condition, what happens after the last look stays unseen
    extra = {}

    def setUp(self):
        super().setUp()
        self.source = self.s3_bucket()
        self.proxied = self.proxy(self.source.server.endpoint)
        self.destination = self.make()
        for key in KEYS:
            self.source.put(key, f"development's {key}")
            if not key.endswith("-made"):
                self.destination.put(key, f"production's old {key}", **self.aged)
        self.env = {**production(self.source, self.destination), **self.source.env("source", self.proxied.endpoint),
                    "STORSYNC_SOURCE_ALLOW_HTTP": "true", "STORSYNC_KEEP_PREVIOUS": self.keep, "STORSYNC_CONCURRENCY": "1",
                    **self.extra}

    aged = {}

    def production_does(self, key, more=""):
        if key.endswith("-removed"):
            self.destination.remove(key)
        else:
            self.destination.put(key, f"production's new {key}{more}")

    def when_read(self, key, changed):
        def action(x):
            for other in changed:
                self.production_does(other)
            proxyfault.passthrough(x)
        self.proxied.fault(action, method="GET", target=re.escape(key) + r"(\?|$)")

    def interfere(self):
        self.when_read("public/a", BETWEEN)
        for key in DURING:
            self.when_read(key, [key])

    def there(self, key):
        return self.destination.get(key).decode() if key in self.destination.keys() else None

    def expected_back(self, key):
        if key.endswith(("-changed", "-made")):
            return f"production's new {key}"
        return None if key.endswith("-removed") else f"production's old {key}"


class Meanwhile:
    def test_what_happens_meanwhile_comes_back(self):
        self.interfere()
        tool = self.tool("--sync", env=self.env, timeout=60)
        self.assertEqual(tool.code, 0)
        self.assertEqual(tool.status["syncedFiles"], len(KEYS))
        self.assertEqual({key: self.there(key) for key in KEYS}, {key: f"development's {key}" for key in KEYS})
        seen = [key for key in BETWEEN + DURING if key not in self.unguarded and not key.endswith("-removed")]
        told = re.findall(r"Overwrote: (\S+) \(changed in production\)", tool.err)
        self.assertLessEqual({key.removeprefix("public/") for key in seen}, {*told})
        self.assertEqual(self.tool("--rollback", env=self.env, timeout=60).code, 0)
        back = [key for key in KEYS if key not in self.unguarded]
        self.assertEqual({key: self.there(key) for key in back}, {key: self.expected_back(key) for key in back})

    def test_what_changes_all_the_time_stays(self):
        changes = []

        def change(x):
            changes.append("!" * len(changes))
            self.production_does("public/during-changed", changes[-1])
            proxyfault.passthrough(x)
        self.proxied.fault(change, method="GET", target=r"public/during-changed(\?|$)", times=99)
        tool = self.tool("--sync", env=self.env, timeout=60)
        if "public/during-changed" in self.unguarded:
            self.assertEqual(tool.code, 0)
            return
        self.assertEqual(tool.code, 2)
        [told] = tool.status["errors"]
        self.assertEqual(told["file"], "public/during-changed")
        self.assertIn("it keeps changing in production", told["error"])
        self.assertEqual(len(changes), 4)
        self.assertEqual(self.there("public/during-changed"), "production's new public/during-changed!!!")
        self.assertEqual(self.tool("--rollback", env=self.env, timeout=60).code, 0)
        self.assertEqual(self.there("public/during-changed"), "production's new public/during-changed!!!")
        self.assertIsNone(self.there("public/during-made"))
        self.assertEqual(self.there("public/z"), "production's old public/z")

    def test_without_keep_previous_there_is_no_request_more(self):
        self.tool("--sync", env={**self.env, "STORSYNC_KEEP_PREVIOUS": "off"}, timeout=60)
        self.assertEqual([r for r in self.requests() if r.method == "HEAD" and "/public/" in r.path], [])
        self.assertEqual(self.destination.state("runs"), [])

    def requests(self):
        return []


def dies_at(place):
    def test(self):
        if not RUN.test_binary:
            self.skipTest("the binary has no places to crash at")
        self.interfere()
        env = {**self.env, "STORSYNC_LEASE_TTL": "3s"}
        self.tool("--sync", env={**env, "STORSYNC_CRASH_AT": place}, timeout=60, binary=RUN.test_binary)
        now = {key: self.there(key) for key in KEYS}
        self.assertEqual(self.tool("--rollback", env=env, timeout=60).code, 0)
        for key in KEYS:
            if key in self.unguarded:
                continue
            untouched = now[key] if now[key] != f"development's {key}" else self.expected_back(key)
            self.assertEqual(self.there(key), untouched)
        # And what is undone is done by the next deployment, whatever the journal of the one before has.
        self.proxied.clear()
        self.assertEqual(self.tool("--sync", env=env, timeout=60).code, 0)
        self.assertEqual({key: self.there(key) for key in KEYS}, {key: f"development's {key}" for key in KEYS})
    return test


for place in ("journaled", "kept", "replaced", "copying"):
    setattr(Meanwhile, f"test_dies_at_{place}", dies_at(place))


class OnDirectories(Meanwhile, MeanwhileCase):
    aged = {"age": 3600}

    def make(self):
        return self.dir_bucket()


class OnRgw(Meanwhile, MeanwhileCase):
    def make(self):
        self.mark = RUN.rgw(0).mark()
        return self.s3_bucket()

    def requests(self):
        return [r for r in self.destination.server.requests_since(self.mark) if f"/{self.destination.name}/" in r.path]


class OnRgwWithVersions(OnRgw):
    """There it judges no condition, so the last look has to do. What that does not see stays a version of the bucket's."""
    keep = "versions"
    unguarded = ("public/during-changed", "public/during-made", "public/during-removed")

    def make(self):
        bucket = super().make()
        bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
        return bucket

    def test_what_no_look_has_seen_is_a_version(self):
        self.interfere()
        self.assertEqual(self.tool("--sync", env=self.env, timeout=60).code, 0)
        for key in ("public/during-changed", "public/during-made"):
            versions = self.destination.client.list_object_versions(Bucket=self.destination.name, Prefix=key)["Versions"]
            bodies = [self.destination.client.get_object(Bucket=self.destination.name, Key=key, VersionId=v["VersionId"])["Body"].read()
                      for v in versions]
            self.assertIn(f"production's new {key}".encode(), bodies)


class OnGoogle(Meanwhile, MeanwhileCase):
    def make(self):
        server = GoogleStorage().start()
        self.addCleanup(server.stop)
        self.extra = {"STORAGE_EMULATOR_HOST": server.endpoint}
        return server.bucket("production-bucket")


class OnGoogleWithVersions(OnGoogle):
    keep = "versions"

    def make(self):
        bucket = super().make()
        bucket.versioning = True
        return bucket


class HeldCase(TestCase):
    """Between the tool and the bucket that it writes to there is somebody who holds requests."""

    copies = False  # inside the service: there is a window there, between look and copy

    def setUp(self):
        super().setUp()
        self.source, self.destination = self.s3_bucket(), self.s3_bucket()
        self.front = self.proxy(self.destination.server.endpoint)
        self.source.put("public/changed", "development's")
        self.source.put("public/made", "development's")
        self.destination.put("public/changed", "production's old one")
        source = self.source.env("source", self.front.endpoint) if self.copies else {}
        self.env = {**production(self.source, self.destination), **self.destination.env("destination", self.front.endpoint),
                    **source, "STORSYNC_DESTINATION_ALLOW_HTTP": "true", "STORSYNC_SOURCE_ALLOW_HTTP": "true",
                    "STORSYNC_KEEP_PREVIOUS": "copies", "STORSYNC_LEASE_TTL": "3s"}

    def body(self, key):
        return self.destination.get(key).decode() if key in self.destination.keys() else None

    def check(self, method, target, key, new="production's new one"):
        """When that is asked production changes the object: it is overwritten all the same, and comes back."""
        def change(x):
            if new is None:
                self.destination.remove(key)
            else:
                self.destination.put(key, new)
            proxyfault.passthrough(x)
        rule = self.front.fault(change, method=method, target=target)
        self.succeed("--sync", env=self.env)
        self.assertEqual(rule.done, 1)
        self.assertEqual({self.body(k) for k in ("public/changed", "public/made")}, {"development's"})
        self.succeed("--rollback", env=self.env)
        self.assertEqual(self.body(key), new)


class Windows:
    def test_before_it_is_kept(self):
        self.check("PUT", "/kept/", "public/changed")

    def test_removed_before_it_is_kept(self):
        self.check("PUT", "/kept/", "public/changed", None)

    def test_after_it_was_kept(self):
        self.check("HEAD", "public/changed$", "public/changed")

    def test_removed_after_it_was_kept(self):
        self.check("HEAD", "public/changed$", "public/changed", None)

    def test_made_before_the_look(self):
        self.check("HEAD", "public/made$", "public/made")


class InsideRgw(Windows, HeldCase):
    """RGW takes no condition for a copy: between the look and the copy there remains a moment."""

    copies = True


class BeforeRgw(Windows, HeldCase):
    def test_when_it_is_written(self):
        self.check("PUT", "public/changed$", "public/changed")

    def test_made_when_it_is_written(self):
        self.check("PUT", "public/made$", "public/made")

    def test_an_entry_that_cannot_be_replaced(self):
        """Then the object stays as production has it."""
        self.front.fault(proxyfault.answer(403, proxyfault.s3_error("AccessDenied"), {"Content-Type": "application/xml"}),
                         method="PUT", target="/again/")

        def change(x):
            self.destination.put("public/changed", "production's new one")
            proxyfault.passthrough(x)
        self.front.fault(change, method="HEAD", target="public/changed$")
        tool = self.tool("--sync", env=self.env)
        self.assertEqual(tool.code, 2)
        self.assertIn("its entry in the journal cannot be replaced (setting keep_previous)", tool.status["errors"][0]["error"])
        self.assertEqual((self.body("public/changed"), self.body("public/made")), ("production's new one", "development's"))
        self.succeed("--rollback", env=self.env)
        self.assertEqual((self.body("public/changed"), self.body("public/made")), ("production's new one", None))

    def test_a_newer_entry_that_is_not_understood(self):
        """Its object is left as it is; the others come back."""
        def change(x):
            self.destination.put("public/changed", "production's new one")
            proxyfault.passthrough(x)
        self.front.fault(change, method="HEAD", target="public/changed$")
        self.succeed("--sync", env=self.env)
        [again] = [key for key in self.destination.state("runs") if "/again/" in key]
        good = json.loads(self.destination.get(again))
        other = {**good["entries"][0], "key": "public/made"}
        for bad in (b"{", json.dumps({**good, "nonce": "another"}).encode(), json.dumps({**good, "entries": []}).encode(),
                    json.dumps({**good, "entries": [other]}).encode()):
            self.destination.put(again, bad)
            tool = self.tool("--rollback", env=self.env)
            self.assertEqual(tool.code, 2)
            self.assertIn("the newer entry in the journal", tool.status["errors"][0]["error"])
            self.assertEqual((self.body("public/changed"), self.body("public/made")), ("development's", None))
        self.destination.put(again, json.dumps(good))
        self.succeed("--rollback", env=self.env)
        self.assertEqual(self.body("public/changed"), "production's new one")

    def test_stopped_while_it_keeps(self):
        """Nothing is begun any more: what is there is what was there."""
        for how in ("signal", "deadline"):
            held = self.front.fault(proxyfault.delay(3 * RUN.slow), method="PUT", target="/kept/")
            more = {"STORSYNC_TIMEOUT": "1s"} if how == "deadline" else {}
            tool = self.start("--sync", env={**self.env, **more, "STORSYNC_CONCURRENCY": "1"})
            tool.wait_for(lambda: held.done)
            if how == "signal":
                tool.process.send_signal(signal.SIGTERM)
            tool.wait(20)
            self.assertEqual(tool.code, 143 if how == "signal" else 75)
            self.assertEqual((self.body("public/changed"), self.body("public/made")), ("production's old one", None))
            self.front.clear()
        self.succeed("--rollback", env=self.env)
        self.assertEqual((self.body("public/changed"), self.body("public/made")), ("production's old one", None))
        self.succeed("--sync", env=self.env)
        self.succeed("--rollback", env=self.env)
        self.assertEqual((self.body("public/changed"), self.body("public/made")), ("production's old one", None))

    def test_a_rollback_that_is_stopped(self):
        """And typed again: it ends where it would have ended."""
        for method, target in (("HEAD", "public/changed$"), ("HEAD", "/kept/"), ("PUT", "public/changed$"),
                               ("DELETE", "public/made$")):
            self.succeed("--sync", env=self.env)
            held = self.front.fault(proxyfault.delay(3 * RUN.slow), method=method, target=target)
            tool = self.start("--rollback", env=self.env)
            tool.wait_for(lambda held=held: held.done)
            tool.process.send_signal(signal.SIGTERM)
            self.assertEqual(tool.wait(20).code, 143)
            self.assertIn(self.body("public/changed"), ("development's", "production's old one"))
            self.front.clear()
            self.succeed("--rollback", env=self.env)
            self.assertEqual((self.body("public/changed"), self.body("public/made")), ("production's old one", None))

    def test_what_changes_when_a_rollback_removes_it(self):
        """Where the service has that condition; and where it refuses whatever there is, the look before it has to do."""
        for changes in (True, False):
            self.succeed("--sync", env=self.env)

            def refuse(x, changes=changes):
                if "if-match" not in x.request.headers:
                    proxyfault.passthrough(x)
                    return
                if changes:
                    self.destination.put("public/made", "production's newest one")
                x.drain()
                x.reply(412)
            self.front.fault(refuse, method="DELETE", target="public/made$", times=9)
            tool = self.succeed("--rollback", env=self.env)
            self.assertEqual(self.body("public/made"), "production's newest one" if changes else None)
            self.assertEqual("Kept: public/made (changed in production)" in tool.err, changes)
            self.assertEqual(self.body("public/changed"), "production's old one")
            self.front.clear()
            self.destination.remove("public/made")

    def test_what_was_removed_but_not_kept(self):
        """It is kept before it is removed: so it was production that has removed it."""
        self.destination.put("public/extra", "production's extra one")
        self.destination.put("public/extra2", "production's extra one, too")
        self.succeed("--sync", env={**self.env, "STORSYNC_DELETE": "extra", "STORSYNC_MAX_DELETE": "2"})
        self.assertEqual((self.body("public/extra"), self.body("public/extra2")), (None, None))
        chunks = [key for key in self.destination.state("runs") if "/chunk-" in key]
        entries = [entry for key in chunks for entry in json.loads(self.destination.get(key))["entries"]]
        [number] = [entry["n"] for entry in entries if entry["key"] == "public/extra"]
        [kept] = [key for key in self.destination.state("runs") if key.endswith(f"/kept/{number:012}")]
        self.destination.remove(kept)
        tool = self.succeed("--rollback", env=self.env)
        self.assertIn("Kept: public/extra (changed in production)", tool.err)
        self.assertEqual((self.body("public/extra"), self.body("public/extra2")), (None, "production's extra one, too"))
