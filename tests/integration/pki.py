"""Certificates for tests, right ones and wrong ones: X.509 (RFC 5280) written by hand, so that anything can be in them.

    pki = Pki(directory)
    root = pki.issue("Test Root", ca=True)                        # by itself
    leaf = pki.issue("localhost", by=root, names=["localhost"])
    context = server_context(pki.pem(leaf, root))                 # for ssl, with the chain as given
    ca_file = pki.bundle(root)

Only keys and signatures come from openssl's commands. A key is made once for each of its names: "p256", "p256/NAME",
"rsa2048", "rsa-pss2048", "ed25519".
"""
import base64
import datetime
import ipaddress
import itertools
import re
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

DAY = datetime.timedelta(days=1)
CURVES = {"p256": "P-256", "p384": "P-384", "p521": "P-521", "secp256k1": "secp256k1"}
RSA_SIGNATURES = {"md5": 4, "sha1": 5, "sha256": 11, "sha384": 12, "sha512": 13}        # 1.2.840.113549.1.1.*
ECDSA_SIGNATURES = {"sha1": "1", "sha256": "3.2", "sha384": "3.3", "sha512": "3.4"}     # 1.2.840.10045.4.*
KEY_USAGES = ("digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement",
              "keyCertSign", "cRLSign")
PURPOSES = {"serverAuth": "1.3.6.1.5.5.7.3.1", "clientAuth": "1.3.6.1.5.5.7.3.2",
            "emailProtection": "1.3.6.1.5.5.7.3.4", "any": "2.5.29.37.0"}


# --- DER ---

def tlv(tag, *parts):
    body = b"".join(parts)
    size = len(body)
    if size < 0x80:
        return bytes((tag, size)) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


def sequence(*parts):
    return tlv(0x30, *parts)


def integer(value):
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(dotted):
    first, second, *rest = map(int, dotted.split("."))
    out = bytes((first * 40 + second,))
    for arc in rest:
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | arc & 0x7F)
        out += bytes(reversed(groups))
    return tlv(0x06, out)


def bit_string(data, unused=0):
    return tlv(0x03, bytes((unused,)), data)


def moment(when):
    if when.year < 2050:
        return tlv(0x17, when.strftime("%y%m%d%H%M%SZ").encode())
    return tlv(0x18, when.strftime("%Y%m%d%H%M%SZ").encode())


def name(common_name):
    """A distinguished name of one attribute; "" makes the empty one."""
    if not common_name:
        return sequence()
    return sequence(tlv(0x31, sequence(oid("2.5.4.3"), tlv(0x0C, common_name.encode()))))


def general_name(text):
    """An iPAddress if it looks like one, else a dNSName."""
    try:
        return tlv(0x87, ipaddress.ip_address(text).packed)
    except ValueError:
        return tlv(0x82, text.encode())


def extension(identifier, value, critical=False):
    return sequence(oid(identifier), tlv(0x01, b"\xff") if critical else b"", tlv(0x04, value))


def name_constraints(permitted, critical):
    subtrees = sequence(tlv(0x82, permitted.encode()))
    return extension("2.5.29.30", sequence(tlv(0xA0, subtrees)), critical)


def key_usage(names):
    bits = [usage in names for usage in KEY_USAGES]
    value = sum(bit << (7 - place) for place, bit in enumerate(bits))
    unused = 7 - max(place for place, bit in enumerate(bits) if bit)
    return extension("2.5.29.15", bit_string(bytes((value,)), unused), True)


def rsa_public_key(modulus):
    """The SubjectPublicKeyInfo of an RSA key of which nobody has the private half."""
    return sequence(sequence(oid("1.2.840.113549.1.1.1"), tlv(0x05)),
                    bit_string(sequence(integer(modulus), integer(65537))))


def signature_algorithm(kind, digest):
    if kind == "ed25519":
        return sequence(oid("1.3.101.112"))
    if kind.startswith("rsa-pss"):
        hashed = sequence(oid("2.16.840.1.101.3.4.2.1"), tlv(0x05))
        masked = sequence(oid("1.2.840.113549.1.1.8"), hashed)
        return sequence(oid("1.2.840.113549.1.1.10"),
                        sequence(tlv(0xA0, hashed), tlv(0xA1, masked), tlv(0xA2, integer(32))))
    if kind.startswith("rsa"):
        return sequence(oid(f"1.2.840.113549.1.1.{RSA_SIGNATURES[digest]}"), tlv(0x05))
    return sequence(oid(f"1.2.840.10045.4.{ECDSA_SIGNATURES[digest]}"))


# --- PEM ---

def armour(der, label="CERTIFICATE"):
    lines = base64.encodebytes(der).decode()
    text = "".join(lines.split())
    folded = "\n".join(text[at:at + 64] for at in range(0, len(text), 64))
    return f"-----BEGIN {label}-----\n{folded}\n-----END {label}-----\n"


