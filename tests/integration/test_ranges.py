"""Long listings are cut into ranges, which are listed at the same time (include/join.h): on RGW and the stand-in of Google's, with short
pages, so that a few hundred keys are long; and services that fail or lie in one range. What comes of it is the same as in one go."""
import bisect
import json
import re
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from xml.sax.saxutils import escape

import data
from gcs import GoogleStorage
from harness import RUN, TestCase, production, sides
from proxyfault import FOREVER, answer, named, s3_error, unchunk

PAGE = 10
LIST = "list-type=2.*prefix=public"
UNWRITABLE = {*map(chr, range(32)), "\ufffe"}  # in XML
CONTENTS = re.compile(rb"<Contents>.*?</Contents>", re.S)

# Numbers, hashes, one folder with nearly all, and what has broken listings before: bytes that XML cannot hold, keys that others begin with.
KEYS = sorted([f"public/{n:05}" for n in range(150)] + [f"public/hash/{n * 2654435761 % 2**32:08x}.jpg" for n in range(300)] +
              [f"public/фото/{chr(0x430 + n % 32)}{n}" for n in range(100)] +
              ["public/" + key for key in data.HOSTILE_KEYS if data.google_can_have(key) and not key.startswith(".storsync")],
              key=str.encode)


def key_of(entry):
    return urllib.parse.unquote_plus(re.search(rb"<Key>(.*?)</Key>", entry)[1].decode())


def short_pages(x, disordered=False):
    """The first keys of a page of RGW's, which says where to go on by a key, as RGW does it itself."""
    x.forward()
    body = b"".join(x.server.pieces(x.answer_framing))
    if x.answer_framing == "chunked":
        body = unchunk(body)
    entries = CONTENTS.findall(body)
    count = PAGE
    while 1 < count < len(entries) and set(key_of(entries[count - 1])) & UNWRITABLE:
        count -= 1
    if len(entries) > count:
        rest = entries[count:]
        token = f"<NextContinuationToken>{escape(key_of(entries[count - 1]))}</NextContinuationToken>".encode()
        for entry in rest:
            body = body.replace(entry, b"", 1)
        body = re.sub(rb"<NextContinuationToken>.*?</NextContinuationToken>", b"", body)
        body = re.sub(rb"<IsTruncated>\w+</IsTruncated>", lambda _: b"<IsTruncated>true</IsTruncated>" + token, body)
    if disordered and len(entries) > 2:
        body = body.replace(entries[0], b"@", 1).replace(entries[1], entries[0], 1).replace(b"@", entries[1], 1)
    x.reply(x.status, body, {"Content-Type": "application/xml"})


def fill(*buckets):
    with ThreadPoolExecutor(8) as pool:
        for bucket in buckets:
            list(pool.map(lambda key: bucket.put(key, key.encode()), KEYS))


class RangesCase(TestCase):
    def setUp(self):
        super().setUp()
        if "ranges" not in RUN.cache:
            RUN.cache["ranges"] = self.s3_bucket()
            fill(RUN.cache["ranges"])
        self.source, self.target = RUN.cache["ranges"], self.s3_bucket()
        self.reader, self.writer = (self.proxy(self.source.server.endpoint) for _ in range(2))
        for proxy in (self.reader, self.writer):
            proxy.fault(short_pages, method="GET", target=LIST, times=FOREVER)

    def env(self, **more):
        return {**production(self.source, self.target), **self.source.env("source", endpoint=self.reader.endpoint),
                **self.target.env("destination", endpoint=self.writer.endpoint), "STORSYNC_RETRIES": "0", **more}

    def run_tool(self, *args, code=0, **more):
        tool = self.tool(*(args or ("--sync",)), env=self.env(**more))
        self.assertEqual(tool.code, code, tool.err[-2000:])
        return tool

    def listings(self, proxy):
        return [urllib.parse.parse_qs(r.query) for r in proxy.requests if re.search(LIST, r.target)]

    def cuts(self, proxy):
        return [query["start-after"][0] for query in self.listings(proxy) if "start-after" in query]

    def copied(self, keys=KEYS):
        """What a sync before has brought."""
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: self.target.put(key, key.encode()), keys))


