"""Large objects, whose parts several transfers take at once: how many are under way is counted at a proxy.

Whatever becomes of a part: production has the source's bytes, all of one version, or none, and no upload is left open.
"""
import signal
import threading

import data
import proxyfault
from harness import RUN, TestCase, sides
from proxyfault import FOREVER, Disconnected, answer, s3_error
from test_integrity import changed, damaged, flipped

PART = 5 * data.MIB
COUNT = 6
KEY = "public/large"
BODY = data.body("large in parts", COUNT * PART - 1_000_000)
OTHER = data.body("another version of it", COUNT * PART - 2_000_000)
XML = {"Content-Type": "application/xml"}


def put_in_parts(bucket, body):
    """So that no MD5 of the whole is known, which would have to be found from its first byte to its last."""
    where = {"Bucket": bucket.name, "Key": KEY}
    upload = {**where, "UploadId": bucket.client.create_multipart_upload(**where)["UploadId"]}
    cuts = [body[at:at + PART] for at in range(0, len(body), PART)]
    parts = [{"PartNumber": n, "ETag": bucket.client.upload_part(**upload, PartNumber=n, Body=cut)["ETag"]}
             for n, cut in enumerate(cuts, 1)]
    bucket.client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})


class Meeting:
    """An action that goes on only when so many requests are there at once, and then with another one."""

    def __init__(self, count, then=proxyfault.passthrough):
        self.barrier = threading.Barrier(count)
        self.then = then
        self.lock = threading.Lock()
        self.there = self.most = self.met = 0
        self.__name__ = f"meeting of {count}"

    def __call__(self, x):
        with self.lock:
            self.there += 1
            self.most = max(self.most, self.there)
        try:
            self.barrier.wait(15 * RUN.slow)
            self.met += 1
            self.then(x)
        except threading.BrokenBarrierError as error:
            raise Disconnected("nobody came") from error
        finally:
            with self.lock:
                self.there -= 1


class LargeCase(TestCase):
    def setUp(self):
        super().setUp()
        if not RUN.test_binary:
            self.skipTest("NOT TESTED: small objects that are copied in parts; build build/test/storsync-init and set STORSYNC_TEST_BIN to it")
        if "large" not in RUN.cache:
            RUN.cache["large"] = self.s3_bucket()
            put_in_parts(RUN.cache["large"], BODY)
        self.source, self.destination = RUN.cache["large"], self.s3_bucket()
        self.begin()

    def begin(self):
        """Proxies that break nothing yet, and nothing at the destination."""
        self.destination.remove(KEY)
        self.reader, self.writer = (self.proxy(self.source.server.endpoint) for _ in range(2))

    def env(self, copies=False, **more):
        """Two endpoints, or one that can copy."""
        reader = self.writer if copies else self.reader
        return {**sides(self.source, self.destination, STORSYNC_PART_SIZE=str(PART), STORSYNC_COPY_MAX=str(PART)),
                **self.source.env("source", endpoint=reader.endpoint),
                **self.destination.env("destination", endpoint=self.writer.endpoint), **more}

    def sync(self, copies=False, **more):
        return self.tool("--sync", env=self.env(copies, **more), binary=RUN.test_binary, timeout=60)

    def assert_arrived(self, tool, body=BODY):
        self.assertEqual(tool.code, 0)
        self.assertTrue(self.destination.get(KEY) == body)
        self.assertEqual(self.destination.unfinished_uploads(), [])

    def assert_nothing(self, tool):
        self.assertEqual((tool.code, tool.status["failedFiles"]), (2, 1))
        self.assertEqual(self.destination.keys("public/"), [])
        self.assertEqual(self.destination.unfinished_uploads(), [])

    def parts(self):
        return [r for r in self.writer.requests if "partNumber=" in r.query]


