"""Every manifest of examples/kubernetes against the types of the Kubernetes API."""
import copy
import unittest

import kubernetes_types
import yaml
from containers import EXAMPLES


class Manifests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            cls.types = kubernetes_types.Types(kubernetes_types.download())
        except kubernetes_types.NotThere as error:
            raise unittest.SkipTest(f"===> SKIPPED, NOT TESTED: manifests against the Kubernetes API ({error}) <===")
        folder = EXAMPLES / "kubernetes"
        cls.manifests = {str(path.relative_to(folder)): yaml.safe_load(path.read_text())
                         for path in sorted(folder.rglob("*.yaml"))
                         if path.name != "kustomization.yaml" and "chart" not in path.parts}

    def test_types(self):
        self.assertGreater(len(self.manifests), 0)
        for name, manifest in self.manifests.items():
            with self.subTest(manifest=name):
                self.assertEqual(self.types.problems(manifest), [])

    def test_mistakes_are_found(self):
        """Were it blind, every manifest would do."""
        def spoilt(name, change):
            manifest = copy.deepcopy(self.manifests[name])
            pod = manifest["spec"]["template"]["spec"]
            change(manifest["spec"], pod, pod["containers"][0])
            return " ".join(self.types.problems(manifest))

        deployment, job = "base/deployment.yaml", "validate-job.yaml"
        for name, change, expected in [
                (deployment, lambda spec, pod, c: c.update(imagePullPolice="Always"), "[0].imagePullPolice: no such"),
                (deployment, lambda spec, pod, c: c.pop("name"), "containers[0].name: missing"),
                (deployment, lambda spec, pod, c: spec.pop("selector"), "Deployment.spec.selector: missing"),
                (deployment, lambda spec, pod, c: spec.update(replicas="3"), "spec.replicas: '3' is not a number"),
                (deployment, lambda spec, pod, c: c["env"].append({"name": "A", "value": True}), "value: True is"),
                (deployment, lambda spec, pod, c: c["resources"]["limits"].update(memory=1), "limits.memory: 1"),
                (deployment, lambda spec, pod, c: pod.update(containers={}), "containers: not a list"),
                (deployment, lambda spec, pod, c: c["livenessProbe"]["httpGet"].update(port=[]), "port: [] is not"),
                (job, lambda spec, pod, c: spec["podFailurePolicy"]["rules"][0].pop("action"), "action: missing"),
                (job, lambda spec, pod, c: spec.update(template=[]), "Job.spec.template: not an object"),
        ]:
            self.assertIn(expected, spoilt(name, change))
        self.assertEqual(self.types.problems({"apiVersion": "batch/v9", "kind": "Job"}), ["no such kind: batch/v9 Job"])
