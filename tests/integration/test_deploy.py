"""The main job on directory buckets: detect, marker, interval, sync, status, log. Needs no network."""
import json
import os
import re
import threading
import time
from pathlib import Path

import proxyfault
from harness import JOB, RUN, TestCase, production, sides, what_is_there


class DirCase(TestCase):
    def setUp(self):
        super().setUp()
        self.source, self.destination = (self.bucket(side, self.dir_bucket) for side in ("source", "destination"))
        self.source.put("public/avatars/user123.png", b"p" * 148_808, age=100)
        self.source.put("public/style.css", "body {}", age=100)
        self.source.put("private/invoice.pdf", b"i" * 2048, age=100)
        self.source.put("other/not-ours", "x")
        self.source.put("publicity/not-ours", "x")

    @property
    def wanted(self):
        return {k: v for k, v in self.source.contents().items() if k.startswith(("public/", "private/"))}

    def env(self, deployment="d1", **more):
        return production(self.source, self.destination, deployment, **more)

    def paths(self, *prefixes):
        """A list of paths in a bucket that nothing has to be said of."""
        name = getattr(self.source, "name", None) or getattr(self.destination, "name", "bucket")
        return ",".join(f"/{name}/{prefix}" for prefix in prefixes)


class Deploy(DirCase):
    def test_first_start_syncs_and_becomes_the_application(self):
        app = self.app(code=7)
        tool = self.tool("--", app.path, env=self.env())
        self.assertEqual(tool.code, 7)
        self.assertTrue(app.started)
        self.assertIn("application started", tool.out)
        self.assertEqual(self.destination.contents(), self.wanted)
        self.assertEqual(self.destination.markers(), ["d1.json"])
        self.assertIn(f".storsync/{JOB}/last-sync.json", self.destination.keys())
        status = tool.status
        self.assertEqual(status["state"], "synced")
        self.assertEqual((status["syncedFiles"], status["skippedFiles"], status["failedFiles"]), (3, 0, 0))
        self.assertEqual(status["totalSize"], 148_808 + 7 + 2048)
        self.assertTrue(status["success"])
        self.assertEqual(app.status_json["state"], "synced", "the status is final before the application starts")

    def test_second_start_does_nothing(self):
        self.succeed(env=self.env())
        self.source.put("public/new", "n")
        app = self.app()
        tool = self.succeed("--", app.path, env=self.env())
        self.assertTrue(app.started)
        self.assertEqual(tool.status["state"], "already-synced")
        self.assertNotIn("public/new", self.destination.contents())

    def test_new_deployment_copies_only_what_changed(self):
        self.succeed(env=self.env())
        self.source.put("public/style.css", "body {color: red}")
        tool = self.succeed(env=self.env("d2", STORSYNC_MIN_INTERVAL="0s"))
        self.assertEqual(tool.status["state"], "synced")
        self.assertEqual((tool.status["syncedFiles"], tool.status["skippedFiles"]), (1, 2))
        self.assertEqual(self.destination.contents(), self.wanted)
        self.assertEqual(self.destination.markers(), ["d1.json", "d2.json"])

    def test_new_deployment_within_the_interval_waits_for_the_next(self):
        self.succeed(env=self.env())
        self.source.put("public/new", "n")
        tool = self.succeed(env=self.env("d2"))
        self.assertEqual(tool.status["state"], "too-soon")
        self.assertEqual(self.destination.markers(), ["d1.json"])
        self.assertNotIn("public/new", self.destination.contents())

    def test_without_deployment_id_only_the_interval_counts(self):
        env = {**sides(self.source, self.destination), "NODE_ENV": "production"}
        self.assertEqual(self.succeed(env=env).status["state"], "synced")
        self.assertEqual(self.succeed(env=env).status["state"], "too-soon")
        self.source.put("public/new", "n")
        env["STORSYNC_MIN_INTERVAL"] = "0"
        self.assertEqual(self.succeed(env=env).status["syncedFiles"], 1)
        self.assertEqual(self.destination.markers(), [])

    def test_development_is_inactive(self):
        app = self.app()
        tool = self.succeed("--", app.path, env=sides(self.source, self.destination))
        self.assertTrue(app.started)
        self.assertEqual(self.destination.contents(state=True), {})
        self.assertEqual((tool.status["state"], tool.status["environment"]), ("inactive", "development"))
        self.assertFalse(tool.status["hookActive"])

    def test_a_source_without_objects_marks_nothing(self):
        wrong = self.env(PUBLIC_OBJECT_SEARCH_PATHS="/bucket/publik")
        tool = self.succeed(env=wrong)
        self.assertRegex(tool.err, r'warning: the source \S+ has no objects under "publik/"')
        self.assertEqual(self.destination.markers(), [])
        tool = self.succeed(env=self.env(STORSYNC_MIN_INTERVAL="0"))
        self.assertEqual(tool.status["syncedFiles"], 3, "the corrected path is synced in the same deployment")
        self.assertEqual(self.destination.markers(), ["d1.json"])

    def test_one_path_of_two_without_objects(self):
        tool = self.succeed(env=self.env(PUBLIC_OBJECT_SEARCH_PATHS=self.paths("publik", "public")))
        self.assertIn('nothing is listed under "publik/"', tool.err)
        self.assertNotIn("warning", tool.err)
        self.assertEqual(self.destination.markers(), ["d1.json"])

    def test_same_bucket_on_both_sides(self):
        tool = self.succeed(env=production(self.source, self.source))
        self.assertEqual(tool.status["state"], "nothing-to-do")

    def test_deployment_id_with_any_characters(self):
        name = "images.example/app:v1@sha256:0123 \u00e9"
        self.succeed(env=self.env(name))
        self.assertEqual(self.succeed(env=self.env(name)).status["state"], "already-synced")
        self.assertEqual(len(self.destination.markers()), 1)

    def test_two_commands_of_a_shell_line(self):
        """The command's own options are not ours."""
        tool = self.succeed("--", "/bin/echo", "--sync", "-n", "--", "x", env=self.env())
        self.assertEqual(tool.out, "--sync -n -- x\n")