def c_array(path):
    """The bytes of a test vector that is kept as a C header."""
    return bytes(int(byte, 16) for byte in re.findall(r"0x([0-9a-fA-F]{2})\b", Path(path).read_text()))


# --- keys and certificates ---

@dataclass
class Key:
    kind: str
    path: Path      # PEM, private
    public: bytes   # SubjectPublicKeyInfo


@dataclass
class Certificate:
    subject: bytes
    der: bytes
    key: Key

    pem = property(lambda self: armour(self.der))


class Pki:
    def __init__(self, directory):
        self.dir = Path(directory)
        self.dir.mkdir(exist_ok=True)
        self._keys = {}
        self._numbers = itertools.count(1)

    def key(self, label):
        if label not in self._keys:
            self._keys[label] = self._make_key(label.partition("/")[0], self._file("key"))
        return self._keys[label]

    def _make_key(self, kind, path):
        if kind in CURVES:
            options = ["-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{CURVES[kind]}"]
        elif kind == "ed25519":
            options = ["-algorithm", "ED25519"]
        else:
            family, bits = re.fullmatch(r"(rsa|rsa-pss)(\d+)", kind).groups()
            options = ["-algorithm", family.upper(), "-pkeyopt", f"rsa_keygen_bits:{bits}"]
            if int(bits) > 4096:
                options += ["-pkeyopt", "rsa_keygen_primes:4"]  # smaller primes are found sooner
        openssl("genpkey", *options, "-out", path)
        return Key(kind, path, openssl("pkey", "-in", path, "-pubout", "-outform", "DER"))

    def _file(self, end):
        return self.dir / f"{next(self._numbers)}.{end}"

    def issue(self, subject, by=None, *, key=None, ca=False, names=(), pathlen=None, usage=None, purposes=(),
              begin=-DAY, end=10 * DAY, digest="sha256", more=(), public=None, constraints=True):
        """A certificate. `by` None: by itself. `more`: further extensions; `public`: another public key than the
        key's; `begin` and `end` count from now; `constraints`: with basicConstraints at all."""
        key = self.key(key or (f"p256/{subject}" if ca else "p256"))
        signer = by.key if by else key
        if usage is None:
            usage = ("keyCertSign", "cRLSign") if ca else ("digitalSignature", "keyEncipherment")
        now = datetime.datetime.now(datetime.timezone.utc)
        basic = tlv(0x01, b"\xff") + (integer(pathlen) if pathlen is not None else b"") if ca else b""
        extensions = [
            extension("2.5.29.19", sequence(basic), True) if constraints else b"",
            key_usage(usage) if usage else b"",
            extension("2.5.29.37", sequence(*(oid(PURPOSES[p]) for p in purposes))) if purposes else b"",
            extension("2.5.29.17", sequence(*map(general_name, names))) if names else b"", *more]
        algorithm = signature_algorithm(signer.kind, digest)
        body = sequence(
            tlv(0xA0, integer(2)), integer(next(self._numbers) + (1 << 80)), algorithm,
            by.subject if by else name(subject), sequence(moment(now + begin), moment(now + end)), name(subject),
            public or key.public, tlv(0xA3, sequence(*extensions)))
        return Certificate(name(subject), sequence(body, algorithm, bit_string(self.sign(signer, body, digest))), key)

    def sign(self, key, message, digest="sha256"):
        path = self._file("tbs")
        path.write_bytes(message)
        try:
            if key.kind == "ed25519":
                return openssl("pkeyutl", "-sign", "-rawin", "-inkey", key.path, "-in", path)
            padding = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"]
            return openssl("dgst", f"-{digest}", "-sign", key.path, *(padding if "pss" in key.kind else ()), path)
        finally:
            path.unlink()

    def pem(self, leaf, *chain):
        """A file with what a server needs: the leaf's key, the leaf, and the rest of the chain."""
        path = self._file("pem")
        path.write_text(leaf.key.path.read_text() + "".join(c.pem for c in (leaf, *chain)))
        return path

    def bundle(self, *entries):
        """A file with authorities: certificates, or text as it is."""
        path = self._file("crt")
        path.write_bytes("".join(e if isinstance(e, str) else e.pem for e in entries).encode())
        return path


def openssl(*command):
    done = subprocess.run(["openssl", *map(str, command)], stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    if done.returncode:
        raise RuntimeError(f"openssl {command[0]}: {done.stderr.decode(errors='replace')}")
    return done.stdout


def server_context(pem, oldest=ssl.TLSVersion.TLSv1_2, newest=ssl.TLSVersion.TLSv1_3, ciphers="ALL"):
    """For a server that does whatever it is told to, however old or weak."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = oldest, newest
    context.load_cert_chain(pem)
    return context
