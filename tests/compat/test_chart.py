"""examples/kubernetes/chart: what Helm makes of it, against the types of the Kubernetes API, the Prometheus operator's and
the profile "restricted" of the Pod Security Standards; and its settings with the binary."""
import configparser
import http.client
import json
import re
import shutil
import signal
import subprocess

import kubernetes_types
import yaml

from compat import HELM, NODE, CompatCase
from harness import CHECKOUT, RUN
from peers import PEERS

MODES = ("sidecar", "init", "service")


def example(name):
    """A file of examples/, as in containers/containers.py."""
    return CHECKOUT / "examples" / name


CHART = example("kubernetes/chart/Chart.yaml").parent
FILES = [example("kubernetes/chart/values.yaml"), example("kubernetes/chart/values.schema.json"),
         example("kubernetes/chart/templates/_helpers.tpl"), example("kubernetes/chart/templates/NOTES.txt"),
         example("kubernetes/chart/templates/configmap.yaml"), example("kubernetes/chart/templates/deployment.yaml"),
         example("kubernetes/chart/templates/networkpolicy.yaml"), example("kubernetes/chart/templates/service.yaml"),
         example("kubernetes/chart/templates/servicemonitor.yaml")]
# All that can be turned on.
FULL = {"admin": {"tokenSecret": "admin", "readinessPath": "/healthz"}, "serviceAccountName": "my-app",
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}, "replicas": 3,
        "networkPolicy": {"adminFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
                          "extraEgress": [{"ports": [{"port": 9000, "protocol": "TCP"}]}]},
        "app": {"env": {"A": "b c", "N": 1234567, "T": True}}}


class ChartCase(CompatCase):
    NEEDS = (HELM,)

    def helm(self, *words, **values):
        path = self.dir / "values.json"
        path.write_text(json.dumps(values))
        env = {"PATH": "/usr/bin:/bin", "HOME": str(self.dir)}
        return subprocess.run([PEERS.places[HELM] / "helm", *words, CHART, "--values", path], env=env, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60 * RUN.slow, check=False)

    def render(self, name="my-app", **values):
        """{kind, or kind and name if there are several: manifest}"""
        done = self.helm("template", name, "--kube-version", "1.30", **values)
        self.assertEqual(done.returncode, 0, done.stdout)
        found = {}
        for manifest in filter(None, yaml.safe_load_all(done.stdout)):
            kind, full = manifest["kind"], manifest["metadata"]["name"]
            found[kind if full == name else f"{kind} {full.removeprefix(name)}"] = manifest
        return found

    def pod(self, **values):
        return self.render(**values)["Deployment"]["spec"]["template"]

    def containers(self, **values):
        spec = self.pod(**values)["spec"]
        return {container["name"]: container for container in [*spec.get("initContainers", ()), *spec["containers"]]}

    def each(self):
        """Every mode, as it comes and with all that can be turned on."""
        for mode in MODES:
            for values in ({}, FULL):
                with self.subTest(mode=mode, full=bool(values)):
                    yield {"mode": mode, **values}


