"""Rounds of random lies between the tool and a real server, each judged by somebody who was not lied to.

A round is a few objects of odd sizes and keys, some of which production has already, older or the same; a run of the
tool through a proxy that lies (lyingproxy.py), while the source may change; and then a look at both sides, straight at
the server with boto3, or at the files:
  - each object of production is byte for byte, with its metadata, one version of the source, or what it was before;
  - "synced" (exit 0, the status, the marker) is said only if production has all that the source had, or got meanwhile;
  - --validate ends with 0 only if both are equal, and writes nothing;
  - a run without lies afterwards makes all equal: nothing is left that looks right and is not.

A round follows from the seed and its number. From the environment:
  STORSYNC_LIES_SEED    another seed than 1
  STORSYNC_LIES_ROUNDS  which rounds each of the tests plays: "17", "0-999"; the default is 0-74, which makes 300
"""
import gzip
import hashlib
import json
import os
import random
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import data
from harness import RUN, DirBucket, S3Bucket, TestCase
from lyingproxy import LIES, LyingProxy, Truth, Version

SEED = os.environ.get("STORSYNC_LIES_SEED", "1")
AT_ONCE = 5
FAILURES_SHOWN = int(os.environ.get("STORSYNC_LIES_SHOWN", "5"))
SIZES = [0, 1, 100, 100, 5000, 40 * data.KIB, 200 * data.KIB]
LARGE = 6 * data.MIB
KEYS = ["plain", "a b", "a+b", "a%20b", "caf\u00e9", "x&y<z>", "deep/er/key", "q?r=s#t", "zz"]
FILE_KEYS = ["plain", "a b", "a+b", "a%20b", "caf\u00e9", "x&y<z>", "deep/er/key", "zz"]
HEADERS = [{}, {"Content-Type": "image/png", "x-amz-meta-n": "1"}, {"Cache-Control": "no-cache", "x-amz-meta-n": "2"},
           {"Content-Type": "text/html; charset=utf-8", "Content-Disposition": "inline"},
           {"tagging": "a=1&b=2", "x-amz-meta-n": "3"}]
KEPT = ("content-type", "cache-control", "content-encoding", "content-disposition")
ALWAYS = {"STORSYNC_PART_SIZE": "5MiB", "STORSYNC_LEASE_TTL": "2s", "STORSYNC_CONCURRENCY": "4"}
# With lies, a run may give up early: that is never wrong. Without, it has the time that a busy machine needs.
IMPATIENT = {"STORSYNC_RETRIES": "2", "STORSYNC_REQUEST_TIMEOUT": "10s", "STORSYNC_STALL_TIMEOUT": "1500ms",
             "STORSYNC_TIMEOUT": "20s", "STORSYNC_WAIT": "3s"}


def chosen_rounds():
    wanted = os.environ.get("STORSYNC_LIES_ROUNDS", "0-3" if RUN.instrumented else "0-74")
    first, _, last = wanted.partition("-")
    return range(int(first), int(last or first) + 1)


# --- the two sides, as somebody sees them who is not lied to ---

