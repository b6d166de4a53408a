"""Google's credentials of every kind, from the file to the bucket, with Google's services at their own names; and what
each of the rights is needed for."""
import base64
import json
import re
import subprocess
import urllib.parse

import data
import proxyfault
import yaml
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from gcs import GoogleStorage, error_body
from googlecase import METADATA, GoogleCase
from harness import CHECKOUT, JOB, RUN, production
from test_check import PROBE, AccessCase, not_ok, rights


def example(name):
    """tests/containers looks for these calls as well."""
    return CHECKOUT / "examples" / name


AUDIENCE = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/aws"
ACCOUNT = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b:generateAccessToken"
STS = "https://sts.googleapis.com/v1/token"
USER = {"type": "authorized_user", "client_id": "id.apps", "client_secret": "client-secret-of-the-user",
        "refresh_token": "1//refresh-token-of-the-user"}
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAFEDERATED", "AWS_SECRET_ACCESS_KEY": "aws-secret-of-some-length",
        "AWS_SESSION_TOKEN": "aws-session-token/of-some+length=", "AWS_REGION": "eu-west-1"}


def external(source, **more):
    return {"type": "external_account", "audience": AUDIENCE, "token_url": STS, "credential_source": source,
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", **more}


class CredentialsCase(GoogleCase):
    def setUp(self):
        super().setUp()
        self.start_identity()
        self.source, self.destination = self.google.bucket("dev-bucket"), self.google.bucket("prod-bucket")
        for number in range(5):
            self.source.put(f"public/{number}", data.body(number, 100))

    def sync(self, key=None, code=0, **env):
        """One run with the most verbose log, with the key file if there is one."""
        self.path = self.dir / RUN.fresh("key.json")
        if key:
            self.path.write_text(json.dumps(key))
            self.path.chmod(0o600)
            env["GOOGLE_APPLICATION_CREDENTIALS"] = str(self.path)
        tool = self.run_tool("--sync", env={**self.source.env("source"), **self.destination.env("destination"),
                                            "STORAGE_EMULATOR_HOST": "", "STORSYNC_LOG_LEVEL": "debug",
                                            "STORSYNC_JOB": JOB, **env})
        self.assertEqual(tool.code, code)
        if code == 0:
            self.assertEqual(self.destination.contents(), self.source.contents())
        return tool

    def assert_kept(self, tool, *secrets):
        """Nothing secret is in log, status or bucket. A token of the storage's goes there and nowhere else, other
        secrets never go there, and nothing at all goes to a stranger."""
        told = tool.err + tool.out + json.dumps(tool.status) + str(self.destination.everything(state=True))
        stored = " ".join(f"{r.target} {r.headers}" for r in self.front.requests)
        for secret in (*secrets, *self.identity.given):
            self.assertNotIn(secret, told)
        for secret in secrets:
            self.assertNotIn(secret, stored)
        final = [token for token in self.identity.given if token in stored]
        for token in final:
            self.assertEqual([r.path for r in self.identity.requests if token in r.everything], [])
        self.assertEqual(self.stranger.connections, 0)


class Kinds(CredentialsCase):
    def service_account(self):
        key = RUN.pki.key("rsa2048")
        self.public = self.dir / "public.der"
        self.public.write_bytes(key.public)
        return {"type": "service_account", "client_email": "a@p.iam.gserviceaccount.com", "private_key_id": "k1",
                "private_key": key.path.read_text(), "token_uri": "https://oauth2.googleapis.com/token"}

    def assert_signed(self, jwt):
        """openssl finds the signature right. Returns the claims."""
        head, claims, signature = jwt.split(".")
        (self.dir / "signed").write_text(f"{head}.{claims}")
        (self.dir / "signature").write_bytes(base64.urlsafe_b64decode(signature + "=="))
        subprocess.run(["openssl", "dgst", "-sha256", "-keyform", "DER", "-verify", self.public, "-signature",
                        self.dir / "signature", self.dir / "signed"], check=True, stdout=subprocess.DEVNULL)
        return json.loads(base64.urlsafe_b64decode(claims + "=="))

    def test_service_account(self):
        key = self.service_account()
        self.google.tokens = None
        tool = self.sync(key)
        jwt = self.front.requests[-1].headers["authorization"].removeprefix("Bearer ")
        claims = self.assert_signed(jwt)
        self.assertEqual((claims["iss"], claims["exp"] - claims["iat"]), (key["client_email"], 3600))
        self.assertNotIn("aud", claims)
        self.assertEqual(self.identity.requests, [])
        self.identity.given.append(jwt)
        self.assert_kept(tool, key["private_key"].splitlines()[5])

    def test_service_account_whose_own_tokens_are_not_taken(self):
        key = self.service_account()
        tool = self.sync(key)
        requests = self.identity.asked("oauth2.googleapis.com")
        self.assertEqual(len(requests), 2, "one for each side")
        for request in requests:
            claims = self.assert_signed(request.form["assertion"])
            self.assertEqual(claims["aud"], key["token_uri"])
        self.assert_kept(tool, key["private_key"].splitlines()[5], *(r.form["assertion"] for r in requests))

    def test_user(self):
        self.assert_kept(self.sync(USER), USER["client_secret"], USER["refresh_token"])
        self.assertEqual({(r.host, r.form["grant_type"]) for r in self.identity.requests},
                         {("oauth2.googleapis.com", "refresh_token")})

    def test_user_whom_another_provider_knows(self):
        url = "https://sts.googleapis.com/v1/oauthtoken"
        key = {**USER, "type": "external_account_authorized_user", "token_url": url}
        self.assert_kept(self.sync(key), USER["client_secret"], USER["refresh_token"])
        for request in self.identity.requests:
            self.assertEqual((request.host, request.path), ("sts.googleapis.com", "/v1/oauthtoken"))
            self.assertEqual(request.form, {"grant_type": "refresh_token", "refresh_token": USER["refresh_token"]})
            client = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
            self.assertEqual(client, f"{USER['client_id']}:{USER['client_secret']}")

    def test_impersonated(self):
        """Of a user, and of one of another provider: two tokens, of which only the account's goes to the storage."""
        for source in (USER, {**USER, "type": "external_account_authorized_user", "token_url": STS}):
            key = {"type": "impersonated_service_account", "source_credentials": source,
                   "service_account_impersonation_url": ACCOUNT}
            self.assert_kept(self.sync(key), USER["client_secret"], USER["refresh_token"])
        requests = self.identity.asked("iamcredentials.googleapis.com")
        self.assertEqual(len(requests), 4)
        for request in requests:
            self.assertIn(request.headers["authorization"].removeprefix("Bearer "), self.identity.given)

    def test_a_file_or_a_url_with_the_subject(self):
        (self.dir / "subject").write_text("eyJ.subject-of-the-file.x\n")
        self.assert_kept(self.sync(external({"file": str(self.dir / "subject")})), "eyJ.subject-of-the-file.x")
        self.identity.extra["/subject"] = json.dumps({"t": "eyJ.subject-of-the-url.x"})
        source = {"url": f"http://{METADATA}/subject", "format": {"type": "json", "subject_token_field_name": "t"}}
        key = external(source, service_account_impersonation_url=ACCOUNT)
        self.assert_kept(self.sync(key), "eyJ.subject-of-the-url.x")
        self.assertEqual({r.form["subject_token"] for r in self.identity.asked("sts.googleapis.com")},
                         {"eyJ.subject-of-the-file.x", "eyJ.subject-of-the-url.x"})

    def test_metadata_server(self):
        self.assert_kept(self.sync())
        self.assertEqual({(r.host, r.headers["metadata-flavor"]) for r in self.identity.requests},
                         {(METADATA, "Google")})


class FromAws(CredentialsCase):
    KEY = external({"environment_id": "aws1", "url": "https://stranger.example/role", "region_url":
                    "https://stranger.example/zone", "regional_cred_verification_url": "https://stranger.example/?a=b"},
                   subject_token_type="urn:ietf:params:aws:token-type:aws4_request")

    def assert_signed(self, request, secret, region):
        """As botocore signs the request of which the subject token tells."""
        told = json.loads(urllib.parse.unquote(request.form["subject_token"]))
        headers = {header["key"]: header["value"] for header in told["headers"]}
        url = f"https://sts.{region}.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15"
        self.assertEqual((told["method"], told["url"]), ("POST", url))
        self.assertEqual(headers["x-goog-cloud-target-resource"], AUDIENCE)
        found = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/.*, SignedHeaders=(\S+), Signature=(\S+)",
                             headers.pop("authorization"))
        self.assertEqual(found[2], ";".join(sorted(headers)), "all of them are signed")
        auth = SigV4Auth(Credentials(found[1], secret, headers.get("x-amz-security-token")), "sts", region)
        again = AWSRequest("POST", told["url"], headers=headers)
        again.context["timestamp"] = headers["x-amz-date"]
        text = auth.string_to_sign(again, auth.canonical_request(again))
        self.assertEqual(found[3], auth.signature(text, again))
        return found[1]

    def test_keys_of_the_environment(self):
        tool = self.sync(self.KEY, **KEYS)
        for request in self.identity.asked("sts.googleapis.com"):
            self.assertEqual(self.assert_signed(request, KEYS["AWS_SECRET_ACCESS_KEY"], "eu-west-1"), "AKIAFEDERATED")
        self.assert_kept(tool, KEYS["AWS_SECRET_ACCESS_KEY"], KEYS["AWS_SESSION_TOKEN"])
        self.assertEqual(len(self.identity.requests), 2)

    def test_an_instance(self):
        self.identity.extra.update({
            "/latest/api/token": "token-of-the-metadata", "/latest/meta-data/iam/security-credentials/": "my-role",
            "/latest/meta-data/placement/region": "ap-south-2",
            "/latest/meta-data/iam/security-credentials/my-role": json.dumps(
                {"Code": "Success", "AccessKeyId": "ASIAROLE", "SecretAccessKey": "secret-of-the-role", "Token":
                 "session-of-the-role", "Expiration": "2099-01-01T00:00:00Z"})})
        tool = self.sync({**self.KEY, "service_account_impersonation_url": ACCOUNT}, AWS_EC2_METADATA_DISABLED="false")
        for request in self.identity.asked("sts.googleapis.com"):
            self.assertEqual(self.assert_signed(request, "secret-of-the-role", "ap-south-2"), "ASIAROLE")
        self.assert_kept(tool, "secret-of-the-role", "session-of-the-role", "token-of-the-metadata")


