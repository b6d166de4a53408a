"""What documents say in numbers and in policies, done for real."""
import collections
import json
import re

import rgw
from harness import CHECKOUT, RUN, TestCase

OBJECTS = 20


def document(name):
    return (CHECKOUT / "docs" / name).read_text()


def production(source, destination, **more):
    # The renewals of a slow run are not what is counted here.
    return {**source.env("source"), **destination.env("destination"), "STORSYNC_ENVIRONMENT": "production",
            "STORSYNC_LEASE_TTL": "1h", "STORSYNC_WAIT": "2h", "STORSYNC_TIMEOUT": "3h", "STORSYNC_MIN_INTERVAL": "0",
            "STORSYNC_DEPLOYMENT_ID": "d1", "PUBLIC_OBJECT_SEARCH_PATHS": "/b/public", **more}


class Costs(TestCase):
    """The tables of docs/COSTS.md: what a start asks for, in the kinds that services charge for."""

    COLUMNS = ("list", "write", "read", "delete")
    STARTS = {
        "development": ([], {"STORSYNC_ENVIRONMENT": "development"}),
        "first deployment": ([], {}),
        "the same deployment again": ([], {}),
        "the next deployment, nothing has changed": ([], {"STORSYNC_DEPLOYMENT_ID": "d2"}),
        "a deployment within `min_interval`": ([], {"STORSYNC_DEPLOYMENT_ID": "d3", "STORSYNC_MIN_INTERVAL": "1h"}),
        "`--sync`, nothing has changed": (["--sync"], {}),
        "`--sync --dry-run`": (["--sync", "--dry-run"], {}),
        "`--validate`": (["--validate"], {}),
    }

    def table(self, heading):
        """{first cell: {column: number}}"""
        section = document("COSTS.md").split(f"## {heading}\n")[1].partition("\n## ")[0]
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines()
                if line.startswith("|")]
        self.assertEqual(tuple(rows[0][1:5]), self.COLUMNS)
        return {row[0]: dict(zip(self.COLUMNS, map(int, row[1:5]))) for row in rows[2:]}

    def asked(self, env, *args, servers=(0,)):
        marks = [(RUN.rgw(number), RUN.rgw(number).mark()) for number in servers]
        self.succeed(*args, env=env)
        kinds = {"PUT": "write", "POST": "write", "GET": "read", "HEAD": "read", "DELETE": "delete"}
        counted = collections.Counter("list" if "list-type=2" in request.query else kinds[request.method]
                                      for server, mark in marks for request in server.requests_since(mark))
        return {column: counted[column] for column in self.COLUMNS}

    def succeed(self, *args, env):
        tool = self.tool(*args, env=env)
        self.assertEqual(tool.code, 0)

    def fill(self, source, count, size=1000):
        for number in range(count):
            source.put(f"public/{number:04}", b"x" * size)

    def test_a_start(self):
        source, destination = self.s3_bucket(), self.s3_bucket()
        self.fill(source, 1)
        self.fill(destination, 1)
        found = {start: self.asked(production(source, destination, **env), *args)
                 for start, (args, env) in self.STARTS.items()}
        self.assertEqual(found, self.table("A start"))

    def test_an_object(self):
        """What each object adds that is copied: the difference between one object and a few."""
        source, found = self.s3_bucket(), {}
        for name, number in (("inside one service", 0), ("between two services", 1)):
            for objects in (1, 1 + OBJECTS):
                self.fill(source, objects)
                asked = self.asked(production(source, self.s3_bucket(number)), "--sync", servers={0, number})
                if objects > 1:
                    more = {column: asked[column] - before[column] for column in self.COLUMNS}
                    found[name] = {column: number / OBJECTS for column, number in more.items()}
                before = asked
            for key in source.keys():
                source.client.delete_object(Bucket=source.name, Key=key)
        self.assertEqual(found, self.table("Each object that is copied"))

    def test_more_pages(self):
        """1,000 objects are a page; one more is another, on each side."""
        source, destination = self.s3_bucket(), self.s3_bucket()
        self.fill(source, 1001, size=1)
        env = production(source, destination)
        self.succeed("--sync", env=env)
        few, many = self.table("A start")["`--validate`"], self.asked(env, "--validate")
        self.assertEqual(many, {**few, "list": few["list"] + 2})


