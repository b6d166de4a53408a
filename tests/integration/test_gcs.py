"""Google Cloud Storage: the main job, and what the service is awkward about, on a stand-in of it (gcs.py)."""
import gzip
import hashlib

import data
import proxyfault
import test_deploy
import test_replicas
from gcs import CHUNK, GoogleStorage, error_body
from harness import JOB, RUN, TestCase, production, sides

POLICY = {"custom:aclPolicy": '{"owner":"41","visibility":"public","aclRules":[{"permission":"read"}]}'}
EVERYTHING = {"PUBLIC_OBJECT_SEARCH_PATHS": "/bucket/public", "PRIVATE_OBJECT_DIR": "/bucket/private"}
ODD_METADATA = [{}, POLICY, {"unié": "värde €", "sp ace": "", "": "unnamed", "UPPER": "1", "upper": "2"},
                {"a-b": "x", "storsync.y": "z", "A_b%20": "100%"}]


def plain(fields):
    """No metadata are as good as none."""
    return {name: value for name, value in fields.items() if value != {}}


class GcsCase(TestCase):
    def setUp(self):
        super().setUp()
        self.server = GoogleStorage().start()
        self.addCleanup(self.server.stop)
        self.source, self.destination = self.server.bucket("bucket"), self.server.bucket("prod-bucket")

    def run_tool(self, *args, env=(), timeout=60, **how):
        """From source to destination, unless `env` says otherwise."""
        return self.tool(*args, env={**EVERYTHING, **production(self.source, self.destination), **dict(env)},
                         timeout=timeout, **how)

    def sync(self, **env):
        tool = self.run_tool("--sync", env=env)
        self.assertEqual(tool.code, 0, "exit code")
        return tool

    def assert_same(self, *buckets):
        first, *others = [b.everything() for b in buckets]
        for other in others:
            self.assertEqual(sorted(first), sorted(other))
            for key, (body, fields) in first.items():
                self.assertEqual((hashlib.md5(body).hexdigest(), plain(fields)),
                                 (hashlib.md5(other[key][0]).hexdigest(), plain(other[key][1])), key)


# --- the main job, as it is with directories ---

class GcsToGcs(GcsCase, test_deploy.Deploy):
    def setUp(self):
        GcsCase.setUp(self)
        self.make_buckets()
        for key, body in (("public/avatars/user123.png", b"p" * 148_808), ("public/style.css", "body {}"),
                          ("private/invoice.pdf", b"i" * 2048)):
            self.source.put(key, body, age=100)
        self.source.put("other/not-ours", "x")
        self.source.put("publicity/not-ours", "x")

    def make_buckets(self):
        pass

    def test_first_start_syncs_and_becomes_the_application(self):
        app = self.app(code=7)
        tool = self.tool("--", app.path, env=self.env())
        self.assertEqual(tool.code, 7)
        self.assertTrue(app.started)
        self.assertEqual(self.destination.contents(), self.wanted)
        self.assertEqual(self.destination.markers(), ["d1.json"])
        self.assertIn(f".storsync/{JOB}/last-sync.json", self.destination.contents(state=True))
        self.assertEqual((tool.status["state"], tool.status["syncedFiles"], tool.status["totalSize"]),
                         ("synced", 3, 148_808 + 7 + 2048))


class DirToGcs(GcsToGcs):
    def make_buckets(self):
        self.source = self.dir_bucket()


class GcsToDir(GcsToGcs):
    def make_buckets(self):
        self.destination = self.dir_bucket()


class Replicas(GcsCase, test_replicas.ReplicaCase):
    OBJECTS = 60

    def assert_one_of_sixteen(self):
        for number in range(self.OBJECTS):
            self.source.put(f"public/{number}", data.body(number, 500))
        tools = self.together(16, production(self.source, self.destination, STORSYNC_CONCURRENCY="2"))
        self.assert_one_synced(tools, self.OBJECTS, test_replicas.finished_at(self.destination.marker("d1")))
        self.assert_same(self.source, self.destination)
        copies = [r.path for r in self.server.asked("POST", "/rewriteTo/") if r.status == 200]
        self.assertEqual(len(copies), len(set(copies)), "no object was copied twice")

    def test_sixteen_starts(self):
        self.assert_one_of_sixteen()

    def test_sixteen_starts_where_who_loses_hears_429(self):
        self.server.lost_races_429 = True
        self.assert_one_of_sixteen()

    def test_sixteen_starts_with_one_write_a_second_to_a_name(self):
        self.server.one_a_second = True
        self.assert_one_of_sixteen()


