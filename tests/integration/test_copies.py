"""Copies inside a service, and what a service says of its own objects: whom to believe.

A copy is made with the destination's key, which may see another bucket by the source's name; an answer may be about
something else; a listing may spell keys in another way than was asked for. Whatever of it is untrue: production has the
source's bytes or none, and nothing counts as synced that is not.
"""
import re
import urllib.parse

import data
import proxyfault
import rgw
from harness import RUN, TestCase, production, sides
from proxyfault import FOREVER, answer, s3_error

PREFIXES = ("public/", "private/")
XML = {"Content-Type": "application/xml"}
LIST, OBJECT = r"list-type=2.*prefix=public", r"/public/"
HOSTILE = ("plain", "a b", "a+b", "a%41b", "a%2Bb", "100%", "q?versionId=x&y", "\u00fcml\u00e4ut", "am&amp;p")


class CopyCase(TestCase):
    def setUp(self):
        super().setUp()
        self.source, self.destination = self.s3_bucket(), self.s3_bucket()
        for key in HOSTILE:
            self.source.put("public/" + key, f"the bytes of {key}")
        self.service = self.proxy(self.source.server.endpoint)

    def env(self, **more):
        """One service and one key: it can copy. One object after the other."""
        endpoint = self.service.endpoint
        return {**production(self.source, self.destination), "STORSYNC_CONCURRENCY": "1", "STORSYNC_RETRIES": "1",
                **self.source.env("source", endpoint=endpoint),
                **self.destination.env("destination", endpoint=endpoint), **more}

    def asked(self, method, **headers):
        return [r for r in self.service.requests if r.method == method and OBJECT in r.target
                and all((name.replace("_", "-") in r.headers) == there for name, there in headers.items())]

    copies = property(lambda self: self.asked("PUT", x_amz_copy_source=True))
    puts = property(lambda self: self.asked("PUT", x_amz_copy_source=False))

    def lie(self, action, keys=OBJECT, method="PUT", **how):
        return self.service.fault(action, method=method, target=keys, times=FOREVER, **how)

    def assert_synced(self, tool):
        self.assertEqual((tool.code, tool.status["state"]), (0, "synced"))
        self.assertEqual((tool.status["syncedFiles"], tool.status["goneFiles"]), (len(HOSTILE), 0))
        self.assertEqual(data.compare_buckets(self.source, self.destination, PREFIXES), [])
        self.assertEqual(self.destination.markers(), ["d1.json"])

    def assert_failed(self, tool, *keys):
        """These failed, nothing else did, and production has no other bytes than the source's."""
        self.assertEqual((tool.code, tool.status["state"]), (2, "partial"))
        self.assertEqual(sorted(e["file"] for e in tool.status["errors"]), sorted(keys))
        self.assertEqual(tool.status["goneFiles"], 0)
        self.assertEqual(self.destination.markers(), [])
        for key in self.destination.keys("public/"):
            self.assertEqual(self.destination.get(key), self.source.get(key))


def only_copies(action):
    """The action for copies; everything else passes."""
    def both(x):
        (action if "x-amz-copy-source" in x.request.headers else proxyfault.passthrough)(x)
    return proxyfault.named(both, action.__name__)


class Refused(CopyCase):
    """What the service will not copy passes through us; what that says of other objects is remembered."""

    def copied(self, status, code, keys=OBJECT):
        self.lie(only_copies(answer(status, s3_error(code), XML)), keys)
        self.assert_synced(self.tool(env=self.env()))
        return len(self.copies), len(self.puts)

    def test_all_are_asked_for_at_most_three_times(self):
        for status, code in ((403, "AccessDenied"), (404, "NoSuchBucket"), (404, "NoSuchKey"), (400, "InvalidRequest"),
                             (412, "PreconditionFailed"), (403, "SignatureDoesNotMatch")):
            with self.subTest(code=code):
                self.setUp()
                self.assertEqual(self.copied(status, code), (3, len(HOSTILE)))

    def test_a_service_that_cannot_is_asked_once(self):
        self.assertEqual(self.copied(501, "NotImplemented"), (1, len(HOSTILE)))

    def test_one_object_is_its_own_affair(self):
        """The first one, too: an archived object is refused before any copy has worked."""
        for code in ("InvalidObjectState", "AccessDenied", "NoSuchKey", "SignatureDoesNotMatch", "NoSuchBucket"):
            with self.subTest(code=code):
                self.setUp()
                self.assertEqual(self.copied(403 if code[:2] != "No" else 404, code, "/public/100%25"),
                                 (len(HOSTILE), 1))


