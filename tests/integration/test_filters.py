"""exclude, include, filter_file, --sync PATH and --explain: what they keep out, on all kinds of buckets, and what that costs."""
import os

from gcs import GoogleStorage
from harness import RUN, TestCase, production, sides
from test_relay import dataset

FOLDER = 2100  # objects of the folder that is left out: two pages and something


class Filters(TestCase):
    def setUp(self):
        super().setUp()
        self.source, self.destination = self.dir_bucket(), self.dir_bucket()
        for key in ("public/a.css", "public/a.tmp", "public/cache/b.css", "public/img/c.png", "public/img/thumbs/d.png",
                    "private/e.pdf"):
            self.source.put(key, key, age=100)
        self.ini = self.dir / "storsync.ini"
        self.ini.touch()
        self.env = sides(self.source, self.destination, STORSYNC_CONFIG=str(self.ini))

    def arrived(self):
        return sorted(self.destination.contents())

    def test_what_is_left_out_is_neither_copied_nor_compared(self):
        self.ini.write_text("exclude = *.tmp, /public/cache/\nexclude = thumbs/\n")
        self.destination.put("public/cache/only-here", "x")
        tool = self.succeed("--sync", env=self.env)
        self.assertIn("filters leave something out", tool.err)
        self.assertEqual(self.arrived(), ["private/e.pdf", "public/a.css", "public/cache/only-here", "public/img/c.png"])
        self.assertEqual((tool.status["syncedFiles"], tool.status["extraFiles"]), (3, 0))
        document = self.succeed("--validate", "--json", env=self.env).json
        self.assertEqual((document["checkedFiles"], document["extraFiles"], document["missingFiles"]), (3, 0, 0))

    def test_the_command_line_comes_first_and_the_file_last(self):
        rules = self.dir / "rules"
        rules.write_text("# what is left\n+ *.css\n- /public/**\n")
        self.ini.write_text(f"exclude = *.png\nfilter_file = {rules}\n")
        self.succeed("--sync", "--exclude", "/public/a.css", env=self.env)
        self.assertEqual(self.arrived(), ["private/e.pdf", "public/cache/b.css"])

    def test_only_what_is_included(self):
        self.succeed("--sync", env={**self.env, "STORSYNC_INCLUDE": "/public/**,*.pdf", "STORSYNC_EXCLUDE": "img/"})
        self.assertEqual(self.arrived(), ["private/e.pdf", "public/a.css", "public/a.tmp", "public/cache/b.css"])

    def test_a_rule_that_is_none_keeps_a_sync_from_beginning(self):
        for env, text in (({"STORSYNC_EXCLUDE": "a[b"}, 'STORSYNC_EXCLUDE: "a[b" has a [ without its ]'),
                          ({"STORSYNC_FILTER_FILE": f"{self.dir}/none"}, "STORSYNC_FILTER_FILE: "),
                          ({"STORSYNC_INCLUDE": "{{x}}"}, "regular expressions")):
            for mode in ("--sync", "--check-config", "--validate"):
                tool = self.tool(mode, env={**self.env, **env})
                self.assertEqual(tool.code, 78)
                self.assertIn(text, tool.err)
        self.assertEqual(self.arrived(), [])

    def test_nothing_left_is_told(self):
        tool = self.succeed("--sync", "--include", "*.gif", env=self.env)
        self.assertIn('no objects under "public/", "private/" that the filters let through', "".join(tool.warnings))

    def test_a_directory_that_is_left_out_is_not_read(self):
        for bucket in (self.source, self.destination):
            (bucket.root / "public/cache").mkdir(parents=True, exist_ok=True)
        os.chmod(self.source.root / "public/cache", 0)
        self.destination.root.chmod(0o777)
        for path in self.destination.root.rglob("*"):
            path.chmod(0o777)
        (self.destination.root / "private").mkdir(mode=0o777)
        (self.destination.root / "private").chmod(0o777)
        self.assertEqual(self.tool("--sync", env=self.env, nobody=True).code, 2 if os.geteuid() == 0 else 0)
        self.assertEqual(self.tool("--sync", "--exclude", "cache/", env=self.env, nobody=True).code, 0)
        os.chmod(self.source.root / "public/cache", 0o755)

    def test_other_rules_are_another_job(self):
        env = {**production(self.source, self.destination), "STORSYNC_MIN_INTERVAL": "0"}
        del env["STORSYNC_JOB"]
        self.succeed(env=env)
        (self.destination.root / "public/a.css").unlink()
        self.assertEqual(self.succeed(env=env).status["state"], "already-synced")
        self.assertEqual(self.succeed("--exclude", "*.tmp", env=env).status["syncedFiles"], 1)
        self.assertEqual(self.succeed("--exclude", "*.tmp", env=env).status["state"], "already-synced")

    def test_a_part_of_the_paths(self):
        env = production(self.source, self.destination)
        self.succeed("--sync", "public/img", env=env)
        self.assertEqual(self.arrived(), ["public/img/c.png", "public/img/thumbs/d.png"])
        self.assertEqual(self.destination.markers(), [])
        self.succeed("--sync", "public/cache/", "private/", env=env)
        self.assertEqual(len(self.arrived()), 4)
        for path in ("other/x", "public/img/../a"):
            tool = self.tool("--sync", path, env=env)
            self.assertIn('no objects under "public/img/../a/"' if "img" in path else "is in none of the paths", tool.err)
        self.assertEqual(self.succeed(env=env).status["syncedFiles"], 2)

    def test_explain(self):
        self.ini.write_text("\nexclude = *.tmp\ninclude = /public/\n")
        for key, synced, why in (("public/a.tmp", False, f'exclude "*.tmp" ({self.ini}:2)'),
                                 ("public/a.css", True, f'include "/public/" ({self.ini}:3)'),
                                 ("private/e.pdf", False, "no rule includes it"),
                                 ("publicity/x", False, "none of the paths has it"),
                                 (".storsync/x", False, "the state of syncs")):
            tool = self.tool("--explain", key, env=self.env)
            self.assertEqual(tool.code, 0 if synced else 1)
            self.assertEqual(tool.out.split(":")[0], f"{key} is {'' if synced else 'not '}synced")
            self.assertIn(why, tool.out)
            tool = self.tool("--json", "--explain", key, env=self.env)
            self.assertEqual((tool.json["key"], tool.json["synced"]), (key, synced))
            deletes = self.tool("--explain", key, "--delete=extra", env=self.env).out
            self.assertEqual("where only production has it, it is removed" in deletes, synced)
        tool = self.tool("--explain", "public/a.tmp", env={**self.env, "STORSYNC_INCLUDE": "a.*"})
        self.assertIn('include "a.*" (STORSYNC_INCLUDE)', tool.out)
        self.assertEqual(self.tool("--explain", "x", "--exclude", "[", env=self.env).code, 78)

    def test_they_are_shown(self):
        self.ini.write_text("exclude = *.tmp\n")
        out = self.succeed("--print-config", "--include=*.css", env=self.env).out
        self.assertRegex(out, r"; include: \*\.css +; --include\n; exclude: \*\.tmp +; .*storsync\.ini:1\n")


