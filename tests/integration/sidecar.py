"""Replit's sidecar, which gives an app the tokens for its buckets, at an address that nothing changes.

Replit documents it nowhere. What it is asked, and what it answers, is what Replit's own client libraries make of it.

    sidecar = Sidecar(listener, google).start()     # a socket on that address; the GoogleStorage that takes its tokens
    sidecar.statuses = [503, None, 500]              # so the next requests are answered; None: as always
    sidecar.attached = False                         # no bucket is attached to the app
    sidecar.revoke()                                 # no token that it has given is taken any more
    sidecar.requests                                 # ("GET", "/credential"), ...
"""
import json
import urllib.parse
from http.server import BaseHTTPRequestHandler

from googlecase import Plain

PORT = 1106
WANTED = {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "audience": "replit",
          "requested_token_type": "urn:ietf:params:oauth:token-type:access_token", "subject_token_type": "access_token"}
SCOPE = "https://www.googleapis.com/auth/devstorage.full_control"
UNSIGNED = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.e30."  # {"alg":"none","typ":"JWT"}


class Sidecar:
    def __init__(self, listener, google):
        self.google = google
        self.requests = []
        self.statuses = []
        self.attached = True
        self.given = []          # every secret that has left this: credentials and tokens
        google.tokens = []
        self._httpd = Plain(listener, handler_of(self))

    def start(self):
        self._httpd.start()
        return self

    def stop(self):
        self._httpd.stop()

    def revoke(self):
        self.google.tokens = []

    def asked(self, path):
        return self.requests.count(path)

    def make(self, stem):
        self.given.append(f"{stem}-{len(self.given) + 1}-of-some-length")
        return self.given[-1]

    def token(self, form):
        """(status, answer) of an exchange."""
        fields = dict(urllib.parse.parse_qsl(form))
        wrong = [name for name, value in WANTED.items() if fields.get(name) != value]
        if wrong or SCOPE not in fields.get("scope", "").split():
            return 400, {"error": "invalid_request", "error_description": " ".join(wrong) or "scope"}
        if not self.attached or fields.get("subject_token") not in self.given:
            return 401, "no allowed resources"
        token = self.make("ya29.replit")
        self.google.tokens = [*self.google.tokens, token]
        return 200, {"access_token": token, "issued_token_type": WANTED["requested_token_type"], "token_type": "Bearer",
                     "expires_in": 3600}


def handler_of(sidecar):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def answer(self, status, value):
            body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if isinstance(value, str) else "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def handle_any(self):
            form = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            sidecar.requests.append(self.path)
            status = sidecar.statuses.pop(0) if sidecar.statuses else None
            if status:
                self.answer(status, "not now")
            elif (self.command, self.path) == ("GET", "/credential"):
                self.answer(200, {"access_token": sidecar.make("app.credential") if sidecar.attached else UNSIGNED})
            elif (self.command, self.path) == ("POST", "/token"):
                self.answer(*sidecar.token(form))
            else:
                self.answer(404, "not found")

        do_GET = do_POST = handle_any

    return Handler
