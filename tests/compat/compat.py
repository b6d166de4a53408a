"""What the compatibility tests share."""
from harness import TestCase
from peers import PEERS, ClientBucket

GOOGLE, EMULATOR, FAKE, NODE, HELM = "client", "emulator", "fake-gcs-server", "node", "helm"


class CompatCase(TestCase):
    NEEDS = (GOOGLE,)

    def setUp(self):
        super().setUp()
        for name in self.NEEDS:
            if name in PEERS.why_not:
                self.skipTest(f"NOT TESTED: no {name} ({PEERS.why_not[name]})")

    def google_bucket(self, endpoint, name):
        return ClientBucket(PEERS.client, endpoint, name, self.dir)
