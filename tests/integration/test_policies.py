"""The tables of docs/POLICIES.md, row by row: "An object", what a sync does, and what a plan says of it before; and what
becomes of what only production has. (test_conflicts.py does the one of what production has changed.)"""
import datetime
import json
import os
import re
import time
from pathlib import Path

import proxyfault
from gcs import GoogleStorage
from harness import TestCase, production

PAGE = Path(__file__).resolve().parents[2] / "docs" / "POLICIES.md"
DASH = "—"
QUIET = 4.2  # s after a sync in which what is written counts as the sync's
FIRST = "public/00-first"  # read before all others: what happens in the run happens then


class Case:
    """`before`: both have it from an earlier sync. What is written after that: by development, by production, by
    development again; None: nothing. `during` is what development does in the run."""

    def __init__(self, before=None, dev=None, prod=None, last=None, **how):
        self.before, self.dev, self.prod, self.last = before, dev, prod, last
        self.removed, self.meta, self.later = how.get("removed"), how.get("meta"), how.get("later")
        self.suffix, self.during, self.denied = how.get("suffix", ""), how.get("during"), how.get("denied")


CASES = {
    ("has it", "has not"): Case(dev="dev"),
    ("has not", "has it: a user's upload"): Case(prod="upload"),
    ("has deleted it", "has the old copy"): Case("old", removed=True),
    ("has changed it", "has the old copy"): Case("old", dev="DEV"),
    ("has changed its metadata alone", "has the old copy"): Case("old", dev="old", meta="changed"),
    ("has not changed it", "has the old copy"): Case("old"),
    ("has not changed it", "has changed it, and its size"): Case("old", prod="upload"),
    ("has not changed it", "has changed it, same size"): Case("old", prod="new"),
    ("has not changed it", "has changed it, same size, more than ten minutes later than development's"):
        Case("old", prod="new", later=True),
    ("has changed it, first", "has changed it, same size, then"): Case("old", dev="DEV", prod="new"),
    ("has changed it, last", "has changed it, before that"): Case("old", prod="upload", last="DEV"),
    ("has it, and a filter leaves it out", "has not"): Case(dev="dev", suffix=".tmp"),
    ("has it, and a filter leaves it out", "has another one"): Case(dev="dev", prod="upload", suffix=".tmp"),
    ("removes it in the run, before its turn", "has not"): Case(dev="dev", during="remove"),
    ("replaces it in the run, before its turn", "has not"): Case(dev="dev", during="replace"),
    ("replaces it while it is copied", "has not"): Case(dev="dev", during="in the copy"),
    ("has it, and it may not be read", "has not"): Case(dev="dev", denied=True),
    ("has it, and it may not be read", "has another one"): Case(dev="dev", prod="upload", denied=True),
}
FOLDER = ("has a folder that may not be read", "has another one in it")


def table():
    """{(development, production): [word of each column]}"""
    section = PAGE.read_text().split("## An object\n")[1].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("|")]
    assert rows[0] == ["development", "production", "in a directory", "in S3", "at Google"], rows[0]
    assert len({(row[0], row[1]) for row in rows[2:]}) == len(rows) - 2, "no row is there twice"
    return {(row[0], row[1]): row[2:] for row in rows[2:]}


