"""What the container tests share: buckets, the examples' images, and containers that answer over HTTP on loopback."""
import http.client
import json
import time
import urllib.error
import urllib.request
from pathlib import Path

import rgw
from engine import ENGINE
from harness import CHECKOUT, RUN, TestCase

APP_IMAGE = "my-app:1"
EXAMPLES = CHECKOUT / "examples"


def example(name):
    """A file of examples/. test_examples.py looks for these calls: a file that none of them names is not tested."""
    return EXAMPLES / name


def app_image():
    """The Node example, as its own Dockerfile builds it."""
    image = ENGINE.image(APP_IMAGE, example("node/Dockerfile").parent)
    ENGINE("tag", image, f"my-registry.example/{APP_IMAGE}")
    return image


class Container:
    """One that was started in the background."""

    def __init__(self, name, port=None):
        self.name, self.port = name, port

    def inspect(self, template):
        return ENGINE("inspect", "--type", "container", "--format", template, self.name).stdout.strip()

    running = property(lambda self: self.inspect("{{.State.Running}}") == "true")
    code = property(lambda self: int(self.inspect("{{.State.ExitCode}}")))
    pid = property(lambda self: int(self.inspect("{{.State.Pid}}")))

    @property
    def logs(self):
        done = ENGINE("logs", self.name, check=False)
        return done.stdout + done.stderr

    def wait(self, timeout=300):
        ENGINE("wait", self.name, timeout=timeout)
        return self.code

    def cmdline(self):
        return Path(f"/proc/{self.pid}/cmdline").read_bytes().split(b"\0")[:-1]

    def own_pid(self):
        """The number that the container's first process has inside."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("NSpid:")).split()[-1])

    def get(self, path="/"):
        """(status, text); None while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (OSError, http.client.HTTPException):
            return None

    def answers(self, path="/", timeout=300):
        end = time.monotonic() + timeout
        while (answer := self.get(path)) is None:
            if time.monotonic() > end or not self.running:
                raise AssertionError(f"{self.name} does not answer:\n{self.logs}")
            time.sleep(0.05)
        return answer

    def health(self):
        """(HTTP status, answer) of the example's /healthz."""
        status, text = self.answers("/healthz")
        return status, json.loads(text)

    def status(self):
        """The status document, as the tool in the container shows it once the application answers."""
        self.answers()
        return json.loads(ENGINE("exec", self.name, "storsync-init", "--status", "--json").stdout)


class ContainerCase(TestCase):
    """A test whose containers are gone at its end."""

    def setUp(self):
        super().setUp()
        self.containers = []
        self.addCleanup(self._remove)

    def _remove(self):
        ENGINE("pod", "rm", "--all", "--force", "--time", "0", check=False)
        ENGINE("rm", "--all", "--force", "--time", "0", "--volumes", check=False)
        ENGINE("volume", "rm", "--all", "--force", check=False)
        ENGINE("secret", "rm", "--all", check=False)

    def log(self):
        names = ENGINE("ps", "--all", "--format", "{{.Names}} {{.Status}}", check=False).stdout.splitlines()
        return super().log() + "".join(f"$ {name}\n{Container(name.split()[0]).logs}" for name in names)

    # --- buckets ---

    def buckets(self, objects=20, size=1000):
        """A source with objects in it and an empty destination, on one service."""
        self.source, self.destination = self.s3_bucket(), self.s3_bucket()
        for number in range(objects):
            self.source.put(f"public/{number:04}", bytes([number % 256]) * size)
        return self.source, self.destination

    def production(self, deployment="d1", **more):
        env = {**self.source.env("source"), **self.destination.env("destination"), "NODE_ENV": "production",
               "STORSYNC_DEPLOYMENT_ID": deployment, **more}
        return {name: value for name, value in env.items() if value is not None}

    # --- containers ---

    def start(self, image, *command, env=None, flags=(), port=None):
        name = RUN.fresh("container")
        settings = [word for key, value in (env or {}).items() for word in ("--env", f"{key}={value}")]
        ENGINE("run", "--detach", "--name", name, "--network", "host", *settings, *flags, image, *command)
        return Container(name, port)

    def start_app(self, *command, env=None, flags=()):
        """The Node example on a port of its own."""
        port = rgw.free_ports(1)[0]
        return self.start(app_image(), *command, env={"PORT": str(port), **(env or {})}, flags=flags, port=port)

    def start_tool(self, *args, env=None, flags=()):
        return self.start(ENGINE.tool_image(), *args, env=env, flags=flags)

    def wait_until(self, condition, timeout=300):
        end = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > end:
                raise AssertionError("waited in vain")
            time.sleep(0.05)
