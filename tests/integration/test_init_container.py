"""Without a command, as a Kubernetes init container or Job: exit codes, and the reason that Kubernetes shows."""
import os
import signal

import proxyfault
from harness import TestCase, production
from test_limits import hold, service

# What the kubelet mounts there, without touching the machine's own /dev.
TERMINATION_LOG = """
mkdir '{dir}/dev'
mount -t tmpfs -o mode=755 none '{dir}/dev'
mkdir '{dir}/dev/shm'
mount --rbind /dev/shm '{dir}/dev/shm'
mknod -m 666 '{dir}/dev/null' c 1 3
: >'{dir}/dev/termination-log'
chmod 666 '{dir}/dev/termination-log'
mount --rbind '{dir}/dev' /dev
"""


class InitContainer(TestCase):
    def setUp(self):
        super().setUp()
        self.source, self.destination = self.dir_bucket(), self.dir_bucket()
        self.source.put("public/a", "a")
        self.env = production(self.source, self.destination)

    def codes(self, env, code, state="failed", **how):
        """The code of the table, or 0 if the failure is forgiven in so many words."""
        for args, expected in (((), code), (("--on-failure", "stop"), code), (("--on-failure", "start"), 0)):
            tool = self.tool(*args, env=env, **how)
            self.assertEqual((tool.code, tool.status["state"]), (expected, state), args)
            self.assertEqual("ending with 0" in tool.err, expected == 0)

    def test_2_some_objects_failed(self):
        if os.geteuid() != 0:
            self.skipTest("NOT TESTED: needs root to become somebody else")
        self.destination.root.chmod(0o777)
        self.source.put("public/hidden", "h").chmod(0)
        self.codes(self.env, 2, "partial", nobody=True)

    def test_69_bucket_is_missing(self):
        self.codes({**self.env, "STORSYNC_SOURCE_BUCKET": "file:///no/such/place"}, 69)

    def test_75_another_holds_the_lease(self):
        hold(self.destination, owner="replica-of-the-test")
        self.codes({**self.env, "STORSYNC_WAIT": "0"}, 75)

    def test_78_configuration(self):
        env = {**self.env, "STORSYNC_CONFIG": "/no/such/file"}
        self.codes(env, 78)
        self.assertEqual(self.tool(env={**env, "STORSYNC_ON_FAILURE": "start"}).code, 0)
        self.assertEqual(self.tool(env={**env, "STORSYNC_ON_FAILURE": "maybe"}).code, 78, "that says nothing")

    def test_who_asks_is_told(self):
        """A person or a Job wants to know, whatever the policy for starting applications."""
        env = {**self.env, "STORSYNC_SOURCE_BUCKET": "file:///no/such/place", "STORSYNC_ON_FAILURE": "start"}
        for mode in ("--sync", "--validate"):
            self.assertEqual(self.tool(mode, env=env).code, 69)

    def test_a_signal_is_not_forgiven(self):
        proxy = self.proxy()
        proxy.fault(proxyfault.stall())
        tool = self.start("--on-failure", "start", env=service(proxy.endpoint))
        tool.wait_for(lambda: proxy.requests)
        tool.kill(signal.SIGTERM)
        self.assertEqual(tool.wait().code, 128 + signal.SIGTERM)


class TerminationLog(TestCase):
    """/dev/termination-log: why the container ended, if it ended before there was an application."""

    def setUp(self):
        super().setUp()
        self.source, self.destination = self.dir_bucket(), self.dir_bucket()
        self.destination.root.chmod(0o777)
        self.source.put("public/a", "a")
        self.env = production(self.source, self.destination)
        self.space = self.mounts(TERMINATION_LOG.format(dir=self.dir))
        self.file = self.space.path("dev/termination-log")

    def reason(self, *args, code=0, more=()):
        tool = self.tool(*args, env=self.env, prefix=[*self.space.prefix, *more])
        self.assertEqual(tool.code, code)
        return self.file.read_text()

    def test_what_happened(self):
        self.assertEqual(self.reason(), "synced: Synced 1 object (1 B), 0 already up to date\n")
        self.assertEqual(self.reason(), "already-synced: Deployment d1 is already synced\n")
        self.assertEqual(self.reason("--validate"), "synced: Source and destination are equal: 1 object, 1 of them by size and time only\n")
        self.source.put("public/b", "b")
        self.assertRegex(self.reason("--validate", code=1), "^partial: .* differ: 1 missing")

    def test_failures_come_first_and_fit(self):
        """Kubernetes shows the last 4 KiB: more than that would cost the first line."""
        for number in range(15):
            self.source.put("public/" + "k" * 240 + str(number), "x").chmod(0)
        text = self.reason("--sync", code=2, more=("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"))
        self.assertRegex(text, r"^partial: Synced 1 object .*, 15 failed\npublic/k")
        self.assertRegex(text, r"and \d+ more: see the log\n$")
        self.assertLessEqual(len(text.encode()), 4096)

    def test_wrong_command_line_and_configuration(self):
        self.assertIn("--no-such-option", self.reason("--no-such-option", code=64))
        self.assertIn("/no/such/file", self.reason("--config", "/no/such/file", code=78))

    def test_the_application_has_reasons_of_its_own(self):
        """What it dies of later has nothing to do with the sync."""
        self.assertEqual(self.reason("--", "/bin/sh", "-c", "exit 3", code=3), "")
        self.assertRegex(self.reason("--", "/no/such/command", code=127), "/no/such/command")

    def test_dry_run_writes_nothing(self):
        self.assertEqual(self.reason("--dry-run"), "")
