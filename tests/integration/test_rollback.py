"""keep_previous, --runs and --rollback: whatever became of a sync, what it has changed comes back, and what production has
changed since stays. The buckets are looked at by others than the tool: boto3, or as files."""
import json
import os
import re
import time

import data
from gcs import GoogleStorage
from harness import JOB, RUN, TestCase, production
from proxyfault import answer, edit_body, s3_error

PREFIXES = ("public/", "private/", "other/")
# Places at which a sync dies ...
IN_SYNC = ("lease-created", "journaling", "journaled", "kept", "copying", "journal-end", "before-marker", "after-marker",
           "before-release")
# ... and a rollback.
IN_ROLLBACK = ("lease-created", "undoing", "undone", "undone-told", "before-release")
QUIET = 4.2  # s after a sync in which what is written counts as the sync's (LEASE_CLOCK_MARGIN, and whole seconds)


class RollbackCase(TestCase):
    keep = "copies"
    extra = {}

    def make(self, side):
        raise NotImplementedError

    def setUp(self):
        super().setUp()
        self.source, self.destination = self.make("source"), self.make("destination")
        self.env = production(self.source, self.destination, "d1", STORSYNC_KEEP_PREVIOUS=self.keep,
                              STORSYNC_LEASE_TTL="3s", STORSYNC_MIN_INTERVAL="0s", **self.extra)
        self.fill()

    def fill(self):
        for number in range(8):
            self.put(self.destination, f"public/changed{number}", f"production's {number}", number)
            self.put(self.source, f"public/changed{number}", f"development's other {number}", number + 1)
            self.put(self.source, f"public/new/{number}", f"new {number}", number)
        self.put(self.destination, "public/extra", "only here", 1)
        self.put(self.destination, "other/x", "of nobody", 2)
        self.before = self.look()

    def put(self, bucket, key, body, number):
        bucket.put(key, body)

    def look(self):
        raise NotImplementedError

    def run_tool(self, *args, crash=None, code=0, **env):
        how = {"binary": RUN.test_binary} if crash else {}
        tool = self.tool(*args, env={**self.env, **env, **({"STORSYNC_CRASH_AT": crash} if crash else {})}, timeout=60, **how)
        if crash is None:
            self.assertEqual(tool.code, code)
        return tool

    def runs(self):
        return json.loads(self.run_tool("--runs", "--json").out)["runs"]

    def check_same(self, expected, changed=()):
        now = self.look()
        for key in changed:
            now.pop(key, None)
        self.assertEqual(data.differences({k: v for k, v in expected.items() if k not in changed}, now), [])


