"""A service that costs next to nothing, for what is measured of the client alone: S3 in one process without disks.

As much of S3 as the clients in bench_peers.py ask for: objects in memory, listings, copies, conditions on a write, parts. It believes
every signature. Each answer can be held back by a round trip's time, which costs no CPU.

    python3 tests/bench_service.py PORT DELAY_MS KEYS     buckets "source" and "same" with so many empty objects, and "empty"
"""
import asyncio
import bisect
import hashlib
import re
import sys
import time
import urllib.parse
from xml.sax.saxutils import escape

REASONS = {200: "OK", 204: "No Content", 206: "Partial Content", 400: "Bad Request", 404: "Not Found", 412: "Precondition Failed"}
NONE = hashlib.md5(b"").hexdigest()
XML = '<?xml version="1.0" encoding="UTF-8"?>'
PAGES_KEPT = 1000
TIME = "2026-01-01T00:00:00.000Z"


class Bucket:
    def __init__(self, name):
        self.name = name
        self.objects = {}
        self.keys = None  # sorted, or None: not known
        self.pages = {}

    def changed(self):
        self.keys = None
        self.pages.clear()

    def put(self, key, body):
        if key not in self.objects:
            self.changed()
        else:
            self.pages.clear()
        etag = hashlib.md5(body).hexdigest() if body else NONE
        self.objects[key] = (body, etag, TIME if key.startswith("public/") and not body else now())
        return etag

    def listing(self, query):
        """One page; pages are kept, since they are asked for again and again."""
        page = self.pages.get(query)
        if page is None:
            if len(self.pages) == PAGES_KEPT:
                self.pages.clear()
            page = self.pages[query] = self.make_page(dict(urllib.parse.parse_qsl(query, keep_blank_values=True)))
        return page

    def make_page(self, query):
        if self.keys is None:
            self.keys = sorted(self.objects)
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = query.get("continuation-token") or query.get("start-after") or query.get("marker") or ""
        most = min(int(query.get("max-keys") or 1000), 1000)
        out, folders, last, more = [], [], "", False
        first = bisect.bisect_right(self.keys, after) if after >= prefix else bisect.bisect_left(self.keys, prefix)
        for at in range(first, len(self.keys)):
            key = self.keys[at]
            if not key.startswith(prefix):
                break
            if folders and key.startswith(folders[-1]):
                continue
            if len(out) + len(folders) == most:
                more = True
                break
            last = key
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            if cut >= 0:
                folders.append(key[:cut + len(delimiter)])
                last = folders[-1] + "\U0010FFFF"
            else:
                body, etag, when = self.objects[key]
                name = urllib.parse.quote(key) if query.get("encoding-type") == "url" else escape(key)
                out.append(f"<Contents><Key>{name}</Key><LastModified>{when}</LastModified><ETag>&quot;{etag}&quot;</ETag>"
                           f"<Size>{len(body)}</Size><StorageClass>STANDARD</StorageClass></Contents>")
        prefixes = "".join(f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>" for folder in folders)
        following = f"<NextContinuationToken>{escape(last)}</NextContinuationToken><NextMarker>{escape(last)}</NextMarker>"
        return (f'{XML}<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>{self.name}</Name>'
                f"<Prefix>{escape(prefix)}</Prefix><KeyCount>{len(out)}</KeyCount><MaxKeys>{most}</MaxKeys>"
                + (f"<EncodingType>url</EncodingType>" if query.get("encoding-type") == "url" else "")
                + f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>{following if more else ''}"
                f"{''.join(out)}{prefixes}</ListBucketResult>").encode()


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())


def http_time(when):
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.strptime(when[:19], "%Y-%m-%dT%H:%M:%S"))


