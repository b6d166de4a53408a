"""examples/kubernetes, played by podman. The settings of the test go into ConfigMap and Secret, as a user's would.

podman 4.3 is no Kubernetes. What it cannot do is done, or undone, in `playable`; nothing else of a manifest is touched.
"""
import base64
import configparser
import io
import json
import re
import shutil
import tempfile
import threading
import unittest

import yaml

import kubernetes_types
import proxyfault
import rgw
from containers import ENGINE, Container, ContainerCase, app_image, example
from engine import run
from harness import RUN


def manifest(path):
    (document,) = yaml.safe_load_all(path.read_text())
    return document


DEPLOYMENT = manifest(example("kubernetes/base/deployment.yaml"))
SERVICE = manifest(example("kubernetes/base/service.yaml"))
CONFIG = manifest(example("kubernetes/base/configmap.yaml"))
SECRET = manifest(example("kubernetes/secret.yaml"))
JOB = manifest(example("kubernetes/validate-job.yaml"))
CRON_JOB = manifest(example("kubernetes/validate-cronjob.yaml"))
PRESYNC = manifest(example("kubernetes/argocd-presync.yaml"))
HELM_HOOK = manifest(example("kubernetes/helm-hook.yaml"))
SHARDS = manifest(example("kubernetes/shards-job.yaml"))
SHARDS_HOOK = manifest(example("kubernetes/shards-helm-hook.yaml"))
R2_CONFIG = manifest(example("kubernetes/r2/configmap.yaml"))
R2_SECRET = manifest(example("kubernetes/r2/secret.yaml"))
ACCOUNT = manifest(example("kubernetes/irsa/serviceaccount.yaml"))
GKE_ACCOUNT = manifest(example("kubernetes/gke/serviceaccount.yaml"))
GKE_CONFIG = manifest(example("kubernetes/gke/configmap.yaml"))
POLICY = manifest(example("kubernetes/networkpolicy.yaml"))
KUSTOMIZATIONS = {path.parent.name: path for path in (
    example("kubernetes/base/kustomization.yaml"), example("kubernetes/irsa/kustomization.yaml"),
    example("kubernetes/r2/kustomization.yaml"), example("kubernetes/gke/kustomization.yaml"),
    example("kubernetes/sidecar/kustomization.yaml"))}


def settings_of(config):
    """A ConfigMap's INI file. What stands before the first section belongs to the whole run: here "run"."""
    ini = configparser.ConfigParser(interpolation=None)
    ini.read_string("[run]\n" + config["data"]["storsync.ini"])
    return ini


def seconds(duration):
    """Of "30s", "5m", "1h"."""
    return int(duration[:-1]) * {"s": 1, "m": 60, "h": 3600}[duration[-1]]