class FoldersLeftOut(TestCase):
    """A folder that is left out costs the rest of a page at most, and no request more than without filters."""

    def look(self, source, count, *args):
        """Requests for a listing of the source, and objects that would be copied."""
        before = count()
        tool = self.succeed("--sync", "--dry-run", "--json", "--log-level=warn", *args,
                            env=sides(source, self.dir_bucket(), PUBLIC_OBJECT_SEARCH_PATHS="/*/public"))
        return count() - before, tool.json["syncedFiles"]

    def test_on_s3(self):
        if RUN.instrumented:
            self.skipTest("not tested here: the data set is smaller than a page")
        made = dataset(self.s3_bucket)
        source, sizes = made.bucket, made.sizes
        public = [key for key in sizes if key.startswith("public/")]
        images = [key for key in public if key.startswith("public/images/")]

        def count():
            return len([r for r in source.server.requests_since(0) if "list-type=2" in r.query])

        self.assertEqual(self.look(source, count), (3, len(public)))
        self.assertEqual(self.look(source, count, "--exclude=/public/images/"), (2, len(public) - len(images)))

    def test_on_google(self):
        server = GoogleStorage().start()
        self.addCleanup(server.stop)
        source = server.bucket("dev-bucket")
        for key in ("a", "z", *(f"cache/{number:04}" for number in range(FOLDER))):
            source.put(f"public/{key}")

        def look(*args):
            return self.look(source, lambda: len(server.asked("GET", "/o\\?.*prefix=public")), *args)

        self.assertEqual(look(), (3, FOLDER + 2))
        self.assertEqual(look("--exclude", "*.tmp"), (3, FOLDER + 2))
        self.assertEqual(look("--exclude", "/public/cache/"), (2, 2))
        self.assertEqual(look("--include", "/public/cache/*0", "--include", "/public/z"), (3, FOLDER // 10 + 1))
        self.assertEqual(look("--include", "/public/z"), (2, 1))
