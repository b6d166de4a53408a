"""An app at Replit: its environment, its sidecar, and Google Cloud Storage at its own name.

Nothing is set besides what Replit sets and what the configuration below says.
"""
import json
import os
import socket
import subprocess
import tomllib

import data
import proxyfault
import sidecar
from gcs import error_body
from googlecase import GoogleCase
from harness import CHECKOUT, RUN

WORKSPACE = {"REPL_ID": "3f1c6a52-0000-4000-8000-123456789abc", "REPL_OWNER": "somebody", "REPL_SLUG": "shop",
             "REPLIT_DOMAINS": "shop--somebody.replit.app"}
DEPLOYMENT = {"REPL_ID": WORKSPACE["REPL_ID"], "REPLIT_DEPLOYMENT": "1", "HOME": "/home/runner"}

# The configuration of those who asked for this, as they wrote it; the defaults of the first two are the same.
PATHS = {"PUBLIC_OBJECT_SEARCH_PATHS": "/bucket-name/public", "PRIVATE_OBJECT_DIR": "/bucket-name/private"}
CONFIGURED = {"DEV_STORAGE_BUCKET": "dedw3n-dev-storage", "PROD_STORAGE_BUCKET": "dedw3n-production-storage", **PATHS}

DEV, PROD = (f"replit-objstore-{n}b6d4b3e-0000-4000-8000-123456789abc" for n in (1, 2))
POLICY = {"custom:aclPolicy": '{"owner":"41","visibility":"public"}'}


def example(name):
    """tests/containers looks for these calls as well."""
    return CHECKOUT / "examples" / name


class ReplitCase(GoogleCase):
    def start_sidecar(self):
        self.sidecar = sidecar.Sidecar(self.space.listen("127.0.0.1", sidecar.PORT), self.google).start()
        self.addCleanup(self.sidecar.stop)

    def fill(self, name, count=12):
        bucket = self.google.bucket(name)
        for number in range(count):
            for prefix in ("public/", "private/", ".private/uploads/"):
                bucket.put(f"{prefix}{number} ä.png", data.body(number, 1000 * number), age=50, metadata=POLICY)
        return bucket

    def deploy(self, env, **how):
        """The application has to start, whatever becomes of the sync."""
        app = self.app(code=7)
        tool = self.run_tool("--", app.path, env=env, **how)
        self.assertEqual((tool.code, app.started), (7, True))
        return tool

    def assert_copied(self, source, destination, *prefixes):
        wanted = {key: value for key, value in source.everything().items() if key.startswith(prefixes)}
        self.assertEqual(destination.everything(), wanted)


