"""--check-config and --check-access: what a run would refuse, and what the credentials may not do, before there is a run."""
import json
import os

import proxyfault
import rgw
from harness import JOB, RUN, TestCase, sides
from proxyfault import FOREVER, answer, s3_error

SOURCE = ["list", "read", "read-tags"]
DESTINATION = ["list", "write", "read", "create-if-absent", "remove"]
PROBE = f".storsync/{JOB}/access-check"


def rights(tool, side):
    return {right["right"]: right for right in tool.json[side]["rights"]}


def states(tool):
    return {f"{side} {name}": right["state"] for side in ("source", "destination")
            for name, right in rights(tool, side).items()}


def not_ok(tool):
    return {name: state for name, state in states(tool).items() if state != "ok"}


class Configuration(TestCase):
    """What a run would refuse; test_wrong_input shows for each mistake that both use the same words."""

    def check(self, code, env, *words):
        tool = self.tool("--check-config", env={"AWS_EC2_METADATA_DISABLED": "true", **env})
        self.assertEqual(tool.code, code, tool.err)
        said = tool.errors if code else tool.warnings
        for word in words:
            self.assertEqual(len([line for line in said if word in line]), 1, f"{word}: {tool.err}")
        if code:
            self.assertEqual(len(said), len(words), tool.err)
        return tool

    def test_all_of_it_at_once(self):
        keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s"}
        missing = f"file://{self.dir}/missing"
        cases = [({"DEV_STORAGE_BUCKET": "dev", "PROD_STORAGE_BUCKET": "prod"},
                  "source dev (DEV_STORAGE_BUCKET): no credentials", "destination prod (PROD_STORAGE_BUCKET): no credentials"),
                 ({**keys, "DEV_STORAGE_BUCKET": "ftp://dev", "PROD_STORAGE_BUCKET": "pr/od"}, "ftp://dev", "pr/od"),
                 ({**keys, "DEV_STORAGE_BUCKET": missing, "PROD_STORAGE_BUCKET": missing + "-2"}, "source file://",
                  "destination file://"),
                 ({**keys, "DEV_STORAGE_BUCKET": "dev", "PROD_STORAGE_BUCKET": "prod", "STORSYNC_SOURCE_ENDPOINT": "minio:9000",
                   "STORSYNC_DESTINATION_ENDPOINT": "http://minio:9000", "STORSYNC_CONCURRENCY": "many"},
                  "source dev (DEV_STORAGE_BUCKET): endpoint", "allow_http", "STORSYNC_CONCURRENCY"),
                 ({**keys, "DEV_STORAGE_BUCKET": "dev", "PUBLIC_OBJECT_SEARCH_PATHS": "shop", "PRIVATE_OBJECT_DIR": "x"},
                  '"shop"', '"x"', "PROD_STORAGE_BUCKET")]
        for env, *words in cases:
            with self.subTest(env=env):
                self.check(78, env, *words)

    def test_as_json(self):
        keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s", "AWS_EC2_METADATA_DISABLED": "true"}
        good = {**keys, "DEV_STORAGE_BUCKET": "dev", "PROD_STORAGE_BUCKET": "prod", "PRIVATE_OBJECT_DIR": "/dev/private"}
        tool = self.tool("--check-config", "--json", env=good)
        self.assertEqual((tool.code, tool.json["valid"], tool.json["error"]), (0, True, None), tool.err)
        self.assertEqual((tool.json["refusals"], tool.json["problems"], tool.json["notes"]), ([], [], []))
        tool = self.tool("--check-config", "--json", env={**good, "STORSYNC_SOURCE_ENDPOINT": "minio:9000",
                                                         "STORSYNC_CONCURRENCY": "many"})
        self.assertEqual((tool.code, tool.json["valid"], tool.json["side"]), (78, False, "source"), tool.err)
        self.assertIn("STORSYNC_SOURCE_ENDPOINT", tool.json["error"])
        self.assertEqual(len(tool.json["problems"]), 1)

    def test_both_sides_as_json(self):
        env = {side + "_STORAGE_BUCKET": f"file://{self.dir}/no-{side}" for side in ("DEV", "PROD")}
        tool = self.tool("--check-config", "--json", env=env)
        self.assertEqual(tool.code, 78)
        self.assertEqual([(e["side"], e["kind"]) for e in tool.json["errors"]], [("source", "no-bucket"), ("destination", "no-bucket")])
        self.assertEqual(tool.json["error"], tool.json["errors"][0]["error"])
        self.assertIn("no-PROD", tool.json["errors"][1]["error"])
        good = {name: self.dir_bucket().url for name in env}
        self.assertEqual(self.tool("--check-config", "--json", env=good).json["errors"], [])

    def test_what_counts_in_the_end(self):
        env = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s", "AWS_EC2_METADATA_DISABLED": "true",
               "NODE_ENV": "production", "STORSYNC_DEPLOYMENT_ID": "v7", "STORSYNC_SOURCE_REGION": "eu-west-1"}
        tool = self.tool("--print-config", env=env)
        for line in ("environment: production (NODE_ENV=production)", "deployment: v7 (",
                     "region of the source: eu-west-1", "region of the destination: us-east-1", "status file: "):
            self.assertIn(f"\n; {line}", tool.out)
        found = self.tool("--print-config", "--json", env=env).json
        self.assertEqual(found["environment"], "production (NODE_ENV=production)")
        self.assertEqual(found["region"], {"source": "eu-west-1", "destination": "us-east-1"})

    def test_what_is_likely_a_mistake(self):
        keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s"}
        tool = self.check(0, {**keys, "STORSYNC_WAIT": "10m", "PRIVATE_OBJECT_DIR": "/other/private"}, "wait is longer",
                          "using the default, dedw3n-production-storage", "bucket other")
        self.assertNotIn("is fine", tool.err)
        tool = self.check(0, {**keys, "DEV_STORAGE_BUCKET": "dev", "PROD_STORAGE_BUCKET": "prod",
                              "PRIVATE_OBJECT_DIR": "/dev/private"})
        self.assertEqual(tool.warnings, [])
        self.assertIn("the configuration is fine", tool.err)


