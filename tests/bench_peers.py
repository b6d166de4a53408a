"""The same work by this program, by a bare client, and by whichever of rclone, s5cmd, mc and aws is installed.

All do a row's work in turns within one run, ROUNDS times, and the best of each counts: a busy machine slows all of them, so the
ratios hold where the seconds do not. The bare client is what the requests cost by themselves: they are signed beforehand, and
sixteen threads send them on a connection each, and look at the status. CPU and memory are the client's alone. A
client that cannot do a row's work, or fails at it, has no figures there.
"""
import collections
import contextlib
import datetime
import itertools
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import bench_service
import botocore.config
import boto3
import rgw

ROUNDS = 3
AT_ONCE = 16
KEY, SECRET = rgw.ALICE.access_key, rgw.ALICE.secret_key

# wall and CPU seconds, peak RSS in MiB (None: not measured)
Figures = collections.namedtuple("Figures", "wall cpu rss")
Side = collections.namedtuple("Side", "endpoint bucket")
# What is done: "copy" inside one service, "relay" between two, "same": nothing is left to do
Work = collections.namedtuple("Work", "name kind source destination count size")


def client(endpoint, ca_file=None):
    return boto3.client("s3", endpoint_url=endpoint, region_name=rgw.REGION, aws_access_key_id=KEY, aws_secret_access_key=SECRET,
                        verify=str(ca_file) if ca_file else None,
                        config=botocore.config.Config(s3={"addressing_style": "path"}, retries={"max_attempts": 5}))


def keys_of(side, ca_file=None):
    pages = client(side.endpoint, ca_file).get_paginator("list_objects_v2").paginate(Bucket=side.bucket)
    return [entry["Key"] for page in pages for entry in page.get("Contents", ())]


def empty(side, ca_file=None):
    keys, s3 = keys_of(side, ca_file), client(side.endpoint, ca_file)
    for at in range(0, len(keys), 1000):
        s3.delete_objects(Bucket=side.bucket, Delete={"Objects": [{"Key": key} for key in keys[at:at + 1000]]})


# --- the clients ---

