"""Answers that are not the object: nothing of them is ever seen in the destination, and nobody calls it synced.

An RGW stands behind the fault proxies; what it says is changed on the way, as caches, portals, compressing proxies and bad
memory do.
"""
import gzip
import hashlib

import data
from harness import RUN, S3Bucket, TestCase, sides
from proxyfault import FOREVER, Disconnected, answer, named, parse_head, s3_error, stall, truncate

KEY, LARGE_KEY, GREAT_KEY = "public/a", "public/large", "public/great"
BODY, LARGE = data.body("integrity", 40_000), data.body("integrity large", 11 * data.MIB)
GREAT = data.body("integrity great", 17 * data.MIB)  # so large that it is worth to try whether the destination compares MD5s
OLD = b"what production had before"
TRIAL = r"/\.storsync/[^/]*/md5$"
XML = {"Content-Type": "application/xml"}


def flipped(body):
    return body[:len(body) // 2] + bytes([body[len(body) // 2] ^ 1]) + body[len(body) // 2 + 1:]


def chunked(body):
    pieces = [body[at:at + 9999] for at in range(0, len(body), 9999)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def changed(status=None, body=lambda body: body, framing="length", more=(), **headers):
    """The answer with other headers (None: without it; _ for -) and another body, in one of three framings."""
    def action(x):
        x.forward()
        content = body(b"".join(x.server.pieces(x.answer_framing)))
        fields = parse_head(x.answer_head)[1]
        fields.update({name.replace("_", "-"): value for name, value in headers.items()})
        for name in ("transfer-encoding", "connection", *(["content-length"] if x.request.method != "HEAD" else [])):
            fields.pop(name, None)
        if framing == "length":
            fields.setdefault("content-length", len(content))
        else:
            fields["connection"] = "close"
        if framing == "chunked":
            fields["transfer-encoding"] = "chunked"
            content = chunked(content)
        lines = [f"HTTP/1.1 {status or x.status} Whatever", *(f"{n}: {v}" for n, v in fields.items() if v is not None), *more]
        x.request.status = status or x.status
        x.client.send("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
        if framing != "length":
            raise Disconnected
    return named(action, f"changed {status} {framing} {headers}")


def damaged(x):
    """A byte of the request's body changes on its way."""
    pieces = [bytearray(piece) for piece in x.client.pieces(x.framing)]
    pieces[0][0] ^= 1
    x.client.pieces = lambda framing: pieces
    x.forward()
    del x.client.pieces
    x.relay()


def early(x):
    """Says that it has it before it has read any of it."""
    x.client.send(b'HTTP/1.1 200 OK\r\nETag: "opaque"\r\nContent-Length: 0\r\n\r\n')
    x.wait(5)
    raise Disconnected


class IntegrityCase(TestCase):
    """Two endpoints: everything passes through the tool. Each of the three objects has a bucket of its own."""

    def setUp(self):
        super().setUp()
        if "integrity" not in RUN.cache:
            RUN.cache["integrity"] = {key: self.s3_bucket() for key in (KEY, LARGE_KEY, GREAT_KEY)}
            for key, body in ((KEY, BODY), (LARGE_KEY, LARGE), (GREAT_KEY, GREAT)):
                RUN.cache["integrity"][key].put(key, body)
        self.sources = RUN.cache["integrity"]
        # Over http, whatever the others speak: of what TLS has looked at, not all is looked at again.
        self.reader, self.writer = (self.proxy(self.sources[KEY].server.plain) for _ in range(2))

    def run_with(self, key, destination, **more):
        """One sync of one object, over an older one."""
        destination.put(key, OLD)
        source = self.sources[key]
        env = {**sides(source, destination, STORSYNC_PART_SIZE="5MiB", STORSYNC_RETRIES="1"),
               **source.env("source", endpoint=self.reader.endpoint), **more}
        if isinstance(destination, S3Bucket):
            env.update(destination.env("destination", endpoint=self.writer.endpoint))
        return self.tool("--sync", env=env)

    def judge(self, tool, destination, key, body, why):
        """`why` is a part of what must be told; None: the object must have arrived whole."""
        is_old, is_whole = (destination.get(key) == text for text in (OLD, body))
        if why is None:
            self.assertEqual((tool.code, is_whole), (0, True))
        else:
            self.assertEqual((tool.code, is_old), (2, True), f"{why}: whole is {is_whole}")
            self.assertIn(why, tool.err)
        if isinstance(destination, S3Bucket):
            self.assertEqual(destination.unfinished_uploads(), [])

    def lie(self, proxy, key, body, action, why, method="GET", times=FOREVER, skip=0, directory=False):
        proxy.clear()
        proxy.fault(action, method=method, target=f"/{key}(\\?|$)", times=times, skip=skip)
        destination = self.dir_bucket() if directory else self.s3_bucket()
        self.judge(self.run_with(key, destination), destination, key, body, why)


class Reading(IntegrityCase):
    WHOLE = {
        "in chunks": (changed(framing="chunked"), None),
        "until the connection closes": (changed(framing="close"), None),
        "in chunks, too short": (changed(framing="chunked", body=lambda b: b[:-1]), "of 40000 bytes"),
        "in chunks, too long": (changed(framing="chunked", body=lambda b: b + b"!"), "longer than the 40000 bytes"),
        "closed, too short": (changed(framing="close", body=lambda b: b[:-1]), "of 40000 bytes"),
        "closed, too long": (changed(framing="close", body=lambda b: b + b"!"), "longer than the 40000 bytes"),
        "shorter than listed": (changed(body=lambda b: b[:-1]), "changes bodies"),
        "compressed": (changed(body=gzip.compress, framing="chunked", content_encoding="gzip"), "bytes"),
        "cut": (truncate(1000), "closed"),
        "another byte": (changed(body=flipped), "damaged"),
        "another byte, in chunks": (changed(body=flipped, framing="chunked"), "damaged"),
        "a portal's page": (answer(200, b"<html>log in</html>", {"Content-Type": "text/html"}), "no ETag"),
        "an error in 200": (answer(200, s3_error("InternalError"), XML), "no ETag"),
        "another version": (changed(etag='"another"'), "keeps changing"),
        "a range": (changed(206, content_range=f"bytes 0-{len(BODY) - 1}/{len(BODY)}"), "HTTP 206"),
        "nothing": (answer(204, b"", {"ETag": '"x"'}), "HTTP 204"),
        "two lengths": (changed(more=("Content-Length: 7",)), "Content-Length"),
        "a length that is none": (changed(framing="chunked", more=("Content-Length: many",)), "not valid HTTP"),
    }

    def test_whole_objects(self):
        weak = changed(framing="chunked", etag=f'W/"{hashlib.md5(BODY).hexdigest()}"')
        for name, (action, why) in [*self.WHOLE.items(), ("weak ETag", (weak, None))]:
            for directory in (False, True):
                with self.subTest(answer=name, directory=directory):
                    self.lie(self.reader, KEY, BODY, action, why, directory=directory)

    def test_ranges(self):
        size = len(LARGE)
        rows = {
            "the whole instead": (changed(200, content_range=None), "another range"),
            "another range": (changed(content_range=f"bytes 5-{size - 1}/{size}"), "another range"),
            "of another size": (changed(content_range=f"bytes 0-{5 * data.MIB - 1}/{size + 1}"), "keeps changing"),
            "of another version": (changed(etag='"another"'), "keeps changing"),
            "of no version": (changed(etag=None), "no ETag"),
            "in chunks, too long": (changed(framing="chunked", body=lambda b: b + b"!"), "longer than the"),
            "another byte": (changed(body=flipped), "damaged"),
            "of unknown size": (changed(framing="chunked",
                                        content_range=f"bytes {10 * data.MIB}-{size - 1}/*"), None),
        }
        for name, (action, why) in rows.items():
            with self.subTest(answer=name):
                # the last of three parts, for what is only right there
                self.lie(self.reader, LARGE_KEY, LARGE, action, why, skip=2 if why is None else 0)

    def test_one_damaged_byte_is_mended(self):
        for key, body in ((KEY, BODY), (LARGE_KEY, LARGE)):
            for directory in (False, True):
                with self.subTest(key=key, directory=directory):
                    self.lie(self.reader, key, body, changed(body=flipped), None, times=1, directory=directory)

    def test_no_version_is_one_stream(self):
        """Neither a HEAD nor a GET tells one: there is one GET, without a range."""
        destination = self.dir_bucket()
        self.reader.fault(changed(etag=None), method="HEAD", target=LARGE_KEY, times=FOREVER)
        tool = self.run_with(LARGE_KEY, destination)
        self.judge(tool, destination, LARGE_KEY, LARGE, None)
        gets = [r for r in self.reader.requests if r.method == "GET" and r.path.endswith(LARGE_KEY)]
        self.assertEqual([r.headers.get("range") for r in gets], [None])


class Compared(IntegrityCase):
    """A destination that refuses a body with another MD5 than it is told does the comparing."""

    def relay(self, why=None):
        destination = self.s3_bucket()
        tool = self.run_with(GREAT_KEY, destination)
        self.judge(tool, destination, GREAT_KEY, GREAT, why)
        self.assertEqual([key for key in destination.keys(".storsync/") if key.endswith("md5")], [])
        return destination, [r for r in self.writer.requests if r.method == "PUT" and "lease" not in r.path]

    def test_large_object_in_one_piece(self):
        destination, puts = self.relay()
        trial, put = [r for r in puts if r.path.endswith(("/md5", GREAT_KEY))]
        self.assertEqual((trial.status, put.status), (400, 200))
        self.assertIn("content-md5", put.headers)
        self.assertEqual(*(bucket.client.head_object(Bucket=bucket.name, Key=GREAT_KEY)["ETag"]
                           for bucket in (destination, self.sources[GREAT_KEY])))

    def test_what_was_damaged_is_refused_there(self):
        """By the service, before it is an object; then it is looked at here, and the side that is to blame is named."""
        for proxy, method, once in ((self.reader, "GET", True), (self.reader, "GET", False), (self.writer, "PUT", True)):
            with self.subTest(method=method, once=once):
                self.reader.clear()
                self.writer.clear()
                action = changed(body=flipped) if method == "GET" else damaged
                proxy.fault(action, method=method, target=f"/{GREAT_KEY}(\\?|$)", times=1 if once else FOREVER)
                _, puts = self.relay(None if once else "damaged")
                [first] = [r for r in puts if r.path.endswith(GREAT_KEY) and "partNumber" not in r.query]
                self.assertEqual(first.status, 400)
                self.assertTrue(any("partNumber" in r.query for r in puts))

    def test_one_piece_that_is_too_large(self):
        """For a proxy: the rest of the run goes in parts, and nothing is seen of it."""
        self.writer.fault(answer(413, b"no", drain=False), method="PUT", target=f"/{GREAT_KEY}$", times=FOREVER)
        _, puts = self.relay()
        self.assertEqual(sum("partNumber" in r.query for r in puts), 4)

    def test_a_service_that_compares_nothing(self):
        """It took what it should have refused: that is gone at once, and all is looked at here, as a damaged byte shows."""
        self.writer.fault(answer(200, b"", {"ETag": '"any"'}), method="PUT", target=TRIAL)
        self.reader.fault(changed(body=flipped), method="GET", target=f"/{GREAT_KEY}(\\?|$)", times=1)
        _, puts = self.relay()
        self.assertTrue(all("partNumber" in r.query for r in puts if GREAT_KEY in r.path))
        self.assertEqual(sum(r.method == "DELETE" and r.path.endswith("/md5") for r in self.writer.requests), 1)


class Writing(IntegrityCase):
    def test_a_put_that_is_answered_early(self):
        self.lie(self.writer, LARGE_KEY, LARGE, early, "before all of it had been sent", method="PUT")

    def test_both_halves_end_together(self):
        """The reading half does not wait for a pipe that nobody empties, nor for the rest of a body that nobody wants."""
        self.reader.fault(stall(after=20_000), method="GET", target=KEY, times=FOREVER)
        self.writer.fault(early, method="PUT", target=KEY, times=FOREVER)
        destination = self.s3_bucket()
        tool = self.run_with(KEY, destination, STORSYNC_STALL_TIMEOUT="1h", STORSYNC_REQUEST_TIMEOUT="1h")
        self.judge(tool, destination, KEY, BODY, "before all of it had been sent")

    def test_an_answer_about_other_bytes(self):
        """The service has the object by then; what it says of it is not believed."""
        other = changed(etag='"d41d8cd98f00b204e9800998ecf8427e"')
        self.writer.fault(other, method="PUT", target=f"/{KEY}$", times=FOREVER)
        tool = self.run_with(KEY, self.s3_bucket())
        self.assertEqual(tool.code, 2)
        self.assertIn("other bytes than were sent", tool.err)
        self.lie(self.writer, LARGE_KEY, LARGE, other, "other bytes than were sent", method="PUT")

    def test_a_page_is_no_receipt(self):
        """An application that has its one page for every request gives that an ETag, too."""
        page = answer(200, b"<html>the application</html>", {"Content-Type": "text/html; charset=utf-8", "ETag": 'W/"1c-x"'})
        self.lie(self.writer, KEY, BODY, page, "does not answer like an S3 service", method="PUT")
        self.lie(self.writer, LARGE_KEY, LARGE, page, "does not answer like an S3 service", method="PUT")

    def test_accepted_is_not_written(self):
        for status in (202, 203, 206):
            with self.subTest(status=status):
                self.lie(self.writer, KEY, BODY, answer(status, b"", {"ETag": f'"{hashlib.md5(BODY).hexdigest()}"'}),
                         f"HTTP {status}", method="PUT")

    def test_an_encrypted_answer_says_nothing(self):
        other = changed(etag='"d41d8cd98f00b204e9800998ecf8427e"', x_amz_server_side_encryption="aws:kms")
        self.lie(self.writer, KEY, BODY, other, None, method="PUT")

    def test_object_lock(self):
        """A body is taken only with its MD5: where the source's ETag is none, it is measured first."""
        demand = answer(400, s3_error("InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is required"), XML)

        def locked(x):
            if "content-md5" in x.request.headers:
                x.forward()
                x.relay()
            else:
                demand(x)

        source = self.dir_bucket()
        source.put(KEY, BODY)
        source.put(LARGE_KEY, LARGE)
        source.put("public/empty", b"")
        destination = self.s3_bucket()
        self.writer.fault(locked, method="PUT", times=FOREVER)
        env = {**sides(source, destination, STORSYNC_PART_SIZE="5MiB"),
               **destination.env("destination", endpoint=self.writer.endpoint)}
        self.assertEqual(self.tool("--sync", env=env).code, 0)
        self.assertEqual([destination.get(key) for key in (KEY, LARGE_KEY, "public/empty")], [BODY, LARGE, b""])

    def test_an_abort_that_is_refused_is_told(self):
        denied = answer(403, s3_error("AccessDenied"), XML)
        self.writer.fault(denied, method="PUT", target="partNumber=2", times=FOREVER)
        self.writer.fault(denied, method="DELETE", target="uploadId=", times=FOREVER)
        destination = self.s3_bucket()
        tool = self.run_with(LARGE_KEY, destination)
        self.assertEqual(tool.code, 2)
        [upload] = destination.unfinished_uploads()
        told = [line for line in tool.warnings if "could not be aborted" in line]
        self.assertEqual(len(told), 1, tool.err)
        for word in (LARGE_KEY, "billed", "AbortIncompleteMultipartUpload", upload["UploadId"]):
            self.assertIn(word, told[0])
