"""Names of endpoints, and the name servers that there are."""
import ipaddress
import os
import socket

from harness import NOBODY, TestCase
from nameserver import AAAA, CODES, A, NameServer
from proxyfault import FOREVER, answer
from tlscase import NO_OBJECTS, XML

NAME = "storage.example.test"


class NamesCase(TestCase):
    def store(self, **how):
        server = self.proxy(**how)
        server.fault(answer(200, NO_OBJECTS(""), XML), times=FOREVER)
        return server

    def visit(self, server, **how):
        """One run that asks the store, by its name, for a listing."""
        env = {"STORSYNC_SOURCE_BUCKET": "b", "STORSYNC_SOURCE_PATH_STYLE": "yes", "STORSYNC_SOURCE_ALLOW_HTTP": "yes",
               "STORSYNC_SOURCE_ACCESS_KEY_ID": "a", "STORSYNC_SOURCE_SECRET_ACCESS_KEY": "swordfish",
               "STORSYNC_SOURCE_ENDPOINT": f"http://{NAME}:{server.port}", "STORSYNC_RETRIES": "0",
               "STORSYNC_PUBLIC_OBJECT_SEARCH_PATHS": "/b/public", **self.dir_bucket().env("destination")}
        return self.tool("--validate", env=env, **how)


class NameServers(NamesCase):
    """Many know a name's address of one version and have something odd to say of the other. Other programs take the one
    that there is."""

    def setUp(self):
        super().setUp()
        self.resolver("timeout:60 attempts:2")
        self.space = self.network()
        os.system(f"nsenter --mount=/proc/{self.space.holder.pid}/ns/mnt "
                  f"mount --bind '{self.dir}/resolv.conf' /etc/resolv.conf")

    def resolver(self, options):
        (self.dir / "resolv.conf").write_text(f"nameserver 127.0.0.1\noptions {options}\n")

    def resolved(self, known, address, others):
        """What is refused must not be waited for: a run that did would end with connect_timeout."""
        self.resolver("timeout:3 attempts:3" if others == "silence" else "timeout:60 attempts:2")
        sock = self.space.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sock.bind(("127.0.0.1", 53))
        names = NameServer(sock, known, ipaddress.ip_address(address).packed, others)
        family = socket.AF_INET6 if known == AAAA else socket.AF_INET
        listener = self.space.inside(lambda: socket.create_server((address, 0), family=family, backlog=128))
        try:
            tool = self.visit(self.store(listener=listener), prefix=self.space.prefix)
        finally:
            names.stop()
        self.assertEqual((tool.code, tool.errors), (0, []))
        self.assertIn(known, names.questions)

    def test_only_version_4(self):
        for others in (*CODES, "silence"):
            with self.subTest(others=others):
                self.resolved(A, "127.0.0.1", others)

    def test_only_version_6(self):
        for others in (*CODES, "silence"):
            with self.subTest(others=others):
                self.resolved(AAAA, "::1", others)

    def test_name_that_is_not_there(self):
        sock = self.space.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sock.bind(("127.0.0.1", 53))
        names = NameServer(sock, None, b"", "nxdomain")
        self.addCleanup(names.stop)
        tool = self.visit(self.store(listener=self.space.listen("127.0.0.1", 0)), prefix=self.space.prefix)
        self.assertEqual((tool.code, len(tool.errors)), (69, 1))
        self.assertIn("cannot be resolved", tool.errors[0])


class OneProcess(NamesCase):
    def test_no_thread_can_be_made(self):
        """docker run --pids-limit 1."""
        self.not_wrapped("it needs processes of its own")
        (self.dir / "hosts").write_text(f"127.0.0.1 {NAME}\n")
        space = self.mounts(f"mount --bind '{self.dir}/hosts' /etc/hosts")
        drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        limit = ["prlimit", "--nproc=1:1"]
        tool = self.visit(self.store(), prefix=[*space.prefix, *limit, *drop])
        self.assertEqual((tool.code, tool.errors), (0, []))