class Policies(TestCase):
    """The policies of docs/POLICIES.md, as bucket policies for a user who owns nothing: all that he may do."""

    def setUp(self):
        super().setUp()
        self.source, self.destination = self.s3_bucket(), self.s3_bucket()
        self.source.put("public/small", "x")
        self.source.put("public/tagged", "x", Tagging="class=a")
        self.source.put("private/in parts", b"x" * (11 << 20))
        blocks = re.findall(r"(?ms)^```json\n(.*?)^```$", document("POLICIES.md"))
        self.statements = [statement for block in blocks[:2] for statement in json.loads(block)["Statement"]]

    def allow(self, without=None, at=""):
        """Of both policies what belongs to a bucket; without one action at the resources that have `at` in them."""
        names = {"my-dev-storage": self.source, "my-production-storage": self.destination}
        for name, bucket in names.items():
            statements = []
            for statement in self.statements:
                here = [r.replace(name, bucket.name) for r in statement["Resource"] if r.split(":::")[1].split("/")[0] == name]
                for resource in here:
                    actions = [a for a in statement["Action"] if a != without or at not in resource]
                    if actions:
                        statements.append({"Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam:::user/bob"]},
                                           "Action": actions, "Resource": [resource]})
            policy = {"Version": "2012-10-17", "Statement": statements}
            bucket.client.put_bucket_policy(Bucket=bucket.name, Policy=json.dumps(policy))

    def sync(self, **more):
        bob = {"access_key_id": rgw.BOB.access_key, "secret_access_key": rgw.BOB.secret_key}
        env = {**production(self.source, self.destination, **more), **self.source.env("source", **bob),
               **self.destination.env("destination", **bob), "PRIVATE_OBJECT_DIR": "/b/private",
               "STORSYNC_PART_SIZE": "5MiB"}
        return self.tool(env=env)

    def test_they_are_enough(self):
        self.allow()
        for deployment in ("d1", "d2"):
            tool = self.sync(STORSYNC_DEPLOYMENT_ID=deployment)
            self.assertEqual((tool.code, tool.status["state"], tool.warnings), (0, "synced", []))
        self.assertEqual(sorted(self.destination.keys("p")), ["private/in parts", "public/small", "public/tagged"])
        client = self.destination.server.client(rgw.BOB)  # whose object it is
        tags = client.get_object_tagging(Bucket=self.destination.name, Key="public/tagged")
        self.assertEqual(tags["TagSet"], [{"Key": "class", "Value": "a"}])

    def test_each_is_needed(self):
        """Without it the log names it. But for one: who may not list a bucket learns of no key that it is not there.

        s3:GetObject of the state is not among them: here an object belongs to the user who wrote it.
        """
        source, production, state = self.source.name, self.destination.name, self.destination.name + "/.storsync"
        self.allow()
        self.assertEqual(self.sync(STORSYNC_DEPLOYMENT_ID="d0").code, 0)
        for number, (action, at, *named) in enumerate((
                ("s3:ListBucket", source), ("s3:GetObject", source), ("s3:ListBucket", production, "s3:GetObject"),
                ("s3:PutObject", production + "/p"), ("s3:PutObject", state), ("s3:DeleteObject", state))):
            with self.subTest(action=action, at=at):
                self.allow(without=action, at=at)
                self.source.put("public/small", f"x{number}", Tagging="class=b")
                tool = self.sync(STORSYNC_DEPLOYMENT_ID=f"d1-{number}")
                self.assertIn("access denied: the credentials need " + (named or [action])[0]
                              if action != "s3:DeleteObject" else action, tool.err)
