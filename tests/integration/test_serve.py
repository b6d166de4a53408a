"""--serve: the process that stays. As PID 1 as good as tini, which runs beside it in the first class; and syncs that are asked for."""
import os
import re
import resource
import select
import shutil
import signal
import sys
import termios
import time
from pathlib import Path

import proxyfault
from harness import RUN, TestCase, children, production
from proxyfault import FOREVER

TERM, KILL, USR1 = signal.SIGTERM, signal.SIGKILL, signal.SIGUSR1
PID_1 = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]

# An application that writes down each signal that it gets, and ends with 7 when it is told to by a file.
RECORDER = """
import os, signal, sys, time
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
    signal.signal(number, lambda number, _: os.write(out, b"%d\\n" % number))
out = os.open(sys.argv[1] + "/signals", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
open(sys.argv[1] + "/ready", "w").close()
while os.path.exists(sys.argv[1] + "/ready") and not os.path.exists(sys.argv[1] + "/end"):  # not longer than the test
    time.sleep(0.01)
sys.exit(7)
"""
# One that leaves a process behind whose parent is gone, and goes on.
DESERTER = "(sh -c 'sleep 0.1; exit 3' & echo left $! >&3) 3>{dir}/orphan; exec sleep 1000"
# One that may be told to end and takes its time.
SLOW = "trap 'touch {dir}/told; sleep 0.5; exit 9' TERM; touch {dir}/ready; while [ -e {dir}/ready ]; do sleep 0.05; done"


def state(pid):
    try:
        return re.search(r"(?m)^State:\s+(\S)", Path(f"/proc/{pid}/status").read_text())[1]
    except OSError:
        return "-"


def pending(pid):
    """The signals that it has not taken yet."""
    found = re.search(r"(?m)^ShdPnd:\s+(\S+)", Path(f"/proc/{pid}/status").read_text())[1]
    return {number for number in range(1, 65) if int(found, 16) >> number - 1 & 1}


