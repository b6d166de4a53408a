"""--plan: what a dry run would do, for other programs. What comes out is read by Python's own readers of JSON and CSV, and
compared with what a sync then does."""
import csv
import json
import os
import re
import time
import urllib.parse
from pathlib import Path

import proxyfault
from data import HOSTILE_KEYS
from gcs import GoogleStorage
from harness import TestCase, sides

PLANS = Path(__file__).resolve().parents[2] / "docs" / "PLANS.md"
PATHS = {"PUBLIC_OBJECT_SEARCH_PATHS": "/b/public"}
ODD = ["a,b", 'q"uote"', "line\nbreak", "cr\rx", "sp ace", " lead", "trail ", "pl+us", "per%cent%2F", "caf\u00e9",
       "\U0001f600", "semi;colon", "tab\t", "equals=1", "-rf", "'", "folder/", "\u2028", "a#b?c&d"]


def lines(text):
    """Each line is JSON by itself, and the last one ends. Only a line feed ends a line."""
    *found, last = text.split("\n")
    assert last == "", last
    return [json.loads(line) for line in found]


class PlanCase(TestCase):
    def setUp(self):
        super().setUp()
        self.file = self.dir / "plan"
        self.env = {}

    def plan(self, source, destination, *args, code=0, env=()):
        """(header, objects by key, summary)"""
        tool = self.tool("--sync", "--dry-run", "--plan", str(self.file), *args,
                         env={**sides(source, destination), **PATHS, **self.env, **dict(env)})
        self.assertEqual(tool.code, code)
        return self.read(self.file.read_bytes().decode())

    def read(self, text):
        header, *objects, summary = lines(text)
        self.assertEqual((header["type"], summary["type"]), ("plan", "summary"))
        self.assertEqual({o["type"] for o in objects}, {"object"} if objects else set())
        for action in ("create", "overwrite", "metadata", "delete", "keep", "conflict", "fail"):
            self.assertEqual(summary[action], sum(o["action"] == action for o in objects), action)
        self.assertEqual(summary["bytes"], sum(o["size"] for o in objects
                                               if o["action"] in ("create", "overwrite", "metadata")))
        self.assertEqual([o["key"] for o in objects if "keyEncoded" not in o],
                         sorted((o["key"] for o in objects if "keyEncoded" not in o), key=str.encode))
        return header, {o["key"]: o for o in objects}, summary


