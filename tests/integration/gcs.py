"""A stand-in for Google Cloud Storage's JSON API, as awkward as the real service is where test servers are not.

It knows what the tool needs: listing, reading, uploading (media, multipart, resumable), rewriting, removing, changing
metadata. The tests look into its buckets directly. What is out of the ordinary can be switched on, on the server or on
a bucket:

    server = GoogleStorage().start()
    dev = server.bucket("dev")
    dev.put("public/a", b"x", metadata={"custom:aclPolicy": "{}"})
    server.store_less = 3            # of the next three chunks only a part is kept
    ... run the tool with STORAGE_EMULATOR_HOST=server.endpoint ...
    server.requests                  # what was asked, and what was answered

Faults of the network come from a FaultProxy before it (proxyfault.py).
"""
import base64
import gzip
import hashlib
import json
import re
import socket
import struct
import threading
import time
import urllib.parse
import uuid
import zlib
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CHUNK = 256 * 1024
PAGE_MAX = 1000
CRC_MAX = 1 << 20
EDITABLE = ("contentType", "contentEncoding", "contentLanguage", "contentDisposition", "cacheControl", "customTime",
            "metadata")
MEDIA_HEADERS = {"contentType": "Content-Type", "contentEncoding": "Content-Encoding", "cacheControl": "Cache-Control",
                 "contentLanguage": "Content-Language", "contentDisposition": "Content-Disposition"}
OTHER_TYPE = "Content-Type specified in the upload does not match Content-Type specified in metadata."
EXPIRES = "storsync.expires"     # S3 has a header, the service no field
SOURCE_CONDITIONS = ("ifSourceGenerationMatch", "ifSourceMetagenerationMatch")


def crc_table():
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        yield byte


CRC_TABLE = tuple(crc_table())


fast_crc32c = None               # a function that computes it in machine code, where there is one (tests/compat)


def crc32c(data):
    """Base64 of the big-endian sum. Without `fast_crc32c` large bodies get another sum, which serves as well to compare two
    of them."""
    if fast_crc32c:
        return base64.b64encode(struct.pack(">I", fast_crc32c(bytes(data)))).decode()
    if len(data) > CRC_MAX:
        return base64.b64encode(struct.pack(">I", zlib.crc32(data))).decode()
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ byte) & 0xFF]
    return base64.b64encode(struct.pack(">I", crc ^ 0xFFFFFFFF)).decode()


def md5(data):
    return base64.b64encode(hashlib.md5(data).digest()).decode()


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, status, message, reason="invalid", domain="global"):
        super().__init__(message)
        self.status, self.message, self.reason, self.domain = status, message, reason, domain

    def body(self):
        one = {"message": self.message, "domain": self.domain, "reason": self.reason}
        return json.dumps({"error": {"code": self.status, "message": self.message, "errors": [one]}}).encode()


def error_body(status, reason, message="made up by the test"):
    """For a proxy that answers in the service's place."""
    return Refusal(status, message, reason).body()


@dataclass
class Object:
    body: bytes
    fields: dict                 # what EDITABLE names
    generation: int
    metageneration: int = 1
    created: float = field(default_factory=time.time)
    updated: float = 0
    composite: bool = False      # composed of others: it has no MD5
    acl: str = ""                # the predefined one that it was written with
    storage_class: str = "STANDARD"
    csek: bool = False           # encrypted with a key that only its owner has
    held: str = ""               # the reason why it cannot be replaced: retentionPolicyNotMet, objectUnderActiveHold
    crc32c: str = ""
    md5: str = ""

    def __post_init__(self):
        self.updated = self.updated or self.created
        self.crc32c = self.crc32c or crc32c(self.body)
        self.md5 = self.md5 or md5(self.body)

    metadata = property(lambda self: self.fields.get("metadata", {}))


def stamp(seconds):
    """Milliseconds, as the real service has them."""
    at = datetime.fromtimestamp(int(seconds * 1000) / 1000, timezone.utc)
    return at.isoformat(timespec="milliseconds")[:23] + "Z"