class S3Side:
    """Objects below a prefix of a bucket that several rounds share."""

    def __init__(self, bucket, prefix):
        self.bucket, self.prefix = bucket, prefix

    def put(self, key, version):
        """Puts it as it is, and notes the ETag and time that it got."""
        names = {"Content-Type": "ContentType", "Cache-Control": "CacheControl", "Content-Encoding": "ContentEncoding",
                 "Content-Disposition": "ContentDisposition"}
        given = {names[n]: v for n, v in version.headers.items() if n in names}
        if "tagging" in version.headers:
            given["Tagging"] = version.headers["tagging"]
        given["Metadata"] = {n[11:]: v for n, v in version.headers.items() if n.startswith("x-amz-meta-")}
        if version.hashed:
            self.bucket.put(key, version.body, **given)
        else:
            version.etag = self._put_in_parts(key, version.body, given)

    def _put_in_parts(self, key, body, given):
        client, where = self.bucket.client, {"Bucket": self.bucket.name, "Key": key}
        upload = client.create_multipart_upload(**where, **given)["UploadId"]
        cuts = [body[:5 * data.MIB], body[5 * data.MIB:]]
        parts = [{"PartNumber": n, "ETag": client.upload_part(**where, UploadId=upload, PartNumber=n, Body=cut)["ETag"]}
                 for n, cut in enumerate(cuts, 1)]
        done = client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})
        return done["ETag"].strip('"')

    def remove(self, key):
        self.bucket.client.delete_object(Bucket=self.bucket.name, Key=key)

    def contents(self):
        """{key: (body, headers)}"""
        return {key: self._get(key) for key in self.bucket.keys(self.prefix)}

    def _get(self, key):
        answer = self.bucket.client.get_object(Bucket=self.bucket.name, Key=key)
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        kept = {n: v for n, v in headers.items() if n in KEPT or n.startswith("x-amz-meta-")}
        if "x-amz-tagging-count" in headers:
            tags = self.bucket.client.get_object_tagging(Bucket=self.bucket.name, Key=key)["TagSet"]
            kept["tagging"] = "&".join(sorted(f"{tag['Key']}={tag['Value']}" for tag in tags))
        return answer["Body"].read(), kept

    def forget(self):
        """The tool's records, so that the rounds before do not matter."""
        for key in self.bucket.keys(".storsync/"):
            self.remove(key)

    def marked(self):
        return [key for key in self.bucket.keys(".storsync/") if "/deployments/" in key]


class DirSide:
    """The same in a directory; metadata are in the tool's sidecars."""

    def __init__(self, bucket, prefix):
        self.bucket, self.prefix = bucket, prefix

    def put(self, key, version):
        path = self.bucket.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size == len(version.body) <= data.KIB:  # at once, as a rename is
            with open(path, "r+b", buffering=0) as file:
                file.write(version.body)
        else:
            path.with_name("new").write_bytes(version.body)
            path.with_name("new").rename(path)

    def remove(self, key):
        (self.bucket.root / key).unlink()

    def contents(self):
        notes = {}
        for note in (self.bucket.root / ".storsync" / "meta").rglob("*.json"):
            kept = json.loads(note.read_bytes())
            notes[kept["key"], kept["etag"]] = {n.replace("user:", "x-amz-meta-"): v for n, v in kept["metadata"]}
        return {key: (body, self._headers(key, notes)) for key, body in self.bucket.contents().items()}

    def _headers(self, key, notes):
        status = (self.bucket.root / key).stat()
        return notes.get((key, f"{status.st_size:x}-{status.st_mtime_ns:x}"), {})

    def forget(self):
        pass  # a directory of its own for each round

    def marked(self):
        return [path for path in (self.bucket.root / ".storsync").rglob("deployments/*")]


# --- a round ---