class PolicyCase(TestCase):
    column = 0

    def destination(self):
        return self.dir_bucket()

    def setUp(self):
        super().setUp()
        self.source, self.into = self.s3_bucket(), self.destination()
        self.proxied = self.proxy(self.source.server.endpoint)
        self.keys = {case: f"public/{number:02}-case{CASES[case].suffix}" for number, case in enumerate(CASES, 1)}
        self.env = {}

    def sync(self, *args, code=0):
        env = {**production(self.source, self.into), **self.source.env("source", self.proxied.endpoint),
               "STORSYNC_SOURCE_ALLOW_HTTP": "true", "STORSYNC_CONCURRENCY": "1", "STORSYNC_EXCLUDE": "*.tmp",
               "STORSYNC_DESTINATION_ALLOW_HTTP": "true", "PUBLIC_OBJECT_SEARCH_PATHS": "/b/public", **self.env}
        tool = self.tool("--sync", "--log-format=json", "--log-level=debug", *args, env=env)
        self.assertEqual(tool.code, code)
        return tool

    def each(self):
        return [(self.keys[case], how) for case, how in CASES.items()]

    def has(self, key):
        return self.into.get(key) if key in self.into.keys("public/") else None

    # What both sides do.

    def prepare(self):
        self.source.put(FIRST, "first")
        for key, how in self.each():
            if how.before:
                self.source.put(key, how.before)
        self.sync()
        time.sleep(1.1)  # in S3 times are whole seconds
        self.source.put(FIRST, "first, changed")
        for key, how in self.each():
            if how.removed:
                self.source.remove(key)
            if how.dev:
                self.source.put(key, how.dev, Metadata={"is": how.meta or "new"})
        time.sleep(1.1)
        for key, how in self.each():
            if how.prod:
                self.into.put(key, how.prod)
            if how.later:
                self.make_later(key)
        time.sleep(1.1)
        for key, how in self.each():
            if how.last:
                self.source.put(key, how.last)

    def make_later(self, key):
        """Its time in production's listing is an hour more."""
        os.utime(self.into.root / key, (time.time() + 3600,) * 2)

    def interfere(self):
        def before_its_turn(x):
            for key, how in self.each():
                if how.during == "remove":
                    self.source.remove(key)
                if how.during == "replace":
                    self.source.put(key, "replaced")
            proxyfault.passthrough(x)

        def in_the_copy(key):
            def action(x):
                x.forward()
                self.source.put(key, "replaced")
                x.relay()
            return action

        self.proxied.fault(before_its_turn, method="GET", target=re.escape(FIRST) + r"(\?|$)")
        for key, how in self.each():
            target = re.escape(key) + r"(\?|$)"
            if how.during == "in the copy":
                self.proxied.fault(in_the_copy(key), method="GET", target=target)
            if how.denied:
                self.proxied.fault(proxyfault.answer(403, proxyfault.s3_error("AccessDenied")), target=target, times=100)

    # What is made of it.

    def planned(self):
        """Of what a plan can know."""
        plan = self.dir / "plan"
        self.sync("--dry-run", "--plan", str(plan), "--plan-format", "json-all")
        fates = {o["key"]: o["action"] for o in map(json.loads, plan.read_text().splitlines()) if o["type"] == "object"}
        words = {"create": "copied", "overwrite": "copied", "metadata": "copied", "keep": "left alone", "skip": "left alone"}
        return {case: words[fates[key]] if key in fates else "left alone" for case, key in self.keys.items()
                if not CASES[case].during and not CASES[case].denied}

    def outcome(self, key, events, before):
        now, event = self.has(key), events.get(key, {"event": "none"})
        if event["event"] == "synced":
            self.assertIn(now, (self.source.get(key), b"dev"), key)
            return "copied"
        self.assertEqual(now, before, key)
        if event["event"] == "skipped" and event["reason"] == "no longer at the source":
            return "passed over"
        return {"failed": "failed", "skipped": "left alone", "none": "left alone"}[event["event"]]

    def check_rows(self):
        documented = {case: words[self.column] for case, words in table().items() if case != FOLDER}
        self.assertEqual(set(documented), set(CASES))
        self.prepare()
        before = {key: self.has(key) for key in self.keys.values()}
        planned = self.planned()
        self.assertEqual(before, {key: self.has(key) for key in self.keys.values()}, "a plan changes nothing")
        self.interfere()
        tool = self.sync(code=2)
        events = {e["key"]: e for e in map(json.loads, tool.err.splitlines()) if e.get("event") in ("synced", "skipped", "failed")}
        found = {case: self.outcome(key, events, before[key]) for case, key in self.keys.items()}
        self.assertEqual(found, documented)
        self.assertEqual(planned, {case: documented[case] for case in planned})
        self.assertEqual(tool.status["failedFiles"], len([word for word in found.values() if word == "failed"]))
        self.check_metadata(self.keys["has changed its metadata alone", "has the old copy"])
        self.proxied.clear()
        self.settle()

    def check_metadata(self, key):
        self.assertEqual(self.into.look(key)["x-amz-meta-is"], "changed")

    def settle(self):
        """Nobody interferes any more: what was replaced arrives, and what failed."""
        self.sync()
        for key, how in self.each():
            if how.during in ("replace", "in the copy") or how.denied:
                self.assertEqual(self.has(key), self.source.get(key), key)