class Service:
    def __init__(self, delay, keys):
        self.delay = delay
        self.buckets = {name: Bucket(name) for name in ("source", "same", "empty")}
        for number in range(keys):
            self.buckets["source"].put(f"public/{number:07}", b"")
        self.buckets["same"].objects = dict(self.buckets["source"].objects)

    def answer(self, method, path, query, headers, body):
        """(status, headers, body)"""
        name, _, key = urllib.parse.unquote(path.lstrip("/")).partition("/")
        bucket = self.buckets.get(name)
        if bucket is None:
            return 404, {}, error("NoSuchBucket")
        if not key:
            return self.of_bucket(method, bucket, query, body)
        if method in ("GET", "HEAD"):
            return read(bucket, key, query, headers)
        if method == "DELETE":
            if bucket.objects.pop(key, None) is not None:
                bucket.changed()
            return 204, {}, b""
        if method == "PUT":
            return self.write(bucket, key, headers, body)
        return 400, {}, error("NotImplemented")

    def of_bucket(self, method, bucket, query, body):
        if method == "POST" and query.startswith("delete"):
            for key in re.findall(rb"<Key>(.*?)</Key>", body):
                bucket.objects.pop(key.decode(), None)
            bucket.changed()
            return 200, {}, f"{XML}<DeleteResult></DeleteResult>".encode()
        if method == "GET" and "location" in query:
            return 200, {}, f"{XML}<LocationConstraint/>".encode()
        if method == "GET":
            return 200, {"content-type": "application/xml"}, bucket.listing(query)
        return 200, {}, b""

    def write(self, bucket, key, headers, body):
        there = bucket.objects.get(key)
        if headers.get("if-none-match") == "*" and there or \
                "if-match" in headers and (not there or headers["if-match"].strip('"') != there[1]):
            return 412, {}, error("PreconditionFailed")
        copied = headers.get("x-amz-copy-source")
        if copied is None:
            return 200, {"etag": f'"{bucket.put(key, body)}"'}, b""
        name, _, other = urllib.parse.unquote(copied.split("?")[0].lstrip("/")).partition("/")
        if other not in self.buckets[name].objects:
            return 404, {}, error("NoSuchKey")
        etag = bucket.put(key, self.buckets[name].objects[other][0])
        return 200, {}, (f"{XML}<CopyObjectResult><LastModified>{now()}</LastModified><ETag>&quot;{etag}&quot;</ETag>"
                         "</CopyObjectResult>").encode()

    async def serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, target, _ = head[0].split(" ", 2)
                headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in head[1:] if line)}
                if headers.get("expect", "").lower() == "100-continue":
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                body = await reader.readexactly(int(headers.get("content-length") or 0))
                if "aws-chunked" in headers.get("content-encoding", "") or "STREAMING" in headers.get("x-amz-content-sha256", ""):
                    body = unchunked(body)
                if self.delay:
                    await asyncio.sleep(self.delay)
                path, _, query = target.partition("?")
                status, more, data = self.answer(method, path, query, headers, body)
                lines = {"date": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime()), "content-length": len(data),
                         "x-amz-request-id": "1", **more}
                text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
                writer.write(f"HTTP/1.1 {status} {REASONS.get(status, 'Other')}\r\n{text}\r\n".encode() +
                             (b"" if method == "HEAD" else data))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def read(bucket, key, query, headers):
    if key not in bucket.objects or "tagging" in query:
        return (404, {}, error("NoSuchKey")) if "tagging" not in query else \
            (200, {}, f"{XML}<Tagging><TagSet/></Tagging>".encode())
    body, etag, when = bucket.objects[key]
    more = {"etag": f'"{etag}"', "last-modified": http_time(when), "accept-ranges": "bytes", "content-type": "binary/octet-stream"}
    part = re.match(r"bytes=(\d+)-(\d*)$", headers.get("range", ""))
    if part is None or not body:
        return 200, more, body
    first, last = int(part[1]), min(int(part[2] or len(body) - 1), len(body) - 1)
    return 206, {**more, "content-range": f"bytes {first}-{last}/{len(body)}"}, body[first:last + 1]


def unchunked(body):
    out = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        if length == 0:
            break
        out, body = out + rest[:length], rest[length + 2:]
    return out


def error(code):
    return f"{XML}<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()


async def main():
    port, delay, keys = int(sys.argv[1]), float(sys.argv[2]) / 1000, int(sys.argv[3])
    service = Service(delay, keys)
    server = await asyncio.start_server(service.serve, "127.0.0.1", port, limit=1 << 20, backlog=512)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