class Round:
    """`kind`: relay (two endpoints), copy (inside one service), to-dir, from-dir. Of an object there are, in `truth`,
    the versions that the source has or had; in `before`, what production had."""

    def __init__(self, case, kind, number, buckets):
        self.case, self.kind, self.number = case, kind, number
        self.name = f"{kind}-{number}"
        self.prefix = f"{self.name}/"
        self.dice = self.random("the world")
        self.truth, self.lock = Truth(change=self.change), threading.Lock()
        files = DirBucket(case.dir / self.name) if "dir" in kind else None
        self.source = DirSide(files, self.prefix) if kind == "from-dir" else S3Side(buckets[0], self.prefix)
        self.destination = DirSide(files, self.prefix) if kind == "to-dir" else S3Side(buckets[1], self.prefix)
        self.mode = self.dice.choices(["sync", "deploy", "validate"], [6, 3, 1])[0]
        self.compare = self.dice.choice(["newer", "newer", "newer", "etag"])
        self.gone = set()
        self.proxies, self.tools = [], []

    def random(self, about):
        return random.Random(f"{SEED} {self.name} {about}")

    # The world before.

    def prepare(self):
        self.destination.forget()
        keys = self.dice.sample(FILE_KEYS if "dir" in self.kind else KEYS, self.dice.randint(2, 6))
        large = self.dice.random() < 0.04
        states = {}
        for number, key in enumerate(keys):
            size = LARGE if large and number == 0 else self.dice.choice(SIZES)
            key = f"{self.prefix}{'public' if number % 2 else 'private'}/{key}"
            states[key] = self.dice.choices(["missing", "old", "same", "same size"], [5, 2, 2, 2])[0]
            self.truth.versions[key] = [self.version(key, size if n else self.dice.choice([size, 1, 100]), n)
                                        for n in range(self.dice.randint(2, 3))]
        self.before = {}
        for key, state in states.items():
            if state in ("old", "same size"):
                now = self.truth.now(key)
                size = len(now.body) if state == "same size" else self.dice.choice([0, 77, 3000])
                self.put_before(key, self.version(key, size, "production"))
        for key, versions in self.truth.versions.items():
            self.put_source(key, versions[-1])
        for key, state in states.items():
            if state == "same":
                self.put_before(key, self.truth.now(key))
        if self.mode == "validate" and self.dice.random() < 0.3:
            self.put_before(self.prefix + "public/zzz extra", self.version("extra", 5, 0))
        self.before = self.destination.contents()

    def version(self, key, size, number):
        dice = self.random(f"{key} {size} {number}")
        headers = {"Content-Type": "binary/octet-stream", **dice.choice(HEADERS)} if self.kind != "from-dir" else {}
        if size == LARGE:
            headers.pop("tagging", None)  # RGW gives an object that was put in parts its tags later
        body, hashed = dice.randbytes(size), size < LARGE or dice.random() < 0.5
        if size == 5000 and headers:
            body, headers = gzip.compress(body * 2, mtime=0), {**headers, "Content-Encoding": "gzip"}
        return Version(body, headers, modified=time.time() - 1000, hashed=hashed or self.kind == "from-dir")

    def put_before(self, key, version):
        self.destination.put(key, Version(version.body, version.headers))

    def put_source(self, key, version):
        version.modified = time.time()
        self.source.put(key, version)

    def change(self, key):
        """Another version, or none, in the middle of the run. What it is stands in the list before it is anywhere."""
        with self.lock:
            now = self.truth.now(key)
            number = len(self.truth.versions[key])
            dice = self.random(f"change {key} {number}")
            if key in self.gone or number > 4:
                return  # what changes more than three times in one run is not run after any more
            if dice.random() < 0.15:
                self.gone.add(key)
                self.source.remove(key)
                return
            size = len(now.body) if dice.random() < 0.4 else dice.choice(SIZES)
            size = size if size > 1 else 100  # of other metadata alone, on the same bytes, no listing would tell
            version = self.version(key, size, number)
            version.hashed = True
            version.etag = hashlib.md5(version.body).hexdigest()
            self.truth.versions[key].append(version)
            self.put_source(key, version)

    # The run.

    def lie(self):
        """The proxies: for each side its own, or one for both."""
        dice = self.random("the lies")
        state = dice.random() < 0.15  # lies about the tool's own records cost a lease's time
        usable = [name for name in LIES if name not in self.excused()]
        object_lies = [name for name in usable if LIES[name][1] != frozenset(["list"])]
        menu = dice.sample(object_lies, dice.randint(1, 3))
        if self.mode == "validate" or dice.random() < 0.3:
            menu += dice.sample([name for name in usable if "list" in LIES[name][1]], 1)
        how = {"menu": menu, "share": dice.choice([0.2, 0.5, 1]), "patience": dice.choice([1, 1, 2, 10 ** 9])}
        if "stall" in menu:
            how["share"], how["patience"] = 0.3, 1
        sides = {"relay": ["source", "destination"], "copy": ["both"], "to-dir": ["source"],
                 "from-dir": ["destination"]}[self.kind]
        for side in sides:
            truths = {self.bucket("source"): self.truth, self.bucket("destination"): Truth()}
            changes = dice.choice([0, 0, 0, 0, 0.2, 0.5]) if self.mode != "validate" else 0
            proxy = LyingProxy(self.upstream, truths, self.random, state=state, changes=changes, side=side, **how)
            self.proxies.append(proxy.start())
        self.how = how

    def excused(self):
        """--validate knows nothing but listings."""
        return ["keys left out", "an older version listed"] if self.mode == "validate" else []

    def bucket(self, side):
        """Its name in requests; a directory has none."""
        bucket = getattr(self, side).bucket
        return bucket.name if isinstance(bucket, S3Bucket) else side

    @property
    def upstream(self):
        return next(s for s in (self.source, self.destination) if isinstance(s, S3Side)).bucket.server.plain

    def env(self, honest=False):
        env = {**ALWAYS, **({} if honest else IMPATIENT), "STORSYNC_COMPARE": self.compare,
               "PUBLIC_OBJECT_SEARCH_PATHS": f"/b/{self.prefix}public",
               "PRIVATE_OBJECT_DIR": f"/b/{self.prefix}private", "STORSYNC_STATUS_FILE": str(self.status_file)}
        for side in ("source", "destination"):
            bucket, proxy = getattr(self, side).bucket, self.proxies[-1 if side == "destination" else 0]
            given = {} if honest or not isinstance(bucket, S3Bucket) else {"endpoint": proxy.endpoint}
            env.update(bucket.env(side, **given))
        if self.mode == "deploy":
            env.update(STORSYNC_ENVIRONMENT="production", STORSYNC_DEPLOYMENT_ID=self.name)
        return env

    status_file = property(lambda self: self.case.dir / f"{self.name}.json")

    def run(self, *args, honest=False):
        tool = self.case.start(*args, env=self.env(honest))
        self.tools.append(tool)
        return tool.wait(90, every=50)

    def play(self):
        """What is wrong; nothing if all is well."""
        try:
            self.prepare()
            self.lie()
            at_start = {key: len(versions) - 1 for key, versions in self.truth.versions.items()}
            tool = self.run(*{"sync": ["--sync"], "deploy": [], "validate": ["--validate"]}[self.mode])
            found = self.destination.contents()
            wrong = self.judge(tool, found, at_start)
            if not wrong and self.mode != "validate":
                wrong = self.judge_honest(self.run("--sync", honest=True))
            self.said_synced = tool.code == 0
            return wrong
        finally:
            for proxy in self.proxies:
                proxy.stop()

    # The verdict.

    def judge(self, tool, found, at_start):
        if tool.code is None or tool.code < 0 or tool.code > 128:
            return f"the tool ended with {tool.code}"
        wrong = self.no_version(found)
        if wrong:
            return wrong
        if self.mode == "validate":
            if found != self.before:
                return f"--validate changed production: {differing(self.before, found)}"
            unequal = self.unequal(found, at_start) or sorted(found.keys() - self.truth.versions.keys())
            return f"--validate says equal, but: {unequal}" if tool.code == 0 and unequal else None
        said = self.said(tool)
        unequal = self.unequal(found, at_start)
        return f"{' and '.join(said)}, but: {'; '.join(unequal)}" if said and unequal else None

    def no_version(self, found):
        for key, content in sorted(found.items()):
            possible = [version.content() for version in self.truth.versions.get(key, ())]
            if key in self.before and content == self.before[key]:
                continue
            if not any(self.same(content, each) for each in possible):
                return f"{key!r}: production has {shown(content)}, which is no version; {self.known(key, content)}"
        lost = sorted(self.before.keys() - found.keys())
        return f"gone from production: {lost}" if lost else None

    def same(self, content, version):
        """Metadata have names in small letters on the wire; those of a file are not looked at on the way to S3."""
        headers = {name.lower(): value for name, value in version[1].items()}
        return content[0] == version[0] and (self.kind == "from-dir" or content[1] == headers)

    def is_one_of(self, key, content, versions):
        """What production had already need not have the source's metadata: no rule of comparison looks at them."""
        kept = content == self.before.get(key)
        return any(self.same(content, each) or (kept and content[0] == each[0]) for each in versions)

    def known(self, key, content):
        parts = [f"{name} {shown(v.content())}" for name, v in
                 [(f"v{n}", v) for n, v in enumerate(self.truth.versions.get(key, ()))]]
        bodies = [k for k, versions in self.truth.versions.items() for v in versions if v.body == content[0]]
        return ", ".join(parts) + (f"; these bytes are of {bodies}" if bodies else "")

    def unequal(self, found, at_start):
        """What a sync would have had to bring, as far as somebody can know who has been told of it."""
        wrong = []
        for key, first in sorted(at_start.items()):
            if key in self.gone or key in self.truth.unlisted:
                continue
            due = [version.content() for version in self.truth.versions[key][first:]]
            if key not in found:
                wrong.append(f"{key!r} is missing")
            elif not self.is_one_of(key, found[key], due):
                wrong.append(f"{key!r} is {shown(found[key])}, not {shown(due[0])}")
        return wrong

    def said(self, tool):
        said = ["exit 0"] if tool.code == 0 else []
        if self.status_file.exists() and (state := tool.status["state"]) in ("synced", "already-synced"):
            said.append(f"state {state}")
        return said + (["marked"] if self.destination.marked() else [])

    def judge_honest(self, tool):
        if tool.code != 0:
            return f"after the lies have ended: exit {tool.code}"
        found = self.destination.contents()
        due = {key: versions[-1].content() for key, versions in self.truth.versions.items() if key not in self.gone}
        wrong = [key for key, each in due.items() if key not in found or not self.is_one_of(key, found[key], [each])]
        return f"after a run without lies still wrong: {wrong[0]!r} is {shown(found.get(wrong[0]))}, " \
            f"{self.known(wrong[0], found.get(wrong[0]))}" if wrong else None

    def story(self):
        """For whoever has to find out."""
        told = [line for proxy in self.proxies for line in proxy.told]
        return "\n".join([f"lies: {self.how}", *(f"  {line}" for line in told[:60]),
                          *(tool.describe() for tool in self.tools)])


