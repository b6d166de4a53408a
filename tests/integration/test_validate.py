"""--validate: what is missing, mismatched, extra; with directories, and with S3 where ETags can be compared."""
from harness import TestCase, sides


class Validate(TestCase):
    def setUp(self):
        super().setUp()
        self.source, self.destination = self.dir_bucket(), self.dir_bucket()
        for number in range(20):
            self.source.put(f"public/{number:02}", f"body {number}", age=1000)
        self.source.put("private/p", "p", age=1000)
        self.env = sides(self.source, self.destination)
        self.succeed("--sync", env=self.env)

    def validate(self, *args, code=0):
        tool = self.tool("--validate", *args, env=self.env)
        self.assertEqual(tool.code, code)
        return tool

    def test_equal(self):
        document = self.validate("--json").json
        self.assertEqual((document["state"], document["success"], document["valid"]), ("synced", True, True))
        self.assertEqual([document[f] for f in ("missingFiles", "mismatchedFiles", "extraFiles")], [0, 0, 0])
        self.assertEqual(document["unhashedFiles"], document["checkedFiles"])
        self.assertIn("By size and time only: ", self.validate().err)

    def test_differences(self):
        (self.destination.root / "public/03").unlink()
        (self.destination.root / "public/04").unlink()
        self.destination.put("public/05", "of another size")
        self.destination.put("private/only-here", "x")
        self.destination.put("elsewhere/does-not-count", "x")
        tool = self.validate("--json", code=1)
        self.assertEqual([tool.json[f] for f in ("state", "success", "valid")], ["partial", False, False])
        self.assertEqual([tool.json[f] for f in ("missingFiles", "mismatchedFiles", "extraFiles")], [2, 1, 1])
        for key in ("public/03", "public/04", "public/05", "private/only-here"):
            self.assertIn(key, str(tool.json["details"]))
        self.assertNotIn("does-not-count", tool.out)

    def test_first_ten_for_people_all_in_json(self):
        for number in range(15):
            (self.destination.root / f"public/{number:02}").unlink()
        human = self.validate(code=1)
        text = human.out + human.err
        self.assertIn("15", text)
        self.assertIn("public/09", text)
        self.assertNotIn("public/10", text)
        self.assertIn("public/14", str(self.validate("--json", code=1).json["details"]))

    def test_a_source_without_objects_is_pointed_at(self):
        self.env["PUBLIC_OBJECT_SEARCH_PATHS"] = "/bucket/publik"
        self.assertIn('has no objects under "publik/"', "".join(self.validate().warnings))

    def test_newer_source_is_a_mismatch(self):
        self.source.put("public/00", "BODY 0", age=-5)
        self.assertEqual(self.validate("--json", code=1).json["mismatchedFiles"], 1)

    def test_changes_nothing(self):
        (self.destination.root / "public/03").unlink()
        before = self.destination.contents(state=True)
        self.validate(code=1)
        self.assertEqual(self.destination.contents(state=True), before)

    def test_in_any_environment(self):
        for environment in ("production", "development"):
            self.env["STORSYNC_ENVIRONMENT"] = environment
            self.validate()

    def test_missing_bucket_is_not_an_empty_one(self):
        self.env["STORSYNC_DESTINATION_BUCKET"] = f"file://{self.dir}/missing"
        self.validate(code=69)


class ValidateS3(TestCase):
    def test_same_size_other_content(self):
        source, destination = self.s3_bucket(), self.s3_bucket()
        for key in ("public/a", "public/b\n", "private/c d"):
            source.put(key, "12345")
        env = sides(source, destination)
        self.succeed("--sync", env=env)
        self.assertEqual(self.tool("--validate", "--json", env=env).json["unhashedFiles"], 0)
        destination.put("public/a", "54321")
        tool = self.tool("--validate", "--compare", "etag", "--json", env=env)
        self.assertEqual((tool.code, tool.json["mismatchedFiles"]), (1, 1))

    def test_costs_listings_only(self):
        source, destination = self.s3_bucket(), self.s3_bucket()
        for number in range(20):
            source.put(f"public/{number}", "x")
        env = sides(source, destination)
        self.succeed("--sync", env=env)
        mark = source.server.mark()
        self.succeed("--validate", env=env)
        self.assertEqual([r for r in source.server.requests_since(mark) if "list-type=2" not in r.query], [])