class Together(LargeCase):
    def test_relays(self):
        """All of them, as there are slots enough: each is read and written beside the others. Nothing is asked for twice."""
        readers, writers = Meeting(COUNT), Meeting(COUNT)
        self.reader.fault(readers, method="GET", target=KEY, times=COUNT)
        self.writer.fault(writers, target="partNumber=", times=COUNT)
        tool = self.sync()
        self.assert_arrived(tool)
        self.assertEqual((readers.met, writers.met, len(self.parts())), (COUNT, COUNT, COUNT))
        self.assertEqual((tool.status["syncedFiles"], tool.status["totalSize"]), (1, len(BODY)))
        if not RUN.instrumented:
            self.assertLess(tool.peak_rss, 8 * data.MIB)

    def test_copies(self):
        """The first one shows that the service copies parts."""
        self.writer.fault(proxyfault.passthrough, target="partNumber=")
        meeting = Meeting(COUNT - 1)
        self.writer.fault(meeting, target="partNumber=", times=COUNT - 1)
        self.assert_arrived(self.sync(copies=True))
        self.assertEqual((meeting.met, len(self.parts())), (COUNT - 1, COUNT))
        self.assertTrue(all("x-amz-copy-source" in r.headers for r in self.parts()))

    def test_no_more_than_concurrency(self):
        for copies in (False, True):
            with self.subTest(copies=copies):
                self.begin()
                if copies:
                    self.writer.fault(proxyfault.passthrough, target="partNumber=", times=2)
                meeting = Meeting(2)
                self.writer.fault(meeting, target="partNumber=", times=4)
                self.assert_arrived(self.sync(copies, STORSYNC_CONCURRENCY="2"))
                self.assertEqual((meeting.met, meeting.most), (4, 2))

    def test_directories(self):
        """A file is read, and written, in several places at once."""
        files = self.dir_bucket()
        meeting = Meeting(COUNT)
        self.reader.fault(meeting, method="GET", target=KEY, times=COUNT)
        self.succeed("--sync", env={**self.env(), **files.env("destination"), "STORSYNC_DESTINATION_ENDPOINT": ""}, timeout=60)
        self.assertTrue(files.get(KEY) == BODY)
        self.assertEqual(meeting.met, COUNT)
        meeting = Meeting(COUNT)
        self.writer.fault(meeting, target="partNumber=", times=COUNT)
        self.assert_arrived(self.succeed("--sync", env={**self.env(), **files.env("source")}, timeout=60))
        self.assertEqual(meeting.met, COUNT)

    def test_one_after_the_other_where_all_bytes_are_looked_at(self):
        """Over http the MD5 of the whole is found here, in the order of the bytes, if the destination is not known to do it."""
        whole = self.s3_bucket()
        whole.put(KEY, BODY)
        self.writer.fault(answer(200, b"", {"ETag": '"any"'}), method="PUT", target=r"/\.storsync/[^/]*/md5$")
        meeting = Meeting(1)
        self.writer.fault(meeting, target="partNumber=", times=FOREVER)
        tool = self.sync(**whole.env("source", endpoint=self.reader.endpoint))
        self.assert_arrived(tool)
        if not RUN.tls:
            self.assertEqual((meeting.met, meeting.most), (COUNT, 1))


