#!/usr/bin/python3
"""A throw-away Ceph RGW on loopback: the real S3 server of the tests.

One mon, one in-memory OSD and one radosgw, all state in one directory that is deleted afterwards. RGW is
used because its signature checks, listings, preconditions and error bodies are those that users meet.

For a developer, outside the suite:
    tests/integration/rgw.py start      start one in the background and print its settings as shell exports
    tests/integration/rgw.py stop       end it and delete its data
    tests/integration/rgw.py requests   print the requests that it has answered
"""
import argparse
import collections
import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
import uuid
from pathlib import Path

PACKAGES = {"/usr/bin/ceph-mon": "ceph-mon", "/usr/bin/ceph-osd": "ceph-osd", "/usr/bin/radosgw": "radosgw",
            "/usr/lib/python3/dist-packages/boto3": "python3-boto3"}
REGION = "us-east-1"
DOMAIN = "s3.localhost"  # buckets are hosts below it
COLD = "COLD"  # a storage class
KMS_KEY = "test-key"

User = collections.namedtuple("User", "name access_key secret_key")
ALICE = User("alice", "ALICEACCESSKEY000001", "alicesecretkey/0000000000000000000+0001")
BOB = User("bob", "BOBACCESSKEY00000001", "bobsecretkey+000000000000000000000/0001")

Request = collections.namedtuple("Request", "method path query status user")

# Every setting that is not a path or a port. No authentication between the daemons, no replicas, no waiting
# for paxos: the cluster is up in about two seconds.
CONF = """\
[global]
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
ms_mon_client_mode = crc
ms_client_mode = crc
ms_cluster_mode = crc
ms_service_mode = crc
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv6 = false
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
mon_data_avail_warn = 1
mon_data_avail_crit = 0
debug_ms = 0/0
pid_file =
fsid = {fsid}
mon_host = [v2:127.0.0.1:{mon_port},v1:127.0.0.1:{mon_port_v1}]
run_dir = {dir}/run
admin_socket = {dir}/run/$name.asok
log_file = {dir}/log/$name.log
mon_cluster_log_file = {dir}/log/cluster.log
[mon.a]
mon_data = {dir}/mon
mon_initial_members = a
[osd.0]
osd_data = {dir}/osd
osd_objectstore = memstore
memstore_device_bytes = 8589934592
memstore_page_size = 65536
[client.rgw]
rgw_data = {dir}/rgw
rgw_frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw_dns_name = {domain}
rgw_thread_pool_size = 64
rgw_s3_auth_use_sts = true
rgw_sts_key = abcdefghijklmnop
rgw_sts_min_session_duration = 1
rgw_crypt_require_ssl = false
rgw_crypt_s3_kms_backend = testing
rgw_crypt_s3_kms_encryption_keys = {kms_key}=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=
debug_rgw = 1/1
{extra}
"""

ACCESS_LINE = re.compile(r' beast: \S+ \S+ - (?P<user>\S+) \[[^]]*\] '
                         r'"(?P<method>[A-Z]+) (?P<target>.*) HTTP/1\.[01]" (?P<status>\d+) ')

BEGAN_LINE = re.compile(rb" ====== starting new request req=(0x[0-9a-f]+) ")
OVER_LINE = re.compile(rb" beast: (0x[0-9a-f]+): ")


def missing_packages():
    return [package for path, package in PACKAGES.items() if not os.path.exists(path)]


