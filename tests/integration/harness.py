"""Running the tool as a user would, and everything that a test needs around it.

RUN is the one object shared by all tests: the binary, the temporary directory, the servers started so far.
Nothing is started before a test asks for it, so directory tests run on a machine without Ceph.
"""
import contextlib
import ctypes
import hashlib
import itertools
import json
import os
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import gcs
import nginx
import pki
import proxyfault
import rgw

CHECKOUT = Path(__file__).resolve().parents[2]
PATH = "/usr/bin:/bin"
NOBODY = 65534
HEADERS = ("content-type", "cache-control", "content-encoding", "content-disposition", "content-language", "expires",
           "content-length")
SANITIZER = re.compile(rb"(?m)^==\d+== |AddressSanitizer|LeakSanitizer|runtime error: ")


class Run:
    """What lives as long as the whole run of the suite."""

    def __init__(self):
        self.wrap = shlex.split(os.environ.get("STORSYNC_WRAP", ""))
        self.binary = None
        self.test_binary = None  # the one with named crash points, if STORSYNC_TEST_BIN says where it is
        self.slow = 10       # factor for upper limits: what is usual on an idle machine, times this
        self.instrumented = False  # memory and time of a wrapped or sanitized binary say nothing
        self.tmp = None
        self.tls = os.environ.get("STORSYNC_TEST_TLS") == "1"  # the tool meets every server over https
        self.gs = os.environ.get("STORSYNC_TEST_GS", "")  # which sides are Google's, where a test leaves that open
        self._rgws = []
        self._fronts = []
        self._children = set()
        self._numbers = itertools.count(1)
        self.cache = {}      # data sets that several tests read

    def open(self):
        binary = Path(os.environ.get("STORSYNC_BIN") or CHECKOUT / "build" / "storsync-init").resolve()
        if not os.access(binary, os.X_OK):
            raise SystemExit(f"integration: {binary}: not there or not executable; build it or set STORSYNC_BIN")
        self.tmp = Path(tempfile.mkdtemp(prefix="storsync-test-", dir=temp_root())).resolve()
        self.tmp.chmod(0o755)
        self.binary = self._keep(binary, "storsync-init")
        if os.environ.get("STORSYNC_TEST_BIN"):
            self.test_binary = self._keep(Path(os.environ["STORSYNC_TEST_BIN"]).resolve(), "storsync-init-test")
        if self.wrap or b"__asan_" in binary.read_bytes():
            self.slow, self.instrumented = 20, True

    def _keep(self, binary, name):
        """A copy: a rebuild during the run does not matter, and users without rights in the checkout can run it."""
        copy = self.tmp / name
        shutil.copy(binary, copy)
        copy.chmod(0o755)
        return copy

    def close(self):
        for child in [*self._children]:
            child.kill()
            child.process.wait()
        for server in (*self._fronts, *self._rgws):
            server.stop()
        self._rgws, self._fronts = [], []
        if self.tmp:
            shutil.rmtree(self.tmp, ignore_errors=True)

    def rgw(self, number=0):
        """The first, second, ... RGW of this run."""
        while len(self._rgws) <= number:
            rgw.install_packages()
            server = rgw.Rgw(self.tmp / f"rgw{len(self._rgws)}")
            self._rgws.append(server)
            server.start()
            if self.tls:
                server.front = self.nginx(server.plain)
                self._fronts.append(server.front)
        return self._rgws[number]

    @cached_property
    def google(self):
        """The one stand-in for Google Cloud Storage of this run."""
        return gcs.GoogleStorage().start()

    def nginx(self, upstream=None, **how):
        """An https server with a certificate of `authority`, for whoever wants one; to be stopped by the caller."""
        return nginx.Nginx(self.tmp / self.fresh("nginx"), self.pki.pem(self.certificate), upstream, **how).start()

    # Certificates of this run, all from one private authority.

    @cached_property
    def pki(self):
        return pki.Pki(self.tmp / "pki")

    @cached_property
    def authority(self):
        return self.pki.issue("Test Root", ca=True)

    @cached_property
    def certificate(self):
        return self.pki.issue("this machine", self.authority, names=[
            "localhost", "127.0.0.1", "::1", "192.0.2.1", rgw.DOMAIN, f"*.{rgw.DOMAIN}"])

    @cached_property
    def ca_file(self):
        return self.pki.bundle(self.authority)

    def plain(self, endpoint):
        """The same RGW without TLS."""
        return next(server.plain for server in self._rgws if server.endpoint == endpoint)

    def fresh(self, stem):
        """A name that no other test of this run has."""
        return f"{stem}-{next(self._numbers)}"