def playable(template, name, labels=(), port=None):
    """The Pod that a controller makes from a template; less what podman 4.3 does wrong."""
    template = json.loads(json.dumps(template))
    template["metadata"] = {**template.get("metadata", {}), "name": name}
    template["metadata"].setdefault("labels", {}).update(labels)
    spec = template["spec"]
    # It would start an init container again as often as it ends.
    spec["restartPolicy"] = "Never"
    for container in [*spec.get("initContainers", ()), *spec["containers"]]:
        for mount in container.get("volumeMounts", ()):
            # It lets all pods have the same emptyDir, if that has the same name.
            mount["name"] = f"{name}-{mount['name']}"
    for volume in spec.get("volumes", ()):
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
        ini = settings_of(CONFIG)
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
        document = app.status()
        self.assertEqual((app.health()[0], document["state"], document["syncedFiles"]), (200, "synced", 20))
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
        self.assertEqual((status, document["state"]), (503, "failed"), "not ready, and the state says why")

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
        _, rule = job["spec"]["podFailurePolicy"]["rules"]
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

    def test_jobs_before_a_rollout(self):
        """Argo CD's and Helm's: the same but for who starts them."""
        self.assertEqual(PRESYNC["spec"], HELM_HOOK["spec"])
        self.assertEqual(set(PRESYNC["metadata"]["annotations"].values()), {"PreSync", "BeforeHookCreation"})
        self.assertEqual(HELM_HOOK["metadata"]["annotations"]["helm.sh/hook"], "pre-install,pre-upgrade")
        template = json.loads(json.dumps(PRESYNC["spec"]["template"]))
        (container,) = template["spec"]["containers"]
        values = {"DEV_STORAGE_BUCKET": self.source.name, "PROD_STORAGE_BUCKET": self.destination.name}
        for variable in container["env"]:
            variable["value"] = values.pop(variable["name"], variable["value"])
        self.assertEqual(values, {}, "all of these are in the manifest")
        container["env"] += [{"name": "AWS_ENDPOINT_URL", "value": RUN.rgw().endpoint}]
        for synced in (20, 0):
            code, output = self.run_job(template)
            self.assertEqual(code, 0)
            self.assertEqual(json.loads(output[output.index("{\n"):])["syncedFiles"], synced)
        code, _ = self.run_job(template, secret_key="wrong")
        self.assertEqual(code, 77)
        self.assertIn(code, self.given_up(PRESYNC))

    def test_shards_before_a_rollout(self):
        """An Indexed Job's pods, as Kubernetes numbers them: each copies its share, and the last one writes the marker."""
        spec = SHARDS["spec"]
        count = spec["completions"]
        self.assertEqual((spec["completionMode"], spec["parallelism"]), ("Indexed", count))
        template = json.loads(json.dumps(spec["template"]))
        (container,) = template["spec"]["containers"]
        given = {variable["name"]: variable for variable in container["env"]}
        self.assertEqual(given["STORSYNC_SHARD"]["value"], f"/{count}")
        given["DEV_STORAGE_BUCKET"]["value"] = self.source.name
        given["PROD_STORAGE_BUCKET"]["value"] = self.destination.name
        container["env"] += [{"name": "AWS_ENDPOINT_URL", "value": RUN.rgw().endpoint}]
        index = {"name": "JOB_COMPLETION_INDEX"}
        container["env"].append(index)
        synced = 0
        for number in (*range(count), 0):
            index["value"] = str(number)
            self.assertEqual(self.destination.markers(), ["1.json"] if synced == 20 and number == 0 else [])
            code, output = self.run_job(template)
            self.assertEqual(code, 0)
            status = json.loads(output[output.index("{\n"):])
            self.assertEqual(status["shard"], f"{number}/{count}")
            synced += status["syncedFiles"]
        self.assertEqual((synced, status["state"]), (20, "already-synced"))
        index["value"] = str(count)
        code, _ = self.run_job(template)
        self.assertEqual(code, 78)
        self.assertIn(code, self.given_up(SHARDS))

    def test_shards_are_the_same_for_helm(self):
        hook = json.loads(json.dumps(SHARDS_HOOK["spec"]).replace("{{ .Release.Name }}-{{ .Release.Revision }}", "1"))
        self.assertEqual(hook, SHARDS["spec"])
        self.assertEqual(SHARDS_HOOK["metadata"]["annotations"], HELM_HOOK["metadata"]["annotations"])
        self.assertEqual(SHARDS["metadata"]["annotations"], PRESYNC["metadata"]["annotations"])

    def test_cron_job(self):
        self.assertEqual(self.start_tool("--sync", env=self.production()).wait(), 0)
        template = CRON_JOB["spec"]["jobTemplate"]
        self.assertEqual(self.run_job(template["spec"]["template"])[0], 0)
        self.assertEqual(self.given_up(template), self.given_up(JOB))
        self.assertEqual(template["spec"]["template"], JOB["spec"]["template"])


