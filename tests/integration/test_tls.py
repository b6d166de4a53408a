"""https with a private certificate authority: the proxy ends TLS in front of an RGW."""
import itertools
import socket
import ssl
import subprocess
import threading

import data
from harness import RUN, TestCase, sides
from proxyfault import accepted, stop_listening


def certificate(directory, name, issuer=None, authority=None, names=None):
    """Makes NAME.pem (key and certificate, for `names`, else the DNS name `name`), signed by `issuer` or by itself."""
    authority = not issuer if authority is None else authority
    key, request, certificate = (directory / f"{name}.{end}" for end in ("key", "csr", "crt"))
    extensions = directory / f"{name}.ext"
    extensions.write_text(f"basicConstraints=CA:{'TRUE' if authority else 'FALSE'}\n"
                          f"subjectAltName={names or 'DNS:' + name}\n")
    signer = ["-CA", directory / f"{issuer}.crt", "-CAkey", directory / f"{issuer}.key", "-CAcreateserial"] \
        if issuer else ["-signkey", key]
    for command in (["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key,
                     "-out", request],
                    ["openssl", "x509", "-req", "-in", request, *signer, "-days", "2", "-extfile", extensions,
                     "-out", certificate]):
        subprocess.run(command, check=True, capture_output=True)
    (directory / f"{name}.pem").write_bytes(key.read_bytes() + certificate.read_bytes())
    return directory / f"{name}.pem"


def server_context(pem, oldest=ssl.TLSVersion.TLSv1_2, newest=ssl.TLSVersion.TLSv1_3):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    context.minimum_version, context.maximum_version = oldest, newest
    return context


class Pieces:
    """Passes TCP on to a port, in pieces that begin and end anywhere in what TLS makes of it: in the middle of a record's header,
    behind one, at a record's end. What is sent here is taken slowly: the kernel's buffers are small."""
    SIZES = (1, 4, 5, 6, 1000, 16408, 16413, 3, 16384, 40000, 2)

    def __init__(self, port):
        self.to = port
        self.stopping = threading.Event()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(64)
        self.endpoint = f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        for client in accepted(self.listener, self.stopping):
            server = socket.create_connection(("127.0.0.1", self.to))
            for sock in (client, server):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for way in ((client, server), (server, client)):
                threading.Thread(target=self.pass_on, args=way, daemon=True).start()

    def pass_on(self, source, sink):
        try:
            for size in itertools.cycle(self.SIZES):
                piece = source.recv(size)
                sink.sendall(piece)
                if not piece:
                    break
        except OSError:
            pass
        for sock in (source, sink):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def stop(self):
        self.stopping.set()
        stop_listening(self.listener, self.thread)