def install_packages():
    """Installs what the suite needs when it may, and otherwise says what that is."""
    missing = missing_packages()
    if not missing:
        return
    command = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *missing]
    if os.geteuid() != 0:
        raise SystemExit("integration: please run as root: " + " ".join(command))
    print("integration: installing " + " ".join(missing), flush=True)
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    for step in (["apt-get", "update", "-qq"], command):
        done = subprocess.run(step, env=env, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            raise SystemExit(f"integration: {' '.join(step)} failed:\n{done.stdout}")


def free_ports(count):
    """Ports free at this moment, all different, and none of those that the kernel gives to who asks for any."""
    any_from = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = []
    while len(ports) < count:
        port = random.SystemRandom().randrange(10000, max(any_from, 20000))
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        ports.append(port)
    return ports


class Rgw:
    """One server. `keep` leaves the daemons running when this process ends (for start by hand)."""

    users = (ALICE, BOB)

    def __init__(self, directory, keep=False, extra=""):
        self.dir = Path(directory)
        self.keep = keep
        self.extra = extra
        self.port = None
        self.front = None  # a web server before it
        self.daemons = []
        self._marks = 0
        self._answering = {}  # what the log has of each request that is not over: where it began
        self._read = 0        # so much of the log is known

    plain = property(lambda self: f"http://127.0.0.1:{self.port}")
    # For what is tested; the tests themselves ask the server directly.
    endpoint = property(lambda self: self.front.endpoint if self.front else self.plain)
    log = property(lambda self: self.dir / "log" / "client.rgw.log")

    # --- life ---

    def start(self):
        for attempt in range(3):  # a port can be taken between choosing and using it
            try:
                self._start()
                return self
            except (RuntimeError, subprocess.SubprocessError):
                self.stop()
                if attempt == 2:
                    raise

    def stop(self):
        for daemon in reversed(self.daemons):
            daemon.kill()  # nothing to save: all state is thrown away
        for daemon in self.daemons:
            daemon.wait()
        self.daemons = []
        shutil.rmtree(self.dir, ignore_errors=True)

    def _start(self):
        for name in ("mon", "osd", "rgw", "log", "run"):
            (self.dir / name).mkdir(parents=True, exist_ok=True)
        self.port, mon_port, mon_port_v1 = free_ports(3)
        fsid, osd = str(uuid.uuid4()), str(uuid.uuid4())
        self._conf().write_text(CONF.format(fsid=fsid, dir=self.dir, port=self.port, domain=DOMAIN, kms_key=KMS_KEY, mon_port=mon_port,
                                            mon_port_v1=mon_port_v1, extra=self.extra))
        monmap = str(self.dir / "monmap")
        self._command("monmaptool", "--create", "--clobber", "--fsid", fsid, "--addv", "a",
                      f"[v2:127.0.0.1:{mon_port},v1:127.0.0.1:{mon_port_v1}]", monmap)
        self._command("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap)
        self._spawn("ceph-mon", "-i", "a", "-f")
        self._command("ceph", "--connect-timeout", "20", "osd", "new", osd, "0")
        self._command("ceph-osd", "--mkfs", "-i", "0", "--osd-uuid", osd)
        self._spawn("ceph-osd", "-i", "0", "-f")
        for user in self.users:  # the first one makes the zone as well, whose storage classes radosgw reads when it starts
            self._command("radosgw-admin", "user", "create", f"--uid={user.name}", f"--display-name={user.name}",
                          f"--access-key={user.access_key}", f"--secret-key={user.secret_key}")
        for part, *pool in (("zonegroup",), ("zone", "--data-pool=default.rgw.buckets.data")):
            self._command("radosgw-admin", part, "placement", "add", f"--rgw-{part}=default",
                          "--placement-id=default-placement", f"--storage-class={COLD}", *pool)
        self._spawn("radosgw", "-n", "client.rgw", "-f")
        self._wait_ready(60)

    def _conf(self):
        return self.dir / "ceph.conf"

    def _command(self, program, *args):
        done = subprocess.run([program, "-c", self._conf(), *args], timeout=60, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            raise RuntimeError(f"{program} failed with {done.returncode}: {done.stdout[-2000:]}")
        return done.stdout

    def _spawn(self, program, *args):
        # Even kill -9 of the suite must leave no daemon behind, hence the parent death signal.
        guard = [] if self.keep else ["setpriv", "--pdeathsig", "KILL"]
        with open(self.dir / "log" / f"{program}.out", "wb") as out:
            self.daemons.append(subprocess.Popen([*guard, program, "-c", self._conf(), *args], cwd="/",
                                                 stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                                 start_new_session=True))

    def _wait_ready(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for daemon in self.daemons:
                if daemon.poll() is not None:
                    raise RuntimeError(f"{daemon.args} ended with {daemon.returncode}\n{self._last_words()}")
            try:
                with urllib.request.urlopen(self.plain, timeout=5):
                    return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"RGW not ready after {seconds} s\n{self._last_words()}")

    def _last_words(self):
        return "\n".join(f"{log}: {log.read_text(errors='replace')[-600:]}" for log in (self.dir / "log").iterdir())

    # --- use ---

    def client(self, user=ALICE, endpoint=None):
        """A boto3 client: the independent opinion on what a bucket holds. With another `endpoint` only for URLs."""
        import boto3
        from botocore.config import Config
        session = boto3.session.Session(aws_access_key_id=user.access_key, aws_secret_access_key=user.secret_key,
                                        region_name=REGION)
        return session.client("s3", endpoint_url=endpoint or self.plain,
                              config=Config(s3={"addressing_style": "path"}, max_pool_connections=32,
                                            retries={"max_attempts": 1}))

    def user_of_tenant(self, tenant):
        """Of an account of its own: no name of a bucket means the same to it."""
        user = User(f"{tenant}$carol", f"CAROL{uuid.uuid4().hex[:15].upper()}", uuid.uuid4().hex)
        self._command("radosgw-admin", "user", "create", f"--tenant={tenant}", "--uid=carol", "--display-name=carol",
                      f"--access-key={user.access_key}", f"--secret-key={user.secret_key}")
        return user

    def another_key(self, user):
        """The same user, by another key."""
        other = User(user.name, f"OTHER{uuid.uuid4().hex[:15].upper()}", uuid.uuid4().hex)
        self._command("radosgw-admin", "key", "create", f"--uid={user.name}", "--key-type=s3",
                      f"--access-key={other.access_key}", f"--secret-key={other.secret_key}")
        return other

    def sts(self, user=ALICE):
        return self._service("sts", user)

    def iam(self, user=ALICE):
        """For roles and identity providers, which the user may make from now on."""
        self._command("radosgw-admin", "caps", "add", f"--uid={user.name}", "--caps=roles=*;oidc-provider=*")
        return self._service("iam", user)

    def _service(self, name, user):
        import boto3
        return boto3.client(name, aws_access_key_id=user.access_key, aws_secret_access_key=user.secret_key,
                            region_name=REGION, endpoint_url=self.plain)

    def mark(self):
        """A place in the access log, to count from: see requests_since."""
        self._flush()
        return self.log.stat().st_size

    def requests_since(self, mark):
        """What was asked of the server since `mark`, in the order of the answers, path and query as sent."""
        self._flush()
        with open(self.log, "rb") as log:
            log.seek(mark)
            lines = log.read().decode(errors="replace").splitlines()
        return [r for r in map(parse_access_line, lines) if r and not r.path.startswith("/mark-")]

    def _flush(self):
        """The log is written behind, and a request's line only after its answer was sent: ask something recognisable, and
        wait until it is there, with all that had begun before."""
        self._marks += 1
        name = f"/mark-{os.getpid()}-{self._marks}"
        try:
            urllib.request.urlopen(self.plain + name, timeout=60)
        except OSError:
            pass  # 404, as expected
        end = time.monotonic() + 60
        seen = None
        while time.monotonic() < end:
            seen = self._follow(name.encode()) or seen
            if seen and not any(began < seen for began in self._answering.values()):
                return
            time.sleep(0.01)

    def _follow(self, name):
        """Reads what the log has more; returns where `name` was answered."""
        with open(self.log, "rb") as log:
            log.seek(self._read)
            lines = log.read().splitlines(keepends=True)
        seen = None
        for line in lines:
            if not line.endswith(b"\n"):
                break
            self._read += len(line)
            if began := BEGAN_LINE.search(line):
                self._answering[began[1]] = self._read
            elif over := OVER_LINE.search(line):
                self._answering.pop(over[1], None)
                seen = self._read if name + b" " in line else seen
        return seen


def parse_access_line(line):
    match = ACCESS_LINE.search(line)
    if not match:
        return None
    path, _, query = match["target"].partition("?")
    return Request(match["method"], path, query, int(match["status"]), match["user"])


# --- by hand ---

def by_hand_directory():
    """One server per checkout, so that two checkouts do not meet."""
    here = hashlib.sha256(str(Path(__file__).resolve()).encode()).hexdigest()[:8]
    return Path(tempfile.gettempdir()) / f"storsync-rgw-{here}"


def exports(rgw):
    lines = [f"export STORSYNC_{side}_{name}={value}"
             for side in ("SOURCE", "DESTINATION")
             for name, value in (("ENDPOINT", rgw.endpoint), ("REGION", REGION), ("PATH_STYLE", "true"),
                                 ("ACCESS_KEY_ID", ALICE.access_key), ("SECRET_ACCESS_KEY", ALICE.secret_key))]
    lines += [f"export AWS_ENDPOINT_URL={rgw.endpoint} AWS_REGION={REGION} AWS_DEFAULT_REGION={REGION}",
              f"export AWS_ACCESS_KEY_ID={ALICE.access_key} AWS_SECRET_ACCESS_KEY={ALICE.secret_key}",
              f"export BOB_ACCESS_KEY_ID={BOB.access_key} BOB_SECRET_ACCESS_KEY={BOB.secret_key}",
              f"export CEPH_CONF={rgw.dir}/ceph.conf",
              f"# access log: {rgw.log}"]
    return "\n".join(lines)


def kill_if_ours(pid, directory):
    """Ends a daemon started earlier. Not whoever has its number now: that one has another command line."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            if str(directory).encode() not in Path(f"/proc/{pid}/cmdline").read_bytes():
                return
            os.kill(pid, signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            return
        time.sleep(0.02)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("start", "stop", "requests"))
    parser.add_argument("--dir", type=Path, default=by_hand_directory(), help="where its state lives")
    options = parser.parse_args()
    note = options.dir / "by-hand.json"
    rgw = Rgw(options.dir, keep=True)
    if note.exists():
        known = json.loads(note.read_text())
        rgw.port = known["port"]
    if options.action == "start":
        if not note.exists():
            install_packages()
            rgw.start()
            note.write_text(json.dumps({"port": rgw.port, "pids": [d.pid for d in rgw.daemons]}))
        print(exports(rgw))
    elif not note.exists():
        raise SystemExit("rgw.py: none was started")
    elif options.action == "requests":
        for request in rgw.requests_since(0):
            print(request.status, request.method, request.path + ("?" + request.query if request.query else ""))
    else:
        for pid in known["pids"]:
            kill_if_ours(pid, options.dir)
        rgw.stop()


if __name__ == "__main__":
    main()
