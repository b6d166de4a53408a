"""ACLs, where they are asked for. What becomes of them on every way is in test_documents.Metadata."""
import json

import rgw
from gcs import GoogleStorage
from harness import RUN, TestCase, production, sides
from proxyfault import FOREVER, answer, s3_error

ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"


def grants(bucket, key):
    answer = bucket.client.get_object_acl(Bucket=bucket.name, Key=key)
    return sorted((g["Grantee"].get("ID") or g["Grantee"]["URI"], g["Permission"]) for g in answer["Grants"])


class Acls(TestCase):
    def test_from_another_account(self):
        """Who owns production can read it: what the other owner had is his."""
        source, destination = self.s3_bucket(user=rgw.BOB), self.s3_bucket()
        for key, size in (("public/a", 1), ("public/in parts", (5 << 20) + 1)):
            source.put(key, b"x" * size, GrantRead=f'uri="{ALL_USERS}"', GrantFullControl='id="bob"')
        source.put("public/usual", b"x")
        tool = self.tool(env=production(source, destination, STORSYNC_ACL="copy", STORSYNC_PART_SIZE="5MiB"))
        self.assertEqual((tool.code, tool.warnings), (0, []))
        for key in ("public/a", "public/in parts"):
            self.assertEqual(grants(destination, key), [("alice", "FULL_CONTROL"), (ALL_USERS, "READ")])
        for key in ("public/usual", *destination.keys(".storsync/")):
            self.assertEqual(grants(destination, key), [("alice", "FULL_CONTROL")], key)
        for key in source.keys():
            self.assertEqual(destination.get(key), source.get(key))

    def test_none_is_asked_for(self):
        """Then no request is about ACLs."""
        source, destination = self.s3_bucket(), self.s3_bucket()
        source.put("public/a", b"x", ACL="public-read")
        mark = RUN.rgw().mark()
        self.succeed("--sync", env=sides(source, destination))
        self.assertEqual([r for r in RUN.rgw().requests_since(mark) if r.query == "acl="], [])
        self.assertEqual(grants(destination, "public/a"), [("alice", "FULL_CONTROL")])

    def assert_refused(self, tool, destination, why):
        """No object without the ACL that it should have, and nothing that says so."""
        self.assertEqual((tool.code, tool.status["syncedFiles"], tool.status["failedFiles"]), (2, 0, 1))
        self.assertIn(why, tool.err)
        self.assertEqual([destination.keys("public/"), destination.markers()], [[], []])

    def test_the_bucket_takes_none(self):
        """As AWS answers: by Block Public Access, and where the bucket's owner owns all objects."""
        source = self.s3_bucket()
        source.put("public/a", b"x")
        for status, code, why in ((403, "AccessDenied", "s3:PutObjectAcl, and the bucket must not block such ACLs"),
                                  (400, "AccessControlListNotSupported", "the bucket takes no ACLs: set acl = bucket")):
            with self.subTest(code):
                refuse = answer(status, s3_error(code), {"Content-Type": "application/xml"})

                def strict(x, refuse=refuse):
                    if "x-amz-acl" in x.request.headers:
                        refuse(x)
                    else:
                        x.forward()
                        x.relay()

                proxy, destination = self.proxy(RUN.rgw().plain), self.s3_bucket()
                proxy.fault(strict, method="PUT", times=FOREVER)
                env = production(source, destination, STORSYNC_ACL="public-read")
                tool = self.tool(env={**env, **source.env("source", proxy.endpoint),
                                      **destination.env("destination", proxy.endpoint)})
                self.assert_refused(tool, destination, why)

    def test_uniform_access(self):
        server = GoogleStorage().start()
        self.addCleanup(server.stop)
        source, destination = server.bucket("dev"), server.bucket("prod")
        destination.uniform = True
        source.put("public/a")
        tool = self.tool(env=production(source, destination, STORSYNC_ACL="private"))
        self.assert_refused(tool, destination, "the bucket has uniform access and takes no ACLs: set acl = bucket")
        self.succeed(env=production(source, destination))

    def test_a_directory_has_none(self):
        source, destination = self.dir_bucket(), self.dir_bucket()
        source.put("public/a", b"x")
        for acl, what in (("copy", "copied to"), ("private", "set in")):
            tool = self.succeed("--sync", env=sides(source, destination, STORSYNC_ACL=acl))
            self.assertEqual(tool.warnings, [f"storsync-init: warning: no ACLs can be {what} {destination.url}: objects "
                                             "get what is usual there (setting acl)"])

    def test_check_access(self):
        """The right to read grants, where they are to be copied."""
        source, destination = self.s3_bucket(), self.s3_bucket()
        source.put("public/a", b"x")
        policy = {"Version": "2012-10-17", "Statement": [
            {"Effect": "Deny", "Principal": "*", "Action": ["s3:GetObjectAcl"],
             "Resource": [f"arn:aws:s3:::{source.name}/*"]}]}
        source.client.put_bucket_policy(Bucket=source.name, Policy=json.dumps(policy))
        env = sides(source, destination)
        self.assertNotIn("read-acl", self.succeed("--check-access", env=env).out)
        tool = self.tool("--check-access", env={**env, "STORSYNC_ACL": "copy"})
        self.assertEqual(tool.code, 77)
        self.assertRegex(tool.out, "read-acl +missing s3:GetObjectAcl")