class InADirectory(PolicyCase):
    test_rows = PolicyCase.check_rows

    def check_metadata(self, key):
        beside = [path.read_bytes() for path in (self.into.root / ".storsync/meta").rglob("*") if path.is_file()]
        self.assertEqual(sum(b"changed" in text for text in beside), 1)

    def test_a_folder(self):
        source, into = self.dir_bucket(), self.dir_bucket()
        self.source, self.env = source, source.env("source")
        source.put("public/a", "a")
        closed = source.put("public/closed/b", "b").parent
        closed.chmod(0)
        self.addCleanup(closed.chmod, 0o755)
        into.put("public/closed/b", "production's")
        for path in (into.root, *into.root.rglob("*")):
            path.chmod(0o777)
        env = {**source.env("source"), **into.env("destination"), "PUBLIC_OBJECT_SEARCH_PATHS": "/b/public"}
        tool = self.tool("--sync", env=env, nobody=True)
        self.assertEqual(tool.code, 2)
        word = "failed" if tool.status["errors"][0]["file"] == "public/closed/" else "?"
        self.assertEqual(table()[FOLDER], [word, DASH, DASH])
        self.assertEqual(into.contents(), {"public/a": b"a", "public/closed/b": b"production's"})


class InS3(PolicyCase):
    column = 1
    test_rows = PolicyCase.check_rows

    def destination(self):
        return self.s3_bucket()

    def make_later(self, key):
        """The service's listing is edited on its way."""
        between = self.proxy(self.into.server.endpoint)
        late = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        pattern = rb"(<Key>[^<]*" + os.path.basename(key).encode() + rb"</Key><LastModified>)[^<]*"
        between.fault(proxyfault.edit_body(pattern, rb"\g<1>" + late.encode()), method="GET", target="prefix=public",
                      times=100)
        self.env = self.into.env("destination", between.endpoint)


class InS3WithVersions(InS3):
    def destination(self):
        bucket = self.s3_bucket()
        bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
        return bucket

    def settle(self):
        """What was replaced is still there as an older version."""
        super().settle()
        key = self.keys["has changed it", "has the old copy"]
        versions = self.into.client.list_object_versions(Bucket=self.into.name, Prefix=key)["Versions"]
        self.assertEqual([v["IsLatest"] for v in versions], [True, False])
        self.assertEqual(self.into.client.get_object(Bucket=self.into.name, Key=key, VersionId=versions[1]["VersionId"])
                         ["Body"].read(), b"old")


class AtGoogle(PolicyCase):
    column = 2
    test_rows = PolicyCase.check_rows

    def destination(self):
        self.server = GoogleStorage().start()
        self.addCleanup(self.server.stop)
        return self.server.bucket("prod-bucket")

    def make_later(self, key):
        stored = self.into.objects[key]
        stored.created += 3600
        stored.updated = stored.created