class Jobs(DirCase):
    """Several applications, or sources, or sets of paths, on one production bucket."""

    def deploy(self, paths="/x/public", deployment="d1", source=None, **more):
        env = {**production(source or self.source, self.destination, deployment, **more),
               "PUBLIC_OBJECT_SEARCH_PATHS": paths}
        if "STORSYNC_JOB" not in more:
            del env["STORSYNC_JOB"]
        return self.succeed(env=env).status["state"]

    def test_paths_and_source_tell_them_apart(self):
        self.assertEqual(self.deploy(), "synced")
        self.assertEqual(self.deploy(), "already-synced")
        self.assertEqual(self.deploy("/x/other", "d2"), "synced", "not too soon: that was another one's sync")
        self.assertEqual(self.deploy("/x/other"), "too-soon")
        self.assertEqual(self.deploy("/x/public,/x/private"), "synced", "a path that is added counts at once")
        self.assertEqual(self.deploy("/y/private/,/x/public,/x/public/deep"), "already-synced", "the set counts")
        other = self.bucket("source", self.dir_bucket)
        other.put("public/theirs", "x")
        self.assertEqual(self.deploy(source=other), "synced")
        self.assertEqual(self.deploy(), "already-synced")
        self.assertEqual(sorted(self.destination.markers()), ["d1.json", "d1.json", "d1.json", "d2.json"])
        self.assertEqual(len(self.destination.state("lease")), 4)

    def test_a_name_of_ones_own(self):
        self.assertEqual(self.deploy(STORSYNC_JOB="shop"), "synced")
        self.assertEqual(self.deploy("/x/other", STORSYNC_JOB="shop"), "already-synced", "it is all that counts")
        self.assertEqual(self.deploy(STORSYNC_JOB="blog"), "synced")
        jobs = {key.split("/")[1] for key in self.destination.keys(".storsync/")} - {"meta"}
        self.assertEqual(jobs, {"blog", "shop"})

    def test_name_that_cannot_be_used(self):
        for name in ("a/b", "..", "meta"):
            tool = self.tool("--check-config", env=self.env(STORSYNC_JOB=name))
            self.assertEqual(tool.code, 78)
            self.assertIn(f'STORSYNC_JOB: "{name}" is not a name', tool.err)

    def test_state_of_version_0_1(self):
        """It had no jobs: its state is left alone, and costs one more sync."""
        state = json.dumps({"schema": 1, "finishedAt": "2026-01-01T00:00:00.000Z"})
        for key in ("deployments/d1.json", "last-sync.json", "lease/0000000000000001"):
            self.destination.put(f".storsync/{key}", state)
        self.assertEqual(self.deploy(), "synced")
        self.assertEqual(self.deploy(), "already-synced")
        self.assertEqual(self.destination.get(".storsync/deployments/d1.json").decode(), state)


