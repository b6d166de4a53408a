"""The application starts whatever becomes of the process that syncs, and a stop signal ends everything whatever that does."""
import ctypes
import fcntl
import itertools
import os
import re
import resource
import signal
import struct
import subprocess
import time
from pathlib import Path

import proxyfault
from harness import RUN, TestCase, production
from proxyfault import FOREVER

LIMIT = 2  # s
KILL, STOP, SEGV, ABRT = signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV, signal.SIGABRT


class SupervisorCase(TestCase):
    def setUp(self):
        super().setUp()
        self.source = self.dir_bucket()
        for number in range(3):
            self.source.put(f"public/{number}", "x")
        self.begin()

    def begin(self):
        """An empty destination: nobody holds its lease."""
        self.destination = self.dir_bucket()
        self.env = {**production(self.source, self.destination), "STORSYNC_TIMEOUT": f"{LIMIT}s"}

    def starts(self, env=(), code=7, seconds=LIMIT + 1, **how):
        """A start whose application has to start in time, whatever happened; returns it when the application is over."""
        application = self.app(code=7)
        tool = self.tool("--", application.path, env={**self.env, **dict(env)}, **how)
        self.assertEqual((tool.code, application.started), (code, True))
        self.assertLess(tool.seconds, seconds * RUN.slow)
        self.assertEqual(application.pid, tool.pid, "it is the same process")
        tool.application = application
        return tool

    def stalled(self, **more):
        """The environment of a run that waits for an answer, and the proxy that does not give it."""
        proxy = self.proxy()
        proxy.fault(proxyfault.stall(), times=FOREVER)
        return proxy, {"STORSYNC_SOURCE_BUCKET": "b", "STORSYNC_SOURCE_ENDPOINT": proxy.endpoint,
                       "STORSYNC_SOURCE_ACCESS_KEY_ID": "a", "STORSYNC_SOURCE_SECRET_ACCESS_KEY": "s",
                       "STORSYNC_STALL_TIMEOUT": "5m", **more}

    def ends(self, tool, number=signal.SIGTERM):
        """A signal ends it within two seconds, and no application starts."""
        sent = time.monotonic()
        family = tool.family()
        os.kill(tool.pid, number)
        tool.wait()
        self.assertEqual(tool.code, 128 + number)
        self.assertLess(time.monotonic() - sent, 2 * RUN.slow)
        self.assertFalse(tool.application.started)
        for pid in family:
            self.wait_gone(pid)