def temp_root():
    """Memory if there is plenty: thousands of fsyncs say nothing about the tool. TMPDIR decides otherwise."""
    shm = Path("/dev/shm")
    if "TMPDIR" not in os.environ and os.access(shm, os.W_OK) and shutil.disk_usage(shm).free > 6 << 30:
        return shm
    return tempfile.gettempdir()


def cache():
    """Where what is expensive to have is kept between runs."""
    base = os.environ.get("STORSYNC_CACHE")
    if not base:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "storsync-init"
    return Path(base)


RUN = Run()


class Tool:
    """One process of the tool. The instance is the result as well, once wait() has returned.

    `prefix` is a command that ends by executing the tool, as nsenter does: the process stays the same.
    """

    def __init__(self, args, env, status_file, nobody=False, pass_fds=(), before_exec=None, cwd="/", stdin=None,
                 binary=None, prefix=()):
        self.args = [os.fsencode(a) for a in args]
        self.env = env
        self.status_file = Path(status_file)
        self.code = None
        self.peak_rss = 0        # bytes, of the largest of its processes
        self.peak_rss_alone = 0  # of the one that becomes the application
        self.prefix = [*prefix]
        self._exe = binary or RUN.binary
        self._out, self._err = tempfile.TemporaryFile(dir=RUN.tmp), tempfile.TemporaryFile(dir=RUN.tmp)
        ids = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if nobody and os.geteuid() == 0 else {}
        self.started = time.monotonic()
        self.process = subprocess.Popen([*prefix, *RUN.wrap, self._exe, *self.args], env=env, cwd=cwd,
                                        stdin=stdin or subprocess.DEVNULL, stdout=self._out, stderr=self._err,
                                        pass_fds=pass_fds, preexec_fn=before_exec, **ids)
        RUN._children.add(self)

    pid = property(lambda self: self.process.pid)
    err = property(lambda self: self.err_bytes.decode(errors="replace"))
    out = property(lambda self: self.out_bytes.decode(errors="replace"))
    err_bytes = property(lambda self: read_all(self._err))
    out_bytes = property(lambda self: read_all(self._out))

    @property
    def status(self):
        """The status file as it is now; of a sync by hand that has one of its own, beside a deployment's, that one."""
        own = Path(f"{self.status_file}.by-hand")
        return json.loads((own if {b"--sync", b"--rollback"} & {*self.args} and own.exists() else self.status_file).read_bytes())

    @property
    def json(self):
        """What was printed, as JSON."""
        return json.loads(self.out_bytes)

    warnings = property(lambda self: self._lines(r"storsync-init: warning: "))

    @property
    def errors(self):
        """The lines that say what went wrong with the run; not what follows for the application."""
        found = self._lines(r"storsync-init: error: |=== \w+ (Failed|Interrupted): ")
        return [line for line in found if "not starting the application" not in line]

    def _lines(self, pattern):
        return [line for line in self.err.splitlines() if re.match(pattern, line)]

    def running(self):
        """Without reaping it: wait() wants the resource usage."""
        return self.code is None and not os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)

    def kill(self, number=signal.SIGKILL):
        if self.running():
            os.kill(self.pid, number)

    def family(self):
        """The process that becomes the application, and those that it has forked to work."""
        return [self.pid, *children(self.pid)]

    @property
    def worker(self):
        """The process that syncs; waits until it is there."""
        self.wait_for(lambda: children(self.pid))
        return children(self.pid)[0]

    def freeze(self):
        """As a paused container is: all of it."""
        for pid in self.family():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in self.family():
            os.kill(pid, signal.SIGCONT)

    def wait(self, timeout=20, every=4):
        """Waits for the end. Fails the test if that takes too long (`timeout` on an idle machine) or a sanitizer had
        something to say.

        The peak memory is sampled: the kernel's ru_maxrss of a child begins with the size of the Python that
        forked it. VmHWM only grows, so what is lost is at most the last few milliseconds (`every` so many it is
        looked at). Not counted is the application that the tool turns into.
        """
        end = self.started + timeout * RUN.slow
        handle = os.pidfd_open(self.pid)
        try:
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            while not poll.poll(every):
                self._sample()
                if time.monotonic() > end:
                    self.kill()
                    raise AssertionError(f"no end after {timeout * RUN.slow} s")
        finally:
            os.close(handle)
        RUN._children.discard(self)
        _, status, usage = os.wait4(self.pid, 0)
        self.process.returncode = self.code = os.waitstatus_to_exitcode(status)
        self.seconds = time.monotonic() - self.started
        self.cpu = usage.ru_utime + usage.ru_stime
        self.page_faults = usage.ru_minflt
        if SANITIZER.search(self.err_bytes):
            raise AssertionError("a sanitizer or valgrind reported an error, see the log")
        return self

    def wait_for(self, condition, timeout=10):
        """Until `condition()` is true, while the tool is running."""
        end = time.monotonic() + timeout * RUN.slow
        while not condition():
            if not self.running() or time.monotonic() > end:
                raise AssertionError("waited in vain" if self.running() else "ended before what it was waited for")
            time.sleep(0.005)

    def _sample(self):
        for pid in self.family():
            self.peak_rss = max(self.peak_rss, self._peak(pid))
        self.peak_rss_alone = max(self.peak_rss_alone, self._peak(self.pid))

    def _peak(self, pid):
        try:
            if os.readlink(f"/proc/{pid}/exe") != str(self._exe):
                return 0
            high = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        except OSError:
            return 0
        return int(high[1]) * 1024 if high else 0

    def close(self):
        self._out.close()
        self._err.close()

    def describe(self):
        """For the log of a failed test."""
        given = " ".join(f"{k}={shlex.quote(v)}" for k, v in self.env.items() if k != "PATH" and isinstance(v, str))
        return (f"$ {given} storsync-init {' '.join(shlex.quote(os.fsdecode(a)) for a in self.args)}\n"
                f"{clip(self.err)}{clip(self.out)}[exit {self.code}]\n")