class Untrue(CopyCase):
    def test_a_copy_that_is_of_something_else(self):
        """200, and the ETag of other content; and those other bytes are in production for the moment."""
        def swap(x):
            x.drain()
            key = urllib.parse.unquote(x.request.path.split("/", 2)[2])
            self.destination.put(key, "something else")
            x.reply(200, b'<CopyObjectResult><ETag>"6c8d1f9f1d2ad0a3e3a4d5c2b1a09f88"</ETag></CopyObjectResult>', XML)
        self.lie(only_copies(swap))
        tool = self.tool(env=self.env())
        self.assert_synced(tool)
        self.assertEqual(len(self.copies), 1)
        self.assertIn("has other content than the source", tool.err)

    def test_an_error_inside_200(self):
        self.lie(only_copies(answer(200, "\n \n" + s3_error("AccessDenied"), XML)))
        self.assert_synced(self.tool(env=self.env()))

    def test_an_answer_that_is_none(self):
        for name, action in (("HTML", answer(200, "<html>sign in</html>", {"Content-Type": "text/html"})),
                             ("nothing", answer(200)), ("no content", answer(204)),
                             ("no ETag", answer(200, "<CopyObjectResult></CopyObjectResult>", XML))):
            with self.subTest(answer=name):
                self.setUp()
                self.lie(only_copies(action))
                self.assert_synced(self.tool(env=self.env()))

    def test_changed_when_it_is_not(self):
        self.lie(only_copies(answer(412, s3_error("PreconditionFailed"), XML)))
        self.assert_synced(self.tool(env=self.env()))

    def test_not_there_although_it_is(self):
        """The source itself answers 404, and lists it: a failure, not something to pass over."""
        for where in ("copies", "relays"):
            with self.subTest(where=where):
                self.setUp()
                missing = answer(404, s3_error("NoSuchKey"), XML)
                self.lie(only_copies(missing), "/public/plain")
                self.lie(missing, "/public/plain", method="HEAD")
                self.lie(missing, "/public/plain", method="GET")
                elsewhere = self.destination.env("destination") if where == "relays" else {}
                tool = self.tool(env=self.env(**elsewhere))
                self.assert_failed(tool, "public/plain")
                self.assertIn("it is listed, but its own bucket answers", tool.err)

    def test_gone_meanwhile(self):
        def vanish(x):
            self.source.client.delete_object(Bucket=self.source.name, Key="public/plain")
            proxyfault.passthrough(x)
        self.lie(only_copies(vanish), "/public/plain")
        tool = self.tool(env=self.env())
        self.assertEqual((tool.code, tool.status["state"]), (0, "synced"))
        self.assertEqual((tool.status["syncedFiles"], tool.status["goneFiles"]), (len(HOSTILE) - 1, 1))
        self.assertIn("Skipped: plain (no longer at the source)", tool.err)
        self.assertIn("Gone: 1", tool.err)
        self.assertEqual(self.destination.markers(), ["d1.json"])

    def test_everything_is_gone_meanwhile(self):
        def vanish(x):
            for key in self.source.keys():
                self.source.client.delete_object(Bucket=self.source.name, Key=key)
            proxyfault.passthrough(x)
        self.lie(only_copies(vanish))
        tool = self.tool(env=self.env())
        self.assertEqual((tool.code, tool.status["state"]), (2, "partial"))
        self.assertEqual(tool.status["goneFiles"], len(HOSTILE))
        self.assertEqual(self.destination.markers(), [])


class Directory(TestCase):
    def test_files_that_are_gone_meanwhile(self):
        source, destination = self.dir_bucket(), self.s3_bucket()
        for key in ("1", "a b", "a%20b", "z"):
            source.put(f"public/{key}", f"the bytes of {key}", age=1000)
        service = self.proxy(destination.server.endpoint)

        def remove(x):
            for key in ("a b", "a%20b"):
                (source.root / "public" / key).unlink()
            proxyfault.passthrough(x)
        service.fault(remove, method="PUT", target="/public/1")
        tool = self.succeed(env={**production(source, destination), "STORSYNC_CONCURRENCY": "1",
                                 **destination.env("destination", endpoint=service.endpoint)})
        self.assertEqual((tool.status["state"], tool.status["syncedFiles"], tool.status["goneFiles"]), ("synced", 2, 2))
        self.assertEqual(destination.keys("public/"), ["public/1", "public/z"])
        self.assertEqual(destination.markers(), ["d1.json"])


