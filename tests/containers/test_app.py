"""The Node example: it becomes PID 1 after the sync, is stopped, restarted, looked after, and locked down."""
import json
import signal
import threading
import time

import data
import proxyfault
from containers import ENGINE, ContainerCase, app_image
from harness import RUN


class Life(ContainerCase):
    def test_syncs_and_becomes_pid_1(self):
        source, destination = self.buckets()
        app = self.start_app(env=self.production())
        self.assertEqual(app.answers(), (200, "Hello from PID 1\n"))
        self.assertEqual(app.health(), (200, {"state": "synced", "healthy": True}), "and nothing else: anybody may ask")
        self.assertEqual((app.status()["state"], app.status()["syncedFiles"]), ("synced", 20))
        self.assertEqual((app.cmdline(), app.own_pid()), ([b"node", b"server.js"], 1))
        self.assertEqual(data.compare_buckets(source, destination, ("public/",)), [])
        children = ENGINE("top", app.name, "pid", "args").stdout.splitlines()[1:]
        self.assertEqual(len(children), 1, f"nobody is left behind: {children}")

    def test_restart_of_the_same_deployment(self):
        self.buckets()
        app = self.start_app(env=self.production())
        app.answers()
        self.source.put("public/later", b"x")
        mark = RUN.rgw().mark()
        ENGINE("restart", "--time", "20", app.name)
        self.assertEqual(app.health()[1]["state"], "already-synced")
        self.assertEqual(len(RUN.rgw().requests_since(mark)), 1, "it costs one request")
        again = self.start_app(env=self.production("d2", STORSYNC_MIN_INTERVAL="0s"))
        self.assertEqual((again.health()[1]["state"], again.status()["syncedFiles"]), ("synced", 1))

    def test_stopped_while_the_application_runs(self):
        self.buckets()
        app = self.start_app(env=self.production())
        app.answers()
        ENGINE("stop", "--time", "60", app.name)
        self.assertEqual(app.code, 0, "the application ended itself; it was not killed")
        self.assertIn("SIGTERM: closing", app.logs)

    def test_stopped_during_the_sync(self):
        """PID 1 gets no default action for a signal: without a handler of its own this would take the whole minute."""
        self.buckets()
        proxy = self.proxy(RUN.rgw().endpoint)
        proxy.fault(proxyfault.stall(), method="PUT", target="public/")
        app = self.start_app(env=self.production(STORSYNC_DESTINATION_ENDPOINT=proxy.endpoint))
        self.wait_until(lambda: any("public/" in r.target for r in proxy.requests))
        ENGINE("stop", "--time", "60", app.name)
        self.assertEqual(app.code, 128 + signal.SIGTERM, "it was not killed")
        self.assertNotIn("listening", app.logs)
        self.assertEqual((self.destination.markers(), self.destination.unfinished_uploads()), ([], []))
        self.assertNotEqual(self.destination.lease()["state"], "held")

    def test_failure_policy(self):
        self.buckets()
        env = self.production(STORSYNC_SOURCE_BUCKET="no-such-bucket-here")
        stopped = self.start_app(env={**env, "STORSYNC_ON_FAILURE": "stop"})
        self.assertEqual(stopped.wait(), 69)
        self.assertNotIn("listening", stopped.logs)
        started = self.start_app(env=env)
        self.assertEqual(started.health(), (503, {"state": "failed", "healthy": False}))
        self.assertIn("no-such-bucket-here", started.status()["message"])


class Serve(ContainerCase):
    """The same application as a child of who stays. `podman stop` ends it in each phase, and nothing is killed."""

    def start_served(self, **env):
        entrypoint = ["storsync-init", "--serve", "--"]
        return self.start_app("node", "server.js", env=self.production(**env), flags=["--entrypoint", json.dumps(entrypoint)])

    def stop(self, app, code):
        ENGINE("stop", "--time", "60", app.name)
        self.assertEqual(app.code, code)

    def test_during_the_first_sync(self):
        self.buckets()
        proxy = self.proxy(RUN.rgw().endpoint)
        proxy.fault(proxyfault.stall(), method="PUT", target="public/")
        app = self.start_served(STORSYNC_DESTINATION_ENDPOINT=proxy.endpoint)
        self.wait_until(lambda: any("public/" in r.target for r in proxy.requests))
        self.stop(app, 128 + signal.SIGTERM)
        self.assertNotIn("listening", app.logs)

    def test_while_the_application_runs(self):
        self.buckets()
        app = self.start_served()
        app.answers()
        self.assertEqual(app.cmdline()[1:3], [b"--serve", b"--"])
        self.stop(app, 0)
        self.assertIn("SIGTERM: closing", app.logs)

    def test_while_a_sync_runs(self):
        self.buckets()
        proxy = self.proxy(RUN.rgw().endpoint)
        app = self.start_served(STORSYNC_DESTINATION_ENDPOINT=proxy.endpoint)
        app.answers()
        self.source.put("public/later", b"x")
        proxy.fault(proxyfault.stall(), method="PUT", target="public/later")
        ENGINE("kill", "--signal", "USR1", app.name)
        self.wait_until(lambda: any("public/later" in r.target for r in proxy.requests))
        self.stop(app, 0)
        self.assertIn("SIGTERM: closing", app.logs)
        self.assertIn("Sync Interrupted", app.logs)
        self.assertNotEqual(self.destination.lease()["state"], "held")