class Died(SupervisorCase):
    """By a place to crash at and a signal."""

    POINTS = ("before-settings", "settings-known", "starting", "copying", "before-end")

    def setUp(self):
        super().setUp()
        if RUN.test_binary is None:
            self.skipTest("SKIPPED, not tested here: crash points (STORSYNC_TEST_BIN is not set)")

    def crash(self, point, number):
        return {"STORSYNC_CRASH_AT": point, "STORSYNC_CRASH_HOW": str(int(number))}

    def test_anywhere_and_anyhow(self):
        for point, number in itertools.product(self.POINTS, (KILL, SEGV, STOP)):
            with self.subTest(point=point, signal=number.name):
                self.begin()
                tool = self.starts(self.crash(point, number), binary=RUN.test_binary)
                self.assertEqual(tool.status["state"], "failed")
                self.assertEqual(tool.application.status_json["state"], "failed", "told before the application starts")
                words = {KILL: "was killed", SEGV: "crashed", STOP: "time limit"}[number]
                if (point, number) == ("before-settings", STOP):
                    words = "settings could not be read"
                self.assertIn(words, tool.status["message"])
                self.assertIn(words, tool.err)
                self.assertIn("starting the application all the same", tool.err)

    def test_after_its_last_word(self):
        """What it said counts."""
        for number in (KILL, ABRT, STOP):
            with self.subTest(signal=number.name):
                self.begin()
                tool = self.starts(self.crash("after-end", number), binary=RUN.test_binary)
                self.assertEqual((tool.status["state"], tool.errors), ("synced", []))

    def test_policy_stop(self):
        """Told by a flag, the environment, and the INI file."""
        (self.dir / "ini").write_text("on_failure = stop\n")
        for args, env, point in (
                (("--on-failure=stop",), {}, "before-settings"),
                ((), {"STORSYNC_ON_FAILURE": "stop"}, "before-settings"),
                ((), {"STORSYNC_CONFIG": str(self.dir / "ini")}, "settings-known")):
            with self.subTest(args=args, env=env):
                application = self.app()
                tool = self.tool(*args, "--", application.path, env={**self.env, **env, **self.crash(point, KILL)},
                                 binary=RUN.test_binary)
                self.assertEqual((tool.code, application.started), (69, False))
                self.assertIn("not starting the application", tool.err)

    def test_without_an_application(self):
        for args, env, code in (((), {}, 69), (("--sync",), {}, 69), ((), {"STORSYNC_ON_FAILURE": "start"}, 0)):
            with self.subTest(args=args, env=env):
                self.begin()
                tool = self.tool(*args, env={**self.env, **env, **self.crash("copying", SEGV)}, binary=RUN.test_binary)
                self.assertEqual((tool.code, tool.status["state"]), (code, "failed"))

    def test_dropped_variables(self):
        """Also when nobody could read the INI file."""
        self.not_wrapped("it is a shell script, which adds variables")
        for point in ("before-settings", "settings-known"):
            tool = self.starts({**self.crash(point, KILL), "STORSYNC_DROP_ENV": "SECRET_*,TOKEN", "SECRET_A": "1",
                                "TOKEN": "2", "TOKENS": "3"}, binary=RUN.test_binary)
            names = {variable.split(b"=")[0] for variable in tool.application.environ}
            self.assertEqual(names & {b"SECRET_A", b"TOKEN", b"TOKENS"}, {b"TOKENS"})

    def test_figures_that_were_known(self):
        tool = self.starts(self.crash("before-end", KILL), binary=RUN.test_binary)
        self.assertEqual((tool.status["syncedFiles"], tool.status["totalSize"]), (3, 3))

    def test_stop_signal(self):
        """A worker that is stopped does not hear of it."""
        tool = self.start("--", self.app().path, binary=RUN.test_binary,
                          env={**self.env, "STORSYNC_TIMEOUT": "5m", **self.crash("copying", STOP)})
        tool.application = self.app()
        tool.wait_for(lambda: stopped(tool.worker))
        self.ends(tool)
        self.assertEqual(tool.status["state"], "interrupted")


def stopped(pid):
    return "\nState:\tT" in Path(f"/proc/{pid}/status").read_text()


class Processes(SupervisorCase):
    def test_killed_from_outside(self):
        """What the kernel does when memory is short."""
        proxy, env = self.stalled()
        application = self.app()
        tool = self.start("--", application.path, env={**self.env, **env})
        tool.wait_for(lambda: proxy.requests)
        os.kill(tool.worker, KILL)
        tool.wait(5)
        self.assertEqual((tool.code, application.started, tool.status["state"]), (0, True, "failed"))
        self.assertIn("memory", tool.status["message"])

    def test_dies_with_its_supervisor(self):
        proxy, env = self.stalled()
        tool = self.start(env={**self.env, **env})
        tool.wait_for(lambda: proxy.requests)
        worker = tool.worker
        tool.kill()
        tool.wait()
        self.wait_gone(worker)

    def test_nothing_is_left(self):
        """No child, and nothing to wait for."""
        self.not_wrapped("it is another program")
        tool = self.succeed("--", "/bin/sh", "-c", "cat /proc/$$/task/$$/children; echo end", env=self.env)
        self.assertRegex(tool.out, r"^\d+ end\n$", "only cat itself")

    def test_first_to_go_when_memory_is_short(self):
        self.needs_root("the score of a process that is not dumpable")
        self.not_wrapped("it is another program")
        proxy, env = self.stalled()
        tool = self.start(env={**self.env, **env})
        tool.wait_for(lambda: proxy.requests)
        ours, its = (int(Path(f"/proc/{pid}/oom_score_adj").read_text()) for pid in tool.family())
        self.assertEqual(its, min(ours + 200, 1000))

    def test_no_process_to_be_had(self):
        """Then it does all in one."""
        self.not_wrapped("it needs processes of its own")
        if os.geteuid() != 0:
            self.skipTest("SKIPPED, not tested here: a user with one process (needs root)")
        self.destination.root.chmod(0o777)
        tool = self.tool("--", "/bin/echo", "application", env=self.env, nobody=True,
                         before_exec=lambda: resource.setrlimit(resource.RLIMIT_NPROC, (1, 1)))
        self.assertEqual((tool.code, tool.out), (0, "application\n"))
        self.assertEqual(tool.status["state"], "synced")
        self.assertEqual(len(self.destination.contents()), 3)

    def test_memory_of_the_one_that_waits(self):
        if RUN.instrumented:
            self.skipTest("memory of an instrumented binary says nothing")
        _, env = self.stalled()
        tool = self.tool("--", "/bin/true", env={**self.env, **env})
        self.assertGreater(tool.peak_rss_alone, 0)
        self.assertLessEqual(tool.peak_rss_alone, 700 << 10)


