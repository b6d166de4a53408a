"""The same 2,500 difficult objects between every two kinds of store, judged by boto3 and the access log."""
import json
from pathlib import Path

import data
import rgw
from harness import RUN, TestCase, production, sides

PREFIXES = data.Dataset.PREFIXES
EVERYTHING = {"PUBLIC_OBJECT_SEARCH_PATHS": "/bucket/public", "PRIVATE_OBJECT_DIR": "/bucket/private"}


def dataset(make):
    """Made once per run, only read."""
    if "dataset" not in RUN.cache:
        size = (400, 20 * data.MIB) if RUN.instrumented else (2500, 200 * data.MIB)
        RUN.cache["dataset"] = data.Dataset(make(), *size)
    return RUN.cache["dataset"]


def listings(requests):
    return [r for r in requests if r.method == "GET" and ("list-type=2" in r.query or r.path.endswith("/o"))]


class RelayCase(TestCase):
    def run_tool(self, *args, env, **how):
        return self.succeed(*args, env={"STORSYNC_PART_SIZE": "8MiB", **EVERYTHING, **env}, timeout=180, **how)


class DatasetCase(RelayCase):
    def setUp(self):
        super().setUp()
        self.data = dataset(lambda: self.bucket("source"))
        self.source = self.data.bucket

    def assert_equal_to_source(self, bucket):
        found = data.differences(self.data.snapshot, data.snapshot(bucket, PREFIXES))
        self.assertEqual(found, [])
        outside = [k for k in bucket.keys() if not k.startswith((*PREFIXES, ".storsync/"))]
        self.assertEqual(outside, [], "nothing else was copied")
        self.assertNotIn(".storsync/alien", bucket.keys(".storsync/"))
        self.assertEqual(bucket.unfinished_uploads(), [])


class OneService(DatasetCase):
    def test_deploy_again_and_sync(self):
        """One deploy run leaves both equal, the next makes one request, a manual sync only listings."""
        destination = self.bucket("destination")
        server, env = destination.server, production(self.source, destination)

        mark = server.mark()
        status = self.run_tool(env={**env, "STORSYNC_PART_SIZE": "32MiB"}).status
        first = server.requests_since(mark)
        self.assertEqual((status["state"], status["syncedFiles"], status["failedFiles"]),
                         ("synced", len(self.data.sizes), 0))
        self.assertEqual(status["totalSize"], self.data.total)
        self.assert_equal_to_source(destination)
        bodies = [r for r in first if r.method == "GET" and f"/{self.source.name}/" in r.path and r not in listings(first)
                  and "tagging" not in r.query]
        if RUN.gs in ("", "both"):
            self.assertEqual(bodies, [], "copied by the server, no body passed through")

        mark = server.mark()
        self.assertEqual(self.run_tool(env=env).status["state"], "already-synced")
        self.assertEqual(len(server.requests_since(mark)), 1)

        mark = server.mark()
        status = self.run_tool("--sync", env=env).status
        requests = server.requests_since(mark)
        self.assertEqual((status["syncedFiles"], status["skippedFiles"]), (0, len(self.data.sizes)))
        self.assertLessEqual(len(requests) - len(listings(requests)), 8, requests)
        self.assertLessEqual(len(listings(requests)), 12)

        self.run_tool("--validate", env=env)

    def test_without_server_side_copy(self):
        """The other endpoint is another service, as far as one can see: every byte passes through the tool."""
        if RUN.gs == "both":
            self.skipTest("there is one endpoint for both sides; test_gcs.Copies refuses to copy")
        destination, proxy = self.bucket("destination"), self.proxy(self.source.server.endpoint)
        env = {**sides(self.source, destination), **self.source.env("source", endpoint=proxy.endpoint)}
        tool = self.run_tool("--sync", env=env)
        self.assertEqual(tool.status["failedFiles"], 0)
        self.assert_equal_to_source(destination)


