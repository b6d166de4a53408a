"""A name server (RFC 1035) that knows one address for every name, and says what it is told to of all other questions."""
import select
import struct
import threading

A, AAAA = 1, 28
CODES = {"nothing": 0, "servfail": 2, "nxdomain": 3, "notimp": 4, "refused": 5}


class NameServer:
    """`sock` is a UDP socket, which it closes. `known` is the type of record that it has, with `address` for a value;
    `others` is its answer to the rest: one of CODES, or "silence"."""

    def __init__(self, sock, known, address, others):
        self.sock, self.known, self.address, self.others = sock, known, address, others
        self.questions = []  # types, in order
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self):
        self._stop.set()
        self._thread.join()
        self.sock.close()

    def _serve(self):
        while not self._stop.is_set():
            if select.select([self.sock], [], [], 0.05)[0]:
                query, peer = self.sock.recvfrom(2048)
                answer = self._answer(query)
                if answer:
                    self.sock.sendto(answer, peer)

    def _answer(self, query):
        end = query.index(b"\0", 12) + 5
        kind = struct.unpack(">H", query[end - 4:end - 2])[0]
        self.questions.append(kind)
        if kind == self.known:
            record = b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(self.address)) + self.address
            return self._head(query, 0, 1) + query[12:end] + record
        if self.others == "silence":
            return None
        return self._head(query, CODES[self.others], 0) + query[12:end]

    @staticmethod
    def _head(query, code, answers):
        return query[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, answers, 0, 0)
