"""What documents say in numbers, in policies and in examples, done for real."""
import collections
import datetime
import email.utils
import json
import os
import re
import socket
import subprocess
import time

import forwardproxy
import gcs
import identity
import proxyfault
import rgw
from googlecase import GoogleCase
from harness import CHECKOUT, RUN, TestCase, sides
from proxyfault import FOREVER

OBJECTS = 20


def document(name):
    return (CHECKOUT / "docs" / name).read_text()


def production(source, destination, **more):
    # The renewals of a slow run are not what is counted here.
    return {**source.env("source"), **destination.env("destination"), "STORSYNC_ENVIRONMENT": "production",
            "STORSYNC_LEASE_TTL": "1h", "STORSYNC_WAIT": "2h", "STORSYNC_TIMEOUT": "3h", "STORSYNC_MIN_INTERVAL": "0",
            "STORSYNC_DEPLOYMENT_ID": "d1", "PUBLIC_OBJECT_SEARCH_PATHS": f"/{source.name}/public", **more}


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
        "`--validate --content`, where both sides tell hashes": (["--validate", "--content"], {}),
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

    def fill(self, source, count, size=1000):
        for number in range(count):
            source.put(f"public/{number:04}", b"x" * size)

    def test_a_start(self):
        source, destination = self.s3_bucket(), self.s3_bucket()
        self.fill(source, 1)
        self.fill(destination, 1)
        found = {}
        for start, (args, env) in self.STARTS.items():
            if "next" in start:
                self.wait_for_the_margin(destination)
            found[start] = self.asked(production(source, destination, **env), *args)
        self.assertEqual(found, self.table("A start"))

    def wait_for_the_margin(self, bucket):
        """Until the server's clock has left the last lease's end far enough behind (LEASE_CLOCK_MARGIN)."""
        [key] = bucket.state("lease")
        until = time.monotonic() + 10 * RUN.slow
        while True:
            answer = bucket.client.head_object(Bucket=bucket.name, Key=key)
            served = email.utils.parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
            if (served - answer["LastModified"]).total_seconds() >= 3:
                return
            self.assertLess(time.monotonic(), until, "the server's clock stands still")
            time.sleep(0.1)

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


ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
SSE_C = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"0" * 32}
FAR = datetime.datetime(2037, 10, 21, tzinfo=datetime.timezone.utc)


class InS3:
    """An object, and what docs/METADATA.md says something of."""

    PUBLIC = [("alice", "FULL_CONTROL"), (ALL_USERS, "READ")]

    def __init__(self, bucket, key, **how):
        self.ask = lambda what: getattr(bucket.client, what)(Bucket=bucket.name, Key=key, **how)
        self.head = self.ask("head_object")["ResponseMetadata"]["HTTPHeaders"]

    def named(self, pattern):
        return {name: value for name, value in self.head.items() if re.fullmatch(pattern, name)}

    headers = property(lambda self: self.named("content-(type|encoding|language|disposition)|cache-control"))
    expires = property(lambda self: self.named("expires"))
    metadata = property(lambda self: self.named("x-amz-meta-.*"))
    storage_class = property(lambda self: self.named("x-amz-storage-class"))
    encryption = property(lambda self: self.named("x-amz-server-side.*"))
    lock = property(lambda self: self.named("x-amz-object-lock-(mode|legal-hold)"))
    redirect = property(lambda self: self.named("x-amz-website.*"))
    tags = property(lambda self: self.ask("get_object_tagging")["TagSet"])
    acl = property(lambda self: sorted((grant["Grantee"].get("ID") or grant["Grantee"]["URI"], grant["Permission"])
                                       for grant in self.ask("get_object_acl")["Grants"]))


class InGoogle:
    PUBLIC = "publicRead"

    def __init__(self, bucket, key):
        found = bucket.objects[key]
        self.headers = {name: found.fields.get(name) for name in gcs.MEDIA_HEADERS}
        self.metadata, self.custom_time = found.metadata, found.fields.get("customTime")
        self.storage_class, self.lock, self.acl = found.storage_class, found.held, found.acl