class FewObjects(RelayCase):
    """What needs no large data set."""

    def test_changed_object(self):
        source, destination = self.bucket("source"), self.bucket("destination")
        for number in range(30):
            source.put(f"public/{number}", "before")
        self.run_tool(env=production(source, destination))
        source.put("public/7", "after, and longer", ContentType="text/x-new")
        env = production(source, destination, "d2", STORSYNC_MIN_INTERVAL="0s")
        self.assertEqual(self.run_tool(env=env).status["syncedFiles"], 1)
        self.assertEqual(data.compare_buckets(source, destination, PREFIXES), [])

    def test_credentials_that_cannot_read_the_source(self):
        """Bob's copy of alice's bucket: the server would refuse to copy, so the bytes have to pass through."""
        self.not_with_gs("a matter of S3's")
        source, destination = self.s3_bucket(), self.s3_bucket(user=rgw.BOB)
        for number in range(30):
            source.put(f"public/{number}", f"body {number}", Metadata={"n": str(number)})
        self.assertEqual(self.run_tool("--sync", env=sides(source, destination)).status["syncedFiles"], 30)
        self.assertEqual(data.compare_buckets(source, destination, PREFIXES), [])

    def test_settings_of_aws_count_for_both_sides(self):
        """All that a user of one service has to set; the secret from a file, as orchestrators mount them."""
        self.not_with_gs("a matter of S3's")
        source, destination = self.s3_bucket(), self.s3_bucket()
        source.put("public/a", "a")
        common = {"DEV_STORAGE_BUCKET": source.name, "PROD_STORAGE_BUCKET": f"s3://{destination.name}",
                  "AWS_ENDPOINT_URL": source.server.endpoint, "AWS_REGION": rgw.REGION,
                  "AWS_CA_BUNDLE": str(RUN.ca_file)}
        secret = self.dir / "secret"
        secret.write_text(rgw.ALICE.secret_key + "\n")
        sides_own = {f"STORSYNC_{side}_{name}": value for side in ("SOURCE", "DESTINATION") for name, value in
                     (("ACCESS_KEY_ID", rgw.ALICE.access_key), ("SECRET_ACCESS_KEY_FILE", str(secret)))}
        for keys in ({"AWS_ACCESS_KEY_ID": rgw.ALICE.access_key, "AWS_SECRET_ACCESS_KEY": rgw.ALICE.secret_key},
                     sides_own):
            source.put("public/a", "a" * len(keys))
            self.assertEqual(self.run_tool("--sync", env={**common, **keys}).status["syncedFiles"], 1)
        self.assertEqual(data.compare_buckets(source, destination, PREFIXES), [])

    def test_bucket_in_the_host_name(self):
        """Virtual-hosted style: Amazon's way. curl knows by itself that *.localhost is this machine."""
        self.not_with_gs("a matter of S3's")
        source, destination = self.s3_bucket(), self.s3_bucket()
        for key in data.hostile_keys():
            source.put("public/" + key, key)
        source.put("public/large", data.body("large", 20 * data.MIB))
        endpoint = source.server.endpoint.replace("127.0.0.1", rgw.DOMAIN)
        hosted = {"endpoint": endpoint, "path_style": "no"}
        mark = source.server.mark()
        for own_endpoint in ({}, {"endpoint": source.server.endpoint, "path_style": "yes"}):
            env = {**source.env("source", **hosted), **destination.env("destination", **{**hosted, **own_endpoint})}
            self.run_tool("--sync", env=env)
            self.assertEqual(data.compare_buckets(source, destination, PREFIXES), [])
            for key in destination.keys():
                destination.client.delete_object(Bucket=destination.name, Key=key)
        asked = [r.path for r in source.server.requests_since(mark)]
        self.assertIn("/", asked, "a listing of a bucket that the path does not name")

    def test_one_forbidden_object(self):
        self.not_with_gs("a matter of S3's")
        source, destination = self.s3_bucket(), self.s3_bucket()
        for name in "abc":
            source.put(f"public/{name}", name)
        source.client.put_bucket_policy(Bucket=source.name, Policy=json.dumps({
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Deny", "Principal": "*", "Action": ["s3:GetObject"],
                           "Resource": [f"arn:aws:s3:::{source.name}/public/b"]}]}))
        mark = source.server.mark()
        tool = self.tool(env=production(source, destination))
        self.assertEqual((tool.code, tool.status["state"]), (2, "partial"))
        self.assertEqual((tool.status["syncedFiles"], tool.status["failedFiles"]), (2, 1))
        self.assertIn("public/b", tool.status["errors"][0]["file"])
        self.assertEqual(sorted(destination.keys("public/")), ["public/a", "public/c"])
        self.assertEqual(destination.markers(), [])
        refused = [r for r in source.server.requests_since(mark) if r.status == 403]
        self.assertLessEqual(len(refused), 2, "a refusal is not asked again and again")

    def test_tags(self):
        self.not_with_gs("a matter of S3's")
        source, destination, other = self.s3_bucket(), self.s3_bucket(), self.s3_bucket()
        source.put("public/tagged", "x", Tagging="class=a%20b&%C3%A9=%2B")
        proxy = self.proxy(source.server.endpoint)
        for bucket, endpoint in ((destination, None), (other, proxy.endpoint)):
            env = {**sides(source, bucket), **source.env("source", endpoint=endpoint)}
            self.run_tool("--sync", env=env)
            tags = bucket.client.get_object_tagging(Bucket=bucket.name, Key="public/tagged")["TagSet"]
            self.assertEqual({t["Key"]: t["Value"] for t in tags}, {"class": "a b", "\u00e9": "+"})