class AccessCase(TestCase):
    def check(self, code, env, *args, **how):
        """The answer as JSON, after one as text that says the same."""
        env = {"STORSYNC_JOB": JOB, "STORSYNC_RETRIES": "1", **env}
        text = self.tool("--check-access", *args, env=env, **how)
        self.assertEqual(text.code, code, text.err)
        tool = self.tool("--check-access", "--json", *args, env=env, **how)
        self.assertEqual((tool.code, tool.json["ok"]), (code, code == 0), tool.err)
        self.assertEqual(tool.json["error"] is None, code == 0)
        rows = [line.split()[0] for line in text.out.splitlines() if line.startswith("  ")]
        self.assertEqual(rows, [name.split()[1] for name in states(tool)])
        for side in ("source", "destination"):
            for name, right in rights(tool, side).items():
                line = next(line for line in text.out.partition(f"{side} ")[2].splitlines()
                            if line.startswith(f"  {name} "))
                self.assertIn(right["state"], line)
                self.assertIn(right["permission"] or "", line)
        self.assertFalse(os.path.exists(tool.env["STORSYNC_STATUS_FILE"]), "an answer is no run")
        return tool


class Directories(AccessCase):
    def setUp(self):
        super().setUp()
        self.source, self.destination = self.dir_bucket(), self.dir_bucket()
        self.source.put("public/a", "a")
        self.env = sides(self.source, self.destination)

    def test_all_is_well(self):
        tool = self.check(0, self.env)
        self.assertEqual(states(tool), {f"source {name}": "ok" for name in SOURCE} |
                         {f"destination {name}": "ok" for name in DESTINATION})
        self.assertEqual(self.destination.contents(state=True), {})
        self.assertEqual(self.source.contents(state=True), {"public/a": b"a"})
        self.assertFalse((self.source.root / ".storsync").exists())

    def test_dry_run_writes_nothing(self):
        tool = self.check(0, self.env, "--dry-run")
        self.assertEqual(not_ok(tool), {f"destination {name}": "not asked"
                                        for name in ("read", "write", "create-if-absent", "remove")})
        self.assertFalse((self.destination.root / ".storsync").exists())

    def test_missing_directories(self):
        tool = self.check(69, {**self.env, "STORSYNC_SOURCE_BUCKET": f"file://{self.dir}/missing"})
        self.assertEqual(not_ok(tool), {"source list": "failed", "source read": "not asked",
                                        "source read-tags": "not asked"})
        self.assertIn("missing", rights(tool, "source")["list"]["error"])

    def test_what_may_not_be_read_or_written(self):
        self.destination.root.chmod(0o555)
        (self.source.root / "public/a").chmod(0)
        tool = self.check(77, self.env, nobody=True)
        self.assertEqual(not_ok(tool), {"source read": "missing", "destination write": "missing",
                                        "destination read": "not asked", "destination create-if-absent": "not asked"})
        self.assertIn("denied", rights(tool, "destination")["write"]["error"].lower())

    def test_configuration_that_no_run_begins_with(self):
        tool = self.tool("--check-access", "--json", env={**self.env, "PRIVATE_OBJECT_DIR": "shop"})
        self.assertEqual((tool.code, tool.json["ok"], len(tool.errors)), (78, False, 1))
        self.assertEqual(tool.json["source"], {"bucket": None, "rights": []})

    def test_no_command(self):
        self.assertEqual(self.tool("--check-access", "--", "/bin/true", env=self.env).code, 64)


