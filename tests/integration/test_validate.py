"""--validate: what is missing, mismatched, extra; with directories, and with S3 where ETags can be compared. And the content of
both sides, where nothing but reading compares it."""
import os
import signal

import data
import proxyfault
from gcs import GoogleStorage, crc32c
from harness import RUN, TestCase, sides

MIB = 1024 * 1024


class Validate(TestCase):
    def setUp(self):
        super().setUp()
        self.source, self.destination = (self.bucket(side, self.dir_bucket) for side in ("source", "destination"))
        for number in range(20):
            self.source.put(f"public/{number:02}", f"body {number}", age=1000)
        self.source.put("private/p", "p", age=1000)
        self.env = sides(self.source, self.destination)
        self.succeed("--sync", env=self.env)

    def validate(self, *args, code=0):
        tool = self.tool("--validate", *args, env=self.env)
        self.assertEqual(tool.code, code)
        return tool

    def test_equal(self):
        document = self.validate("--json").json
        self.assertEqual((document["state"], document["success"], document["valid"]), ("synced", True, True))
        self.assertEqual([document[f] for f in ("missingFiles", "mismatchedFiles", "extraFiles")], [0, 0, 0])
        self.assertEqual(document["unhashedFiles"], 0 if RUN.gs == "both" else document["checkedFiles"])
        self.assertEqual("By size and time only: " in self.validate().err, document["unhashedFiles"] > 0)

    def test_differences(self):
        self.destination.remove("public/03")
        self.destination.remove("public/04")
        self.destination.put("public/05", "of another size")
        self.destination.put("private/only-here", "x")
        self.destination.put("elsewhere/does-not-count", "x")
        tool = self.validate("--json", code=1)
        self.assertIn("=== Validation Complete: 3 differences, 1 extra ===", tool.err)
        self.assertEqual([tool.json[f] for f in ("state", "success", "valid")], ["partial", False, False])
        self.assertEqual([tool.json[f] for f in ("missingFiles", "mismatchedFiles", "extraFiles")], [2, 1, 1])
        for key in ("public/03", "public/04", "public/05", "private/only-here"):
            self.assertIn(key, str(tool.json["details"]))
        self.assertNotIn("does-not-count", tool.out)

    def test_extra_objects_are_no_difference_unless_asked(self):
        self.destination.put("public/upload", "of a user")
        for strict, code, state in ((["--strict"], 1, "partial"), ([], 0, "synced")):
            tool = self.validate("--json", *strict, code=code)
            self.assertEqual([tool.json[f] for f in ("state", "success", "valid", "strict", "exitCode", "extraFiles")],
                             [state, not code, not code, bool(strict), code, 1])
            self.assertEqual(tool.json["details"]["extra"], ["public/upload"])
            line = self.validate("--log-format=json", *strict, code=code).err.splitlines()[-1]
            self.assertIn(f'"state":"{state}"', line)
            self.assertIn(f'"exitCode":{code}', line)
        self.assertIn("equal: 21 objects", tool.json["message"])
        self.assertIn("1 extra at the destination", tool.json["message"])
        self.assertIn("=== Validation Complete: equal, 1 extra ===", tool.err)
        self.env["STORSYNC_STRICT"] = "yes"
        self.validate(code=1)

    def test_what_belongs_to_a_validation_is_refused_elsewhere(self):
        for args in (["--sync", "--content"], ["--strict", "--", "true"], ["--content-seed=7"]):
            tool = self.tool(*args, env=self.env)
            self.assertEqual(tool.code, 64)
            self.assertIn("needs --validate", tool.err)

    def test_first_ten_for_people_all_in_json(self):
        for number in range(15):
            self.destination.remove(f"public/{number:02}")
        human = self.validate(code=1)
        text = human.out + human.err
        self.assertIn("15", text)
        self.assertIn("public/09", text)
        self.assertNotIn("public/10", text)
        self.assertIn("public/14", str(self.validate("--json", code=1).json["details"]))

    def test_a_source_without_objects_is_pointed_at(self):
        self.env["PUBLIC_OBJECT_SEARCH_PATHS"] = "/bucket/publik"
        self.assertIn('has no objects under "publik/"', "".join(self.validate().warnings))

    def test_newer_source_is_a_mismatch(self):
        self.source.put("public/00", "BODY 0", age=-5)
        self.assertEqual(self.validate("--json", code=1).json["mismatchedFiles"], 1)

    def test_changes_nothing(self):
        self.destination.remove("public/03")
        before = self.destination.contents(state=True)
        self.validate(code=1)
        self.assertEqual(self.destination.contents(state=True), before)

    def test_in_any_environment(self):
        for environment in ("production", "development"):
            self.env["STORSYNC_ENVIRONMENT"] = environment
            self.validate()

    def test_missing_bucket_is_not_an_empty_one(self):
        self.env["STORSYNC_DESTINATION_BUCKET"] = f"file://{self.dir}/missing"
        self.validate(code=69)