class Rollback:
    """What holds whatever the buckets are."""

    def test_there_and_back(self):
        self.assertEqual(self.runs(), [])
        tool = self.run_tool()
        self.assertIn("can be undone with --rollback: 8 created, 8 overwritten, 0 deleted", tool.err)
        [run] = self.runs()
        self.assertEqual((run["state"], run["created"], run["overwritten"], run["deploymentId"], run["canRollBack"]),
                         ("synced", 8, 8, "d1", True))
        self.assertEqual(run["bytesKept"], 8 * len("production's 0"))
        self.assertNotEqual(self.look(), self.before)
        tool = self.run_tool("--rollback")
        self.assertEqual((tool.status["state"], tool.status["syncedFiles"], tool.status["mode"]), ("rolled-back", 16, "rollback"))
        self.check_same(self.before)
        # The same deployment does not sync again, another one does, and the rollback itself cannot be undone.
        self.assertEqual(self.run_tool().status["state"], "already-synced")
        self.assertEqual([run["state"] for run in self.runs()], ["rolled-back"])
        self.assertIn("no sync can be rolled back", self.run_tool("--rollback", code=69).err)
        self.assertIn("is rolled back already", self.run_tool("--rollback", str(run["run"]), code=69).err)
        self.assertEqual(self.run_tool(STORSYNC_DEPLOYMENT_ID="d2").status["state"], "synced")

    def test_a_sync_that_changes_nothing_writes_no_journal(self):
        self.run_tool()
        before = self.destination.state("runs")
        self.run_tool("--sync")
        self.assertEqual(self.destination.state("runs"), before)

    def test_several_runs_back(self):
        self.run_tool()
        between = self.look()
        self.put(self.source, "public/changed0", "development's third version", 3)
        self.put(self.source, "public/new/9", "later", 3)
        self.run_tool("--sync")
        second, first = (run["run"] for run in self.runs())
        self.run_tool("--rollback")
        self.check_same(between)
        self.run_tool("--rollback")
        self.check_same(self.before)
        self.assertEqual({run["state"] for run in self.runs()}, {"rolled-back"})
        self.assertLess(first, second)

    def test_all_back_to_a_run(self):
        self.run_tool()
        self.put(self.source, "public/changed0", "development's third version", 3)
        self.put(self.source, "public/new/9", "later", 3)
        self.run_tool("--sync")
        self.run_tool("--rollback", str(self.runs()[-1]["run"]))
        self.check_same(self.before)
        self.assertIn("no journal of run 999", self.run_tool("--rollback", "999", code=69).err)

    def test_what_production_changed_since_stays_and_is_told(self):
        self.run_tool()
        time.sleep(QUIET)
        self.put(self.destination, "public/changed1", "production's newest", 5)
        self.put(self.destination, "public/new/1", "production's own", 5)
        self.destination.remove("public/changed2")
        changed = self.look()
        tool = self.run_tool("--rollback")
        for key in ("changed1", "new/1", "changed2"):
            self.assertIn(f"Kept: public/{key} (changed in production)", tool.err)
        self.assertEqual((tool.status["keptFiles"], tool.status["syncedFiles"]), (3, 13))
        self.check_same(self.before, ("public/changed1", "public/changed2", "public/new/1"))
        now = self.look()
        for key in ("public/changed1", "public/new/1"):
            self.assertEqual(now[key], changed[key])
        self.assertNotIn("public/changed2", now)

    def pass_time(self):
        """Until what is written is not the last sync's any more."""
        time.sleep(QUIET)

    def test_what_production_changed_between_two_runs(self):
        """It comes back, and stays when the older run is undone: by its hash, or its time, it is not what that wrote."""
        self.run_tool()
        self.pass_time()
        self.put(self.destination, "public/changed0", "production's other 0, too", 5)
        self.put(self.destination, "public/changed1", "production's new n other 1"[:len("development's other 1")], 5)
        between = self.look()
        self.pass_time()
        self.put(self.source, "public/changed0", "development's third version, longer", 6)
        self.put(self.source, "public/changed1", "development's third version, longer", 6)
        self.run_tool("--sync")
        tool = self.run_tool("--rollback", str(self.runs()[-1]["run"]))
        self.assertEqual(tool.err.count("(changed in production)"), 2)
        keys = ("public/changed0", "public/changed1")
        self.check_same({**self.before, **{key: between[key] for key in keys}})

    def sync_with_deletion(self, **how):
        """Of what only production has, two go."""
        self.put(self.destination, "public/extra2", "only here, too", 6)
        self.before = self.look()
        return self.run_tool(STORSYNC_DELETE="extra", STORSYNC_MAX_DELETE="2", **how)

    def test_what_was_removed_comes_back(self):
        tool = self.sync_with_deletion()
        self.assertEqual(tool.status["deletedFiles"], 2)
        self.assertFalse({"public/extra", "public/extra2"} & {*self.look()})
        [run] = self.runs()
        self.assertEqual((run["created"], run["overwritten"], run["deleted"]), (8, 8, 2))
        tool = self.run_tool("--rollback")
        self.assertEqual((tool.status["syncedFiles"], tool.status["keptFiles"]), (18, 0))
        self.check_same(self.before)

    def test_what_was_removed_and_made_again_stays(self):
        self.sync_with_deletion()
        time.sleep(QUIET)
        self.put(self.destination, "public/extra", "made again by production", 3)
        made = self.look()["public/extra"]
        tool = self.run_tool("--rollback")
        self.assertIn("Kept: public/extra (changed in production)", tool.err)
        self.assertEqual(self.look()["public/extra"], made)
        self.check_same(self.before, ("public/extra",))

    def test_dies_while_it_removes(self):
        if not RUN.test_binary:
            self.skipTest("the binary has no places to crash at")
        self.sync_with_deletion(crash="removing", STORSYNC_CONCURRENCY="1")
        self.assertEqual(len({"public/extra", "public/extra2"} & {*self.look()}), 1)
        self.run_tool("--rollback", crash="undoing")
        self.run_tool("--rollback")
        self.check_same(self.before)

    def test_keys_that_fill_a_chunk(self):
        """By their bytes, long before there are 500 entries: the journal goes on in the next one, and so does the way back."""
        keys = [f"public/{number:03}" + f"/{'é' * 110}" * 4 for number in range(100)]
        for number, key in enumerate(keys):
            self.put(self.source, key, f"development's {number}", 5)
            if number % 2:
                self.put(self.destination, key, f"production's own {number}", 4)
        self.before = self.look()
        if RUN.test_binary:
            self.run_tool(crash="copying", STORSYNC_CONCURRENCY="2")
            self.run_tool("--rollback")
            self.check_same(self.before)
        self.run_tool(STORSYNC_DEPLOYMENT_ID="d2")
        written = [key for key in self.destination.keys(".storsync/") if "/chunk-" in key]
        newest = max(key.split("/")[3] for key in written)
        chunks = [self.destination.get(key) for key in written if f"/{newest}/" in key]
        self.assertTrue(240 << 10 < max(map(len, chunks)) < 256 << 10)
        self.assertEqual([e["n"] for chunk in chunks for e in json.loads(chunk)["entries"]], [*range(1, len(keys) + 16 + 1)])
        for key in keys:
            self.assertEqual(self.destination.get(key), self.source.get(key))
        if RUN.test_binary:
            self.run_tool("--rollback", crash="undoing")
        self.run_tool("--rollback")
        self.check_same(self.before)

    def test_a_lease_that_somebody_has_removed(self):
        """Its epochs begin anew, and the runs do not: what the older ones have kept stays, and the newest is undone first."""
        self.run_tool()
        first = self.look()
        self.put(self.source, "public/changed0", "development's third version", 3)
        self.run_tool("--sync")
        second = self.look()
        old = [run["run"] for run in self.runs()]
        for key in self.destination.keys(".storsync/"):
            if "/lease/" in key or f"/{min(old):016}/" in key:
                self.destination.remove(key)
        self.put(self.source, "public/changed0", "development's fourth version, longer", 5)
        self.put(self.source, "public/changed1", "and this one, too", 5)
        self.run_tool("--sync", STORSYNC_RUNS_KEPT="1")
        self.assertIn("the lease began anew", self.tools[-1].err)
        self.assertEqual([run["run"] for run in self.runs()], [max(old) + 1])
        self.run_tool("--rollback")
        self.check_same(second)
        self.put(self.source, "public/changed2", "the fifth", 7)
        self.run_tool("--sync")
        self.assertEqual([run["run"] for run in self.runs()], [max(old) + 2, max(old) + 1])
        self.run_tool("--rollback")
        self.check_same(second)
        self.assertNotEqual(first, second)

    def test_runs_kept(self):
        for number in range(4):
            self.put(self.source, "public/changed0", f"version {number}" + "." * number, number)
            self.run_tool("--sync", STORSYNC_RUNS_KEPT="2")
        self.assertRegex(self.tools[-1].err, r"1 older run with \d[^ ]* [KM]?B can no longer be rolled back")
        self.assertEqual(len(self.runs()), 2)
        self.assertEqual(len({key.split("/")[3] for key in self.destination.keys(".storsync/") if "/runs/" in key}), 2)

    def test_what_is_not_understood_is_told_and_left(self):
        self.run_tool()
        chunk = next(key for key in self.destination.keys(".storsync/") if "/chunk-" in key)
        run = next(key for key in self.destination.keys(".storsync/") if key.endswith("/run.json"))
        after = self.look()
        good = self.destination.get(chunk)
        for bad in (b"{", b"\0" * 300, json.dumps({**json.loads(good), "schema": 2}).encode(), b"x" * 300_000):
            self.destination.put(chunk, bad)
            tool = self.run_tool("--rollback", code=69)
            self.assertIn("chunk 1 of the journal", tool.status["message"])
            self.check_same(after)
        self.destination.put(run, b"[]")
        self.assertFalse(self.runs()[0]["canRollBack"])
        self.assertIn("is no journal that this version understands", self.run_tool("--rollback", code=69).err)
        self.check_same(after)

    def test_dry_run(self):
        self.run_tool("--sync", "--dry-run")
        self.assertEqual(self.destination.state("runs"), [])
        self.run_tool()
        self.assertIn("cannot be tried", self.run_tool("--rollback", "--dry-run", code=78).err)


