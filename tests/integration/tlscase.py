"""What the tests of TLS share: certificates of this run, servers for one handshake, and the two verdicts."""
import re
import subprocess
import threading
import time

import pki
import tlsraw
from harness import PATH, RUN, TestCase
from proxyfault import FOREVER, answer

XML = {"Content-Type": "application/xml"}
NO_OBJECTS = ('<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
              "<Name>b</Name><Prefix>{}</Prefix><KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys>"
              "<IsTruncated>false</IsTruncated></ListBucketResult>").format
# A message is for a person, who knows neither the libraries nor their numbers.
UNREADABLE = re.compile(r"(?i)\b0x[0-9a-f]{2,}|bearssl|curl|[\x00-\x1f\x7f\ufffd]")


class OpensslServer:
    """`openssl s_server`, for what Python's ssl cannot be told. It answers one request, with an empty listing."""

    def __init__(self, pem, *options):
        self.connections, self.requests = 1, []
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", pem,
             "-cert_chain", pem, "-naccept", "1", *options],
            env={"PATH": PATH}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for line in self.process.stdout:
            if match := re.match(rb"ACCEPT .*:(\d+)", line):
                self.port = int(match[1])
                break
        else:
            raise AssertionError("openssl s_server does not start")
        self._thread = threading.Thread(target=self._answer, daemon=True)
        self._thread.start()

    def _answer(self):
        for line in self.process.stdout:
            if line.startswith(b"GET "):
                self.requests.append(line)
            elif line == b"\r\n":
                body = NO_OBJECTS("").encode()
                self.process.stdin.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                self.process.stdin.flush()

    def stop(self):
        self.process.kill()
        self.process.wait()
        self._thread.join()
        self.process.stdin.close()
        self.process.stdout.close()


class TlsCase(TestCase):
    """Every certificate comes from `root`, through `middle` where a chain is wanted."""

    def setUp(self):
        super().setUp()
        self.pki, self.root = RUN.pki, RUN.authority
        if "middle" not in RUN.cache:
            RUN.cache["middle"] = self.pki.issue("Test Intermediate", self.root, ca=True)
        self.middle = RUN.cache["middle"]

    def leaf(self, by=None, names=("localhost",), **how):
        return self.pki.issue("server of the test", by or self.root, names=names, **how)

    # --- servers ---

    def serve(self, *chain, address="127.0.0.1", change=None, **how):
        """Shows this chain; answers with an empty listing. `change` may alter the ssl.SSLContext."""
        context = pki.server_context(self.pki.pem(*chain), **how)
        if change:
            change(context)
        server = self.proxy(tls=context, address=address)
        server.fault(answer(200, NO_OBJECTS(""), XML), times=FOREVER)
        return server

    def openssl(self, leaf, *options):
        server = OpensslServer(self.pki.pem(leaf), *options)
        self.addCleanup(server.stop)
        return server

    def raw(self, reply, kind=tlsraw.RawServer, **how):
        """Answers every ClientHello with these bytes."""
        server = kind(reply, **how)
        self.addCleanup(server.stop)
        return server

    # --- verdicts ---

    def visit(self, server, ca_file=None, host="localhost", prefix=(), **more):
        """One run that has to ask the server for a listing, and trusts `root` unless told otherwise."""
        env = {"STORSYNC_SOURCE_BUCKET": "b", "STORSYNC_SOURCE_PATH_STYLE": "yes",
               "STORSYNC_SOURCE_ACCESS_KEY_ID": "a", "STORSYNC_SOURCE_SECRET_ACCESS_KEY": "swordfish",
               "STORSYNC_SOURCE_ENDPOINT": f"https://{host}:{server.port}",
               "STORSYNC_SOURCE_CA_FILE": str(ca_file or self.pki.bundle(self.root)),
               "STORSYNC_PUBLIC_OBJECT_SEARCH_PATHS": "/b/public", "STORSYNC_RETRIES": "0",
               **self.dir_bucket().env("destination"), **more}
        return self.tool("--validate", env=env, prefix=prefix)

    def accepted(self, server, **how):
        tool = self.visit(server, **how)
        self.assertEqual((tool.code, tool.errors), (0, []))
        self.assertEqual(len(server.requests), 1)
        return tool

    def refused(self, server, says, host="localhost", code=69, tries=1, **how):
        """A final verdict: told in words, not tried again, and the server has not seen a byte of the request."""
        tool = self.visit(server, host=host, **{"STORSYNC_RETRIES": "1", **how})
        self.assertEqual((tool.code, len(tool.errors)), (code, 1), tool.err)
        self.assertRegex(tool.errors[0], says)
        self.readable(tool.errors[0], f"{host}:{server.port}")
        until = time.monotonic() + RUN.slow
        while server.connections < tries and time.monotonic() < until:
            time.sleep(0.005)  # the client may have given up before the server has seen it
        self.assertEqual(server.connections, tries)
        self.assertEqual(getattr(server, "requests", []), [])
        return tool

    def readable(self, message, peer):
        self.assertNotRegex(message, UNREADABLE)
        self.assertIn(peer, message)
        self.assertLess(len(message), 500)
