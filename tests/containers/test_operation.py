"""The Node example with everything that stays: an administrator starts a sync over HTTP and watches it, a schedule runs, a webhook and a
mail arrive, Prometheus scrapes. Ended in each phase, and with a worker that is killed."""
import http.client
import json
import os
import shutil
import signal
import subprocess
import time
import unittest
import urllib.parse
from pathlib import Path

import proxyfault
import rgw
from containers import ENGINE, ContainerCase
from harness import RUN, children
from test_notify import Controller, Mailbox, Receiver

TOKEN = "correct horse battery staple"
PROMETHEUS = shutil.which("prometheus")


class Prometheus:
    """Debian's, which scrapes these ports."""

    def __init__(self, folder, *ports):
        folder.mkdir()
        targets = [f"127.0.0.1:{port}" for port in ports]
        config = {"global": {"scrape_interval": "1s"},
                  "scrape_configs": [{"job_name": "storsync", "static_configs": [{"targets": targets}]}]}
        (folder / "prometheus.yml").write_text(json.dumps(config))  # which is YAML, too
        [self.port] = rgw.free_ports(1)
        words = ["setpriv", "--pdeathsig", "KILL", PROMETHEUS, f"--config.file={folder}/prometheus.yml",
                 f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)

    def stop(self):
        self.process.kill()
        self.process.wait()

    def query(self, expression):
        """[(labels, value)]; None while it does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5 * RUN.slow)
        try:
            connection.request("GET", "/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
            answer = json.loads(connection.getresponse().read())
            return [(found["metric"], float(found["value"][1])) for found in answer["data"]["result"]]
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            return None
        finally:
            connection.close()

    def value(self, expression):
        found = self.query(expression)
        return found[0][1] if found else None


class OperationCase(ContainerCase):
    def serve(self, **env):
        """The application, and its endpoint at `self.admin`."""
        [self.admin] = rgw.free_ports(1)
        env = self.production(STORSYNC_ADMIN_LISTEN=f"127.0.0.1:{self.admin}", STORSYNC_ADMIN_TOKEN=TOKEN, **env)
        entrypoint = ["storsync-init", "--serve", "--"]
        flags = ["--entrypoint", json.dumps(entrypoint), f"--volume={RUN.ca_file}:/ca.pem:ro"]
        return self.start_app("node", "server.js", env=env, flags=flags)

    def ask(self, method, path, body=None):
        """(status, answer); None while nobody listens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=10 * RUN.slow)
        try:
            connection.request(method, path, body=body, headers={"Authorization": f"Bearer {TOKEN}"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except ConnectionError:
            return None
        finally:
            connection.close()

    def ready(self, app):
        self.wait_until(lambda: (self.ask("GET", "/readyz") or [0])[0] == 200)
        self.assertEqual(app.answers(), (200, f"Hello from PID {self.application(app)}\n"))

    def status(self):
        status, found = self.ask("GET", "/status")
        self.assertEqual(status, 200)
        return found

    def application(self, app):
        """Its number inside."""
        found = self.status()["application"]
        self.assertTrue(found["running"])
        return found["pid"]

    def start_sync(self):
        status, answer = self.ask("POST", "/sync")
        self.assertEqual(status, 202, answer)
        return answer["run"]["id"]

    def ended(self, number):
        """That run, once it is over."""
        self.wait_until(lambda: any(run["id"] == number for run in self.status()["runs"]))
        [run] = [run for run in self.status()["runs"] if run["id"] == number]
        return run

    def stalled(self, **env):
        """An application, and a sync that was asked for over HTTP and does not get on: application, run, and how it does."""
        self.buckets()
        proxy = self.proxy(RUN.rgw().endpoint)
        app = self.serve(STORSYNC_DESTINATION_ENDPOINT=proxy.endpoint, STORSYNC_STALL_TIMEOUT="5m", **env)
        self.ready(app)
        self.source.put("public/later", b"x" * 1000)
        release = proxyfault.stall()
        proxy.fault(release, method="PUT", target="public/later")
        number = self.start_sync()
        self.wait_until(lambda: any("public/later" in r.target for r in proxy.requests))
        return app, number

    def worker(self, app):
        """The process of the sync that is under way, seen from here."""
        [found] = [pid for pid in children(app.pid) if Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0] != b"node"]
        return found


class Day(OperationCase):
    @unittest.skipUnless(Controller and PROMETHEUS, "===> SKIPPED, NOT TESTED: no prometheus, or no python3-aiosmtpd <===")
    def test_a_day(self):
        """In the order in which it happens; the schedule is each minute's."""
        source, destination = self.buckets()
        proxy = self.proxy(RUN.rgw().endpoint)
        hook, mailbox = Receiver(), Mailbox()
        self.addCleanup(hook.stop)
        self.addCleanup(mailbox.stop)
        app = self.serve(STORSYNC_DESTINATION_ENDPOINT=proxy.endpoint, STORSYNC_STALL_TIMEOUT="5m",
                         STORSYNC_SCHEDULE="* * * * *", STORSYNC_NOTIFY_ON="always", STORSYNC_NOTIFY_URL=hook.url,
                         STORSYNC_NOTIFY_MAIL_TO="ops@example.com", STORSYNC_NOTIFY_MAIL_FROM="storsync@example.com",
                         STORSYNC_SMTP_URL=mailbox.url, STORSYNC_NOTIFY_CA_FILE="/ca.pem")
        self.ready(app)
        prometheus = Prometheus(self.dir / "prometheus", self.admin)
        self.addCleanup(prometheus.stop)

        # The deployment is told of.
        self.wait_until(lambda: len(hook.requests) > 0 and len(mailbox.mails) > 0)
        first = json.loads(hook.requests[0][2])
        self.assertEqual((first["run"]["mode"], first["run"]["state"], first["run"]["syncedFiles"]), ("deploy", "synced", 20))
        self.assertIn("synced", mailbox.message(0)["Subject"])
        self.wait_until(lambda: prometheus.value("up") == 1)
        self.wait_until(lambda: prometheus.value('storsync_objects_total{outcome="copied"}') == 20)
        self.assertEqual(prometheus.value("storsync_application_running"), 1)

        # A sync by hand: its progress, and its result. One that the schedule has begun is waited for.
        keys = [f"public/later{number}" for number in range(5)]
        held = [False]
        proxy.fault(lambda exchange: self.hold(held) and proxyfault.passthrough(exchange), method="PUT", target=keys[-1],
                    times=proxyfault.FOREVER)
        held[0] = True
        for key in keys:
            source.put(key, b"x" * 1000)
        self.wait_until(lambda: (self.ask("POST", "/sync") or [0])[0] == 202 or self.status()["run"])
        self.wait_until(lambda: (self.status()["run"] or {}).get("syncedFiles") == len(keys) - 1)
        run = self.status()["run"]
        self.assertEqual((run["state"], self.ask("POST", "/sync")[0]), ("running", 409))
        self.wait_until(lambda: prometheus.value("storsync_run_in_progress") == 1)
        self.assertEqual(app.answers()[0], 200, "it does not notice")
        held[0] = False
        ended = self.ended(run["id"])
        self.assertEqual((ended["state"], ended["syncedFiles"]), ("synced", len(keys)))
        self.assertEqual(destination.keys("public/"), source.keys("public/"))
        self.wait_until(lambda: any(self.told(request, "sync", len(keys)) for request in hook.requests))
        self.wait_until(lambda: prometheus.value('storsync_objects_total{outcome="copied"}') == 20 + len(keys))

        # The schedule.
        self.assertRegex(self.status()["schedules"]["sync"]["next"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:00\.000Z$")
        self.wait_until(lambda: any(run["by"] == "schedule" and run["state"] == "synced" for run in self.status()["runs"]))
        self.wait_until(lambda: len(mailbox.mails) >= 3)

        ENGINE("stop", "--time", "60", app.name)
        self.assertEqual(app.code, 0)
        self.assertIn("SIGTERM: closing", app.logs)
        self.wait_until(lambda: prometheus.value("up") == 0)

    @staticmethod
    def hold(held):
        while held[0]:
            time.sleep(0.02)
        return True

    @staticmethod
    def told(request, mode, files):
        run = json.loads(request[2])["run"]
        return (run["mode"], run["syncedFiles"]) == (mode, files)


class Ended(OperationCase):
    """`podman stop` in each phase: nothing is killed, and the endpoint is there until then."""

    def stop(self, app, code):
        ENGINE("stop", "--time", "60", app.name)
        self.assertEqual(app.code, code)

    def test_during_the_first_sync(self):
        self.buckets()
        proxy = self.proxy(RUN.rgw().endpoint)
        proxy.fault(proxyfault.stall(), method="PUT", target="public/")
        app = self.serve(STORSYNC_DESTINATION_ENDPOINT=proxy.endpoint, STORSYNC_STALL_TIMEOUT="5m")
        self.wait_until(lambda: any("public/" in r.target for r in proxy.requests))
        self.assertEqual([self.ask("GET", path)[0] for path in ("/healthz", "/readyz")], [503, 503])
        self.stop(app, 128 + signal.SIGTERM)
        self.assertNotIn("listening", app.logs)
        self.assertNotEqual(self.destination.lease()["state"], "held")

    def test_while_a_sync_runs(self):
        app, _ = self.stalled()
        self.stop(app, 0)
        self.assertIn("Sync Interrupted", app.logs)
        self.assertIn("SIGTERM: closing", app.logs)
        self.assertNotEqual(self.destination.lease()["state"], "held")

    def test_idle(self):
        self.buckets()
        app = self.serve()
        self.ready(app)
        self.ended(self.start_sync())
        self.stop(app, 0)
        self.assertIn("SIGTERM: closing", app.logs)


class Killed(OperationCase):
    def test_a_worker(self):
        """It says so; application and endpoint live, and the next sync mends it."""
        app, number = self.stalled()
        before = self.application(app)
        os.kill(self.worker(app), signal.SIGKILL)
        self.assertEqual(self.ended(number)["state"], "failed")
        self.assertRegex(self.status()["last"]["message"], r"killed \(signal 9\)")
        self.assertRegex(app.logs, r"error: .*killed \(signal 9\)")
        self.assertEqual((self.ask("GET", "/healthz")[0], self.ask("GET", "/readyz")[0]), (503, 200))
        self.assertEqual((self.application(app), app.answers()[0], app.running), (before, 200, True))
        self.assertEqual(self.ended(self.start_sync())["state"], "synced")
        self.assertEqual(self.ask("GET", "/healthz")[0], 200)
        self.assertIn("public/later", self.destination.keys("public/"))

    def test_called_off(self):
        app, number = self.stalled()
        self.assertEqual(self.ask("DELETE", "/run")[0], 202)
        self.assertEqual(self.ended(number)["state"], "interrupted")
        self.assertEqual(app.answers()[0], 200)
        self.assertNotEqual(self.destination.lease()["state"], "held")