class Ranges(RangesCase):
    def test_all_is_copied_then_nothing(self):
        self.assertEqual(self.run_tool().status["syncedFiles"], len(KEYS))
        self.assertEqual(data.compare_buckets(self.source, self.target, ("public/",)), [])
        for proxy in (self.reader, self.writer):
            proxy.requests.clear()
        self.assertEqual(self.run_tool().status["syncedFiles"], 0)
        self.assertGreater(len(self.cuts(self.writer)), 2)
        pages = len(KEYS) // PAGE
        for proxy in (self.reader, self.writer):
            self.assertLess(len(self.listings(proxy)), pages * 5 / 4 + 20)

    def test_every_difference_is_found(self):
        missing, other, extra = KEYS[7::97], KEYS[50::101], [key + "-more" for key in KEYS[3::89] if len(key) < 900]
        self.copied([key for key in KEYS if key not in missing])
        for key in other:
            self.target.put(key, key.encode() + b"!")
        for key in extra:
            self.target.put(key, b"x")
        found = self.run_tool("--validate", "--json", "--strict", code=1).json
        self.assertGreater(len(self.cuts(self.reader)), 2)
        other = [key for key in other if key not in missing]
        self.assertEqual([found[f"{kind}Files"] for kind in ("missing", "mismatched", "extra")],
                         [len(missing), len(other) - len(set(other) & set(missing)), len(extra)])

    def test_a_plan_is_in_order(self):
        path = self.dir / "plan.jsonl"
        self.copied(KEYS[::2])
        self.run_tool("--sync", "--dry-run", f"--plan={path}")
        keys = [line["key"] for line in map(json.loads, path.read_text().splitlines()) if "key" in line]
        self.assertEqual(keys, sorted(keys, key=str.encode))
        self.assertEqual(set(keys) | set(KEYS[::2]), set(KEYS))
        self.assertEqual(self.cuts(self.reader) + self.cuts(self.writer), [])

    def test_extras_go_and_nothing_else(self):
        self.copied()
        extra = ["public/00077x", "public/hash/9", "public/zz"]
        for key in extra:
            self.target.put(key, b"x")
        tool = self.run_tool("--sync", "--delete=extra", STORSYNC_CONFLICT="overwrite")
        self.assertEqual(tool.status["deletedFiles"], len(extra))
        self.assertEqual(sorted(self.target.keys("public/"), key=str.encode), KEYS)
        self.assertGreater(len(self.cuts(self.writer)), 0)

    def fails_in_part(self, message):
        """What was known has been copied, the rest is as it was, and nobody says that all is done."""
        self.target.put("public/zz", b"production's own")
        tool = self.run_tool("--sync", "--delete=extra", code=69, STORSYNC_CONFLICT="overwrite")
        self.assertIn(message, tool.err)
        self.assertEqual((tool.status["state"], tool.status["deletedFiles"]), ("failed", 0))
        self.assertEqual(self.target.markers(), [])
        self.assertIn("public/zz", self.target.keys("public/"))
        there = set(self.target.keys("public/")) - {"public/zz"}
        self.assertLess(there, set(KEYS))
        return there

    def test_a_range_that_fails_for_ever(self):
        self.copied(KEYS[:-40])
        for key in KEYS[:400:3]:
            self.target.remove(key)
        self.reader.fault(answer(500, s3_error("InternalError")), method="GET", target=LIST + ".*start-after=public%2Fhash|"
                          "continuation-token=public%2Fhash%2F[89a-f]", times=FOREVER)
        self.reader.rules.insert(0, self.reader.rules.pop())
        there = self.fails_in_part("InternalError")
        self.assertGreater(len(there & set(KEYS[:400:3])), 50)

    def test_a_range_out_of_order(self):
        self.copied(KEYS[::2])
        self.reader.fault(named(lambda x: short_pages(x, True), "disordered"), method="GET",
                          target="continuation-token=public%2Fhash%2F[89a-f]", times=FOREVER)
        self.reader.rules.insert(0, self.reader.rules.pop())
        self.fails_in_part("out of order")

    def test_pages_that_are_the_same_again(self):
        self.copied(KEYS[::2])
        page = (f'<ListBucketResult><Name>{self.source.name}</Name><IsTruncated>true</IsTruncated>'
                '<NextContinuationToken>again</NextContinuationToken></ListBucketResult>').encode()
        self.reader.fault(answer(200, page, {"Content-Type": "application/xml"}), method="GET",
                          target="continuation-token=(public%2Fhash%2F[89a-f]|again)", times=FOREVER)
        self.reader.rules.insert(0, self.reader.rules.pop())
        self.fails_in_part("does not come to an end")

    def test_a_service_that_does_not_begin_behind_a_key(self):
        self.copied(KEYS[::2])
        self.reader.fault(answer(501, s3_error("NotImplemented")), method="GET", target="start-after", times=FOREVER)
        self.reader.rules.insert(0, self.reader.rules.pop())
        self.assertEqual(self.run_tool().status["failedFiles"], 0)
        self.assertEqual(data.compare_buckets(self.source, self.target, ("public/",)), [])
        self.assertLessEqual(len(self.cuts(self.reader)), 2)

    def test_what_is_excluded_is_not_looked_into(self):
        self.copied()
        self.target.put("public/hash/strange", b"x")
        self.target.remove(KEYS[5])
        tool = self.run_tool("--sync", "--exclude=hash/")
        self.assertEqual((tool.status["syncedFiles"], tool.status["failedFiles"]), (1, 0))
        self.assertEqual([key for key in self.cuts(self.reader) if key.startswith("public/hash/") and
                          not key.endswith("\U0010fffd")], [])