class HungFolder:
    """A file system that answers nothing, as NFS whose server is gone: FUSE whose daemon says hello and no more."""

    def __init__(self, path):
        self.path = Path(path)
        self.path.mkdir()
        libc = ctypes.CDLL(None, use_errno=True)
        self.unmount = lambda: libc.umount2(os.fsencode(self.path), 2)  # MNT_DETACH
        self.fuse = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self.fuse},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
        if libc.mount(b"hung", os.fsencode(self.path), b"fuse", 0, options) != 0:
            os.close(self.fuse)
            raise OSError(ctypes.get_errno(), "mount")
        unique = struct.unpack("IIQ", os.read(self.fuse, 65536)[:16])[2]
        init = struct.pack("IIIIHHIIHHI28x", 7, 31, 0, 0, 12, 9, 4096, 1, 0, 0, 0)
        os.write(self.fuse, struct.pack("IiQ", 16 + len(init), 0, unique) + init)

    def close(self):
        self.unmount()
        os.close(self.fuse)


class HungFileSystem(SupervisorCase):
    def setUp(self):
        super().setUp()
        self.needs_root("mounting a file system that hangs")
        if not os.path.exists("/dev/fuse"):
            self.skipTest("SKIPPED, not tested here: a file system that hangs (no /dev/fuse)")
        try:
            self.hung = HungFolder(self.dir / "hung")
        except OSError as error:
            self.skipTest(f"SKIPPED, not tested here: a file system that hangs ({error})")
        self.addCleanup(self.hung.close)
        self.places = {
            "status file": {"STORSYNC_STATUS_FILE": f"{self.hung.path}/status.json"},
            "settings": {"STORSYNC_CONFIG": f"{self.hung.path}/storsync.ini"},
            "secret": {"STORSYNC_SOURCE_SECRET_ACCESS_KEY_FILE": f"{self.hung.path}/key"},
            "source": {"STORSYNC_SOURCE_BUCKET": f"file://{self.hung.path}/dev"},
            "destination": {"STORSYNC_DESTINATION_BUCKET": f"file://{self.hung.path}/prod"},
        }

    def start_application(self, env):
        # The application of the other tests reads the status file.
        return self.start("--", "/bin/echo", "application", env={**self.env, **env})

    def test_application_starts(self):
        for place, env in self.places.items():
            with self.subTest(place=place):
                tool = self.start_application(env).wait(10)
                self.assertEqual((tool.code, tool.out), (0, "application\n"))
                self.assertLess(tool.seconds, (LIMIT + 1) * RUN.slow)
                self.assertIn("does a file system hang", tool.err)
                if place != "status file":
                    self.assertEqual(tool.status["state"], "failed")

    def test_stop_signal(self):
        for place, env in self.places.items():
            with self.subTest(place=place):
                tool = self.start_application({**env, "STORSYNC_TIMEOUT": "5m"})
                tool.application = self.app()
                tool.wait_for(lambda worker=tool.worker: self.hangs(worker))
                self.ends(tool)
                self.assertEqual(tool.out, "")

    def hangs(self, pid):
        return Path(f"/proc/{pid}/wchan").read_text() == "request_wait_answer"

    def test_not_even_sigkill_ends_it(self):
        """Who waits for the lock of a folder, while its holder waits for the daemon."""
        holder = subprocess.Popen(["/bin/mkdir", self.hung.path / "new"])
        self.addCleanup(holder.wait)
        self.addCleanup(holder.kill)
        while not self.hangs(holder.pid):
            time.sleep(0.01)
        for number in (0, signal.SIGTERM):
            tool = self.start_application({**self.places["settings"], "STORSYNC_TIMEOUT": "1s" if number == 0 else "5m"})
            tool.wait_for(lambda worker=tool.worker: "State:\tD" in Path(f"/proc/{worker}/status").read_text())
            tool.kill(number)
            sent = time.monotonic()
            tool.wait(10)
            self.assertLess(time.monotonic() - sent, 2 * RUN.slow)
            self.assertEqual((tool.code, tool.out), (0, "application\n") if number == 0 else (128 + number, ""))

    def test_settings_without_a_limit(self):
        """No limit for the sync is none for finding out that there is none."""
        tool = self.start_application({**self.places["settings"], "STORSYNC_TIMEOUT": "0"}).wait(30)
        self.assertEqual((tool.code, tool.out), (0, "application\n"))
        self.assertLess(tool.seconds, 11 * RUN.slow)
        tool = self.tool("--validate", env={**self.env, **self.places["settings"], "STORSYNC_TIMEOUT": "1s"})
        self.assertEqual(tool.code, 75)