class Rendered(ChartCase):
    def test_lint(self):
        for values in self.each():
            done = self.helm("lint", "--strict", **values)
            self.assertEqual(done.returncode, 0, done.stdout)

    def test_types(self):
        try:
            types = kubernetes_types.Types(kubernetes_types.download())
        except kubernetes_types.NotThere as error:
            self.skipTest(f"===> SKIPPED, NOT TESTED: the chart against the Kubernetes API ({error}) <===")
        for values in self.each():
            manifests = self.render(**values)
            manifests.pop("ServiceMonitor", None)
            self.assertGreater(len(manifests), 3)
            for manifest in manifests.values():
                self.assertEqual(types.problems(manifest), [])

    def test_what_each_mode_has(self):
        common = {"ConfigMap", "Deployment", "NetworkPolicy"}
        endpoint = {"Service -admin", "ServiceMonitor"}
        for mode, kinds in (("sidecar", {"Service", *endpoint}), ("init", {"Service"}), ("service", endpoint)):
            self.assertEqual(set(self.render(mode=mode, **FULL)), common | kinds)
            self.assertNotIn("ServiceMonitor", self.render(mode=mode), "not every cluster has that kind")

    def test_long_names(self):
        name = "a" * 53
        for manifest in self.render(name, **FULL).values():
            self.assertLessEqual(len(manifest["metadata"]["name"]), 63)

    def test_what_is_refused(self):
        for values, said in [
                ({"mode": "daemon"}, "mode"), ({"replicaz": 3}, "replicaz"), ({"app": {"imagee": "x"}}, "imagee"),
                ({"settings": {"admin_token": "secret"}}, "admin_token"), ({"settings": {"status_file": "/x"}}, "status_file"),
                ({"settings": {"admin_listen": ":1"}}, "admin_listen"), ({"settings": {"Timeout": "5m"}}, "Timeout"),
                ({"settings": {"timeout": "1h30m"}}, "one number and a unit"), ({"settings": {"job": "a\nb=c"}}, "job"),
                ({"source": {"secret_access_key": "x"}}, "secret_access_key"), ({"source": {"bucket": ""}}, "bucket"),
                ({"admin": {"port": 0}}, "port"), ({"admin": {"readinessPath": "/"}}, "readinessPath"),
                ({"serviceMonitor": {"interval": "often"}}, "interval"), ({"networkPolicy": {"adminFrom": {}}}, "adminFrom"),
        ]:
            done = self.helm("template", "my-app", "--kube-version", "1.30", **values)
            self.assertNotEqual(done.returncode, 0, values)
            self.assertIn(said, done.stdout)