class Metadata(TestCase):
    """The table of docs/METADATA.md: each cell is what becomes of an object."""

    # Of each row: what is looked at, and an object that has it, in S3 and at Google. None: there is no such thing.
    OWN_ACL, COPIED_ACL, SET_ACL = ("ACL, unless `acl` is set", "ACL, with `acl=copy`",
                                    "ACL, with `acl=public-read` or the like")
    CLIENT_KEY = "encryption with a key that the client has (SSE-C, CSEK)"
    ROWS = {
        "`Content-Type`, `-Encoding`, `-Language`, `-Disposition`, `Cache-Control`": (
            "headers", {"ContentType": "text/x", "ContentEncoding": "zstd", "ContentLanguage": "de",
                        "ContentDisposition": "inline", "CacheControl": "no-cache"},
            {"contentType": "text/x", "contentEncoding": "zstd", "contentLanguage": "de",
             "contentDisposition": "inline", "cacheControl": "no-cache"}),
        "`Expires`": ("expires", {"Expires": FAR}, None),
        "user metadata": ("metadata", {"Metadata": {"owner": "x", "empty": ""}},
                          {"metadata": {"owner": "x", "empty": ""}}),
        "user metadata whose name no header can have (`custom:aclPolicy`)": (
            "metadata", None, {"metadata": {"custom:aclPolicy": "{}"}}),
        "tags": ("tags", {"Tagging": "a=b&c=d"}, None),
        OWN_ACL: ("acl", {"ACL": "public-read"}, {"acl": "publicRead"}),
        COPIED_ACL: ("acl", {"GrantRead": f'uri="{ALL_USERS}", id="bob"', "GrantFullControl": 'id="alice"'},
                     {"acl": "publicRead"}),
        SET_ACL: ("acl", {}, {}),
        "storage class": ("storage_class", {"StorageClass": rgw.COLD}, {"storage_class": "NEARLINE"}),
        "encryption with a key of the service's (SSE-S3, SSE-KMS)": (
            "encryption", {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": rgw.KMS_KEY}, None),
        CLIENT_KEY: (None, SSE_C, {"csek": True}),
        "retention, legal hold": ("lock", {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": FAR,
                                           "ObjectLockLegalHoldStatus": "ON"}, {"held": "objectUnderActiveHold"}),
        "website redirect": ("redirect", {"WebsiteRedirectLocation": "/there"}, None),
        "`customTime`": ("custom_time", None, {"customTime": "2026-01-01T00:00:00.000Z"}),
    }
    SETTINGS = {COPIED_ACL: "copy", SET_ACL: "public-read"}

    def setUp(self):
        super().setUp()
        self.server = gcs.GoogleStorage().start()
        self.addCleanup(self.server.stop)

    def column(self, name):
        """{row: cell}, of the rows that apply to it."""
        head, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]]
                          for line in document("METADATA.md").split("## ACLs")[0].splitlines() if line.startswith("|")]
        at = head.index(name)
        return {row[0]: row[at] for row in rows if row[at] != "—"}

    def in_s3(self):
        """A bucket in which all of it can be; what has nothing to do with locks goes to one that is faster."""
        name = RUN.fresh("bucket")
        if self.acl != "bucket":
            return self.s3_bucket()
        RUN.rgw().client().create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
        return self.s3_bucket(name=name)

    def in_google(self):
        return self.server.bucket(RUN.fresh("bucket"))

    def journey(self, acl, stations, **env):
        """From one to the next. What was said on the way."""
        said = []
        for source, destination in zip(stations, stations[1:]):
            tool = self.tool("--sync", env={**source.env("source"), **destination.env("destination"), **env,
                                            "PUBLIC_OBJECT_SEARCH_PATHS": "/bucket/public",
                                            "STORSYNC_PART_SIZE": "5MiB", "STORSYNC_ACL": acl})
            said.append(tool.err)
        return "".join(said)

    def word(self, row, first, last, key, see, said):
        look = self.ROWS[row][0]
        if key not in last.keys("public/"):
            self.assertRegex(said, rf"Failed: {re.escape(key[len('public/'):])} \(.*"
                                   r"(encrypted with a key that only a client has|HTTP 400)")
            return "fails"
        was = see.PUBLIC if row == self.SET_ACL else getattr(see(first, key), look)
        return "yes" if getattr(see(last, key), look) == was else "no"

    def outcomes(self, rows, start, way, see, sizes=(1,), **env):
        """{row: what becomes of its objects}; `start` and all of `way` make buckets."""
        found = {}
        for acl in ("bucket", *self.SETTINGS.values()):
            self.acl = acl
            mine = {row: f"public/{n}" for n, row in enumerate(rows) if self.SETTINGS.get(row, "bucket") == acl}
            stations = [make() for make in (start, *way)]
            for row, key in mine.items():
                for size in sizes:
                    stations[0].put(f"{key}-{size}", b"x" * size, **self.ROWS[row][1 if see is InS3 else 2])
            said = self.journey(acl, stations, **env)
            for row, key in mine.items():
                words = {self.word(row, stations[0], stations[-1], f"{key}-{size}", see, said) for size in sizes}
                found[row] = " and ".join(sorted(words))
                if "warning" in rows[row]:
                    self.assertIn("no ACLs can be copied" if "ACL" in row else "takes no tags", said)
        return found

    def check(self, name, start, way, see, **how):
        cells = {row: cell for row, cell in self.column(name).items()
                 if self.ROWS[row][1 if see is InS3 else 2] is not None}
        words = {row: re.match(r"(?:Ceph: )?(yes|no|fails)\b", cell)[1] for row, cell in cells.items()}
        self.assertEqual(self.outcomes(cells, start, way, see, **how), words)

    def test_inside_s3(self):
        self.check("copied inside S3", self.in_s3, [self.in_s3], InS3)

    def test_from_s3_to_s3(self):
        """Another endpoint is another service. In one piece, and in parts."""
        proxy = self.proxy(RUN.rgw().plain)
        self.check("from S3 to S3 through here", self.in_s3, [self.s3_bucket], InS3, sizes=(1, (5 << 20) + 1),
                   STORSYNC_SOURCE_ENDPOINT=proxy.endpoint)

    def test_through_a_directory(self):
        self.check("S3, a directory, S3", self.in_s3, [self.dir_bucket, self.s3_bucket], InS3)

    def test_inside_google(self):
        self.check("copied inside Google", self.in_google, [self.in_google], InGoogle)

    def test_s3_to_google_and_back(self):
        name = "S3 to Google, or back"
        self.check(name, self.in_s3, [self.in_google, self.s3_bucket], InS3)
        self.check(name, self.in_google, [self.s3_bucket, self.in_google], InGoogle)