class Garbage(DirCase):
    """What lies where the state should be, and is none: said once, replaced, and never in the way."""

    def heals(self, key, body, age=0):
        self.destination.put(f".storsync/{JOB}/{key}", body, age)
        env = self.env(PUBLIC_OBJECT_SEARCH_PATHS=self.paths("public"), STORSYNC_LEASE_TTL="3s", STORSYNC_WAIT="3s")
        tool = self.succeed(env=env)
        self.assertEqual(tool.status["state"], "synced")
        self.assertEqual([key in warning for warning in tool.warnings], [True])
        tool = self.succeed(env=env)
        self.assertEqual((tool.status["state"], tool.warnings), ("already-synced", []))

    def test_markers(self):
        future = b'{"schema":1,"finishedAt":"9999-12-31T23:59:59Z"}'
        for key, more in (("deployments/d1.json", ()), ("last-sync.json", (future,))):
            for body in (b"", b"\0" * 100, b"x" * 300_000, b"[" * 100_000, b"\xff\xfe",
                         b'{"schema":2,"finishedAt":"2026-01-01T00:00:00Z"}', *more):
                with self.subTest(key=key, body=body[:20]):
                    self.destination = self.bucket("destination", self.dir_bucket)
                    self.heals(key, body)

    def test_leases(self):
        """What may be anybody's counts as a lease that is held. Here it is so old that it is over."""
        for key, body in (("0000000000000007", b""), ("0000000000000007", b"\xff\xfe garbage"),
                          ("0000000000000007", b"x" * 300_000), ("0000000000000007", b'{"schema":2,"state":"held"}'),
                          ("0000000000000007", b'{"schema":1,"state":"held","ttl":99999999999999,"renewals":-5}'),
                          ("9999999999999999", b'{"schema":1,"state":"released"}'),
                          ("0000000000000000", b'{"schema":1,"state":"released"}'), ("x", b""),
                          ("00000000000000001", b"")):
            with self.subTest(key=key, body=body[:20]):
                self.destination = self.bucket("destination", self.dir_bucket)
                self.heals(f"lease/{key}", body, age=100)
                epoch = 8 if key.endswith("7") else 1
                record = self.destination.get(f".storsync/{JOB}/lease/{epoch:016}")
                self.assertEqual(json.loads(record)["state"], "released")


class Manual(DirCase):
    def test_sync_ignores_environment_marker_and_interval(self):
        env = sides(self.source, self.destination)
        self.assertEqual(self.succeed("--sync", env=env).status["syncedFiles"], 3)
        self.succeed(env=self.env())
        self.source.put("public/new", "n")
        self.succeed("--sync", env=self.env())
        status = json.loads(Path(f"{self.status_file}.by-hand").read_bytes())
        self.assertEqual((status["state"], status["syncedFiles"]), ("synced", 1))

    def test_manual_sync_is_no_deployment(self):
        self.succeed("--sync", env=self.env())
        self.assertEqual(self.destination.contents(), self.wanted)
        self.assertEqual(self.destination.markers(), [])

    def test_sync_with_nothing_new_copies_nothing(self):
        self.not_with_gs("times of files; test_gcs.Scale looks at the requests")
        self.succeed("--sync", env=self.env())
        before = {p: p.stat().st_mtime_ns for p in self.destination.root.rglob("public/**/*")}
        tool = self.succeed("--sync", env=self.env())
        self.assertEqual((tool.status["syncedFiles"], tool.status["skippedFiles"]), (0, 3))
        self.assertEqual(before, {p: p.stat().st_mtime_ns for p in self.destination.root.rglob("public/**/*")})


class DryRun(DirCase):
    def test_nothing_is_written_but_the_log(self):
        for args in ((), ("--sync",)):
            tool = self.succeed(*args, "--dry-run", env=self.env())
            self.assertEqual(self.destination.keys(), [])
            self.assertFalse(self.status_file.exists())
            self.assertIn("Dry Run: YES", tool.err)
            self.assertIn("avatars/user123.png", tool.err)

    def test_same_decisions(self):
        self.succeed(env=self.env())
        tool = self.succeed("--dry-run", env=self.env())
        self.assertIn("already", tool.err)
        self.assertNotIn("user123.png", tool.err, "already synced: nothing would be copied")


class Compare(DirCase):
    """Copied when missing, of another size, or newer in the source. Nothing is deleted."""

    def setUp(self):
        super().setUp()
        self.succeed("--sync", env=self.env())

    def sync(self, *args):
        return self.succeed("--sync", *args, env=self.env()).status["syncedFiles"]

    def test_other_size_is_copied_even_if_older(self):
        self.source.put("public/style.css", "shorter or longer", age=5000)
        self.assertEqual(self.sync(), 1)
        self.assertEqual(self.destination.get("public/style.css"), b"shorter or longer")

    def test_newer_of_the_same_size_is_copied(self):
        self.source.put("public/style.css", "BODY {}", age=-5)
        self.assertEqual(self.sync(), 1)
        self.assertEqual(self.destination.get("public/style.css"), b"BODY {}")

    def test_older_of_the_same_size_is_kept(self):
        self.source.put("public/style.css", "BODY {}", age=5000)
        self.assertEqual(self.sync(), 0)
        self.assertEqual(self.destination.get("public/style.css"), b"body {}")

    def test_extra_objects_stay(self):
        self.destination.put("public/uploaded-in-production", "u")
        self.assertEqual(self.sync(), 0)
        self.assertEqual(self.destination.get("public/uploaded-in-production"), b"u")

    def test_compare_size_ignores_time(self):
        self.source.put("public/style.css", "BODY {}", age=-5)
        self.assertEqual(self.sync("--compare", "size"), 0)


