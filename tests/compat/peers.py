"""Programs of others: two servers that know Google Cloud Storage, Google's own client, what a Node application is made of,
and Helm.

Each is pinned by hashes (go.sum, requirements.txt, package-lock.json). What cannot be had on this machine is told, and the tests
that need it are skipped.
"""
import base64
import importlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import gcs
from fetched import Missing, command, kept, npm
from harness import RUN
from nginx import listening
from rgw import free_ports

HERE = Path(__file__).resolve().parent
CHILD = ["setpriv", "--pdeathsig", "KILL"]  # ends with us, whatever way we end


def build_with_go(program, source, package):
    """Go's own caches for this would take gigabytes; they are thrown away, the program stays."""
    scratch = program.parent.parent / "go"
    own = {"GOMODCACHE": str(scratch / "mod"), "GOCACHE": str(scratch / "build"), "GOTOOLCHAIN": "local",
           "GOFLAGS": "-mod=readonly -modcacherw -trimpath"}
    command("go", "build", "-ldflags=-s -w", "-o", program, package, cwd=source, env={**os.environ, **own})


def make_server(folder):
    build_with_go(folder / "fake-gcs-server", HERE, "github.com/fsouza/fake-gcs-server")


def make_helm(folder):
    build_with_go(folder / "helm", HERE / "helm", "helm.sh/helm/v3/cmd/helm")


def make_emulator(folder):
    command(sys.executable, "-m", "venv", folder)
    command(folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes",
            "--only-binary", ":all:", "-r", HERE / "requirements.txt")


def make_client(folder):
    npm(HERE, folder)


def make_node(folder):
    npm(HERE / "node", folder)


def words_for_fake_gcs_server(place, port):
    address = f"127.0.0.1:{port}"
    return [place / "fake-gcs-server", "-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "memory",
            "-public-host", address, "-external-url", f"http://{address}", "-log-level", "warn"]


def words_for_emulator(place, port):
    return [place / "bin/python", "-m", "gcp_storage_emulator", "start", "--host", "127.0.0.1", "--port", str(port),
            "--in-memory", "--quiet"]


SERVERS = {"fake-gcs-server": words_for_fake_gcs_server, "emulator": words_for_emulator}


class Peers:
    """What there is of them; to be opened before any test."""

    def __init__(self):
        self.places = {}
        self.why_not = {}
        self.client = None

    def open(self):
        for name, locks, make, program in (
                ("client", ["package.json", "package-lock.json"], make_client, "node"),
                ("node", ["node/package.json", "node/package-lock.json"], make_node, "node"),
                ("emulator", ["requirements.txt"], make_emulator, "setpriv"),
                ("fake-gcs-server", ["go.mod", "go.sum"], make_server, "setpriv"),
                ("helm", ["helm/go.mod", "helm/go.sum"], make_helm, "true")):
            try:
                if not shutil.which(program):  # to run what is kept already
                    raise Missing(f"no {program} here")
                self.places[name] = kept("compat", name, [HERE / lock for lock in locks], make)
            except Missing as missing:
                self.why_not[name] = str(missing)
                print(f"compat: ===> SKIPPED, NOT TESTED: {name} ({missing}) <===", flush=True)
        if "emulator" in self.places:
            [packages] = self.places["emulator"].glob("lib/python*/site-packages")
            sys.path.append(str(packages))
            gcs.fast_crc32c = importlib.import_module("google_crc32c").value
        if "client" in self.places:
            self.client = GoogleClient(self.places["client"])

    def close(self):
        if self.client:
            stop(self.client.process)

    def serve(self, name):
        """Starts a server: its process and its endpoint."""
        log = RUN.tmp / f"{RUN.fresh(name)}.log"
        for _ in range(3):  # a port can be taken between choosing and using it
            [port] = free_ports(1)
            with open(log, "wb") as out:
                process = subprocess.Popen([*CHILD, *SERVERS[name](self.places[name], port)], stdin=subprocess.DEVNULL,
                                           stdout=out, stderr=out, cwd="/", env={"PATH": "/usr/bin:/bin"})
            end = time.monotonic() + 6 * RUN.slow
            while process.poll() is None and time.monotonic() < end:
                if f":{port:04X} " in listening(process.pid):
                    return process, f"http://127.0.0.1:{port}"
                time.sleep(0.02)
            stop(process)
        raise RuntimeError(f"{name} does not start: {log.read_text()}")


def stop(process):
    process.kill()
    process.wait()


class Refused(Exception):
    """The client says that the service said no."""

    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code = code


class GoogleClient:
    """@google-cloud/storage in a process of its own (client.js). Each method is one of its actions."""

    def __init__(self, folder):
        self.process = subprocess.Popen([*CHILD, "node", HERE / "client.js"], text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE,
                                        env={"PATH": os.environ["PATH"], "NODE_PATH": str(folder / "node_modules")})
        self._lock = threading.Lock()

    def do(self, act, endpoint, bucket, **more):
        with self._lock:
            self.process.stdin.write(json.dumps({"act": act, "endpoint": endpoint, "bucket": bucket, **more}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("Google's client has ended")
        told = json.loads(line)
        if "error" in told:
            raise Refused(told["error"].get("code"), told["error"]["message"])
        return told["answer"]


class ClientBucket:
    """A bucket on any such server, seen and filled by Google's client alone. The same to use as gcs.Bucket."""

    def __init__(self, client, endpoint, name, directory):
        self.client, self.endpoint, self.name = client, endpoint, name
        self.dir = Path(directory)

    def do(self, act, **more):
        return self.client.do(act, self.endpoint, self.name, **more)

    def env(self, side, endpoint=None):
        return {f"STORSYNC_{side.upper()}_BUCKET": f"gs://{self.name}",
                "STORAGE_EMULATOR_HOST": endpoint or self.endpoint}

    def put(self, key, body=b"x", age=0, resumable=False, conditions=None, **fields):
        """`age` cannot be had: it is written now."""
        path = self.dir / RUN.fresh("body")
        path.write_bytes(body.encode() if isinstance(body, str) else body)
        fields.setdefault("contentType", "application/octet-stream")
        try:
            return self.do("upload", name=key, path=str(path), resumable=resumable, fields=fields,
                           conditions=conditions)
        finally:
            path.unlink()

    def get(self, key):
        return base64.b64decode(self.do("download", name=key, options={"decompress": False}))

    def keys(self, prefix=""):
        return sorted(sum(self.do("pages", prefix=prefix), []), key=str.encode)

    def snapshot(self, prefix=""):
        """{key: SHA-256, size and fields}; what is empty is as good as not there."""
        found = self.do("snapshot", prefix=prefix)
        return {key: {name: value for name, value in facts.items() if value != {}} for key, facts in found.items()
                if not key.startswith(".storsync/")}

    def contents(self, state=False):
        return {key: self.get(key) for key in self.keys() if state or not key.startswith(".storsync/")}

    state, markers, marker, lease = (getattr(gcs.Bucket, name) for name in ("state", "markers", "marker", "lease"))


PEERS = Peers()
