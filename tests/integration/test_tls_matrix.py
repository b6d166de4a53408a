"""Which servers are trusted and which are not, one test for each reason; and that the reason is told in words.

An accepted server has answered a request. A refused one has not seen a byte of it.
"""
import contextlib
import secrets
import socket
import ssl

import pki
import tlsraw
from harness import CHECKOUT, RUN
from pki import DAY
from proxyfault import closed_port
from tlscase import TlsCase

HOUR = DAY / 24
RSA_8192_CA = CHECKOUT / "tests" / "data" / "rsa8192_der.h"
GREAT = 1 << 20


class Keys(TlsCase):
    """Public keys and signatures of the leaf."""

    def test_rsa_2048(self):
        self.accepted(self.serve(self.leaf(key="rsa2048")))

    def test_rsa_3072(self):
        self.accepted(self.serve(self.leaf(key="rsa3072")))

    def test_rsa_4096(self):
        self.accepted(self.serve(self.leaf(key="rsa4096")))

    def test_p256(self):
        self.accepted(self.serve(self.leaf(key="p256")))

    def test_p384(self):
        self.accepted(self.serve(self.leaf(key="p384")))

    def test_p521(self):
        self.accepted(self.serve(self.leaf(key="p521")))

    def test_sha384_and_sha512(self):
        for digest in ("sha384", "sha512"):
            self.accepted(self.serve(self.leaf(digest=digest)))

    def test_authority_with_rsa_4096(self):
        root = self.pki.issue("RSA Root", ca=True, key="rsa4096/root")
        for digest in ("sha256", "sha384", "sha512"):
            self.accepted(self.serve(self.leaf(root, digest=digest)), ca_file=self.pki.bundle(root))

    def test_authority_with_p521(self):
        root = self.pki.issue("P-521 Root", ca=True, key="p521/root", digest="sha512")
        self.accepted(self.serve(self.leaf(root, digest="sha512")), ca_file=self.pki.bundle(root))

    def test_rsa_1024(self):
        self.refused(self.serve(self.leaf(key="rsa1024")), "RSA.*1024|1024.*RSA")

    def test_rsa_1024_of_an_intermediate(self):
        weak = self.pki.issue("Weak Intermediate", self.root, ca=True, key="rsa1024/middle")
        self.refused(self.serve(self.leaf(weak), weak), "RSA.*1024|1024.*RSA")

    def test_rsa_6144(self):
        self.refused(self.serve(self.leaf(key="rsa6144")), "RSA.*6144|6144.*RSA|RSA.*4096")

    def test_rsa_8192(self):
        huge = self.pki.issue("localhost", self.root, names=["localhost"], public=pki.rsa_public_key(odd_number(8192)))
        flight = tlsraw.certificate_flight([huge.der], bytes(1024), tlsraw.ECDHE_RSA_AES128_GCM)
        self.refused(self.raw(flight), "RSA.*8192|8192.*RSA|RSA.*4096")

    def test_rsa_16384(self):
        huge = self.pki.issue("localhost", self.root, names=["localhost"], public=pki.rsa_public_key(odd_number(16384)))
        flight = tlsraw.certificate_flight([huge.der], bytes(2048), tlsraw.ECDHE_RSA_AES128_GCM)
        self.refused(self.raw(flight), "RSA.*16384|16384.*RSA|RSA.*4096")

    def test_rsa_8192_of_an_intermediate(self):
        huge = self.pki.issue("Huge Intermediate", self.root, ca=True, key="p256/huge",
                              public=pki.rsa_public_key(odd_number(8192)))
        self.refused(self.serve(self.leaf(huge), huge), "RSA.*8192|8192.*RSA|RSA.*4096")

    def test_ed25519(self):
        """No cipher suite of ours has it, so the server gives up before it shows its certificate."""
        self.refused(self.serve(self.leaf(key="ed25519")), "cipher")

    def test_rsa_pss_key(self):
        self.refused(self.serve(self.leaf(key="rsa-pss2048")), "cipher|signature|RSA-PSS|key")

    def test_signed_with_rsa_pss(self):
        root = self.pki.issue("PSS Root", ca=True, key="rsa-pss2048/root")
        self.refused(self.serve(self.leaf(root)), "signature|algorithm|RSA-PSS|authorit",
                     ca_file=self.pki.bundle(self.root, root))

    def test_signed_with_ed25519(self):
        root = self.pki.issue("Ed25519 Root", ca=True, key="ed25519/root")
        self.refused(self.serve(self.leaf(root)), "signature|algorithm|Ed25519|authorit",
                     ca_file=self.pki.bundle(self.root, root))

    def test_secp256k1(self):
        self.refused(self.serve(self.leaf(key="secp256k1")), "cipher|curve|key")

    def test_signed_with_sha1(self):
        self.refused(self.serve(self.leaf(digest="sha1", by=self.rsa_root()), self.rsa_root()), "SHA-1|signature",
                     ca_file=self.pki.bundle(self.rsa_root()))

    def test_signed_with_sha1_and_ecdsa(self):
        self.refused(self.serve(self.leaf(digest="sha1")), "SHA-1|signature")

    def test_intermediate_signed_with_sha1(self):
        weak = self.pki.issue("SHA-1 Intermediate", self.root, ca=True, digest="sha1")
        self.refused(self.serve(self.leaf(weak), weak), "SHA-1|signature")

    def test_signed_with_md5(self):
        self.refused(self.serve(self.leaf(digest="md5", by=self.rsa_root())), "MD5|signature",
                     ca_file=self.pki.bundle(self.rsa_root()))

    def test_signature_is_damaged(self):
        good = self.leaf()
        bad = pki.Certificate(good.subject, good.der[:-1] + bytes((good.der[-1] ^ 1,)), good.key)
        self.refused(self.serve(bad), "sign")

    def test_key_is_not_the_certificates(self):
        """Whoever has the certificate, which is public, but not its key."""
        for leaf, cipher in ((self.leaf(), tlsraw.ECDHE_ECDSA_AES128_GCM),
                             (self.leaf(key="rsa2048"), tlsraw.ECDHE_RSA_AES128_GCM)):
            signature = self.pki.sign(self.pki.key("p256/thief" if leaf.key.kind == "p256" else "rsa2048/thief"), b"")
            flight = tlsraw.certificate_flight([leaf.der], signature, cipher)
            self.refused(self.raw(flight), "signature|key")

    def rsa_root(self):
        if "rsa root" not in RUN.cache:
            RUN.cache["rsa root"] = self.pki.issue("Another Root", ca=True, key="rsa2048/root")
        return RUN.cache["rsa root"]


