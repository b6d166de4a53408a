"""A proxy before an S3 server that lies. What it does to a request follows from the seed and the request, not from the
order in which requests come; only what repeats an earlier answer depends on which one that was.

What is signed goes on as it is, Host included. Of objects it is told a Truth: which versions each one has had. So it
can answer with an older version or with another object, as a cache does that is wrong.

    proxy = LyingProxy(rgw.endpoint, {"bucket": truth}, dice, menu=["html", "older version"], share=0.5, patience=2)
    ... run the tool against proxy.start().endpoint ...
    proxy.told                     # what was told to whom

Every lie can be found out, by what S3's answers say of each other. These cannot, so they are not told:
  - a body and an ETag that fit each other and HEAD, and are not the object's all the same;
  - a damaged body under an ETag that is no hash of it (of an object that was uploaded in parts), or other metadata
    under the right ETag: no answer covers these;
  - success for a PUT or copy that never happened, with the ETag that it would have had;
  - a destination's listing with an object that is not there.
A source's listing that leaves out a key or has an older version is told all the same, because real ones lag. Nobody can
copy what he was not told of, so `Truth.unlisted` has these keys.
"""
import gzip
import hashlib
import random
import re
import threading
import urllib.parse
from dataclasses import dataclass, field
from email.utils import formatdate

from proxyfault import Disconnected, FaultProxy, named, parse_head, passthrough, s3_error, unchunk

HTML = b"<html><head><title>Blocked</title></head><body>This page is not available from here.</body></html>\n"
XML = ("Content-Type", "application/xml")
MADE_UP = "made-up"  # a continuation token that only the proxy knows


@dataclass
class Version:
    """An object as it was put. `hashed`: its ETag is the MD5 of its body."""
    body: bytes
    headers: dict
    etag: str = ""
    modified: float = 0
    hashed: bool = True

    def __post_init__(self):
        self.etag = self.etag or hashlib.md5(self.body).hexdigest()

    def content(self):
        return self.body, self.headers


@dataclass
class Truth:
    """The objects of one bucket, by key, oldest version first."""
    versions: dict = field(default_factory=dict)
    unlisted: set = field(default_factory=set)
    change: object = None  # called with a key: puts another version of it, straight to the server

    def now(self, key):
        return self.versions[key][-1] if self.versions.get(key) else None

    # Those that can be told from the present version by their ETag.

    def older(self, key):
        return [v for v in self.versions.get(key, ())[:-1] if v.etag != self.now(key).etag]

    def others(self, key):
        return [v[-1] for k, v in self.versions.items() if k != key and v and v[-1].etag != self.now(key).etag]


@dataclass
class Answer:
    status: int
    headers: list
    body: bytes = b""

    def get(self, name):
        return next((value for key, value in self.headers if key.lower() == name), None)

    def set(self, name, value=None):
        """Replaces a header; without a value it is taken away."""
        self.headers = [(k, v) for k, v in self.headers if k.lower() != name.lower()]
        if value is not None:
            self.headers.append((name, value))


# --- the two halves of an exchange ---

def request_body(x):
    return b"".join(x.client.pieces(x.framing))


def ask(x, body=None):
    """The server's whole answer to the request."""
    if body is None:
        body = request_body(x)
    x.server = x.proxy.connect()
    x.server.send(x.head + body)
    x._read_answer_head()
    raw = b"".join(x.server.pieces(x.answer_framing))
    x.server.close()
    head = [line.partition(":") for line in x.answer_head.decode("latin-1").split("\r\n")[1:] if ":" in line]
    answer = Answer(x.status, [(name, value.strip()) for name, _, value in head],
                    unchunk(raw) if x.answer_framing == "chunked" else raw)
    answer.set("Transfer-Encoding")
    answer.set("Connection")
    x.keep_alive = True
    if x.request.method != "HEAD":
        answer.set("Content-Length")
    return answer


def give(x, answer, framing="length", length=None, cut=None, pause=0):
    """Sends an answer. `length`: what it claims; `cut`: how much of the body comes before the end of the connection."""
    body, lines = answer.body, [f"{name}: {value}" for name, value in answer.headers]
    empty = x.request.method == "HEAD" or answer.status in (204, 304)
    if framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
    elif framing == "length" and answer.status != 204 and answer.get("content-length") is None:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    closes = framing == "close" or cut is not None or (length is not None and length != len(body))
    if closes:
        lines.append("Connection: close")
    x.request.status = answer.status
    x.client.send(f"HTTP/1.1 {answer.status} So\r\n".encode() + "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")
    if not empty:
        send_body(x, body if cut is None else body[:cut], framing == "chunked", cut is not None, pause)
    if closes:
        raise Disconnected