class Slow(CopyCase):
    def test_a_copy_in_silence(self):
        """What is small is broken off as before; patience grows with the size (4 GiB have minutes)."""
        larger = proxyfault.edit_body(rb"<Size>\d+</Size>", b"<Size>33554432</Size>")
        self.service.fault(larger, target=f"/{self.source.name}[?].*{LIST}")
        self.lie(only_copies(proxyfault.delay(4)), "/public/plain")
        tool = self.tool(env=self.env(STORSYNC_STALL_TIMEOUT="2s", STORSYNC_RETRIES="0"))
        self.assert_synced(tool)
        self.service.clear()
        self.source.put("public/plain", "another text")
        self.lie(only_copies(proxyfault.stall()), "/public/plain")
        tool = self.tool("--sync", env=self.env(STORSYNC_STALL_TIMEOUT="2s", STORSYNC_RETRIES="0"))
        self.assertEqual(tool.code, 2)
        self.assertIn("nothing moved for 2000 ms", tool.err)


class Changed(CopyCase):
    """Replaced at the source after its bytes were read, before they are at the destination: that looks newer then."""

    def replace(self, key, body):
        def action(x):
            self.source.put(key, body)
            proxyfault.passthrough(x)
        return proxyfault.named(action, "replace")

    def relayed(self):
        return self.env(**self.source.env("source"))

    def test_the_next_run_sees_it(self):
        self.service.fault(self.replace("public/plain", b"THE BYTES OF PLAIN"), method="PUT", target="/public/plain")
        self.assertEqual(self.succeed("--sync", env=self.relayed()).status["syncedFiles"], len(HOSTILE))
        self.assertEqual(self.destination.get("public/plain"), b"the bytes of plain", "one version, whole")
        tool = self.succeed("--sync", env=self.relayed())
        self.assertEqual(tool.status["syncedFiles"], 1)
        self.assertEqual(self.destination.get("public/plain"), b"THE BYTES OF PLAIN")
        self.assertEqual(self.succeed("--sync", env=self.relayed()).status["syncedFiles"], 0, "and that is all")

    def test_without_a_content_hash_this_run_sees_it(self):
        self.source.put("public/large", b"a" * (6 * data.MIB))
        change = self.replace("public/large", b"b" * (6 * data.MIB))
        self.service.fault(change, method="POST", target="public/large[?]uploadId")
        tool = self.succeed("--sync", env={**self.relayed(), "STORSYNC_PART_SIZE": "5MiB"})
        self.assertEqual(tool.status["syncedFiles"], len(HOSTILE) + 1)
        self.assertEqual(self.destination.get("public/large"), b"b" * (6 * data.MIB))
        self.assertEqual(self.destination.unfinished_uploads(), [])


class Spelling(CopyCase):
    """encoding-type=url is asked for. What comes may be something else, whatever it says of itself."""

    @staticmethod
    def respell(change, declared):
        """Every key of the answer's changed; <EncodingType> there or not."""
        def action(x):
            x.forward()
            body = b"".join(x.server.pieces(x.answer_framing))
            if x.answer_framing == "chunked":
                body = proxyfault.unchunk(body)
            asked = b"<EncodingType>url</EncodingType>" in body
            body = body.replace(b"<EncodingType>url</EncodingType>", b"")
            if declared:
                body = body.replace(b"<IsTruncated>", b"<EncodingType>url</EncodingType><IsTruncated>", 1)

            def key(match):
                return b"<Key>" + change(match[1], asked) + b"</Key>"
            x.reply(x.status, re.sub(rb"<Key>([^<]*)</Key>", key, body), XML)
        return proxyfault.named(action, "respell")

    @staticmethod
    def never(text, asked):
        """Plain, and escaped as XML wants it."""
        plain = urllib.parse.unquote_to_bytes(text.replace(b"+", b"%20")) if asked else text
        return plain.replace(b"&", b"&amp;") if asked else plain

    @staticmethod
    def always(text, asked):
        """Encoded, asked or not."""
        if asked:
            return text
        return urllib.parse.quote(text.replace(b"&amp;", b"&"), safe="/").encode()

    def listed(self, change, declared):
        self.service.fault(self.respell(change, declared), target=LIST, times=FOREVER)
        return self.tool(env=self.env())

    def test_encoding_is_ignored_and_that_is_said(self):
        self.assert_synced(self.listed(self.never, False))

    def test_encoded_and_that_is_not_said(self):
        """The second listing is asked for without, and comes plain: nothing is lost."""
        self.assert_synced(self.listed(lambda text, asked: text, False))

    def test_always_encoded_and_never_said(self):
        """It cannot be told from plain keys that have a "%". Their own bucket does not know them: said of each."""
        # Would be out of order.
        self.source.client.delete_object(Bucket=self.source.name, Key="public/\u00fcml\u00e4ut")
        tool = self.listed(self.always, False)
        strange = {f"public/{urllib.parse.quote(k, safe='')}" for k in HOSTILE if k.isascii()}
        strange -= {f"public/{k}" for k in HOSTILE}  # such as "a+b", which is read as another key that there is
        self.assert_failed(tool, *strange)

    def test_not_encoded_although_it_says_so(self):
        tool = self.listed(self.never, True)
        self.assertIn(tool.code, (2, 69), "a key that cannot be decoded ends it; the others are not found")
        self.assertEqual(tool.status["goneFiles"], 0)
        self.assertEqual(self.destination.markers(), [])
        for key in self.destination.keys("public/"):
            self.assertEqual(self.destination.get(key), self.source.get(key))


