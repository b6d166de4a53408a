"""TLS 1.2 by hand (RFC 5246, RFC 8422), as far as a server gets in clear text: for what no TLS library lets one do.

    server = RawServer(certificate_flight([der], signature=b"..."))
    ... run the tool against https://localhost:{server.port} ...
"""
import os
import socket
import threading

from proxyfault import accepted, stop_listening

HANDSHAKE, ALERT = 22, 21
ECDHE_ECDSA_AES128_GCM, ECDHE_RSA_AES128_GCM, RSA_AES128_CBC = 0xC02B, 0xC02F, 0x002F
TLS12 = b"\x03\x03"
# The generator of P-256: any point on the curve will do for a key that is never used.
POINT = bytes.fromhex("046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
                      "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")


def sized(width, data):
    return len(data).to_bytes(width, "big") + data


def message(kind, body):
    return bytes((kind,)) + sized(3, body)


def records(data, kind=HANDSHAKE, version=TLS12):
    pieces = [data[at:at + 16384] for at in range(0, len(data), 16384)]
    return b"".join(bytes((kind,)) + version + sized(2, piece) for piece in pieces)


def alert(number):
    return records(bytes((2, number)), ALERT)


def server_hello(cipher=ECDHE_ECDSA_AES128_GCM, version=TLS12, compression=0):
    body = version + os.urandom(32) + sized(1, b"") + cipher.to_bytes(2, "big") + bytes((compression,))
    return message(2, body)


def certificate_flight(certificates, signature=bytes(70), cipher=ECDHE_ECDSA_AES128_GCM):
    """Everything up to ServerHelloDone, with a made-up signature of the key exchange: it fits no certificate."""
    listed = b"".join(sized(3, der) for der in certificates)
    scheme = b"\x04\x03" if cipher == ECDHE_ECDSA_AES128_GCM else b"\x04\x01"
    exchange = b"\x03\x00\x17" + sized(1, POINT) + scheme + sized(2, signature)
    return records(server_hello(cipher) + message(11, sized(3, listed)) + message(12, exchange) + message(14, b""))


class RawServer:
    """Answers each ClientHello with the same bytes, then reads until the client goes away. `pause`: seconds after
    each byte."""

    def __init__(self, answer, pause=0):
        self.answer, self.pause = answer, pause
        self.connections = 0
        self.stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def stop(self):
        self.stopping.set()
        stop_listening(self._listener, self._thread)

    def _accept(self):
        for sock in accepted(self._listener, self.stopping):
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with sock:
            try:
                sock.settimeout(60)
                if not sock.recv(65536):
                    return
                for piece in [self.answer[n:n + 1] for n in range(len(self.answer))] if self.pause else [self.answer]:
                    sock.sendall(piece)
                    self.stopping.wait(self.pause)
                while self.answer and sock.recv(65536):
                    pass
            except OSError:
                pass  # it has seen enough