# --- copies inside the service ---

class Copies(GcsCase):
    def fill(self):
        for number, key in enumerate(k for k in data.hostile_keys() if "\r" not in k and "\n" not in k):
            for prefix in ("public/", "private/"):
                self.source.put(prefix + key, data.body(key, data.Dataset.SIZES[number % 7]),
                                metadata=ODD_METADATA[number % 4], cacheControl="no-cache", contentLanguage="de, en",
                                contentDisposition='attachment; filename="ä.txt"', contentType=f"image/x{number}")

    def test_odd_names_and_metadata(self):
        self.fill()
        self.server.page_size, self.server.empty_pages = 50, 2
        tool = self.run_tool()
        self.assertEqual((tool.status["state"], tool.status["failedFiles"]), ("synced", 0))
        self.assert_same(self.source, self.destination)
        self.assertEqual(self.server.asked("GET", "b/bucket/o/.*alt=media"), [], "no body passed through")
        self.server.requests.clear()
        self.assertEqual(self.run_tool().status["state"], "already-synced")
        self.assertEqual(len(self.server.requests), 1, "the marker alone")
        self.server.requests.clear()
        self.assertEqual(self.sync().status["syncedFiles"], 0)
        self.assertEqual(self.server.asked("POST", "rewriteTo"), [])
        self.assertEqual(self.tool("--validate", env=sides(self.source, self.destination, **EVERYTHING)).code, 0)

    def test_large_objects_take_several_requests(self):
        self.server.rewrite_step = data.MIB
        for number in range(4):
            self.source.put(f"public/{number}", data.body(number, 5 * data.MIB + number), metadata=POLICY)
        self.sync()
        self.assert_same(self.source, self.destination)
        self.assertEqual(len(self.server.asked("POST", "rewriteTo")), 3 * 6 + 5)

    def test_a_change_of_the_policy_alone(self):
        self.source.put("public/a", "x", age=50)
        self.source.put("public/b", "x", age=50)
        self.assertEqual(self.sync().status["syncedFiles"], 2)
        self.assertEqual(self.sync().status["syncedFiles"], 0)
        self.source.patch("public/a", **POLICY)
        self.assertEqual(self.sync().status["syncedFiles"], 1)
        self.assertEqual(self.destination.objects["public/a"].metadata, POLICY)
        self.destination.patch("public/a", **{"custom:aclPolicy": "{}"})
        self.assertEqual(self.sync().status["syncedFiles"], 0, "production's own policy stays")

    def test_composed_objects_have_no_md5(self):
        self.source.put("public/a", data.body("a", 5000), age=50, composite=True)
        self.assertEqual(self.sync().status["syncedFiles"], 1)
        self.assertEqual(self.sync().status["syncedFiles"], 0)
        self.source.put("public/a", data.body("b", 5000), age=5000, composite=True)
        self.assertEqual(self.sync(STORSYNC_COMPARE="etag").status["syncedFiles"], 1, "the CRC32C tells")
        self.assert_same(self.source, self.destination)

    def test_a_copy_that_is_not_allowed_goes_through_this_machine(self):
        """One identity reads, the other writes: rewriting is refused."""
        self.source.put("public/a", data.body("a", 300_000), metadata=POLICY)
        proxy = self.proxy(self.server.endpoint)
        proxy.fault(proxyfault.answer(403, error_body(403, "forbidden")), method="POST", target="rewriteTo",
                    times=proxyfault.FOREVER)
        self.sync(STORAGE_EMULATOR_HOST=proxy.endpoint)
        self.assert_same(self.source, self.destination)
        self.assertEqual(len(self.server.asked("GET", "b/bucket/o/.*alt=media")), 1)


