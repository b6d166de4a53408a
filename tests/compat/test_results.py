"""What is left after a sync, on the stand-in, by the word of Google's own client: both buckets are equal."""
import data
import proxyfault
import test_gcs
from compat import CompatCase
from gcs import GoogleStorage, error_body
from harness import RUN, production

NAMES = [key for key in data.hostile_keys() if key not in (".", "..") and not set(key) & set("\r\n")]
SIZES = data.Dataset.SIZES
LARGE = [*data.Dataset.LARGE, 20 * data.MIB if RUN.instrumented else 200 * data.MIB]


class Results(CompatCase):
    OBJECTS = 3000
    LIMIT = 8 * data.MIB

    def setUp(self):
        super().setUp()
        self.server, self.before = RUN.cache.get("results") or self.filled()
        self.source = self.server.bucket("bucket")

    def filled(self):
        """The source, which is only read, and what Google's client sees there."""
        server = GoogleStorage().start()
        self.addClassCleanup(server.stop)
        keys = [prefix + name for prefix in data.Dataset.PREFIXES for name in NAMES]
        keys += [f"public/images/{n // 100:02}/product{n}.jpg" for n in range(self.OBJECTS - len(keys))]
        for number, key in enumerate(keys):
            # The large ones under odd names: an upload in parts has URLs of its own to get wrong.
            size = LARGE[number // 9] if number % 9 == 4 and number // 9 < len(LARGE) else SIZES[number % len(SIZES)]
            server.bucket("bucket").put(
                key, data.body(key, size), metadata=test_gcs.ODD_METADATA[number % 4], contentType=f"image/x{number}",
                cacheControl="no-cache", contentLanguage="de, en", contentDisposition='attachment; filename="ä.txt"')
        before = self.google_bucket(server.endpoint, "bucket").snapshot()
        self.assertEqual(len(before), self.OBJECTS)
        RUN.cache["results"] = server, before
        return server, before

    def seen(self, name):
        return self.google_bucket(self.server.endpoint, name).snapshot()

    def run_tool(self, destination, *args, **env):
        self.server.requests.clear()
        tool = self.succeed(*args, env={**test_gcs.EVERYTHING, **production(self.source, destination), **env}, timeout=120)
        if not RUN.instrumented:
            self.assertLess(tool.peak_rss, self.LIMIT)
        return tool.status

    def judge(self, name, **env):
        """The first start leaves both equal, the second one makes one request, a sync by hand finds nothing to do."""
        destination = self.server.bucket(name)
        status = self.run_tool(destination, **env)
        self.assertEqual((status["state"], status["syncedFiles"], status["failedFiles"]), ("synced", self.OBJECTS, 0))
        bodies = self.server.asked("GET", "b/bucket/o/.*alt=media")
        self.assertEqual(self.seen(name), self.before)
        self.assertEqual(self.run_tool(destination, **env)["state"], "already-synced")
        self.assertEqual(len(self.server.requests), 1)
        self.assertEqual(self.run_tool(destination, "--sync", **env)["syncedFiles"], 0)
        self.assertLessEqual(len(self.server.requests), 2 * (self.OBJECTS // 1000 + 2) + 10)
        self.run_tool(destination, "--validate", **env)
        return bodies

    def test_copied_by_the_service(self):
        self.server.rewrite_step = 64 * data.MIB
        self.addCleanup(setattr, self.server, "rewrite_step", None)
        self.assertEqual(self.judge("copied"), [], "no body passed through")

    def test_passed_on(self):
        proxy = self.proxy(self.server.endpoint)
        proxy.fault(proxyfault.answer(403, error_body(403, "forbidden")), method="POST", target="rewriteTo",
                    times=proxyfault.FOREVER)
        self.assertGreaterEqual(len(self.judge("passed-on", STORAGE_EMULATOR_HOST=proxy.endpoint)), self.OBJECTS)