class Service(AccessCase):
    """Against RGW, by a user who has only what a bucket's policy gives him."""

    def setUp(self):
        super().setUp()
        self.source, self.destination = self.s3_bucket(), self.s3_bucket()
        self.source.put("public/a", "a", Tagging="colour=blue")
        self.destination.put("public/b", "b")

    def env(self, side_of_bob=None, actions=()):
        env = sides(self.source, self.destination)
        if side_of_bob is not None:
            bucket = getattr(self, side_of_bob)
            self.allow(bucket, actions)
            env.update(bucket.env(side_of_bob, access_key_id=rgw.BOB.access_key, secret_access_key=rgw.BOB.secret_key))
        return env

    def allow(self, bucket, actions):
        bucket.client.put_bucket_policy(Bucket=bucket.name, Policy=json.dumps({
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam:::user/bob"]}, "Action": list(actions),
                           "Resource": [f"arn:aws:s3:::{bucket.name}", f"arn:aws:s3:::{bucket.name}/*"]}]}))

    def test_all_is_well(self):
        mark = self.destination.server.mark()
        tool = self.check(0, self.env())
        self.assertEqual(not_ok(tool), {})
        self.assertEqual(self.destination.keys(), ["public/b"])
        writes = {(r.method, r.path) for r in self.destination.server.requests_since(mark) if r.method not in ("GET", "HEAD")}
        self.assertEqual(writes, {(method, f"/{self.destination.name}/{PROBE}") for method in ("PUT", "DELETE")},
                         "nothing else is written, and nothing at the source")

    def test_a_right_is_missing(self):
        every = {"source": {"s3:ListBucket", "s3:GetObject", "s3:GetObjectTagging"},
                 "destination": {"s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"}}
        cases = [("source", "s3:ListBucket", {"list"}, ("read", "read-tags")), ("source", "s3:GetObject", {"read"}, ()),
                 ("source", "s3:GetObjectTagging", {"read-tags"}, ()),
                 ("destination", "s3:ListBucket", {"list"}, ()),
                 ("destination", "s3:PutObject", {"write"}, {"create-if-absent"}),
                 ("destination", "s3:DeleteObject", {"remove"}, ())]
        for side, right, missing, not_asked in cases:
            with self.subTest(side=side, without=right):
                tool = self.check(77, self.env(side, every[side] - {right}))
                found = not_ok(tool)
                for name in missing:
                    self.assertEqual(found.pop(f"{side} {name}"), "missing")
                    self.assertEqual(rights(tool, side)[name]["permission"], right)
                self.assertEqual(found, {f"{side} {name}": "not asked" for name in not_asked})
                self.destination.client.delete_object(Bucket=self.destination.name, Key=PROBE)
        for side, rights_ in every.items():
            self.check(0, self.env(side, rights_))

    def test_buckets_without_objects(self):
        """RGW says 404 to everybody who may list: that shows nothing."""
        self.source.client.delete_object(Bucket=self.source.name, Key="public/a")
        tool = self.check(0, self.env("source", {"s3:ListBucket"}))
        self.assertEqual(not_ok(tool), {"source read": "not asked", "source read-tags": "not asked"})

    def test_destination_that_may_not_be_read(self):
        """Behind a proxy: at RGW an object belongs to the user who wrote it."""
        proxy = self.proxy(self.destination.server.endpoint)
        proxy.fault(answer(403, s3_error("AccessDenied"), {"Content-Type": "application/xml"}), method="GET",
                    target="access-check", times=FOREVER)
        tool = self.check(77, {**self.env(), **self.destination.env("destination", endpoint=proxy.endpoint)})
        self.assertEqual(not_ok(tool), {"destination read": "missing"})
        self.assertEqual(rights(tool, "destination")["read"]["permission"], "s3:GetObject")

    def test_large_objects_are_not_fetched(self):
        self.source.put("public/0", b"x" * (16 << 20))
        self.assertEqual(not_ok(self.check(0, self.env())), {})
        directory = self.dir_bucket()
        directory.put("public/0", b"x" * (1 << 20))
        self.assertEqual(not_ok(self.check(0, {**self.env(), **directory.env("source")})), {})

    def test_service_without_create_if_absent(self):
        for name, action in (("says so", lambda x: answer(501, s3_error("NotImplemented"), {
                "Content-Type": "application/xml"})(x) if "if-none-match" in x.request.headers
                else proxyfault.passthrough(x)), ("ignores it", without_condition)):
            with self.subTest(name):
                proxy = self.proxy(self.destination.server.endpoint)
                proxy.fault(proxyfault.named(action, name), method="PUT", times=FOREVER)
                tool = self.check(0, {**self.env(), **self.destination.env("destination", endpoint=proxy.endpoint)})
                self.assertEqual(not_ok(tool), {"destination create-if-absent": "unsupported"})
                self.assertEqual(self.destination.keys(), ["public/b"])

    def test_wrong_key_and_missing_bucket(self):
        tool = self.check(77, {**self.env(), **self.source.env("source", secret_access_key="swordfish")})
        self.assertIn("source list", not_ok(tool))
        self.assertNotIn("swordfish", tool.out + tool.err)
        tool = self.check(69, {**self.env(), **self.destination.env("destination", bucket="no-such-bucket")})
        self.assertEqual(states(tool)["destination list"], "failed")
        self.assertEqual(states(tool)["destination write"], "not asked")

    def test_silence_is_bounded(self):
        proxy = self.proxy(self.destination.server.endpoint)
        proxy.fault(proxyfault.stall(), times=FOREVER)
        env = {**self.env(), **self.destination.env("destination", endpoint=proxy.endpoint), "STORSYNC_TIMEOUT": "2s"}
        tool = self.check(75, env)
        self.assertEqual(states(tool)["destination list"], "failed")
        self.assertLess(tool.seconds, 4 * RUN.slow)

    def test_stopped_after_the_probe_was_written(self):
        proxy = self.proxy(self.destination.server.endpoint)
        proxy.fault(proxyfault.stall(), method="GET", target="access-check", times=FOREVER)
        tool = self.start("--check-access", env={**self.env(), "STORSYNC_JOB": JOB,
                                                 **self.destination.env("destination", endpoint=proxy.endpoint)})
        tool.wait_for(lambda: PROBE in self.destination.keys())
        tool.kill(15)
        self.assertEqual(tool.wait().code, 128 + 15)
        self.assertEqual(self.destination.keys(), ["public/b"])


def without_condition(x):
    """A server that ignores If-None-Match: what is there is overwritten."""
    if "if-none-match" in x.request.headers:
        return answer(200, "", {"ETag": '"99914b932bd37a50b983c5e7c90ae93b"'})(x)
    return proxyfault.passthrough(x)