def dies_in_sync(place):
    def test(self):
        if not RUN.test_binary:
            self.skipTest("the binary has no places to crash at")
        self.run_tool(crash=place)
        journal = any("/chunk-" in key for key in self.destination.keys(".storsync/"))
        tool = self.run_tool("--rollback", code=0 if journal else 69)
        self.check_same(self.before)
        if journal:
            self.assertEqual(self.run_tool().status["state"], "already-synced")
            self.run_tool(STORSYNC_DEPLOYMENT_ID="d2")
        else:
            self.assertIn("no sync can be rolled back", tool.err)
    return test


def dies_in_rollback(place):
    def test(self):
        if not RUN.test_binary:
            self.skipTest("the binary has no places to crash at")
        self.run_tool()
        self.run_tool("--rollback", crash=place)
        if place == "undoing":  # what was under way may have been done all the same: then this one comes to its end
            self.run_tool("--rollback", crash=place)
        done = self.runs()[0]["state"] == "rolled-back"
        self.run_tool("--rollback", code=69 if done else 0)
        self.check_same(self.before)
        self.assertEqual(self.runs()[0]["state"], "rolled-back")
        self.assertEqual(self.run_tool().status["state"], "already-synced")
    return test


for place in IN_SYNC:
    setattr(Rollback, f"test_dies_in_sync_at_{place.replace('-', '_')}", dies_in_sync(place))
