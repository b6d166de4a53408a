"""Memory does not depend on how many objects there are."""
import json
import time

import pki
import proxyfault
from harness import RUN, TestCase, sides

MIB = 1 << 20


class Scale(TestCase):
    LIMIT = 8 * MIB

    def fill(self, bucket, folders, files):
        for folder in range(folders):
            path = bucket.root / f"public/{folder:03}"
            path.mkdir(parents=True)
            for number in range(files):
                (path / f"object-{number:04}.jpg").write_bytes(b"x" * (number % 7))

    def test_hundred_thousand_objects(self):
        folders = 5 if RUN.instrumented else 100
        source, destination = self.dir_bucket(), self.dir_bucket()
        self.fill(source, folders, 1000)
        env = sides(source, destination, PUBLIC_OBJECT_SEARCH_PATHS="/b/public")
        for args, synced in ((("--sync",), folders * 1000), (("--sync",), 0)):
            tool = self.succeed(*args, "--concurrency", "16", env=env, timeout=120)
            self.assertEqual((tool.status["syncedFiles"], tool.status["failedFiles"]), (synced, 0))
            self.assert_small(tool)
        self.assert_small(self.succeed("--validate", env=env, timeout=120))
        self.look(env, destination, folders)

    def look(self, env, destination, folders):
        """With filters: ten of them, of which the last two match; and with a plan of all that there is."""
        filters = self.dir / "filters"
        filters.write_text("".join(f"- /public/*/**/{{no,none}}-{n}*[!a-z]?.jpg\n" for n in range(8)) +
                           "- *-???7.jpg\n- /public/001/\n")
        plan = self.dir / "plan"
        tool = self.succeed("--sync", "--dry-run", "--filter-file", str(filters), "--plan", str(plan),
                            "--plan-format", "json-all", env=env, timeout=240)
        self.assertEqual(tool.err.count("Would sync: "), 1)
        self.assert_small(tool)
        with plan.open() as file:
            header, *objects, summary = map(json.loads, file)
        left = (folders - 1) * 900
        self.assertEqual((summary["skip"], summary["complete"], len(objects)), (left, True, left))
        self.assertEqual(len({o["key"] for o in objects}), left)

    def test_one_large_folder(self):
        source, destination = self.dir_bucket(), self.dir_bucket()
        path = source.root / "public"
        path.mkdir()
        for number in range(1000 if RUN.instrumented else 20_000):
            (path / f"object-{number}").write_bytes(b"x")
        tool = self.succeed("--sync", env=sides(source, destination), timeout=120)
        self.assert_small(tool)
        self.succeed("--validate", env=sides(source, destination))

    def test_large_bodies_through_sixteen_transfers(self):
        """S3 to S3 through the tool: every transfer holds its buffer at the same time."""
        source, destination = self.bucket("source"), self.bucket("destination", lambda: self.s3_bucket(1))
        for number in range(24):
            source.put(f"public/{number}", bytes(9 * MIB))
        tool = self.succeed("--sync", "--concurrency", "16", env=sides(source, destination))
        self.assertEqual(tool.status["syncedFiles"], 24)
        self.assert_small(tool)

    def test_small_ones_and_large_ones_over_https(self):
        """As many at once as it finds good, and what they held is still there when those of another kind come."""
        source, destination = self.s3_bucket(), self.s3_bucket(1)
        for number in range(400):
            source.put(f"public/a{number:03}", bytes(15_000))
        for number in range(24):
            source.put(f"public/b{number:02}", bytes(2 * MIB))
        tls = pki.server_context(RUN.pki.pem(RUN.certificate))
        env = {}
        for side, bucket in (("source", source), ("destination", destination)):
            front = self.proxy(bucket.server.plain, tls=tls)
            front.fault(self.slowly, target="public/a", times=proxyfault.FOREVER)
            env.update(bucket.env(side, endpoint=front.endpoint, ca_file=str(RUN.ca_file)))
        tool = self.succeed("--sync", env=env, timeout=120)
        self.assertEqual(tool.status["syncedFiles"], 424)
        self.assert_small(tool)

    @staticmethod
    def slowly(x):
        """So that it finds more at once to be good."""
        time.sleep(0.05)
        proxyfault.passthrough(x)

    def test_memory_is_not_asked_for_anew(self):
        """What one copy needed serves the next one (deps/patches/musl): the kernel has no page to find for it."""
        if RUN.instrumented:
            self.skipTest("another allocator")
        source, destination = self.s3_bucket(), self.s3_bucket()
        for number in range(300):
            source.put(f"public/{number}", b"x")
        env = sides(source, destination)
        # Where it finds out itself how many are good at once, it is more memory for more of them.
        copied = self.succeed("--sync", "--concurrency", "8", env=env)
        self.assertEqual(copied.status["syncedFiles"], 300)
        compared = self.succeed("--sync", "--concurrency", "8", env=env)
        self.assertEqual(compared.status["syncedFiles"], 0)
        self.assertLess(copied.page_faults - compared.page_faults, 300)

    def assert_small(self, tool):
        if not RUN.instrumented:
            self.assertLess(tool.peak_rss, self.LIMIT)
            self.assertGreater(tool.peak_rss, 0)