class OnDirectories(PlanCase):
    def setUp(self):
        super().setUp()
        self.source, self.destination = self.dir_bucket(), self.dir_bucket()

    def test_what_would_happen(self):
        for key, here, there in (("new", "1", None), ("same", "22", "22"), ("larger", "333", "4444"), ("extra", None, "5"),
                                 ("newer", "66", "77"), ("older", "88", "99")):
            if here is not None:
                self.source.put(f"public/{key}", here, age={"newer": 0, "older": 500}.get(key, 100))
            if there is not None:
                self.destination.put(f"public/{key}", there, age=100)
        before = self.destination.contents(state=True)
        header, objects, summary = self.plan(self.source, self.destination)
        self.assertEqual({key.removeprefix("public/"): (o["action"], o["reason"]) for key, o in objects.items()},
                         {"new": ("create", "missing"), "larger": ("overwrite", "size-differs"),
                          "extra": ("keep", "extra"), "newer": ("overwrite", "source-is-newer")})
        self.assertEqual((header["source"], header["destination"]), (self.source.shown, self.destination.shown))
        self.assertEqual((header["schema"], header["all"]), (1, False))
        self.assertRegex(header["job"], "^[0-9a-f]{16}$")
        self.assertEqual((summary["complete"], summary["error"], summary["skip"]), (True, None, 2))
        self.assertEqual(objects["public/new"]["destination"], None)
        self.assertEqual(objects["public/extra"]["source"], None)
        self.assertEqual([objects["public/larger"][side]["size"] for side in ("source", "destination")], [3, 4])
        for entry in (objects["public/newer"]["source"], objects["public/newer"]["destination"]):
            self.assertRegex(entry["modified"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            self.assertTrue(entry["version"])
        self.assertEqual(self.destination.contents(state=True), before, "nothing is written")
        _, objects, _ = self.plan(self.source, self.destination, "--plan-format", "json-all")
        self.assertEqual([objects[f"public/{key}"]["reason"] for key in ("same", "older")], ["already-up-to-date"] * 2)
        done = self.succeed("--sync", env={**sides(self.source, self.destination), **PATHS})
        self.assertEqual(done.status["syncedFiles"], summary["create"] + summary["overwrite"])
        self.assertEqual(done.status["totalSize"], summary["bytes"])

    def test_documented(self):
        """Every word of the page is one of the program's, and the other way round."""
        text = PLANS.read_text()
        source = (PLANS.parents[1] / "src/sync/plan_file.c").read_text()
        actions = set(re.findall(r'\[FATE_\w+\] = "(\w+)"', source))
        row = re.search(r"(?m)^\| `action` \| (.*) \|$", text)[1]
        self.assertEqual(set(re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", row))), actions)
        reasons = re.findall(r'return "([a-z -]+)";', (PLANS.parents[1] / "src/sync/plan.c").read_text())
        self.assertEqual(set(re.findall(r"`([\w-]+)`", re.search(r"(?m)^\| `reason` \| (.*) \|$", text)[1])),
                         {reason.replace(" ", "-") for reason in reasons} | {"extra", "unreadable"})
        self.source.put("public/a")
        header, objects, summary = self.plan(self.source, self.destination)
        documented = set(re.findall(r"`(\w+)`", text))
        self.assertLessEqual({*header, *objects["public/a"], *summary} - actions, documented)

    def test_odd_names(self):
        for name in ODD:
            if not name.endswith("/"):
                self.source.put(f"public/{name}", name)
        (self.source.root / "public").joinpath(os.fsdecode(b"\xff\xfe+x")).write_bytes(b"")
        _, objects, summary = self.plan(self.source, self.destination)
        self.assertEqual(summary["create"], len(ODD))
        exact = {urllib.parse.unquote_to_bytes(o["keyEncoded"]) if "keyEncoded" in o else key.encode()
                 for key, o in objects.items()}
        self.assertEqual(exact, {f"public/{name}".encode() for name in ODD if not name.endswith("/")}
                         | {b"public/\xff\xfe+x"})

    def test_standard_output(self):
        self.source.put("public/a")
        env = {**sides(self.source, self.destination), **PATHS}
        tool = self.succeed("--sync", "--dry-run", "--plan", "-", env=env)
        self.assertEqual(list(self.read(tool.out)[1]), ["public/a"])
        self.assertIn("Would sync: a", tool.err)
        tool = self.tool("--sync", "--dry-run", "--plan=-", "--json", env=env)
        self.assertEqual(tool.code, 78)
        self.assertIn("both", tool.json["message"])

    def test_a_deployment(self):
        self.source.put("public/a")
        env = {**sides(self.source, self.destination), **PATHS, "STORSYNC_PLAN": str(self.file), "STORSYNC_DRY_RUN": "1",
               "STORSYNC_DEPLOYMENT_ID": "d1"}
        self.succeed(env={**env, "STORSYNC_ENVIRONMENT": "development"})
        self.assertEqual(self.read(self.file.read_text())[2]["state"], "inactive")
        self.succeed(env={**env, "STORSYNC_ENVIRONMENT": "production"})
        self.assertEqual(self.read(self.file.read_text())[2]["create"], 1)

    def test_not_without_dry_run(self):
        env = {**sides(self.source, self.destination), **PATHS}
        self.source.put("public/a")
        tool = self.tool("--sync", "--plan", str(self.file), env=env)
        self.assertEqual(tool.code, 78)
        self.assertIn("plan needs dry_run", tool.errors[0])
        self.assertEqual(self.destination.contents(), {})
        self.assertFalse(self.file.exists())

    def test_what_cannot_be_written(self):
        env = {**sides(self.source, self.destination), **PATHS}
        for number in range(200):
            self.source.put(f"public/{'n' * 200}{number}")
        for path, code, why in (("/dev/full", 69, "not a regular file"), (str(self.dir), 69, "not a regular file"),
                                (str(self.dir / "none/plan"), 69, "No such file"), ("/proc/plan", 69, "/proc/plan")):
            tool = self.tool("--sync", "--dry-run", "--plan", path, env=env)
            self.assertEqual(tool.code, code, path)
            self.assertIn("cannot write the plan", tool.errors[0])
            self.assertIn(why, tool.errors[0])

    def test_a_full_disk(self):
        space = self.mounts("mount -t tmpfs -o size=20k tmpfs /mnt")
        for number in range(200):
            self.source.put(f"public/{'n' * 200}{number}")
        space.path("/mnt/plan").write_text("older\n")
        tool = self.tool("--sync", "--dry-run", "--plan", "/mnt/plan", env={**sides(self.source, self.destination), **PATHS},
                         prefix=space.prefix)
        self.assertEqual(tool.code, 69)
        self.assertIn("cannot write the plan /mnt/plan: No space left on device", tool.errors[-1])
        self.assertEqual(os.listdir(space.path("/mnt")), ["plan"])
        self.assertEqual(space.path("/mnt/plan").read_text(), "older\n")

    def test_a_reader_that_goes_away(self):
        for number in range(300):
            self.source.put(f"public/{'n' * 200}{number}")
        out, into = os.pipe()
        os.close(out)
        self.addCleanup(os.close, into)
        tool = self.tool("--sync", "--dry-run", "--plan", "-", env={**sides(self.source, self.destination), **PATHS},
                         before_exec=lambda: os.dup2(into, 1))
        self.assertEqual(tool.code, 69)
        self.assertIn("cannot write the plan to standard output", tool.errors[-1])

    def test_a_folder_that_cannot_be_read(self):
        self.source.put("public/a")
        self.source.put("public/closed/b").parent.chmod(0)
        self.addCleanup((self.source.root / "public/closed").chmod, 0o755)
        self.destination.put("public/closed/b")
        self.file.write_text("older\n")
        env = {**sides(self.source, self.destination), **PATHS}
        tool = self.tool("--sync", "--dry-run", "--plan", "-", env=env, nobody=True)
        self.assertEqual(tool.code, 2)
        _, objects, summary = self.read(tool.out)
        self.assertEqual({key: (o["action"], o["reason"]) for key, o in objects.items()},
                         {"public/a": ("create", "missing"), "public/closed/": ("fail", "unreadable")})
        self.assertIs(summary["complete"], False)

    def test_conflicts(self):
        """What a dry run says of them is what the sync then does."""
        env = {**sides(self.source, self.destination), **PATHS}
        for key in ("public/ours", "public/theirs"):
            self.source.put(key, "first")
        self.succeed("--sync", env=env)
        time.sleep(4.2)
        self.destination.put("public/theirs", "production's")
        self.source.put("public/ours", "development's second")
        self.source.put("public/theirs", "development's second")
        state = self.destination.contents(state=True)
        for policy, action, said in (("overwrite", "overwrite", "Would overwrite"), ("keep", "keep", "Would keep"),
                                     ("fail", "conflict", "Failed")):
            code = 2 if policy == "fail" else 0
            _, objects, summary = self.plan(self.source, self.destination, "--conflict", policy, code=code)
            self.assertEqual({key: (o["action"], o["changedInProduction"]) for key, o in objects.items()},
                             {"public/ours": ("overwrite", False), "public/theirs": (action, True)})
            self.assertTrue(summary["complete"])
            self.assertIn(f"{said}: theirs", self.tools[-1].err)
        self.assertEqual(self.destination.contents(state=True), state, "nothing is written")
        self.succeed("--sync", "--conflict=keep", env=env)
        self.assertEqual([self.destination.get(key) for key in ("public/ours", "public/theirs")],
                         [b"development's second", b"production's"])


class OnServices(PlanCase):
    """Manifests, and listings that break."""

    def test_a_listing_that_breaks(self):
        server = GoogleStorage().start()
        self.addCleanup(server.stop)
        source, destination = server.bucket("dev-bucket"), self.dir_bucket()
        for number in range(1001):
            source.put(f"public/{number:04}")
        proxied = self.proxy(server.endpoint)
        proxied.fault(proxyfault.answer(500), method="GET", target="pageToken=", times=100)
        env = {**source.env("source", proxied.endpoint), "STORSYNC_RETRIES": "0"}
        _, objects, summary = self.plan(source, destination, code=69, env=env)
        self.assertIs(summary["complete"], False)
        self.assertTrue(summary["error"])
        self.assertEqual((summary["state"], summary["create"], len(objects)), ("failed", 1000, 1000))

    def manifest(self, source, destination, form, code=0):
        tool = self.tool("--sync", "--dry-run", "--plan", str(self.file), "--plan-format", form,
                         env={**sides(source, destination), **PATHS, **self.env}, timeout=60)
        self.assertEqual(tool.code, code)
        return tool

    def plans(self):
        """The file, and whatever else begins like it."""
        return [name for name in os.listdir(self.dir) if name.startswith("plan")]

    def test_s3_batch(self):
        """Read as "Creating an S3 Batch Operations job" says: CSV without a header, and keys that are URL-encoded."""
        source, destination = self.s3_bucket(), self.s3_bucket()
        names = [f"public/{name}" for name in {*ODD, *HOSTILE_KEYS} if len(name.encode()) < 1000]
        for name in names:
            source.put(name, "x")
        for key, body in (("public/same", "x"), ("public/extra", "x"), ("public/a,b", "production's")):
            destination.put(key, body)
        time.sleep(1.1)  # times are whole seconds
        source.put("public/same", "x")
        tool = self.manifest(source, destination, "s3-batch")
        text = self.file.read_bytes().decode("ascii")
        rows = list(csv.reader(text.splitlines(), strict=True))
        self.assertEqual({len(row) for row in rows}, {2})
        self.assertEqual({row[0] for row in rows}, {source.name})
        keys = [urllib.parse.unquote(row[1]) for row in rows]
        self.assertEqual(keys, [urllib.parse.unquote_plus(row[1]) for row in rows], "however a plus is read")
        self.assertEqual(sorted(keys), sorted([*names, "public/same"]))
        self.assertRegex(tool.warnings[-1], "is a list of what to copy.* 0 to delete, .* 1 differ in metadata alone$")
        for key in keys:  # what the service's job does with each
            destination.client.copy_object(Bucket=destination.name, Key=key,
                                           CopySource={"Bucket": source.name, "Key": key})
        done = self.succeed("--sync", env={**sides(source, destination), **PATHS}, timeout=60)
        self.assertEqual((done.status["syncedFiles"], done.status["skippedFiles"]), (0, len(keys)))

    def test_sts(self):
        """Read as "Transfer specific files or objects using a manifest" says: CSV, the name and the generation."""
        server = GoogleStorage().start()
        self.addCleanup(server.stop)
        source, destination = server.bucket("dev-bucket"), server.bucket("prod-bucket")
        named = [f"public/{name}" for name in ODD if not re.search(r"[\r\n]|/$", name)]
        for name in (*named, "public/folder/"):
            source.put(name, "x")
        tool = self.manifest(source, destination, "sts")
        with self.file.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file, strict=True))
        self.assertEqual({row[0]: row[1:] for row in rows},
                         {name: [str(source.objects[name].generation)] for name in named})
        self.assertEqual(len(rows), len(named))
        self.assertIn(" 1 that such a job does not take", tool.warnings[-1])

    def test_not_for_these_buckets(self):
        here, there = self.dir_bucket(), self.dir_bucket()
        here.put("public/a")
        for form, why in (("s3-batch", "not two buckets of one S3 service"),
                          ("sts", "not from a bucket to one of Google's")):
            self.file.write_text("older\n")
            self.assertIn(why, self.manifest(here, there, form, code=78).errors[-1])
            self.assertEqual(self.file.read_text(), "older\n")
            self.assertEqual(self.plans(), ["plan"])

    def test_no_manifest_of_a_part(self):
        source, destination = self.s3_bucket(), self.s3_bucket()
        source.put("public/a")
        proxied = self.proxy(source.server.endpoint)
        proxied.fault(proxyfault.answer(500), method="GET", target="prefix=public", times=100)
        self.env = {**source.env("source", proxied.endpoint), **destination.env("destination", proxied.endpoint),
                    "STORSYNC_SOURCE_ALLOW_HTTP": "true", "STORSYNC_DESTINATION_ALLOW_HTTP": "true",
                    "STORSYNC_RETRIES": "0"}
        self.manifest(source, destination, "s3-batch", code=69)
        self.assertEqual(self.plans(), [])

    def test_no_secrets(self):
        source, destination = self.s3_bucket(), self.s3_bucket()
        source.put("public/a")
        for form in ("json", "json-all", "s3-batch"):
            self.manifest(source, destination, form)
            text = self.file.read_text()
            for secret in (source.user.access_key, source.user.secret_key):
                self.assertNotIn(secret, text)
