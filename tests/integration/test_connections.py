"""How connections come about and what becomes of them: reuse, resumed sessions, proxies, addresses, redirects."""
import contextlib
import socket

import data
import pki
import proxyfault
from forwardproxy import ForwardProxy
from harness import RUN, TestCase, sides
from nginx import HAND_ON
from proxyfault import FOREVER, BlackHole, Silence, answer, s3_error
from tlscase import NO_OBJECTS, XML, TlsCase

CONCURRENCY = 4
CONNECTIONS = 2 * CONCURRENCY + 2  # a relay needs two of them for an object, and the lease has its own


class Reuse(TestCase):
    """As many connections as there are transfers at once, and one full handshake for all of them."""

    def setUp(self):
        super().setUp()
        self.source, self.destination = self.s3_bucket(), self.s3_bucket()
        for number in range(60):
            self.source.put(f"public/{number}", data.body(number, 20_000))

    def front(self, **how):
        server = RUN.nginx(self.source.server.plain, **how)
        self.addCleanup(server.stop)
        return server

    def relay(self, reader, writer, **more):
        """Everything passes through the tool."""
        env = {**sides(self.source, self.destination, STORSYNC_CONCURRENCY=str(CONCURRENCY)), **more}
        env["PUBLIC_OBJECT_SEARCH_PATHS"] = "/bucket/public"  # of two paths the first listings, and connections, are two
        for side, bucket, server in (("source", self.source, reader), ("destination", self.destination, writer)):
            env.update(bucket.env(side, endpoint=server.endpoint, ca_file=str(RUN.ca_file)))
        tool = self.succeed("--sync", env=env)
        self.assertEqual(tool.status["syncedFiles"], 60)
        return tool

    def test_connections_are_used_again(self):
        reader, writer = self.front(), self.front()
        self.relay(reader, writer)
        connections = [{line.connection for line in server.lines()} for server in (reader, writer)]
        self.assertLessEqual(sum(map(len, connections)), CONNECTIONS)
        for server, own in zip((reader, writer), connections):
            self.assertGreater(len(server.lines()), 60)
            self.assertLessEqual(len(own), CONNECTIONS // 2 + 1)

    def test_sessions_are_resumed(self):
        reader, writer = self.front(), self.front()
        self.relay(reader, writer)
        for server in (reader, writer):
            first = {}
            for line in server.lines():
                first.setdefault(line.connection, line)
            self.assertGreater(len(first), 1)
            self.assertEqual([line.reused for line in first.values()].count(False), 1, "one full handshake")
            self.assertEqual({line.protocol for line in first.values()}, {"TLSv1.2"})

    def test_server_that_resumes_nothing(self):
        reader = self.front(options="ssl_session_cache off; ssl_session_tickets off;")
        self.relay(reader, self.front())
        self.assertEqual({line.reused for line in reader.lines()}, {False})

    def test_server_that_closes_after_each_answer(self):
        """A new connection for each request, which the session makes cheap."""
        reader = self.front(options="ssl_session_cache shared:tests:1m; keepalive_timeout 0;")
        self.relay(reader, self.front())
        lines = reader.lines()
        self.assertEqual(len({line.connection for line in lines}), len(lines))
        self.assertGreater(len(lines), 60)
        self.assertEqual([line.reused for line in lines].count(False), 1)

    def test_server_that_closes_idle_connections(self):
        """A kept connection that the server has closed meanwhile is no error, and costs no retry."""
        reader = self.front(options="ssl_session_cache shared:tests:1m; keepalive_requests 5;")
        tool = self.relay(reader, self.front(), STORSYNC_RETRIES="0")
        self.assertEqual(tool.status["failedFiles"], 0)

    def test_cipher_is_one_of_the_best(self):
        reader = self.front()
        self.relay(reader, self.front())
        self.assertRegex({line.cipher for line in reader.lines()}.pop(), "ECDHE-.*(GCM|CHACHA20)")


class Proxies(TlsCase):
    """https_proxy, http_proxy, no_proxy: as curl has them, https://everything.curl.dev/usingcurl/proxies/env. What is
    near never goes through one, so the store has a name that, as in some companies, the proxy alone can resolve."""

    NAME = "storage.example.test"

    def visit(self, server, host=NAME, **how):
        return super().visit(server, host=host, **how)

    def knowing(self):
        """Where the tool knows the name, too."""
        hosts = self.dir / "hosts"
        hosts.write_text(f"127.0.0.1 localhost {self.NAME} eu.{self.NAME}\n")
        return self.mounts(f"mount --bind '{hosts}' /etc/hosts").prefix

    def forward(self, **how):
        proxy = ForwardProxy(**how)
        self.addCleanup(proxy.stop)
        return proxy

    def store(self):
        return self.serve(self.leaf(names=[self.NAME]))

    def plain_store(self):
        server = self.proxy()
        server.fault(answer(200, NO_OBJECTS(""), XML), times=FOREVER)
        return server

    def fails(self, server, says, code=69, **env):
        tool = self.visit(server, **env)
        self.assertEqual((tool.code, len(tool.errors)), (code, 1), tool.err)
        self.assertRegex(tool.errors[0], says)
        self.readable(tool.errors[0], f"{self.NAME}:{server.port}")
        self.assertEqual(server.connections, 0)
        return tool

    def test_https(self):
        for variable in ("https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            with self.subTest(variable=variable):
                server, proxy = self.store(), self.forward()
                self.accepted(server, **{variable: proxy.url})
                self.assertEqual([(m, t) for m, t, _ in proxy.requests], [("CONNECT", f"{self.NAME}:{server.port}")])

    def test_nothing_of_the_request_is_shown_to_it(self):
        proxy = self.forward()
        self.accepted(self.store(), https_proxy=proxy.url)
        self.assertEqual(proxy.requests[0][2].keys() - {"host", "user-agent", "proxy-connection"}, set())

    def test_certificate_is_the_servers(self):
        """A proxy that ends TLS itself, with a certificate of its own, is found out."""
        thief = self.serve(self.leaf(names=["other.example"]))
        proxy = self.forward()
        proxy._tunnel = lambda client, target: ForwardProxy._tunnel(proxy, client, f"127.0.0.1:{thief.port}")
        server = self.store()
        tool = self.visit(server, https_proxy=proxy.url)
        self.assertEqual((tool.code, len(tool.errors)), (69, 1))
        self.assertIn("other.example", tool.errors[0])
        self.assertEqual((thief.requests, server.connections), ([], 0))

    def test_proxy_over_https(self):
        """Two handshakes, one in the other: each certificate has to be for its own host."""
        for name, accepted in (("127.0.0.1", True), ("localhost", False)):
            with self.subTest(certificate=name):
                context = pki.server_context(self.pki.pem(self.leaf(names=[name])))
                server, proxy = self.store(), self.forward(tls=context)
                if accepted:
                    self.accepted(server, https_proxy=proxy.url)
                    continue
                tool = self.visit(server, https_proxy=proxy.url)
                self.assertEqual((tool.code, len(tool.errors)), (69, 1), tool.err)
                self.assertIn("localhost, not for 127.0.0.1", tool.errors[0])
                self.assertEqual((proxy.requests, server.connections), ([], 0))

    def test_whole_sync(self):
        """Transfers at once, each through a tunnel of its own."""
        source, destination, proxy = self.s3_bucket(), self.s3_bucket(), self.forward()
        for number in range(30):
            source.put(f"public/{number}", data.body(number, 50_000))
        server = RUN.nginx(source.server.plain, location=HAND_ON)
        self.addCleanup(server.stop)
        endpoint = f"https://192.0.2.1:{server.port}"  # RGW takes a name that is not its own for a bucket
        env = {**source.env("source", endpoint=endpoint, ca_file=str(RUN.ca_file)),
               **destination.env("destination", endpoint=endpoint, ca_file=str(RUN.ca_file)),
               "HTTPS_PROXY": proxy.url}
        self.succeed("--sync", env=env)
        self.assertEqual(data.compare_buckets(source, destination, ("public/",)), [])
        self.assertEqual({(m, t) for m, t, _ in proxy.requests}, {("CONNECT", f"192.0.2.1:{server.port}")})

    def test_no_proxy(self):
        prefix = self.knowing()
        for exempt in (self.NAME, f"example.com,{self.NAME}", ".example.test", "*"):
            for variable in ("no_proxy", "NO_PROXY"):
                with self.subTest(exempt=exempt, variable=variable):
                    proxy = self.forward()
                    self.accepted(self.store(), prefix=prefix, **{"HTTPS_PROXY": proxy.url, variable: exempt})
                    self.assertEqual(proxy.requests, [])

    def test_what_is_near_goes_through_none(self):
        """At the proxy its name means another machine, and over http the proxy would read a token."""
        proxy = self.forward()
        for host in ("localhost", "127.0.0.1", "s3.localhost"):
            for exempt in ("", "example.com"):
                with self.subTest(host=host, exempt=exempt):
                    everywhere = {"ALL_PROXY": proxy.url, "HTTPS_PROXY": proxy.url, "http_proxy": proxy.url,
                                  "NO_PROXY": exempt, "STORSYNC_SOURCE_SESSION_TOKEN": "a-token"}
                    self.accepted(self.serve(self.leaf(names=[host])), host=host, **everywhere)
                    plain = self.plain_store()
                    tool = self.visit(plain, STORSYNC_SOURCE_ENDPOINT=f"http://{host}:{plain.port}", **everywhere)
                    self.assertEqual((tool.code, len(plain.requests)), (0, 1), tool.err)
        self.assertEqual(proxy.requests, [])

    def test_token_service_over_http(self):
        """allow_http is about the network between, not about another machine on it that reads along."""
        proxy, token = self.forward(), self.dir / "token"
        token.write_text("a-web-identity-token")
        env = {"STORSYNC_SOURCE_ACCESS_KEY_ID": "", "STORSYNC_SOURCE_SECRET_ACCESS_KEY": "", "STORSYNC_RETRIES": "0",
               "AWS_ROLE_ARN": "arn:aws:iam::1:role/r", "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
               "AWS_ENDPOINT_URL_STS": "http://sts.example.test:9", "STORSYNC_SOURCE_ALLOW_HTTP": "yes",
               "http_proxy": proxy.url, "https_proxy": proxy.url}
        tool = self.visit(self.store(), **env)
        self.assertEqual(tool.code, 69, tool.err)
        self.assertIn("sts.example.test", tool.errors[0])
        self.assertEqual(proxy.requests, [])

    def test_no_proxy_for_another(self):
        proxy = self.forward()
        self.accepted(self.store(), HTTPS_PROXY=proxy.url, NO_PROXY="example.com,127.0.0.2")
        self.assertEqual(len(proxy.requests), 1)

    def test_http(self):
        """The proxy reads along, and sees the signature: that is what http is. Upper case is not for CGI's sake."""
        server, proxy = self.plain_store(), self.forward()
        endpoint = f"http://{self.NAME}:{server.port}"
        tool = self.visit(server, STORSYNC_SOURCE_ENDPOINT=endpoint, STORSYNC_SOURCE_ALLOW_HTTP="yes",
                          http_proxy=proxy.url)
        self.assertEqual(tool.code, 0, tool.err)
        self.assertEqual([(m, t.partition("?")[0]) for m, t, _ in proxy.requests], [("GET", f"{endpoint}/b")])

    def test_refuses(self):
        for status in (403, 407, 502):
            with self.subTest(status=status):
                proxy = self.forward(refuse=status)
                self.fails(self.store(), f"proxy.*{status}", https_proxy=proxy.url)

    def test_refusal_is_final(self):
        proxy = self.forward(refuse=403)
        self.fails(self.store(), "proxy.*403", https_proxy=proxy.url, STORSYNC_RETRIES="2")
        self.assertEqual(len(proxy.requests), 1)

    def test_password(self):
        proxy = self.forward(password="user:pass word%")
        url = proxy.url.replace("//", "//user:pass%20word%25@")
        tool = self.accepted(self.store(), https_proxy=url, STORSYNC_LOG_LEVEL="debug")
        self.assertNotIn("pass%20word", tool.err)
        wrong = proxy.url.replace("//", "//user:swordfish@")
        tool = self.fails(self.store(), "proxy.*407", https_proxy=wrong, STORSYNC_LOG_LEVEL="debug")
        self.assertNotIn("swordfish", tool.err + tool.out)

    def test_says_nothing(self):
        proxy = self.forward(hang=True)
        self.fails(self.store(), "proxy.*500 ms|500 ms.*proxy", https_proxy=proxy.url, STORSYNC_CONNECT_TIMEOUT="500ms")

    def test_cannot_be_reached(self):
        with BlackHole() as hole:
            self.fails(self.store(), "proxy.*500 ms|500 ms.*proxy", https_proxy=hole.endpoint,
                       STORSYNC_CONNECT_TIMEOUT="500ms")

    def test_is_not_there(self):
        url = f"http://127.0.0.1:{proxyfault.closed_port()}"
        self.fails(self.store(), "(?i)proxy.*refused", https_proxy=url)

    def test_is_no_proxy(self):
        """A mail server, say."""
        server = self.raw(b"220 mail.example ESMTP\r\n")
        self.fails(self.store(), "proxy", https_proxy=f"http://127.0.0.1:{server.port}",
                   STORSYNC_CONNECT_TIMEOUT="500ms")


class Addresses(TlsCase):
    """A name with an address of each version, of which one leads nowhere."""

    NAME = "storage.example.test"

    def reach(self, address, other, dead):
        """Asks for a listing at `address`, where nobody answers at the `other` address of that name."""
        (self.dir / "hosts").write_text(f"::1 {self.NAME}\n127.0.0.1 {self.NAME}\n")
        space = self.mounts(f"mount --bind '{self.dir}/hosts' /etc/hosts")
        with contextlib.ExitStack() as there:
            for last in range(20)[::-1]:
                server = self.serve(self.leaf(names=[self.NAME]), address=address)
                try:
                    there.enter_context(dead(other, server.port))
                    break
                except OSError:  # there the port is somebody else's
                    if not last:
                        raise
            self.accepted(server, host=self.NAME, prefix=space.prefix, STORSYNC_CONNECT_TIMEOUT="5s")

    def test_nobody_listens_on_version_6(self):
        self.reach("127.0.0.1", "::1", taken)

    def test_nobody_listens_on_version_4(self):
        self.reach("::1", "127.0.0.1", taken)

    def test_version_6_is_a_black_hole(self):
        self.reach("127.0.0.1", "::1", BlackHole)

    def test_version_4_is_a_black_hole(self):
        self.reach("::1", "127.0.0.1", BlackHole)


def taken(address, port):
    """By who does not listen."""
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    return sock


class Resolver(TlsCase):
    def test_that_never_answers(self):
        """It is part of connecting, and has no patience of its own."""
        address = "127.53.53.55"
        (self.dir / "resolv.conf").write_text(f"nameserver {address}\noptions timeout:30\n")
        space = self.mounts(f"mount --bind '{self.dir}/resolv.conf' /etc/resolv.conf")
        resolver = Silence(socket.SOCK_DGRAM, (address, 53))
        self.addCleanup(resolver.close)
        tool = self.visit(resolver, prefix=space.prefix, STORSYNC_CONNECT_TIMEOUT="500ms",
                          STORSYNC_SOURCE_ENDPOINT="https://storage.example.test:1")
        self.assertEqual((tool.code, len(tool.errors)), (69, 1), tool.err)
        self.assertRegex(tool.errors[0], "DNS.*500 ms")
        self.assertLess(tool.seconds, 5 * RUN.slow)
        self.assertTrue(resolver.heard.is_set())


class Redirects(TlsCase):
    """A signature is for one host. Nothing goes to where a redirect points, not even a connection."""

    def redirected(self, side, method, target):
        """One side passes through a server that redirects such requests."""
        thief = self.serve(self.leaf())
        source, destination = self.s3_bucket(), self.s3_bucket()
        source.put("public/a", "a")
        bucket = source if side == "source" else destination
        for status in (301, 302, 303, 307, 308):
            for body in (s3_error("TemporaryRedirect", Endpoint=f"localhost:{thief.port}"), ""):
                with self.subTest(status=status, body=bool(body)):
                    front = self.proxy(source.server.plain, tls=pki.server_context(RUN.pki.pem(RUN.certificate)))
                    location = {**XML, "Location": f"https://localhost:{thief.port}/x"}
                    rule = front.fault(answer(status, body, location), method=method, target=target, times=FOREVER)
                    env = {**sides(source, destination, STORSYNC_RETRIES="1"),
                           **bucket.env(side, endpoint=front.endpoint, ca_file=str(RUN.ca_file))}
                    self.assertNotEqual(self.tool("--sync", env=env).code, 0)
                    self.assertIn(rule.done, (1, 2))
        self.assertEqual(thief.connections, 0)

    def test_of_a_listing(self):
        self.redirected("source", "GET", "list-type=2")

    def test_of_an_object(self):
        self.redirected("source", "GET", "/public/a")

    def test_of_an_upload(self):
        self.redirected("destination", "PUT", "/public/a")


class PlainHttp(TlsCase):
    """Credentials do not go over http to another machine, unless somebody says that they may."""

    ADDRESS = "10.99.0.1"

    def test_another_machine(self):
        space = self.network(f"{self.ADDRESS}/32")
        server = space.inside(lambda: self.proxy(address=self.ADDRESS))
        server.fault(answer(200, NO_OBJECTS(""), XML), times=FOREVER)
        env = {"STORSYNC_SOURCE_ENDPOINT": server.endpoint, "STORSYNC_SOURCE_CA_FILE": ""}
        tool = self.visit(server, prefix=space.prefix, **env)
        self.assertEqual((tool.code, len(tool.errors)), (78, 1))
        self.assertRegex(tool.errors[0], "allow_http")
        self.assertEqual(server.connections, 0)
        tool = self.visit(server, prefix=space.prefix, **env, STORSYNC_SOURCE_ALLOW_HTTP="yes")
        self.assertEqual((tool.code, len(server.requests)), (0, 1), tool.err)