class Bucket:
    def __init__(self, server, name):
        self.server, self.name = server, name
        self.objects = {}
        self.past = {}               # {(key, generation): what was overwritten or removed}, with ...
        self.versioning = False
        self.requester_pays = False
        self.uniform = False         # uniform access: no ACL is taken
        self.denied = set()          # rights that nobody has here: "storage.objects.list"
        self.requests_of = {}        # key: when it was last written, for the limit of one write a second

    # --- for the tests ---

    url = property(lambda self: f"gs://{self.name}")
    shown = property(lambda self: self.name)

    def put(self, key, body=b"x", age=0, composite=False, held="", csek=False, acl="", storage_class="STANDARD",
            **fields):
        """`age`: how many seconds ago it was written. The fields may have S3's names as well."""
        body = body.encode() if isinstance(body, str) else body
        fields = {name[0].lower() + name[1:]: value for name, value in fields.items()}
        if "expires" in fields:
            fields.setdefault("metadata", {})[EXPIRES] = fields.pop("expires")
        with self.server.lock:
            self.retire(key)
            self.objects[key] = Object(body, {"contentType": "application/octet-stream", **fields},
                                       self.server.next_generation(), created=self.server.now() - age,
                                       composite=composite, held=held, csek=csek, acl=acl,
                                       storage_class=storage_class)

    def get(self, key):
        return self.objects[key].body

    def remove(self, key):
        self.retire(key)
        del self.objects[key]

    def retire(self, key):
        """It is going to be overwritten or removed."""
        if self.versioning and key in self.objects:
            self.past[key, self.objects[key].generation] = self.objects[key]

    def look(self, key):
        """What data.snapshot tells of it: as S3 would show it."""
        o = self.objects[key]
        content = {MEDIA_HEADERS[name].lower(): value for name, value in o.fields.items() if name in MEDIA_HEADERS}
        user = {f"x-amz-meta-{name}": value for name, value in o.metadata.items() if name != EXPIRES}
        expires = {"expires": o.metadata[EXPIRES]} if EXPIRES in o.metadata else {}
        return {"sha256": hashlib.sha256(o.body).hexdigest(), "content-length": str(len(o.body)), **content, **user,
                **expires}

    def unfinished_uploads(self):
        return [session.key for session in self.server.sessions.values() if session.bucket is self and not session.done]

    def patch(self, key, **metadata):
        """Changes metadata alone: another metageneration and time, the same generation."""
        with self.server.lock:
            o = self.objects[key]
            o.fields = {**o.fields, "metadata": {**o.metadata, **metadata}}
            o.metageneration += 1
            o.updated = self.server.now()

    def keys(self, prefix=""):
        with self.server.lock:
            return sorted((k for k in self.objects if k.startswith(prefix)), key=str.encode)

    def contents(self, state=False):
        """{key: body} of everything, the tool's own state apart."""
        return {k: body for k, (body, _) in self.everything(state).items()}

    def everything(self, state=False):
        """The same with all fields that can be changed."""
        with self.server.lock:
            return {k: (o.body, o.fields) for k, o in self.objects.items() if state or not k.startswith(".storsync/")}

    def env(self, side, endpoint=None, **_):
        """There is one endpoint for both sides, and no keys."""
        return {f"STORSYNC_{side.upper()}_BUCKET": self.url,
                "STORAGE_EMULATOR_HOST": endpoint or self.server.endpoint}

    def state(self, name):
        """Keys of that part of the state, of all jobs."""
        return [key for key in self.keys(".storsync/") if key.split("/")[2:3] == [name]]

    def markers(self):
        return [key.rpartition("/")[2] for key in self.state("deployments")]

    def marker(self, name):
        """What it says: the only one of that name."""
        [key] = [key for key in self.state("deployments") if key.endswith(f"/{name}.json")]
        return self.get(key)

    def lease(self):
        """The highest epoch's record; None if there is none."""
        epochs = self.state("lease")
        return json.loads(self.get(epochs[-1])) if epochs else None


@dataclass
class Session:
    bucket: Bucket
    key: str
    resource: dict
    query: dict
    kept: bytearray = field(default_factory=bytearray)
    done: bytes = b""


@dataclass
class Request:
    method: str
    target: str
    headers: dict
    status: int = 0

    path = property(lambda self: self.target.partition("?")[0])
    query = property(lambda self: self.target.partition("?")[2])


class Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *args):
        self.open, self.changed = 0, threading.Condition()
        super().__init__(*args)

    def process_request(self, request, client_address):
        with self.changed:
            self.open += 1
        super().process_request(request, client_address)

    def process_request_thread(self, request, client_address):
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self.changed:
                self.open -= 1
                self.changed.notify_all()

    def handle_error(self, request, client_address):
        """Clients go away, and that is no news."""