def remove_bucket(bucket):
    """One whose name is of this test alone."""
    for key in bucket.keys():
        bucket.remove(key)
    bucket.client.delete_bucket(Bucket=bucket.name)


class OnCall(TestCase):
    """What goes wrong most often, and how it looks: the section of docs/MESSAGES.md that is made by this test.

    STORSYNC_UPDATE=yes writes it anew, to be read and committed.
    """

    def setUp(self):
        super().setUp()
        self.source, self.destination = self.s3_bucket(name="my-dev"), self.s3_bucket(name="my-prod")
        self.source.put("public/logo.png", "x")
        self.names = {RUN.rgw().endpoint: "https://s3.example.com"}

    def tearDown(self):
        for bucket in (self.source, self.destination):
            remove_bucket(bucket)
        super().tearDown()

    def silence(self, *how):
        silent = proxyfault.Silence(*how)
        self.addCleanup(silent.close)
        return silent

    def at(self, port, scheme="http"):
        """An endpoint of the source's."""
        self.names[f"127.0.0.1:{port}"] = "s3.example.com"
        return {"STORSYNC_SOURCE_ENDPOINT": f"{scheme}://127.0.0.1:{port}"}

    def wrong_region(self):
        proxy = self.proxy(RUN.rgw().plain)
        proxy.fault(proxyfault.wrong_region("eu-central-1"), times=FOREVER)
        return self.at(proxy.port)

    def https_server(self):
        front = RUN.nginx(RUN.rgw().plain)
        self.addCleanup(front.stop)
        return front

    def dead_dns(self):
        address = "127.53.53.56"
        (self.dir / "resolv.conf").write_text(f"nameserver {address}\noptions timeout:30\n")
        self.silence(socket.SOCK_DGRAM, (address, 53))
        space = self.mounts(f"mount --bind '{self.dir}/resolv.conf' /etc/resolv.conf")
        return {"STORSYNC_SOURCE_ENDPOINT": "https://s3.example.com", "prefix": space.prefix}

    def foreign_bucket(self):
        foreign = self.s3_bucket(user=rgw.BOB)
        self.names[foreign.name] = "somebody-elses"
        return {"STORSYNC_SOURCE_BUCKET": foreign.name}

    def proxy_that_is_down(self):
        port = proxyfault.closed_port()
        self.names[f"127.0.0.1:{port}"] = "proxy.example.com:3128"
        return {"https_proxy": f"http://127.0.0.1:{port}", "STORSYNC_SOURCE_ENDPOINT": "https://s3.example.com"}

    def proxy_that_refuses(self):
        proxy = forwardproxy.ForwardProxy(refuse=403)
        self.addCleanup(proxy.stop)
        self.names[f"127.0.0.1:{proxy.port}"] = "proxy.example.com:3128"
        return {"https_proxy": proxy.url, "STORSYNC_SOURCE_ENDPOINT": "https://s3.example.com"}

    def metadata_service_that_refuses(self):
        service = proxyfault.FaultProxy().start()
        self.addCleanup(service.stop)
        service.fault(proxyfault.answer(403, b"no"), times=FOREVER)
        self.names[service.endpoint] = "http://169.254.169.254"
        return {"STORSYNC_SOURCE_ACCESS_KEY_ID": "", "STORSYNC_SOURCE_SECRET_ACCESS_KEY": "",
                "AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": service.endpoint}

    def cases(self):
        yield "A wrong access key", {"STORSYNC_SOURCE_ACCESS_KEY_ID": "AKIAWRONG"}
        yield "A wrong secret", {"STORSYNC_SOURCE_SECRET_ACCESS_KEY": "wrong"}
        yield "A wrong region", self.wrong_region()
        yield "A bucket that is not there", {"STORSYNC_SOURCE_BUCKET": "my-devv"}
        yield "Somebody else's bucket", self.foreign_bucket()
        yield "A typing error in the endpoint", {"STORSYNC_SOURCE_ENDPOINT": "https://s3.example.invalid"}
        yield "http to an https port", self.at(self.https_server().port)
        yield "https to an http port", self.at(RUN.rgw().plain.rpartition(":")[2], "https")
        yield "Nobody listens there", self.at(proxyfault.closed_port())
        yield "A server that says nothing", self.at(self.silence().port)
        yield "A name server that says nothing", self.dead_dns()
        yield "A proxy that is down", self.proxy_that_is_down()
        yield "A proxy that refuses", self.proxy_that_refuses()
        yield "A metadata service that refuses", self.metadata_service_that_refuses()
        yield "A time limit that is too short", {**self.at(self.silence().port), "STORSYNC_TIMEOUT": "1s"}

    def shown(self, name, env):
        prefix = env.pop("prefix", ())
        base = {**self.source.env("source"), **self.destination.env("destination"), "STORSYNC_RETRIES": "0",
                "STORSYNC_CONNECT_TIMEOUT": "2s", "STORSYNC_STALL_TIMEOUT": "2s"}
        return transcript(self, name, self.tool("--sync", env={**base, **env}, prefix=prefix), self.names)

    def test_as_it_looks(self):
        if RUN.tls:
            self.skipTest("the document shows the servers without TLS in front")
        compare_section(self, "as it looks", [self.shown(name, env) for name, env in self.cases()])