class CloudRun(CredentialsCase):
    """examples/cloud-run/service.yaml, with what Cloud Run sets besides."""

    def setUp(self):
        super().setUp()
        path = example("cloud-run/service.yaml")
        self.spec = yaml.safe_load(path.read_text())["spec"]["template"]["spec"]
        [self.container] = self.spec["containers"]
        self.env = {variable["name"]: variable["value"] for variable in self.container["env"]}
        self.source, self.destination = (self.google.bucket(self.env[name].removeprefix("gs://")) for name in (
            "DEV_STORAGE_BUCKET", "PROD_STORAGE_BUCKET"))
        self.source.put("public/a")

    def start_revision(self, name):
        set_there = {"K_SERVICE": "my-app", "K_CONFIGURATION": "my-app", "K_REVISION": name, "PORT": "3000",
                     "REPL_ID": "for Replit's login", "REPLIT_DOMAINS": "an app that has moved keeps both"}
        app = self.app()
        tool = self.run_tool("--", app.path, env={**self.env, **set_there, "NODE_ENV": "production"})
        self.assertEqual((tool.code, app.started, tool.status["deploymentId"]), (0, True, name))
        return tool.status["state"]

    def test_a_revision_is_a_deployment(self):
        self.assertEqual(self.start_revision("my-app-00001-abc"), "synced")
        self.assertEqual(self.destination.contents(), self.source.contents())
        self.assertEqual(self.start_revision("my-app-00001-abc"), "already-synced")
        self.assertEqual(self.start_revision("my-app-00002-def"), "too-soon")
        self.assertEqual({r.host for r in self.identity.requests}, {METADATA})
        self.assertEqual(self.destination.markers(), ["my-app-00001-abc.json"])

    def test_its_times(self):
        probe = self.container["startupProbe"]
        most = probe["periodSeconds"] * probe["failureThreshold"]
        self.assertLessEqual(most, 240, "Cloud Run's limit")
        self.assertLess(int(self.env["STORSYNC_TIMEOUT"].removesuffix("m")) * 60, most - 30)
        self.assertEqual(probe["tcpSocket"]["port"], self.container["ports"][0]["containerPort"])
        self.assertRegex(self.spec["serviceAccountName"], r"@[a-z-]+\.iam\.gserviceaccount\.com$")