class Paths(DirCase):
    """The seed's path variables: the first segment is a bucket name, the rest a prefix on both sides."""

    def copied(self, **env):
        tool = self.succeed("--sync", env={**sides(self.source, self.destination), **env})
        return sorted(self.destination.contents()), tool

    def test_named_prefixes_only(self):
        keys, _ = self.copied(PUBLIC_OBJECT_SEARCH_PATHS="/any-bucket/other,/any-bucket/publicity")
        self.assertEqual(keys, ["other/not-ours", "publicity/not-ours"])

    def test_private_dir(self):
        keys, _ = self.copied(PRIVATE_OBJECT_DIR="/any-bucket/private")
        self.assertEqual(keys, ["private/invoice.pdf"])

    def test_prefix_ends_at_a_slash(self):
        keys, _ = self.copied(PUBLIC_OBJECT_SEARCH_PATHS="/any-bucket/public")
        self.assertEqual(keys, ["public/avatars/user123.png", "public/style.css"])

    def test_overlapping_prefixes_count_once(self):
        _, tool = self.copied(PUBLIC_OBJECT_SEARCH_PATHS="/b/public,/b/public/avatars,/b/public/")
        self.assertEqual(tool.status["syncedFiles"], 2)

    def test_whole_bucket_leaves_the_state_alone(self):
        self.source.put(".storsync/deployments/alien.json", "{}")
        keys, tool = self.copied(PUBLIC_OBJECT_SEARCH_PATHS="/any-bucket/*")
        self.assertEqual(keys, sorted(k for k in self.source.contents()))
        self.assertEqual(self.destination.markers(), [])
        self.assertEqual(tool.status["syncedFiles"], 5)

    def test_default_paths_are_told(self):
        """Not as a warning: the default is documented."""
        keys, tool = self.copied()
        self.assertEqual(keys, sorted(self.wanted))
        self.assertTrue(any("using public/ and private/" in line for line in tool.err.splitlines()), tool.err)
        self.assertEqual(tool.warnings, [])

    def test_missing_prefix_is_empty(self):
        keys, _ = self.copied(PUBLIC_OBJECT_SEARCH_PATHS="/b/there-is-no-such-thing")
        self.assertEqual(keys, [])


class Seed(DirCase):
    """The variable names of the system that this replaces."""

    def test_its_configuration_works_as_it_is(self):
        env = {"DEV_STORAGE_BUCKET": self.source.url, "PROD_STORAGE_BUCKET": self.destination.url,
               "PUBLIC_OBJECT_SEARCH_PATHS": "/bucket-name/public", "PRIVATE_OBJECT_DIR": "/bucket-name/private",
               "REPLIT_DEPLOYMENT": "1", "REPLIT_DEPLOYMENT_ID": "4711"}
        tool = self.succeed(env=env)
        self.assertEqual(self.destination.contents(), self.wanted)
        self.assertEqual(tool.status["deploymentId"], "4711")
        self.assertIn("REPLIT_DEPLOYMENT_ID", tool.status["deploymentSource"])
        self.assertTrue(tool.status["configured"])

    def test_own_names_win(self):
        env = {**self.env(), "DEV_STORAGE_BUCKET": "file:///nowhere", "PROD_STORAGE_BUCKET": "file:///nowhere"}
        self.assertEqual(self.succeed(env=env).status["syncedFiles"], 3)


class Detection(DirCase):
    """The table itself is tested in the unit tests; here: that it decides, and that it is told."""

    CASES = [
        ({}, "development", ""),
        ({"NODE_ENV": "production"}, "production", "NODE_ENV"),
        ({"NODE_ENV": "development"}, "development", "NODE_ENV"),
        ({"REPL_DEPLOYMENT": "true"}, "production", "REPL_DEPLOYMENT"),
        ({"RAILS_ENV": "production", "NODE_ENV": "development"}, "production", "RAILS_ENV"),
        ({"RENDER": "true", "IS_PULL_REQUEST": "true", "NODE_ENV": "production"}, "development", "IS_PULL_REQUEST"),
        ({"STORSYNC_ENVIRONMENT": "development", "NODE_ENV": "production"}, "development", "STORSYNC_ENVIRONMENT"),
        ({"STORSYNC_ENV": "production", "NODE_ENV": "development"}, "production", "STORSYNC_ENV"),
    ]

    def test_environment(self):
        for env, expected, source in self.CASES:
            with self.subTest(env=env):
                tool = self.succeed(env={**sides(self.source, self.destination), **env})
                self.assertEqual(tool.status["environment"], expected)
                self.assertIn(source, tool.status["environmentSource"])
                self.assertIn(source, tool.err)