def shown(content):
    if content is None:
        return "nothing"
    return f"{len(content[0])} bytes {content[0][:6].hex()}.. {dict(sorted(content[1].items()))}"


def differing(a, b):
    return sorted(key for key in a.keys() | b.keys() if a.get(key) != b.get(key))


# --- the tests ---

class Lies(TestCase):
    def rounds(self, kind):
        """Several rounds at once; each of the threads has two buckets of its own."""
        self.not_wrapped("hundreds of runs")
        self.free = [(self.s3_bucket(), self.s3_bucket()) for _ in range(AT_ONCE)]
        self.bad, self.synced, self.told = [], 0, 0
        with ThreadPoolExecutor(AT_ONCE) as pool:
            try:
                list(pool.map(lambda number: self.one(kind, number), chosen_rounds()))
            finally:
                pool.shutdown(cancel_futures=True)
        if self.bad:
            self.fail("\n".join(self.bad[:FAILURES_SHOWN]) + f"\n{len(self.bad)} bad rounds")
        if len(chosen_rounds()) >= 50:
            self.assertGreater(self.told, len(chosen_rounds()), "lies were told")
            self.assertGreater(self.synced, 0, "and not all of them kept it from syncing")

    def one(self, kind, number):
        if len(self.bad) >= FAILURES_SHOWN:
            return
        buckets = self.free.pop()
        played = Round(self, kind, number, buckets)
        try:
            wrong = played.play()
            self.synced += played.said_synced
        except Exception:
            wrong = traceback.format_exc()
        finally:
            self.free.append(buckets)
        self.told += sum(len(proxy.told) for proxy in played.proxies)
        if wrong:
            self.bad.append(f"seed {SEED}, round {number} ({kind}, {played.mode}): {wrong}\n"
                            f"again: STORSYNC_LIES_SEED={SEED} STORSYNC_LIES_ROUNDS={number} tests/integration/run "
                            f"{self.id()}\n{played.story()}")
        for tool in played.tools:
            tool.close()
            self.tools.remove(tool)

    def test_relay(self):
        self.rounds("relay")

    def test_copy(self):
        self.rounds("copy")

    def test_to_directory(self):
        self.rounds("to-dir")

    def test_from_directory(self):
        self.rounds("from-dir")