for place in IN_ROLLBACK:
    setattr(Rollback, f"test_dies_in_rollback_at_{place.replace('-', '_')}", dies_in_rollback(place))


class OnDirectories(Rollback, RollbackCase):
    def make(self, side):
        return self.dir_bucket()

    def put(self, bucket, key, body, number):
        path = bucket.put(key, body)
        path.chmod((0o644, 0o600)[number % 2])
        os.utime(path, ns=(1_600_000_000_123_000_000 + 10**10 * number,) * 2)

    def look(self):
        found = {}
        for key, body in self.destination.contents().items():
            status = (self.destination.root / key).stat()
            found[key] = {"body": body, "time": status.st_mtime_ns, "mode": status.st_mode}
        return found

    def test_more_runs_than_are_looked_at(self):
        """The newest of them are; what is older goes at the end of the next clean run and the one after."""
        self.run_tool()
        [run] = self.runs()
        runs, last = self.destination.root / ".storsync" / JOB / "runs", run["run"] + 1050
        document = json.loads((runs / f"{run['run']:016}/run.json").read_text())
        for number in range(run["run"] + 1, last + 1):
            (runs / f"{number:016}").mkdir()
            (runs / f"{number:016}/run.json").write_text(json.dumps({**document, "run": number}))
        self.assertEqual([run["run"] for run in self.runs()], [*range(last, last - 1000, -1)])
        self.put(self.source, "public/changed0", "development's third version", 3)
        for left in ([*range(run["run"], run["run"] + 52), last, last + 1], [last + 1, last + 2]):
            self.run_tool("--sync", STORSYNC_RUNS_KEPT="2")
            self.assertEqual(sorted(int(path.parent.name) for path in runs.glob("*/run.json")), left)
            self.put(self.source, "public/changed0", "development's fourth version", 4)

    def test_no_room_for_the_journal(self):
        """Without an entry nothing is touched."""
        space = self.mounts(f"mount -t tmpfs -o size=512k tmpfs '{self.destination.root}'")
        root = space.path(self.destination.root)
        changed = root / "public/changed0"
        changed.parent.mkdir()
        changed.write_text("production's")
        os.utime(changed, (1, 1))
        for number in range(1000):
            self.source.put(f"public/new/{number}-{'k' * 200}", "")
        with open(root / "fill", "wb") as fill:
            fill.truncate(400 << 10)
            os.posix_fallocate(fill.fileno(), 0, 400 << 10)
        tool = self.tool("--sync", env=self.env, prefix=space.prefix, timeout=60)
        self.assertEqual(tool.code, 69)
        self.assertIn("the journal cannot be written, without which nothing is changed (setting keep_previous)", tool.err)
        self.assertEqual([*(root / "public").rglob("*")], [changed])
        self.assertEqual(changed.read_text(), "production's")