class Client:
    """A program: its name, how it is started for a piece of work, and what it is told beside that."""
    program = name = version_flag = ""

    def __init__(self, place, ca_file):
        self.place, self.ca_file = pathlib.Path(place), ca_file
        self.env = {"PATH": os.environ["PATH"], "HOME": str(place)}

    def command(self, work):
        """None: it cannot do that."""
        raise NotImplementedError

    def environment(self, _work):
        return {}

    def version(self):
        done = subprocess.run([self.program, self.version_flag], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        found = re.search(r"\d+\.\d+[\w.-]*", done.stdout)
        return f"{self.name} {found[0] if found else ''}".strip()

    def run(self, work):
        command = self.command(work)
        if command is None:
            return None
        with open(self.place / "errors", "wb") as errors:
            before = time.monotonic()
            process = subprocess.Popen(command, env={**self.env, **self.environment(work)}, stdin=subprocess.DEVNULL,
                                       stdout=errors, stderr=errors)
            watch = threading.Thread(target=self.watch, args=(process.pid,))
            watch.start()
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.monotonic() - before
            process.returncode = os.waitstatus_to_exitcode(status)
            watch.join()
        if status != 0:
            print(f"{self.name}: {work.name}: " + (self.place / "errors").read_text()[-300:], file=sys.stderr)
            return None
        return Figures(wall, usage.ru_utime + usage.ru_stime, self.peak / 1024)

    def watch(self, pid):
        """The largest process of it: what the kernel has kept of each is gone when it ends."""
        self.peak = 0
        while True:
            try:
                children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
                for each in (pid, *children):
                    found = re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{each}/status").read_text())
                    self.peak = max(self.peak, int(found[1]) if found else 0)
                if "State:\tZ" in pathlib.Path(f"/proc/{pid}/status").read_text():
                    return
            except OSError:
                if not os.path.exists(f"/proc/{pid}"):
                    return
            time.sleep(0.01)


class Ours(Client):
    name, version_flag = "storsync-init", "--version"

    def __init__(self, place, ca_file, binary):
        super().__init__(place, ca_file)
        self.program = binary

    def command(self, work):
        return [self.program, "--sync"]

    def environment(self, work):
        env = {"STORSYNC_PUBLIC_OBJECT_SEARCH_PATHS": "/b/public", "STORSYNC_STATUS_FILE": str(self.place / "status.json")}
        for side, at in (("SOURCE", work.source), ("DESTINATION", work.destination)):
            env.update({f"STORSYNC_{side}_{name}": value for name, value in {
                "BUCKET": at.bucket, "ENDPOINT": at.endpoint, "PATH_STYLE": "yes", "CA_FILE": str(self.ca_file),
                "ACCESS_KEY_ID": KEY, "SECRET_ACCESS_KEY": SECRET, "REGION": rgw.REGION}.items()})
        return env


class Rclone(Client):
    program = name = "rclone"
    version_flag = "version"

    def command(self, work):
        to = "a" if work.kind == "copy" else "b"
        return ["rclone", "copy", f"a:{work.source.bucket}/public", f"{to}:{work.destination.bucket}/public", "--ca-cert",
                str(self.ca_file), "--config", "/dev/null", "--transfers", str(AT_ONCE), "--checkers", str(AT_ONCE), "--fast-list", "-q"]

    def environment(self, work):
        env = {}
        for name, side in (("A", work.source), ("B", work.destination)):
            env.update({f"RCLONE_CONFIG_{name}_{key}": value for key, value in {
                "TYPE": "s3", "PROVIDER": "Ceph", "ENDPOINT": side.endpoint, "ACCESS_KEY_ID": KEY, "SECRET_ACCESS_KEY": SECRET,
                "REGION": rgw.REGION, "NO_CHECK_BUCKET": "true"}.items()})
        return env


class Mc(Client):
    program = name = "mc"
    version_flag = "--version"

    def command(self, work):
        to = "a" if work.kind == "copy" else "b"
        return ["mc", "--insecure", "--quiet", "mirror", f"a/{work.source.bucket}/public", f"{to}/{work.destination.bucket}/public"]

    def environment(self, work):
        secret = urllib.parse.quote(SECRET, safe="")
        return {f"MC_HOST_{name}": side.endpoint.replace("://", f"://{KEY}:{secret}@", 1)
                for name, side in (("a", work.source), ("b", work.destination))}


class S5cmd(Client):
    program = name = "s5cmd"
    version_flag = "version"

    def command(self, work):
        if work.kind == "relay":
            return None
        return ["s5cmd", "--endpoint-url", work.source.endpoint, "--no-verify-ssl", "sync", f"s3://{work.source.bucket}/public/*",
                f"s3://{work.destination.bucket}/public/"]

    def environment(self, work):
        return {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": rgw.REGION}


class Aws(S5cmd):
    program = name = "aws"
    version_flag = "--version"

    def command(self, work):
        if work.kind == "relay":
            return None
        return ["aws", "--endpoint-url", work.source.endpoint, "s3", "sync", f"s3://{work.source.bucket}/public",
                f"s3://{work.destination.bucket}/public", "--only-show-errors"]


class OursInDirectories(Ours):
    def environment(self, work):
        return {"STORSYNC_PUBLIC_OBJECT_SEARCH_PATHS": "/b/public", "STORSYNC_STATUS_FILE": str(self.place / "status.json"),
                "STORSYNC_SOURCE_BUCKET": f"file://{work.source.bucket}", "STORSYNC_DESTINATION_BUCKET": f"file://{work.destination.bucket}"}


class Rsync(Client):
    program = "rsync"
    name, version_flag = "rsync --fsync", "--version"

    def command(self, work):
        return ["rsync", "-a", "--fsync", f"{work.source.bucket}/public", f"{work.destination.bucket}/"]


class Cp(Client):
    """All of the volume is flushed at the end, so nothing is whole or not at all."""
    program = "cp"
    name, version_flag = "cp; sync", "--version"

    def command(self, work):
        return ["sh", "-c", 'cp -r "$0/public" "$1/" && sync -f "$1"', work.source.bucket, work.destination.bucket]


class Bare:
    """Sixteen threads, and the requests that the work cannot do without."""
    name = "bare client"

    def __init__(self, ca_file):
        self.ca_file = ca_file

    def version(self):
        return f"{self.name}: {AT_ONCE} connections"

    def run(self, work):
        if work.kind == "same":
            return self.timed(1, lambda _: self.list_both(work))
        source, destination = client(work.source.endpoint, self.ca_file), client(work.destination.endpoint, self.ca_file)
        jobs = []
        for key in keys_of(work.source, self.ca_file):
            where = {"Bucket": work.source.bucket, "Key": key}
            put = {"Bucket": work.destination.bucket, "Key": key}
            if work.kind == "copy":
                copied = f"{work.source.bucket}/{key}"
                url = destination.generate_presigned_url("copy_object", {**put, "CopySource": copied})
                jobs.append((None, url, f"x-amz-copy-source: {copied}\r\n"))
            else:
                jobs.append((source.generate_presigned_url("get_object", where), destination.generate_presigned_url("put_object", put), ""))
        return self.timed(AT_ONCE, lambda number: self.work_off(jobs[number::AT_ONCE]))

    @staticmethod
    def timed(threads, function):
        wall, cpu = time.monotonic(), time.process_time()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(function, range(threads)))
        return Figures(time.monotonic() - wall, time.process_time() - cpu, None)

    def connect(self, url):
        parts = urllib.parse.urlsplit(url)
        sock = socket.create_connection((parts.hostname, parts.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=str(self.ca_file))
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            sock = context.wrap_socket(sock, server_hostname=parts.hostname)
        return sock

    def work_off(self, jobs):
        with contextlib.ExitStack() as stack:
            reader = writer = None
            for get, put, more in jobs:
                writer = writer or stack.enter_context(self.connect(put))
                if get is None:
                    exchange(writer, "PUT", put, more + "Content-Length: 0\r\n")
                    continue
                reader = reader or stack.enter_context(self.connect(get))
                pass_on(reader, get, writer, put)

    def list_both(self, work):
        for side in (work.source, work.destination):
            s3 = client(side.endpoint, self.ca_file)
            with contextlib.closing(self.connect(side.endpoint)) as sock:
                after = ""
                while after is not None:
                    url = s3.generate_presigned_url("list_objects_v2", {"Bucket": side.bucket, "StartAfter": after})
                    body = exchange(sock, "GET", url, "")
                    after = bytes(body).rpartition(b"<Key>")[2].partition(b"</Key>")[0].decode() if b"<IsTruncated>true" in body else None


def send_head(sock, method, url, more):
    parts = urllib.parse.urlsplit(url)
    sock.sendall(f"{method} {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n{more}\r\n".encode())


def receive(sock, data, enough):
    while not enough(data):
        piece = sock.recv(262144)
        if not piece:
            raise ConnectionError("the connection was closed")
        data += piece


def read_head(sock):
    """What came of the body with it, and how long the body is; None: in chunks, whatever they hold."""
    data = bytearray()
    receive(sock, data, lambda data: b"\r\n\r\n" in data)
    end = data.find(b"\r\n\r\n")
    if data[9:10] != b"2":
        raise ConnectionError(bytes(data[:300]))
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", data[:end + 2])
    chunks = re.search(rb"(?i)\r\ntransfer-encoding: *chunked", data[:end + 2])
    return data[end + 4:], None if chunks else int(length[1]) if length else 0


def exchange(sock, method, url, more):
    send_head(sock, method, url, more)
    body, length = read_head(sock)
    return read_body(sock, body, length)


def read_body(sock, body, length):
    receive(sock, body, (lambda data: data.endswith(b"0\r\n\r\n")) if length is None else lambda data: len(data) >= length)
    return body


def pass_on(reader, get, writer, put):
    send_head(reader, "GET", get, "")
    body, length = read_head(reader)  # an object has a length
    send_head(writer, "PUT", put, f"Content-Length: {length}\r\n")
    writer.sendall(body)
    left, room = length - len(body), memoryview(bytearray(262144))
    while left > 0:
        count = reader.recv_into(room, min(left, len(room)))
        if count == 0:
            raise ConnectionError("the connection was closed")
        writer.sendall(room[:count])
        left -= count
    body, length = read_head(writer)
    read_body(writer, body, length)


# --- the work ---

@contextlib.contextmanager
def bare_service(delay, keys):
    port = rgw.free_ports(1)[0]
    process = subprocess.Popen([sys.executable, bench_service.__file__, str(port), str(delay), str(keys)], stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def fill(server, name, count, size):
    s3 = server.client()
    for bucket in (name, f"{name}-copy"):
        s3.create_bucket(Bucket=bucket)
    body = os.urandom(size)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: s3.put_object(Bucket=name, Key=f"public/{number:05}", Body=body), range(count)))
    return name, f"{name}-copy"


def best_of_rounds(work, clients, attempt):
    """What `attempt` tells of each, None if it failed: the best of all rounds."""
    best = {}
    for _ in range(ROUNDS):
        for each in clients:
            try:
                figures = attempt(each)
            except OSError as failure:
                print(f"{each.name}: {work.name}: {failure}", file=sys.stderr)
                figures = None
            if figures is None:
                continue
            before = best.get(each.name, figures)
            best[each.name] = Figures(min(before.wall, figures.wall), min(before.cpu, figures.cpu),
                                      None if figures.rss is None else max(before.rss, figures.rss))
    return best


def measure(work, clients, ca_file):
    def attempt(each):
        if work.kind != "same":
            empty(work.destination, ca_file)
        figures = each.run(work)
        return figures if work.kind == "same" or complete(work, ca_file) == work.count else None
    return best_of_rounds(work, clients, attempt)


def complete(work, ca_file):
    return sum(key.startswith("public/") for key in keys_of(work.destination, ca_file))


def all_work(server, https, clients):
    """(work, figures by client), one after the other."""
    plain, other = https.front(tls=False).endpoint, https.front(tls=False).endpoint
    small, large = fill(server, "small", 1000, 1024), fill(server, "large", 4, 64 << 20)
    reader, writer = https.front(), https.front()
    for work in (
            Work("1,000 copies of 1 KiB inside Ceph RGW", "copy", Side(server.plain, small[0]), Side(server.plain, small[1]), 1000, 1024),
            Work("1,000 relays of 1 KiB, http", "relay", Side(plain, small[0]), Side(other, small[1]), 1000, 1024),
            Work("1,000 relays of 1 KiB, https", "relay", Side(reader.endpoint, small[0]), Side(writer.endpoint, small[1]), 1000, 1024),
            Work("4 relays of 64 MiB, http", "relay", Side(plain, large[0]), Side(other, large[1]), 4, 64 << 20),
            Work("4 relays of 64 MiB, https", "relay", Side(reader.endpoint, large[0]), Side(writer.endpoint, large[1]), 4, 64 << 20)):
        yield work, measure(work, clients, https.ca_file)
    with bare_service(0, 100000) as endpoint:
        work = Work("nothing to do in 100,000 keys (a service without disks)", "same", Side(endpoint, "source"), Side(endpoint, "same"), 0, 0)
        yield work, measure(work, clients, https.ca_file)
    with bare_service(50, 2000) as endpoint:
        work = Work("2,000 copies, 50 ms of round trip", "copy", Side(endpoint, "source"), Side(endpoint, "empty"), 2000, 0)
        yield work, measure(work, clients, https.ca_file)


def all_work_in_directories(place, clients):
    """A new destination for each run: a file system may be slow to use again what was just freed."""
    for number, (count, size, what) in enumerate(((3000, 1024, "3,000 files of 1 KiB"), (8, 64 << 20, "8 files of 64 MiB"))):
        source = place / f"files-{number}"
        body = os.urandom(size)
        for file in range(count):
            folder = source / f"public/{file % 30:02}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{file:05}").write_bytes(body)
        os.sync()
        work = Work(f"{what}, from one directory to another", "files", Side(None, str(source)), None, count, size)
        runs = itertools.count()

        def attempt(each, number=number, work=work, runs=runs):
            to = place / f"files-{number}-{next(runs)}"
            to.mkdir()
            figures = each.run(work._replace(destination=Side(None, str(to))))
            return figures if sum(path.is_file() for path in (to / "public").rglob("*")) == work.count else None
        yield work, best_of_rounds(work, clients, attempt)