def children(pid):
    try:
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def descendants(pid):
    found = children(pid)
    return found + [pid for child in found for pid in descendants(child)]


def alive(pid):
    try:
        return re.search(r"(?m)^State:\s+(\S)", Path(f"/proc/{pid}/status").read_text())[1] not in "XZ"
    except OSError:
        return False


def what_is_there(pid):
    """For the words of a test that failed."""
    try:
        return Path(f"/proc/{pid}/stat").read_text()
    except OSError as error:
        return str(error)


def read_all(file):
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0)


def clip(text, lines=60):
    rows = text.splitlines(keepends=True)
    if len(rows) <= 2 * lines:
        return text
    return "".join([*rows[:lines], f"... {len(rows) - 2 * lines} lines ...\n", *rows[-lines:]])


class DirBucket:
    """A directory bucket, seen as files. Only for keys that a file system can hold."""

    def __init__(self, root):
        self.root = Path(root)
        self.root.mkdir(parents=True)

    shown = url = property(lambda self: "file://" + urllib.parse.quote(str(self.root)))

    def env(self, side):
        return {f"STORSYNC_{side.upper()}_BUCKET": self.url}

    def put(self, key, body=b"x", age=0):
        """`age`: how many seconds ago it was modified."""
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body if isinstance(body, bytes) else body.encode())
        os.utime(path, (time.time() - age,) * 2)
        return path

    def get(self, key):
        return (self.root / key).read_bytes()

    def remove(self, key):
        (self.root / key).unlink()

    def keys(self, prefix=""):
        return sorted(key for key in self.contents(state=True) if key.startswith(prefix))

    def contents(self, state=False):
        """{key: body} of everything, the tool's own state apart."""
        found = {}
        for path in self.root.rglob("*"):
            key = str(path.relative_to(self.root))
            if path.is_file() and (state or not key.startswith(".storsync/")):
                with contextlib.suppress(FileNotFoundError):  # the tool may be at work
                    found[key] = path.read_bytes()
        return found

    def state(self, name):
        """Keys of that part of the state, of all jobs."""
        return sorted(str(p.relative_to(self.root)) for p in self.root.glob(f".storsync/*/{name}/*"))

    def markers(self):
        return [os.path.basename(key) for key in self.state("deployments")]

    def marker(self, name):
        """What it says: the only one of that name."""
        [key] = [key for key in self.state("deployments") if key.endswith(f"/{name}.json")]
        return self.get(key)

    def lease(self):
        """The highest epoch's record; None if there is none."""
        epochs = self.state("lease")
        return json.loads(self.get(epochs[-1])) if epochs else None