class Interference(DirCase):
    def setUp(self):
        self.not_with_gs("files and folders, and what may be done with them")
        super().setUp()

    def test_unreadable_object_is_skipped_and_counted(self):
        self.source.root.chmod(0o755)
        self.destination.root.chmod(0o777)
        hidden = self.source.put("public/hidden", "h")
        hidden.chmod(0)
        tool = self.tool(env=self.env(), nobody=True)
        self.assertEqual(tool.code, 2)
        self.assertEqual(tool.status["state"], "partial")
        self.assertEqual((tool.status["syncedFiles"], tool.status["failedFiles"]), (3, 1))
        self.assertIn("hidden", tool.status["errors"][0]["file"])
        self.assertIn("ermission", tool.status["errors"][0]["error"])
        self.assertEqual(self.destination.markers(), [], "the marker only after a pass with no failure")
        hidden.chmod(0o644)
        again = self.succeed(env=self.env(), nobody=True)
        self.assertEqual((again.status["syncedFiles"], again.status["skippedFiles"]), (1, 3))
        self.assertEqual(self.destination.markers(), ["d1.json"])

    def test_partial_sync_still_starts_the_application(self):
        self.source.root.chmod(0o755)
        self.destination.root.chmod(0o777)
        self.source.put("public/hidden", "h").chmod(0)
        app = self.app()
        self.succeed("--", app.path, env=self.env(), nobody=True)
        self.assertTrue(app.started)
        stopped = self.app()
        tool = self.tool("--on-failure", "stop", "--", stopped.path, env=self.env(), nobody=True)
        self.assertEqual((tool.code, stopped.started), (2, False))

    def test_at_most_ten_errors_are_listed(self):
        self.destination.root.chmod(0o777)
        for number in range(25):
            self.source.put(f"public/hidden{number:02}", "h").chmod(0)
        status = self.tool("--sync", env=self.env(), nobody=True).status
        self.assertEqual((status["failedFiles"], len(status["errors"])), (25, 10))

    def test_source_symlink_cannot_read_outside_of_the_bucket(self):
        (self.dir / "secret").write_text("outside")
        (self.dir / "outside").mkdir()
        (self.dir / "outside" / "file").write_text("outside")
        (self.source.root / "public" / "link").symlink_to(self.dir / "secret")
        (self.source.root / "public" / "folder").symlink_to(self.dir / "outside")
        self.tool("--sync", env=self.env())
        self.assertEqual(self.destination.get("public/style.css"), b"body {}")
        self.assertNotIn(b"outside", self.destination.contents().values())

    def test_destination_symlink_cannot_write_outside_of_the_bucket(self):
        outside = self.dir / "outside"
        outside.mkdir()
        (self.destination.root / "private").symlink_to(outside)
        tool = self.tool("--sync", env=self.env())
        self.assertEqual([*outside.iterdir()], [])
        self.assertIn("public/style.css", self.destination.contents(), "the rest goes on")
        # Refused, or kept elsewhere inside of the bucket: but then it is really there.
        self.assertEqual(self.tool("--validate", env=self.env()).code, 0 if tool.code == 0 else 1)

    def test_no_temporary_files_remain(self):
        self.succeed(env=self.env())
        files = [str(p) for p in self.destination.root.rglob("*") if p.is_file()]
        self.assertEqual(len(files), 3 + 3, files)  # the objects, the marker, last-sync.json, the lease