class Tls(TestCase):
    def setUp(self):
        super().setUp()
        if "tls" not in RUN.cache:
            directory = RUN.tmp / "tls"
            directory.mkdir()
            certificate(directory, "authority")
            certificate(directory, "localhost", issuer="authority")
            certificate(directory, "other.example", issuer="authority")
            certificate(directory, "stranger")
            certificate(directory, "address", issuer="authority", names="IP:127.0.0.1")
            certificate(directory, "own", authority=False, names="IP:127.0.0.1")
            RUN.cache["tls"] = directory
        self.certificates = RUN.cache["tls"]
        self.source, self.destination = self.s3_bucket(), self.s3_bucket()
        for number in range(40):
            self.source.put(f"public/{number} +%", data.body(number, 100_000), ContentType="image/png")

    def sync(self, name="address", ca="authority", **context):
        proxy = self.proxy(self.source.server.endpoint,
                           tls=server_context(self.certificates / f"{name}.pem", **context))
        ca_file = str(self.certificates / f"{ca}.crt")
        env = {**sides(self.source, self.destination, STORSYNC_RETRIES="1"),
               **self.source.env("source", endpoint=proxy.endpoint, ca_file=ca_file)}
        return self.tool("--sync", env=env)

    def test_private_authority(self):
        self.assertEqual(self.sync().code, 0)
        self.assertEqual(data.compare_buckets(self.source, self.destination, ("public/",)), [])

    def test_records_in_pieces(self):
        """Records that arrive cut anywhere, and are taken a little at a time: the same bytes."""
        self.source.put("public/large", data.body(7, 9_000_001))
        proxy = self.proxy(self.source.server.endpoint, tls=server_context(self.certificates / "address.pem"))
        reading, writing = (Pieces(int(proxy.endpoint.rpartition(":")[2])) for _ in range(2))  # two: relayed, not copied
        ca_file = str(self.certificates / "authority.crt")
        env = {"STORSYNC_RETRIES": "0"}
        for side, bucket, pieces in (("source", self.source, reading), ("destination", self.destination, writing)):
            self.addCleanup(pieces.stop)
            env.update(bucket.env(side, endpoint=pieces.endpoint, ca_file=ca_file))
        self.assertEqual(self.tool("--sync", env=env).code, 0)
        self.assertEqual(data.compare_buckets(self.source, self.destination, ("public/",)), [])

    def refused(self, tool):
        self.assertEqual(tool.code, 69)
        self.assertEqual(len(tool.errors), 1, tool.err)
        self.assertIn("certificate", tool.errors[0].lower())
        self.assertEqual(self.destination.keys("public/"), [])

    def test_unknown_authority(self):
        self.refused(self.sync(ca="stranger"))

    def test_certificate_for_another_name(self):
        self.refused(self.sync(name="other.example"))

    def test_server_with_tls_1_3_only(self):
        """A thing that cannot be done: say so in words."""
        tool = self.sync(oldest=ssl.TLSVersion.TLSv1_3)
        self.assertEqual(tool.code, 69)
        self.assertEqual(len(tool.errors), 1, tool.err)
        self.assertIn("TLS 1.", tool.errors[0])

    def test_certificate_for_another_address(self):
        self.refused(self.sync(name="localhost"))

    def test_own_certificate_as_ca_file(self):
        """A server with a certificate that it signed itself, and that is no authority."""
        self.refused(self.sync(name="own", ca="stranger"))
        self.assertEqual(self.sync(name="own", ca="own").code, 0)

    def test_trust_of_one_side_is_not_that_of_the_other(self):
        """Neither a connection nor a session that one ca_file brought about is good for the other side."""
        proxy = self.proxy(self.source.server.endpoint, tls=server_context(self.certificates / "address.pem"))
        sides = self.source, self.destination
        for good, bad in (("source", "destination"), ("destination", "source")):
            for mode in ("--sync", "--validate"):
                env = {**self.source.env("source", endpoint=proxy.endpoint),
                       **self.destination.env("destination", endpoint=proxy.endpoint),
                       f"STORSYNC_{good.upper()}_CA_FILE": str(self.certificates / "authority.crt"),
                       f"STORSYNC_{bad.upper()}_CA_FILE": str(self.certificates / "stranger.crt"),
                       "STORSYNC_RETRIES": "0"}
                with self.subTest(bad=bad, mode=mode):
                    tool = self.tool(mode, env=env)
                    self.assertEqual(tool.code, 69, tool.err)
                    self.assertIn(f"authorities of {self.certificates}/stranger.crt", tool.err)
        env = {**self.source.env("source", endpoint=proxy.endpoint, ca_file=str(self.certificates / "authority.crt")),
               **self.destination.env("destination", endpoint=proxy.endpoint,
                                      ca_file=str(self.certificates / "authority.crt"))}
        self.assertEqual(self.tool("--sync", env=env).code, 0)
        self.assertEqual(data.compare_buckets(*sides, ("public/",)), [])

    def test_unusable_ca_file(self):
        self.assertEqual(self.sync(ca="missing").code, 78)