class Seed(ReplitCase):
    def setUp(self):
        super().setUp()
        self.start_sidecar()
        self.source = self.fill("dedw3n-dev-storage")
        self.destination = self.google.bucket("dedw3n-production-storage")

    def test_deployments(self):
        for env in ({**DEPLOYMENT, **CONFIGURED}, {**WORKSPACE, **PATHS, "REPL_DEPLOYMENT": "true"}):
            with self.subTest(env=env):
                self.destination.objects.clear()
                tool = self.deploy(env)
                self.assertEqual((tool.status["state"], tool.status["environment"], tool.status["syncedFiles"]),
                                 ("synced", "production", 24))
                self.assert_copied(self.source, self.destination, "public/", "private/")
                self.assertIn("; on Replit set STORSYNC_DEPLOYMENT_ID", tool.err)
                self.google.requests.clear()
                self.assertEqual(self.deploy(env).status["state"], "too-soon")
                self.assertLess(len(self.google.requests), 3)

    def test_a_deployment_with_an_id(self):
        """That of the workspace's domain says nothing."""
        env = {**DEPLOYMENT, **CONFIGURED, "REPLIT_DEPLOYMENT_ID": "d-1", "REPLIT_DEV_DOMAIN": "shop.replit.dev"}
        self.assertEqual(self.deploy(env).status["state"], "synced")
        self.google.requests.clear()
        self.assertEqual(self.deploy(env).status["state"], "already-synced")
        self.assertEqual(len(self.google.requests), 1)

    def test_development(self):
        tool = self.deploy({**WORKSPACE, **CONFIGURED})
        self.assertEqual((tool.status["state"], tool.status["environment"]), ("inactive", "development"))
        self.assertEqual((self.sidecar.requests, self.front.requests), ([], []))
        tool = self.run_tool("--sync", env={**WORKSPACE, **CONFIGURED, "REPLIT_DEV_DOMAIN": "shop.replit.dev"})
        self.assertEqual((tool.code, tool.status["syncedFiles"]), (0, 24))
        self.assert_copied(self.source, self.destination, "public/", "private/")
        self.assertEqual(self.run_tool("--validate", env={**WORKSPACE, **CONFIGURED}).code, 0)

    def test_a_token_ends_in_the_middle(self):
        """It is renewed once by each side that meets that, and the run goes on."""
        def revoke(x):
            self.sidecar.revoke()
            proxyfault.passthrough(x)

        self.front.fault(revoke, method="POST", target="rewriteTo", skip=5)
        tool = self.deploy({**DEPLOYMENT, **CONFIGURED})
        self.assertEqual((tool.status["state"], tool.status["failedFiles"]), ("synced", 0))
        self.assert_copied(self.source, self.destination, "public/", "private/")
        self.assertIn(401, [r.status for r in self.google.requests])
        self.assertIn(self.sidecar.asked("/token"), (3, 4))

    def test_no_token_is_taken(self):
        """Not a second time for the same refusal: a sidecar is not asked without end."""
        self.front.fault(proxyfault.answer(401, error_body(401, "authError")), times=proxyfault.FOREVER)
        tool = self.deploy({**DEPLOYMENT, **CONFIGURED})
        self.assertEqual(tool.status["state"], "failed")
        self.assertIn("the service does not accept the credentials", tool.err)
        self.assertLess(self.sidecar.asked("/token"), 5)


