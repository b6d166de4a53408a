"""examples/compose.yaml under podman-compose."""
import rgw
from containers import ENGINE, Container, ContainerCase, app_image, example
from engine import clean_environment, run
from harness import RUN

# Here the object store is on loopback, which only the host's network leads to.
OVERRIDE = """
services:
  app:
    network_mode: host
"""
# podman-compose 1.0 does not know that a container on the host's network is on no other.
SHIM = """\
#!/usr/bin/python3
import os, sys
words = sys.argv[1:]
if "--net" in words:
    at = words.index("--net")
    assert words[at + 2] == "--network-alias"
    del words[at:at + 4]
os.execv({podman!r}, [{podman!r}, *words])
"""


class Compose(ContainerCase):
    def setUp(self):
        super().setUp()
        app_image()
        self.buckets()
        (self.dir / "override.yaml").write_text(OVERRIDE)
        self.podman = self.dir / "podman"
        self.podman.write_text(SHIM.format(podman=ENGINE.wrapper))
        self.podman.chmod(0o755)

    def compose(self, *command, check=True):
        files = ["-f", example("compose.yaml"), "-f", self.dir / "override.yaml"]
        return run(["podman-compose", "--podman-path", self.podman, "-p", "suite", *files, *command], check,
                   120, env={**clean_environment(), **self.variables})

    def set_variables(self, deployment):
        self.variables = {"AWS_ACCESS_KEY_ID": rgw.ALICE.access_key, "AWS_SECRET_ACCESS_KEY": rgw.ALICE.secret_key,
                          "AWS_ENDPOINT_URL": RUN.rgw().endpoint, "PORT": str(rgw.free_ports(1)[0]),
                          "DEPLOYMENT_ID": deployment, "DEV_STORAGE_BUCKET": self.source.name,
                          "PROD_STORAGE_BUCKET": self.destination.name}

    def up(self, deployment):
        self.set_variables(deployment)
        self.compose("up", "--detach")
        names = ENGINE("ps", "--format", "{{.Names}}").stdout.split()
        self.assertEqual(len(names), 1)
        return Container(names[0], int(self.variables["PORT"]))

    def test_without_an_id_nothing_starts(self):
        self.set_variables("2026-11-22")
        self.variables.pop("DEPLOYMENT_ID")
        done = self.compose("up", "--detach", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("set DEPLOYMENT_ID", done.stdout + done.stderr)

    def test_up_and_down(self):
        app = self.up("2026-11-22")
        self.assertEqual(app.answers(), (200, "Hello from PID 1\n"))
        document = app.status()
        self.assertEqual((app.health()[0], document["state"], document["deploymentId"]), (200, "synced", "2026-11-22"))
        self.assertEqual((document["source"], document["syncedFiles"]), (self.source.name, 20))
        facts = app.inspect("{{.HostConfig.ReadonlyRootfs}} {{.EffectiveCaps}} {{.HostConfig.SecurityOpt}} "
                            "{{.Config.User}}")
        self.assertEqual(facts, "true [] [no-new-privileges] 1000:1000")
        self.compose("down")
        self.assertEqual(ENGINE("ps", "--all", "--quiet").stdout, "")
