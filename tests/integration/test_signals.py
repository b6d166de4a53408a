"""Being told to end: at any moment, also as PID 1. (What the application inherits otherwise: test_handover.)"""
import fcntl
import itertools
import os
import pty
import re
import signal
import socket
import termios
import threading
import time
from pathlib import Path

import data
import proxyfault
from harness import RUN, TestCase, children, production
from proxyfault import FOREVER, Silence, answer

NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
PID_1 = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
# Nothing but the signal ends these runs.
PATIENT = {"STORSYNC_STALL_TIMEOUT": "5m", "STORSYNC_CONNECT_TIMEOUT": "2m", "STORSYNC_TIMEOUT": "5m",
           "STORSYNC_WAIT": "5m"}
NOBODYS = {"STORSYNC_SOURCE_BUCKET": "b", "STORSYNC_SOURCE_ACCESS_KEY_ID": "a",
           "STORSYNC_SOURCE_SECRET_ACCESS_KEY": "s"}


class SignalCase(TestCase):
    def starts(self, env, **how):
        """A start of the tool, with an application that must not run."""
        application = self.app()
        tool = self.start("--", application.path, env={**PATIENT, **env}, **how)
        tool.application = application
        return tool

    def target(self, tool):
        """The process itself: as PID 1 it is the child of unshare, once that has become the tool."""
        def child():
            found = children(tool.pid)
            return found and os.readlink(f"/proc/{found[0]}/exe") == str(RUN.binary) and found[0]

        if "--pid" not in tool.prefix:
            return tool.pid
        tool.wait_for(child)
        return child()

    def end(self, tool, number):
        """Sends the signal and checks what must be so wherever it arrived."""
        pid = self.target(tool)
        sent = time.monotonic()
        os.kill(pid, number)
        tool.wait()
        self.assertLess(time.monotonic() - sent, 2 * RUN.slow)
        self.assertEqual(tool.code, 128 + number)
        self.assertFalse(tool.application.started, "who is told to end does not start an application")
        self.assertEqual(tool.status["state"], "interrupted")
        self.assertIn(f"signal {int(number)}", tool.status["message"])

    def all_signals(self, begin):
        """`begin(number)` starts one and returns it when it is in the middle of something."""
        for number in self.numbers:
            with self.subTest(signal=number.name):
                self.end(begin(number), number)

    def hosts(self, env, **endpoint):
        return {**self.dir_bucket().env("destination"), **NOBODYS, "STORSYNC_ENVIRONMENT": "production",
                "STORSYNC_DEPLOYMENT_ID": "d1", **env}