class TwoServices(DatasetCase):
    def test_other_service_other_credentials(self):
        destination = self.bucket("destination", lambda: self.s3_bucket(1, rgw.BOB))
        env = production(self.source, destination)
        status = self.run_tool(env=env).status
        self.assertEqual((status["state"], status["failedFiles"]), ("synced", 0))
        self.assert_equal_to_source(destination)
        self.run_tool("--validate", env=env)

        marks = self.source.server.mark(), destination.server.mark()
        self.run_tool("--sync", env=env)
        status = json.loads(Path(f"{self.status_file}.by-hand").read_bytes())
        self.assertEqual((status["syncedFiles"], status["failedFiles"]), (0, 0))
        for server, mark in zip((self.source.server, destination.server), marks):
            requests = server.requests_since(mark)
            self.assertLessEqual(len(requests) - len(listings(requests)), 8, requests)


class ThroughDirectories(DatasetCase):
    def test_there_and_back(self):
        """S3 to a directory, to another, and to another S3: nothing is lost on the way, however odd the key."""
        first, middle = self.dir_bucket(), self.dir_bucket()
        destination = self.bucket("destination", lambda: self.s3_bucket(1, rgw.BOB))
        there, across, back = sides(self.source, first), sides(first, middle), sides(middle, destination)
        self.assertEqual(self.run_tool("--sync", env=there).status["syncedFiles"], len(self.data.sizes))
        self.assertEqual(self.run_tool("--sync", env=there).status["syncedFiles"], 0)
        self.run_tool("--validate", env=there)
        self.assertEqual(self.run_tool("--sync", env=across).status["syncedFiles"], len(self.data.sizes))
        self.run_tool("--validate", env=across)
        self.assertEqual(self.run_tool("--sync", env=back).status["syncedFiles"], len(self.data.sizes))
        self.assert_equal_to_source(destination)
        self.assertEqual(self.run_tool("--sync", env=back).status["syncedFiles"], 0)
        self.run_tool("--validate", env=back)

        plain = [k for k in self.data.sizes if k.startswith("public/images/")]
        self.assertEqual([k for k in plain if not (middle.root / k).is_file()], [], "plain keys are plain files")
        outside = [p.name for p in self.dir.iterdir() if p not in (first.root, middle.root, self.status_file)]
        self.assertEqual(outside, [], "no key left the bucket's root")


class Directory(TestCase):
    def test_ordinary_files(self):
        """A directory that the tool never saw: whatever names a file system allows."""
        source, destination = self.dir_bucket(), self.bucket("destination")
        wanted = {}
        for number, key in enumerate(data.hostile_keys()):
            key = "public/" + key
            segments = key.split("/")
            if all(0 < len(s.encode()) <= 255 and s not in (".", "..") for s in segments) and "both" not in segments:
                try:
                    source.put(key, data.body(key, number * 1000))
                    wanted[key] = data.body(key, number * 1000)
                except (FileExistsError, NotADirectoryError, IsADirectoryError):
                    continue  # a file where another key needs a folder
        source.put("public/large", data.body("large", 40 * data.MIB))
        wanted["public/large"] = data.body("large", 40 * data.MIB)
        tool = self.succeed("--sync", env=sides(source, destination))
        self.assertEqual(tool.status["failedFiles"], 0)
        self.assertEqual(sorted(destination.keys("public/")), sorted(wanted))
        for key, body in wanted.items():
            self.assertEqual(destination.get(key), body, key)
        self.succeed("--validate", env=sides(source, destination))
