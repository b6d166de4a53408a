"""metrics_file: what node_exporter finds after each run; and examples/prometheus, judged by Prometheus' own promtool."""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
import unittest
import urllib.parse
import urllib.request
from pathlib import Path

from harness import CHECKOUT, RUN, TestCase, production, sides
from rgw import free_ports
from test_conflicts import QUIET

PROMTOOL = shutil.which("promtool")


def example(name):
    return CHECKOUT / "examples" / name


def promtool(*args, text=None):
    if not PROMTOOL:
        raise unittest.SkipTest(">>> SKIPPED, not tested here: promtool is not there (Debian package prometheus) <<<")
    return subprocess.run([PROMTOOL, *args], input=text, capture_output=True, text=True)


def parse(text):
    """{series: value}; a line that is neither that nor a comment is an error."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        match = re.fullmatch(r'(\w+(?:\{(?:\w+="(?:[^"\\]|\\.)*",?)*\})?) (\S+)', line)
        assert match, line
        assert match[1] not in found, line
        found[match[1]] = float(match[2])
    return found


class MetricsCase(TestCase):
    def setUp(self):
        super().setUp()
        self.source, self.destination = self.dir_bucket(), self.dir_bucket()
        self.source.put("public/a", b"x" * 1000, age=100)
        self.source.put("private/b", b"y" * 24, age=100)
        self.folder = self.dir / "collector"
        self.folder.mkdir(mode=0o777)
        self.file = self.folder / "storsync.prom"

    def env(self, **more):
        return production(self.source, self.destination, **{"STORSYNC_METRICS_FILE": str(self.file), **more})

    def metrics(self, name="storsync.prom"):
        text = (self.folder / name).read_text()
        if PROMTOOL:
            checked = promtool("check", "metrics", text=text)
            self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))
        return parse(text)


class File(MetricsCase):
    def test_after_a_deployment(self):
        before = time.time()
        self.succeed(env=self.env())
        found = self.metrics()
        run = '{sync="shop",mode="deploy"%s}'
        self.assertEqual(found["storsync_last_run_success" + run % ""], 1)
        self.assertEqual(found["storsync_last_run_state" + run % ',state="synced"'], 1)
        self.assertEqual(sum(v for k, v in found.items() if k.startswith("storsync_last_run_state")), 1)
        self.assertEqual(found["storsync_last_run_objects" + run % ',outcome="copied"'], 2)
        self.assertEqual(found["storsync_last_run_copied_bytes" + run % ""], 1024)
        for name in ("storsync_last_run_end_timestamp_seconds" + run % "",
                     'storsync_last_success_timestamp_seconds{sync="shop"}'):
            self.assertTrue(before - 1 <= found[name] <= time.time() + 1, name)
        self.assertEqual(os.stat(self.file).st_mode & 0o777, 0o644)
        self.assertEqual(os.listdir(self.folder), ["storsync.prom"], "nothing else is left in the collector's folder")

        self.succeed(env=self.env())
        again = self.metrics()
        self.assertEqual(again["storsync_last_run_state" + run % ',state="already-synced"'], 1)
        self.assertEqual(again["storsync_last_run_objects" + run % ',outcome="copied"'], 0)
        self.assertEqual(again['storsync_last_success_timestamp_seconds{sync="shop"}'],
                         found['storsync_last_success_timestamp_seconds{sync="shop"}'], "that of the run which synced")

    def test_after_a_failure(self):
        self.succeed("--sync", env=self.env())
        synced = self.metrics()['storsync_last_success_timestamp_seconds{sync="shop"}']
        shutil.rmtree(self.source.root)
        tool = self.tool("--sync", env=self.env())
        self.assertNotEqual(tool.code, 0)
        found = self.metrics()
        self.assertEqual(found['storsync_last_run_success{sync="shop",mode="sync"}'], 0)
        self.assertEqual(found['storsync_last_run_state{sync="shop",mode="sync",state="failed"}'], 1)
        self.assertEqual(found['storsync_last_run_exit_code{sync="shop",mode="sync"}'], tool.code)
        self.assertEqual(found['storsync_last_success_timestamp_seconds{sync="shop"}'], synced)

    def test_after_a_crash(self):
        """The worker is gone; the process that tells of it writes the figures as well."""
        if not RUN.test_binary:
            self.skipTest("no binary with places to crash at: STORSYNC_TEST_BIN")
        env = self.env(STORSYNC_CRASH_AT="synced", STORSYNC_CRASH_HOW=str(int(signal.SIGSEGV)))
        self.tool(env=env, binary=RUN.test_binary)
        self.assertEqual(self.metrics()['storsync_last_run_state{sync="shop",mode="deploy",state="failed"}'], 1)

    def test_conflicts(self):
        policies = {"keep": "kept", "overwrite": "overwritten"}
        buckets = {policy: self.dir_bucket() for policy in policies}
        for self.destination in buckets.values():
            self.succeed("--sync", env=self.env())
        time.sleep(QUIET)
        for self.destination in buckets.values():
            self.destination.put("public/a", b"production's own")
        time.sleep(1.1)  # as test_conflicts does
        self.source.put("public/a", b"z" * 999, age=-3600)
        for policy, self.destination in buckets.items():
            self.succeed("--sync", env=self.env(STORSYNC_CONFLICT=policy))
            found = self.metrics()
            for each, resolution in policies.items():
                self.assertEqual(found['storsync_last_run_conflicts{sync="shop",mode="sync",resolution="%s"}' % resolution],
                                 each == policy)
            self.assertEqual(found['storsync_last_run_objects{sync="shop",mode="sync",outcome="kept"}'], policy == "keep")

    def test_validation_beside(self):
        self.succeed("--sync", env=self.env())
        before = self.file.read_bytes()
        self.destination.remove("public/a")
        self.destination.put("public/extra", "e")
        self.tool("--validate", env=self.env())
        self.assertEqual(self.file.read_bytes(), before)
        found = self.metrics("storsync.validate.prom")
        self.assertEqual(found['storsync_last_run_success{sync="shop",mode="validate"}'], 0)
        self.assertEqual({k.split('"')[3]: v for k, v in found.items() if "validation" in k},
                         {"checked": 2, "missing": 1, "different": 0, "extra": 1, "unknown": 0})
        self.assertFalse(parse(before.decode()).keys() & found.keys(), "node_exporter takes no series twice")

    def test_dry_run_leaves_it(self):
        self.succeed("--sync", "--dry-run", env=self.env())
        self.assertEqual(os.listdir(self.folder), [])

    def test_development(self):
        self.succeed(env={**sides(self.source, self.destination), "STORSYNC_METRICS_FILE": str(self.file)})
        self.assertEqual(self.metrics()['storsync_last_run_state{mode="deploy",state="inactive"}'], 1)

    def test_that_cannot_be_written(self):
        for path, why in ((self.dir / "nowhere/storsync.prom", "No such file or directory"),
                          (Path("/dev/null"), "not a regular file")):
            app = self.app()
            tool = self.succeed("--", app.path, env=self.env(STORSYNC_METRICS_FILE=str(path)))
            self.assertTrue(app.started)
            self.assertEqual(len(tool.warnings), 1)
            self.assertIn(f"no metrics: cannot write the metrics file {path}", tool.warnings[0])
            self.assertIn(why, tool.warnings[0])

    def test_names_that_are_no_text(self):
        """Whatever is in a name, Prometheus reads the rest."""
        strange = self.dir / os.fsdecode(b'q"uo\\te\xff')
        strange.mkdir()
        env = self.env(STORSYNC_DEPLOYMENT_ID='v"1\\')
        env["STORSYNC_SOURCE_BUCKET"] = "file://" + os.fsdecode(b'%s/q"uo\\te\xff' % os.fsencode(self.dir))
        self.tool(env=env)
        (info,) = (k for k in self.metrics() if k.startswith("storsync_info"))
        self.assertIn(r'deployment_id="v\"1\\"', info)


class Scraped(MetricsCase):
    """The process that stays, read by Prometheus itself, with the configuration and the rules of examples/."""

    def prometheus(self, target):
        binary = shutil.which("prometheus")
        if not binary:
            self.skipTest(">>> SKIPPED, not tested here: prometheus is not there (Debian package prometheus) <<<")
        folder = self.dir / "prometheus"
        folder.mkdir()
        shutil.copy(example("prometheus/storsync.rules.yml"), folder)
        config = example("prometheus/prometheus.yml").read_text()
        self.assertIn("127.0.0.1:9187", config)
        config = config.replace("127.0.0.1:9187", target).replace("scrape_interval: 30s",
                                                                  "scrape_interval: 1s\n  evaluation_interval: 1s")
        (folder / "prometheus.yml").write_text(config)
        self.api = f"http://127.0.0.1:{free_ports(1)[0]}"
        process = subprocess.Popen([binary, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                                    f"--web.listen-address={self.api.removeprefix('http://')}", "--log.level=warn"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)

    def ask(self, path):
        with contextlib.suppress(OSError):  # it is not there yet
            with urllib.request.urlopen(self.api + path, timeout=10) as answer:
                return json.load(answer)["data"]
        return None

    def value(self, expression):
        found = self.ask("/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
        return float(found["result"][0]["value"][1]) if found and found["result"] else None

    def test_by_prometheus(self):
        (port,) = free_ports(1)
        tool = self.start("--serve", env=self.env(STORSYNC_ADMIN_LISTEN=f"127.0.0.1:{port}", STORSYNC_SCHEDULE="@yearly"))
        tool.wait_for(lambda: "staying until told to end" in tool.err)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10 * RUN.slow) as answer:
            self.assertEqual(answer.headers["Content-Type"], "text/plain; version=0.0.4")
            text = answer.read().decode()
        found = parse(text)
        if PROMTOOL:
            checked = promtool("check", "metrics", text=text)
            self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))
        self.assertEqual(found['storsync_runs_total{mode="deploy",result="success"}'], 1)
        self.assertEqual(found["storsync_copied_bytes_total"], 1024)
        self.assertEqual(found["storsync_run_in_progress"], 0)
        self.assertGreater(found['storsync_next_run_timestamp_seconds{mode="sync"}'], time.time())

        self.prometheus(f"127.0.0.1:{port}")
        tool.wait_for(lambda: self.value('storsync_runs_total{mode="deploy",result="success"}') == 1, timeout=30)
        rules = [rule["name"] for group in self.ask("/api/v1/rules")["groups"] for rule in group["rules"]]
        self.assertIn("StorsyncRunFailed", rules)
        self.assertIsNone(self.value("ALERTS"))
        shutil.rmtree(self.source.root)
        tool.kill(signal.SIGUSR1)
        tool.wait_for(lambda: self.value('storsync_runs_total{mode="sync",result="failed"}') == 1, timeout=30)
        tool.wait_for(lambda: self.value('ALERTS{alertname="StorsyncRunFailed",mode="sync"}') == 1, timeout=30)
        tool.kill(signal.SIGTERM)
        self.assertEqual(tool.wait(timeout=60).code, 0)


class Examples(unittest.TestCase):
    """examples/prometheus: rules, their tests, the configuration and the dashboard."""

    def assertGood(self, done):
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def known(self):
        """Every series there is, by the source."""
        text = (CHECKOUT / "src/report/metrics.c").read_text()
        return set(re.findall(r'"(storsync_\w+)"', text)) | {"up"}

    def expressions(self):
        dashboard = json.loads(example("prometheus/grafana-dashboard.json").read_text())
        return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]

    def test_rules(self):
        rules = example("prometheus/storsync.rules.yml")
        self.assertGood(promtool("check", "rules", str(rules)))
        self.assertGood(promtool("check", "config", str(example("prometheus/prometheus.yml"))))
        self.assertGood(promtool("test", "rules", str(example("prometheus/storsync.test.yml"))))
        text = rules.read_text()
        for name in re.findall(r"alert: (\w+)", text):
            self.assertIn(f"alertname: {name}\n", example("prometheus/storsync.test.yml").read_text())

    def test_every_series_is_one_of_ours(self):
        rules = re.findall(r"expr: (.*)", example("prometheus/storsync.rules.yml").read_text())
        self.assertGreater(len(rules), 5)
        for expression in (*rules, *self.expressions()):
            with self.subTest(expression):
                named = set(re.findall(r"\bstorsync_\w+", expression))
                self.assertTrue(named or "up{" in expression)
                self.assertLessEqual(named, self.known())

    def test_dashboard(self):
        """As Grafana's schema of version 39 and later has it: what each panel needs, and no two in one place."""
        dashboard = json.loads(example("prometheus/grafana-dashboard.json").read_text())
        self.assertGreaterEqual(dashboard["schemaVersion"], 39)
        self.assertEqual([v["name"] for v in dashboard["templating"]["list"]], ["datasource", "job", "instance"])
        taken, ids = set(), set()
        for panel in dashboard["panels"]:
            with self.subTest(panel["title"]):
                self.assertIn(panel["type"], {"stat", "timeseries", "state-timeline", "table"})
                self.assertNotIn(panel["id"], ids)
                ids.add(panel["id"])
                self.assertEqual(panel["datasource"], {"type": "prometheus", "uid": "${datasource}"})
                place = panel["gridPos"]
                self.assertLessEqual(place["x"] + place["w"], 24)
                cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                         for y in range(place["y"], place["y"] + place["h"])}
                self.assertFalse(cells & taken)
                taken |= cells
                self.assertEqual(len({t["refId"] for t in panel["targets"]}), len(panel["targets"]))

    def test_dashboard_expressions(self):
        """Each one is PromQL: as a rule, promtool takes it."""
        with Folder() as folder:
            rules = folder / "dashboard.yml"
            plain = [re.sub(r"\$__rate_interval", "5m", e).replace("$job", ".*").replace("$instance", ".*")
                     for e in self.expressions()]
            self.assertGreater(len(plain), 10)
            rules.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": [
                {"record": f"panel:{i}", "expr": e} for i, e in enumerate(plain)]}]}))
            self.assertGood(promtool("check", "rules", str(rules)))


class Folder:
    def __enter__(self):
        self.path = RUN.tmp / RUN.fresh("promtool")
        self.path.mkdir()
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)