class Broken(LargeCase):
    """What becomes of one part while all the others are under way."""

    def meet(self, then, proxy, method, count):
        """All are there when one of them meets that."""
        def one(x):
            with lock:
                broken = not done
                done.append(x)
            (then if broken else proxyfault.passthrough)(x)
        done, lock = [], threading.Lock()
        meeting = Meeting(count, one)
        proxy.fault(meeting, method=method, target="partNumber=" if proxy is self.writer else KEY, times=count)
        return meeting

    def test_once(self):
        rows = {"500": answer(500, s3_error("InternalError"), XML), "reset": proxyfault.reset_before,
                "reset after": proxyfault.reset_after, "no answer": proxyfault.drop_answer}
        reading = {"cut": proxyfault.truncate(1_000_000), "stall": proxyfault.stall(after=1_000_000)}
        # What TLS has looked at is not all looked at again.
        plain = {"other bytes": changed(etag='"d41d8cd98f00b204e9800998ecf8427e"'), "damaged": damaged}
        writing = {"stall": proxyfault.stall(), **({} if RUN.tls else plain)}
        copying = {"error in 200": answer(200, s3_error("InternalError"), XML), "nothing in 200": answer(200)}
        for where, more in (("reader", reading), ("writer", writing), ("copies", copying)):
            for name, action in {**rows, **more}.items():
                with self.subTest(where=where, fault=name):
                    self.begin()
                    copies = where == "copies"
                    if copies:
                        self.writer.fault(proxyfault.passthrough, target="partNumber=")
                    proxy, method = (self.reader, "GET") if where == "reader" else (self.writer, "PUT")
                    meeting = self.meet(action, proxy, method, COUNT - copies)
                    stall = {"STORSYNC_STALL_TIMEOUT": "2s"} if name == "stall" else {}
                    self.assert_arrived(self.sync(copies, **stall))
                    self.assertEqual(meeting.met, COUNT - copies)

    def test_always(self):
        """The object fails, nothing else of it stays, and no part is sent for ever."""
        forbidden = answer(403, s3_error("AccessDenied"), XML)
        for where, action, patience in (("reader", forbidden, 1), ("writer", forbidden, 1), ("writer", answer(500), 2),
                                        ("reader", changed(206, body=lambda body: body[:-1]), 2)):
            with self.subTest(where=where, fault=action.__name__):
                self.begin()
                proxy = getattr(self, where)
                proxy.fault(action, method="GET" if proxy is self.reader else "PUT",
                            target=KEY if proxy is self.reader else "partNumber=3", times=FOREVER)
                self.assert_nothing(self.sync(STORSYNC_RETRIES=str(patience)))
                self.assertLessEqual(len(self.parts()), 3 * COUNT)

    def test_copies_that_are_refused_in_the_middle(self):
        """Then the object passes through here."""
        self.writer.fault(proxyfault.passthrough, target="partNumber=", times=2)
        self.writer.fault(answer(403, s3_error("AccessDenied"), XML), target="partNumber=")
        self.assert_arrived(self.sync(copies=True))
        self.assertEqual(sum("x-amz-copy-source" not in r.headers for r in self.parts()), COUNT)

    def test_a_source_that_changes_between_parts(self):
        """What comes of it is all of the new version."""
        for copies in (False, True):
            with self.subTest(copies=copies):
                self.begin()
                self.source = self.s3_bucket()
                put_in_parts(self.source, BODY)

                def replace(x):
                    put_in_parts(self.source, OTHER)
                    proxyfault.passthrough(x)
                proxy, method = (self.writer, "PUT") if copies else (self.reader, "GET")
                proxy.fault(replace, method=method, target="partNumber=4" if copies else KEY, skip=0 if copies else 3)
                self.assert_arrived(self.sync(copies), OTHER)

    def test_killed(self):
        """The upload that is left is listed; the next sync does not mind it."""
        for copies in (False, True):
            with self.subTest(copies=copies):
                self.begin()
                tool = self.tool("--sync", env=self.env(copies, STORSYNC_CRASH_AT="part", STORSYNC_JOB=f"killed-{copies}"), binary=RUN.test_binary,
                                 timeout=60)
                self.assertEqual(tool.code, -signal.SIGKILL)
                [upload] = self.destination.unfinished_uploads()
                self.assertEqual((upload["Key"], self.destination.keys("public/")), (KEY, []))
                self.destination.client.abort_multipart_upload(Bucket=self.destination.name, Key=KEY,
                                                               UploadId=upload["UploadId"])
                self.assert_arrived(self.sync(copies))

    def test_stopped(self):
        """All parts are let go, and the upload with them."""
        for copies in (False, True):
            with self.subTest(copies=copies):
                self.begin()
                if copies:
                    self.writer.fault(proxyfault.passthrough, target="partNumber=")
                meeting = Meeting(COUNT - copies, proxyfault.stall())
                self.writer.fault(meeting, target="partNumber=", times=FOREVER)
                tool = self.start("--sync", env=self.env(copies), binary=RUN.test_binary)
                tool.wait_for(lambda: meeting.met == COUNT - copies, timeout=30)
                tool.kill(signal.SIGTERM)
                tool.wait(timeout=30)
                self.assertEqual(self.destination.keys("public/"), [])
                self.assertEqual(self.destination.unfinished_uploads(), [])