class S3Bucket:
    """A bucket on an RGW, seen by boto3."""

    def __init__(self, server, user=rgw.ALICE, name=None):
        self.server, self.user = server, user
        self.name = name or RUN.fresh("bucket")
        self.client = server.client(user)
        self.client.create_bucket(Bucket=self.name)

    def env(self, side, endpoint=None, **more):
        """The tool's settings for this bucket; `more` and `endpoint` replace single ones."""
        values = {"bucket": self.name, "endpoint": endpoint or self.server.endpoint, "region": rgw.REGION,
                  "path_style": "true", "access_key_id": self.user.access_key,
                  "secret_access_key": self.user.secret_key, "ca_file": str(RUN.ca_file) if RUN.tls else None, **more}
        return {f"STORSYNC_{side}_{name}".upper(): value for name, value in values.items() if value is not None}

    def put(self, key, body=b"x", **headers):
        self.client.put_object(Bucket=self.name, Key=key, Body=body, **headers)

    def get(self, key):
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def remove(self, key):
        self.client.delete_object(Bucket=self.name, Key=key)

    def look(self, key):
        """The body's hash and every header that a copy must keep, as the server sends them."""
        answer = self.client.get_object(Bucket=self.name, Key=key)
        digest = hashlib.sha256()
        for piece in answer["Body"].iter_chunks(1 << 20):
            digest.update(piece)
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        kept = {name: value for name, value in headers.items() if name in HEADERS or name.startswith("x-amz-meta-")}
        return {"sha256": digest.hexdigest(), **kept}

    def keys(self, prefix=""):
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    def state(self, name):
        """Keys of that part of the state, of all jobs."""
        return [key for key in self.keys(".storsync/") if key.split("/")[2:3] == [name]]

    def markers(self):
        return [os.path.basename(key) for key in self.state("deployments")]

    def marker(self, name):
        """What it says: the only one of that name."""
        [key] = [key for key in self.state("deployments") if key.endswith(f"/{name}.json")]
        return self.get(key)

    def lease(self):
        """The highest epoch's record; None if there is none."""
        epochs = self.state("lease")
        return json.loads(self.get(epochs[-1])) if epochs else None

    def unfinished_uploads(self):
        return self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])