def command(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


class ServeCase(TestCase):
    def setUp(self):
        super().setUp()
        self.not_wrapped("it is another program")
        self.source, self.destination = self.dir_bucket(), self.dir_bucket()
        self.source.put("public/a", "a")
        self.env = production(self.source, self.destination, STORSYNC_ADMIN_LISTEN="off")

    def serve(self, script=None, env=(), wait="runs as process", **how):
        """A resident with a shell script as its application, which has begun; None: without an application."""
        command = [] if script is None else ["--", "/bin/sh", "-c", script.format(dir=self.dir)]
        tool = self.start("--serve", *command, env={**self.env, **dict(env)}, **how)
        tool.wait_for(lambda: (wait if command else "staying until") in tool.err)
        return tool

    def stalled(self, after=0):
        """The environment of a sync that waits for an answer, and the proxy that does not give it."""
        proxy = self.proxy()
        proxy.fault(proxyfault.stall(), times=FOREVER)
        return proxy, {"STORSYNC_SOURCE_BUCKET": "b", "STORSYNC_SOURCE_ENDPOINT": proxy.endpoint,
                       "STORSYNC_SOURCE_ACCESS_KEY_ID": "a", "STORSYNC_SOURCE_SECRET_ACCESS_KEY": "s",
                       "STORSYNC_STALL_TIMEOUT": "5m", "STORSYNC_CONNECT_TIMEOUT": "5m"}

    def development(self):
        """Nothing is synced at the start; what is asked for then stands still."""
        proxy, env = self.stalled()
        return proxy, {**env, "STORSYNC_ENVIRONMENT": "development"}

    def ask(self, tool):
        """A sync that stands still; returns its process."""
        tool.wait_for(lambda: len(children(tool.pid)) <= 1)  # beside one that is about to end no other is started
        before = set(children(tool.pid))
        tool.kill(USR1)
        tool.wait_for(lambda: set(children(tool.pid)) - before)
        return (set(children(tool.pid)) - before).pop()

    def there(self, name):
        return lambda: (self.dir / name).exists()


class Init(ServeCase):
    """What tini does, done by both. Nothing to sync."""

    def setUp(self):
        super().setUp()
        self.env["STORSYNC_ENVIRONMENT"] = "development"
        self.inits = [("--serve", [], RUN.binary, ["--serve", "--"])]
        if shutil.which("tini"):
            self.inits.append(("tini", [], shutil.which("tini"), ["-s", "--"]))

    def all(self, *command, ready=None, **how):
        for name, prefix, binary, args in self.inits:
            with self.subTest(init=name):
                for left in ("ready", "end", "signals", "orphan", "told"):
                    (self.dir / left).unlink(missing_ok=True)
                self.name = name
                tool = self.start(*args, *command, env=self.env, binary=binary, **how)
                if ready:
                    tool.wait_for(ready)
                yield tool

    def application(self, tool, name):
        """Its process, once it has that name."""
        def found():
            return [pid for pid in children(tool.pid) if command(pid) == name]

        tool.wait_for(found)
        return found()[0]

    def test_exit_codes(self):
        for script, code in (("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -9 $$", 137), ("kill -15 $$", 143),
                             ("kill -6 $$", 134)):
            for tool in self.all("/bin/sh", "-c", script):
                self.assertEqual(tool.wait().code, code, script)

    def test_command_that_cannot_run(self):
        (self.dir / "text").write_text("no program")
        for command, code in ((f"{self.dir}/nowhere", 127), (f"{self.dir}/text", 126)):
            for tool in self.all(command):
                self.assertEqual(tool.wait().code, code)
                self.assertIn(command, tool.err)

    def test_every_signal(self):
        ours = {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGTTIN, signal.SIGTTOU, USR1}
        faults = {signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGTRAP, signal.SIGSYS}
        for tool in self.all(sys.executable, "-c", RECORDER, self.dir, ready=self.there("ready")):
            # tini does not pass on what it takes for a fault of its own; we do.
            for number in sorted(signal.valid_signals() - ours - (faults if self.name == "tini" else set())):
                seen = (self.dir / "signals").read_text().count("\n")
                tool.kill(number)
                tool.wait_for(lambda: (self.dir / "signals").read_text().count("\n") > seen)
                self.assertEqual(int((self.dir / "signals").read_text().split()[-1]), number)
            (self.dir / "end").touch()
            self.assertEqual(tool.wait().code, 7)

    def test_orphans(self):
        for tool in self.all("/bin/sh", "-c", DESERTER.format(dir=self.dir),
                             ready=lambda: "left" in (self.dir / "orphan").read_text() if self.there("orphan")() else False):
            orphan = int((self.dir / "orphan").read_text().split()[1])
            tool.wait_for(lambda: state(orphan) == "-")
            tool.kill(TERM)
            self.assertEqual(tool.wait().code, 143)

    def test_orphans_of_pid_1(self):
        self.needs_root("PID 1")
        for tool in self.all("/bin/sh", "-c", DESERTER.format(dir=self.dir), prefix=PID_1, ready=self.there("orphan")):
            tool.wait_for(lambda: children(tool.pid))
            init = children(tool.pid)[0]
            tool.wait_for(lambda: "left" in (self.dir / "orphan").read_text())
            tool.wait_for(lambda: len(children(init)) == 1)
            os.kill(init, TERM)
            self.assertEqual(tool.wait().code, 143)

    def test_group_of_its_own(self):
        """What it sends to its group does not reach who takes care of it."""
        for tool in self.all("/bin/sh", "-c", f"trap : TERM; kill -TERM 0; sleep 0.2; touch {self.dir}/ready; exit 5"):
            self.assertEqual(tool.wait().code, 5)
            self.assertTrue(self.there("ready")())

    def test_stopped_and_continued(self):
        for tool in self.all("/bin/sh", "-c", "exec sleep 1000"):
            application = self.application(tool, "sleep")
            tool.kill(signal.SIGTSTP)
            tool.wait_for(lambda: state(application) == "T")
            tool.kill(signal.SIGCONT)
            tool.wait_for(lambda: state(application) == "S")
            tool.kill(TERM)
            self.assertEqual(tool.wait().code, 143)

    def test_as_found(self):
        """The application has signals and descriptors as we were started with, whatever an init does with its own."""
        def ignore():
            signal.signal(signal.SIGUSR2, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGWINCH})

        found = []
        for tool in self.all("/bin/sh", "-c", "grep ^Sig /proc/self/status | grep -v SigQ; ls -l /proc/self/fd | grep -c /",
                             before_exec=ignore):
            found.append(tool.wait().out)
        self.assertIn("SigBlk:\t0000000008000000", found[0])
        self.assertRegex(found[0], r"SigIgn:\t[0-9a-f]{13}8[0-9a-f]{2}")
        self.assertEqual(len(set(found)), 1, found)


