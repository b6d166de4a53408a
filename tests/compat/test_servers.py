"""The main job with servers of others, judged by Google's own client.

What a server does otherwise than the service cannot be tested with it: gcs.py and the integration tests have that. Each such
deviation is a test here as well, which fails when a newer version has mended it, so that more can be tested then."""
import gzip
import hashlib

import data
import test_deploy
import test_gcs
import test_replicas
from compat import EMULATOR, FAKE, GOOGLE, CompatCase
from gcs import CHUNK
from harness import production, sides
from peers import PEERS, Refused, stop

POLICY = test_gcs.POLICY
SIZES = [0, 1, 1000, CHUNK - 1, CHUNK, CHUNK + 1, 5 * data.MIB, 5 * data.MIB + 1, 12 * data.MIB + 7]
NAMES = [key for key in data.hostile_keys() if key not in (".", "..") and not set(key) & set("\r\n")]


class ServerCase(CompatCase):
    """Two empty buckets on a server of one's own."""

    SERVER = None
    READABLE = True  # the tool can read from it
    METADATA = test_gcs.ODD_METADATA

    def setUp(self):
        self.NEEDS = (GOOGLE, self.SERVER)
        super().setUp()
        process, self.endpoint = PEERS.serve(self.SERVER)
        self.addCleanup(stop, process)
        self.source, self.destination = self.made("bucket"), self.made("prod-bucket")

    def made(self, name):
        bucket = self.google_bucket(self.endpoint, name)
        bucket.do("create")
        return bucket

    def pass_on(self, source, destination):
        """All is copied, --validate says so, and another run finds nothing to do."""
        env = {**test_gcs.EVERYTHING, "STORSYNC_PART_SIZE": "5MiB", **sides(source, destination)}
        done = self.succeed("--sync", env=env, timeout=60).status
        self.assertEqual(done["failedFiles"], 0)
        self.succeed("--validate", env=env)
        if self.READABLE:  # the other run's lease, too
            self.assertEqual(self.succeed("--sync", env=env).status["syncedFiles"], 0)
        return done["syncedFiles"]

    def assert_same(self, *buckets):
        first, *others = [bucket.snapshot() for bucket in buckets]
        for other in others:
            self.assertEqual(first, other)


class Both:
    """What can be done with either server."""

    def test_copies_inside(self):
        for number in range(40):
            self.source.put(f"private/a b/{number} ü", data.body(number, number * 1000),
                            metadata=self.METADATA[number % 4], contentType=f"image/x{number}",
                            cacheControl="no-cache", contentDisposition='attachment; filename="ä"', contentLanguage="de")
        self.assertEqual(self.pass_on(self.source, self.destination), 40)
        self.assert_same(self.source, self.destination)

    def test_copied_as_googles_client_copies(self):
        self.source.put("public/a", "x" * 1000, metadata=POLICY, contentType="x/y", cacheControl="private")
        self.pass_on(self.source, self.destination)
        other = self.made("other")
        self.source.do("copy", name="public/a", toBucket=other.name, to="public/a")
        self.assert_same(self.destination, other)

    def test_from_a_directory(self):
        directory = self.dir_bucket()
        for number, size in enumerate(SIZES):
            directory.put(f"public/{number}", data.body(number, size))
        self.assertEqual(self.pass_on(directory, self.destination), len(SIZES))
        self.assertEqual({key: (facts["sha256"], facts["size"]) for key, facts in self.destination.snapshot().items()},
                         {key: (hashlib.sha256(body).hexdigest(), len(body)) for key, body in
                          directory.contents().items()})


