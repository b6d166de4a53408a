"""A small misbehaving server: an HTTP/1.1 relay in front of any endpoint that breaks what it is told to break.

It forwards bytes untouched (Host included, since SigV4 signs it) until a request matches a rule; the rule's
action then decides. An action is a function of one Exchange, so a new fault is a few lines:

    proxy = FaultProxy(rgw.endpoint).start()
    proxy.fault(answer(503, s3_error("SlowDown")), method="PUT", target="/bucket/", times=2)
    proxy.fault(reset_after, target="x-id=Complete", skip=1)      # the second such request
    ... run the tool against proxy.endpoint ...
    proxy.requests                                                # what was asked, and which fault it met

Bodies are streamed in pieces of PIECE bytes: a 200 MiB object passes without being held.
"""
import re
import socket
import ssl
import struct
import threading
import time
import urllib.parse
from dataclasses import dataclass, field

PIECE = 256 * 1024
FOREVER = 10 ** 9


class Disconnected(Exception):
    """One of the two sides went away; the other is closed as well."""


@dataclass
class Request:
    """One line of the record."""
    method: str
    target: str
    headers: dict
    connection: int
    at: float = field(default_factory=time.monotonic)
    status: int = 0      # what the client was told, 0 for nothing
    fault: str = ""      # the action that it met

    path = property(lambda self: self.target.partition("?")[0])
    query = property(lambda self: self.target.partition("?")[2])


@dataclass
class Rule:
    """When an action happens: after `skip` matching requests, then to every `every`-th, at most `times` times."""
    action: object
    method: str = None
    target: object = None
    skip: int = 0
    every: int = 1
    times: int = 1
    seen: int = 0
    done: int = 0

    def fires(self, request):
        if self.method not in (None, request.method) or (self.target and not self.target.search(request.target)):
            return False
        self.seen += 1
        due = self.seen > self.skip and (self.seen - self.skip - 1) % self.every == 0 and self.done < self.times
        self.done += due
        return due