def send_body(x, body, chunked, unfinished, pause):
    step = max(1, len(body) // 4 + 1) if pause or chunked else max(1, len(body))
    for at in range(0, len(body), step):
        piece = body[at:at + step]
        x.client.send(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        if pause:
            x.wait(pause)
    if chunked and not unfinished:
        x.client.send(b"0\r\n\r\n")


# --- what a request is about ---

def kind_of(request):
    """list, get, head, tags, put, copy, begin, part, finish, abort, delete or other; "state ..." for the tool's own."""
    query = dict(urllib.parse.parse_qsl(request.query, keep_blank_values=True))
    if "list-type" in query:
        kind, about = "list", query.get("prefix", "")
    else:
        about = key_of(request)
        kind = {"GET": "get", "HEAD": "head", "DELETE": "delete"}.get(request.method, "other")
        if "tagging" in query:
            kind = "tags" if request.method == "GET" else "other"
        elif request.method == "PUT":
            kind = "part" if "partNumber" in query else "copy" if "x-amz-copy-source" in request.headers else "put"
        elif request.method == "POST":
            kind = "begin" if "uploads" in query else "finish"
        elif request.method == "DELETE" and "uploadId" in query:
            kind = "abort"
    return "state " + kind if about.startswith(".storsync/") else kind


def key_of(request):
    """What stands behind the bucket in the path."""
    return urllib.parse.unquote(request.path.lstrip("/").partition("/")[2], errors="surrogateescape")


def version_answer(x, version, whole=False):
    """What a server says that has this version, to the request as it is, whatever that makes a condition of."""
    span = re.fullmatch(r"bytes=(\d+)-(\d*)", x.request.headers.get("range", ""))
    told = dict(version.headers)
    if "tagging" in told:
        told["x-amz-tagging-count"] = str(told.pop("tagging").count("="))
    headers = [("ETag", f'"{version.etag}"'), ("Last-Modified", formatdate(version.modified, usegmt=True)),
               ("Accept-Ranges", "bytes"), ("Date", formatdate(usegmt=True)), *told.items()]
    if x.request.method == "HEAD":
        return Answer(200, [*headers, ("Content-Length", str(len(version.body)))])
    if not span or whole:
        return Answer(200, headers, version.body)
    first, last = int(span[1]), min(int(span[2] or len(version.body)), len(version.body) - 1)
    if first > last:
        return Answer(416, [XML], s3_error("InvalidRange").encode())
    return Answer(206, [*headers, ("Content-Range", f"bytes {first}-{last}/{len(version.body)}")],
                  version.body[first:last + 1])


# --- the lies; each is told x, the dice and what is true of the bucket ---

LIES = {}
OBJECT = ("get", "head")
ANSWERED = ("get", "head", "tags", "list", "put", "copy", "begin", "part", "finish", "abort", "other")
EVERYWHERE = (*ANSWERED, *("state " + kind for kind in (*ANSWERED, "delete")))
WRITES = ("put", "copy", "part", "finish", "begin")


def lie(name, *kinds):
    def add(function):
        LIES[name] = (function, frozenset(kinds))
        return function
    return add


def says(status, code):
    def tell(x, dice, truth):
        request_body(x)
        give(x, Answer(status, [XML], b"" if x.request.method == "HEAD" else s3_error(code).encode()))
    return tell


for number, code in ((503, "SlowDown"), (500, "InternalError"), (429, "TooManyRequests"), (400, "RequestTimeout"),
                     (400, "Odd"), (403, "AccessDenied"), (403, "SignatureDoesNotMatch"), (404, "NoSuchKey"),
                     (404, "NoSuchBucket"), (409, "OperationAborted"), (412, "PreconditionFailed"),
                     (416, "InvalidRange"), (501, "NotImplemented"), (307, "TemporaryRedirect"),
                     (301, "PermanentRedirect"), (304, "NotModified"), (404, "")):
    lie(f"{number} {code}".strip(), *EVERYWHERE)(says(number, code))


@lie("html", *EVERYWHERE)
def _html(x, dice, truth):
    request_body(x)
    give(x, Answer(200, [("Content-Type", "text/html")], HTML))


@lie("html instead of the answer", *EVERYWHERE)
def _html_after(x, dice, truth):
    ask(x)
    give(x, Answer(200, [("Content-Type", "text/html")], HTML))


@lie("204", *EVERYWHERE)
def _no_content(x, dice, truth):
    request_body(x)
    give(x, Answer(204, []))


@lie("nothing, with 200", *EVERYWHERE)
def _empty(x, dice, truth):
    request_body(x)
    give(x, Answer(200, []))


@lie("error in 200", *EVERYWHERE)
def _error_in_200(x, dice, truth):
    request_body(x)
    give(x, Answer(200, [XML], s3_error(dice.choice(["InternalError", "SlowDown", "AccessDenied"])).encode()))


@lie("error in 200, but done", *WRITES)
def _error_but_done(x, dice, truth):
    ask(x)
    give(x, Answer(200, [XML], b"  \n" + s3_error("InternalError").encode()))


@lie("reset before", *EVERYWHERE)
def _reset_before(x, dice, truth):
    x.client.reset()
    raise Disconnected


@lie("lost answer", *EVERYWHERE)
def _lost(x, dice, truth):
    ask(x)
    x.client.reset() if dice.random() < 0.5 else None
    raise Disconnected


@lie("twice", *EVERYWHERE)
def _twice(x, dice, truth):
    """A retry by something in between: the server gets the request two times, and the client one of the answers."""
    body = request_body(x)
    first, second = ask(x, body), ask(x, body)
    give(x, dice.choice([first, second]))


def same_etag(a, b):
    """Then nothing tells them apart, as with two empty objects."""
    return a.get("etag") is not None and a.get("etag") == b.get("etag")


@lie("answer repeated", *(kind for kind in EVERYWHERE if kind != "head"))
def _repeated(x, dice, truth):
    """What was answered to the last request of this kind, as by a cache that looks at too little of a request. Not for
    HEAD: see "another object"."""
    answer = ask(x)
    last = x.proxy.remembered(kind_of(x.request), answer)
    give(x, answer if same_etag(last, answer) else last)


@lie("answer sent twice", *EVERYWHERE)
def _doubled(x, dice, truth):
    answer = ask(x)
    give(x, answer)
    if answer.body or not answer.get("etag"):  # empty objects have one ETag
        give(x, answer)


@lie("slow", *EVERYWHERE)
def _slow(x, dice, truth):
    give(x, ask(x), pause=0.05)


@lie("stall", *EVERYWHERE)
def _stall(x, dice, truth):
    answer = ask(x)
    if dice.random() < 0.5:
        x.wait(30)
        raise Disconnected
    give(x, answer, length=len(answer.body), cut=len(answer.body) // 2, pause=30)


@lie("cut head", *EVERYWHERE)
def _cut_head(x, dice, truth):
    ask(x)
    x.client.send(x.answer_head[:len(x.answer_head) * 2 // 3])
    raise Disconnected


@lie("cut body", "get", "list", "copy", "finish", "state get", "state list")
def _cut(x, dice, truth):
    answer = ask(x)
    give(x, answer, length=len(answer.body), cut=int(len(answer.body) * dice.random()))


@lie("cut chunks", "get", "list", "copy", "finish", "state get", "state list")
def _cut_chunks(x, dice, truth):
    answer = ask(x)
    give(x, answer, framing="chunked", cut=int(len(answer.body) * dice.random()))


@lie("less, and said so", "get", "list", "state get", "state list")
def _shorter(x, dice, truth):
    answer = ask(x)
    answer.body = answer.body[:int(len(answer.body) * dice.random())]
    give(x, answer)


@lie("less until close", "get", "list")
def _shorter_close(x, dice, truth):
    answer = ask(x)
    answer.body = answer.body[:int(len(answer.body) * dice.random())]
    give(x, answer, framing="close")


@lie("more", "get")
def _longer(x, dice, truth):
    answer = ask(x)
    answer.body += b"and more"
    give(x, answer, framing=dice.choice(["length", "chunked", "close"]))


@lie("chunked", "get", "list", "put", "copy", "state get", "state list")
def _chunked(x, dice, truth):
    """True, but without a length: gzip-ing proxies, Google's transcoding."""
    give(x, ask(x), framing="chunked")


@lie("until close", "get", "list", "put", "copy")
def _until_close(x, dice, truth):
    give(x, ask(x), framing="close")


@lie("no length", "head")
def _no_length(x, dice, truth):
    answer = ask(x)
    answer.set("Content-Length")
    give(x, answer, framing="chunked" if dice.random() < 0.5 else "none")


@lie("no number for a length", *OBJECT)
def _odd_length(x, dice, truth):
    answer = ask(x)
    size = len(answer.body) or 7
    answer.set("Content-Length", dice.choice(["-1", f"{size}x", f"{size:#x}", f"{size}, {size + 1}", "", "1e3",
                                              f"{2 ** 64 + size}", f"{size}.0"]))
    give(x, answer)
    raise Disconnected


@lie("two lengths", "get", "head")
def _two_lengths(x, dice, truth):
    answer = ask(x)
    answer.headers.append(("Content-Length", str(len(answer.body) // 2)))
    answer.headers.insert(dice.randrange(len(answer.headers)), ("Content-Length", str(len(answer.body))))
    give(x, answer)
    raise Disconnected


@lie("no etag", "get", "head", "put", "copy", "part")
def _no_etag(x, dice, truth):
    answer = ask(x)
    answer.set("ETag")
    answer.body = re.sub(rb"<ETag>.*?</ETag>", b"", answer.body) if kind_of(x.request) == "copy" else answer.body
    give(x, answer)


def other_etag(dice):
    return hashlib.md5(dice.randbytes(8)).hexdigest()


@lie("another etag", "get", "head", "put", "copy", "part")
def _other_etag(x, dice, truth):
    answer = ask(x)
    if answer.get("etag"):
        answer.set("ETag", f'"{other_etag(dice)}"')
    if kind_of(x.request) == "copy":
        answer.body = re.sub(rb"<ETag>.*?</ETag>", b"<ETag>" + other_etag(dice).encode() + b"</ETag>", answer.body)
    give(x, answer)


@lie("two etags", "get", "head")
def _two_etags(x, dice, truth):
    answer = ask(x)
    answer.headers.insert(dice.randrange(len(answer.headers)), ("ETag", f'"{other_etag(dice)}"'))
    give(x, answer)


@lie("no tags", "tags")
def _no_tags(x, dice, truth):
    answer = ask(x)
    answer.body = re.sub(rb"<Tag>.*</Tag>", b"", answer.body)
    give(x, answer)


@lie("tags without an end", "tags")
def _half_tags(x, dice, truth):
    answer = ask(x)
    answer.body = answer.body[:len(answer.body) * 2 // 3]
    give(x, answer)


@lie("NoSuchTagSet", "tags")
def _no_such_tags(x, dice, truth):
    request_body(x)
    give(x, Answer(404, [XML], s3_error("NoSuchTagSet").encode()))


@lie("damaged", "get")
def _damaged(x, dice, truth):
    answer, version = ask(x), truth.now(key_of(x.request))
    if version and version.hashed and answer.body:
        answer.body = flipped(answer.body, dice)
    give(x, answer, framing=dice.choice(["length", "length", "chunked"]))


def flipped(body, dice):
    at = dice.randrange(len(body))
    return body[:at] + bytes([body[at] ^ 1 << dice.randrange(8)]) + body[at + 1:]


@lie("body of another object", "get")
def _other_body(x, dice, truth):
    """The right headers, other bytes: two answers mixed up."""
    answer, key = ask(x), key_of(x.request)
    others = truth.others(key) if truth.now(key) else []
    if others and truth.now(key).hashed and answer.status in (200, 206):
        answer.body = dice.choice(others).body
    give(x, answer)


@lie("older version", *OBJECT)
def _older(x, dice, truth):
    older = truth.older(key_of(x.request))
    request_body(x)
    give(x, version_answer(x, dice.choice(older)) if older else ask(x, b""))


@lie("another object", "get")
def _other(x, dice, truth):
    """Not for HEAD as well: of two that agree only another listing would say more, and those lag."""
    key = key_of(x.request)
    others = truth.others(key) if truth.now(key) else []
    request_body(x)
    give(x, version_answer(x, dice.choice(others)) if others else ask(x, b""))


@lie("no conditions", *OBJECT)
def _unconditional(x, dice, truth):
    """If-Match is not looked at."""
    version = truth.now(key_of(x.request))
    request_body(x)
    give(x, version_answer(x, version) if version and version.etag else ask(x, b""))


@lie("the whole instead of a part", "get")
def _whole(x, dice, truth):
    version = truth.now(key_of(x.request))
    request_body(x)
    give(x, version_answer(x, version, whole=True) if version else ask(x, b""))


@lie("206 instead of 200", "get")
def _partial(x, dice, truth):
    """Of an object, not asked for a part of it; now and then even less than the whole, with the right numbers."""
    answer = ask(x)
    if answer.status in (200, 206):
        size = len(answer.body)
        first = dice.choice([0, size // 2])
        answer.status, answer.body = 206, answer.body[first:]
        answer.set("Content-Range", f"bytes {first}-{max(size - 1, 0)}/{size}")
    give(x, answer)


@lie("200 instead of 206", "get")
def _not_partial(x, dice, truth):
    answer = ask(x)
    if answer.status == 206:
        answer.status = 200
        answer.set("Content-Range")
    give(x, answer)


@lie("another range", "get")
def _range(x, dice, truth):
    answer = ask(x)
    size = len(answer.body)
    if answer.status in (200, 206):
        answer.status = 206
        answer.set("Content-Range", dice.choice([
            f"bytes 1-{size}/{size + 1}", f"bytes 0-{size - 1}/{size + 7}", f"bytes 0-{size}/*", "bytes */5",
            f"bytes 0-{size + 5}/{size + 6}", "pages 1-2/3", f"bytes 7-{size + 6}/9999999999999999999999"]))
    give(x, answer)


@lie("two ranges", "get")
def _two_ranges(x, dice, truth):
    answer = ask(x)
    if answer.status == 206:
        answer.headers.insert(dice.randrange(len(answer.headers)), ("Content-Range", "bytes 3-9/10"))
    give(x, answer)


@lie("gzip", "get", "list")
def _gzip(x, dice, truth):
    """Compressed on the way, though nobody asked for it."""
    answer = ask(x)
    if answer.body and answer.status == 200:
        answer.body = gzip.compress(answer.body)
        answer.headers.append(("Content-Encoding", "gzip"))
    if answer.get("etag") and dice.random() < 0.5:
        answer.set("ETag", "W/" + answer.get("etag"))
    give(x, answer, framing=dice.choice(["length", "chunked"]))


@lie("gunzip", *OBJECT)
def _gunzip(x, dice, truth):
    """Google's decompressive transcoding: no Content-Encoding, no length."""
    answer = ask(x)
    if answer.get("content-encoding") == "gzip":
        answer.set("Content-Encoding")
        answer.set("Content-Length")
        answer.body = gzip.decompress(answer.body) if answer.body else b""
        if dice.random() < 0.5:
            answer.set("ETag")
        give(x, answer, framing=dice.choice(["chunked", "close", "length"]) if answer.body else "chunked")
    else:
        give(x, answer)


# Writing.

@lie("answered early", "put", "part", "copy", "finish")
def _early(x, dice, truth):
    """Success before the body was read; it is read and forgotten, or not read at all."""
    made_up = [("ETag", f'"{other_etag(dice)}"')] if dice.random() < 0.5 else []
    give(x, Answer(200, made_up))
    if dice.random() < 0.5:
        x.wait(0.1)
        raise Disconnected
    request_body(x)


@lie("answered early, and done", "put", "part")
def _early_done(x, dice, truth):
    give(x, Answer(200, [("ETag", f'"{other_etag(dice)}"')]))
    ask(x)


@lie("made up", "put", "part", "copy", "finish", "begin")
def _made_up(x, dice, truth):
    """Success, with an ETag, for what never got to the server."""
    request_body(x)
    body = {"copy": f"<CopyObjectResult><ETag>{other_etag(dice)}</ETag></CopyObjectResult>",
            "finish": f"<CompleteMultipartUploadResult><ETag>{other_etag(dice)}-2</ETag>"
                      "</CompleteMultipartUploadResult>",
            "begin": "<InitiateMultipartUploadResult><UploadId>none</UploadId></InitiateMultipartUploadResult>"}
    body = body.get(kind_of(x.request), "")
    give(x, Answer(200, [XML] if body else [("ETag", f'"{other_etag(dice)}"')], body.encode()))


@lie("damaged before the server", "put", "part")
def _damaged_up(x, dice, truth):
    body = request_body(x)
    give(x, ask(x, flipped(body, dice) if body else body))


# Listings.

def entries(answer):
    return re.findall(rb"<Contents>.*?</Contents>", answer.body, re.S)


def listed_keys(xml):
    return [urllib.parse.unquote(k.decode(), errors="surrogateescape") for k in re.findall(rb"<Key>(.*?)</Key>", xml)]


def with_entries(answer, some, more=b""):
    """The listing with these entries instead of its own."""
    own = entries(answer)
    head, _, rest = answer.body.partition(own[0])
    answer.body = head + b"".join(some) + rest[rest.rindex(own[-1]) + len(own[-1]) if len(own) > 1 else 0:]
    if more:
        answer.body = answer.body.replace(b"<IsTruncated>false</IsTruncated>", more)
    return answer


@lie("keys as they are", "list")
def _plain_keys(x, dice, truth):
    """encoding-type is not looked at; or it is, and not told."""
    answer = ask(x)
    if dice.random() < 0.5:
        answer.body = re.sub(rb"(?<=<Key>)(.*?)(?=</Key>)", lambda m: unquoted(m[0]), answer.body)
    answer.body = answer.body.replace(b"<EncodingType>url</EncodingType>", b"")
    give(x, answer)


@lie("keys as they are, said otherwise", "list")
def _plain_keys_lied(x, dice, truth):
    answer = ask(x)
    answer.body = re.sub(rb"(?<=<Key>)(.*?)(?=</Key>)", lambda m: unquoted(m[0]), answer.body)
    give(x, answer)


def unquoted(key):
    return urllib.parse.unquote_to_bytes(key).replace(b"&", b"&amp;").replace(b"<", b"&lt;")


@lie("keys encoded twice", "list")
def _encoded_twice(x, dice, truth):
    answer = ask(x)
    answer.body = re.sub(rb"(?<=<Key>)(.*?)(?=</Key>)", lambda m: urllib.parse.quote(m[0]).encode(), answer.body)
    give(x, answer)


@lie("a key twice", "list")
def _key_twice(x, dice, truth):
    answer = ask(x)
    own = entries(answer)
    if own:
        at = dice.randrange(len(own))
        answer = with_entries(answer, [*own[:at], own[at], *own[at:]])
    give(x, answer)


@lie("keys in disorder", "list")
def _disorder(x, dice, truth):
    answer = ask(x)
    own = entries(answer)
    if len(own) > 1:
        answer = with_entries(answer, [own[-1], *own[:-1]])
    give(x, answer)


@lie("pages", "list")
def _pages(x, dice, truth):
    """More pages than there are; now and then the next one begins with the last key of the one before."""
    query = urllib.parse.parse_qs(x.request.query)
    answer = ask(x) if "continuation-token" not in query else x.proxy.first_page(query["prefix"][0])
    answer = answer or ask(x)
    own = entries(answer)
    if len(own) > 1:
        half = len(own) // 2
        if "continuation-token" in query:
            answer = with_entries(answer, own[half - x.proxy.overlap:])
        else:
            x.proxy.keep_page(query["prefix"][0], answer, dice.randrange(2))
            more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{MADE_UP}</NextContinuationToken>".encode()
            answer = with_entries(Answer(answer.status, answer.headers, answer.body), own[:half], more)
    give(x, answer)


@lie("keys left out", "list")
def _left_out(x, dice, truth):
    answer = ask(x)
    own = entries(answer)
    if own:
        kept = [entry for entry in own if dice.random() < 0.6]
        truth.unlisted.update(set(listed_keys(b"".join(own))) - set(listed_keys(b"".join(kept))))
        answer = with_entries(answer, kept)
    give(x, answer)


@lie("an older version listed", "list")
def _lagging(x, dice, truth):
    answer = ask(x)
    own = [lagging(entry, truth, dice) for entry in entries(answer)]
    give(x, with_entries(answer, own) if own else answer)


def lagging(entry, truth, dice):
    key = listed_keys(entry)[0]
    older = truth.older(key)
    if not older or dice.random() < 0.3:
        return entry
    version = dice.choice(older)
    truth.unlisted.add(key)
    entry = re.sub(rb"<Size>\d+</Size>", b"<Size>%d</Size>" % len(version.body), entry)
    entry = re.sub(rb"<ETag>.*?</ETag>", b"<ETag>&quot;%s&quot;</ETag>" % version.etag.encode(), entry)
    return re.sub(rb"<LastModified>.*?</LastModified>", b"<LastModified>2020-02-02T02:02:02.000Z</LastModified>", entry)


@lie("no end told", "list")
def _no_end(x, dice, truth):
    answer = ask(x)
    answer.body = answer.body.replace(b"<IsTruncated>false</IsTruncated>",
                                      dice.choice([b"", b"<IsTruncated>true</IsTruncated>"]))
    give(x, answer)


@lie("a field left out", "list")
def _field_left_out(x, dice, truth):
    answer = ask(x)
    name = dice.choice([b"Size", b"ETag", b"LastModified"])
    answer.body = re.sub(b"<" + name + b">.*?</" + name + b">", b"", answer.body)
    give(x, answer)


# --- the proxy ---

class LyingProxy(FaultProxy):
    """`dice(words)`: a Random for what is named so. `menu`: the lies; `share`: of the requests that meet one;
    `patience`: how often one request about one key does at most; `state`: also about the tool's own records;
    `changes`: the share of requests during which the source changes; `truths`: a Truth for each bucket's name, the
    source first."""

    def __init__(self, upstream, truths, dice, menu, share, patience, state=True, changes=0,
                 side=""):
        super().__init__(upstream)
        self.truths, self.dice, self.menu, self.share, self.patience = truths, dice, menu, share, patience
        self.state, self.changes, self.side = state, changes, side
        self.told = []
        self.overlap = 0
        self._counts = {}
        self._last = {}
        self._pages = {}
        self._state = threading.Lock()

    def _choose(self, request):
        kind = kind_of(request)
        bucket = request.path.lstrip("/").partition("/")[0]
        truth = self.truths.get(bucket, Truth())
        query = dict(urllib.parse.parse_qsl(request.query))
        about = (kind, key_of(request) if kind != "list" else query.get("prefix"), query.get("partNumber"), bucket)
        with self._state:
            count = self._counts[about] = self._counts.get(about, 0) + 1
        self.requests.append(request)
        dice = self.dice(f"{self.side} {kind} {about[1]} {about[2]} {list(self.truths).index(bucket)} {count}")
        name = "pages" if query.get("continuation-token") == MADE_UP else self._draw(kind, count, dice)
        action = named(lambda x: LIES[name][0](x, dice, truth), name) if name else passthrough
        if kind in ("get", "head", "tags", "copy", "part", "put") and dice.random() < self.changes:
            action = self._changing(action, about[1], dice.random() < 0.5)
        if action is not passthrough:
            request.fault = action.__name__
            self.told.append(f"{self.side} {request.method} {kind} {about[1]} #{count}: {action.__name__}")
        return action

    def _draw(self, kind, count, dice):
        fitting = [name for name in self.menu if kind in LIES[name][1]]
        if kind.startswith("state ") and not self.state:
            return None
        if not fitting or count > self.patience or dice.random() >= self.share:
            return None
        return dice.choice(fitting)

    def _changing(self, action, key, before):
        """The source changes right before the request is seen by the server, or while it is answered."""
        source = next(iter(self.truths.values()))
        if not source.change or not source.versions.get(key):
            return action

        def changed(x):
            if before:
                source.change(key)
                action(x)
            else:
                give = x.client.send
                x.client.send = lambda data: (source.change(key), setattr(x.client, "send", give), give(data))
                action(x)
        return named(changed, f"{action.__name__}, changed {'before' if before else 'meanwhile'}")

    def remembered(self, what, answer):
        """The last such answer, or this one if there was none."""
        with self._state:
            last = self._last.get(what, answer)
            self._last[what] = Answer(answer.status, list(answer.headers), answer.body)
        return last

    def keep_page(self, prefix, answer, overlap):
        self._pages[prefix] = Answer(answer.status, list(answer.headers), answer.body)
        self.overlap = overlap

    def first_page(self, prefix):
        page = self._pages.get(prefix)
        return page and Answer(page.status, list(page.headers), page.body)