class Buckets(ReplitCase):
    """What PUBLIC_OBJECT_SEARCH_PATHS and the like hold in apps that people have made."""

    LISTS = ("/{0}/public", "{0}/public", "/{0}/public,/{0}/public", " /{0}/public , /{0}/public/ ", "['/{0}/public']",
             '["/{0}/public", "/{0}/public"]', "'/{0}/public'")

    def test_one(self):
        """The friendly normal case: nothing to do, and nobody is asked anything."""
        for paths in self.LISTS:
            for more in ({}, {"DEFAULT_OBJECT_STORAGE_BUCKET_ID": DEV}, {"DEV_STORAGE_BUCKET": DEV}):
                env = {**DEPLOYMENT, "PUBLIC_OBJECT_SEARCH_PATHS": paths.format(DEV),
                       "PRIVATE_OBJECT_DIR": f"/{DEV}/.private", **more}
                with self.subTest(env=env):
                    tool = self.deploy(env)
                    self.assertEqual((tool.status["state"], tool.warnings), ("nothing-to-do", []))
                    self.assertIn("share one bucket, as is usual at Replit", tool.status["message"])
                    self.assertNotIn("without a deployment id", tool.err, "what nobody needs here")
        told = self.tool("--status", env={"STORSYNC_STATUS_FILE": str(self.status_file)})
        self.assertEqual(told.code, 0)
        self.assertIn("share one bucket", told.out)
        self.assertEqual(self.run_tool("--sync", env=env).code, 0)
        self.assertEqual(self.front.requests, [])

    def test_two(self):
        self.start_sidecar()
        source, destination = self.fill(DEV, 2), self.google.bucket(PROD)
        for number, paths in enumerate(self.LISTS):
            buckets = {"DEV_STORAGE_BUCKET": DEV} if number % 2 else {}  # the other one is the app's own as well
            destination.objects.clear()
            tool = self.deploy({**DEPLOYMENT, **buckets, "PROD_STORAGE_BUCKET": PROD, "PRIVATE_OBJECT_DIR":
                                f"/{DEV}/.private", "PUBLIC_OBJECT_SEARCH_PATHS": paths.format(DEV)})
            self.assertEqual((tool.status["state"], tool.warnings), ("synced", []), paths)
            self.assert_copied(source, destination, "public/", ".private/")

    def test_one_that_is_not_attached(self):
        self.start_sidecar()
        self.fill(DEV)
        self.google.bucket(PROD).denied.update(("storage.objects.list", "storage.objects.get",
                                                "storage.objects.create"))
        tool = self.deploy({**DEPLOYMENT, "DEV_STORAGE_BUCKET": DEV, "PROD_STORAGE_BUCKET": PROD,
                            "PUBLIC_OBJECT_SEARCH_PATHS": f"/{DEV}/public"})
        self.assertEqual(tool.status["state"], "failed")
        self.assertIn("access denied: the credentials need storage.objects.", tool.err)
        self.assertIn(self.HINT, tool.err)

    HINT = "; at Replit set its id (replit-objstore-...), and attach it to this app"

    def test_a_name_instead_of_an_id(self):
        self.start_sidecar()
        tool = self.deploy({**DEPLOYMENT, **CONFIGURED})
        self.assertEqual(tool.status["state"], "failed")
        self.assertIn(f"create it, or check its name{self.HINT}", tool.err)

    def test_whose_a_plain_name_is(self):
        for env, source in (({}, "Replit's sidecar"),
                            ({"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s"}, "access_key_id"),
                            ({"AWS_ENDPOINT_URL": "https://s3.example"}, "no credentials: set AWS_ACCESS_KEY_ID"),
                            ({"DEV_STORAGE_BUCKET": "s3://dev"}, "no credentials: set AWS_ACCESS_KEY_ID")):
            config = self.tool("--print-config", "--json", env={**WORKSPACE, **CONFIGURED, **env}).json
            self.assertIn(source, config["credentials"]["source"], env)
            self.assertEqual(config["region"]["source"], "us-east-1" if env else "none needed")