class Moments(SignalCase):
    """Each phase of a run, each signal."""

    numbers = NUMBERS
    prefix = []

    def begin(self, env, prefix=(), **how):
        if self.prefix:
            self.not_wrapped("it would be PID 1 itself")
            self.needs_root("PID 1")
        tool = self.starts(env, prefix=[*prefix, *self.prefix], **how)
        return tool

    def test_name_lookup(self):
        address = "127.53.53.53"
        (self.dir / "resolv.conf").write_text(f"nameserver {address}\noptions timeout:30\n")
        space = self.mounts(f"mount --bind '{self.dir}/resolv.conf' /etc/resolv.conf")
        resolver = Silence(socket.SOCK_DGRAM, (address, 53))
        self.addCleanup(resolver.close)

        def begin(_):
            resolver.heard.clear()
            tool = self.begin(self.hosts({"STORSYNC_SOURCE_ENDPOINT": "https://storage.example.test:8000"}),
                              prefix=space.prefix)
            tool.wait_for(resolver.heard.is_set)
            return tool
        self.all_signals(begin)

    def test_connect(self):
        with proxyfault.BlackHole() as hole:
            def begin(_):
                tool = self.begin(self.hosts({"STORSYNC_SOURCE_ENDPOINT": hole.endpoint}))
                pid = self.target(tool)
                tool.wait_for(lambda: any(connecting(process, hole.port) for process in children(pid)))
                return tool
            self.all_signals(begin)

    def test_tls_handshake(self):
        server = Silence()
        self.addCleanup(server.close)

        def begin(_):
            server.heard.clear()
            tool = self.begin(self.hosts({"STORSYNC_SOURCE_ENDPOINT": f"https://localhost:{server.port}"}))
            tool.wait_for(server.heard.is_set)
            return tool
        self.all_signals(begin)

    def test_answer(self):
        """The first request of all: the look at the marker."""
        proxy = self.proxy()
        proxy.fault(proxyfault.stall(), times=FOREVER)
        source = self.dir_bucket()

        def begin(_):
            seen = len(proxy.requests)
            names = {name.replace("SOURCE", "DESTINATION"): value for name, value in NOBODYS.items()}
            tool = self.begin({**self.hosts({}), **source.env("source"), **names,
                               "STORSYNC_DESTINATION_ENDPOINT": proxy.endpoint})
            tool.wait_for(lambda: len(proxy.requests) > seen)
            return tool
        self.all_signals(begin)

    def stalled_on_rgw(self, stall_at, size, ready):
        """Transfers that stand still, with the lease held: nothing unfinished stays behind on the server."""
        source = self.s3_bucket()
        source.put("public/small", "s")
        source.put("public/standing", data.body("standing", size))

        def begin(_):
            nonlocal destination
            destination = self.s3_bucket()
            proxy = self.proxy(source.server.endpoint)
            proxy.fault(stall_at, method="GET", target="/public/standing", times=FOREVER, skip=self.skip)
            tool = self.begin({**production(source, destination), "STORSYNC_PART_SIZE": "5MiB",
                               **source.env("source", endpoint=proxy.endpoint)})
            tool.wait_for(lambda: ready(proxy, destination))
            time.sleep(0.1)
            return tool

        destination = None
        for number in self.numbers:
            with self.subTest(signal=number.name):
                self.end(begin(number), number)
                self.assertEqual(destination.unfinished_uploads(), [])
                self.assertEqual(destination.lease()["state"], "failed", "given back")
                self.assertEqual(destination.markers(), [])
                self.assertEqual(destination.keys("public/standing"), [], "whole or not there")

    skip = 0

    def test_stalled_transfer(self):
        self.stalled_on_rgw(proxyfault.stall(after=3000), 100_000,
                            lambda proxy, destination: any("standing" in r.target for r in proxy.requests))

    def test_stalled_upload_in_parts(self):
        self.skip = 1  # the first part gets through
        self.stalled_on_rgw(proxyfault.stall(after=3_000_000), 12 * data.MIB,
                            lambda proxy, destination: destination.unfinished_uploads())

    def test_copying_on_a_directory(self):
        source, many = self.dir_bucket(), 15_000  # so many that they take longer than this process may wait for a CPU
        (source.root / "public").mkdir()
        for number in range(many):
            (source.root / f"public/{number}").write_bytes(b"x" * 1000)

        def begin(_):
            nonlocal destination
            destination = self.dir_bucket()
            tool = self.begin(production(source, destination))
            tool.wait_for(lambda: (destination.root / "public").exists())
            return tool

        destination = None
        for number in self.numbers:
            with self.subTest(signal=number.name):
                self.end(begin(number), number)
                found = destination.contents()
                self.assertLess(len(found), many, "the test was too slow: it had finished")
                self.assertEqual(set(found.values()) - {b"x" * 1000}, set())
                self.assertEqual(destination.lease()["state"], "failed")
                self.assertEqual([*(destination.root / ".storsync" / "tmp").glob("*")], [])

    def test_waiting_for_another(self):
        source, destination, proxy = self.s3_bucket(), self.s3_bucket(), None
        source.put("public/a", "a")
        proxy = self.proxy(source.server.endpoint)
        proxy.fault(proxyfault.stall(), method="GET", target="/public/", times=FOREVER)
        owner = self.start(env={**PATIENT, **production(source, destination),
                                **source.env("source", endpoint=proxy.endpoint),
                                "STORSYNC_STATUS_FILE": str(self.dir / "owner.json")})
        owner.wait_for(lambda: proxy.requests)

        def begin(_):
            tool = self.begin(production(source, destination))
            tool.wait_for(lambda: "waiting for replica" in tool.err)
            return tool
        self.all_signals(begin)
        self.assertTrue(owner.running())
        self.assertEqual((destination.lease()["epoch"], destination.lease()["state"]), (1, "held"))