class Requests(ServeCase):
    """Syncs that are asked for."""

    def test_by_signal_in_production_and_development(self):
        for environment in ("production", "development"):
            with self.subTest(environment=environment):
                tool = self.serve("trap : USR1; touch {dir}/ready; sleep 1000", {"STORSYNC_ENVIRONMENT": environment})
                self.source.put(f"public/{environment}", environment)
                tool.kill(USR1)
                tool.wait_for(lambda: f"public/{environment}" in self.destination.contents())
                tool.wait_for(lambda: tool.status["state"] == "synced")
                self.assertEqual((tool.status["mode"], tool.status["environment"]), ("sync", environment))
                self.source.put("public/again", environment)
                tool.wait_for(lambda: len(children(tool.pid)) == 1)
                tool.kill(USR1)
                tool.wait_for(lambda: self.destination.contents().get("public/again") == environment.encode())
                tool.kill(TERM)
                self.assertEqual(tool.wait().code, 143, "the signal is the application's as well")

    def test_one_at_a_time(self):
        proxy, env = self.development()
        tool = self.serve("sleep 1000", env)
        worker = self.ask(tool)
        tool.kill(USR1)
        tool.wait_for(lambda: "no second one is started" in tool.err)
        os.kill(worker, KILL)
        tool.wait_for(lambda: "was killed" in tool.err)
        tool.wait_for(lambda: len(children(tool.pid)) == 1)
        self.assertEqual(tool.err.count("SIGUSR1: starting a sync"), 1, "what was refused is not done later")

    def test_worker_that_is_killed(self):
        proxy, env = self.development()
        tool = self.serve("sleep 1000", env)
        worker = self.ask(tool)
        tool.wait_for(lambda: tool.status["state"] == "running")
        self.assertIn("healthy (running)", self.succeed("--health").out)
        os.kill(worker, KILL)
        tool.wait_for(lambda: "the application goes on" in tool.err)
        self.assertIn("was the memory used up?", tool.err)
        self.assertEqual((tool.status["mode"], tool.status["state"]), ("sync", "failed"))
        self.assertIn("was killed (signal 9)", tool.status["message"])
        self.assertTrue(tool.status["asked"])
        self.assertEqual(self.tool("--health").code, 1)
        self.ask(tool)
        tool.kill(TERM)
        self.assertEqual(tool.wait().code, 143)

    def test_dropped_variables_are_there_for_syncs(self):
        """The application does not get them; the next sync needs them."""
        tool = self.serve("env >{dir}/env; touch {dir}/ready; sleep 1000", {"STORSYNC_DROP_ENV": "STORSYNC_*"})
        tool.wait_for(self.there("ready"))
        self.assertNotIn("STORSYNC", (self.dir / "env").read_text())
        self.source.put("public/later", "x")
        tool.kill(USR1)
        tool.wait_for(lambda: "public/later" in self.destination.contents())

    def test_without_an_application(self):
        tool = self.serve()
        self.source.put("public/later", "x")
        tool.kill(USR1)
        tool.wait_for(lambda: "public/later" in self.destination.contents())
        tool.wait_for(lambda: not children(tool.pid))
        tool.kill(TERM)
        self.assertEqual(tool.wait().code, 0)

    def test_first_sync_failed(self):
        """on_failure decides whether it stays, and whether an application starts."""
        env = {"STORSYNC_SOURCE_BUCKET": "file:///nowhere"}
        tool = self.serve(env=env)
        self.assertIn("staying all the same (on_failure=start)", tool.err)
        tool.kill(TERM)
        self.assertEqual(tool.wait().code, 0)
        for command in ([], ["--", "/bin/touch", self.dir / "started"]):
            tool = self.tool("--serve", *command, env={**self.env, **env, "STORSYNC_ON_FAILURE": "stop"})
            self.assertEqual(tool.code, 69)
            self.assertIn("not starting the application" if command else "not staying", tool.err)
        self.assertFalse(self.there("started")())

    def test_too_little(self):
        """Where no process can be made, all is as without --serve."""
        if os.geteuid() != 0:
            self.skipTest("SKIPPED, not tested here: a user with one process (needs root)")
        self.destination.root.chmod(0o777)
        tool = self.tool("--serve", "--", "/bin/echo", "application", env=self.env, nobody=True,
                         before_exec=lambda: resource.setrlimit(resource.RLIMIT_NPROC, (1, 1)))
        self.assertEqual((tool.code, tool.out), (0, "application\n"))
        self.assertIn("--serve does not work here", tool.err)
        self.assertEqual(tool.status["state"], "synced")

    def test_small_and_asleep(self):
        """After a sync, when there is nothing to do; with the admin endpoint as well."""
        for listen in ("off", f"unix:{self.dir}/socket"):
            with self.subTest(listen=listen):
                self.check_small_and_asleep(self.serve("sleep 1000", {"STORSYNC_ADMIN_LISTEN": listen}))

    def check_small_and_asleep(self, tool):
        before = tool.err.count("Sync Complete")
        tool.kill(USR1)
        tool.wait_for(lambda: tool.err.count("Sync Complete") > before and len(children(tool.pid)) == 1)
        status = Path(f"/proc/{tool.pid}/status")
        switches = r"(?m)^(?:non)?voluntary_ctxt_switches:\t(\d+)"
        for _ in range(5):  # what the end of the sync brings may come late
            before = re.search(switches, status.read_text())[1]
            time.sleep(1.5)
            if awake := re.search(switches, status.read_text())[1] != before:
                continue
            break
        self.assertFalse(awake)
        if not RUN.instrumented:
            self.assertLessEqual(int(re.search(r"VmRSS:\s*(\d+) kB", status.read_text())[1]), 700)