class Refused(SupervisorCase):
    """System calls that a sandbox refuses to the process that waits."""

    NUMBERS = {"x86_64": {"ppoll": 271, "wait4": 61}, "aarch64": {"ppoll": 73, "wait4": 260}}

    def refusing(self, name):
        """For before_exec: a seccomp filter that answers ENOSYS to this call."""
        self.not_wrapped("it needs this system call itself")
        if os.uname().machine not in self.NUMBERS:
            self.skipTest("SKIPPED, not tested here: numbers of system calls on this machine")
        rules = ((0x20, 0, 0, 0), (0x15, 0, 1, self.NUMBERS[os.uname().machine][name]),
                 (0x06, 0, 0, 0x50000 | 38), (0x06, 0, 0, 0x7FFF0000))
        code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
        program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(rules), ctypes.addressof(code)))
        prctl = ctypes.CDLL(None, use_errno=True).prctl

        def before(_=code):
            for arguments in ((38, 1, 0, 0, 0), (22, 2, program, 0, 0)):  # no new privileges; the filter
                if prctl(*arguments) != 0:
                    raise OSError(ctypes.get_errno(), "prctl")
        return before

    def test_to_wait(self):
        """Signals are heard all the same."""
        proxy, env = self.stalled(STORSYNC_TIMEOUT="5m")
        tool = self.start("--", "/bin/echo", env={**self.env, **env}, before_exec=self.refusing("ppoll"))
        tool.application = self.app()
        tool.wait_for(lambda: proxy.requests)
        self.ends(tool)

    def test_to_know_of_the_end(self):
        """The application does not start beside a worker that is at work."""
        tool = self.tool("--", "/bin/cat", self.status_file, env=self.env, before_exec=self.refusing("wait4"))
        self.assertEqual((tool.code, tool.json["state"]), (0, "synced"))

    def test_a_parent_that_cannot_be_seen(self):
        """Whoever called unshare(2) for a PID namespace has children in it, and is not in it itself."""
        self.needs_root("a PID namespace")
        self.not_wrapped("it forks")
        tool = self.tool("--", "/bin/echo", env=self.env, prefix=("unshare", "--pid"))
        self.assertEqual((tool.code, tool.status["state"], tool.errors), (0, "synced", []))


