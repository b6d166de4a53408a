"""Google's own client works on the stand-in of the integration tests (gcs.py) as on the service: so the stand-in is one."""
import base64
import gzip

import data
import proxyfault
from compat import GOOGLE, CompatCase
from gcs import CHUNK, GoogleStorage
from peers import Refused

POLICY = {"custom:aclPolicy": '{"owner":"41","visibility":"public"}'}


class Standin(CompatCase):
    NEEDS = (GOOGLE,)

    def setUp(self):
        super().setUp()
        self.server = GoogleStorage().start()
        self.addCleanup(self.server.stop)
        self.truth = self.server.bucket("bucket")
        self.seen = self.google_bucket(self.server.endpoint, "bucket")

    def refused(self, code, act, **more):
        with self.assertRaises(Refused) as caught:
            self.seen.do(act, **more)
        self.assertEqual(caught.exception.code, code)

    # --- listing ---

    def test_pages(self):
        keys = [f"p/{number:03}" for number in range(25)]
        for key in (*keys, "q"):
            self.truth.put(key)
        self.server.empty_pages = 2
        pages = self.seen.do("pages", prefix="p/", maxResults=10)
        self.assertEqual([len(page) for page in pages], [0, 0, 10, 10, 5])
        self.assertEqual(sum(pages, []), keys)

    def test_odd_names(self):
        names = [key for key in data.hostile_keys() if key not in (".", "..") and not set(key) & set("\r\n")]
        for number, name in enumerate(names):
            self.truth.put(name, f"{number}", metadata={"n": str(number)})
        self.assertEqual(self.seen.keys(), sorted(names, key=str.encode))
        for name, facts in self.seen.snapshot().items():
            self.assertEqual(facts["metadata"], {"n": str(names.index(name))})
        for number, name in enumerate(names[:20]):
            self.seen.put(name + "'", f"{number}")
            self.assertEqual(self.truth.get(name + "'"), b"%d" % number)
            self.seen.do("remove", name=name + "'")
            self.assertNotIn(name + "'", self.truth.objects)

    # --- bodies ---

    def test_uploads(self):
        for resumable in (False, True):
            for size in (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * data.MIB + 7):
                with self.subTest(resumable=resumable, size=size):
                    body = data.body(size, size)
                    self.seen.put("a b", body, resumable=resumable, contentType="text/x-a", cacheControl="no-store",
                                  contentDisposition='attachment; filename="ä"', contentLanguage="de",
                                  metadata={**POLICY, "unié": "€", "empty": ""})
                    made = self.truth.objects["a b"]
                    self.assertEqual(made.body, body)
                    self.assertEqual(made.fields, {
                        "contentType": "text/x-a", "cacheControl": "no-store", "contentLanguage": "de",
                        "contentDisposition": 'attachment; filename="ä"',
                        "metadata": {**POLICY, "unié": "€", "empty": ""}})
                    self.assertEqual(self.seen.get("a b"), body)

    def test_chunks_of_which_less_is_kept(self):
        path = self.dir / "body"
        path.write_bytes(data.body("chunks", 3 * data.MIB + 100))
        self.server.store_less = 2
        self.seen.do("upload", name="a", path=str(path), resumable=True, chunkSize=1 * data.MIB, fields={})
        self.assertEqual(self.truth.get("a"), path.read_bytes())
        self.assertEqual(self.server.store_less, 0)

    def test_gzip(self):
        text = b"x" * 100_000
        packed = gzip.compress(text)
        self.truth.put("page", packed, contentEncoding="gzip", contentType="text/html")
        self.assertEqual(self.seen.get("page"), packed)
        self.assertEqual(base64.b64decode(self.seen.do("download", name="page")), text)

    def test_range(self):
        self.truth.put("a", b"0123456789")
        self.assertEqual(base64.b64decode(self.seen.do("download", name="a", options={"start": 2, "end": 5})), b"2345")

    def test_damage_is_noticed(self):
        """What the client compares is what the stand-in says: or else its verdict on our buckets would be none."""
        self.truth.put("a", b"right")
        self.truth.objects["a"].body = b"wrong"
        self.refused("CONTENT_DOWNLOAD_MISMATCH", "snapshot", prefix="")

    def test_composed_objects(self):
        self.truth.put("a", b"abc", composite=True)
        self.assertNotIn("md5Hash", self.seen.do("resource", name="a"))
        self.assertEqual(self.seen.get("a"), b"abc")

    # --- metadata, copies ---

    def test_metadata(self):
        self.seen.put("a", b"x", metadata={"keep": "1", "drop": "2"})
        before = self.seen.do("resource", name="a")
        told = self.seen.do("change", name="a", fields={"metadata": {**POLICY, "drop": None}})
        self.assertEqual(told["metadata"], {"keep": "1", **POLICY})
        self.assertEqual((told["generation"], told["metageneration"]), (before["generation"], "2"))
        self.assertGreaterEqual(told["updated"], before["updated"])
        self.assertEqual(told["timeCreated"], before["timeCreated"])
        self.refused(412, "change", name="a", fields={"metadata": {"x": "y"}}, conditions={"ifMetagenerationMatch": 1})
        self.seen.do("change", name="a", fields={"contentType": "x/y"}, conditions={"ifMetagenerationMatch": 2})
        self.assertEqual(self.truth.objects["a"].fields["contentType"], "x/y")

    def test_copies(self):
        target = self.server.bucket("other")
        self.truth.put("a b", data.body("copy", 5 * data.MIB), metadata=POLICY, contentType="x/y")
        for step in (None, data.MIB):
            self.server.rewrite_step = step
            self.server.requests.clear()
            self.seen.do("copy", name="a b", toBucket="other", to="c/d")
            self.assertEqual(target.everything(), {"c/d": self.truth.everything()["a b"]})
            self.assertEqual(len(self.server.asked("POST", "rewriteTo")), 5 if step else 1)

    def test_a_field_in_a_copys_body_replaces_them_all(self):
        self.truth.put("a", b"x", metadata=POLICY, contentType="x/y")
        self.seen.do("copy", name="a", toBucket="bucket", to="b", fields={"cacheControl": "no-store"})
        self.assertEqual(self.truth.objects["b"].fields, {"cacheControl": "no-store"})

    # --- conditions, errors ---

    def test_conditions(self):
        first = self.seen.put("a", b"1", conditions={"ifGenerationMatch": 0})
        with self.assertRaises(Refused) as caught:
            self.seen.put("a", b"2", conditions={"ifGenerationMatch": 0})
        self.assertEqual(caught.exception.code, 412)
        second = self.seen.put("a", b"2", conditions={"ifGenerationMatch": int(first["generation"])})
        self.refused(412, "remove", name="a", conditions={"ifGenerationMatch": first["generation"]})
        self.refused(404, "download", name="a", generation=first["generation"])
        self.refused(412, "copy", name="a", toBucket="bucket", to="a", conditions={"ifGenerationMatch": 7})
        self.assertEqual(self.truth.get("a"), b"2")
        self.seen.do("remove", name="a", conditions={"ifGenerationMatch": second["generation"]})
        self.refused(404, "resource", name="a")

    def test_errors(self):
        self.refused(404, "resource", name="nothing")
        with self.assertRaises(Refused) as caught:
            self.google_bucket(self.server.endpoint, "nowhere").keys()
        self.assertIn("The specified bucket does not exist", str(caught.exception))
        self.truth.put("a")
        self.truth.denied.add("storage.objects.get")
        self.refused(403, "resource", name="a")

    def test_a_busy_service_is_asked_again(self):
        proxy = self.proxy(self.server.endpoint)
        self.truth.put("a", b"x")
        busy = proxy.fault(proxyfault.answer(503, "<html>busy</html>", {"Content-Type": "text/html"}), times=1)
        self.assertEqual(self.google_bucket(proxy.endpoint, "bucket").keys(), ["a"])
        self.assertEqual(busy.done, 1)