class Namespace:
    """Mounts of its own, and with `network` a network of its own, in which only lo is up. Kept open by a sleeping
    process, and gone with it."""

    def __init__(self, script, network=False):
        kinds = ["--mount", "--net"] if network else ["--mount"]
        script = ("ip link set lo up\n" if network else "") + script
        self.holder = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "unshare", *kinds, "/bin/sh", "-e", "-c",
                                        script + "\necho ready; exec sleep 100000"],
                                       env={"PATH": "/usr/sbin:/sbin:" + PATH},
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if self.holder.stdout.readline() != b"ready\n":
            self.close()
            raise AssertionError("the namespace could not be made")
        # For Tool: runs the tool inside.
        self.prefix = ["nsenter", *(f"{kind}=/proc/{self.holder.pid}/ns/{kind[2:].replace('mount', 'mnt')}"
                                    for kind in kinds)]

    def path(self, path):
        """What `path` is inside, seen from outside."""
        return Path(f"/proc/{self.holder.pid}/root/{path}")

    def inside(self, function):
        """Calls it in that network: sockets and threads that it makes stay there."""
        with ThreadPoolExecutor(1) as thread, open(f"/proc/{self.holder.pid}/ns/net", "rb") as network:
            if thread.submit(ctypes.CDLL(None).setns, network.fileno(), 0).result():
                raise AssertionError("no way into the network")
            return thread.submit(function).result()

    def listen(self, host, port):
        """A socket that listens there."""
        return self.inside(lambda: socket.create_server((host, port), backlog=128))

    def close(self):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()


class App:
    """A command for the tool to become: it records what it was given, then exits with `code`."""

    SCRIPT = """#!/bin/sh
cat /proc/$$/cmdline >'{dir}'/cmdline
cat /proc/$$/environ >'{dir}'/environ
cat '{status_file}' >'{dir}'/status.json 2>/dev/null
echo $$ $PPID >'{dir}'/pid
echo application started
exit {code}
"""

    def __init__(self, directory, status_file, code=0):
        self.dir = Path(directory)
        self.dir.mkdir()
        self.dir.chmod(0o777)  # it may run as another user
        self.path = self.dir / "app.sh"
        self.path.write_text(self.SCRIPT.format(dir=self.dir, code=code, status_file=status_file))
        self.path.chmod(0o755)

    started = property(lambda self: (self.dir / "pid").exists())
    pid, parent = (property(lambda self, n=n: int((self.dir / "pid").read_text().split()[n])) for n in (0, 1))
    argv = property(lambda self: (self.dir / "cmdline").read_bytes().split(b"\0")[2:-1])  # after /bin/sh app.sh
    environ = property(lambda self: (self.dir / "environ").read_bytes().split(b"\0")[:-1])
    status_json = property(lambda self: json.loads((self.dir / "status.json").read_bytes()))