class TheSidecar(ReplitCase):
    def setUp(self):
        super().setUp()
        self.source, self.destination = self.fill(DEV, 1), self.google.bucket(PROD)
        self.env = {**DEPLOYMENT, "DEV_STORAGE_BUCKET": DEV, "PROD_STORAGE_BUCKET": PROD,
                    "PUBLIC_OBJECT_SEARCH_PATHS": f"/{DEV}/public"}

    def test_it_is_late(self):
        """Nobody listens there when the tool first asks."""
        sock = self.space.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        sock.bind(("127.0.0.1", sidecar.PORT))
        app = self.app()
        tool = self.start("--", app.path, env={**self.env, "STORSYNC_LOG_LEVEL": "debug"}, prefix=self.space.prefix)
        tool.wait_for(lambda: "127.0.0.1:1106/credential again in" in tool.err)
        sock.listen()
        self.addCleanup(sidecar.Sidecar(sock, self.google).start().stop)
        self.assertEqual((tool.wait(60).code, app.started, tool.status["state"]), (0, True, "synced"))

    def test_it_fails_twice(self):
        self.start_sidecar()
        self.sidecar.statuses = [503, None, 500]
        self.assertEqual(self.deploy(self.env).status["state"], "synced")

    def test_no_bucket_is_attached(self):
        """What helps is said, and the application starts."""
        self.start_sidecar()
        self.sidecar.attached = False
        tool = self.deploy({**self.env, "STORSYNC_RETRIES": "1"})
        self.assertEqual(tool.status["state"], "failed")
        self.assertIn("Replit's sidecar: it gives no credential: attach the bucket to this app (in Object Storage), "
                      "then deploy again", tool.err)

    def test_a_burst_is_over_soon(self):
        self.start_sidecar()
        self.sidecar.statuses = [401]
        self.assertEqual(self.deploy(self.env).status["state"], "synced")

    def test_it_gives_no_token(self):
        self.start_sidecar()
        self.sidecar.token = lambda form: (401, "no allowed resources")
        tool = self.deploy({**self.env, "STORSYNC_RETRIES": "0"})
        self.assertIn("it gives no token: attach the bucket to this app (in Object Storage), then deploy again "
                      "(HTTP 401", tool.err)

    def test_nothing_secret_is_told(self):
        """Whatever goes wrong, and however much is logged. The sidecar is the only one that sees a credential, and the
        storage the only one that sees a token."""
        self.start_sidecar()
        self.front.fault(proxyfault.answer(401, error_body(401, "authError")), skip=4)
        self.front.fault(proxyfault.answer(503, b"busy"), skip=6)
        tool = self.deploy({**self.env, "STORSYNC_LOG_LEVEL": "debug", "STORSYNC_DEPLOYMENT_ID": "d"})
        self.assertEqual(tool.status["state"], "synced")
        self.assertGreater(len(self.sidecar.given), 3)
        told = tool.err + tool.out + json.dumps(tool.status) + str(self.destination.everything(state=True))
        for secret in self.sidecar.given:
            self.assertNotIn(secret, told)
            seen = [r for r in self.front.requests if secret in r.target + str(r.headers)]
            self.assertEqual(bool(seen), secret.startswith("ya29"), secret)
            self.assertEqual([r for r in seen if r.headers["host"] != "storage.googleapis.com"], [])


class Example(ReplitCase):
    """examples/replit/.replit, as Replit runs it: the build once, then the command for each server."""

    NPM = '#!/bin/sh\necho "$STORSYNC_DEPLOYMENT_ID $*" >>npm.log\n'

    def test_build_and_run(self):
        self.start_sidecar()
        source, destination = self.fill(DEV, 2), self.google.bucket(PROD)
        (self.dir / "bin").mkdir()
        (self.dir / "bin/npm").write_text(self.NPM)
        (self.dir / "bin/npm").chmod(0o755)
        (self.dir / "bin/storsync-init").write_bytes(RUN.binary.read_bytes())
        commands = tomllib.loads(example("replit/.replit").read_text())["deployment"]
        path = f"{self.dir}/bin:{os.environ['PATH']}"
        self.assertEqual([commands[name][:2] for name in ("build", "run")], [["sh", "-c"]] * 2)
        subprocess.run(commands["build"], cwd=self.dir, env={"PATH": path}, check=True)
        states = []
        for _ in range(2):
            tool = self.start("-c", f"cd '{self.dir}'; {commands['run'][2]}", binary="/bin/sh", env={
                **DEPLOYMENT, "PATH": path, "DEV_STORAGE_BUCKET": DEV, "PROD_STORAGE_BUCKET": PROD,
                "PUBLIC_OBJECT_SEARCH_PATHS": f"/{DEV}/public"}, prefix=self.space.prefix)
            self.assertEqual(tool.wait(60).code, 0)
            states.append(tool.status["state"])
        self.assertEqual(states, ["synced", "already-synced"])
        self.assert_copied(source, destination, "public/")
        number = (self.dir / ".deployment-id").read_text().strip()
        self.assertEqual((self.dir / "npm.log").read_text().splitlines(),
                         [" run build", f"{number} run start", f"{number} run start"])
        self.assertEqual(destination.markers(), [f"{number}.json"])

    def test_the_document_shows_it(self):
        lines = example("replit/.replit").read_text().splitlines()
        shown = (CHECKOUT / "docs/REPLIT.md").read_text()
        for line in (line for line in lines if line.startswith(("build", "run"))):
            self.assertIn(f"\n{line}\n", shown)
