"""Becoming the application: same process, nothing added, nothing lost."""
import os
import re
import signal
import threading

import proxyfault
from harness import NOBODY, PATH, TestCase, production, sides


class Handover(TestCase):
    def setUp(self):
        super().setUp()
        self.source, self.destination = (self.bucket(side, self.dir_bucket) for side in ("source", "destination"))
        self.source.put("public/a", "a")
        self.env = production(self.source, self.destination)

    def test_same_process(self):
        app = self.app(code=42)
        tool = self.tool("--", app.path, env=self.env)
        self.assertEqual((app.pid, app.parent), (tool.pid, os.getpid()))
        self.assertEqual(tool.code, 42)

    def test_arguments_byte_for_byte(self):
        app = self.app()
        args = [b"", b" ", b"--sync", b"--", b"-x", b"a\nb", b"\xff\xfe\x80", "\u00e9\U0001f600".encode(), b"$HOME",
                b"*", b"x" * 100_000]
        self.succeed("--", app.path, *args, env=self.env)
        self.assertEqual(app.argv, args)

    def test_command_without_dashes(self):
        app = self.app()
        self.succeed("--log-level", "error", app.path, "--status", env=self.env)
        self.assertEqual(app.argv, [b"--status"])

    def test_environment_byte_for_byte(self):
        self.not_with_gs("the harness adds a variable more")
        self.not_wrapped("it is a shell script, which adds variables")
        env = {b"PATH": PATH.encode(), b"STORSYNC_STATUS_FILE": os.fsencode(self.status_file),
               **{os.fsencode(k): os.fsencode(v) for k, v in self.env.items()},
               b"EMPTY": b"", b"LATIN1": b"\xe9\xff", b"NEWLINE": b"a\nb=c", b"odd name!": b"1", b"BIG": b"v" * 100_000}
        app = self.app()
        tool = self.start("--", app.path, bare=True, env=env)
        tool.wait()
        given = [b"AWS_EC2_METADATA_DISABLED=true", *(k + b"=" + v for k, v in env.items())]  # the first is the harness's
        self.assertEqual(app.environ, given, "same variables, same order")

    def test_dropped_variables(self):
        self.not_with_gs("the harness adds a variable more")
        self.not_wrapped("it is a shell script, which adds variables")
        env = {**self.env, "STORSYNC_DROP_ENV": "AWS_*,\nTOKEN STORSYNC_DROP_ENV\n NOT_THERE\n", "AWS_ACCESS_KEY_ID": "a",
               "AWS_SECRET_ACCESS_KEY": "s", "TOKEN": "t", "TOKENS": "stays", "MY_AWS_KEY": "stays", "LAST": "stays"}
        app = self.app()
        self.succeed("--", app.path, env=env)
        names = [variable.split(b"=")[0].decode() for variable in app.environ]
        kept = [name for name in ["PATH", "STORSYNC_STATUS_FILE", *env]
                if name not in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "TOKEN", "STORSYNC_DROP_ENV")]
        self.assertEqual(names, kept, "the others are there, in their order")

    def test_memory_is_for_root_only_until_then(self):
        """What a core dump would hold, and a debugger of the same user could read. The kernel shows it in who owns it."""
        self.not_with_gs("a folder of another user's")
        self.needs_root("another user")
        self.not_wrapped("it is another program")
        proxy = self.proxy()
        go_on = threading.Event()
        self.addCleanup(go_on.set)
        proxy.fault(lambda x: go_on.wait() and proxyfault.reset_before(x))
        env = {**self.destination.env("destination"), "STORSYNC_ENVIRONMENT": "production", "STORSYNC_RETRIES": "0",
               "STORSYNC_SOURCE_BUCKET": "b",
               "STORSYNC_SOURCE_ENDPOINT": proxy.endpoint, "STORSYNC_SOURCE_ACCESS_KEY_ID": "a",
               "STORSYNC_SOURCE_SECRET_ACCESS_KEY": "s"}
        self.destination.root.chmod(0o777)
        tool = self.start("--", "/bin/sleep", "1000", env=env, nobody=True)
        tool.wait_for(lambda: proxy.requests)
        self.assertEqual(os.stat(f"/proc/{tool.pid}/mem").st_uid, 0, "while it has the secrets")
        go_on.set()
        tool.wait_for(lambda: os.readlink(f"/proc/{tool.pid}/exe") != str(tool._exe))
        self.assertEqual(os.stat(f"/proc/{tool.pid}/mem").st_uid, NOBODY, "the application is debugged as ever")

    def descriptors(self, **how):
        """What is open in the application (here ls, whose own hold on the folder does not count)."""
        text = self.succeed("--", "/bin/ls", "-l", "/proc/self/fd", env=self.env, **how).out
        found = re.findall(r"(\d+) -> (.*)", text)
        return sorted(int(number) for number, target in found if not target.startswith("/proc/"))

    def test_no_descriptor_is_leaked(self):
        self.assertEqual(self.descriptors(), [0, 1, 2])

    def test_inherited_descriptors_stay(self):
        """Socket activation and shells' process substitution depend on it."""
        with open("/dev/null") as inherited:
            self.assertEqual(self.descriptors(pass_fds=(inherited.fileno(),)), [0, 1, 2, inherited.fileno()])

    def test_closed_standard_descriptors_are_not_reused(self):
        """A status file that landed on descriptor 2 would get the application's error messages."""
        def close():
            os.close(0)
            os.close(2)
        self.not_wrapped("it has uses of its own for these numbers")
        app = self.app()
        self.succeed("--", app.path, env=self.env, before_exec=close)
        self.assertEqual(self.status_file.read_bytes()[:1], b"{")
        self.assertEqual(self.destination.get("public/a"), b"a")

    def signals(self, before_exec=None):
        """Blocked, ignored and caught in the application."""
        text = self.succeed("--", "/bin/cat", "/proc/self/status", env=self.env, before_exec=before_exec).out
        # 32 and 33 are the C library's own; some supervisors leave them ignored, and nobody can tell otherwise.
        return [int(re.search(rf"(?m)^{field}:\s*(\S+)", text)[1], 16) & ~(3 << 31)
                for field in ("SigBlk", "SigIgn", "SigCgt")]

    def test_signals_as_by_default(self):
        self.assertEqual(self.signals(), [0, 0, 0])

    def test_signals_as_found(self):
        def before():
            for number in ignored:
                signal.signal(number, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        ignored = (signal.SIGUSR1, signal.SIGPIPE, signal.SIGHUP)
        blocked = (signal.SIGUSR2, signal.SIGTERM)
        self.assertEqual(self.signals(before), [bits(blocked), bits(ignored), 0])

    def test_the_mask_of_a_signal_that_our_c_library_uses_itself(self):
        """34 is musl's own, and the first real-time signal of glibc's."""
        self.not_wrapped("what runs it may use that signal, too")
        blocked = self.signals(lambda: signal.pthread_sigmask(signal.SIG_SETMASK, {34}))[0]
        self.assertEqual(blocked, bits({34}))

    def test_limits_umask_and_directory(self):
        tool = self.succeed("--", "/bin/sh", "-c", "umask; pwd; ulimit -n; ulimit -c", env=self.env, cwd=self.dir,
                            before_exec=lambda: os.umask(0o027))
        bare = self.succeed("--", "/bin/sh", "-c", "umask; pwd; ulimit -n; ulimit -c", cwd=self.dir,
                            env=sides(self.source, self.destination), before_exec=lambda: os.umask(0o027))
        self.assertEqual(tool.out.splitlines()[:2], ["0027", str(self.dir)])
        self.assertEqual(tool.out, bare.out)

    def test_standard_input_is_untouched(self):
        path = self.dir / "input"
        path.write_text("for the application")
        with open(path) as stdin:
            tool = self.succeed("--", "/bin/cat", env=self.env, stdin=stdin)
        self.assertEqual(tool.out, "for the application")

    def test_command_is_found_by_path(self):
        self.assertEqual(self.succeed("--", "echo", "x", env=self.env).out, "x\n")
        self.assertEqual(self.succeed("--", "./app", cwd=self._script("app"), env=self.env).out, "here\n")

    def _script(self, name):
        (self.dir / name).write_text("#!/bin/sh\necho here\n")
        (self.dir / name).chmod(0o755)
        return self.dir

    def test_application_ended_by_a_signal(self):
        tool = self.tool("--", "/bin/sh", "-c", "kill -9 $$", env=self.env)
        self.assertEqual(tool.code, -9, "it is the application itself that the signal ends")

    def test_log_comes_before_the_application(self):
        tool = self.succeed("--", "/bin/sh", "-c", "echo application >&2", env=self.env)
        self.assertTrue(tool.err.endswith("application\n"))


class Signals(TestCase):
    """Being told to end while syncing. (What PID 1 adds is tested with the replicas.)"""

    def test_ends_with_128_plus_n(self):
        destination = self.dir_bucket()
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number.name):
                proxy = self.proxy()
                proxy.fault(proxyfault.stall())
                env = {**destination.env("destination"), "STORSYNC_ENVIRONMENT": "production",
                       "STORSYNC_SOURCE_BUCKET": "b", "STORSYNC_SOURCE_ENDPOINT": proxy.endpoint,
                       "STORSYNC_SOURCE_ACCESS_KEY_ID": "a", "STORSYNC_SOURCE_SECRET_ACCESS_KEY": "s"}
                app = self.app()
                tool = self.start("--", app.path, env=env)
                tool.wait_for(lambda: proxy.requests)
                tool.kill(number)
                tool.wait()
                self.assertEqual(tool.code, 128 + number)
                self.assertFalse(app.started, "who is told to end does not start an application")
                self.assertEqual(tool.status["state"], "interrupted")


def bits(signals):
    return sum(1 << (number - 1) for number in signals)