class TestCase(unittest.TestCase):
    """A test with a directory of its own and a log of what it ran."""

    maxDiff = 4000

    def setUp(self):
        self.dir = RUN.tmp / RUN.fresh("test")
        self.dir.mkdir()
        self.dir.chmod(0o777)
        self.status_file = self.dir / "status.json"
        self.tools = []
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.addCleanup(self._kill_all)

    def _kill_all(self):
        for tool in self.tools:
            if tool.code is None:
                family = descendants(tool.pid)
                tool.kill()
                tool.process.wait()
                for pid in family:  # an application does not die with its supervisor
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            RUN._children.discard(tool)
            tool.close()
        self.tools = []

    def wait_gone(self, pid):
        """Until a process that was killed is dead: that needs a CPU, and nobody says when it has had one."""
        until = time.monotonic() + 5 * RUN.slow
        while alive(pid):
            self.assertLess(time.monotonic(), until, f"process {pid} lives on")
            time.sleep(0.005)

    def log(self):
        """What the last runs said."""
        earlier = [f"... {len(self.tools) - 8} runs before ...\n"] if len(self.tools) > 8 else []
        return "".join([*earlier, *(tool.describe() for tool in self.tools[-8:])])

    def last_words(self):
        """How the last run ended, in the tool's words: its last error, or the headline. "" if it did not say."""
        lines = [line for tool in self.tools[-1:] for line in tool.errors or tool._lines("=== ")]
        return lines[-1] if lines else ""

    # --- running ---

    def start(self, *args, env=None, bare=False, **how):
        """Starts the tool with only the given variables (and a status file of this test, unless `bare`)."""
        full = {} if bare else {"PATH": PATH, "STORSYNC_STATUS_FILE": str(self.status_file)}
        full["AWS_EC2_METADATA_DISABLED"] = "true"  # no test sends anything to 169.254.169.254
        if RUN.gs:
            full["STORAGE_EMULATOR_HOST"] = RUN.google.endpoint  # nor to Google, whatever names a test makes up
        full.update({name: os.environ[name] for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS") if name in os.environ})
        full.update(env or {})
        tool = Tool(args, full, full.get("STORSYNC_STATUS_FILE", self.status_file), **how)
        self.tools.append(tool)
        return tool

    def tool(self, *args, timeout=20, **how):
        return self.start(*args, **how).wait(timeout)

    def succeed(self, *args, **how):
        """As tool(), for a run that must end with 0."""
        tool = self.tool(*args, **how)
        self.assertEqual(tool.code, 0, "exit code")
        return tool

    def not_wrapped(self, why):
        if RUN.wrap:
            self.skipTest(f"not under {RUN.wrap[0]}: {why}")

    def needs_root(self, why):
        """Most containers in which a suite runs are root's; not all may make namespaces."""
        done = subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, text=True)
        if os.geteuid() != 0 or done.returncode:
            self.skipTest(f"SKIPPED, not tested here: {why} (needs root and the right to make namespaces)")

    # --- things ---

    def mounts(self, script):
        """A mount namespace in which `script` ran: what it mounts, only those see who enter it."""
        self.needs_root("other mounts")
        return self._namespace(script)

    def network(self, *addresses):
        """The same with a network of its own: a loopback interface with these addresses more."""
        self.needs_root("another network")
        return self._namespace("".join(f"ip address add {a} dev lo\n" for a in addresses), network=True)

    def _namespace(self, script, **how):
        space = Namespace(script, **how)
        self.addCleanup(space.close)
        return space

    def app(self, code=0):
        return App(self.dir / RUN.fresh("app"), self.status_file, code)

    def dir_bucket(self, name=None):
        return DirBucket(self.dir / (name or RUN.fresh("bucket")))

    def s3_bucket(self, number=0, user=rgw.ALICE, name=None):
        return S3Bucket(RUN.rgw(number), user, name)

    def bucket(self, side, usual=None, name=None):
        """Of the kind that `usual` makes (s3_bucket), unless STORSYNC_TEST_GS says that this side is Google's."""
        if RUN.gs in (side, "both"):
            return self.gs_bucket(name)
        return (usual or self.s3_bucket)()

    def gs_bucket(self, name=None):
        return RUN.google.bucket(name or RUN.fresh("bucket"))

    def not_with_gs(self, why):
        if RUN.gs:
            self.skipTest(f"not with gs://: {why}")

    def proxy(self, upstream=None, **how):
        """Between the tool and a server, over https if the server is."""
        if upstream and upstream.startswith("https:"):
            upstream = RUN.plain(upstream)
            how.setdefault("tls", pki.server_context(RUN.pki.pem(RUN.certificate)))
        proxy = proxyfault.FaultProxy(upstream, **how).start()
        self.addCleanup(proxy.stop)
        return proxy


JOB = "shop"


def production(source, destination, deployment="d1", **more):
    """The environment of a production start. The job has a name, or else a source behind a proxy would be another one."""
    return {**source.env("source"), **destination.env("destination"), "STORSYNC_ENVIRONMENT": "production",
            "STORSYNC_JOB": JOB, "STORSYNC_DEPLOYMENT_ID": deployment, **more}


def sides(source, destination, **more):
    """Both buckets and nothing else: for --sync, --validate, or a start in development."""
    return {**source.env("source"), **destination.env("destination"), **more}