class FullLog(SupervisorCase):
    """A pipe behind standard error, or output, that nobody reads: a log driver that hangs."""

    def full_pipe(self, *numbers):
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        os.write(writer, b"x" * 4096)

        def before():
            for number in numbers:
                os.dup2(writer, number)
        self.addCleanup(os.close, writer)
        return reader, before

    def full_terminal(self, room):
        """The same with a terminal, which says that it has room while it has not enough."""
        capacity = None
        while True:
            screen, line = os.openpty()
            self.addCleanup(os.close, screen)
            self.addCleanup(os.close, line)
            os.set_blocking(line, False)
            written = 0
            try:
                while capacity is None or written < capacity - room:
                    written += os.write(line, b"x" * min(64, 64 if capacity is None else capacity - room - written))
            except BlockingIOError:
                pass
            if capacity is not None:
                break
            capacity = written
        os.set_blocking(line, True)
        return lambda: os.dup2(line, 2)

    def start_application(self, env, before, *args):
        mark = self.dir / RUN.fresh("mark")
        tool = self.start(*args, "--", "/bin/sh", "-c", f"echo >'{mark}'", env={**self.env, **env}, before_exec=before)
        tool.mark = mark
        return tool

    def test_application_starts(self):
        for env, numbers, args in (({}, (2,), ()), ({"STORSYNC_ENVIRONMENT": "development", "STORSYNC_TIMEOUT": "5m"}, (2,), ()),
                                   ({}, (1, 2), ("--json",)), ({"STORSYNC_ENVIRONMENT": "nonsense", "STORSYNC_LOG_FORMAT": "json"}, (2,), ())):
            with self.subTest(env=env, numbers=numbers):
                _, before = self.full_pipe(*numbers)
                tool = self.start_application(env, before, *args).wait(10)
                self.assertEqual((tool.code, tool.mark.exists()), (0, True))
                self.assertLess(tool.seconds, (LIMIT + 1) * RUN.slow)

    def test_terminal(self):
        """The sync goes on, which a write that waits for room would keep it from."""
        for room in (50, 201):
            with self.subTest(room=room):
                self.begin()
                tool = self.start_application({"STORSYNC_TIMEOUT": "30s"}, self.full_terminal(room)).wait(40)
                self.assertEqual((tool.code, tool.mark.exists(), tool.status["state"]), (0, True, "synced"))

    def test_stop_signal(self):
        proxy, env = self.stalled(STORSYNC_TIMEOUT="5m")
        _, before = self.full_pipe(2)
        tool = self.start_application(env, before)
        tool.application = self.app()
        tool.wait_for(lambda: proxy.requests)
        self.ends(tool)
        self.assertFalse(tool.mark.exists())

    def test_what_was_lost_is_told(self):
        """When somebody reads again."""
        proxy, env = self.stalled(STORSYNC_TIMEOUT=f"{2 * LIMIT}s", STORSYNC_LOG_LEVEL="debug")
        reader, before = self.full_pipe(2)
        tool = self.start_application(env, before)
        tool.wait_for(lambda: proxy.requests)
        self.assertEqual(os.read(reader, 8192), b"x" * 4096)
        tool.wait()
        self.assertRegex(os.read(reader, 65536).decode(), r"warning: \d+ lines? of the log could not be written")


class Surroundings(SupervisorCase):
    """What a container may be short of."""

    def test_small_limits(self):
        limits = {"NOFILE": (3, 4, 5, 6, 8, 12, 16), "AS": (1280 << 10, 4 << 20), "DATA": (0, 1 << 20), "STACK": (32 << 10, 64 << 10),
                  "FSIZE": (0, 1, 512), "CORE": (0,), "NPROC": (1,)}
        self.not_wrapped("it would not start itself")
        if RUN.instrumented:
            self.skipTest("a sanitizer needs more itself")
        for name, values in limits.items():
            for value in values:
                with self.subTest(limit=name, value=value):
                    kind = getattr(resource, f"RLIMIT_{name}")
                    hard = resource.getrlimit(kind)[1]
                    # A small static program, as the limits are its as well, that writes to no file where it may not.
                    application = ("/bin/true",) if name == "FSIZE" else (RUN.binary, "--version")
                    tool = self.tool("--", *application, env=self.env,
                                     before_exec=lambda: resource.setrlimit(kind, (value, hard)))
                    self.assertEqual((tool.code, tool.out[:13]), (0, "" if name == "FSIZE" else "storsync-init"))
                    self.assertLess(tool.seconds, (LIMIT + 1) * RUN.slow)

    def test_closed_descriptors(self):
        """Any of the first three: nothing of ours gets its number, and the application finds it closed."""
        self.not_wrapped("it has uses of its own for these numbers")
        script = f"for n in 0 1 2; do [ -e /proc/$$/fd/$n ] && open=\"$open $n\"; done; echo $open >'{self.dir}/open'"
        for closed in itertools.chain.from_iterable(itertools.combinations((0, 1, 2), n) for n in (1, 2, 3)):
            with self.subTest(closed=closed):
                self.tool("--", "/bin/sh", "-c", script, env=self.env, before_exec=lambda: [os.close(n) for n in closed])
                self.assertEqual((self.dir / "open").read_text().split(), [str(n) for n in (0, 1, 2) if n not in closed])
                self.assertEqual({*self.destination.contents().values()}, {b"x"})
                self.assertEqual(self.status_file.read_bytes()[:1], b"{")

    def test_without_dev(self):
        # The tests may live in /dev/shm.
        space = self.mounts(f"mount --bind '{RUN.tmp}' /mnt; mount -t tmpfs none /dev; mkdir -p '{RUN.tmp}'; "
                            f"mount --bind /mnt '{RUN.tmp}'")
        self.starts(prefix=space.prefix)
        tool = self.tool("--", "/bin/sh", "-c", "echo; [ ! -e /proc/$$/fd/0 ]", env=self.env, prefix=space.prefix,
                         before_exec=lambda: os.close(0))
        self.assertEqual(tool.code, 0)


