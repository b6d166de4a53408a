"""examples/kubernetes, played by podman. The settings of the test go into ConfigMap and Secret, as a user's would.

podman 4.3 is no Kubernetes. What it cannot do is done, or undone, in `playable`; nothing else of a manifest is touched.
"""
import base64
import configparser
import io
import json
import threading

import yaml

import proxyfault
import rgw
from containers import ENGINE, Container, ContainerCase, app_image, example
from harness import RUN


def manifest(path):
    (document,) = yaml.safe_load_all(path.read_text())
    return document


DEPLOYMENT = manifest(example("kubernetes/deployment.yaml"))
SERVICE = manifest(example("kubernetes/service.yaml"))
CONFIG = manifest(example("kubernetes/configmap.yaml"))
SECRET = manifest(example("kubernetes/secret.yaml"))
JOB = manifest(example("kubernetes/validate-job.yaml"))
CRON_JOB = manifest(example("kubernetes/validate-cronjob.yaml"))


def playable(template, name, labels=(), port=None):
    """The Pod that a controller makes from a template; less what podman 4.3 does wrong."""
    template = json.loads(json.dumps(template))
    template["metadata"] = {**template.get("metadata", {}), "name": name}
    template["metadata"].setdefault("labels", {}).update(labels)
    spec = template["spec"]
    # It would start an init container again as often as it ends.
    spec["restartPolicy"] = "Never"
    for container in [*spec.get("initContainers", ()), *spec["containers"]]:
        for mount in container["volumeMounts"]:
            # It lets all pods have the same emptyDir, if that has the same name.
            mount["name"] = f"{name}-{mount['name']}"
    for volume in spec["volumes"]:
        volume["name"] = f"{name}-{volume['name']}"
    for container in spec["containers"]:
        # It takes a port that is only named for one to publish, which the host's network cannot.
        container.pop("ports", None)
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            container.pop(probe, None)
        if port:
            container["env"] = [*container.get("env", ()), {"name": "PORT", "value": str(port)}]
    return {"apiVersion": "v1", "kind": "Pod", **template}


class KubernetesCase(ContainerCase):
    def setUp(self):
        super().setUp()
        app_image()
        self.buckets()

    # --- what a user fills in ---

    def config(self, **more):
        """The ConfigMap with our buckets; `more` are settings of the whole run."""
        ini = configparser.ConfigParser(interpolation=None)
        # The file's own syntax: what stands before the first section belongs to the whole run.
        ini.read_string("[run]\n" + CONFIG["data"]["storsync.ini"])
        ini["run"].update(more)
        for side, bucket in (("source", self.source), ("destination", self.destination)):
            ini[side].update({"bucket": bucket.name, "endpoint": RUN.rgw().endpoint, "path_style": "yes"})
        text = io.StringIO()
        ini.write(text)
        return {**CONFIG, "data": {"storsync.ini": text.getvalue().replace("[run]\n", "", 1)}}

    def secret(self, secret_key=rgw.ALICE.secret_key):
        """`kubectl create secret`: podman 4.3 cannot read the manifest that it writes itself."""
        values = {"AWS_ACCESS_KEY_ID": rgw.ALICE.access_key, "AWS_SECRET_ACCESS_KEY": secret_key}
        self.assertEqual(SECRET["stringData"].keys(), values.keys())
        ENGINE("secret", "rm", SECRET["metadata"]["name"], check=False)
        path = self.dir / "secret.json"
        path.write_text(json.dumps({k: base64.b64encode(v.encode()).decode() for k, v in values.items()}))
        ENGINE("secret", "create", SECRET["metadata"]["name"], path)

    def play(self, pod, config, check=True):
        name = pod["metadata"]["name"]
        for path, document in ((f"{name}-config.yaml", config), (f"{name}.yaml", pod)):
            (self.dir / path).write_text(yaml.safe_dump(document))
        return ENGINE("kube", "play", "--network", "host", "--configmap", self.dir / f"{name}-config.yaml",
                      self.dir / f"{name}.yaml", check=check)

    def replica(self, name="my-app-1", generation="abc123", check=True, **settings):
        """One pod of the Deployment; `generation` is what the controller has hashed. The application's container."""
        port = rgw.free_ports(1)[0]
        pod = playable(DEPLOYMENT["spec"]["template"], name, {"pod-template-hash": generation}, port)
        self.played = self.play(pod, self.config(**settings), check)
        return Container(f"{name}-app", port)