# --- the table ---

def ratio(value, ours):
    if value is None or ours is None:
        return "-"
    return f"{value / ours:.1f}" if ours else "-"


def cell(figures, ours=None):
    if figures is None:
        return "-"
    if ours is None:
        return f"{figures.wall:.2f} s, {figures.cpu:.2f} s, {figures.rss:.1f} MiB"
    return ", ".join(ratio(value, own) for value, own in zip(figures, ours))


def table(rows, clients):
    others = clients[1:]
    yield "| work | storsync-init | " + " | ".join(each.name for each in others) + " |"
    yield "|---|---|" + "---|" * len(others)
    for work, figures in rows:
        ours = figures.get(clients[0].name)
        yield f"| {work.name} | {cell(ours)} | " + " | ".join(
            cell(figures.get(each.name), ours) if ours else "-" for each in others) + " |"


def machine():
    info = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", info)
    memory = re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())
    return (f"{os.cpu_count()} CPUs ({model[1].strip() if model else os.uname().machine}), {int(memory[1]) / (1 << 20):.0f} GiB, "
            f"Linux {os.uname().release.partition('-')[0]}")


def compare(place, server, https, binary):
    """Prints the tables, and returns their lines."""
    installed = [kind for kind in (Rclone, S5cmd, Mc, Aws) if shutil.which(kind.program)]
    clients = [Ours(place, https.ca_file, binary), Bare(https.ca_file), *(kind(place, https.ca_file) for kind in installed)]
    rows = []
    for work, figures in all_work(server, https, clients):
        rows.append((work, figures))
        print(*table([(work, figures)], clients), "", sep="\n", flush=True)
    copiers = [OursInDirectories(place, https.ca_file, binary), Cp(place, https.ca_file)]
    if shutil.which(Rsync.program):
        copiers.append(Rsync(place, https.ca_file))
    files = table(list(all_work_in_directories(place, copiers)), copiers)
    lines = [f"Measured on {datetime.date.today()}: {machine()}; the servers run on the same machine. "
             + "; ".join(each.version() for each in (*clients, *copiers[1:])) + ".", "", *table(rows, clients), "", *files]
    print(*lines, sep="\n")
    return lines