class Status(SupervisorCase):
    def test_says_starting_before_anything_is_tried(self):
        """So that nobody takes the file of the run before for this one's."""
        self.succeed(env=self.env)
        self.assertEqual(self.succeed("--health").out[:8], "healthy ")
        proxy, env = self.stalled(STORSYNC_DEPLOYMENT_ID="d2")
        names = {name.replace("SOURCE", "DESTINATION"): value for name, value in env.items()}
        tool = self.start(env={**self.env, **names, "STORSYNC_TIMEOUT": "5m", "STORSYNC_DEPLOYMENT_ID": "d2"})
        tool.wait_for(lambda: proxy.requests)
        self.assertEqual((tool.status["state"], tool.status["message"]), ("starting", "Starting"))
        self.assertEqual(self.tool("--health").code, 1)
        tool.kill(signal.SIGTERM)
        tool.wait()

    def test_is_written_again_after_a_failure(self):
        """The place was not there for a while; the last word is."""
        place = self.dir / "place"
        self.status_file = place / "status.json"
        proxy, env = self.stalled()
        tool = self.start(env={**self.env, **env, "STORSYNC_STATUS_FILE": str(self.status_file)})
        tool.wait_for(lambda: proxy.requests)
        place.mkdir()
        tool.wait()
        self.assertEqual(tool.status["state"], "failed")
        self.assertEqual(len([line for line in tool.warnings if "no status file" in line]), 1)


class NoApplication(SupervisorCase):
    """What cannot be executed, and why."""

    def refused(self, command, code, words):
        tool = self.tool("--", command, env=self.env)
        self.assertEqual(tool.code, code)
        self.assertRegex(tool.err, words)

    def script(self, text, name="script"):
        path = self.dir / name
        path.write_bytes(text)
        path.chmod(0o755)
        return path

    def test_not_there(self):
        self.refused(self.dir / "nowhere", 127, "No such file")
        self.refused("no-such-command", 127, "No such file")

    def test_windows_line_ends(self):
        self.refused(self.script(b"#!/bin/sh\r\necho\r\n"), 126, r"interpreter /bin/sh\\r is not: .*Windows line ends")

    def test_interpreter_that_is_missing(self):
        self.refused(self.script(b"#! /opt/python -u\n"), 126, "interpreter /opt/python is not")

    def test_loader_that_is_missing(self):
        """A program for glibc in an image with musl."""
        text = Path("/bin/true").read_bytes()
        found = re.search(rb"/lib[^\0]*/ld-[^\0]*", text)
        if not found:
            self.skipTest("/bin/true is static here")
        self.refused(self.script(text.replace(found[0], b"/" + b"x" * (len(found[0]) - 1))), 126, "dynamic loader")

    def test_not_executable(self):
        path = self.script(b"x")
        path.chmod(0o644)
        self.refused(path, 126, "Permission denied|Exec format")
        self.refused(self.dir, 126, "Permission denied")