class Deployment(KubernetesCase):
    def test_syncs_in_the_init_container(self):
        self.secret()
        app = self.replica()
        self.assertEqual(app.answers(), (200, "Hello from PID 1\n"))
        status, document = app.health()
        self.assertEqual((status, document["state"], document["syncedFiles"]), (200, "synced", 20))
        self.assertEqual((document["deploymentId"], document["deploymentSource"]), ("abc123", "STORSYNC_DEPLOYMENT_ID"))
        self.assertEqual(document["environmentSource"], "/etc/storsync/storsync.ini:1 environment=production")
        self.assertEqual(app.cmdline(), [b"node", b"server.js"])
        facts = app.inspect("{{.HostConfig.ReadonlyRootfs}} {{.Config.User}} {{.HostConfig.SecurityOpt}} "
                            "{{.EffectiveCaps}} {{.HostConfig.Memory}}")
        self.assertEqual(facts, f"true 10001:10001 [no-new-privileges] [] {256 << 20}")

    def test_a_pod_more_of_the_same_deployment(self):
        self.secret()
        self.replica()
        more = self.replica("my-app-2")
        self.assertEqual(more.health()[1]["state"], "already-synced")

    def failing(self, policy):
        self.secret(secret_key="wrong")
        return self.replica(check=False, on_failure=policy)

    def test_stop_leaves_the_application_unstarted(self):
        app = self.failing("stop")
        self.assertNotEqual(self.played.returncode, 0)
        self.assertIn("init container", self.played.stderr)
        init = Container("my-app-1-storsync")
        self.assertEqual(init.code, 77)
        last = json.loads(init.logs.strip().splitlines()[-1])
        self.assertEqual((last["event"], last["level"], last["state"]), ("sync-finished", "error", "failed"))
        self.assertRegex(last["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(app.inspect("{{.State.Status}}"), "created")
        self.assertIsNone(app.get())

    def test_start_starts_it_all_the_same(self):
        status, document = self.failing("start").health()
        self.assertEqual((status, document["state"]), (503, "failed"), "not ready, and the status says why")

    def test_three_replicas_at_once(self):
        """As many as the example has: one syncs, the others wait for it."""
        count = DEPLOYMENT["spec"]["replicas"]
        self.assertEqual(count, 3)
        self.secret()
        for number in range(20, 300):
            self.source.put(f"public/{number:04}", b"x" * 1000)
        self.play_one_volume_first()
        mark = RUN.rgw().mark()
        apps, threads = [], []
        for number in range(count):
            threads.append(threading.Thread(target=lambda n=number: apps.append(self.replica(f"my-app-{n}"))))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        self.assertEqual(len(apps), count)
        states = sorted(app.health()[1]["state"] for app in apps)
        self.assertEqual(states, ["already-synced", "already-synced", "synced"])
        copies = [r for r in RUN.rgw().requests_since(mark)
                  if r.method == "PUT" and r.path.startswith(f"/{self.destination.name}/public/")]
        self.assertEqual(len(copies), 300, "each object once")

    def play_one_volume_first(self):
        """podman makes a volume of the ConfigMap; three of it at once would be in each other's way."""
        pod = playable(JOB["spec"]["template"], "first")
        self.play(pod, self.config())
        Container("first-storsync").wait()

    def test_service_and_probes_lead_to_the_application(self):
        """What podman does not play, by hand."""
        template = DEPLOYMENT["spec"]["template"]
        (container,) = template["spec"]["containers"]
        self.assertLessEqual(SERVICE["spec"]["selector"].items(), template["metadata"]["labels"].items())
        self.assertEqual(DEPLOYMENT["spec"]["selector"]["matchLabels"], template["metadata"]["labels"])
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        self.assertIn(SERVICE["spec"]["ports"][0]["targetPort"], ports)
        self.secret()
        app = self.replica()
        app.answers()
        for name in ("startupProbe", "readinessProbe", "livenessProbe"):
            probe = container[name]["httpGet"]
            self.assertIn(probe["port"], ports)
            self.assertEqual(app.get(probe["path"])[0], 200, name)
        # Each test has a port of its own; the manifest names the application's.
        self.assertIn(f"process.env.PORT || {ports['http']}", example("node/server.js").read_text())


class ValidateJob(KubernetesCase):
    """Job and CronJob: exit codes, and what the Job's policy makes of each."""

    def run_job(self, template=JOB["spec"]["template"], secret_key=rgw.ALICE.secret_key, config=None):
        self.secret(secret_key)
        name = RUN.fresh("job")
        self.play(playable(template, name), config or self.config())
        container = Container(f"{name}-storsync")
        code, output = container.wait(), ENGINE("logs", container.name).stdout
        ENGINE("volume", "rm", "--force", "storsync")  # the next one may have another ConfigMap
        return code, output

    def given_up(self, job=JOB):
        (rule,) = job["spec"]["podFailurePolicy"]["rules"]
        self.assertEqual((rule["action"], rule["onExitCodes"]["operator"]), ("FailJob", "In"))
        (container,) = job["spec"]["template"]["spec"]["containers"]
        self.assertEqual(rule["onExitCodes"]["containerName"], container["name"])
        return rule["onExitCodes"]["values"]

    def test_differs_then_equal(self):
        code, output = self.run_job()
        self.assertEqual(code, 1)
        self.assertIn(code, self.given_up())
        document = json.loads(output)
        self.assertEqual((document["valid"], document["missingFiles"]), (False, 20))
        tool = self.start_tool("--sync", env=self.production())
        self.assertEqual(tool.wait(), 0)
        self.assertEqual(self.run_job()[0], 0)

    def test_nothing_that_another_try_would_change(self):
        code, _ = self.run_job(secret_key="wrong")
        self.assertEqual(code, 77)
        self.assertIn(code, self.given_up())
        broken = self.config()
        broken["data"]["storsync.ini"] = broken["data"]["storsync.ini"].replace("bucket = ", "bucket = ftp://", 1)
        code, _ = self.run_job(config=broken)
        self.assertEqual(code, 78)
        self.assertIn(code, self.given_up())

    def test_what_another_try_may_change(self):
        away = self.config(retries="0")
        away["data"]["storsync.ini"] = away["data"]["storsync.ini"].replace(
            RUN.rgw().endpoint, f"http://127.0.0.1:{proxyfault.closed_port()}")
        code, _ = self.run_job(config=away)
        self.assertEqual(code, 69)
        self.assertNotIn(code, self.given_up())
        self.assertNotIn(75, self.given_up())
        self.assertGreater(JOB["spec"]["backoffLimit"], 0)

    def test_cron_job(self):
        self.assertEqual(self.start_tool("--sync", env=self.production()).wait(), 0)
        template = CRON_JOB["spec"]["jobTemplate"]
        self.assertEqual(self.run_job(template["spec"]["template"])[0], 0)
        self.assertEqual(self.given_up(template), self.given_up(JOB))
        self.assertEqual(template["spec"]["template"], JOB["spec"]["template"])