class Status(DirCase):
    def test_fields(self):
        status = self.succeed(env=self.env()).status
        expected = {"schema", "version", "state", "environment", "environmentSource", "deploymentId",
                    "deploymentSource", "configured", "hookActive", "success", "message", "source", "destination",
                    "dryRun", "startedAt", "finishedAt", "syncedFiles", "skippedFiles", "failedFiles", "totalSize",
                    "errors"}
        self.assertEqual(expected - status.keys(), set())
        self.assertEqual(status["deploymentId"], "d1")
        self.assertIn("STORSYNC_DEPLOYMENT_ID", status["deploymentSource"])
        self.assertIs(status["dryRun"], False)
        self.assertRegex(status["startedAt"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
        self.assertIn(self.source.shown, status["source"])

    def test_status_command_shows_the_file(self):
        tool = self.succeed(env=self.env())
        self.assertEqual(self.succeed("--status", "--json").json, tool.status)
        self.assertIn("synced", self.succeed("--status").out)

    def missing_source(self):
        return {**self.env(), "STORSYNC_SOURCE_BUCKET": f"file://{self.dir}/missing"}

    def by_hand(self):
        return json.loads(Path(f"{self.status_file}.by-hand").read_bytes())

    def test_a_failed_run_by_hand_is_not_the_deployments(self):
        self.succeed(env=self.env())
        done = self.succeed("--health", "--json").json
        self.assertEqual((done["healthy"], done["state"], done["mode"]), (True, "synced", "deploy"))
        self.tool("--sync", env=self.missing_source())
        deployed = json.loads(self.status_file.read_bytes())
        self.assertEqual((deployed["state"], deployed["mode"], deployed["byHand"]), ("synced", "deploy", False))
        self.assertEqual((self.by_hand()["state"], self.by_hand()["exitCode"], self.by_hand()["byHand"]), ("failed", 69, True))
        self.assertEqual(self.by_hand()["error"]["side"], "source")
        self.assertEqual((self.by_hand()["lastSync"]["mode"], self.by_hand()["lastSync"]["syncedFiles"]), ("deploy", 3))
        self.assertIn("healthy (synced): ", self.succeed("--health").out)
        told = self.succeed("--status").out
        self.assertIn("State: synced\n", told)
        self.assertIn("By hand: failed\nBy hand, message: source file://", told)
        self.assertIn("\nLast sync: ", told)
        told = self.succeed("--status", "--json").json
        self.assertEqual((told["state"], told["manual"]["state"], told["lastSync"]["mode"]), ("synced", "failed", "deploy"))
        nothing = self.tool("--health", "--json", env={"STORSYNC_STATUS_FILE": str(self.dir / "none")})
        self.assertEqual((nothing.code, nothing.json["healthy"], nothing.json["state"]), (1, False, None))

    def test_a_run_by_hand_mends_a_failed_deployment(self):
        """If it syncs the same."""
        self.not_with_gs("a directory that goes away")
        self.source.root.rename(self.dir / "elsewhere")
        self.tool(env=self.env())
        (self.dir / "elsewhere").rename(self.source.root)
        self.assertIn("unhealthy (failed): ", self.tool("--health").out)
        self.succeed("--sync", env={**self.env(), "STORSYNC_JOB": "another"})
        self.assertIn("unhealthy (failed): ", self.tool("--health").out)
        self.succeed("--sync", env=self.env())
        self.assertIn("healthy (failed, then synced by hand at 20", self.succeed("--health").out)
        self.assertEqual(self.succeed("--status", "--json").json["lastSync"]["mode"], "sync")
        self.tool("--sync", env=self.missing_source())
        self.succeed("--health")

    def test_runs_by_hand_alone(self):
        """Where no deployment writes the file, theirs is what there is."""
        tool = self.tool("--sync", env=self.missing_source())
        self.assertEqual((tool.status["mode"], tool.status["byHand"]), ("sync", True))
        self.assertIn("unhealthy (failed, by hand): source file://", self.tool("--health").out)
        self.succeed("--sync", env=self.env())
        self.assertIn("healthy (synced, by hand): ", self.succeed("--health").out)
        self.assertFalse(Path(f"{self.status_file}.by-hand").exists())
        app = self.app()
        self.succeed("--sync", "--", app.path, env=self.env())
        self.assertEqual(app.status_json["byHand"], False)
        self.assertIn("healthy (synced): ", self.succeed("--health").out)

    def test_a_validation_is_nobodys_affair(self):
        self.succeed(env=self.env())
        before = self.status_file.read_bytes()
        self.destination.put("public/style.css", "another size")
        self.assertEqual(self.tool("--validate", env=self.env()).code, 1)
        self.assertEqual(self.status_file.read_bytes(), before)
        self.succeed("--health")

    def test_a_run_by_hand_that_goes_on(self):
        self.succeed(env=self.env())
        source = self.proxy()
        source.fault(proxyfault.stall())
        tool = self.start("--sync", env={**self.env(), **self.silent_source(source)})
        status = Path(f"{self.status_file}.by-hand")
        tool.wait_for(lambda: source.requests and status.exists() and json.loads(status.read_bytes())["state"] == "running")
        self.assertIn("healthy (synced): ", self.succeed("--health").out)
        self.assertIn("\nBy hand: running\n", self.succeed("--status").out)

    def test_a_run_that_was_killed(self):
        """All of it at once, as the kernel does when memory is short. It is known at once: this is the same machine."""
        source = self.proxy()
        source.fault(proxyfault.stall())
        tool = self.start(env={**self.env(), **self.silent_source(source)})
        tool.wait_for(lambda: source.requests and self.status_file.exists() and tool.status["state"] == "running")
        worker = tool.worker
        self.assertEqual((tool.status["pid"], tool.status["exitCode"]), (worker, None))
        self.assertIn("State: running\n", self.succeed("--status").out)
        tool.kill()
        tool.wait()
        self.wait_gone(worker)
        document = tool.status
        self.assertIn("State: running (its process is gone: that run has died)\n", self.succeed("--status").out,
                      f"{document}; now {what_is_there(worker)}")
        self.assertIn("its process is gone", self.tool("--health").out)
        self.status_file.write_text(json.dumps({**document, "machine": "another"}))
        self.assertIn("State: running\n", self.succeed("--status").out)

    def silent_source(self, proxy):
        return {"STORSYNC_SOURCE_BUCKET": "b", "STORSYNC_SOURCE_REGION": "r", "STORSYNC_SOURCE_ENDPOINT": proxy.endpoint,
                "STORSYNC_SOURCE_ACCESS_KEY_ID": "a", "STORSYNC_SOURCE_SECRET_ACCESS_KEY": "s"}

    def test_health(self):
        self.assertEqual(self.tool("--health").code, 1, "no status yet")
        self.succeed(env=self.env())
        self.succeed("--health")

    def test_health_after_a_failure(self):
        missing = {**self.env(), "STORSYNC_SOURCE_BUCKET": f"file://{self.dir}/missing"}
        self.succeed("--", "/bin/true", env=missing)
        tool = self.tool("--health")
        self.assertEqual(tool.code, 1)
        self.assertIn("missing", tool.out, "it says why")

    def test_never_half_written(self):
        for number in range(100 if RUN.instrumented else 2000):
            self.source.put(f"public/many/{number}", "x")
        seen, broken, done = 0, [], threading.Event()

        def watch():
            nonlocal seen
            while not done.is_set():
                try:
                    json.loads(self.status_file.read_bytes())
                    seen += 1
                except FileNotFoundError:
                    pass
                except ValueError as error:
                    broken.append(error)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            self.succeed(env=self.env())
        finally:
            done.set()
            watcher.join()
        self.assertEqual(broken, [])
        self.assertGreater(seen, 0)
        self.assertEqual([p.name for p in self.dir.glob("*status*")], ["status.json"])

    def test_is_there_while_running(self):
        source = self.proxy()  # an answer that takes longer than we look
        source.fault(proxyfault.stall())
        env = {**self.destination.env("destination"), **self.silent_source(source), "STORSYNC_ENVIRONMENT": "production"}
        tool = self.start(env=env)
        tool.wait_for(lambda: self.status_file.exists() and tool.status["state"] == "running")
        self.assertTrue(source.requests)


class Log(DirCase):
    """The human log is the seed's, line for line."""

    def expected(self, ok="+", fail="x"):
        block = "".join(sorted([f"  {ok} Synced: avatars/user123.png (145.32 KB)\n",
                                "  - Skipped: style.css (already up-to-date)\n"]))
        return f"""\
=== Production Storage Sync ===
Environment: production
Source: {self.source.shown}
Destination: {self.destination.shown}
Dry Run: NO

Syncing path: public/
{block}
Syncing path: private/
  {ok} Synced: invoice.pdf (2.00 KB)

=== Sync Summary ===
{ok} Synced: 2
- Skipped: 1
{fail} Failed: 0
Total Size: 147.32 KB

=== Sync Complete ===
"""

    def human(self, **env):
        self.destination.put("public/style.css", "body {}")
        tool = self.succeed(env={**self.env(), "PUBLIC_OBJECT_SEARCH_PATHS": "/b/public",
                                 "PRIVATE_OBJECT_DIR": "/b/private", **env})
        text = "\n".join(line for line in tool.err.splitlines() if not line.startswith("storsync-init:")) + "\n"
        # Lines of one path come as the transfers end.
        return re.sub(r"(?m)(^  .*\n)+", lambda block: "".join(sorted(block[0].splitlines(keepends=True))), text)

    def test_ascii(self):
        self.assertEqual(self.human(), self.expected())

    def test_utf8(self):
        self.assertEqual(self.human(LC_ALL="C.UTF-8"), self.expected("\u2713", "\u2717"))

    def test_json_lines(self):
        tool = self.succeed("--log-format", "json", env=self.env())
        events = [json.loads(line) for line in tool.err.splitlines()]
        for event in events:
            self.assertEqual({"time", "level", "event", "message"} - event.keys(), set())
        self.assertIn("avatars/user123.png", tool.err)
        named = {event["event"]: event for event in events}
        for name in ("environment", "sync-started"):
            self.assertEqual(named[name]["version"], tool.status["version"])
        self.assertTrue(0 <= named["sync-finished"]["durationMs"] < 60_000 * RUN.slow)
        self.assertEqual(named["sync-finished"]["durationMs"], tool.status["durationMs"])
        self.assertIn(f"storsync-init {tool.status['version']}\n", self.succeed("--version").out)

    def test_keys_cannot_forge_lines(self):
        self.not_with_gs("no object can have such a name")
        self.source.put("public/evil\n=== Sync Complete ===\x1b[2J", "x")
        tool = self.succeed(env=self.env())
        self.assertEqual(tool.err.count("\n=== Sync Complete ==="), 1)
        self.assertNotIn("\x1b", tool.err)

    def test_level_error_is_quiet(self):
        tool = self.succeed("--log-level", "error", env=self.env())
        self.assertEqual(tool.err, "")


class Configuration(DirCase):
    def ini(self, text):
        path = self.dir / "storsync.ini"
        path.write_text(text)
        return path

    def test_ini_file(self):
        path = self.ini(f"environment = production\ndeployment_id = from-ini\n"
                        f"[source]\nbucket = {self.source.url}\n[destination]\nbucket = {self.destination.url}\n")
        for env, args in (({}, ("--config", path)), ({"STORSYNC_CONFIG": str(path)}, ())):
            tool = self.succeed(*args, env=env)
            self.assertEqual(tool.status["deploymentId"], "from-ini")
        self.assertEqual(self.destination.contents(), self.wanted)

    def test_precedence(self):
        path = self.ini("min_interval = 1h\nretries = 1\nconcurrency = 1\n")
        tool = self.succeed("--config", path, "--concurrency", "3", "--print-config", "--json",
                            env={"STORSYNC_CONCURRENCY": "2", "STORSYNC_RETRIES": "2"})
        text = json.dumps(tool.json)
        self.assertRegex(text, r'"concurrency".{0,80}"?3"?')
        self.assertRegex(text, r'"retries".{0,80}"?2"?')
        self.assertIn("--concurrency", text)
        self.assertIn("STORSYNC_RETRIES", text)
        self.assertIn(f"{path}:1", text)

    def test_print_config_masks_secrets(self):
        env = {"STORSYNC_SOURCE_SECRET_ACCESS_KEY": "swordfish-1", "AWS_SECRET_ACCESS_KEY": "swordfish-2",
               "STORSYNC_DESTINATION_SESSION_TOKEN": "swordfish-3", "AWS_ACCESS_KEY_ID": "AKID"}
        for args in (("--print-config",), ("--print-config", "--json"), ("--check-config",)):
            tool = self.tool(*args, env=env)
            self.assertNotIn("swordfish", tool.out + tool.err)
        self.assertIn("STORSYNC_SOURCE_SECRET_ACCESS_KEY", self.succeed("--print-config", env=env).out)

    def test_unknown_variable_names_the_nearest(self):
        env = {**self.env(), "STORSYNC_DESTINATON_BUCKET": "x"}
        tool = self.succeed(env=env)
        self.assertTrue(any("STORSYNC_DESTINATON_BUCKET" in w and "STORSYNC_DESTINATION_BUCKET" in w
                            for w in tool.warnings), tool.warnings)
        self.assertEqual(self.tool("--check-config", env=env).code, 78)

    def test_check_config_is_content_with_a_good_one(self):
        env = {**self.env(), "PUBLIC_OBJECT_SEARCH_PATHS": "/b/public", "PRIVATE_OBJECT_DIR": "/b/private"}
        self.succeed("--check-config", env=env)

    def test_help_and_version(self):
        text = self.succeed("--help", "all").out
        for word in ("--sync", "--validate", "--SIDE-bucket", "STORSYNC_", "--min-interval"):
            self.assertIn(word, text)
        short = self.succeed("--help").out
        self.assertLess(len(short), len(text) / 2)
        self.assertLessEqual(max(map(len, text.splitlines() + short.splitlines())), 80)
        self.assertNotIn("-secret-access-key", text, "secrets do not belong on a command line")
        self.assertRegex(self.succeed("--version").out, r"^storsync-init \d+\.\d+")


class Speed(DirCase):
    def test_development_start_costs_next_to_nothing(self):
        """The budget is 2 ms more than exec itself. The bound here is for a busy machine; the benchmark measures it."""
        if RUN.instrumented:
            self.skipTest("instrumented")
        times = []
        for _ in range(10):
            began = time.monotonic()
            os.waitpid(os.posix_spawn(RUN.binary, ["storsync-init", "--", "/bin/true"],
                                      {"STORSYNC_STATUS_FILE": str(self.status_file)},
                                      file_actions=[(os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)]), 0)
            times.append(time.monotonic() - began)
        self.assertLess(min(times), 0.004 * RUN.slow)