class Wire:
    """A socket with just enough HTTP/1.1 framing to know where a message ends."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""

    def receive(self, limit=PIECE):
        if self.buffer:
            piece, self.buffer = self.buffer[:limit], self.buffer[limit:]
            return piece
        try:
            return self.sock.recv(limit)
        except OSError as error:
            raise Disconnected(str(error)) from error

    def until(self, mark):
        """Everything up to and including `mark`; b"" when the peer closed before the first byte."""
        data = b""
        while mark not in data:
            piece = self.receive()
            if not piece:
                if data:
                    raise Disconnected("closed inside a message")
                return b""
            data += piece
        end = data.index(mark) + len(mark)
        self.buffer = data[end:] + self.buffer
        return data[:end]

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError as error:
            raise Disconnected(str(error)) from error

    def pieces(self, framing):
        """The raw bytes of a body: chunk headers of a chunked one are part of it."""
        if framing == "chunked":
            while True:
                head = self.until(b"\r\n")
                size = int(head.split(b";")[0] or b"0", 16)
                yield head
                if size == 0:
                    yield self.until(b"\r\n")  # no trailers here
                    return
                yield from self.pieces(size + 2)
        elif framing == "close":
            while piece := self.receive():
                yield piece
        else:
            left = framing
            while left:
                piece = self.receive(min(PIECE, left))
                if not piece:
                    raise Disconnected("closed inside a body")
                left -= len(piece)
                yield piece

    def reset(self):
        """RST instead of FIN, as a crashed server or a firewall does."""
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raw = self.sock.detach()  # under TLS too, without a close_notify
            socket.socket(fileno=raw).close()
        except OSError:
            pass

    def close(self):
        try:
            self.sock.close()
        except OSError:
            pass


def parse_head(head):
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return first, headers


def framing_of(headers, otherwise):
    if "chunked" in headers.get("transfer-encoding", ""):
        return "chunked"
    return int(headers["content-length"]) if "content-length" in headers else otherwise


class Exchange:
    """One request and its answer: the primitives that actions are made of."""

    def __init__(self, proxy, client, head, request):
        self.proxy = proxy
        self.client = client
        self.head = head
        self.request = request
        self.framing = framing_of(request.headers, 0)
        self.expects = "100-continue" in request.headers.get("expect", "").lower()
        self.hide_continue = False
        self.keep_alive = True
        self.answer_head = b""
        self.answer_framing = 0
        self.status = 0

    def drain(self):
        """Reads the request's body and forgets it."""
        if self.expects:
            self.keep_alive = False  # the client was never told to go on: nobody knows what it sends next
            return
        for _ in self.client.pieces(self.framing):
            pass

    def reply(self, status, body=b"", headers=()):
        """Our own answer instead of the server's."""
        lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in dict(headers).items())]
        if not any(line.lower().startswith(("content-length:", "transfer-encoding:")) for line in lines):
            lines.append(f"Content-Length: {len(body)}")
        if not self.keep_alive:
            lines.append("Connection: close")
        self.request.status = status
        self.client.send("\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if self.request.method == "HEAD" else body))

    def forward(self):
        """Sends the request to the server and reads the head of its answer."""
        self.server = self.proxy.connect()
        self.server.send(self.head)
        if not (self.expects and self._final_before_body()):
            for piece in self.client.pieces(self.framing):
                self.server.send(piece)
            self._read_answer_head()

    def _final_before_body(self):
        self._read_answer_head(keep_100=True)
        if self.status != 100:
            self.keep_alive = False
            return True
        if not self.hide_continue:
            self.client.send(self.answer_head)
        return False

    def _read_answer_head(self, keep_100=False):
        while True:
            self.answer_head = self.server.until(b"\r\n\r\n")
            if not self.answer_head:
                raise Disconnected("the server closed without an answer")
            first, headers = parse_head(self.answer_head)
            self.status = int(first.split()[1])
            if self.status >= 200 or keep_100:
                break
        bodiless = self.request.method == "HEAD" or self.status in (204, 304) or self.status < 200
        self.answer_framing = 0 if bodiless else framing_of(headers, "close")
        if self.answer_framing == "close" or headers.get("connection", "").lower() == "close":
            self.keep_alive = False

    def relay(self, limit=FOREVER):
        """Passes the answer on, at most `limit` bytes of its body; tells whether that was all of it."""
        self.request.status = self.status
        self.client.send(self.answer_head)
        for piece in self.server.pieces(self.answer_framing):
            self.client.send(piece[:limit])
            limit -= len(piece)
            if limit <= 0 and self.answer_framing != "close":
                return False
        return True

    def swallow(self):
        """Reads the whole answer, so that the server has surely finished, and forgets it."""
        for _ in self.server.pieces(self.answer_framing):
            pass

    def wait(self, seconds):
        """Says nothing for that long, or until the test ends."""
        self.proxy.stopping.wait(seconds)


# --- actions ---

def passthrough(x):
    x.forward()
    x.relay()


def answer(status, body=b"", headers=(), drain=True):
    """A made-up answer: errors, redirects, HTML, an <Error> with status 200."""
    def action(x):
        if drain:
            x.drain()
        else:
            x.keep_alive = False
        x.reply(status, body.encode() if isinstance(body, str) else body, headers)
    return named(action, f"answer {status}")


def slow_down(retry_after=None):
    headers = {"Content-Type": "application/xml", **({"Retry-After": retry_after} if retry_after is not None else {})}
    return answer(503, s3_error("SlowDown", "Please reduce your request rate."), headers)


def wrong_region(region, status=301):
    """What S3 says to a request for a bucket that lives in another region, to the same address."""
    body = s3_error("PermanentRedirect" if status == 301 else "TemporaryRedirect", Region=region)
    return answer(status, body, {"x-amz-bucket-region": region, "Content-Type": "application/xml"})


def malformed_authorization(region):
    return answer(400, s3_error("AuthorizationHeaderMalformed", f"the region is wrong; expecting '{region}'",
                                Region=region), {"Content-Type": "application/xml"})


def reset_before(x):
    """The server never saw it."""
    x.client.reset()
    raise Disconnected


def reset_after(x):
    """The server did it, the client cannot know."""
    x.forward()
    x.swallow()
    x.client.reset()
    raise Disconnected


def drop_answer(x):
    """As reset_after, but with an orderly close."""
    x.forward()
    x.swallow()
    raise Disconnected


def reset_body(after):
    """Passes `after` bytes of the answer's body and then resets."""
    def action(x):
        x.forward()
        x.relay(after)
        x.client.reset()
        raise Disconnected
    return named(action, f"reset_body {after}")


def truncate(after):
    """The full Content-Length, but only `after` bytes before the close."""
    def action(x):
        x.forward()
        x.relay(after)
        raise Disconnected
    return named(action, f"truncate {after}")


def stall(seconds=FOREVER, after=None):
    """Silence instead of an answer, or after `after` bytes of its body."""
    def action(x):
        if after is None:
            x.wait(min(seconds, threading.TIMEOUT_MAX))
        else:
            x.forward()
            x.relay(after)
            x.wait(min(seconds, threading.TIMEOUT_MAX))
        raise Disconnected
    return named(action, "stall")


def delay(seconds):
    def action(x):
        x.wait(seconds)
        passthrough(x)
    return named(action, f"delay {seconds}")


def once(condition):
    """Passes on once `condition()` holds, which somebody else brings about."""
    def action(x):
        while not condition() and not x.proxy.stopping.wait(0.005):
            pass
        passthrough(x)
    return named(action, "once")


def wrong_length(difference):
    """A Content-Length that is off by `difference`; the body as it is, then close."""
    def action(x):
        x.forward()
        x.answer_head = re.sub(rb"(?i)(content-length: *)(\d+)",
                               lambda m: m[1] + str(max(0, int(m[2]) + difference)).encode(), x.answer_head)
        x.relay()
        raise Disconnected
    return named(action, f"wrong_length {difference:+d}")


def no_continue(x):
    """Takes the request, but never says 100 Continue: the client has to go on by itself."""
    x.hide_continue = True
    passthrough(x)


def edit_body(pattern, replacement):
    """Changes the text of a (small) answer, to make listings lie."""
    def action(x):
        x.forward()
        body = b"".join(x.server.pieces(x.answer_framing))
        if x.answer_framing == "chunked":
            body = unchunk(body)
        x.reply(x.status, re.sub(pattern, replacement, body), {"Content-Type": "application/xml"})
    return named(action, "edit_body")


def named(action, name):
    action.__name__ = name
    return action


def unchunk(raw):
    body = b""
    while raw:
        size, _, raw = raw.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        body, raw = body + raw[:length], raw[length + 2:]
        if not length:
            break
    return body


def s3_error(code, message="made up by the test", **more):
    extra = "".join(f"<{name}>{value}</{name}>" for name, value in more.items())
    return (f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message>{extra}'
            f"<RequestId>test</RequestId></Error>")


# --- the server ---

class FaultProxy:
    """Listens on a free port of `address`, or on the socket it is given. Without `upstream` every request needs a rule
    (the default answers HTML)."""

    def __init__(self, upstream=None, tls=None, address="127.0.0.1", listener=None):
        url = urllib.parse.urlsplit(upstream or "")
        self.upstream = (url.hostname, url.port) if upstream else None
        self.tls = tls
        self.address = address
        self._listener = listener
        self.rules = []
        self.requests = []
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._wires = set()
        self.connections = 0

    def start(self):
        if not self._listener:
            family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
            self._listener = socket.create_server((self.address, 0), family=family, backlog=128)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    @property
    def endpoint(self):
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    def stop(self):
        self.stopping.set()
        for wire in [*self._wires]:
            try:
                wire.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        stop_listening(self._listener, self._thread)

    def fault(self, action, method=None, target=None, **when):
        """Adds a rule; rules added first win. `target` is a regular expression for path?query as sent."""
        rule = Rule(action, method, re.compile(target) if target else None, **when)
        with self._lock:
            self.rules.append(rule)
        return rule

    def clear(self):
        with self._lock:
            self.rules.clear()
            self.requests.clear()

    def connect(self):
        if not self.upstream:
            raise Disconnected("no server behind")
        try:
            return self._open(socket.create_connection(self.upstream, timeout=60))
        except OSError as error:
            raise Disconnected(str(error)) from error

    def _open(self, sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire = Wire(sock)
        self._wires.add(wire)
        return wire

    def _accept(self):
        for sock in accepted(self._listener, self.stopping):
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True).start()

    def _serve(self, sock, number):
        client = None
        try:
            if self.tls:
                sock = self.tls.wrap_socket(sock, server_side=True)
            client = self._open(sock)
            while self._one(client, number):
                pass
        except (Disconnected, ssl.SSLError, OSError):
            pass
        finally:
            self._close(client or Wire(sock))

    def _one(self, client, number):
        head = client.until(b"\r\n\r\n")
        if not head:
            return False
        first, headers = parse_head(head)
        method, target, _ = first.split(" ", 2)
        request = Request(method, target, headers, number)
        exchange = Exchange(self, client, head, request)
        try:
            self._choose(request)(exchange)
        finally:
            if hasattr(exchange, "server"):
                self._close(exchange.server)
        return exchange.keep_alive and headers.get("connection", "").lower() != "close"

    def _choose(self, request):
        with self._lock:
            self.requests.append(request)
            for rule in self.rules:
                if rule.fires(request):
                    request.fault = rule.action.__name__
                    return rule.action
        return passthrough if self.upstream else answer(200, "<html><body>It works!</body></html>\n",
                                                        {"Content-Type": "text/html"})

    def _close(self, wire):
        self._wires.discard(wire)
        wire.close()


def accepted(listener, stopping):
    """The connections that come in, until the listener is closed."""
    while not stopping.is_set():
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        yield sock


def stop_listening(listener, thread):
    """Only when its thread is gone: a thread in accept holds the port, or takes what is meant for the next listener
    with the same file descriptor."""
    listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    listener.close()


KEPT = []


def closed_port():
    """An address on which nobody listens, nor will, as long as this process lives: it is taken, by who does not listen."""
    KEPT.append(socket.socket())
    KEPT[-1].bind(("127.0.0.1", 0))
    return KEPT[-1].getsockname()[1]


class BlackHole:
    """An address whose connects never finish: the listen queue is full and nobody accepts."""

    def __init__(self, address="127.0.0.1", port=0):
        self.family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.address, self.port = address, port

    def __enter__(self):
        self._listener = socket.socket(self.family)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((self.address, self.port))
        self._listener.listen(0)
        self.port = self._listener.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._fillers = []
        for _ in range(4):
            filler = socket.socket(self.family)
            filler.setblocking(False)
            filler.connect_ex((self.address, self.port))
            self._fillers.append(filler)
        return self

    def __exit__(self, *_):
        for sock in [*self._fillers, self._listener]:
            sock.close()


class Silence:
    """A port that takes connections, or datagrams, and never says a word. `heard` is set when somebody has spoken."""

    def __init__(self, kind=socket.SOCK_STREAM, address=("127.0.0.1", 0)):
        self.socket = socket.socket(socket.AF_INET, kind)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(address)
        self.socket.settimeout(0.05)
        if kind == socket.SOCK_STREAM:
            self.socket.listen(64)
        self.port = self.socket.getsockname()[1]
        self.heard = threading.Event()
        self.stopping = threading.Event()
        self.kept = []
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _listen(self):
        while not self.stopping.is_set():
            try:
                if self.socket.type == socket.SOCK_STREAM:
                    self.kept.append(self.socket.accept()[0])
                    self.kept[-1].recv(1)
                else:
                    self.socket.recvfrom(1)
                self.heard.set()
            except OSError:
                pass  # nobody came in a while, or went away again

    def close(self):
        self.stopping.set()
        self.thread.join()
        for sock in [*self.kept, self.socket]:
            sock.close()