class ValidateS3(TestCase):
    def test_same_size_other_content(self):
        source, destination = self.bucket("source"), self.bucket("destination")
        for key in ("public/a", "public/b" if RUN.gs else "public/b\n", "private/c d"):
            source.put(key, "12345")
        env = sides(source, destination)
        self.succeed("--sync", env=env)
        self.assertEqual(self.tool("--validate", "--json", env=env).json["unhashedFiles"], 0)
        destination.put("public/a", "54321")
        tool = self.tool("--validate", "--compare", "etag", "--json", env=env)
        self.assertEqual((tool.code, tool.json["mismatchedFiles"]), (1, 1))

    def test_costs_listings_only(self):
        source, destination = self.bucket("source"), self.bucket("destination")
        for number in range(20):
            source.put(f"public/{number}", "x")
        env = sides(source, destination)
        self.succeed("--sync", env=env)
        mark = source.server.mark()
        self.succeed("--validate", env=env)
        others = [r for r in source.server.requests_since(mark) if "list-type=2" not in r.query]
        self.assertEqual([r for r in others if not r.path.endswith("/o")], [])


def flipped(body, at=None):
    at = len(body) // 2 if at is None else at
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1:]


def put_in_parts(bucket, key, body):
    """The ETag of what was uploaded in parts is no hash of it, and be it a single one."""
    where = {"Bucket": bucket.name, "Key": key}
    upload = bucket.client.create_multipart_upload(**where)["UploadId"]
    cuts = [body[at:at + 5 * MIB] for at in range(0, len(body), 5 * MIB)]
    parts = [{"PartNumber": n, "ETag": bucket.client.upload_part(**where, UploadId=upload, PartNumber=n, Body=cut)["ETag"]}
             for n, cut in enumerate(cuts, 1)]
    bucket.client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})


class Content(TestCase):
    """One byte is another one, size and time are not."""

    def validate(self, *args, code=0, **env):
        """The document: of what was found in it."""
        tool = self.tool("--validate", "--json", *args, env={**self.env, **env})
        self.assertEqual(tool.code, code)
        return tool.json

    def assert_found(self, document, read, hashed=0, mismatched=(), unhashed=0):
        self.assertEqual([document[f] for f in ("readFiles", "hashedFiles", "unhashedFiles", "changedFiles")],
                         [read, hashed, unhashed, 0])
        self.assertEqual(sorted(document["details"]["mismatched"], key=lambda found: found["file"]),
                         [{"file": key, "reason": "content differs"} for key in mismatched])

    def flip_file(self, bucket, key):
        """As a disk does: its times stay."""
        path = bucket.root / key
        before = path.stat()
        path.write_bytes(flipped(path.read_bytes()))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