class Accounts(TestCase):
    """Two accounts of one Ceph RGW, each with buckets of its own under any name: its tenants."""

    def setUp(self):
        super().setUp()
        self.server = RUN.rgw()
        self.carol = self.server.user_of_tenant(RUN.fresh("tenant").replace("-", ""))
        self.source = self.s3_bucket()
        for number in range(6):
            self.source.put(f"public/{number}", f"right {number}", Metadata={"n": str(number)})

    def theirs(self, name=None):
        return self.s3_bucket(user=self.carol, name=name)

    def sync(self, destination):
        """How many bodies the tool has read."""
        mark = self.server.mark()
        tool = self.succeed(env=production(self.source, destination))
        bodies = [r for r in self.server.requests_since(mark)
                  if r.method == "GET" and r.path.startswith(f"/{self.source.name}/public/")]
        self.assertEqual((tool.status["state"], tool.status["syncedFiles"]), ("synced", 6))
        self.assertEqual(data.compare_buckets(self.source, destination, PREFIXES), [])
        self.assertEqual(destination.markers(), ["d1.json"])
        return len(bodies)

    def test_the_other_account_has_no_such_bucket(self):
        self.assertEqual(self.sync(self.theirs()), 6)

    def test_the_other_account_has_an_empty_bucket_of_that_name(self):
        destination = self.theirs()
        self.theirs(self.source.name)
        self.assertEqual(self.sync(destination), 6)

    def test_the_other_account_has_other_objects_under_these_names(self):
        """RGW up to 16 would copy them: it ignores the ETag that is asked for."""
        destination, namesake = self.theirs(), self.theirs(self.source.name)
        for number in range(6):
            namesake.put(f"public/{number}", f"wrong {number}")
        self.assertEqual(self.sync(destination), 6)

    def test_one_name_in_two_accounts_is_two_buckets(self):
        self.sync(self.theirs(self.source.name))

    def test_another_key_of_one_account_copies(self):
        """It is shown once that both see the same bucket; no byte passes through the tool."""
        other = self.server.another_key(rgw.ALICE)
        self.assertEqual(self.sync(self.s3_bucket(user=other)), 0)

    def test_one_bucket_with_two_keys(self):
        """Not known to be the same, and nothing to copy all the same."""
        other = self.server.another_key(rgw.ALICE)
        same = self.s3_bucket(user=other, name=self.source.name)
        tool = self.succeed("--sync", env=sides(self.source, same))
        self.assertEqual((tool.status["syncedFiles"], tool.status["skippedFiles"]), (0, 6))


class Tags(TestCase):
    def test_a_destination_without_tags(self):
        """Left out, said once, and not tried again; required: a failure. The tags of a directory's objects as well."""
        source, destination = self.s3_bucket(), self.s3_bucket()
        source.put("public/plain", "plain")
        for number in range(4):
            source.put(f"public/tagged{number}", "tagged", Tagging="team=web")
        service = self.proxy(destination.server.endpoint)

        def no_tags(x):
            (answer(501, s3_error("NotImplemented"), XML) if "x-amz-tagging" in x.request.headers
             else proxyfault.passthrough)(x)
        service.fault(no_tags, method="PUT", times=FOREVER)
        env = {**sides(source, destination), **destination.env("destination", endpoint=service.endpoint),
               "STORSYNC_CONCURRENCY": "1"}
        self.assertEqual(self.tool("--sync", env={**env, "STORSYNC_TAGS": "require"}).status["failedFiles"], 4)
        before = len(service.requests)
        tool = self.succeed("--sync", env=env)
        self.assertEqual(tool.status["syncedFiles"], 4)
        self.assertEqual([w for w in tool.warnings if "tag" in w], [w for w in tool.warnings if "takes no tags" in w])
        self.assertEqual(len([r for r in service.requests[before:] if "x-amz-tagging" in r.headers]), 1)
        self.assertEqual({k: destination.get(k) for k in destination.keys("public/")},
                         {k: source.get(k) for k in source.keys("public/")})