class GoogleStorage:
    def __init__(self, address="127.0.0.1", port=0):
        self.lock = threading.RLock()
        self.buckets = {}
        self.sessions = {}
        self.rewrites = {}
        self.requests = []
        self.scheme = "http"         # how clients reach it: https, if something before it ends TLS
        self.tokens = None           # the bearers that are taken; None: anything, also nothing
        self.page_size = PAGE_MAX
        self.empty_pages = 0         # so many pages more are empty, and have a token all the same
        self.rewrite_step = None     # bytes a call of a rewrite copies; None: all
        self.store_less = 0          # of so many chunks more only a part is kept
        self.store_nothing = 0       # so many are answered with 308 and no Range
        self.lost_sessions = []      # what the next chunks are answered, whose session is gone then: 404, 410
        self.ahead = 0               # s by which its clock is later than this machine's
        self.one_a_second = False    # more than one write a second to one name: 429
        self.lost_races_429 = False  # who loses a create in a race hears 429, and not 412
        self._generation = int(time.time() * 1e6)
        self._httpd = Listener((address, port), handler_of(self))
        self.port = self._httpd.server_address[1]
        self.endpoint = f"http://{address}:{self.port}"

    def start(self):
        threading.Thread(target=self._httpd.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self):
        self._httpd.shutdown()
        self._httpd.server_close()

    def settle(self, seconds):
        """Until all is done that clients have asked for who are gone. A connection of our own comes behind all of theirs."""
        with socket.create_connection(("127.0.0.1", self.port)) as last:
            last.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while last.recv(4096):
                pass
        with self._httpd.changed:
            if not self._httpd.changed.wait_for(lambda: self._httpd.open == 0, seconds):
                raise AssertionError("somebody is still connected")

    def bucket(self, name):
        with self.lock:
            return self.buckets.setdefault(name, Bucket(self, name))

    def mark(self):
        """For requests_since, as an RGW has it."""
        return len(self.requests)

    def requests_since(self, mark):
        return self.requests[mark:]

    def now(self):
        return time.time() + self.ahead

    def next_generation(self):
        self._generation += 1
        return self._generation

    def asked(self, method, pattern):
        return [r for r in list(self.requests) if r.method == method and re.search(pattern, r.target)]

    # --- what is done, with the lock held ---

    def find_bucket(self, name, query):
        bucket = self.buckets.get(name)
        if bucket is None:
            raise Refusal(404, "The specified bucket does not exist.", "notFound")
        if bucket.requester_pays and "userProject" not in query:
            raise Refusal(400, "Bucket is a requester pays bucket but no user project provided.", "required")
        return bucket

    def allow(self, bucket, right, key=""):
        if right in bucket.denied:
            kind = "object" if key else "bucket"
            raise Refusal(403, f"test@example.iam.gserviceaccount.com does not have {right} access to the Google Cloud "
                               f"Storage {kind}. Permission '{right}' denied on resource (or it may not exist).",
                          "forbidden")

    def find(self, bucket, key, query, generation="generation", right="storage.objects.get"):
        self.allow(bucket, right, key)
        found = bucket.objects.get(key)
        wanted = query.get(generation)
        if wanted and (key, int(wanted)) in bucket.past:
            return bucket.past[key, int(wanted)]
        if found is None or (wanted and int(wanted) != found.generation):
            self.allow(bucket, "storage.objects.list", key)  # who may not list does not learn that it is missing
            raise Refusal(404, f"No such object: {bucket.name}/{key}", "notFound")
        return found

    def open(self, found):
        if found.csek:
            raise Refusal(400, "The target object is encrypted by a customer-supplied encryption key.",
                          "resourceIsEncryptedWithCustomerEncryptionKey")

    def check(self, found, query, names):
        """Conditions on `found`, which may be None."""
        has = {"Generation": found.generation if found else 0, "Metageneration": found.metageneration if found else 0}
        for name in names:
            kind = "Metageneration" if "Metageneration" in name else "Generation"
            if name in query and int(query[name]) != has[kind]:
                raise Refusal(412, "At least one of the pre-conditions you specified did not hold.", "conditionNotMet")

    def begin_write(self, bucket, key, query):
        """May it be written?"""
        self.allow(bucket, "storage.objects.create", key)
        found = bucket.objects.get(key)
        recent = time.monotonic() - bucket.requests_of.get(key, -10) < 1
        too_fast = Refusal(429, f"The object {bucket.name}/{key} exceeded the rate limit for object mutation "
                                "operations (create, update, and delete). Please reduce your request rate.",
                           "rateLimitExceeded", "usageLimits")
        if recent and self.one_a_second:
            raise too_fast
        try:
            self.check(found, query, ("ifGenerationMatch", "ifMetagenerationMatch"))
        except Refusal as refusal:
            raise too_fast if recent and self.lost_races_429 else refusal
        if found and found.held:
            raise Refusal(403, f"Object '{bucket.name}/{key}' is subject to bucket's retention policy or object holds "
                               "and cannot be deleted or overwritten.", found.held)
        if found:
            self.allow(bucket, "storage.objects.delete", key)
        bucket.requests_of[key] = time.monotonic()

    def insert(self, bucket, key, resource, body, query):
        fields = {name: resource[name] for name in EDITABLE if name in resource}
        made = Object(bytes(body), fields, self.next_generation(), created=self.now())
        for name, value in (("md5Hash", made.md5), ("crc32c", made.crc32c)):
            if resource.get(name, value) != value:
                raise Refusal(400, f"Provided {name} \"{resource[name]}\" doesn't match calculated \"{value}\".")
        check_metadata(made.metadata)
        self.begin_write(bucket, key, query)
        made.acl = self.acl_for(bucket, query, "predefinedAcl")
        bucket.retire(key)
        bucket.objects[key] = made
        return self.resource(bucket, key)

    def acl_for(self, bucket, query, name):
        if name in query and bucket.uniform:
            raise Refusal(400, "Cannot insert legacy ACL for an object when uniform bucket-level access is enabled.")
        return query.get(name, "")

    def resource(self, bucket, key, o=None):
        o = o or bucket.objects[key]
        told = {"kind": "storage#object", "id": f"{bucket.name}/{key}/{o.generation}", "name": key,
                "bucket": bucket.name, "generation": str(o.generation), "metageneration": str(o.metageneration),
                "storageClass": o.storage_class, "size": str(len(o.body)), "crc32c": o.crc32c,
                "etag": f"C{o.generation}=", "timeCreated": stamp(o.created), "updated": stamp(o.updated), **o.fields}
        if o.composite:
            told["componentCount"] = 2
        else:
            told["md5Hash"] = o.md5
        return told

    def list(self, bucket, query):
        self.allow(bucket, "storage.objects.list")
        start = query.get("startOffset", "").encode()
        end = query.get("endOffset", "").encode()
        position, _, skip = base64.urlsafe_b64decode(query.get("pageToken", "")).partition(b"\0")
        keys = [k for k in bucket.keys(query.get("prefix", "")) if k.encode() >= max(start, position)
                and (not end or k.encode() < end)]
        count = min(int(query.get("maxResults") or PAGE_MAX), self.page_size, PAGE_MAX)
        answer = {"kind": "storage#objects"}
        if self.empty_pages > 0:
            self.empty_pages -= 1
            next_key = position + b"\0" + skip + b"."
        else:
            next_key = keys[count].encode() + b"\0" if len(keys) > count else b""
            if keys[:count]:
                answer["items"] = [chosen(self.resource(bucket, k), query) for k in keys[:count]]
        if next_key and "nextPageToken" in query.get("fields", "nextPageToken"):
            answer["nextPageToken"] = base64.urlsafe_b64encode(next_key).decode()
        return answer

    def rewrite(self, source, key, target, to, query, body):
        found = self.find(source, key, query, "sourceGeneration")
        self.open(found)
        self.check(found, query, SOURCE_CONDITIONS)
        if "bucket" in body and "name" not in body:
            raise Refusal(400, "Required", "required")
        # Any field in the body, and only those of the body count. What is no field does not: Google's client puts the token
        # there as well, from the second call on.
        given = {name: body[name] for name in EDITABLE if name in body}
        state = (source.name, key, target.name, to, found.generation, json.dumps(given, sort_keys=True))
        token = query.get("rewriteToken")
        if token and self.rewrites.get(token, (0, 0))[0] != state:
            raise Refusal(410 if token not in self.rewrites else 400, "The rewrite token is not valid.")
        done = self.rewrites[token][1] if token else 0
        done = min(len(found.body), done + (self.rewrite_step or len(found.body)))
        answer = {"kind": "storage#rewriteResponse", "totalBytesRewritten": str(done),
                  "objectSize": str(len(found.body)), "done": done == len(found.body)}
        if not answer["done"]:
            answer["rewriteToken"] = uuid.uuid4().hex * 2
            self.rewrites[answer["rewriteToken"]] = (state, done)
            return answer
        self.begin_write(target, to, query)
        made = Object(found.body, given or dict(found.fields), self.next_generation(), created=self.now(), composite=found.composite,
                      crc32c=found.crc32c, md5=found.md5,
                      acl=self.acl_for(target, query, "destinationPredefinedAcl"))
        target.retire(to)
        target.objects[to] = made
        answer["resource"] = self.resource(target, to)
        return answer

    def remove(self, bucket, key, query):
        found = self.find(bucket, key, query, right="storage.objects.delete")
        self.check(found, query, ("ifGenerationMatch", "ifMetagenerationMatch"))
        self.begin_write(bucket, key, {})
        bucket.remove(key)

    def change(self, bucket, key, query, body):
        found = self.find(bucket, key, query, right="storage.objects.update")
        self.check(found, query, ("ifGenerationMatch", "ifMetagenerationMatch"))
        metadata = {**found.metadata, **body.get("metadata", {})}
        bucket.patch(key)
        found.fields = {**found.fields, **{n: body[n] for n in EDITABLE if n in body},
                        "metadata": {n: v for n, v in metadata.items() if v is not None}}
        return self.resource(bucket, key)

    def receive(self, session, first, total, data):
        """A chunk: (finished resource, or None)."""
        kept = session.kept
        last = total is not None and first + len(data) == total
        if first > len(kept):
            raise Refusal(503, "There is a gap before this chunk.", "backendError")
        if not last and len(data) % CHUNK:
            raise Refusal(400, "Invalid request. The number of bytes uploaded is required to be equal or greater than "
                               f"{CHUNK}, except for the final request (it's recommended to be the exact multiple of "
                               f"{CHUNK}).")
        new = data[len(kept) - first:]
        if self.store_nothing > 0:
            self.store_nothing -= 1
            raise Incomplete(0)
        if self.store_less > 0 and len(new) > CHUNK:
            self.store_less -= 1
            new, last = new[:len(new) // 2 // CHUNK * CHUNK], False
        kept += new
        if not last:
            raise Incomplete(len(kept))
        return self.insert(session.bucket, session.key, session.resource, bytes(kept), session.query)


class Incomplete(Exception):
    """308: so many bytes are kept."""


def check_metadata(metadata):
    for name, value in metadata.items():
        if not isinstance(value, str) or len(name.encode()) > 1024 or len(value.encode()) > 4096:
            raise Refusal(400, "Invalid metadata.")
    if sum(len(n.encode()) + len(v.encode()) for n, v in metadata.items()) > 8192:
        raise Refusal(400, "The metadata is larger than 8 KiB.", "metadataTooLarge")


def chosen(resource, query):
    """What `fields` leaves of an item."""
    match = re.search(r"items\(([^()]*)\)", query.get("fields", ""))
    if not match:
        return resource
    names = match[1].split(",")
    return {name: value for name, value in resource.items() if name in names}


def handler_of(server):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 64 * 1024
        disable_nagle_algorithm = True

        def log_message(self, *_):
            pass

        def date_time_string(self, timestamp=None):
            return super().date_time_string(server.now() if timestamp is None else timestamp)

        # --- answers ---

        def answer(self, status, body=b"", headers=(), kind="application/json; charset=UTF-8"):
            self.record.status = status
            self.send_response(status)
            headers = dict(headers)
            if body and "Content-Type" not in headers:
                headers["Content-Type"] = kind
            for name, value in headers.items():
                self.send_header(name, str(value))
            if status != 204 and "Transfer-Encoding" not in headers:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
            self.wfile.flush()

        def tell(self, value, status=200):
            pretty = self.query.get("prettyPrint") != "false"
            self.answer(status, json.dumps(value, indent=1 if pretty else None, ensure_ascii=False).encode())

        # --- requests ---

        def handle_any(self):
            self.record = Request(self.command, self.path, {k.lower(): v for k, v in self.headers.items()})
            server.requests.append(self.record)
            path, _, query = self.path.partition("?")
            self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
            try:
                self.data = self.read_body()
                self.route([urllib.parse.unquote(part, errors="strict") for part in path.split("/")[1:]])
            except Refusal as refusal:
                if self.query.get("alt") == "media":
                    self.answer(refusal.status, refusal.message.encode(), kind="text/html; charset=UTF-8")
                else:
                    self.answer(refusal.status, refusal.body())
            except Incomplete as incomplete:
                kept = incomplete.args[0]
                self.answer(308, headers={"Range": f"bytes=0-{kept - 1}"} if kept else ())
            except (ConnectionError, TimeoutError):
                self.close_connection = True

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = handle_any

        def read_body(self):
            """All of it; of a chunk of a session that breaks off, what came is kept in whole chunks."""
            if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                return b"".join(self.read_chunks())
            length = int(self.headers.get("Content-Length") or 0)
            data = self.rfile.read(length)
            if len(data) < length:
                session = server.sessions.get(self.query.get("upload_id"))
                match = re.fullmatch(r"bytes (\d+)-\d+/.*", self.headers.get("Content-Range", ""))
                if session and match and int(match[1]) == len(session.kept):
                    session.kept += data[:len(data) // CHUNK * CHUNK]
                raise ConnectionError("broken off")
            return data

        def read_chunks(self):
            """How clients send what they do not know the size of."""
            size = None
            while size != 0:
                size = int(self.rfile.readline().split(b";")[0], 16)
                yield self.rfile.read(size)
                self.rfile.readline()

        def json(self):
            try:
                body = json.loads(self.data or b"{}")
            except ValueError as error:
                raise Refusal(400, "Parse Error", "parseError") from error
            return body

        def authorize(self):
            given = self.headers.get("Authorization", "")
            if server.tokens is not None and given not in [f"Bearer {token}" for token in server.tokens]:
                raise Refusal(401, "Invalid Credentials", "authError")

        def route(self, parts):
            upload = parts[0] == "upload"
            parts = parts[1:] if parts[0] in ("upload", "download") else parts
            if parts[:3] != ["storage", "v1", "b"] or len(parts) < 4 or parts[4:5] not in ([], ["o"]):
                raise Refusal(404, "Not Found", "notFound")
            if upload and "upload_id" in self.query:
                self.session()
                return
            self.authorize()
            with server.lock:
                bucket = server.find_bucket(parts[3], self.query)
            if len(parts) == 4:
                server.allow(bucket, "storage.buckets.get")
                self.tell({"kind": "storage#bucket", "name": bucket.name, "versioning": {"enabled": bucket.versioning}})
            elif upload:
                self.upload(bucket)
            elif len(parts) == 5 and self.command == "GET":
                with server.lock:
                    answer = server.list(bucket, self.query)
                self.tell(answer)
            elif len(parts) == 11 and parts[6] == "rewriteTo" and self.command == "POST":
                with server.lock:
                    to = server.find_bucket(parts[8], self.query)
                    answer = server.rewrite(bucket, parts[5], to, parts[10], self.query, self.json())
                self.tell(answer)
            elif len(parts) == 6:
                self.object(bucket, parts[5])
            else:
                raise Refusal(404, "Not Found", "notFound")

        def object(self, bucket, key):
            with server.lock:
                if self.command == "DELETE":
                    server.remove(bucket, key, self.query)
                elif self.command == "PATCH":
                    told = server.change(bucket, key, self.query, self.json())
                elif self.command == "GET":
                    found = server.find(bucket, key, self.query)
                    server.check(found, self.query, ("ifGenerationMatch", "ifMetagenerationMatch"))
                    told = server.resource(bucket, key, found)
            if self.command == "DELETE":
                self.answer(204)
            elif self.query.get("alt") == "media":
                server.open(found)
                self.media(found)
            else:
                self.tell(told)

        def media(self, found):
            headers = {MEDIA_HEADERS[name]: value for name, value in found.fields.items() if name in MEDIA_HEADERS}
            hashes = f"crc32c={found.crc32c}" + ("" if found.composite else f",md5={found.md5}")
            headers.update({"x-goog-generation": found.generation, "x-goog-metageneration": found.metageneration,
                            "x-goog-hash": hashes, "x-goog-stored-content-length": len(found.body),
                            "x-goog-stored-content-encoding": found.fields.get("contentEncoding", "identity"),
                            "Last-Modified": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(found.updated))})
            if found.fields.get("contentEncoding") == "gzip" and "gzip" not in self.headers.get("Accept-Encoding", ""):
                plain = gzip.decompress(found.body)
                del headers["Content-Encoding"]
                headers["Transfer-Encoding"] = "chunked"
                chunk = b"%x\r\n%b\r\n" % (len(plain), plain) if plain else b""
                self.answer(200, chunk + b"0\r\n\r\n", headers)
                return
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if not wanted:
                self.answer(200, found.body, headers)
                return
            first = int(wanted[1])
            last = min(int(wanted[2] or len(found.body) - 1), len(found.body) - 1)
            if first >= len(found.body):
                raise Refusal(416, "Request range not satisfiable", "requestedRangeNotSatisfiable")
            headers["Content-Range"] = f"bytes {first}-{last}/{len(found.body)}"
            self.answer(206, found.body[first:last + 1], headers)

        # --- uploads ---

        def upload(self, bucket):
            kind = self.query.get("uploadType")
            if kind == "media":
                resource, data = {"contentType": self.headers.get("Content-Type")}, self.data
            elif kind == "multipart":
                resource, data = self.multipart()
            elif kind == "resumable":
                self.begin(bucket)
                return
            else:
                raise Refusal(400, "Invalid uploadType")
            with server.lock:
                told = server.insert(bucket, self.query.get("name") or resource["name"], resource, data, self.query)
            self.tell(told)

        def multipart(self):
            match = re.fullmatch(r'multipart/related; ?boundary="?([^"]+)"?', self.headers.get("Content-Type", ""))
            mark = b"--" + match[1].encode() if match else b""
            parts = self.data.split(b"\r\n" + mark) if match and self.data.startswith(mark) else []
            if len(parts) != 3 or parts[2].strip() != b"--":
                raise Refusal(400, "Invalid multipart request with 0 mime parts.")
            (head, text), (head2, data) = (part.split(b"\r\n\r\n", 1) for part in (parts[0][len(mark):], parts[1]))
            self.data = text
            resource = self.json()
            kind = re.search(rb"(?i)content-type: *([^\r\n]+)", head2)
            if b"application/json" not in head or not kind:
                raise Refusal(400, "Invalid multipart request: parts without Content-Type.")
            if resource.setdefault("contentType", kind[1].decode()) != kind[1].decode():
                raise Refusal(400, OTHER_TYPE)
            return resource, data

        def begin(self, bucket):
            resource = self.json()
            given = self.headers.get("X-Upload-Content-Type")
            if given and resource.setdefault("contentType", given) != given:
                raise Refusal(400, OTHER_TYPE)
            with server.lock:
                server.allow(bucket, "storage.objects.create", self.query["name"])
                server.check(bucket.objects.get(self.query["name"]), self.query, ("ifGenerationMatch",))
                number = uuid.uuid4().hex
                server.sessions[number] = Session(bucket, self.query["name"], resource, self.query)
            session = f"{server.scheme}://{self.headers['Host']}{self.path}&upload_id={number}"
            self.answer(200, headers={"Location": session, "X-GUploader-UploadID": number})

        def session(self):
            number = self.query["upload_id"]
            with server.lock:
                session = server.sessions.get(number)
                if session is None:
                    raise Refusal(404, "Upload session not found.", "notFound")
                if self.command == "DELETE":
                    del server.sessions[number]
                    self.answer(499)
                    return
                if session.done:
                    self.answer(200, session.done)
                    return
                told = self.session_put(number, session)
                session.done = json.dumps(told).encode()
            self.answer(200, session.done)

        def rest_from(self, first):
            end = first + len(self.data)
            return f"bytes {first}-{end - 1}/{end}" if self.data else f"bytes */{end}"

        def session_put(self, number, session):
            given = self.headers.get("Content-Range", "bytes 0-*/*")
            # All that is left, of unknown size: known by now.
            given = re.sub(r"^bytes (\d+)-\*/\*$", lambda m: self.rest_from(int(m[1])), given)
            match = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", given)
            total = None if not match or match[3] == "*" else int(match[3])
            if not match or (match[1] and int(match[2]) - int(match[1]) + 1 != len(self.data)):
                raise Refusal(400, "Invalid Content-Range.")
            if not match[1] and (total is None or len(session.kept) < total):
                raise Incomplete(len(session.kept))
            if server.lost_sessions:
                del server.sessions[number]
                raise Refusal(server.lost_sessions.pop(0), "The upload session is gone.", "notFound")
            return server.receive(session, int(match[1] or 0), total, self.data)

    return Handler
