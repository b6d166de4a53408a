"""A forward proxy, as companies have them: CONNECT for https (RFC 9110, 9.3.6), whole URLs for http (RFC 9112, 3.2.2).

    proxy = ForwardProxy()                          # or ForwardProxy(refuse=403), ForwardProxy(hang=True)
    ... run the tool with https_proxy=proxy.url ...
    proxy.requests                                  # [(method, target, headers)], what it could read
"""
import base64
import contextlib
import select
import socket
import ssl
import threading
import urllib.parse

from proxyfault import Disconnected, Wire, accepted, framing_of, parse_head, stop_listening


class ForwardProxy:
    """`refuse`: that status instead of a connection; `hang`: no answer at all; `password`: "user:password"; `tls`: an
    ssl.SSLContext, for a proxy that is itself spoken to over https."""

    def __init__(self, refuse=None, hang=False, password=None, tls=None):
        self.refuse, self.hang, self.password, self.tls = refuse, hang, password, tls
        self.requests = []
        self.stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    url = property(lambda self: f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}")

    def stop(self):
        self.stopping.set()
        stop_listening(self._listener, self._thread)

    def _accept(self):
        for sock in accepted(self._listener, self.stopping):
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with contextlib.suppress(Disconnected, OSError), sock:
            with self.tls.wrap_socket(sock, server_side=True) if self.tls else sock as client:
                while self._one(Wire(client)):
                    pass

    def _one(self, client):
        head = client.until(b"\r\n\r\n")
        if not head:
            return False
        first, headers = parse_head(head)
        method, target, _ = first.split(" ", 2)
        self.requests.append((method, target, headers))
        if self.hang:
            self.stopping.wait(60)
            return False
        status = self._verdict(headers)
        if status:
            client.send(f"HTTP/1.1 {status} No\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n".encode())
            return True
        if method == "CONNECT":
            return self._tunnel(client, target)
        return self._forward(client, head, headers, target)

    def _verdict(self, headers):
        if self.refuse or not self.password:
            return self.refuse
        expected = "Basic " + base64.b64encode(self.password.encode()).decode()
        return None if headers.get("proxy-authorization") == expected else 407

    def _tunnel(self, client, target):
        host, _, port = target.rpartition(":")
        with socket.create_connection((address(host), int(port)), timeout=60) as server:
            client.send(b"HTTP/1.1 200 Connected\r\n\r\n")
            pump(client.sock, server)
        return False

    def _forward(self, client, head, headers, target):
        url = urllib.parse.urlsplit(target)
        with socket.create_connection((address(url.hostname), url.port), timeout=60) as sock:
            server = Wire(sock)
            server.send(head.replace(target.encode(), target[target.index("/", 8):].encode(), 1))
            for piece in client.pieces(framing_of(headers, 0)):
                server.send(piece)
            answer = server.until(b"\r\n\r\n")
            _, headers = parse_head(answer)
            client.send(answer)
            for piece in server.pieces(framing_of(headers, "close")):
                client.send(piece)
        return "content-length" in headers or "transfer-encoding" in headers


def address(host):
    """It knows a network that nobody else does: 192.0.2.1 and all names that end in .test are here."""
    return "127.0.0.1" if host.endswith(".test") or host == "192.0.2.1" else host.strip("[]")


def pump(client, server):
    """Both directions, until one ends. In one thread: an SSLSocket is not for two."""
    while True:
        decrypted = isinstance(client, ssl.SSLSocket) and client.pending()
        for sock in [client] if decrypted else select.select([client, server], [], [])[0]:
            data = sock.recv(65536)
            if not data:
                return
            (server if sock is client else client).sendall(data)