class MomentsOfPid1(Moments):
    """The same as PID 1, for which the kernel ignores what has no handler. One signal stands for all ..."""

    numbers = (signal.SIGTERM,)
    prefix = PID_1


class Pid1(SignalCase):
    """... and here are all, once."""

    def setUp(self):
        super().setUp()
        self.not_wrapped("it would be PID 1 itself")
        self.needs_root("PID 1")

    def test_every_signal(self):
        proxy, env = self.proxy(), None
        proxy.fault(proxyfault.stall(), times=FOREVER)
        for number in NUMBERS:
            with self.subTest(signal=number.name):
                proxy.requests.clear()
                env = self.hosts({"STORSYNC_SOURCE_ENDPOINT": proxy.endpoint})
                tool = self.starts(env, prefix=PID_1)
                tool.wait_for(lambda: proxy.requests)
                self.end(tool, number)

    def test_the_application_is_pid_1_and_finds_everything_as_it_was(self):
        source, destination = self.dir_bucket(), self.dir_bucket()
        source.put("public/a", "a")
        tool = self.tool("--", "/bin/sh", "-c", "ls -l /proc/1/fd; exec cat /proc/self/status",
                         env=production(source, destination), prefix=PID_1)
        self.assertIn("\nPid:\t1\n", tool.out)
        masks = re.findall(r"(?m)^(?:SigBlk|SigIgn|SigPnd|ShdPnd):\s*(\S+)$", tool.out)
        # 32 and 33 are the C library's own, see test_handover
        self.assertEqual([int(mask, 16) & ~(3 << 31) for mask in masks], [0] * 4, tool.out)
        self.assertEqual(sorted(int(n) for n in re.findall(r" (\d+) -> ", tool.out)), [0, 1, 2])

    def test_second_signal(self):
        proxy = self.proxy()
        proxy.fault(proxyfault.stall(), times=FOREVER)
        tool = self.starts(self.hosts({"STORSYNC_SOURCE_ENDPOINT": proxy.endpoint}), prefix=PID_1)
        tool.wait_for(lambda: proxy.requests)
        pid = self.target(tool)
        os.kill(pid, signal.SIGSTOP)  # both arrive before it can do anything about the first
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGCONT)
        self.assertIn(tool.wait().code, (128 + signal.SIGTERM, 128 + signal.SIGINT))


def connecting(pid, port):
    """Has the process a connection to that port in the state SYN_SENT? (The hole's own ones are in it as well.)"""
    try:
        found = re.findall(rf":{port:04X} 02 (?:\S+ +){{5}}(\d+)", Path(f"/proc/{pid}/net/tcp").read_text())
        links = {os.readlink(entry.path) for entry in os.scandir(f"/proc/{pid}/fd")}
    except OSError:
        return False  # one was closed meanwhile
    return any(f"socket:[{inode}]" in links for inode in found)