class Scheduled(ServeCase):
    """By the clock, which a test binary sees jump by two minutes half a second after it looked at it for the first time."""

    @staticmethod
    def due():
        """A minute that is to come, and is over after the jump."""
        return time.strftime("%M %H * * *", time.gmtime(time.time() + 120))

    def scheduled(self, env=(), script="sleep 1000"):
        if not RUN.test_binary:
            self.skipTest("STORSYNC_TEST_BIN is not set")
        tool = self.serve(script, {"STORSYNC_SCHEDULE": self.due(), "STORSYNC_CLOCK_JUMP": "120", **dict(env)},
                          binary=RUN.test_binary)
        tool.wait_for(lambda: "next sync: " in tool.err)
        time.sleep(0.6)
        return tool

    def test_missed_once(self):
        """At the end of a sync by hand the next one is two minutes late."""
        tool = self.scheduled({"STORSYNC_ENVIRONMENT": "development"})
        self.source.put("public/later", "x")
        tool.kill(USR1)
        tool.wait_for(lambda: "schedule: starting a sync" in tool.err)
        tool.wait_for(lambda: tool.err.count("Sync Complete") == 2)
        tool.wait_for(lambda: tool.err.count("next sync: ") == 3)
        self.assertEqual(tool.err.count("schedule: starting"), 1)
        told = re.findall(r"next sync: (\S+):00\.000Z", tool.err)
        self.assertLess(told[0], told[2])
        self.assertRegex(tool.status["nextSync"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:00\.000Z$")
        shown = self.succeed("--status")
        self.assertIn(f"Next sync: {tool.status['nextSync']}", shown.out)

    def test_waits_for_the_one_that_runs(self):
        """Both are late at once."""
        proxy, env = self.development()
        tool = self.scheduled({**env, "STORSYNC_VALIDATE_SCHEDULE": self.due()})
        os.kill(self.ask(tool), KILL)
        tool.wait_for(lambda: "schedule: starting a sync" in tool.err)
        tool.kill(USR1)
        tool.wait_for(lambda: "no second one is started" in tool.err)
        self.assertNotIn("schedule: starting a validation", tool.err)
        application = int(re.search(r"runs as process (\d+)", tool.err)[1])
        (sync,) = {*children(tool.pid)} - {application}
        os.kill(sync, KILL)
        tool.wait_for(lambda: "schedule: starting a validation" in tool.err)

    def test_validation(self):
        tool = self.scheduled({"STORSYNC_SCHEDULE": "0 0 1 1 *", "STORSYNC_VALIDATE_SCHEDULE": self.due(),
                               "STORSYNC_ENVIRONMENT": "development"})
        tool.kill(USR1)
        tool.wait_for(lambda: "schedule: starting a validation" in tool.err)
        tool.wait_for(lambda: "=== Validation Complete: equal ===" in tool.err)
        self.assertNotIn("schedule: starting a sync", tool.err)

    def next_of(self, zone, **env):
        tool = self.tool("--serve", "--", "/bin/true", env={**self.env, "STORSYNC_SCHEDULE": "30 14 * * *", "TZ": zone, **env})
        self.assertEqual(tool.code, 0)
        return re.search(r"next sync: \S+T(\S+)\.000Z", tool.err)[1], tool.err

    def test_time_zones(self):
        for zone, expected in (("UTC", "14:30:00"), ("JST-9", "05:30:00"), ("<+0545>-5:45", "08:45:00"), (":Asia/Kolkata", "09:00:00"),
                               ("Asia/Tokyo", "05:30:00")):
            if "/" in zone and not Path("/usr/share/zoneinfo", zone.lstrip(":")).exists():
                continue
            with self.subTest(zone=zone):
                self.assertEqual(self.next_of(zone)[0], expected)
        for zone in ("Nowhere/Land", "../../../etc/passwd", "/etc/passwd"):
            due, log = self.next_of(zone)
            self.assertEqual(due, "14:30:00")
            self.assertIn("schedules go by UTC", log)

    def test_jitter(self):
        """A part of it, the same every time."""
        found = {self.next_of("UTC", STORSYNC_SCHEDULE_JITTER="1h")[0] for _ in range(2)}
        self.assertEqual(len(found), 1)
        self.assertRegex(found.pop(), r"^1[45]:")

    def test_mistake(self):
        env = {**self.env, "STORSYNC_SCHEDULE": "0 25 * * *"}
        tool = self.tool("--check-config", env=env)
        self.assertEqual(tool.code, 78)
        self.assertIn('hour "25": 0 to 23', tool.err)
        tool = self.succeed("--serve", "--", "/bin/true", env=env)
        self.assertNotIn("next sync", tool.err)


class Ends(ServeCase):
    """Being told to end, in each phase."""

    def test_during_the_first_sync(self):
        proxy, env = self.stalled()
        for command in (["--", "/bin/touch", self.dir / "started"], []):
            proxy.requests.clear()
            tool = self.start("--serve", *command, env={**self.env, **env})
            tool.wait_for(lambda: proxy.requests)
            tool.kill(TERM)
            self.assertEqual(tool.wait(5).code, 143)
            self.assertEqual(tool.status["state"], "interrupted")
        self.assertFalse(self.there("started")())

    def test_twice_during_the_first_sync(self):
        proxy, env = self.stalled()
        tool = self.start("--serve", "--", "/bin/touch", self.dir / "started", env={**self.env, **env})
        tool.wait_for(lambda: proxy.requests)
        worker = tool.worker
        os.kill(worker, signal.SIGSTOP)
        tool.wait_for(lambda: state(worker) == "T")
        tool.kill(TERM)
        tool.wait_for(lambda: TERM in pending(worker))  # it was told
        tool.kill(signal.SIGINT)
        self.assertEqual(tool.wait(5).code, 130)
        self.wait_gone(worker)

    def test_while_a_sync_runs(self):
        """Both are told. The application has its time, and its exit code counts."""
        proxy, env = self.development()
        tool = self.serve(SLOW, env)
        tool.wait_for(self.there("ready"))
        worker = self.ask(tool)
        tool.wait_for(lambda: proxy.requests)
        tool.kill(TERM)
        tool.wait_for(self.there("told"))
        tool.kill(USR1)
        self.assertEqual(tool.wait(5).code, 9)
        self.assertEqual(state(worker), "-")
        self.assertIn("no sync is started any more", tool.err)
        self.assertEqual(tool.status["state"], "interrupted")

    def test_application_ends_while_a_sync_runs(self):
        """The sync has 1.5 s, even if it hangs."""
        proxy, env = self.development()
        for stopped in (False, True):
            with self.subTest(stopped=stopped):
                (self.dir / "end").unlink(missing_ok=True)
                tool = self.serve("while [ ! -e {dir}/end ]; do sleep 0.02; done; exit 4", env)
                worker = self.ask(tool)
                if stopped:
                    os.kill(worker, signal.SIGSTOP)
                (self.dir / "end").touch()
                self.assertEqual(tool.wait(8).code, 4)
                self.wait_gone(worker)
                self.assertIn("the application ended with exit code 4", tool.err)

    def test_application_that_goes_on(self):
        """What it does with a signal is its affair. A second one kills a sync that does not end."""
        proxy, env = self.development()
        tool = self.serve("trap 'echo told >>{dir}/told' TERM; touch {dir}/ready; while [ -e {dir}/ready ]; do sleep 0.05; done", env)
        tool.wait_for(self.there("ready"))
        worker = self.ask(tool)
        os.kill(worker, signal.SIGSTOP)
        tool.kill(TERM)
        tool.wait_for(self.there("told"))
        tool.kill(TERM)
        tool.wait_for(lambda: state(worker) == "-")
        tool.wait_for(lambda: (self.dir / "told").read_text().count("told") == 2)
        self.assertTrue(tool.running())

    def test_log_that_nobody_reads(self):
        """SIGPIPE of our own is not the application's."""
        reader, writer = os.pipe()
        tool = self.start("--serve", "--", sys.executable, "-c", RECORDER, self.dir, env=self.env,
                          before_exec=lambda: os.dup2(writer, 2), pass_fds=[writer])
        os.close(writer)
        os.close(reader)
        tool.wait_for(self.there("ready"))
        tool.kill(USR1)
        tool.wait_for(lambda: self.status_file.exists() and tool.status["mode"] == "sync" and tool.status["state"] == "synced")
        self.assertEqual((self.dir / "signals").read_text(), "")


# A shell with job control: starts its arguments as a job in the foreground, and then does what it reads from descriptor 3.
SHELL = """
import os, signal, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
orders, answers = os.fdopen(int(sys.argv[1]), "r"), os.fdopen(int(sys.argv[2]), "w", buffering=1)
def foreground(group):
    os.tcsetpgrp(0, group)
def job():
    os.setpgid(0, 0)
    foreground(os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.argv[3], sys.argv[3:])
pid = os.fork()
if pid == 0:
    job()
print(pid, file=answers)
while True:
    _, status = os.waitpid(pid, os.WUNTRACED)
    foreground(os.getpgrp())
    if not os.WIFSTOPPED(status):
        break
    print("stopped", file=answers)
    orders.readline()
    foreground(pid)
    os.killpg(pid, signal.SIGCONT)
print("ended", os.waitstatus_to_exitcode(status), file=answers)
"""


class Terminal(ServeCase):
    """Below a shell: the application is in the foreground. Ctrl-C is sent once, Ctrl-Z gives the terminal back."""

    application = RECORDER.replace("signal.SIGCHLD}", "signal.SIGCHLD, signal.SIGTSTP, signal.SIGCONT}")

    def setUp(self):
        super().setUp()
        self.env["STORSYNC_ENVIRONMENT"] = "development"
        orders, self.orders = os.pipe()
        self.answers, answers = os.pipe()
        self.shell, self.terminal = os.forkpty()
        if self.shell == 0:
            os.set_inheritable(orders, True)
            os.set_inheritable(answers, True)
            env = {"PATH": "/usr/bin:/bin", "STORSYNC_STATUS_FILE": str(self.status_file), **self.env}
            os.execve(sys.executable, [sys.executable, "-c", SHELL, str(orders), str(answers), str(RUN.binary), "--serve",
                                       "--", sys.executable, "-c", self.application, str(self.dir)], env)
        os.close(orders)
        os.close(answers)
        self.addCleanup(self.close_shell)
        self.pid = int(self.answer())
        self.until(self.there("ready"))

    def close_shell(self):
        os.kill(self.shell, KILL)
        os.close(self.terminal)
        os.waitpid(self.shell, 0)

    def answer(self):
        self.assertTrue(select.select([self.answers], [], [], 10 * RUN.slow)[0], "no answer")
        return os.read(self.answers, 100).decode()

    def until(self, condition):
        """Reads what is written to the terminal meanwhile, so that nobody waits for it."""
        end = time.monotonic() + 10 * RUN.slow
        while not condition():
            if select.select([self.terminal], [], [], 0.01)[0]:
                os.read(self.terminal, 65536)
            self.assertLess(time.monotonic(), end)

    def signals(self):
        return [int(number) for number in (self.dir / "signals").read_text().split()]

    def test_interrupt_is_sent_once(self):
        os.write(self.terminal, b"\x03")
        self.until(lambda: self.signals() == [signal.SIGINT])
        os.kill(self.pid, signal.SIGUSR2)
        self.until(lambda: self.signals() == [signal.SIGINT, signal.SIGUSR2])
        (self.dir / "end").touch()
        self.assertEqual(self.answer(), "ended 7\n")

    def test_stop_and_continue(self):
        application = children(self.pid)[0]
        for _ in range(2):
            os.write(self.terminal, b"\x1a")
            self.assertEqual(self.answer(), "stopped\n")
            self.assertEqual((state(application), state(self.pid)), ("T", "T"))
            os.write(self.orders, b"fg\n")
            self.until(lambda: state(application) == "S" and state(self.pid) == "S")
            self.until(lambda: os.tcgetpgrp(self.terminal) == application)
        (self.dir / "end").touch()
        self.assertEqual(self.answer(), "ended 7\n")

    def test_stopped_by_somebody_else(self):
        """That is not the terminal's, and stops nobody else."""
        application = children(self.pid)[0]
        os.kill(application, signal.SIGSTOP)
        self.until(lambda: state(application) == "T")
        os.kill(self.pid, signal.SIGUSR2)
        os.kill(self.pid, signal.SIGCONT)
        self.until(lambda: self.signals() == [signal.SIGUSR2])
        (self.dir / "end").touch()
        self.assertEqual(self.answer(), "ended 7\n")
