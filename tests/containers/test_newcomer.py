"""docs/CONTAINERS.md, followed to the letter."""
import re

import rgw
from containers import ENGINE, ContainerCase
from engine import TOOL_IMAGE, clean_environment, run
from harness import CHECKOUT

# Somebody else's application, with nothing of ours in it.
SERVER = """\
require('node:http').createServer((_, answer) => answer.end(`mine, PID ${process.pid}`)).listen(process.env.PORT);
"""


def blocks(language, document="docs/CONTAINERS.md"):
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", (CHECKOUT / document).read_text())


class Newcomer(ContainerCase):
    def test_from_the_clone_to_an_image(self):
        first = blocks("sh")[0].splitlines()
        self.assertEqual([line.split()[:2] for line in first],
                         [["git", "clone"], ["cd", "storsync-init"], ["make", "image"]])
        clone = self.dir / "storsync-init"
        # What is committed is what others get.
        run(["git", "-c", "safe.directory=*", "clone", "--quiet", "--no-local", CHECKOUT, clone], True, 120)
        planned = run(["make", "--no-print-directory", "--dry-run", "image", "ENGINE=docker"], True, 60, cwd=clone,
                      env=clean_environment()).stdout
        self.assertRegex(planned, rf"^docker build -t {re.escape(TOOL_IMAGE)} ")

    def test_the_dockerfile(self):
        (dockerfile,) = blocks("dockerfile")
        self.assertLess(len(dockerfile.splitlines()), 10)
        self.assertIn(dockerfile, blocks("dockerfile", "README.md"), "both documents show the same")
        self.assertIn(f"--from={TOOL_IMAGE} ", dockerfile)
        (self.dir / "app").mkdir()
        (self.dir / "app" / "Dockerfile").write_text(dockerfile)
        (self.dir / "app" / "server.js").write_text(SERVER)
        image = ENGINE.image("my-own-app", self.dir / "app")
        self.buckets()
        self.assertIn("--entrypoint storsync-init my-app --sync --dry-run", (CHECKOUT / "README.md").read_text())
        look = self.start(image, "--sync", "--dry-run", env=self.production(), flags=["--entrypoint=storsync-init"])
        self.assertEqual(look.wait(), 0)
        self.assertIn("Would sync: 20", look.logs)
        self.assertEqual(self.destination.keys(), [])
        port = rgw.free_ports(1)[0]
        env = self.production("2026-11-22", PORT=str(port), NODE_ENV=None)  # the image says that it is production
        app = self.start(image, env=env, port=port)
        self.assertEqual(app.answers(), (200, "mine, PID 1"))
        self.assertEqual(self.destination.markers(), ["2026-11-22.json"])
        self.assertIn("NODE_ENV=production", app.logs)