class Other(SignalCase):
    def test_first_milliseconds(self):
        """Whenever it comes: never the application, never anything else than this signal's code."""
        proxy, codes = self.proxy(), []
        proxy.fault(proxyfault.stall(), times=FOREVER)
        # On a busy machine its first instructions come late: then longer, until one had begun.
        for number in itertools.takewhile(lambda number: number < 40 or 128 + signal.SIGTERM not in codes, range(40 * RUN.slow)):
            tool = self.starts(self.hosts({"STORSYNC_SOURCE_ENDPOINT": proxy.endpoint}))
            time.sleep(number * (0.002 if RUN.instrumented else 0.0001))
            tool.kill(signal.SIGTERM)
            tool.wait()
            # Before the first instruction it is the kernel that ends it.
            self.assertIn(tool.code, (-signal.SIGTERM, 128 + signal.SIGTERM))
            self.assertFalse(tool.application.started)
            codes.append(tool.code)
        self.assertIn(128 + signal.SIGTERM, codes)

    def test_at_the_moment_of_the_handover(self):
        """Between the last look and exec no signal is lost: the tool ends with it, or the application gets it."""
        source, destination = self.dir_bucket(), self.dir_bucket()
        source.put("public/a", "a")
        env = production(source, destination)
        self.succeed(env=env)
        codes = set()
        for number in range(60):
            tool = self.start("--", "/bin/sleep", "60", env=env)
            time.sleep(number * 0.00005)
            tool.kill(signal.SIGTERM)
            codes.add(tool.wait().code)
        self.assertLessEqual(codes, {-signal.SIGTERM, 128 + signal.SIGTERM})

    def test_before_the_first_instruction(self):
        """One that is there already when the program begins, because it was blocked, is not lost either."""
        def pending():
            signal.pthread_sigmask(signal.SIG_BLOCK, NUMBERS)
            os.kill(os.getpid(), number)

        source, destination = self.dir_bucket(), self.dir_bucket()
        for number in NUMBERS:
            with self.subTest(signal=number.name):
                tool = self.starts(production(source, destination), before_exec=pending).wait()
                self.assertEqual((tool.code, tool.application.started), (128 + number, False))

    def test_second_signal_ends_at_once(self):
        """The first one waits for the server to answer that the lease is given back; the second does not."""
        source, destination = self.s3_bucket(), self.s3_bucket()
        source.put("public/large", data.body("large", 12 * data.MIB))
        reader, writer = (self.proxy(source.server.endpoint) for _ in range(2))
        reader.fault(proxyfault.stall(after=3_000_000), method="GET", target="/public/", skip=1, times=FOREVER)
        tool = self.starts({**production(source, destination), "STORSYNC_PART_SIZE": "5MiB",
                            "STORSYNC_LEASE_TTL": "1h", **source.env("source", endpoint=reader.endpoint),
                            **destination.env("destination", endpoint=writer.endpoint)})
        tool.wait_for(destination.unfinished_uploads)
        writer.fault(proxyfault.stall(), times=FOREVER)
        tool.kill(signal.SIGTERM)
        tool.wait_for(lambda: any(r.method == "DELETE" for r in writer.requests))
        tool.kill(signal.SIGQUIT)
        tool.wait()
        self.assertEqual(tool.code, 128 + signal.SIGQUIT)
        self.assertNotIn("the lease could not be released", tool.err, "that is said after two seconds")

    def test_server_that_does_not_answer_the_clean_up(self):
        """The same without a second signal: two seconds at most, and the others learn it from the TTL."""
        source, destination = self.s3_bucket(), self.s3_bucket()
        source.put("public/large", data.body("large", 12 * data.MIB))
        reader, writer = (self.proxy(source.server.endpoint) for _ in range(2))
        reader.fault(proxyfault.stall(after=3_000_000), method="GET", target="/public/", skip=1, times=FOREVER)
        tool = self.starts({**production(source, destination), "STORSYNC_PART_SIZE": "5MiB",
                            "STORSYNC_LEASE_TTL": "1h", **source.env("source", endpoint=reader.endpoint),
                            **destination.env("destination", endpoint=writer.endpoint)})
        tool.wait_for(destination.unfinished_uploads)
        writer.fault(proxyfault.stall(), times=FOREVER)
        self.end(tool, signal.SIGTERM)
        self.assertIn("the lease could not be released", tool.err)

    def test_log_that_nobody_reads(self):
        """A closed pipe behind the log: SIGPIPE must not end it."""
        def broken():
            reader, writer = os.pipe()
            os.dup2(writer, 1)
            os.dup2(writer, 2)
            os.close(reader)
            os.close(writer)
        source, destination = self.dir_bucket(), self.dir_bucket()
        for number in range(50):
            source.put(f"public/{number}", "x")
        application = self.app()
        # The application's own output meets the same pipe: its exit code is not looked at.
        tool = self.tool("--", application.path, env=production(source, destination), before_exec=broken)
        self.assertTrue((application.dir / "cmdline").exists())
        self.assertEqual(tool.status["state"], "synced")
        self.assertEqual(len(destination.contents()), 50)
        tool = self.tool("--sync", env=production(source, destination), before_exec=broken)
        self.assertEqual(tool.code, 0)

    def test_meant_for_the_application(self):
        """What a process sends to an application ("read your configuration again", "write statistics") comes too early, and
        does no harm; it does not reach the application later either, which has no handler yet."""
        def refuse_once_sent(x):
            sent.wait()
            answer(403)(x)

        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGXFSZ, signal.SIGVTALRM,
                       signal.SIGSEGV, signal.SIGABRT, signal.SIGPOLL, 34, signal.SIGRTMAX):
            with self.subTest(signal=number):
                proxy, application, sent = self.proxy(), self.app(), threading.Event()
                self.addCleanup(sent.set)
                proxy.fault(refuse_once_sent, times=FOREVER)
                tool = self.start("--", application.path, env={**PATIENT, **self.hosts({"STORSYNC_SOURCE_ENDPOINT": proxy.endpoint})})
                tool.wait_for(lambda: proxy.requests)
                tool.kill(number)
                sent.set()
                tool.wait()
                self.assertEqual((tool.code, application.started), (0, True))

    def test_blocked(self):
        """Some runtimes hand their mask on."""
        proxy = self.proxy()
        proxy.fault(proxyfault.stall(), times=FOREVER)
        tool = self.starts(self.hosts({"STORSYNC_SOURCE_ENDPOINT": proxy.endpoint}),
                           before_exec=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, NUMBERS))
        tool.wait_for(lambda: proxy.requests)
        self.end(tool, signal.SIGTERM)

    def test_terminal_that_is_gone(self):
        """A SIGHUP of the kernel's."""
        proxy = self.proxy()
        proxy.fault(proxyfault.stall(), times=FOREVER)
        ours, its = pty.openpty()

        def on_terminal():
            os.setsid()
            fcntl.ioctl(its, termios.TIOCSCTTY, 0)
        tool = self.starts(self.hosts({"STORSYNC_SOURCE_ENDPOINT": proxy.endpoint}), before_exec=on_terminal)
        os.close(its)
        tool.wait_for(lambda: proxy.requests)
        os.close(ours)
        self.assertEqual(tool.wait(5).code, 128 + signal.SIGHUP)
        self.assertFalse(tool.application.started)

    def test_only_the_worker_is_told(self):
        """Whoever ends the process that syncs (as what frees memory does) ends the sync, and not the application."""
        proxy, application = self.proxy(), self.app()
        proxy.fault(proxyfault.stall(), times=FOREVER)
        tool = self.start("--", application.path, env={**PATIENT, **self.hosts({"STORSYNC_SOURCE_ENDPOINT": proxy.endpoint})})
        tool.wait_for(lambda: proxy.requests)
        os.kill(tool.worker, signal.SIGTERM)
        tool.wait(5)
        self.assertEqual((tool.code, application.started), (0, True))
        self.assertEqual(tool.status["state"], "failed")

    def test_manual_sync_and_init_container(self):
        """Without an application the code is the same."""
        proxy = self.proxy()
        proxy.fault(proxyfault.stall(), times=FOREVER)
        for args in (("--sync",), (), ("--validate",)):
            proxy.requests.clear()
            tool = self.start(*args, env={**PATIENT, **self.hosts({"STORSYNC_SOURCE_ENDPOINT": proxy.endpoint})})
            tool.wait_for(lambda: proxy.requests)
            tool.kill(signal.SIGTERM)
            self.assertEqual(tool.wait().code, 128 + signal.SIGTERM)
            if "--validate" in args:
                self.assertIn("Validation Interrupted", tool.err)
