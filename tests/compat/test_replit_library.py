"""Replit's own library and template, with the sidecar and the storage that the tests of Replit play: is this what an app
meets there? Then they fill development's bucket, and read what is in production's after a deployment."""
import json
import subprocess

import sidecar
from compat import GOOGLE
from harness import RUN
from peers import HERE, PEERS
from test_replit import DEPLOYMENT, DEV, PROD, WORKSPACE, ReplitCase


class Library(ReplitCase):
    FILES = {f"{folder}/{name}": [f"text of {name}", json.dumps({"owner": "41", "visibility": visibility})]
             for folder, visibility in (("public", "public"), (".private/uploads", "private"))
             for name in ("a.txt", "ä b/1.txt", "empty:é")}

    def app_at(self, bucket, **more):
        """What the app finds in that bucket, once it has written the files."""
        env = {"PATH": "/usr/bin:/bin", "NODE_PATH": str(PEERS.places[GOOGLE] / "node_modules"),
               "NODE_EXTRA_CA_CERTS": str(RUN.ca_file)}
        done = subprocess.run([*self.space.prefix, "node", HERE / "replit.js", json.dumps({"bucketId": bucket, **more})],
                              env=env, capture_output=True, text=True, timeout=60 * RUN.slow, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_a_deployment(self):
        self.start_sidecar()
        self.google.bucket(DEV)
        self.google.bucket(PROD)
        self.assertEqual(self.app_at(DEV, files=self.FILES), self.FILES)
        self.assertEqual(self.app_at(PROD), {})
        env = {"DEV_STORAGE_BUCKET": DEV, "PROD_STORAGE_BUCKET": PROD, "PUBLIC_OBJECT_SEARCH_PATHS": f"/{DEV}/public",
               "PRIVATE_OBJECT_DIR": f"/{DEV}/.private"}
        self.assertEqual(self.deploy({**DEPLOYMENT, **env}).status["state"], "synced")
        self.assertEqual(self.app_at(PROD), self.FILES)
        self.assertEqual(self.run_tool("--sync", env={**WORKSPACE, **env}).status["syncedFiles"], 0)