class DeletionCase(TestCase):
    """What only production has, with delete=extra: for each `conflict` a production of its own, and one development."""
    POLICIES = ("overwrite", "keep", "fail")
    ROWS = {"what a sync has copied": "public/second", "what the first sync has copied": "public/first",
            "what production has made itself": "public/upload", "what a filter leaves out": "public/a.tmp",
            "something under a path where development has nothing": "private/a"}
    TOO_MANY = "more than `max_delete` of them"

    def destinations(self):
        return [self.dir_bucket() for _ in self.POLICIES]

    def setUp(self):
        super().setUp()
        self.source, self.more = self.s3_bucket(), {}
        self.into = dict(zip(self.POLICIES, self.destinations()))

    def each(self, *args, code=0):
        """{policy: what was run}"""
        tools = {}
        for policy, bucket in self.into.items():
            env = {**production(self.source, bucket), "STORSYNC_EXCLUDE": "*.tmp",
                   "STORSYNC_STATUS_FILE": str(self.dir / f"{policy}.json"), **self.more}
            tools[policy] = self.tool("--sync", f"--conflict={policy}", *args, env=env)
            self.assertEqual(tools[policy].code, code[policy] if isinstance(code, dict) else code, policy)
        return tools

    def fate(self, tool, policy, key):
        told = f"Removed: {key} (not at the source; made or changed in production)" in tool.err
        if key not in self.into[policy].keys("p"):
            self.assertIn(f"Removed: {key} (", tool.err)
            return "removed and told" if told else "removed"
        self.assertNotIn(f"Removed: {key} (", tool.err)
        return "failed" if key in [e["file"] for e in tool.status["errors"]] else "left alone"

    def found(self, tools, row):
        return [self.fate(tools[policy], policy, self.ROWS[row]) for policy in self.POLICIES]

    def documented(self):
        section = PAGE.read_text().split("\n## What production has and development has not\n")[1].partition("\n## ")[0]
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("|")]
        self.assertEqual(rows[0][1:], [f"`{policy}`" for policy in self.POLICIES])
        return {row[0]: row[1:] for row in rows[2:]}

    def check_rows(self):
        table, found = self.documented(), {}
        for bucket in self.into.values():
            for row in ("what a filter leaves out", "something under a path where development has nothing"):
                bucket.put(self.ROWS[row], "production's")
        for key in ("public/first", "public/rest"):
            self.source.put(key, "first")
        self.each()
        time.sleep(QUIET)
        self.source.put("public/second", "second")
        self.each()
        for key in ("public/first", "public/second"):
            self.source.remove(key)

        tools = self.each("--delete=extra", "--max-delete=0", code=2)
        for policy in self.POLICIES:
            self.assertIn("setting max_delete", tools[policy].status["message"])
        fates = {(*self.found(tools, row),) for row in table if row in self.ROWS and row != "what production has made itself"}
        self.assertEqual(fates, {("left alone",) * 3})
        found[self.TOO_MANY] = ["left alone, exit code 2"] * 3

        tools = self.each("--delete=extra", "--max-delete=2")
        for row in self.ROWS:
            if row != "what production has made itself":
                found[row] = self.found(tools, row)
        time.sleep(QUIET)
        for bucket in self.into.values():
            bucket.put("public/upload", "production's")
        time.sleep(QUIET)  # before the next sync begins
        tools = self.each("--delete=extra", "--max-delete=2", code={"overwrite": 0, "keep": 0, "fail": 2})
        found["what production has made itself"] = self.found(tools, "what production has made itself")
        self.assertEqual(found, table)
        for bucket in self.into.values():
            self.assertEqual(bucket.get("public/rest"), b"first")


class DeletionsInADirectory(DeletionCase):
    test_rows = DeletionCase.check_rows


class DeletionsInS3(DeletionCase):
    test_rows = DeletionCase.check_rows

    def destinations(self):
        return [self.s3_bucket() for _ in self.POLICIES]


class DeletionsInS3WithVersions(DeletionsInS3):
    def destinations(self):
        buckets = super().destinations()
        for bucket in buckets:
            bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
        return buckets


class DeletionsAtGoogle(DeletionCase):
    test_rows = DeletionCase.check_rows

    def destinations(self):
        server = GoogleStorage().start()
        self.addCleanup(server.stop)
        self.more = {"STORAGE_EMULATOR_HOST": server.endpoint}
        return [server.bucket(f"prod-bucket{number}") for number in range(len(self.POLICIES))]