class Health(ContainerCase):
    """HEALTHCHECK of the example's Dockerfile. Here the tests are the timer."""

    def check(self, app):
        """(exit code of the check, state that the engine makes of it)"""
        code = ENGINE("healthcheck", "run", app.name, check=False).returncode
        return code, app.inspect("{{.State.Health.Status}}")

    def test_starting_then_healthy(self):
        self.buckets()
        proxy = self.proxy(RUN.rgw().endpoint)
        go_on = threading.Event()
        self.addCleanup(go_on.set)
        proxy.fault(lambda x: go_on.wait() and proxyfault.passthrough(x), method="PUT", target="public/")
        app = self.start_app(env=self.production(STORSYNC_DESTINATION_ENDPOINT=proxy.endpoint,
                                                 STORSYNC_STALL_TIMEOUT="5m"))
        self.wait_until(lambda: any("public/" in r.target for r in proxy.requests))
        self.assertEqual(self.check(app), (1, "starting"))
        go_on.set()
        app.answers()
        self.assertEqual(self.check(app), (0, "healthy"))

    def test_unhealthy_after_a_failed_sync(self):
        self.buckets()
        # podman takes the other settings only together with the command, which is to be the image's own.
        check = json.loads(ENGINE("inspect", "--format", "{{json .HealthCheck.Test}}", app_image()).stdout)
        self.assertEqual(check.pop(0), "CMD")
        app = self.start_app(env=self.production(STORSYNC_SOURCE_BUCKET="no-such-bucket-here"),
                             flags=["--health-cmd", json.dumps(check), "--health-start-period=1s",
                                    "--health-retries=1"])
        app.answers()
        time.sleep(1)  # until then a failure counts as starting
        self.assertEqual(self.check(app), (1, "unhealthy"))


class LockedDown(ContainerCase):
    """No right that is not needed: any user, nothing writable, no capability, little memory and few processes."""

    TIGHT = ["--read-only", "--cap-drop=all", "--security-opt=no-new-privileges"]

    def test_any_user_and_a_read_only_root(self):
        self.buckets()
        app = self.start_app(env=self.production(), flags=[*self.TIGHT, "--user=1234567:0", "--tmpfs=/tmp"])
        self.assertEqual(app.answers(), (200, "Hello from PID 1\n"))
        self.assertEqual((app.health()[0], app.health()[1]["state"]), (200, "synced"))

    def test_nothing_is_writable(self):
        self.buckets()
        app = self.start_app(env=self.production(), flags=[*self.TIGHT, "--user=4242:4242", "--read-only-tmpfs=false"])
        self.assertEqual(app.answers(), (200, "Hello from PID 1\n"))
        self.assertIn("warning: no status file", app.logs)
        self.assertEqual(len(self.destination.markers()), 1)

    def test_writes_the_status_file_and_nothing_else(self):
        self.buckets()
        app = self.start_app(env=self.production(), flags=["--user=0:0"])
        app.answers()
        changed = {line for line in ENGINE("diff", app.name).stdout.splitlines() if "/storsync" in line or
                   line.startswith("A ")}
        # The engine makes mount points for what it brings in.
        changed -= {line for line in changed if line.split()[1].startswith(("/etc", "/run", "/proc", "/sys", "/dev"))}
        self.assertEqual(changed, {"A /tmp/storsync-status.json"})

    def test_16_mib_and_32_processes(self):
        """A sync of 300 objects and 80 MiB that passes every byte through the container, as an init container does."""
        self.buckets(300)
        for number in range(4):
            self.source.put(f"private/{number}", data.body(f"large {number}", 20 * data.MIB))
        proxy = self.proxy(RUN.rgw().endpoint)  # another endpoint: nothing can be copied inside the service
        tool = self.start_tool(env=self.production(STORSYNC_DESTINATION_ENDPOINT=proxy.endpoint,
                                                   STORSYNC_PART_SIZE="5MiB", STORSYNC_TIMEOUT="2m"),
                               flags=[*self.TIGHT, "--memory=16m", "--memory-swap=16m", "--pids-limit=32"])
        self.assertEqual(tool.wait(150), 0)
        self.assertEqual(tool.inspect("{{.State.OOMKilled}} {{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}"),
                         f"false {16 * data.MIB} 32")
        self.assertEqual(data.compare_buckets(self.source, self.destination, ("public/", "private/")), [])
        self.assertIn("Synced: 304", tool.logs)


class FirstProcess(ContainerCase):
    """What docs/CONTAINERS.md says about PID 1 and its children."""

    ORPHAN = "(sleep 0.2 &) ; exec node server.js"

    def zombies(self, app):
        states = ENGINE("top", app.name, "state", "comm").stdout.splitlines()[1:]
        return [line for line in states if line.startswith("Z")]

    def test_an_application_that_reaps_nobody(self):
        self.buckets()
        app = self.start_app("sh", "-c", self.ORPHAN, env=self.production())
        self.assertEqual(app.answers(), (200, "Hello from PID 1\n"))
        self.wait_until(lambda: self.zombies(app))

    def test_the_engines_init_is_the_remedy(self):
        self.buckets()
        app = self.start_app("sh", "-c", self.ORPHAN, env=self.production(), flags=["--init"])
        status, text = app.answers()
        self.assertEqual(status, 200)
        self.assertNotIn("PID 1\n", text)
        self.wait_until(lambda: "sleep" not in ENGINE("top", app.name, "comm").stdout)
        self.assertEqual(self.zombies(app), [])
        ENGINE("stop", "--time", "60", app.name)
        self.assertEqual(app.code, 0)
        self.assertIn("SIGTERM: closing", app.logs)