class Chains(TlsCase):
    """From the leaf to an authority."""

    def test_one_intermediate(self):
        self.accepted(self.serve(self.leaf(self.middle), self.middle))

    def test_two_intermediates(self):
        second = self.pki.issue("Second Intermediate", self.middle, ca=True, pathlen=0)
        self.accepted(self.serve(self.leaf(second), second, self.middle))

    def test_root_is_sent_along(self):
        self.accepted(self.serve(self.leaf(self.middle), self.middle, self.root))

    def test_cross_signed_root_is_sent_along(self):
        """The new root, signed by an old one as well: enough for who knows either."""
        old = self.pki.issue("Old Root", ca=True)
        crossed = self.pki.issue("Test Root", old, ca=True)
        for known in (self.root, old):
            self.accepted(self.serve(self.leaf(self.middle), self.middle, crossed), ca_file=self.pki.bundle(known))

    def test_strangers_behind_the_chain(self):
        stranger = self.pki.issue("Stranger", ca=True)
        self.accepted(self.serve(self.leaf(self.middle), self.middle, self.root, stranger))

    def test_only_the_intermediate_is_known(self):
        self.accepted(self.serve(self.leaf(self.middle), self.middle), ca_file=self.pki.bundle(self.middle))

    def test_self_signed_and_known(self):
        leaf = self.pki.issue("storage", names=["localhost"])
        self.accepted(self.serve(leaf), ca_file=self.pki.bundle(leaf))

    def test_self_signed_and_known_as_openssl_makes_it(self):
        """`openssl req -x509` makes an authority of what is used as a server."""
        leaf = self.pki.issue("storage", names=["localhost"], ca=True, usage=())
        self.accepted(self.serve(leaf), ca_file=self.pki.bundle(leaf))

    def test_name_constraints_that_are_not_critical(self):
        middle = self.pki.issue("Constrained", self.root, ca=True, more=[pki.name_constraints("localhost", False)])
        self.accepted(self.serve(self.leaf(middle), middle))

    def test_unknown_authority(self):
        stranger = self.pki.issue("Stranger", ca=True)
        self.refused(self.serve(self.leaf(stranger)), "authorit")

    def test_authority_with_the_same_name(self):
        """A name proves nothing."""
        false = self.pki.issue("Test Root", ca=True, key="p256/false")
        self.refused(self.serve(self.leaf(false)), "signature|authorit")
        self.refused(self.serve(self.leaf(false), false), "signature|authorit")

    def test_self_signed(self):
        self.refused(self.serve(self.pki.issue("storage", names=["localhost"])), "self-signed")

    def test_intermediate_is_missing(self):
        self.refused(self.serve(self.leaf(self.middle)), "intermediate|authorit")

    def test_wrong_order(self):
        second = self.pki.issue("Second Intermediate", self.middle, ca=True)
        self.refused(self.serve(self.leaf(second), self.middle, second), "order|chain|issue|intermediate")

    def test_intermediate_is_no_authority(self):
        for constraints in (True, False):
            false = self.pki.issue("No Authority", self.root, key="p256/false", constraints=constraints)
            self.refused(self.serve(self.leaf(false), false), "authorit|issue|sign")

    def test_intermediate_may_not_sign_certificates(self):
        false = self.pki.issue("No Authority", self.root, ca=True, usage=("cRLSign",))
        self.refused(self.serve(self.leaf(false), false), "authorit|issue|sign|usage|used")

    def test_path_is_too_long(self):
        first = self.pki.issue("Of Length 0", self.root, ca=True, pathlen=0)
        second = self.pki.issue("One Too Many", first, ca=True)
        self.refused(self.serve(self.leaf(second), second, first), "length|long|intermediate|authorit")

    def test_name_constraints_that_are_critical(self):
        middle = self.pki.issue("Constrained", self.root, ca=True, more=[pki.name_constraints("localhost", True)])
        self.refused(self.serve(self.leaf(middle), middle), "name constraints|critical")

    def test_unknown_extension_that_is_critical(self):
        strange = [pki.extension("1.3.6.1.4.1.99999.1", b"\x05\x00", True)]
        self.refused(self.serve(self.leaf(more=strange)), "critical")
        middle = self.pki.issue("Strange Intermediate", self.root, ca=True, more=strange)
        self.refused(self.serve(self.leaf(middle), middle), "critical")

    def test_huge_chain(self):
        """One that leads in circles: read to its end, but not kept."""
        circle = self.pki.issue("Circle", ca=True)
        server = self.serve(self.leaf(circle), *[circle] * (GREAT // len(circle.der)))
        tool = self.refused(server, "chain|certificates")
        if not RUN.instrumented:
            self.assertLess(tool.peak_rss, 6 * GREAT)
            self.assertLess(tool.cpu, 1, "signatures are not checked for as long as the server likes")


class Dates(TlsCase):
    def test_valid_for_a_minute_more(self):
        self.accepted(self.serve(self.leaf(end=HOUR / 60)))

    def test_valid_since_a_minute(self):
        self.accepted(self.serve(self.leaf(begin=-HOUR / 60)))

    def test_valid_for_a_century(self):
        """A time of the other form (RFC 5280, 4.1.2.5)."""
        self.accepted(self.serve(self.leaf(end=100 * 365 * DAY)))

    def test_expired(self):
        self.refused(self.serve(self.leaf(begin=-9 * DAY, end=-HOUR)), "expired")

    def test_expired_a_minute_ago(self):
        self.refused(self.serve(self.leaf(end=-HOUR / 60)), "expired")

    def test_not_yet_valid(self):
        self.refused(self.serve(self.leaf(begin=HOUR)), "not yet valid")

    def test_intermediate_expired(self):
        old = self.pki.issue("Old Intermediate", self.root, ca=True, begin=-9 * DAY, end=-HOUR)
        self.refused(self.serve(self.leaf(old), old), "expired")

    def test_intermediate_not_yet_valid(self):
        new = self.pki.issue("New Intermediate", self.root, ca=True, begin=HOUR)
        self.refused(self.serve(self.leaf(new), new), "not yet valid")


class Names(TlsCase):
    """RFC 6125, 6.4; hosts below localhost are this machine."""

    def test_one_of_many(self):
        names = [f"{n}.example" for n in range(300)]
        self.accepted(self.serve(self.leaf(names=[*names, "localhost"])))

    def test_case_does_not_matter(self):
        self.accepted(self.serve(self.leaf(names=["LocalHost"])))

    def test_wildcard(self):
        server = self.serve(self.leaf(names=["*.storage.localhost"]))
        self.accepted(server, host="eu.storage.localhost")

    def test_address(self):
        self.accepted(self.serve(self.leaf(names=["127.0.0.1"])), host="127.0.0.1")

    def test_address_of_version_6(self):
        self.accepted(self.serve(self.leaf(names=["::1"]), address="::1"), host="[::1]")

    def test_name_is_sent(self):
        """Server Name Indication (RFC 6066): the server has another certificate for everybody else."""
        def choose(sock, name, _context):
            self.assertEqual(name, "localhost")
            sock.context = right
        right = pki.server_context(self.pki.pem(self.leaf()))
        wrong = self.leaf(names=["other.example"])
        self.accepted(self.serve(wrong, change=lambda context: setattr(context, "sni_callback", choose)))

    def test_address_is_not_sent(self):
        """It must not be (RFC 6066, 3)."""
        seen = []
        change = (lambda context: setattr(context, "sni_callback", lambda _sock, name, _context: seen.append(name)))
        self.accepted(self.serve(self.leaf(names=["127.0.0.1"]), change=change), host="127.0.0.1")
        self.assertEqual(seen, [None])

    def test_another_name(self):
        tool = self.refused(self.serve(self.leaf(names=["other.example"])), "name|is for")
        self.assertIn("other.example", tool.errors[0], "what it is for helps to find the mistake")

    def test_wildcard_is_one_label(self):
        server = self.serve(self.leaf(names=["*.storage.localhost"]))
        self.refused(server, "name|is for", host="a.eu.storage.localhost")

    def test_wildcard_is_not_no_label(self):
        server = self.serve(self.leaf(names=["*.storage.localhost"]))
        self.refused(server, "name|is for", host="storage.localhost")

    def test_wildcard_for_a_whole_domain(self):
        """As *.com: no authority would sign that for anybody."""
        self.refused(self.serve(self.leaf(names=["*.localhost"])), "name|is for", host="storage.localhost")

    def test_wildcard_for_everything(self):
        self.refused(self.serve(self.leaf(names=["*"])), "name|is for")

    def test_wildcard_inside_a_label(self):
        for name in ("e*.storage.localhost", "*u.storage.localhost", "eu.*.localhost"):
            self.refused(self.serve(self.leaf(names=[name])), "name|is for", host="eu.storage.localhost")

    def test_only_a_common_name(self):
        leaf = self.pki.issue("localhost", self.root)
        self.refused(self.serve(leaf), "subjectAltName|name")

    def test_common_name_does_not_count(self):
        self.refused(self.serve(self.pki.issue("localhost", self.root, names=["other.example"])), "name|is for")

    def test_name_with_a_nul(self):
        names = pki.extension("2.5.29.17", pki.sequence(pki.tlv(0x82, b"localhost\0.evil.example")))
        self.refused(self.serve(self.leaf(names=(), more=[names])), "name|is for")

    def test_name_of_another_kind(self):
        """A mail address or a URI is no host."""
        for tag in (0x81, 0x86):
            names = pki.extension("2.5.29.17", pki.sequence(pki.tlv(tag, b"localhost")))
            self.refused(self.serve(self.leaf(names=(), more=[names])), "name|is for")

    def test_hostile_text_is_not_printed(self):
        names = pki.extension("2.5.29.17", pki.sequence(pki.tlv(0x82, b"\x1b[2Jgood\r\nstorsync-init: done\xff")))
        self.refused(self.serve(self.leaf(names=(), more=[names])), "name|is for")

    def test_another_address(self):
        self.refused(self.serve(self.leaf(names=["127.0.0.2", "localhost"])), "address|is for|name", host="127.0.0.1")

    def test_address_as_a_name(self):
        """Only an iPAddress is one (RFC 6125, 1.7.2)."""
        names = pki.extension("2.5.29.17", pki.sequence(pki.tlv(0x82, b"127.0.0.1")))
        self.refused(self.serve(self.leaf(names=(), more=[names])), "address|is for|name", host="127.0.0.1")

    def test_wildcard_for_an_address(self):
        names = pki.extension("2.5.29.17", pki.sequence(pki.tlv(0x82, b"*.0.0.1")))
        self.refused(self.serve(self.leaf(names=(), more=[names])), "address|is for|name", host="127.0.0.1")


class Purposes(TlsCase):
    def test_server(self):
        self.accepted(self.serve(self.leaf(purposes=["clientAuth", "serverAuth"])))

    def test_any(self):
        self.accepted(self.serve(self.leaf(purposes=["any"])))

    def test_no_key_usage(self):
        self.accepted(self.serve(self.leaf(usage=())))

    def test_client_only(self):
        self.refused(self.serve(self.leaf(purposes=["clientAuth"])), "server authentication|purpose|for servers")

    def test_mail_only(self):
        self.refused(self.serve(self.leaf(purposes=["emailProtection"])), "server authentication|purpose|for servers")

    def test_key_may_not_sign(self):
        """With ECDHE the server's key signs the handshake. OpenSSL would not use it, even as a server."""
        flight = tlsraw.certificate_flight([self.leaf(usage=("keyAgreement",)).der])
        self.refused(self.raw(flight), "key usage")


class Handshakes(TlsCase):
    """Versions and ciphers."""

    def test_1_2_and_1_3(self):
        self.accepted(self.serve(self.leaf(), oldest=ssl.TLSVersion.TLSv1_2, newest=ssl.TLSVersion.TLSv1_3))

    def test_1_0_to_1_3(self):
        self.accepted(self.serve(self.leaf(), oldest=ssl.TLSVersion.TLSv1))

    def test_only_one_cipher(self):
        for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"):
            for family, key in (("ECDSA", "p256"), ("RSA", "rsa2048")):
                with self.subTest(cipher=cipher, family=family):
                    self.accepted(self.serve(self.leaf(key=key), ciphers=f"ECDHE-{family}-{cipher}"))

    def test_only_one_group(self):
        for group in ("X25519", "P-256", "P-384", "P-521"):
            with self.subTest(group=group):
                self.accepted(self.openssl(self.leaf(key="rsa2048"), "-groups", group))

    def test_without_session_cache(self):
        self.accepted(self.openssl(self.leaf(), "-no_cache", "-no_ticket"))

    def test_alpn(self):
        for offer in (["http/1.1"], ["h2", "http/1.1"], ["h2"]):
            with self.subTest(offer=offer):
                self.accepted(self.serve(self.leaf(), change=lambda c, o=offer: c.set_alpn_protocols(o)))

    def test_closes_without_saying_so(self):
        """No close_notify after an answer of known length."""
        def reply(x, last=lambda x: None):
            x.keep_alive = False
            x.reply(200, b'<?xml version="1.0"?><ListBucketResult><Name>b</Name><Prefix>public/</Prefix>'
                         b"<IsTruncated>false</IsTruncated></ListBucketResult>")
            last(x)
        def notify(x):
            with contextlib.suppress(OSError, ValueError):  # the client need not wait for it
                x.client.sock.unwrap()
        for last in (lambda x: x.client.reset(), notify):
            server = self.serve(self.leaf())
            server.clear()
            server.fault(lambda x, last=last: reply(x, last), times=9)
            self.accepted(server)

    def test_1_0(self):
        self.refused(self.serve(self.leaf(), oldest=ssl.TLSVersion.TLSv1, newest=ssl.TLSVersion.TLSv1), "TLS 1.2")

    def test_1_1(self):
        self.refused(self.serve(self.leaf(), oldest=ssl.TLSVersion.TLSv1_1, newest=ssl.TLSVersion.TLSv1_1), "TLS 1.2")

    def test_1_3_only(self):
        self.refused(self.serve(self.leaf(), oldest=ssl.TLSVersion.TLSv1_3), "TLS 1.3")

    def test_only_cbc(self):
        server = self.serve(self.leaf(key="rsa2048"), ciphers="ECDHE-RSA-AES128-SHA256:ECDHE-RSA-AES256-SHA")
        self.refused(server, "cipher")

    def test_only_rsa_key_exchange(self):
        self.refused(self.serve(self.leaf(key="rsa2048"), ciphers="AES128-GCM-SHA256:AES256-SHA"), "cipher")

    def test_only_dhe(self):
        server = self.openssl(self.leaf(key="rsa2048"), "-cipher", "DHE-RSA-AES128-GCM-SHA256", "-tls1_2")
        self.refused(server, "cipher")

    def test_cipher_that_was_not_offered(self):
        self.refused(self.raw(tlsraw.records(tlsraw.server_hello(tlsraw.RSA_AES128_CBC))), "TLS")

    def test_compression(self):
        self.refused(self.raw(tlsraw.records(tlsraw.server_hello(compression=1))), "TLS")

    def test_version_of_the_answer(self):
        self.refused(self.raw(tlsraw.records(tlsraw.server_hello(version=b"\x03\x01"))), "TLS 1.2")

    def test_client_certificate_is_required(self):
        server = self.openssl(self.leaf(), "-Verify", "1", "-CAfile", self.pki.bundle(self.root))
        self.refused(server, "client certificate")

    def test_no_certificate(self):
        self.refused(self.raw(tlsraw.certificate_flight([])), "TLS|certificate")

    def test_certificate_is_garbage(self):
        for garbage in (b"", b"\0", b"garbage", b"\x30\x84\xff\xff\xff\xff", self.root.der[:100],
                        secrets.token_bytes(999)):
            self.refused(self.raw(tlsraw.certificate_flight([garbage])), "certificate")

    def test_certificate_with_more_behind(self):
        self.refused(self.raw(tlsraw.certificate_flight([self.leaf().der + b"\0"])), "certificate")

    def test_alerts(self):
        """The server gives up, and says why; also with a number that nobody knows."""
        for number, says, tries in ((40, "cipher", 1), (47, "TLS", 1), (70, "TLS 1.3", 1), (71, "cipher", 1),
                                    (80, "internal error", 2), (112, "name", 1), (116, "client certificate", 1),
                                    (199, "TLS", 1)):
            with self.subTest(alert=number):
                self.refused(self.raw(tlsraw.alert(number)), says, tries=tries)

    def test_plain_http(self):
        """What a web server says to what it takes for a garbled request."""
        self.refused(self.raw(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"), "(?i)no TLS|not TLS|http://")

    def test_another_protocol(self):
        for greeting in (b"220 mail.example ESMTP\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", bytes(100), b"\xff" * 100):
            self.refused(self.raw(greeting), "(?i)no TLS|not TLS|http://")


class Broken(TlsCase):
    """No verdict at all: tried again, within the limits."""

    def test_closed_in_the_handshake(self):
        self.refused(self.raw(b""), "(?i)closed|broke", tries=2)

    def test_closed_in_the_middle(self):
        half = tlsraw.certificate_flight([self.leaf().der])[:200]

        class Closing(tlsraw.RawServer):
            def _serve(self, sock):
                sock.recv(65536)
                sock.sendall(self.answer)
                sock.close()
        self.refused(self.raw(half, Closing), "(?i)closed|broke", tries=2)

    def test_reset_in_the_handshake(self):
        class Resetting(tlsraw.RawServer):
            def _serve(self, sock):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                sock.close()
        self.refused(self.raw(b"", Resetting), "(?i)closed|broke|reset", tries=2)

    def test_stalls(self):
        tool = self.refused(self.raw(tlsraw.records(tlsraw.server_hello())), "500 ms", tries=2,
                            STORSYNC_CONNECT_TIMEOUT="500ms")
        self.assertGreater(tool.seconds, 1)

    def test_drips(self):
        """A byte now and then is no progress: the handshake belongs to connecting."""
        server = self.raw(tlsraw.certificate_flight([self.leaf().der]), pause=0.1)
        self.refused(server, "500 ms", tries=2, STORSYNC_CONNECT_TIMEOUT="500ms")

    def test_nobody_listens(self):
        class Nobody:
            port, connections, requests = closed_port(), 2, []
        self.refused(Nobody, "(?i)refused", tries=2)


class Bundles(TlsCase):
    """What people have in a file of authorities."""

    def trusted(self, *entries, **how):
        return self.accepted(self.serve(self.leaf()), ca_file=self.pki.bundle(*entries), **how)

    def test_lines_of_windows(self):
        self.trusted(self.root.pem.replace("\n", "\r\n"))

    def test_no_final_newline(self):
        self.trusted(self.root.pem.rstrip("\n"))

    def test_comments(self):
        self.trusted("# Our authority\nIssuer: CN=Test Root\n\n", self.root, "\n# the end")

    def test_byte_order_mark(self):
        self.trusted("\ufeff" + self.root.pem)

    def test_one_long_line(self):
        begin, *lines, end = self.root.pem.split("\n")[:-1]
        self.trusted("\n".join([begin, "".join(lines), end]) + "\n")

    def test_trusted_certificate(self):
        path = self.pki.bundle(self.root)
        for trust in ((), ("-addtrust", "serverAuth"), ("-setalias", "An alias")):
            self.trusted(pki.openssl("x509", "-in", path, "-trustout", *trust).decode())

    def test_with_a_key_beside(self):
        self.trusted(self.root.key.path.read_text(), self.root)

    def test_twice(self):
        self.trusted(self.root, self.root)

    def test_unusable_entries_beside(self):
        """They are left out, and one warning counts them."""
        odd = [self.pki.issue("Ed25519", ca=True, key="ed25519/odd"),
               self.pki.issue("k1", ca=True, key="secp256k1/odd"),
               self.pki.issue("PSS", ca=True, key="rsa-pss2048/odd"), self.pki.issue("x" * 1200, ca=True),
               self.pki.issue("Small", ca=True, key="rsa1024/odd"), pki.armour(pki.c_array(RSA_8192_CA)),
               pki.armour(self.root.der[:-60]), pki.armour(b"garbage"),
               "-----BEGIN CERTIFICATE-----\nnot base64!\n-----END CERTIFICATE-----\n"]
        for entries in ((*odd, self.root), (self.root, *odd), (*odd[:5], self.root, *odd[5:])):
            tool = self.trusted(*entries)
            found = [line for line in tool.warnings if "certificates" in line]
            self.assertEqual(len(found), 1, tool.err)
            self.assertRegex(found[0], r"\b9\b")

    def test_no_file(self):
        self.unusable(self.dir / "missing.crt", "missing.crt")

    def test_directory(self):
        self.unusable(self.dir, str(self.dir.name))

    def test_nothing_usable(self):
        for entries in ((), ("hello\n",), (self.root.key.path.read_text(),), (self.root.pem[:-40],),
                        (self.pki.issue("E", ca=True, key="ed25519/odd"),), (pki.armour(pki.c_array(RSA_8192_CA)),),
                        (self.root.der[:99].hex(),)):
            path = self.pki.bundle(*entries)
            self.unusable(path, path.name)

    def test_not_text(self):
        path = self.dir / "noise.crt"
        path.write_bytes(secrets.token_bytes(100_000))
        self.unusable(path, "noise.crt")

    def test_too_large(self):
        path = self.dir / "large.crt"
        path.write_bytes(b"# nothing\n" * (64 * GREAT // 10))
        tool = self.unusable(path, "large.crt")
        if not RUN.instrumented:
            self.assertLess(tool.peak_rss, 16 * GREAT)

    def test_endless(self):
        self.unusable("/dev/zero", "/dev/zero")

    def unusable(self, path, says):
        """The settings are wrong, and nobody is asked anything."""
        server = self.serve(self.leaf())
        tool = self.visit(server, ca_file=path)
        self.assertEqual((tool.code, len(tool.errors)), (78, 1), tool.err)
        self.assertIn(says, tool.errors[0])
        self.assertEqual(server.requests, [])
        return tool


def odd_number(bits):
    return secrets.randbits(bits) | 1 << (bits - 1) | 1