class ContentOfDirectories(Content):
    def setUp(self):
        super().setUp()
        self.source, self.destination = self.dir_bucket(), self.dir_bucket()
        self.env = sides(self.source, self.destination)

    def fill(self, count=40):
        for number in range(count):
            self.source.put(f"public/{number:02}", data.body(number, number * 1000), age=1000)
        self.succeed("--sync", env=self.env)

    def test_a_flipped_byte(self):
        self.fill()
        self.flip_file(self.destination, "public/31")
        self.assertEqual(self.validate()["unhashedFiles"], 40)
        document = self.validate("--content", code=1)
        self.assert_found(document, read=40, mismatched=["public/31"])
        self.assertEqual((document["contentPercent"], document["contentSeed"]), (100, 0))
        self.assertTrue(2 * sum(range(31)) * 1000 < document["bytesRead"] <= 2 * sum(range(40)) * 1000)
        self.flip_file(self.destination, "public/31")
        self.assert_found(self.validate("--content"), read=40)

    def test_a_sample(self):
        self.fill()
        for number in range(1, 40):
            self.flip_file(self.destination, f"public/{number:02}")
        keys = {}
        for seed in range(1, 4):
            document = self.validate("--content=25%", f"--content-seed={seed}", code=1)
            keys[seed] = {found["file"] for found in document["details"]["mismatched"]}
            self.assertEqual(document["readFiles"] + document["unhashedFiles"], 40)
            self.assertEqual((document["contentPercent"], document["contentSeed"]), (25, seed))
            self.assertIn(f"{document['readFiles']} of them by reading", self.equal_message(document))
        self.assertNotEqual(keys[1], keys[2])
        again = self.validate("--content=25%", "--content-seed=2", code=1)
        self.assertEqual({found["file"] for found in again["details"]["mismatched"]}, keys[2])
        tool = self.tool("--validate", "--content=25", env=self.env)
        seed = tool.err.partition("(content_seed ")[2].partition(")")[0]
        self.assertNotEqual(seed, "0")
        self.assertEqual(str(self.validate("--content=25", f"--content-seed={seed}", code=1)["contentSeed"]), seed)

    def equal_message(self, document):
        """What it would say if nothing had differed."""
        return document["message"] if document["valid"] else f"{document['readFiles']} of them by reading"

    def test_the_log_says_what_was_looked_at(self):
        self.fill(3)
        tool = self.succeed("--validate", "--content", env=self.env)
        self.assertIn("Content: read where no hash compares it\n", tool.err)
        self.assertIn("Checked: 3\nBy hash: 0\nBy reading: 3 (5.86 KB)\n✗ Missing".replace("✗", "x"), tool.err)


class ContentOnS3(Content):
    def check(self, source, destination, flip, **found):
        """In parts on both sides, and in one piece."""
        self.env = sides(source, destination, STORSYNC_PART_SIZE="5MiB")
        large = data.body("large", 5 * MIB + 99)
        if hasattr(source, "root"):
            source.put("public/large", large, age=1000)
            source.put("public/small", b"small", age=1000)
        else:
            put_in_parts(source, "public/large", large)
            source.put("public/small", b"small")
        self.succeed("--sync", env=self.env)
        self.assert_found(self.validate("--content"), **found)
        flip(destination, "public/large")
        self.validate()
        self.assert_found(self.validate("--content", code=1), mismatched=["public/large"], **found)

    def flip_in_parts(self, bucket, key):
        put_in_parts(bucket, key, flipped(bucket.get(key), 5 * MIB + 1))

    def test_s3_to_s3(self):
        self.check(self.s3_bucket(), self.s3_bucket(), self.flip_in_parts, read=1, hashed=1)

    def test_s3_to_directory(self):
        self.check(self.s3_bucket(), self.dir_bucket(), self.flip_file, read=2)

    def test_directory_to_s3(self):
        self.check(self.dir_bucket(), self.s3_bucket(), self.flip_in_parts, read=2)


