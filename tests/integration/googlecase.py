"""Google Cloud Storage and who gives its tokens, at their own names and addresses, in a network of a test's own.

    self.google                  the storage (gcs.py), which takes only tokens that were given out, if any were
    self.front                   a FaultProxy before it, at https://storage.googleapis.com
    self.start_identity()        oauth2, sts and iamcredentials.googleapis.com, and a metadata server
    self.stranger                who is at any other name: everything that gets there has gone astray
    self.run_tool(..., env=)     the tool, in there; nothing says where Google is
"""
import json
import threading
import urllib.parse
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pki
from gcs import GoogleStorage
from harness import RUN, TestCase

STORAGE, IDENTITY, STRANGER, METADATA = "127.0.0.1", "127.0.0.2", "127.0.0.3", "169.254.169.254"
NAMES = {"storage.googleapis.com": STORAGE, "oauth2.googleapis.com": IDENTITY, "sts.googleapis.com": IDENTITY,
         "iamcredentials.googleapis.com": IDENTITY, "stranger.example": STRANGER}


class Plain(ThreadingHTTPServer):
    """On a socket that listens already."""
    daemon_threads = True

    def __init__(self, listener, handler):
        super().__init__(("", 0), handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener

    def start(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self):
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        """Clients go away, and that is no news."""


@dataclass
class Request:
    method: str
    host: str
    path: str
    headers: dict
    body: str

    form = property(lambda self: dict(urllib.parse.parse_qsl(self.body)))
    everything = property(lambda self: f"{self.path} {self.headers} {self.body}")


class Identity:
    """Gives a token to everybody. What was asked (`requests`) is for the test to judge; `extra` says what is answered
    to some paths, and `status` is that of all answers."""

    def __init__(self, google):
        self.google = google
        self.requests = []
        self.given = []
        self.extra = {}
        self.status = 200
        google.tokens = []
        identity = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                host = self.headers["Host"].partition(":")[0]
                request = Request(self.command, host, self.path, dict(self.headers), body)
                identity.requests.append(request)
                text = identity.answer(request).encode()
                self.send_response(identity.status)
                self.send_header("Metadata-Flavor", "Google")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PUT = handle_any

        self.handler = Handler

    def answer(self, request):
        if request.path in self.extra:
            return self.extra[request.path]
        self.given.append(f"ya29.{request.host.partition('.')[0]}-{len(self.given) + 1}-of-some-length")
        self.google.tokens = [*self.google.tokens, self.given[-1]]
        if "generateAccessToken" in request.path:
            return json.dumps({"accessToken": self.given[-1], "expireTime": "2099-01-01T00:00:00Z"})
        return json.dumps({"access_token": self.given[-1], "expires_in": 3600, "token_type": "Bearer"})

    def asked(self, host):
        return [r for r in self.requests if r.host == host]


class GoogleCase(TestCase):
    def setUp(self):
        super().setUp()
        self.needs_root("addresses of others")
        (self.dir / "hosts").write_text("".join(f"{a} {n}\n" for n, a in {"localhost": STORAGE, **NAMES}.items()))
        authority = RUN.pki.bundle(RUN.authority)
        self.space = self._namespace(f"ip address add {METADATA} dev lo\n"
                                     f"mount --bind '{self.dir}/hosts' /etc/hosts\n"
                                     "mount -t tmpfs none /etc/ssl/certs\n"
                                     f"cp '{authority}' /etc/ssl/certs/ca-certificates.crt\n", network=True)
        certificate = RUN.pki.issue("Google", RUN.authority, names=[*NAMES])
        self.tls = pki.server_context(RUN.pki.pem(certificate))
        self.google = GoogleStorage().start()
        self.google.scheme = "https"
        self.addCleanup(self.google.stop)
        self.front = self.at(STORAGE, self.google.endpoint)
        self.stranger = self.at(STRANGER)

    def at(self, address, upstream=None):
        return self.proxy(upstream, listener=self.space.listen(address, 443), tls=self.tls)

    def start_identity(self):
        self.identity = Identity(self.google)
        for listener in (self.tls.wrap_socket(self.space.listen(IDENTITY, 443), server_side=True,
                                              do_handshake_on_connect=False), self.space.listen(METADATA, 80)):
            self.addCleanup(Plain(listener, self.identity.handler).start().stop)

    def run_tool(self, *args, env, **how):
        return self.tool(*args, env=env, prefix=self.space.prefix, timeout=60, **how)