class Scale(GcsCase):
    OBJECTS = 300 if RUN.instrumented else 3000
    LIMIT = 8 * data.MIB

    def make_sure(self, source, destination):
        """One run leaves both equal; the next makes listings and a handful of requests."""
        for objects in (self.OBJECTS + 1, 0):
            self.server.requests.clear()
            tool = self.tool("--sync", env={**EVERYTHING, **sides(source, destination)}, timeout=120)
            self.assertEqual((tool.status["syncedFiles"], tool.status["failedFiles"]), (objects, 0))
            if not RUN.instrumented:
                self.assertLess(tool.peak_rss, self.LIMIT)
        self.assertLess(len(self.server.requests), 2 * (self.OBJECTS // 1000 + 1) + 12)

    def test_there_and_to_a_directory_and_back(self):
        self.server.rewrite_step = 5 * data.MIB
        for number in range(self.OBJECTS):
            self.source.put(f"public/{number % 50}/{number} ä", data.body(number, [0, 1, 100, 4096, 70_000][number % 5]),
                            metadata=ODD_METADATA[number % 4])
        self.source.put("public/large", data.body("large", 40 * data.MIB))
        middle, last = self.dir_bucket(), self.server.bucket("last-bucket")
        for source, destination in ((self.source, self.destination), (self.source, middle), (middle, last)):
            self.make_sure(source, destination)
        self.assert_same(self.source, self.destination, last)


# --- bodies that pass through this machine ---

class Relays(GcsCase):
    SIZES = [0, 1, 1000, 16 * data.KIB, CHUNK - 1, CHUNK, CHUNK + 1, 5 * data.MIB, 5 * data.MIB + 1, 8 * data.MIB + 77,
             12 * data.MIB]

    def fill(self, bucket):
        for number, size in enumerate(self.SIZES):
            bucket.put(f"public/a b/{number}", data.body(number, size), metadata=ODD_METADATA[number % 4],
                       contentType="text/plain; charset=utf-8", cacheControl="no-store")

    def pass_on(self, source, destination, **env):
        env = {**EVERYTHING, "STORSYNC_PART_SIZE": "5MiB", **sides(source, destination), **env}
        tool = self.tool("--sync", env=env, timeout=120)
        self.assertEqual((tool.code, tool.status["failedFiles"]), (0, 0))
        if not RUN.instrumented:
            self.assertLess(tool.peak_rss, 8 * data.MIB)
        again = self.tool("--sync", env=env)
        self.assertEqual(again.status["syncedFiles"], 0, "the next one copies nothing")

    def test_directory_and_back(self):
        self.fill(self.source)
        middle = self.dir_bucket()
        self.pass_on(self.source, middle)
        self.pass_on(middle, self.destination)
        self.assert_same(self.source, self.destination)

    def test_s3_and_back(self):
        self.fill(self.source)
        middle = self.s3_bucket()
        self.pass_on(self.source, middle)
        head = middle.client.head_object(Bucket=middle.name, Key="public/a b/1")
        self.assertEqual(head["Metadata"], {"storsync.custom%3aacl%50olicy": POLICY["custom:aclPolicy"]})
        self.pass_on(middle, self.destination)
        for key, (body, fields) in self.source.everything().items():
            found = self.destination.objects[key]
            self.assertEqual(hashlib.md5(found.body).hexdigest(), hashlib.md5(body).hexdigest(), key)
            self.assertEqual(plain(found.fields), plain(fields), key)

    def test_s3_dataset(self):
        """What S3 has in metadata, and comes back as it was."""
        first, last = self.s3_bucket(), self.s3_bucket()
        for number, size in enumerate([0, 1, 1000, 20_000, 5 * data.MIB + 3, 6 * data.MIB] * 3):
            first.put(f"private/{number}", data.body(number, size), **data.metadata(number))
        self.pass_on(first, self.destination)
        self.assertEqual(len(self.destination.contents()), 18)
        self.pass_on(self.destination, last)
        self.assertEqual(data.differences(data.snapshot(first, ["private/"]), data.snapshot(last, ["private/"])), [])

    def test_gzip_arrives_as_it_is_stored(self):
        packed = gzip.compress(b"x" * 100_000)
        self.source.put("public/page", packed, contentEncoding="gzip", contentType="text/html")
        middle = self.dir_bucket()
        self.pass_on(self.source, middle)
        self.assertEqual(middle.get("public/page"), packed)
        self.pass_on(middle, self.destination)
        self.assert_same(self.source, self.destination)

    def test_tags_have_no_place(self):
        bucket = self.s3_bucket()
        bucket.put("public/a", b"x", Tagging="a=b")
        tool = self.tool("--sync", env={**EVERYTHING, **sides(bucket, self.destination)})
        self.assertEqual((tool.code, self.destination.get("public/a")), (0, b"x"))
        self.assertIn("takes no tags", tool.err)

    def test_many_large_ones_at_once(self):
        middle = self.dir_bucket()
        for number in range(16):
            middle.put(f"public/{number}", data.body(number, 7 * data.MIB + number))
        self.pass_on(middle, self.destination)
        self.assertEqual(self.destination.contents(), middle.contents())


# --- faults ---

class Faults(GcsCase):
    def setUp(self):
        super().setUp()
        self.middle = self.dir_bucket()
        self.proxied = self.proxy(self.server.endpoint)

    def upload(self, count=1, size=12 * data.MIB + 5, **env):
        for number in range(count):
            self.middle.put(f"public/{number}", data.body(number, size))
        env = {**EVERYTHING, "STORSYNC_PART_SIZE": "5MiB", **sides(self.middle, self.destination),
               "STORAGE_EMULATOR_HOST": self.proxied.endpoint, **env}
        tool = self.tool("--sync", env=env, timeout=120)
        self.assertEqual((tool.code, tool.status["failedFiles"]), (0, 0))
        self.assertEqual(self.destination.contents(), self.middle.contents())
        return tool

    def test_less_is_kept_than_was_sent(self):
        self.server.store_less = 3
        self.upload()
        asked = [r for r in self.server.asked("PUT", "upload_id") if "bytes */" in r.headers["content-range"]]
        self.assertEqual(len(asked), 3)

    def test_nothing_is_kept_now_and_then(self):
        self.server.store_nothing = 2
        self.upload()

    def test_sessions_get_lost(self):
        for status in (404, 410):
            with self.subTest(status):
                self.server.lost_sessions = [status, status]
                self.upload(count=2)
                self.assertEqual(self.server.lost_sessions, [])

    def test_parts_break_off(self):
        self.proxied.fault(proxyfault.reset_before, method="PUT", target="upload_id", times=2)
        self.proxied.fault(proxyfault.reset_after, method="PUT", target="upload_id", skip=2, times=2)
        self.proxied.fault(proxyfault.answer(503, "<html>busy</html>", {"Content-Type": "text/html"}), method="PUT",
                           target="upload_id", skip=5, times=2)
        self.upload()

    def test_the_answer_to_the_last_part_is_lost(self):
        self.proxied.fault(proxyfault.reset_after, method="PUT", target="upload_id", skip=2)
        self.upload()
        self.assertEqual(len(self.server.asked("POST", "uploadType=resumable")), 1)

    def test_a_storm_of_429_and_503(self):
        self.proxied.fault(proxyfault.answer(429, error_body(429, "rateLimitExceeded")), every=3, times=30)
        self.proxied.fault(proxyfault.answer(503, "<html>no</html>", {"Content-Type": "text/html"}), every=4, times=30)
        for number in range(60):
            self.source.put(f"public/{number}", data.body(number, 3000), metadata=POLICY)
        tool = self.run_tool(env={"STORAGE_EMULATOR_HOST": self.proxied.endpoint, "STORSYNC_RETRIES": "10"},
                             timeout=120)
        self.assertEqual(tool.status["state"], "synced")
        self.assert_same(self.source, self.destination)

    def test_bodies_are_cut(self):
        for number in range(3):
            self.source.put(f"public/{number}", data.body(number, 3 * data.MIB))
        for after in (0, 1000, 2 * data.MIB):
            self.proxied.fault(proxyfault.truncate(after), method="GET", target="alt=media")
        self.proxied.fault(proxyfault.reset_body(50_000), method="GET", target="alt=media")
        tool = self.tool("--sync", env={**EVERYTHING, **sides(self.source, self.middle),
                                        "STORAGE_EMULATOR_HOST": self.proxied.endpoint}, timeout=120)
        self.assertEqual(tool.code, 0)
        self.assertEqual(self.middle.contents(), self.source.contents())

    def test_a_listing_is_cut(self):
        for number in range(300):
            self.source.put(f"public/{number}")
        self.proxied.fault(proxyfault.truncate(10_000), method="GET", target="b/bucket/o[?]")
        self.proxied.fault(proxyfault.answer(200, "<html>who are you?</html>", {"Content-Type": "text/html"}),
                           method="GET", target="b/bucket/o[?]")
        self.run_tool(env={"STORAGE_EMULATOR_HOST": self.proxied.endpoint})
        self.assert_same(self.source, self.destination)

    def test_objects_change_while_they_are_copied(self):
        def change(x):
            self.source.put("public/a", data.body("new", 70_000))
            proxyfault.passthrough(x)

        for target in ("rewriteTo", "public%2Fa[?].*alt=media"):
            with self.subTest(target):
                self.source.put("public/a", data.body("old", 70_000), age=9)
                self.proxied.fault(change, target=target)
                destination = self.destination if target == "rewriteTo" else self.dir_bucket()
                self.assertEqual(self.tool("--sync", env={**EVERYTHING, **sides(self.source, destination),
                                                          "STORAGE_EMULATOR_HOST": self.proxied.endpoint}).code, 0)
                self.assertEqual(destination.get("public/a"), data.body("new", 70_000))

    def test_metadata_change_while_objects_are_copied(self):
        """The bytes stay as they are, and come with the policy that was there last."""
        def change(x):
            self.source.patch("public/a", **POLICY)
            proxyfault.passthrough(x)

        for target, size in (("rewriteTo", 7), ("public%2Fa[?].*alt=media", 70_000),
                             ("public%2Fa[?].*alt=media", 12 * data.MIB)):
            with self.subTest(target, size=size):
                self.proxied.clear()
                self.source.put("public/a", data.body(size, size), age=9, metadata={"custom:owner": "7"})
                self.proxied.fault(change, target=target)
                if target != "rewriteTo":
                    self.proxied.fault(proxyfault.answer(403, error_body(403, "forbidden")), method="POST",
                                       target="rewriteTo", times=proxyfault.FOREVER)
                self.sync(STORAGE_EMULATOR_HOST=self.proxied.endpoint, STORSYNC_PART_SIZE="5MiB")
                self.assert_same(self.source, self.destination)
                self.assertEqual(self.destination.objects["public/a"].metadata, {"custom:owner": "7", **POLICY})

    def test_the_application_starts_without_the_service(self):
        self.source.put("public/a")
        app = self.app()
        tool = self.run_tool("--", app.path, env={"STORAGE_EMULATOR_HOST": "127.0.0.1:1", "STORSYNC_RETRIES": "1"})
        self.assertEqual((tool.code, app.started, tool.status["state"]), (0, True, "failed"))


# --- what is told ---

class Words(GcsCase):
    def setUp(self):
        super().setUp()
        self.source.put("public/a", "x")

    def expect(self, *texts, code=None, **env):
        tool = self.run_tool("--sync", env=env)
        self.assertNotEqual(tool.code, 0)
        for text in texts:
            self.assertIn(text, tool.err)
        if code is not None:
            self.assertEqual(tool.code, code)
        return tool

    def test_no_such_bucket(self):
        self.expect('bucket "nowhere-bucket" does not exist', STORSYNC_DESTINATION_BUCKET="gs://nowhere-bucket")

    def test_no_right_to_list(self):
        self.source.denied.add("storage.objects.list")
        self.expect("access denied: the credentials need storage.objects.list, or there is no such bucket")

    def test_no_right_to_write(self):
        self.destination.denied.add("storage.objects.create")
        self.expect("access denied: the credentials need storage.objects.create")

    def test_no_right_to_replace(self):
        self.sync()
        self.source.put("public/a", "longer")
        self.destination.denied.add("storage.objects.delete")
        self.expect("the credentials need storage.objects.delete")

    def test_requester_pays(self):
        self.source.requester_pays = True
        self.expect("requesters pay for this bucket: set user_project")
        self.sync(STORSYNC_SOURCE_USER_PROJECT="my-project")
        self.assert_same(self.source, self.destination)
        self.assertTrue(all("userProject=my-project" in r.target for r in self.server.asked("GET", "b/bucket/o[?]")
                            if r.status == 200))

    def test_retention_and_holds(self):
        for held, text in (("retentionPolicyNotMet", "a retention policy protects"),
                           ("objectUnderActiveHold", "a hold protects")):
            self.destination.put("public/a", "longer", age=500, held=held)
            self.expect(text)
        self.assertEqual(self.destination.get("public/a"), b"longer")

    def test_uniform_access_needs_nothing(self):
        """No request asks for an ACL, which the stand-in would refuse."""
        self.sync()

    def test_a_bare_name_of_replit(self):
        name = "replit-objstore-1b6d4b3e-0000-4000-8000-123456789abc"
        bucket = self.server.bucket(name)
        self.sync(STORSYNC_DESTINATION_BUCKET=name)
        self.assert_same(self.source, bucket)

    def test_names_that_the_service_cannot_have(self):
        middle = self.dir_bucket()
        for name in ("public/a\nb", "public/fine"):
            middle.put(name)
        (middle.root / "public").joinpath(b"\xff".decode("utf-8", "surrogateescape")).write_bytes(b"x")
        tool = self.tool("--sync", env={**EVERYTHING, **sides(middle, self.destination)})
        self.assertEqual((tool.status["syncedFiles"], tool.status["failedFiles"]), (1, 2))
        self.assertIn("can have no object of this name", tool.err)
        self.assertEqual(self.destination.keys("public/"), ["public/fine"])