class Times(unittest.TestCase):
    """Limits that stand in different files, and have to fit together."""

    # What the examples allow for pulling an image, and the kubelet's first pause after an init container that failed.
    PULL, PAUSE = 60, 10
    # What a run takes beyond `timeout` at most.
    GRACE = 1

    def test_rollout(self):
        spec = DEPLOYMENT["spec"]
        (probe,) = (container["startupProbe"] for container in spec["template"]["spec"]["containers"])
        start = probe["periodSeconds"] * probe["failureThreshold"]
        for config in (CONFIG, R2_CONFIG):
            run = settings_of(config)["run"]
            ttl, wait, timeout = (seconds(run[name]) for name in ("lease_ttl", "wait", "timeout"))
            self.assertLess(2 * ttl, wait, "one that waits lives to see that the owner has died, and takes over")
            self.assertLess(wait, timeout, "else the limit ends the waiting, and not its own message")
            two = 2 * (timeout + self.GRACE) + self.PAUSE
            self.assertLessEqual(self.PULL + two + start, spec["progressDeadlineSeconds"])

    def test_jobs(self):
        for job in (JOB["spec"], CRON_JOB["spec"]["jobTemplate"]["spec"], PRESYNC["spec"], HELM_HOOK["spec"]):
            (container,) = job["template"]["spec"]["containers"]
            (timeout,) = (seconds(word.removeprefix("--timeout=")) for word in container["args"]
                          if word.startswith("--timeout="))
            pauses = sum(min(self.PAUSE * 2 ** number, 360) for number in range(job["backoffLimit"]))
            tries = (job["backoffLimit"] + 1) * (timeout + self.GRACE)
            self.assertLessEqual(self.PULL + tries + pauses, job["activeDeadlineSeconds"])
            ignored, _ = job["podFailurePolicy"]["rules"]
            self.assertEqual(ignored, {"action": "Ignore",
                                       "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]})

    def test_one_night(self):
        spec = CRON_JOB["spec"]
        self.assertRegex(spec["schedule"], r"^\d+ \d+ \* \* \*$")
        latest = spec["startingDeadlineSeconds"] + spec["jobTemplate"]["spec"]["activeDeadlineSeconds"]
        self.assertLess(latest, seconds("24h"))

    def test_helm_waits_for_long_enough(self):
        for name, hook in (("helm-hook", HELM_HOOK), ("shards-helm-hook", SHARDS_HOOK)):
            text = example(f"kubernetes/{name}.yaml").read_text()
            (limit,) = re.findall(r"--timeout (\d+m)$", text, re.M)
            self.assertGreater(seconds(limit), hook["spec"]["activeDeadlineSeconds"])


def merged(document, patch):
    """A strategic merge, of objects only."""
    new = dict(document)
    for name, value in patch.items():
        new[name] = merged(new[name], value) if isinstance(value, dict) and name in new else value
    return new


def change(document, operation):
    """One operation of a JSON patch (RFC 6902): "add" (to a list at its end) or "remove", without escapes."""
    *way, last = operation["path"].split("/")[1:]
    for step in way:
        document = document[int(step) if isinstance(document, list) else step]
    if operation["op"] == "add" and last == "-":
        document.append(operation["value"])
    elif operation["op"] == "add":
        document[last] = operation["value"]
    else:
        del document[last]


def kustomized(folder):
    """{kind: document} of a kustomization, by those of its rules that the examples use."""
    kustomization, documents = manifest(folder / "kustomization.yaml"), {}
    for resource in kustomization["resources"]:
        path = folder / resource
        found = kustomized(path) if path.is_dir() else {manifest(path)["kind"]: manifest(path)}
        documents.update(found)
    for patch in kustomization.get("patches", ()):
        if "path" in patch:
            other = manifest(folder / patch["path"])
            documents[other["kind"]] = merged(documents[other["kind"]], other)
        for operation in yaml.safe_load(patch.get("patch", "[]")):
            change(documents[patch["target"]["kind"]], operation)
    return documents


class Kustomizations(unittest.TestCase):
    def built(self, name):
        return kustomized(KUSTOMIZATIONS[name].parent)

    @unittest.skipUnless(shutil.which("kubectl"), "===> SKIPPED, NOT TESTED: no kubectl <===")
    def test_kubectl_agrees(self):
        for name, path in KUSTOMIZATIONS.items():
            text = run(["kubectl", "kustomize", path.parent], True, 60).stdout
            self.assertEqual({document["kind"]: document for document in yaml.safe_load_all(text)}, self.built(name))

    def test_resources(self):
        for name, path in KUSTOMIZATIONS.items():
            document = manifest(path)
            self.assertEqual((document["apiVersion"], document["kind"]),
                             ("kustomize.config.k8s.io/v1beta1", "Kustomization"))
            for resource in document["resources"]:
                self.assertTrue((path.parent / resource).exists(), f"{name}: {resource}")
                self.assertNotRegex(resource, "secret|job", name)

    def test_base(self):
        self.assertEqual(self.built("base"), {"ConfigMap": CONFIG, "Deployment": DEPLOYMENT, "Service": SERVICE})

    def test_irsa(self):
        pod = self.built("irsa")["Deployment"]["spec"]["template"]["spec"]
        self.assertEqual(pod["serviceAccountName"], ACCOUNT["metadata"]["name"])
        annotations = ACCOUNT["metadata"]["annotations"]
        self.assertRegex(annotations["eks.amazonaws.com/role-arn"], r"^arn:aws:iam::\d{12}:role/")
        (container,) = pod["initContainers"]
        self.assertNotIn("envFrom", container)

    def test_gke(self):
        built = self.built("gke")
        self.assertEqual((built["ConfigMap"], built["ServiceAccount"]), (GKE_CONFIG, GKE_ACCOUNT))
        pod = built["Deployment"]["spec"]["template"]["spec"]
        self.assertEqual(pod["serviceAccountName"], GKE_ACCOUNT["metadata"]["name"])
        self.assertRegex(GKE_ACCOUNT["metadata"]["annotations"]["iam.gke.io/gcp-service-account"],
                         r"^[a-z-]+@[a-z-]+\.iam\.gserviceaccount\.com$")
        (container,) = pod["initContainers"]
        self.assertNotIn("envFrom", container)
        with tempfile.NamedTemporaryFile("w", suffix=".ini") as file:
            file.write(GKE_CONFIG["data"]["storsync.ini"])
            file.flush()
            shown = run([RUN.binary, "--print-config", "--json", f"--config={file.name}"], True, 60, env={}).stdout
        self.assertEqual(json.loads(shown)["credentials"], dict.fromkeys(("source", "destination"),
                                                                         "Google's metadata server"))
        times = {name: settings_of(GKE_CONFIG)["run"][name] for name in ("lease_ttl", "wait", "timeout")}
        self.assertEqual(times, {name: settings_of(CONFIG)["run"][name] for name in times})

    def test_r2(self):
        self.assertEqual(self.built("r2"), {"ConfigMap": R2_CONFIG, "Deployment": DEPLOYMENT, "Service": SERVICE})
        self.assertEqual(R2_SECRET["metadata"], SECRET["metadata"])
        with tempfile.NamedTemporaryFile("w", suffix=".ini") as file:
            file.write(R2_CONFIG["data"]["storsync.ini"].replace("ACCOUNT_ID", "0123456789abcdef"))
            file.flush()
            shown = run([RUN.binary, "--print-config", f"--config={file.name}"], True, 60, env=R2_SECRET["stringData"])
        for side in ("source", "destination"):
            settings = shown.stdout.split(f"[{side}]\n")[1]
            self.assertRegex(settings, r"(?m)^access_key_id += \S+ +; environment R2_ACCESS_KEY_ID")

    def test_sidecar(self):
        """All else is the init container's, and the API knows it."""
        built = self.built("sidecar")["Deployment"]
        (container,) = built["spec"]["template"]["spec"]["initContainers"]
        self.assertEqual((container["restartPolicy"], container["args"]), ("Always", ["--serve"]))
        (port,) = container["ports"]
        self.assertIn({"name": "STORSYNC_ADMIN_LISTEN", "value": f":{port['containerPort']}"}, container["env"])
        for name in ("startupProbe", "readinessProbe", "livenessProbe"):
            self.assertEqual(container[name]["httpGet"], {"path": "/readyz", "port": port["name"]})
        patience = container["startupProbe"]["failureThreshold"] * container["startupProbe"]["periodSeconds"]
        self.assertGreater(patience, seconds(settings_of(CONFIG)["run"]["timeout"]))
        self.assertLess(patience, DEPLOYMENT["spec"]["progressDeadlineSeconds"])
        (init,) = DEPLOYMENT["spec"]["template"]["spec"]["initContainers"]
        self.assertLessEqual({name: value for name, value in init.items() if name not in ("env", "resources")}.items(),
                             container.items())
        try:
            types = kubernetes_types.Types(kubernetes_types.download())
        except kubernetes_types.NotThere as error:
            self.skipTest(f"===> SKIPPED, NOT TESTED: the sidecar against the Kubernetes API ({error}) <===")
        self.assertEqual(types.problems(built), [])

    def test_network_policy(self):
        self.assertEqual(POLICY["spec"]["podSelector"], DEPLOYMENT["spec"]["selector"])
        (container,) = DEPLOYMENT["spec"]["template"]["spec"]["containers"]
        (rule,) = POLICY["spec"]["ingress"]
        self.assertEqual([port["port"] for port in rule["ports"]], [port["name"] for port in container["ports"]])
        names, https = POLICY["spec"]["egress"]
        self.assertEqual({port["port"] for port in names["ports"]}, {53})
        self.assertEqual([port["port"] for port in https["ports"]], [443])