class Astray(CredentialsCase):
    """Somebody would like to have the token."""

    def test_a_redirect_is_not_followed(self):
        away = {"Location": "https://stranger.example/storage/v1/b/dev-bucket/o"}
        for status in (301, 302, 307, 308):
            self.front.fault(proxyfault.answer(status, b"", away), times=proxyfault.FOREVER)
            self.assert_kept(self.sync(USER, code=69, STORSYNC_RETRIES="0"))
            self.front.clear()

    def test_what_quotes_the_token(self):
        """A service that repeats it in an error does not bring it into the log."""
        def quote(x):
            token = x.request.headers["authorization"]
            proxyfault.answer(403, error_body(403, "forbidden", f"Not with {token}, my friend"))(x)

        self.front.fault(quote, times=proxyfault.FOREVER)
        tool = self.sync(USER, code=77)
        self.assert_kept(tool, USER["client_secret"])

    def test_the_words_of_the_token_service(self):
        self.identity.status = 400
        self.identity.answer = lambda request: json.dumps({"error": "invalid_grant", "error_description": request.body})
        tool = self.sync(USER, code=77)
        self.assertIn("the login is over", tool.err)
        self.assert_kept(tool, USER["client_secret"], USER["refresh_token"])


# --- rights ---

EVERY = {"storage.objects.list", "storage.objects.get", "storage.objects.create", "storage.objects.delete",
         "storage.objects.update"}