def transcript(test, name, tool, names):
    """What a run has said, with the names that people know."""
    test.assertNotEqual(tool.code, 0, name)
    lines = [line.strip() for line in tool.err.splitlines() if re.search(r"error: |=== Sync Failed|Failed: \w.* \(", line)]
    text = "\n".join(lines)
    for found, instead in names.items():
        text = text.replace(found, instead)
        text = text.replace(found.partition("://")[2] or found, instead.partition("://")[2] or instead)
    text = re.sub(r"request tx[\w-]+", "request tx0001", text)
    return f"**{name}**\n\n```text\n{text}\nexit code {tool.code}\n```\n"


def compare_section(test, mark, found, name="MESSAGES.md"):
    """What stands in that document between the marks of that name is this."""
    path = CHECKOUT / "docs" / name
    head, between, tail = re.split(rf"(?s)(?<=<!-- {mark} -->\n)(.*)(?=<!-- end of {mark} -->)", path.read_text())
    if os.environ.get("STORSYNC_UPDATE"):
        path.write_text("\n".join((head, *found, tail)))
    else:
        test.assertEqual(between.strip(), "\n".join(found).strip())


class Migration(TestCase):
    """docs/MIGRATION.md: its log, its commands and the names in it. Its programs are run by compat/test_node.py."""

    SKIPPED, SYNCED, BYTES = 15, 42, 13054771
    NAMED = {"public/avatars/user123.png": 148808, "public/images/product456.jpg": 535736}

    def setUp(self):
        super().setUp()
        self.text = document("MIGRATION.md")

    def production(self, source, destination):
        return {**source.env("source"), **destination.env("destination"), "NODE_ENV": "production",
                "PUBLIC_OBJECT_SEARCH_PATHS": f"/{source.name}/public"}

    def test_the_log(self):
        """The same objects as in the old document's example, and the same lines, whatever stands between."""
        source, destination = self.s3_bucket(name="dedw3n-dev-storage"), self.s3_bucket(name="dedw3n-production-storage")
        self.addCleanup(remove_bucket, destination)
        self.addCleanup(remove_bucket, source)
        for bucket in (source, destination):
            bucket.put("public/videos/demo.mp4")
            for number in range(self.SKIPPED - 1):
                bucket.put(f"public/videos/{number}.mp4")
        count = self.SYNCED - len(self.NAMED)
        rest = self.BYTES - sum(self.NAMED.values())
        sizes = {f"public/more/{n}": rest // count + (n < rest % count) for n in range(count)}
        for key, size in {**self.NAMED, **sizes}.items():
            source.put(key, b"x" * size)
        one_by_one = {"LC_ALL": "C.UTF-8", "STORSYNC_CONCURRENCY": "1"}
        tool = self.tool("--", "/bin/true", env={**self.production(source, destination), **one_by_one})
        [section] = re.findall(r"(?s)<!-- the log -->\n+```\n(.*?)```\n+<!-- end of the log -->", self.text)
        lines, at = tool.err.splitlines(), -1
        for line in section.splitlines():
            self.assertIn(line, lines[at + 1:], tool.err)
            at = lines.index(line, at + 1)
        left = [line for line in lines if line not in section.splitlines()]
        self.assertEqual([line for line in left if not re.match(r"storsync-init: |  [✓-] (Synced|Skipped): ", line)], [])

    def test_commands(self):
        """In the order of the page, as a shell takes them; then those of its tables."""
        source, destination = self.s3_bucket(), self.s3_bucket()
        for key in ("public/css/a.css", "public/logo.png"):
            source.put(key)
        (self.dir / "bin").mkdir()
        (self.dir / "bin/storsync-init").symlink_to(RUN.binary)
        app = self.dir / "app"
        for name in ("production-storage-sync", "deployment-sync-hook", "storage-sync-startup", "routes"):
            path = app / f"server/{name}.ts"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x")
        env = {**self.production(source, destination), "PATH": f"{self.dir}/bin:/usr/bin:/bin",
               "STORSYNC_STATUS_FILE": str(self.dir / "status.json"), "AWS_EC2_METADATA_DISABLED": "true"}

        def shell(command):
            done = subprocess.run(["sh", "-c", command], cwd=app, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, timeout=60 * RUN.slow, check=False)
            return done.returncode, done.stdout

        self.assertEqual(shell("git init -q && git add . && git -c user.name=x -c user.email=x commit -qm x")[0], 0)
        shown = [line for block in re.findall(r"(?s)```sh\n(.*?)```", self.text) for line in block.splitlines()]
        said = {command: shell(command) for command in shown}
        self.assertEqual([command for command, (code, _) in said.items() if code], ["storsync-init --validate"], said)
        self.assertIn("Missing: 2", said["storsync-init --validate"][1], "a dry run has copied nothing")
        self.assertEqual([path.name for path in app.rglob("*.ts")], ["routes.ts"])
        self.assertEqual(destination.keys("public/"), ["public/css/a.css", "public/logo.png"])
        inline = {command for command in re.findall(r"`(storsync-init --[^`]*)`", self.text)} - {*shown}
        self.assertGreater(len(inline), 4)
        for command in inline:
            self.assertEqual(shell(command.replace("-- node server.js", "-- true"))[0], 0, command)

    def test_names(self):
        """Settings and variables are those that there are."""
        known = json.loads(self.succeed("--print-config", "--json", env=sides(self.dir_bucket(), self.dir_bucket())).out)
        settings = {*known, *known["source"]}
        lower = {*re.findall(r"`([a-z]+_[a-z_]+)`", self.text), *re.findall(r"`([a-z_]+)=[a-z]+`", self.text)}
        upper = {name.lower() for name in re.findall(r"\bSTORSYNC_([A-Z_]+)", self.text)}
        self.assertGreater(len(lower), 4)
        self.assertEqual((lower | upper) - settings, set())
        buckets = {"DEV_STORAGE_BUCKET", "PROD_STORAGE_BUCKET", "PUBLIC_OBJECT_SEARCH_PATHS", "PRIVATE_OBJECT_DIR"}
        help_text = self.succeed("--help").out
        for name in buckets:
            self.assertIn(name, self.text)
            self.assertIn(name, help_text)

    def test_files(self):
        """What is to be copied is there, under that name."""
        folder = CHECKOUT / "examples/node/admin"
        for name in ("storage-sync-startup", "storage-sync-router"):
            self.assertIn(f"`{name}.js` and `.d.ts`", self.text)
        copied = {name for name in re.findall(r"`(storage-sync-[\w-]+)", self.text)}
        self.assertEqual(copied, {path.name.partition(".")[0] for path in folder.glob("storage-sync-*")})


class OnCallGoogle(GoogleCase):
    """The same of buckets of Google's, with Google at its own names."""

    def setUp(self):
        super().setUp()
        self.start_identity()
        self.source, self.destination = self.google.bucket("my-dev"), self.google.bucket("my-prod")
        self.source.put("public/logo.png")
        self.key = self.dir / "key.json"
        self.key.write_text(json.dumps({"type": "authorized_user", "client_id": "id.apps", "client_secret": "secret",
                                        "refresh_token": "1//token"}))
        self.key.chmod(0o600)

    def damaged_key(self):
        path = self.dir / "damaged.json"
        path.write_text('{"type": "service_account"')
        return {"GOOGLE_APPLICATION_CREDENTIALS": str(path)}

    def of(self, bucket, **switches):
        """Until the next case that bucket is as told."""
        for name, value in switches.items():
            before = getattr(bucket, name)
            self.undo.append(lambda name=name, before=before: setattr(bucket, name, before))
            setattr(bucket, name, value)
        return {}

    def refused(self):
        self.front.fault(proxyfault.answer(401, gcs.error_body(401, "authError", "Invalid Credentials")), times=FOREVER)
        self.undo.append(self.front.clear)
        return {}

    def held(self):
        self.destination.put("public/logo.png", "y", held="objectUnderActiveHold", age=50)
        self.undo.append(lambda: self.destination.objects.pop("public/logo.png"))
        return {}

    def cases(self):
        yield "No such key file", lambda: {"GOOGLE_APPLICATION_CREDENTIALS": "/secrets/key.json"}
        yield "A key file that is damaged", self.damaged_key
        yield "A login that is over", lambda: self.of(self.identity, status=400)
        yield "A token that is not taken", self.refused
        yield "A right is missing at the source", lambda: self.of(self.source, denied={"storage.objects.list"})
        yield "A right is missing at the destination", lambda: self.of(self.destination,
                                                                       denied={"storage.objects.create"})
        yield "A gs:// bucket that is not there", lambda: {"PROD_STORAGE_BUCKET": "gs://my-prodd"}
        yield "Requesters pay", lambda: self.of(self.source, requester_pays=True)
        yield "An object that is held", self.held
        yield "A bucket with uniform access, and `acl=private`", lambda: {
            "STORSYNC_ACL": "private", **self.of(self.destination, uniform=True)}
        yield "`STORAGE_EMULATOR_HOST` is set, and nobody is there", lambda: {
            "STORAGE_EMULATOR_HOST": "http://127.0.0.1:1"}

    def shown(self, name, case):
        self.undo = []
        env = {"DEV_STORAGE_BUCKET": "gs://my-dev", "PROD_STORAGE_BUCKET": "gs://my-prod", "STORSYNC_RETRIES": "0", "STORSYNC_JOB": "shop",
               "GOOGLE_APPLICATION_CREDENTIALS": str(self.key), **case()}
        tool = self.run_tool("--sync", env=env)
        for undo in self.undo:
            undo()
        return transcript(self, name, tool, {str(self.dir): "/secrets", "127.0.0.1:1": "127.0.0.1:4443"})

    def test_as_it_looks(self):
        compare_section(self, "as it looks at Google", [self.shown(*case) for case in self.cases()])


class Log(TestCase):
    """The examples of docs/LOG.md, and its table of events, by runs that show them."""

    COMMON = {"time", "level", "event", "message"}
    # What no short run shows: tests/unit/test_report.c and test_conflicts have them.
    LONG = {"progress", "waiting", "overwritten", "kept"}

    def setUp(self):
        super().setUp()
        self.source, self.destination = (self.s3_bucket(name=f"dedw3n-{name}-storage") for name in ("dev", "production"))
        for bucket in (self.source, self.destination):
            self.addCleanup(bucket.client.delete_bucket, Bucket=bucket.name)
            self.addCleanup(lambda b=bucket: [b.client.delete_object(Bucket=b.name, Key=key) for key in b.keys()])
        self.server = self.proxy(RUN.rgw().plain)

    def env(self, **more):
        return {**production(self.source, self.destination), **self.source.env("source", self.server.endpoint),
                **self.destination.env("destination", self.server.endpoint), "STORSYNC_CONCURRENCY": "1",
                "STORSYNC_ENVIRONMENT": "", "NODE_ENV": "production", "STORSYNC_DEPLOYMENT_ID": "v42",
                "STORSYNC_JOB": "shop", "LANG": "C.UTF-8", **more}

    def fill(self):
        for key, size in (("avatars/user123.png", 148_808), ("images/product456.jpg", 535_736), ("private.key", 20),
                          ("videos/demo.mp4", 1000)):
            self.source.put(f"public/{key}", b"x" * size)
        self.destination.put("public/videos/demo.mp4", b"x" * 1000)
        self.deny("private.key")

    def deny(self, target):
        denied = proxyfault.answer(403, proxyfault.s3_error("AccessDenied"), {"Content-Type": "application/xml"})
        for method in ("GET", "PUT"):
            self.server.fault(denied, method=method, target=target, times=FOREVER)

    def shown(self, tool):
        text = re.sub(r"took [\d.]+ s", "took 1.2 s", tool.err).replace(": made up by the test", "")
        return [f"```\n{text}```\n"]

    def test_a_sync(self):
        self.fill()
        compare_section(self, "a sync", self.shown(self.tool(env=self.env())), "LOG.md")

    def test_a_validation(self):
        for key in ("logo.png", "new.png", "same.png"):
            self.source.put(f"public/{key}", "xx")
        for key, body in (("logo.png", "x"), ("same.png", "xx"), ("upload.jpg", "x")):
            self.destination.put(f"public/{key}", body)
        compare_section(self, "a validation", self.shown(self.tool("--validate", env=self.env())), "LOG.md")

    def table(self):
        """{event: (levels, fields)}"""
        found = {}
        for line in document("LOG.md").partition("| event |")[2].splitlines()[2:]:
            if not line.startswith("|"):
                break
            names, levels, cell = (part.strip() for part in line.split("|")[1:-1])
            cell = re.sub(r"\([^)]*\)|as of `[\w-]+`|the status document's .*?;", "", cell.replace("as of `sync-finished`", "SAME"))
            fields = set(re.findall(r"`(\w+)`", cell))
            if "SAME" in cell:
                fields = found["sync-finished"][1]
            elif cell.startswith("the same"):
                fields = before
            before = fields
            for name in re.findall(r"`([\w-]+)`", names):
                found[name] = ({name} if levels == "as the name" else set(levels.split(", ")), fields)
        return found

    def runs(self):
        """Everything that can happen in short runs."""
        self.fill()
        self.source.put(".storsync/x", "x")
        yield self.env()
        yield self.env(STORSYNC_TIMEOUT="x", STORSYNC_LOG_LEVEL="debug")
        yield self.env(STORSYNC_DRY_RUN="yes")
        for number in range(12):
            self.source.put(f"private/{number:03}", b"x")
        self.deny("private/0")
        many = self.dir_bucket(), self.dir_bucket()
        for bucket in many:
            for number in range(101):
                bucket.put(f"public/{number}", b"x", age=50)
        yield self.env(PRIVATE_OBJECT_DIR="/b/private")
        yield self.env(**many[0].env("source"), **many[1].env("destination"), STORSYNC_SOURCE_ENDPOINT="",
                       STORSYNC_DESTINATION_ENDPOINT="")
        many[0].remove("public/0")
        yield self.env(**many[0].env("source"), **many[1].env("destination"), STORSYNC_SOURCE_ENDPOINT="",
                       STORSYNC_DESTINATION_ENDPOINT="", STORSYNC_DELETE="extra")
        yield self.env(STORSYNC_SOURCE_BUCKET="no-such-bucket")

    def test_events(self):
        said = []
        for env in self.runs():
            for args in (["--sync", "--", "/no/such/command"], ["--validate"]):
                tool = self.tool(*args, env={**env, "STORSYNC_LOG_FORMAT": "json"})
                said += [json.loads(line) for line in tool.err.splitlines()]
        table = self.table()
        for event in said:
            levels, fields = table[event["event"]]
            self.assertEqual(set(event) - self.COMMON, fields, event["event"])
            self.assertIn(event["level"], levels, event["event"])
        self.assertEqual({event["event"] for event in said}, table.keys() - self.LONG)
        example = json.loads(re.search(r"(?s)```json\n(.*?)```", document("LOG.md"))[1])
        real = next(event for event in said if event["event"] == "synced" and event["key"] == example["key"])
        self.assertEqual({**real, "time": example["time"]}, example)


class PoliciesCase(TestCase):
    def setUp(self):
        super().setUp()
        self.source, self.destination = self.s3_bucket(), self.s3_bucket()
        self.names = {"my-dev-storage": self.source, "my-production-storage": self.destination}
        self.source.put("public/small", "x")
        self.source.put("public/tagged", "x", Tagging="class=a")
        blocks = re.findall(r"(?ms)^```json\n(.*?)^```$", document("RIGHTS.md"))
        self.statements = [statement for block in blocks[:2] for statement in json.loads(block)["Statement"]]


class Policies(PoliciesCase):
    """The policies of docs/RIGHTS.md, as bucket policies for a user who owns nothing: all that he may do."""

    def setUp(self):
        super().setUp()
        self.source.put("private/in parts", b"x" * (11 << 20))

    def allow(self, without=None, at=""):
        """Of both policies what belongs to a bucket; without one action at the resources that have `at` in them."""
        for name, bucket in self.names.items():
            statements = []
            for statement in self.statements:
                here = [resource for resource in statement["Resource"] if resource.split(":::")[1].split("/")[0] == name]
                for resource in (resource.replace(name, bucket.name) for resource in here):
                    actions = [a for a in statement["Action"] if a != without or at not in resource]
                    if actions:
                        statements.append({"Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam:::user/bob"]},
                                           "Action": actions, "Resource": [resource]})
            policy = {"Version": "2012-10-17", "Statement": statements}
            bucket.client.put_bucket_policy(Bucket=bucket.name, Policy=json.dumps(policy))

    def sync(self, endpoint=None, **more):
        bob = {"access_key_id": rgw.BOB.access_key, "secret_access_key": rgw.BOB.secret_key}
        env = {**production(self.source, self.destination, **more), **self.source.env("source", endpoint, **bob),
               **self.destination.env("destination", **bob), "PRIVATE_OBJECT_DIR": f"/{self.source.name}/private",
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

    def test_tags_of_what_passes_through(self):
        """Another endpoint is another service: the tool reads the tags itself."""
        self.allow(without="s3:GetObjectTagging", at=self.source.name)
        tool = self.sync(self.proxy(RUN.rgw().plain).endpoint)
        self.assertEqual((tool.code, tool.status["syncedFiles"], tool.status["failedFiles"]), (2, 2, 1))
        self.assertIn("access denied: the credentials need s3:GetObjectTagging", tool.err)


    def test_grants(self):
        """What acl=copy needs besides; without one of them the log names it."""
        rights = {row[0]: row[1] for row in re.findall(r"(?m)^\| `(s3:\w+Acl)` at the (\w+) \|", document("RIGHTS.md"))}
        self.assertEqual(rights, {"s3:GetObjectAcl": "source", "s3:GetBucketAcl": "destination",
                                  "s3:PutObjectAcl": "destination"})
        production = next(s for s in self.statements if "s3:PutObject" in s["Action"])["Resource"][0].split("/")[0]
        for action, side in rights.items():
            on_bucket = action == "s3:GetBucketAcl"
            name = "my-dev-storage" if side == "source" else production.rpartition(":")[2]
            self.statements.append({"Action": [action], "Resource": [
                f"arn:aws:s3:::{name}" + ("" if on_bucket else "/*")]})
        for number, without in enumerate((None, "s3:GetObjectAcl", "s3:GetBucketAcl")):
            self.allow(without=without)
            self.source.put("public/small", "x" * number)
            tool = self.sync(STORSYNC_ACL="copy", STORSYNC_DEPLOYMENT_ID=f"d{number}")
            if without is None:
                self.assertEqual((tool.code, tool.warnings), (0, []))
            else:
                self.assertIn("access denied: the credentials need " + without, tool.err)


class SessionPolicies(PoliciesCase):
    """The same policies, sent along when the keys of a role that may do everything are fetched."""

    def setUp(self):
        super().setUp()
        issuer = identity.Issuer(self.dir)
        self.addCleanup(issuer.close)
        self.token = issuer.token
        self.role = identity.trust(RUN.rgw(), issuer, rgw.ALICE, "session")

    def sync(self, statements, deployment):
        text = identity.compact({"Version": "2012-10-17", "Statement": statements})
        for name, bucket in self.names.items():
            text = text.replace(name, bucket.name)
        keys = RUN.rgw().sts().assume_role_with_web_identity(
            RoleArn=self.role, RoleSessionName="session", WebIdentityToken=self.token(), Policy=text)["Credentials"]
        session = {"access_key_id": keys["AccessKeyId"], "secret_access_key": keys["SecretAccessKey"],
                   "session_token": keys["SessionToken"]}
        return self.tool(env=production(self.source, self.destination, **self.source.env("source", **session),
                                        **self.destination.env("destination", **session),
                                        STORSYNC_DEPLOYMENT_ID=deployment))

    def test_what_both_allow(self):
        tool = self.sync(self.statements, "d1")
        self.assertEqual((tool.code, tool.status["syncedFiles"], tool.warnings), (0, 2, []))
        for statement in self.statements:
            statement["Action"] = [action for action in statement["Action"] if action != "s3:PutObject"]
        tool = self.sync(self.statements, "d2")
        self.assertEqual(tool.code, 77)
        self.assertIn("s3:PutObject", tool.err)