class Pods(ChartCase):
    def test_sidecar(self):
        """The application starts when the sidecar's startup probe is content."""
        spec = self.pod(mode="sidecar")["spec"]
        [storsync], [app] = spec["initContainers"], spec["containers"]
        self.assertEqual((storsync["restartPolicy"], storsync["args"], app["name"]), ("Always", ["--serve"], "app"))
        self.assertEqual(storsync["startupProbe"]["httpGet"]["path"], "/readyz")

    def test_init(self):
        """It ends, and has nobody who asks it anything."""
        [storsync] = self.pod(mode="init", **FULL)["spec"]["initContainers"]
        self.assertEqual({"restartPolicy", "args", "ports", "startupProbe", "readinessProbe"} & set(storsync), set())
        self.assertNotIn("STORSYNC_ADMIN", json.dumps(storsync))

    def test_service(self):
        spec = self.pod(mode="service")["spec"]
        [storsync] = spec["containers"]
        self.assertEqual((storsync["args"], "restartPolicy" in storsync, "initContainers" in spec), (["--serve"], False, False))

    def test_restricted(self):
        for values in self.each():
            spec = self.pod(**values)["spec"]
            self.assertEqual({"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & set(spec), set())
            self.assertIs(spec["securityContext"]["runAsNonRoot"], True)
            self.assertGreater(spec["securityContext"]["runAsUser"], 0)
            self.assertEqual(spec["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
            self.assertIs(spec["automountServiceAccountToken"], False)
            for volume in spec["volumes"]:
                self.assertLessEqual(volume.keys() - {"name"}, {"configMap", "emptyDir", "secret"})
            for container in self.containers(**values).values():
                self.assertEqual(container["securityContext"], {
                    "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}})
                self.assertFalse([port for port in container.get("ports", ()) if "hostPort" in port])
                self.assertIn("memory", container["resources"]["limits"])

    def test_probes(self):
        """Each asks a port that is there; no restart for a sync that failed."""
        for values in self.each():
            for name, container in self.containers(**values).items():
                ports = {port["name"] for port in container.get("ports", ())}
                for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                    if probe in container:
                        get = container[probe]["httpGet"]
                        self.assertIn(get["port"], ports)
                        self.assertFalse(probe != "readinessProbe" and get["path"] == "/healthz", name)
        self.assertEqual(self.containers()["storsync"]["readinessProbe"]["httpGet"]["path"], "/readyz")
        self.assertEqual(self.containers(**FULL)["storsync"]["readinessProbe"]["httpGet"]["path"], "/healthz")

    def test_times(self):
        """A first sync of `timeout` is no reason to kill the container, nor to give the rollout up."""
        for timeout, seconds in (("5m", 300), ("90s", 90), ("2h", 7200)):
            spec = self.render(settings={"timeout": timeout})["Deployment"]["spec"]
            [storsync] = spec["template"]["spec"]["initContainers"]
            probe = storsync["startupProbe"]
            patience = probe["failureThreshold"] * probe["periodSeconds"]
            self.assertGreater(patience, seconds)
            self.assertGreaterEqual(spec["progressDeadlineSeconds"], 2 * seconds + 300)

    def test_the_token(self):
        """A file out of the Secret, readable by the group of the pod."""
        for mode in ("sidecar", "service"):
            values = {"mode": mode, "admin": {"tokenSecret": "mine", "tokenKey": "key"}}
            spec, storsync = self.pod(**values)["spec"], self.containers(**values)["storsync"]
            [volume] = [volume["secret"] for volume in spec["volumes"] if volume["name"] == "token"]
            self.assertEqual(volume, {"secretName": "mine", "defaultMode": 0o440, "items": [{"key": "key", "path": "token"}]})
            [mount] = [mount for mount in storsync["volumeMounts"] if mount["name"] == "token"]
            env = {entry["name"]: entry.get("value") for entry in storsync["env"]}
            self.assertEqual(env["STORSYNC_ADMIN_TOKEN_FILE"], f"{mount['mountPath']}/token")
            self.assertNotIn("TOKEN", json.dumps(self.pod(mode=mode)))

    def test_the_environment_of_the_application(self):
        env = {entry["name"]: entry["value"] for entry in self.containers(**FULL)["app"]["env"]}
        self.assertEqual({name: env[name] for name in "ANT"}, {"A": "b c", "N": "1234567", "T": "true"})
        self.assertEqual(self.containers(credentialsSecret="mine")["storsync"]["envFrom"], [{"secretRef": {"name": "mine"}}])
        self.assertNotIn("envFrom", self.containers(credentialsSecret="")["storsync"])


class Connections(ChartCase):
    def test_selectors_and_ports(self):
        for values in self.each():
            manifests = self.render(**values)
            template = manifests["Deployment"]["spec"]["template"]
            labels = template["metadata"]["labels"].items()
            ports = {port["name"] for container in self.containers(**values).values() for port in container.get("ports", ())}
            self.assertLessEqual(manifests["Deployment"]["spec"]["selector"]["matchLabels"].items(), labels)
            services = [manifest for kind, manifest in manifests.items() if kind.startswith("Service ") or kind == "Service"]
            for service in services:
                self.assertLessEqual(service["spec"]["selector"].items(), labels)
                self.assertIn(service["spec"]["ports"][0]["targetPort"], ports)
            policy = manifests["NetworkPolicy"]["spec"]
            self.assertLessEqual(policy["podSelector"]["matchLabels"].items(), labels)
            named = [port["port"] for rule in policy.get("ingress", ()) for port in rule["ports"]]
            self.assertLessEqual({*named}, ports)
            if "ServiceMonitor" in manifests:
                spec = manifests["ServiceMonitor"]["spec"]
                wanted = spec["selector"]["matchLabels"].items()
                met = [service for service in services if wanted <= service["metadata"]["labels"].items()]
                self.assertEqual([service["spec"]["ports"][0]["name"] for service in met], [spec["endpoints"][0]["port"]])

    def test_nobody_asks_the_endpoint_unless_said_so(self):
        for mode in MODES:
            policy = self.render(mode=mode)["NetworkPolicy"]["spec"]
            self.assertEqual(policy["policyTypes"], ["Ingress", "Egress"])
            self.assertNotIn("admin", json.dumps(policy))
            allowed = self.render(mode=mode, **FULL)["NetworkPolicy"]["spec"].get("ingress", ())
            rules = [rule for rule in allowed if {"port": "admin", "protocol": "TCP"} in rule["ports"]]
            self.assertEqual([rule["from"] for rule in rules], [] if mode == "init" else [FULL["networkPolicy"]["adminFrom"]])

    def test_no_metadata_service(self):
        blocks = [to["ipBlock"] for rule in self.render()["NetworkPolicy"]["spec"]["egress"] for to in rule.get("to", ())]
        self.assertIn({"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}, blocks)


class Settings(ChartCase):
    def ini(self, **values):
        return self.render(**values)["ConfigMap"]["data"]["storsync.ini"]

    def test_the_binary_takes_them(self):
        """As they come, and with the buckets of a user's."""
        path = self.dir / "storsync.ini"
        for values in ({}, {"source": {"bucket": f"file://{self.dir}", "region": ""},
                            "destination": {"bucket": f"file://{self.dir}", "region": ""}}):
            path.write_text(self.ini(**values))
            env = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true"}
            self.succeed("--check-config", f"--config={path}", env=env)

    def test_values_as_they_are_written(self):
        text = self.ini(settings={"max_failures": 1000000, "dry_run": True, "exclude": "a b; c # d"},
                        source={"bucket": "other"})
        ini = configparser.ConfigParser(interpolation=None)
        ini.read_string(f"[run]\n{text}")
        self.assertEqual([ini["run"][name] for name in ("max_failures", "dry_run", "exclude", "environment")],
                         ["1000000", "true", "a b; c # d", "production"])
        self.assertEqual((ini["source"]["bucket"], ini["destination"]["bucket"]), ("other", "my-production-storage"))

    def test_other_settings_are_another_deployment(self):
        hashes = {self.pod(settings={"concurrency": number})["metadata"]["annotations"]["checksum/config"]
                  for number in (4, 8, 4)}
        self.assertEqual(len(hashes), 2)


class Served(ChartCase):
    """The sidecar's container, as the kubelet starts and asks it: what the manifest says, and the binary."""

    ADDRESS = "10.20.30.40"

    def setUp(self):
        super().setUp()
        self.source, self.destination = self.dir_bucket(), self.dir_bucket()
        self.source.put("public/a", "abc")
        self.space = self.network(f"{self.ADDRESS}/32")

    def serve(self, **values):
        """A tool in a network of the pod's, its port and its probes."""
        sides = {side: {"bucket": f"file://{bucket.root}", "region": ""}
                 for side, bucket in (("source", self.source), ("destination", self.destination))}
        manifests = self.render(**sides, **values)
        container = self.containers(**sides, **values)["storsync"]
        config = self.dir / "storsync.ini"
        config.write_text(manifests["ConfigMap"]["data"]["storsync.ini"])
        (self.dir / "token").write_text("secret\n")
        env = {entry["name"]: entry.get("value", "abc123") for entry in container["env"]}
        env = {**env, "STORSYNC_CONFIG": str(config), "STORSYNC_STATUS_FILE": str(self.status_file)}
        if "STORSYNC_ADMIN_TOKEN_FILE" in env:
            env["STORSYNC_ADMIN_TOKEN_FILE"] = str(self.dir / "token")
        tool = self.start(*container["args"], env=env, prefix=self.space.prefix)
        [port] = container["ports"]
        self.port = port["containerPort"]
        return tool, {name: container[name]["httpGet"]["path"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}

    def ask(self, path, method="GET", **headers):
        """(status, answer) at the pod's address; None while nobody listens."""
        def request():
            connection = http.client.HTTPConnection(self.ADDRESS, self.port, timeout=10 * RUN.slow)
            try:
                connection.request(method, path, headers=headers)
                answer = connection.getresponse()
                return answer.status, answer.read().decode()
            except ConnectionError:
                return None
            finally:
                connection.close()
        return self.space.inside(request)

    def test_probes(self):
        tool, probes = self.serve()
        tool.wait_for(lambda: (self.ask(probes["startupProbe"]) or [0])[0] == 200)
        self.assertEqual(self.destination.contents(), {"public/a": b"abc"}, "the application would start now")
        self.assertEqual({self.ask(path)[0] for path in probes.values()}, {200})
        self.assertEqual(self.ask("/metrics")[0], 200)
        self.assertEqual(self.ask("/sync", "POST", Authorization="Bearer secret")[0], 403, "no token: it only reads")
        tool.kill(signal.SIGTERM)
        self.assertEqual(tool.wait().code, 0)

    def test_with_a_token(self):
        tool, probes = self.serve(admin={"tokenSecret": "mine", "readinessPath": "/healthz", "port": 9999})
        tool.wait_for(lambda: (self.ask(probes["startupProbe"]) or [0])[0] == 200)
        self.assertEqual((self.port, self.ask(probes["readinessProbe"])[0]), (9999, 200))
        self.assertEqual(self.ask("/sync", "POST")[0], 401)
        self.assertEqual(self.ask("/sync", "POST", Authorization="Bearer secret")[0], 202)
        tool.kill(signal.SIGTERM)
        tool.wait()

    def test_a_first_sync_that_fails_keeps_the_application_from_starting(self):
        shutil.rmtree(self.source.root)
        tool, probes = self.serve()
        self.assertEqual(tool.wait().code, 69, "the kubelet starts it again")
        self.assertIsNone(self.ask(probes["startupProbe"]))

    def test_with_on_failure_start_it_stays(self):
        shutil.rmtree(self.source.root)
        tool, probes = self.serve(settings={"on_failure": "start"}, admin={"readinessPath": "/healthz"})
        tool.wait_for(lambda: (self.ask(probes["startupProbe"]) or [0])[0] == 200)
        self.assertEqual((self.ask(probes["readinessProbe"])[0], self.ask(probes["livenessProbe"])[0]), (503, 200))
        tool.kill(signal.SIGTERM)
        tool.wait()


class Monitor(ChartCase):
    NEEDS = (HELM, NODE)

    def test_types_of_the_prometheus_operator(self):
        """A literal of its type: the compiler refuses fields that there are not."""
        manifest = self.render(**FULL)["ServiceMonitor"]
        wrong = json.loads(json.dumps(manifest))
        wrong["spec"]["endpoints"][0]["intervall"] = "30s"
        (self.dir / "node_modules").symlink_to(PEERS.places[NODE] / "node_modules")
        (self.dir / "package.json").write_text('{"type": "module"}')
        (self.dir / "monitor.ts").write_text(f"""
            import type {{ IServiceMonitor }} from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor';
            export const right: IServiceMonitor = {json.dumps(manifest)};
            // @ts-expect-error: were it blind, anything would do
            export const wrong: IServiceMonitor = {json.dumps(wrong)};""")
        tsc = self.dir / "node_modules/typescript/bin/tsc"
        done = subprocess.run(["node", tsc, "--strict", "--noEmit", "--skipLibCheck", "--module", "nodenext", "monitor.ts"],
                              cwd=self.dir, capture_output=True, text=True, timeout=60 * RUN.slow, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        self.assertRegex(manifest["spec"]["endpoints"][0]["path"], "^/metrics$")
        self.assertEqual(manifest["metadata"]["labels"]["release"], "prometheus")


class Versions(ChartCase):
    NEEDS = ()

    def test_the_chart_is_of_this_version(self):
        version = re.search(r'STORSYNC_VERSION "(.*)"', (CHECKOUT / "include/version.h").read_text())[1]
        chart = yaml.safe_load(example("kubernetes/chart/Chart.yaml").read_text())
        values = yaml.safe_load(example("kubernetes/chart/values.yaml").read_text())
        self.assertEqual((chart["version"], chart["appVersion"]), (version, version))
        self.assertTrue(values["image"].endswith(f":{version}"))