class Rights(AccessCase):
    """The roles of docs/RIGHTS.md: enough, and none of their permissions too many."""

    def setUp(self):
        super().setUp()
        self.server = GoogleStorage().start()
        self.addCleanup(self.server.stop)
        self.source = self.server.bucket("my-dev-storage")
        self.destination = self.server.bucket("my-production-storage")
        for key in ("public/a", "private/b"):
            self.source.put(key, "x")
        text = (CHECKOUT / "docs/RIGHTS.md").read_text()
        blocks = [yaml.safe_load(block) for block in re.findall(r"(?ms)^```yaml\n(.*?)^```$", text)]
        roles = [set(block["includedPermissions"]) for block in blocks if "includedPermissions" in block]
        self.roles = dict(zip(("source", "destination"), roles, strict=True))
        [self.condition] = [block["expression"] for block in blocks if "expression" in block]

    def allow(self, side=None, without=None):
        for name, role in self.roles.items():
            missing = {without} if name == side else set()
            getattr(self, name).denied = EVERY - role | missing

    def sync(self, deployment):
        return self.tool("--", "/bin/true", env=production(self.source, self.destination, deployment,
                                                           STORSYNC_MIN_INTERVAL="0", STORSYNC_ON_FAILURE="stop"))

    def test_they_are_enough(self):
        self.allow()
        for deployment in ("d1", "d2"):
            self.source.put("public/a", deployment)  # a new one, and one that is replaced
            tool = self.sync(deployment)
            self.assertEqual((tool.code, tool.status["state"], tool.warnings), (0, "synced", []))
        self.assertEqual(self.destination.contents(), self.source.contents())
        prefixes = re.findall(r'startsWith\("projects/_/buckets/my-production-storage/objects/(.*?)"\)', self.condition)
        self.assertEqual(len(prefixes), 3)
        touched = {urllib.parse.unquote(name) for r in self.server.requests
                   for name in re.findall(r"/b/my-production-storage/o/([^/?]+)|[?&]name=([^&]+)", r.target)
                   for name in name if name}
        self.assertGreater(len(touched), 5)
        self.assertEqual([name for name in touched if not name.startswith(tuple(prefixes))], [])

    def test_each_is_needed(self):
        self.allow()
        self.assertEqual(self.sync("d0").code, 0)
        for side, role in self.roles.items():
            for right in sorted(role):
                with self.subTest(side=side, without=right):
                    self.allow(side, right)
                    self.source.put("public/a", f"{side} {right}")
                    self.assertIn(f"the credentials need {right}", self.sync(f"{side}-{right}").err)

    def test_check_access_names_what_is_missing(self):
        env = {**self.source.env("source"), **self.destination.env("destination")}
        self.destination.put("public/b")
        self.allow()
        self.assertEqual(not_ok(self.check(0, env)), {})
        self.assertEqual(self.destination.keys(), ["public/b"])
        rows = {("source", "list"): {"list": "missing", "read": "not asked", "read-tags": "not asked"},
                ("source", "get"): {"read": "missing"},
                ("destination", "list"): {"list": "missing"}, ("destination", "get"): {"read": "missing"},
                ("destination", "create"): {"write": "missing", "create-if-absent": "not asked"},
                # With the probe that an earlier check has left.
                ("destination", "delete"): {"write": "missing", "create-if-absent": "not asked", "remove": "missing"}}
        for (side, right), expected in rows.items():
            with self.subTest(side=side, without=right):
                self.allow(side, f"storage.objects.{right}")
                if right == "delete":
                    self.destination.put(PROBE)
                tool = self.check(77, env)
                self.assertEqual(not_ok(tool), {f"{side} {name}": state for name, state in expected.items()})
                for name in (name for name, state in expected.items() if state == "missing"):
                    self.assertEqual(rights(tool, side)[name]["permission"], f"storage.objects.{right}")
                self.destination.objects.pop(PROBE, None)

    def test_check_access_with_one_write_a_second(self):
        """Its three writes are to one name."""
        self.server.one_a_second = True
        tool = self.tool("--check-access", "--json", env={
            **self.source.env("source"), **self.destination.env("destination"), "STORSYNC_RETRIES": "10"})
        self.assertEqual((tool.code, not_ok(tool)), (0, {}))
        self.assertIn(429, [r.status for r in self.server.requests])