class FakeGcsServer(ServerCase, Both):
    SERVER = FAKE

    def test_odd_names(self):
        for number, key in enumerate(NAMES):
            self.source.put("public/" + key, f"{number}", metadata={"n": f"{number}"})
        self.assertEqual(self.pass_on(self.source, self.destination), len(NAMES))
        self.assertEqual(self.destination.keys("public/"), sorted(("public/" + n for n in NAMES), key=str.encode))
        self.assert_same(self.source, self.destination)

    def test_through_a_directory(self):
        for number, size in enumerate(SIZES):
            self.source.put(f"public/a b/{number}", data.body(number, size), resumable=size > data.MIB,
                            metadata=test_gcs.ODD_METADATA[number % 4], contentType="text/plain; charset=utf-8",
                            cacheControl="no-store")
        middle = self.dir_bucket()
        self.assertEqual(self.pass_on(self.source, middle), len(SIZES))
        self.assertEqual(self.pass_on(middle, self.destination), len(SIZES))
        self.assert_same(self.source, self.destination)

    def test_gzip_arrives_as_it_is_stored(self):
        packed = gzip.compress(b"x" * 100_000)
        self.source.put("public/page", packed, contentEncoding="gzip", contentType="text/html")
        middle = self.dir_bucket()
        self.pass_on(self.source, middle)
        self.assertEqual(middle.get("public/page"), packed)
        self.pass_on(middle, self.destination)
        self.assert_same(self.source, self.destination)


    def test_deviation_a_change_of_metadata_tells_no_time(self):
        """Neither does it count: what the tool goes by is not there."""
        self.source.put("public/a")
        before = self.source.do("resource", name="public/a")
        self.source.do("change", name="public/a", fields={"metadata": POLICY})
        after = self.source.do("resource", name="public/a")
        self.assertEqual(after["metadata"], POLICY)
        self.assertEqual([before[n] for n in ("updated", "metageneration")],
                         [after[n] for n in ("updated", "metageneration")])

    def test_deviation_conditions(self):
        """Only an insert knows any; the tool needs no others, but for losing a race."""
        first = self.source.put("public/a", "1")
        self.source.put("public/a", "2")
        with self.assertRaises(Refused):
            self.source.put("public/a", "3", conditions={"ifGenerationMatch": 0})
        self.source.do("remove", name="public/a", conditions={"ifGenerationMatch": first["generation"]})
        self.assertEqual(self.source.keys(), [])


class FakeGcsServerMainJob(ServerCase, test_deploy.Deploy):
    """As with directories."""

    SERVER = FAKE

    def setUp(self):
        super().setUp()
        for key, body in (("public/avatars/user123.png", b"p" * 148_808), ("public/style.css", "body {}"),
                          ("private/invoice.pdf", b"i" * 2048), ("other/not-ours", "x"), ("publicity/not-ours", "x")):
            self.source.put(key, body)

    def test_first_start_syncs_and_becomes_the_application(self):
        app = self.app(code=7)
        tool = self.tool("--", app.path, env=self.env())
        self.assertEqual((tool.code, app.started, tool.status["state"]), (7, True, "synced"))
        self.assertEqual(self.destination.contents(), self.wanted)
        self.assertEqual(self.destination.markers(), ["d1.json"])


class FakeGcsServerReplicas(ServerCase, test_replicas.ReplicaCase):
    SERVER = FAKE

    def test_sixteen_starts(self):
        for number in range(60):
            self.source.put(f"public/{number}", data.body(number, 500))
        tools = self.together(16, production(self.source, self.destination, STORSYNC_CONCURRENCY="2"))
        self.assert_one_synced(tools, 60, test_replicas.finished_at(self.destination.marker("d1")))
        self.assert_same(self.source, self.destination)
        self.assertEqual(self.destination.lease()["state"], "released")


class Emulator(ServerCase, Both):
    SERVER = EMULATOR
    READABLE = False
    METADATA = [{}, POLICY, {"UPPER": "1", "upper": "2"}, {"a-b": "x", "storsync.y": "z", "A_b%20": "100%"}]

    def test_deviation_metadata_are_headers(self):
        """Of the media, whether a header can have them or not: then it drops the connection."""
        self.source.put("public/a", metadata={"price": "7 €"})
        with self.assertRaises(Refused) as caught:
            self.source.get("public/a")
        self.assertEqual(caught.exception.code, "ECONNRESET")

    def test_deviation_bodies_without_a_generation(self):
        """It could be of any version: nothing is read from such a server, not even the tool's own marker."""
        self.source.put("public/a", "x")
        directory = self.dir_bucket()
        tool = self.tool("--sync", env=sides(self.source, directory))
        self.assertEqual((tool.code, directory.contents()), (2, {}))
        self.assertIn("names no generation", tool.err)
        env = production(self.source, self.destination)
        self.assertEqual(self.succeed(env=env).status["state"], "synced")
        self.assert_same(self.source, self.destination)
        app = self.app()
        again = self.succeed("--", app.path, env=env)
        self.assertEqual((app.started, again.status["state"]), (True, "failed"))

    def test_deviation_names_are_paths(self):
        self.source.put("public/a", "file")
        self.source.put("public/a/", "folder")
        self.assertEqual(self.source.get("public/a"), b"folder")

    def test_deviation_conditions_are_ignored(self):
        """Each of sixteen replicas would have the lease."""
        for text in ("1", "2"):
            self.source.put("public/a", text, conditions={"ifGenerationMatch": 0})
        self.assertEqual(self.source.get("public/a"), b"2")
