"""examples/node/admin: the functions and the routes for an application in Node, with node's own test runner, both versions of
Express, and TypeScript's compiler."""
import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request

import rgw
from compat import NODE, CompatCase
from harness import CHECKOUT, RUN
from peers import CHILD, HERE, PEERS, stop

ADMIN = CHECKOUT / "examples/node/admin"


def example(name):
    """A file of examples/, as in containers/containers.py."""
    return CHECKOUT / "examples" / name


FILES = [example("node/admin/package.json"), example("node/admin/storage-sync-startup.js"),
         example("node/admin/storage-sync-startup.d.ts"), example("node/admin/storage-sync-router.js"),
         example("node/admin/storage-sync-router.d.ts"), example("node/admin/storage-sync-endpoint.js"),
         example("node/admin/storage-sync-error.js")]


class NodeCase(CompatCase):
    """An application's folder: the examples are in server/, the packages in node_modules/."""

    NEEDS = (NODE,)

    def setUp(self):
        super().setUp()
        (self.dir / "server").mkdir()
        for path in FILES:
            shutil.copy(path, self.dir / "server")
        for path in (HERE / "node").glob("*.[mt]*s"):
            shutil.copy(path, self.dir)
        shutil.copy(self.dir / "server/package.json", self.dir)
        (self.dir / "node_modules").symlink_to(PEERS.places[NODE] / "node_modules")

    def node(self, *words, timeout=60, **env):
        more = {"PATH": os.environ["PATH"], "STORSYNC_BIN": str(RUN.binary), "TMPDIR": str(self.dir), **env}
        return subprocess.run(["node", *map(str, words)], cwd=self.dir, env=more, capture_output=True, text=True,
                              timeout=timeout * RUN.slow, check=False)

    def programs(self, mark):
        """Those of docs/MIGRATION.md between the marks of that name, as files."""
        text = (CHECKOUT / "docs/MIGRATION.md").read_text()
        (self.dir / "server/auth.ts").write_text("""import type { IncomingMessage } from 'node:http';
            export const isAdmin = (request: IncomingMessage): boolean => request.headers['x-role'] === 'admin';""")
        [section] = re.findall(rf"(?s)<!-- {mark} -->(.*)<!-- end of {mark} -->", text)
        for number, program in enumerate(re.findall(r"(?s)```typescript\n(.*?)```", section)):
            (self.dir / f"{mark}{number}.ts").write_text(program)
            yield f"{mark}{number}"


class Functions(NodeCase):
    def run_tests(self, name):
        done = self.node("--test", "--test-reporter=tap", name)
        failed = re.findall(r"(?ms)^not ok .*?^  \.\.\.$", done.stdout)
        self.assertEqual((done.returncode, failed), (0, []), done.stderr)
        self.assertGreater(int(re.search(r"(?m)^# pass (\d+)$", done.stdout)[1]), 5)

    def test_startup(self):
        self.run_tests("startup.test.mjs")

    def test_endpoint(self):
        self.run_tests("endpoint.test.mjs")

    def test_router(self):
        self.run_tests("router.test.mjs")

    def test_types(self):
        """What can be compiled, and what cannot; with the programs of docs/MIGRATION.md, in one go as it takes long."""
        programs = [f"{name}.ts" for mark in ("programs", "routes") for name in self.programs(mark)]
        self.assertEqual(len(programs), 4)
        done = self.node("node_modules/typescript/bin/tsc", "--strict", "--noEmit", "--target", "es2022", "--module", "esnext",
                         "--moduleResolution", "bundler", "types.ts", *programs)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)


class Migration(NodeCase):
    """docs/MIGRATION.md: its programs, in an application that is built as Replit's template builds one."""

    def setUp(self):
        super().setUp()
        self.source, self.destination = self.dir_bucket(), self.dir_bucket()
        self.source.put("public/a.txt", "abc")
        (self.dir / "bin").mkdir()
        (self.dir / "bin/storsync-init").symlink_to(RUN.binary)
        self.env = {"DEV_STORAGE_BUCKET": f"file://{self.source.root}", "PUBLIC_OBJECT_SEARCH_PATHS": "/dev/public",
                    "PROD_STORAGE_BUCKET": f"file://{self.destination.root}",
                    "STORSYNC_STATUS_FILE": str(self.dir / "status.json"),
                    "PATH": f"{self.dir}/bin:{os.environ['PATH']}"}

    def build(self, mark):
        for name in self.programs(mark):
            done = self.node("node_modules/esbuild/bin/esbuild", "--bundle", "--platform=node", "--format=esm",
                             "--packages=external", "--alias:express=express5", f"--outfile={name}.mjs", f"{name}.ts")
            self.assertEqual(done.returncode, 0, done.stderr)
            yield f"{name}.mjs"

    def test_the_three_functions(self):
        said = []
        for program in self.build("programs"):
            done = self.node(program, **self.env)
            self.assertEqual(done.returncode, 0, done.stderr)
            said += done.stdout.splitlines()
        self.assertEqual(said, ["Success: true", "Message: Synced 1 object (3 B), 0 already up to date", "Synced files: 1",
                                "Valid: true", "Missing files: 0", "Mismatched files: 0",
                                "Environment: development", "Configured: true", "Hook active: false"])

    def test_the_routes(self):
        [program] = self.build("routes")
        [port] = rgw.free_ports(1)
        words = [*CHILD, "node", program]
        app = subprocess.Popen(words, cwd=self.dir, env={**self.env, "PORT": str(port)}, stderr=subprocess.DEVNULL)
        self.addCleanup(stop, app)
        answers = [self.ask(port, *request) for request in (("GET", "status"), ("GET", "status", "admin"),
                                                            ("POST", "sync", "admin"), ("POST", "validate", "admin"))]
        self.assertEqual([status for status, _ in answers], [403, 200, 200, 200])
        self.assertEqual((answers[1][1]["configured"], answers[2][1]["success"], answers[3][1]["valid"]), (True,) * 3)

    def ask(self, port, method, route, role="user"):
        request = urllib.request.Request(f"http://127.0.0.1:{port}/admin/storage-sync/{route}", method=method,
                                         headers={"X-Role": role})
        end = time.monotonic() + 30 * RUN.slow
        while True:
            try:
                with urllib.request.urlopen(request, timeout=60 * RUN.slow) as answer:
                    return answer.status, json.load(answer)
            except urllib.error.HTTPError as error:
                return error.code, json.load(error)
            except urllib.error.URLError:  # it does not listen yet
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
