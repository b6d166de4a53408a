"""A small OpenID Connect provider on loopback, and what Ceph RGW needs to trust it.

RGW looks at a web identity as AWS does: it reads the issuer's discovery document and keys, compares the certificate's
thumbprint with the registered one, checks the signature, and then the role's trust policy.
"""
import base64
import hashlib
import http.server
import itertools
import json
import subprocess
import threading
import time
from pathlib import Path

AUDIENCE = "storsync"


def compact(data):
    """Without spaces: RGW 16.2 does not decode those of a form."""
    return json.dumps(data, separators=(",", ":"))


def encode(data):
    if not isinstance(data, bytes):
        data = compact(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """Issues tokens, and answers with the documents that they can be checked with."""

    def __init__(self, directory):
        self.key, self.cert = Path(directory) / "oidc.key", Path(directory) / "oidc.pem"
        self._numbers = itertools.count(1)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                        "/CN=issuer", "-keyout", self.key, "-out", self.cert], check=True, capture_output=True)
        der = subprocess.run(["openssl", "x509", "-in", self.cert, "-outform", "DER"], check=True,
                             capture_output=True).stdout
        self.thumbprint = hashlib.sha1(der).hexdigest().upper()
        documents = {"/.well-known/openid-configuration": lambda: {"issuer": self.url, "jwks_uri": self.url + "/keys"},
                     "/keys": lambda: {"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1",
                                                 "x5c": [base64.b64encode(der).decode()]}]}}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                known = documents.get(self.path)
                body = json.dumps(known() if known else {}).encode()
                self.send_response(200 if known else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    host = property(lambda self: self.url.partition("://")[2])

    def token(self, life=3600, **claims):
        """A signed token, unlike all others before."""
        now = int(time.time())
        head = encode({"alg": "RS256", "typ": "JWT", "kid": "1"})
        body = encode({"iss": self.url, "sub": "pod", "aud": AUDIENCE, "iat": now, "exp": now + life,
                       "jti": str(next(self._numbers)), **claims})
        signed = f"{head}.{body}"
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=signed.encode(),
                                   check=True, capture_output=True).stdout
        return f"{signed}.{encode(signature)}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def trust(server, issuer, user, role):
    """Registers the issuer with an RGW, and makes a role that its tokens may assume. Returns the role's ARN."""
    iam = server.iam(user)
    provider = iam.create_open_id_connect_provider(Url=issuer.url, ClientIDList=[AUDIENCE],
                                                   ThumbprintList=[issuer.thumbprint])
    policy = {"Version": "2012-10-17",
              "Statement": [{"Effect": "Allow", "Action": ["sts:AssumeRoleWithWebIdentity"],
                             "Principal": {"Federated": [provider["OpenIDConnectProviderArn"]]},
                             "Condition": {"StringEquals": {f"{issuer.host}:aud": AUDIENCE}}}]}
    return make_role(iam, role, policy)


def make_role(iam, name, trust_policy):
    """A role that may do everything with every bucket of its owner."""
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::*"}]}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=compact(trust_policy))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=compact(allow))
    return arn
