"""nginx as people put it before an object store: it ends TLS and hands on what it gets, byte by byte.

SigV4 signs the Host header and the path, so both must arrive as they were sent; and a body must stream, or the tests
would measure nginx's buffers.
"""
import re
import subprocess
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from rgw import free_ports

PROGRAM = "/usr/sbin/nginx"

CONF = """\
daemon off;
master_process off;
pid {dir}/pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    log_format tests '$connection $ssl_session_reused $ssl_protocol $ssl_cipher $status $request_method $request_uri';
    access_log {dir}/access.log tests;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    server_tokens off;
    keepalive_requests 1000000;
    client_max_body_size 0;
    client_header_buffer_size 32k;
    large_client_header_buffers 8 64k;
    ignore_invalid_headers off;
    underscores_in_headers on;
    {upstream}
    server {{
        listen 127.0.0.1:{port} {tls};
        {options}
        location / {{ {location} }}
    }}
}}
"""

TLS = "ssl backlog=1024; ssl_certificate {pem}; ssl_certificate_key {pem}; ssl_protocols TLSv1.2 TLSv1.3"
UPSTREAM = "upstream store {{ server {address}; keepalive 64; keepalive_requests 1000000; }}"
HAND_ON = """
            proxy_pass http://store;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_request_buffering off;
            proxy_buffering off;
            proxy_buffer_size 64k;
            proxy_buffers 8 64k;
            proxy_next_upstream off;
            proxy_read_timeout 10m;
            proxy_send_timeout 10m;
"""


@dataclass
class Line:
    """Of the access log: one request."""
    connection: int
    reused: bool    # the connection's TLS session was resumed
    protocol: str
    cipher: str
    status: int
    method: str
    target: str


class Nginx:
    """A server for https://127.0.0.1:PORT in front of `upstream`, http://ADDRESS; without one, `location` says what it
    does. `options` are further lines of its server block. Without `pem` it is a server for http."""

    def __init__(self, directory, pem, upstream=None, location=HAND_ON, options="ssl_session_cache shared:tests:1m;"):
        self.dir = Path(directory)
        self.pem = pem
        self.upstream = UPSTREAM.format(address=urllib.parse.urlsplit(upstream).netloc) if upstream else ""
        self.location, self.options = location, options
        self.process = None

    endpoint = property(lambda self: f"http{'s' if self.pem else ''}://127.0.0.1:{self.port}")

    def start(self):
        self.dir.mkdir(parents=True)
        for attempt in range(3):  # a port can be taken between choosing and using it
            self.port = free_ports(1)[0]
            conf = self.dir / "nginx.conf"
            conf.write_text(CONF.format(dir=self.dir, port=self.port, upstream=self.upstream,
                                        tls=TLS.format(pem=self.pem) if self.pem else "backlog=1024", options=self.options, location=self.location))
            with open(self.dir / "error.log", "wb") as errors:
                self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", PROGRAM, "-p", self.dir, "-c", conf],
                                                stdin=subprocess.DEVNULL, stderr=errors, cwd="/")
            if self._listens():
                return self
            self.stop()
        raise RuntimeError(f"nginx does not start: {(self.dir / 'error.log').read_text()}")

    def _listens(self):
        """Only when this very process does: another may have taken the port."""
        end = time.monotonic() + 20
        while self.process.poll() is None and time.monotonic() < end:
            if f":{self.port:04X} " in listening(self.process.pid):
                return True
            time.sleep(0.01)
        return False

    def stop(self):
        if self.process:
            self.process.kill()  # it keeps nothing
            self.process.wait()
            self.process = None

    def lines(self):
        """What it was asked, in the order of the answers. A line is written as soon as the answer is sent."""
        text = (self.dir / "access.log").read_text()
        fields = (line.split(" ", 6) for line in text.splitlines())
        return [Line(int(f[0]), f[1] == "r", f[2], f[3], int(f[4]), f[5], f[6]) for f in fields if len(f) == 7]


def listening(pid):
    """The local addresses, as /proc has them, on which a process listens."""
    try:
        own = {re.sub(r"\D", "", str(link.readlink())) for link in Path(f"/proc/{pid}/fd").iterdir()}
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    except OSError:
        return ""
    return "".join(row[1] + " " for row in rows if row[3] == "0A" and row[9] in own)