class Google(TestCase):
    def test_the_same_by_the_json_api(self):
        server = GoogleStorage().start()
        self.addCleanup(server.stop)
        server.page_size = PAGE
        source, target = server.bucket("dev"), server.bucket("prod")
        for number, key in enumerate(KEYS):
            source.put(key, key.encode())
            if number % 9:
                target.put(key, key.encode())
        target.put("public/zz", b"x")
        env = sides(source, target)
        found = self.tool("--validate", "--json", "--strict", env=env).json
        self.assertEqual((found["missingFiles"], found["mismatchedFiles"], found["extraFiles"]), ((len(KEYS) + 8) // 9, 0, 1))
        self.assertGreater(len(server.asked("GET", "startOffset=")), 4)
        self.assertEqual(self.tool("--sync", env=env).status["syncedFiles"], (len(KEYS) + 8) // 9)
        self.assertEqual(self.tool("--sync", env=env).status["syncedFiles"], 0)


class Lengthening:
    """The listing of a bucket with 64 folders. A key is short if nobody had asked for it before there were `short` pages, else it has
    1,024 bytes, and that for ever, on both sides."""
    KEYS = [f"public/{folder:02}/{number:04}" for folder in range(64) for number in range(600)]

    def __init__(self, short, most=1000, deaf=False):
        self.short, self.most, self.deaf = short, most, deaf
        self.lengths, self.pages, self.behind = {}, 0, 0

    def full(self, at):
        return self.KEYS[at].ljust(self.lengths.setdefault(at, 1024 if self.pages > self.short else 0), "x")

    def __call__(self, x):
        x.drain()
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(x.request.target).query))
        token, after = query.get("continuation-token"), query.get("start-after", "")
        keys = self.KEYS if query.get("prefix") == "public/" else []
        self.pages += 1
        self.behind += after != ""
        at = int(token.split("/")[0]) if token else bisect.bisect_right(keys, after)
        end = min(at + (self.most if self.deaf else min(int(query["max-keys"]), self.most)), len(keys))
        entries = "".join(f"<Contents><Key>{self.full(n)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
                          f'<ETag>"{n:032x}-1"</ETag><Size>1</Size></Contents>' for n in range(at, end))
        more = f"<NextContinuationToken>{end}/{'t' * 2000}</NextContinuationToken>" if end < len(keys) else ""
        x.reply(200, f"<ListBucketResult><IsTruncated>{'true' if more else 'false'}</IsTruncated>{more}{entries}"
                     "</ListBucketResult>".encode(), {"Content-Type": "application/xml"})


class Memory(TestCase):
    def validate(self, listing):
        """Of one bucket with itself: nothing differs, whatever its listing is like. Returns what the tool took."""
        service = self.proxy()
        service.fault(named(listing, "a listing"), times=FOREVER)
        env = {"STORSYNC_PUBLIC_OBJECT_SEARCH_PATHS": "/b/public"}
        for side, name in (("SOURCE", "dev"), ("DESTINATION", "prod")):
            env |= {f"STORSYNC_{side}_BUCKET": name, f"STORSYNC_{side}_PATH_STYLE": "yes", f"STORSYNC_{side}_ENDPOINT": service.endpoint,
                    f"STORSYNC_{side}_ACCESS_KEY_ID": "a", f"STORSYNC_{side}_SECRET_ACCESS_KEY": "swordfish"}
        tool = self.tool("--validate", "--json", "--strict", env=env, timeout=120)
        self.assertEqual(tool.code, 0, tool.err[-2000:])
        self.assertEqual(tool.json["checkedFiles"], len(listing.KEYS))
        return tool.peak_rss

    def test_keys_that_become_long_in_all_ranges(self):
        """The third takes no notice of how many keys it is asked for."""
        for listing in (Lengthening(0), Lengthening(60), Lengthening(60, deaf=True)):
            peak = self.validate(listing)
            self.assertEqual(listing.behind > 0, listing.short > 0)
            self.assertIn(1024, listing.lengths.values())
            if not RUN.instrumented:
                self.assertLess(peak, 8 << 20)

    def test_long_names_by_the_json_api(self):
        server = GoogleStorage().start()
        self.addCleanup(server.stop)
        source, target = server.bucket("dev"), server.bucket("prod")
        for number in range(1500):
            for bucket in (source, target):
                bucket.put(f"public/{number:04}".ljust(1024 if number > 200 else 0, "x"), b"x")
        target.put("public/1000x", b"x")
        found = self.tool("--validate", "--json", "--strict", env=sides(source, target)).json
        self.assertEqual((found["checkedFiles"], found["missingFiles"], found["extraFiles"]), (1500, 0, 1))
        self.assertGreater(len(server.asked("GET", r"maxResults=[1-9]\d\d&")), 1)

    def test_long_paths_in_a_directory(self):
        source, target = self.dir_bucket(), self.dir_bucket()
        for bucket in (source, target):
            for folder in range(3):
                path = bucket.root / "public" / str(folder) / ("x" * 200) / ("y" * 200) / ("z" * 200)
                path.mkdir(parents=True)
                for number in range(700):
                    (path / (f"{number:03}" + "n" * 240)).touch()
        tool = self.tool("--validate", "--json", env=sides(source, target))
        self.assertEqual((tool.code, tool.json["checkedFiles"]), (0, 2100))
        if not RUN.instrumented:
            self.assertLess(tool.peak_rss, 4 << 20)