class OnRgw(Rollback, RollbackCase):
    def make(self, side):
        return self.s3_bucket()

    def put(self, bucket, key, body, number):
        bucket.put(key, body, **data.metadata(number), Tagging=f"number={number}&of={key[:6]}")

    def look(self):
        return {key: {**facts, "tags": self.tags(key)}
                for key, facts in data.snapshot(self.destination, PREFIXES).items()}

    def tags(self, key):
        answer = self.destination.client.get_object_tagging(Bucket=self.destination.name, Key=key)
        return sorted((tag["Key"], tag["Value"]) for tag in answer["TagSet"])


    def put_in_parts(self, bucket, key, *parts):
        """Its ETag is no hash of its content."""
        client, name = bucket.client, {"Bucket": bucket.name, "Key": key}
        upload = {**name, "UploadId": client.create_multipart_upload(**name)["UploadId"]}
        tags = [client.upload_part(**upload, PartNumber=number, Body=part)["ETag"] for number, part in enumerate(parts, 1)]
        client.complete_multipart_upload(**upload, MultipartUpload={"Parts": [
            {"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]})

    def test_what_no_hash_tells_apart(self):
        """Production has put something of the same size in the place of what a sync wrote; the next one has overwritten that."""
        key, size = "public/parts", 5 << 20
        self.put_in_parts(self.source, key, b"1" * size, b"end")
        self.run_tool()
        time.sleep(QUIET)
        self.put_in_parts(self.destination, key, b"p" * size, b"own")
        between = self.look()
        time.sleep(QUIET)
        self.put_in_parts(self.source, key, b"2" * size, b"end")
        self.run_tool("--sync")
        first = self.runs()[-1]["run"]
        tool = self.run_tool("--rollback", str(first), code=2)
        self.assertIn("older runs are not rolled back", tool.status["message"])
        self.check_same(between)
        self.assertEqual([run["state"] for run in self.runs()], ["rolled-back", "synced"])
        if self.keep == "copies":
            self.assertTrue(any("/kept/" in key for key in self.destination.keys(".storsync/")))
        self.run_tool("--rollback", str(first))
        self.check_same(self.before)


class OnGoogle(Rollback, RollbackCase):
    def make(self, side):
        if not self.extra:
            self.server = GoogleStorage().start()
            self.addCleanup(self.server.stop)
            self.extra = {"STORAGE_EMULATOR_HOST": self.server.endpoint}
        return self.server.bucket(f"{side}-bucket")

    def look(self):
        return data.snapshot(self.destination, PREFIXES)

    def pass_time(self):
        self.server.ahead += 10


    def test_a_large_run_is_not_listed_wholly(self):
        self.run_tool()
        [run] = self.runs()
        for number in range(100, 4100):
            self.destination.put(f".storsync/{JOB}/runs/{run['run']:016}/kept/{number:012}", b"x")
        self.put(self.source, "public/changed0", "development's third version", 3)
        self.run_tool("--sync")
        mark = self.server.mark()
        self.assertEqual([run["run"] for run in self.runs()], [run["run"] + 1, run["run"]])
        listings = [r for r in self.server.requests_since(mark) if "prefix=" in r.target and "runs" in r.target]
        self.assertLess(len(listings), 5, "all of it are five pages")


class OnRgwWithVersions(OnRgw):
    """The bucket keeps versions itself."""
    keep = "versions"

    def make(self, side):
        bucket = self.s3_bucket()
        if side == "destination":
            bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
        return bucket

    def test_keeps_nothing_below_the_run(self):
        self.run_tool()
        self.assertFalse(any("/kept/" in key for key in self.destination.keys(".storsync/")))

    def test_a_version_that_is_gone_is_told(self):
        self.run_tool()
        after = self.look()
        for version in self.destination.client.list_object_versions(Bucket=self.destination.name, Prefix="public/changed0")["Versions"]:
            if not version["IsLatest"]:
                self.destination.client.delete_object(Bucket=self.destination.name, Key="public/changed0", VersionId=version["VersionId"])
        tool = self.run_tool("--rollback", code=2)
        self.assertIn("the bucket has that version of it no longer", tool.status["errors"][0]["error"])
        self.check_same({**self.before, "public/changed0": after["public/changed0"]})

    @staticmethod
    def swap_versions(match):
        """Of a listing: the two before the present one have each other's name."""
        names = re.findall(rb"<VersionId>[^<]*</VersionId>", match[0])
        names[1], names[2] = names[2], names[1]
        return re.sub(rb"<VersionId>[^<]*</VersionId>", lambda _: names.pop(0), match[0])

    def test_a_listing_that_lies(self):
        """What it calls a version is another one, of the same size: nothing is put back then, and it is told."""
        keys = ("public/changed0", "public/parts")
        for letter in "zy":
            self.put(self.destination, keys[0], f"production's {letter}", 1)
            self.put_in_parts(self.destination, keys[1], letter.encode() * (5 << 20), b"end")
        self.put(self.source, keys[1], "development's", 1)
        self.before = self.look()
        self.run_tool()
        after = self.look()
        proxied = self.proxy(self.destination.server.endpoint)
        lie = edit_body(rb"(?s)\A.+\Z", self.swap_versions)
        for key in keys:
            proxied.fault(lie, method="GET", target=rf"prefix={key.replace('/', '%2F')}&versions=")
        tool = self.run_tool("--rollback", code=2, **self.destination.env("destination", proxied.endpoint),
                             STORSYNC_DESTINATION_ALLOW_HTTP="true")
        self.assertEqual({e["file"]: "another version" in e["error"] for e in tool.status["errors"]}, dict.fromkeys(keys, True))
        self.assertEqual(tool.status["syncedFiles"], 15)
        self.check_same({**self.before, **{key: after[key] for key in keys}})
        self.run_tool("--rollback")
        self.check_same(self.before)

    def test_without_versioning_nothing_is_touched(self):
        self.destination.client.put_bucket_versioning(Bucket=self.destination.name, VersioningConfiguration={"Status": "Suspended"})
        tool = self.run_tool("--sync", code=69)
        self.assertIn("the bucket keeps no versions: turn versioning on, or set keep_previous = copies", tool.err)
        self.check_same(self.before)
        self.assertEqual(self.destination.state("runs"), [])


class OnGoogleWithVersions(OnGoogle):
    keep = "versions"

    def make(self, side):
        bucket = super().make(side)
        bucket.versioning = side == "destination"
        return bucket

    def test_a_service_that_answers_with_another_version(self):
        self.put(self.destination, "public/changed0", "production's z", 1)
        self.put(self.destination, "public/changed0", "production's 0", 1)
        self.before = self.look()
        self.run_tool()
        after = self.look()
        (_, older), (_, wanted) = sorted(version for version in self.destination.past if version[0] == "public/changed0")[-2:]
        with self.server.lock:
            right = self.destination.past["public/changed0", wanted]
            self.destination.past["public/changed0", wanted] = self.destination.past["public/changed0", older]
        tool = self.run_tool("--rollback", code=2)
        self.assertIn("about another version", tool.status["errors"][0]["error"])
        self.check_same({**self.before, "public/changed0": after["public/changed0"]})
        self.destination.past["public/changed0", wanted] = right
        self.run_tool("--rollback")
        self.check_same(self.before)

    def test_without_versioning_nothing_is_touched(self):
        self.destination.versioning = False
        self.assertIn("the bucket keeps no versions: turn versioning on", self.run_tool("--sync", code=69).err)
        self.check_same(self.before)
        self.destination.versioning = True
        self.destination.denied = {"storage.buckets.get"}
        tool = self.run_tool("--sync", code=77)
        self.assertIn("nothing is changed (setting keep_previous)", tool.err)
        self.assertIn("storage.buckets.get", tool.err)
        self.check_same(self.before)


class Journal(TestCase):
    """Between the tool and RGW there is somebody who forbids, and counts."""

    def setUp(self):
        super().setUp()
        self.source, self.destination = self.s3_bucket(), self.s3_bucket()
        self.proxied = self.proxy(self.destination.server.endpoint)
        self.env = {**production(self.source, self.destination, STORSYNC_KEEP_PREVIOUS="copies"),
                    **self.destination.env("destination", self.proxied.endpoint), "STORSYNC_DESTINATION_ALLOW_HTTP": "true"}
        for number in range(5):
            self.destination.put(f"public/{number}", "production's")
            self.source.put(f"public/{number}", "development's, longer")

    def test_without_the_right_to_write_it_nothing_is_touched(self):
        self.proxied.fault(answer(403, s3_error("AccessDenied"), {"Content-Type": "application/xml"}), method="PUT",
                           target=r"/runs/")
        tool = self.tool("--sync", env=self.env)
        self.assertEqual(tool.code, 77)
        self.assertIn("the journal cannot be written, without which nothing is changed (setting keep_previous)", tool.err)
        self.assertEqual({self.destination.get(f"public/{n}") for n in range(5)}, {b"production's"})

    def test_one_replica_of_ten_writes_one(self):
        replicas = [self.start(env={**self.env, "STORSYNC_STATUS_FILE": str(self.dir / f"status{n}")}) for n in range(10)]
        for replica in replicas:
            self.assertEqual(replica.wait(60).code, 0)
        self.assertEqual(len({key.split("/")[3] for key in self.destination.state("runs")}), 1)
        self.succeed("--rollback", env=self.env)
        self.assertEqual({self.destination.get(f"public/{n}") for n in range(5)}, {b"production's"})