class ContentOnGoogle(Content):
    """What was composed of others has a CRC32C and no MD5."""

    def setUp(self):
        super().setUp()
        self.server = GoogleStorage().start()
        self.addCleanup(self.server.stop)
        self.source = self.server.bucket("bucket")
        self.source.put("public/composed", data.body("c", 70_000), age=1000, composite=True)
        self.source.put("public/plain", data.body("p", 70_000), age=1000)

    def sync_to(self, destination):
        self.destination = destination
        self.env = sides(self.source, destination, STORSYNC_PART_SIZE="5MiB")
        self.succeed("--sync", env=self.env)

    def test_composed_objects_and_files(self):
        self.sync_to(self.dir_bucket())
        self.assert_found(self.validate("--content"), read=2)
        self.flip_file(self.destination, "public/composed")
        self.flip_file(self.destination, "public/plain")
        document = self.validate("--content", code=1)
        self.assert_found(document, read=2, mismatched=["public/composed", "public/plain"])
        self.assertEqual(document["bytesRead"], 140_000)  # the files alone

    def test_composed_objects_and_s3(self):
        self.sync_to(self.s3_bucket())
        self.assert_found(self.validate("--content"), read=1, hashed=1)
        self.destination.put("public/composed", flipped(self.source.get("public/composed")))
        self.assert_found(self.validate("--content", code=1), read=1, hashed=1, mismatched=["public/composed"])

    def test_what_does_not_fit_its_sum_is_not_copied(self):
        self.source.put("public/large", data.body("l", 6 * MIB), age=1000, composite=True)
        for key in ("public/composed", "public/large"):
            self.source.objects[key].crc32c = crc32c(b"something else")
        destination = self.dir_bucket()
        tool = self.tool("--sync", env=sides(self.source, destination, STORSYNC_PART_SIZE="5MiB", STORSYNC_RETRIES="1"))
        self.assertEqual(tool.code, 2)
        self.assertEqual(sorted(destination.contents()), ["public/plain"])
        self.assertIn("CRC32C", tool.err)


class ContentOnTheWay(Content):
    """An object that is read through something which breaks."""

    def setUp(self):
        super().setUp()
        self.source, self.destination = self.s3_bucket(), self.dir_bucket()
        put_in_parts(self.source, "public/a", data.body("a", 5 * MIB + 99))
        self.succeed("--sync", env=sides(self.source, self.destination))
        self.proxied = self.proxy(self.source.server.endpoint)
        self.env = {**sides(self.source, self.destination), **self.source.env("source", endpoint=self.proxied.endpoint)}

    def break_it(self, action, times):
        self.proxied.fault(action, method="GET", target="/public/a", times=times)

    def reads(self):
        return sum(r.method == "GET" and r.path.endswith("/public/a") for r in self.proxied.requests)

    def test_it_is_tried_again(self):
        self.break_it(proxyfault.truncate(100_000), times=2)
        self.assert_found(self.validate("--content"), read=1)
        self.assertEqual(self.reads(), 3)

    def start_one_that_hangs(self, *args):
        self.break_it(proxyfault.stall(after=100_000), times=99)
        tool = self.start("--validate", "--content", "--json", *args, env={**self.env, "STORSYNC_STALL_TIMEOUT": "1h"})
        tool.wait_for(self.reads)
        return tool

    def test_a_signal_ends_it(self):
        tool = self.start_one_that_hangs()
        tool.kill(signal.SIGTERM)
        tool.wait()
        self.assertEqual((tool.code, tool.json["state"]), (128 + signal.SIGTERM, "interrupted"))
        self.assertNotIn("valid", tool.json)

    def test_the_time_limit_ends_it(self):
        tool = self.start_one_that_hangs("--timeout=2s").wait()
        self.assertEqual((tool.code, tool.json["state"]), (75, "failed"))
        self.assertIn("waiting for 1 object under way", tool.json["message"])

    def test_what_changes_meanwhile_is_told_apart(self):
        def replace(x):
            self.source.put("public/a", b"y" * (5 * MIB + 99))
            proxyfault.passthrough(x)

        self.break_it(replace, times=1)
        tool = self.succeed("--validate", "--content", "--json", env=self.env)
        self.assertEqual([tool.json[f] for f in ("changedFiles", "readFiles", "mismatchedFiles")], [1, 0, 0])
        self.assertIn("- Skipped: public/a (changed while it was compared)", tool.err)
        self.assertIn("1 changed meanwhile", tool.json["message"])


class ContentOfMany(Content):
    def test_in_bounded_memory(self):
        """All is read from both sides, sixteen at once."""
        source, destination = self.s3_bucket(), self.s3_bucket()
        for bucket in (source, destination):
            for number in range(40):
                put_in_parts(bucket, f"public/{number}", data.body(number, 300_000))
        self.env = sides(source, destination)
        tool = self.succeed("--validate", "--content", "--json", env=self.env)
        self.assert_found(tool.json, read=40)
        self.assertLess(tool.peak_rss, 8 * MIB)
