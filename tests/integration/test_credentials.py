"""Credentials that are not simply set: roles of a real STS service, shared files, containers and instances."""
import json
from pathlib import Path

import identity
import proxyfault
import rgw
from harness import RUN, TestCase
from proxyfault import FOREVER, answer, delay, s3_error, stall

NO_KEYS = {"access_key_id": None, "secret_access_key": None}
CONTAINER, EKS, INSTANCE = "169.254.170.2", "169.254.170.23", "169.254.169.254"


def issuer():
    """One for all tests of a run, trusted by the first RGW; and the role that its tokens may assume."""
    if "issuer" not in RUN.cache:
        found = identity.Issuer(RUN.tmp)
        RUN.cache["issuer"] = found, identity.trust(RUN.rgw(), found, rgw.ALICE, "web")
    return RUN.cache["issuer"]


class CredentialsCase(TestCase):
    """Two buckets of Alice, the source with `count` objects, and no keys."""

    count = 3

    def setUp(self):
        super().setUp()
        self.server = RUN.rgw()
        self.issuer, self.role = issuer()
        self.source, self.destination = self.s3_bucket(), self.s3_bucket()
        for number in range(self.count):
            self.source.put(f"public/{number}", b"x" * 1000)
        self.secrets = set()  # what nobody may see
        self.token_file = self.dir / "token"

    def write_token(self, token):
        self.secrets.add(token)
        new = self.dir / "token.new"
        new.write_text(token)
        new.rename(self.token_file)  # as kubelet does

    def env(self, endpoint=None, **more):
        return {**self.source.env("source", endpoint, **NO_KEYS), **self.destination.env("destination", endpoint, **NO_KEYS),
                "STORSYNC_LOG_LEVEL": "debug", "STORSYNC_RETRIES": "2", **more}

    def web_identity(self, sts=None, endpoint=None, **more):
        """The environment of a pod with a projected token."""
        self.write_token(self.issuer.token())
        return self.env(endpoint, AWS_ROLE_ARN=self.role, AWS_WEB_IDENTITY_TOKEN_FILE=str(self.token_file),
                        AWS_ENDPOINT_URL_STS=sts or self.server.endpoint, **more)

    def shared_file(self, text):
        path = self.dir / "config"
        path.write_text(text)
        return str(path)

    def session(self):
        """Credentials of a session at the real STS, as a metadata service hands them out."""
        keys = self.server.sts().assume_role_with_web_identity(
            RoleArn=self.role, RoleSessionName="test", WebIdentityToken=self.issuer.token())["Credentials"]
        self.secrets |= {keys["SecretAccessKey"], keys["SessionToken"]}
        return {"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": keys["AccessKeyId"],
                "SecretAccessKey": keys["SecretAccessKey"], "Token": keys["SessionToken"],
                "Expiration": keys["Expiration"].strftime("%Y-%m-%dT%H:%M:%SZ")}

    def check_secrets(self, tool):
        """Neither log, status nor print-out has a token or a secret, or a good part of one."""
        seen = tool.err + tool.out + (self.status_file.read_text() if self.status_file.exists() else "")
        for secret in self.secrets:
            for part in (secret, secret[:24], secret[-24:]):
                self.assertNotIn(part, seen)

    def sync(self, env, code=0, **how):
        """A sync that ends with `code`, or after which everything is there."""
        tool = self.start("--sync", env=env, **how)
        self.assert_command_line(tool)
        tool.wait()
        self.check_secrets(tool)
        self.assertEqual(tool.code, code)
        if code == 0:
            self.assertEqual(self.destination.keys("public/"), self.source.keys("public/"))
        return tool

    def assert_command_line(self, tool):
        try:
            line = Path(f"/proc/{tool.pid}/cmdline").read_text()
        except OSError:
            return
        for secret in self.secrets:
            self.assertNotIn(secret, line)


def posts(requests):
    return [r for r in requests if r.method == "POST" and r.path == "/"]


# --- STS ---

class WebIdentity(CredentialsCase):
    def test_projected_token(self):
        """A token file and a role are enough, and each side asks once."""
        mark = self.server.mark()
        tool = self.sync(self.web_identity())
        self.assertEqual(len(posts(self.server.requests_since(mark))), 2)
        self.assertIn(f"role {self.role} with the token in {self.token_file}", tool.err)

    def test_each_side_for_itself(self):
        """The source has a role, the destination a key."""
        env = {**self.web_identity(), **self.destination.env("destination")}
        for name in ("ROLE_ARN", "WEB_IDENTITY_TOKEN_FILE"):
            env[f"STORSYNC_SOURCE_{name}"] = env.pop(f"AWS_{name}")
        mark = self.server.mark()
        self.sync(env)
        self.assertEqual(len(posts(self.server.requests_since(mark))), 1)

    def test_keys_come_first(self):
        """A token that nobody accepts does not matter when there are keys."""
        env = self.web_identity(AWS_ACCESS_KEY_ID=rgw.ALICE.access_key, AWS_SECRET_ACCESS_KEY=rgw.ALICE.secret_key)
        self.write_token("nonsense-nonsense-nonsense")
        self.sync(env)

    def test_token_of_somebody_else(self):
        env = self.web_identity()
        self.write_token(self.issuer.token(aud="another"))
        tool = self.sync(env, code=77)
        self.assertRegex(tool.err, "role .* with the token in .*: the role may not be assumed: check its trust policy")

    def test_token_that_has_expired(self):
        env = self.web_identity()
        self.write_token(self.issuer.token(life=-600))
        self.assertIn("HTTP 403", self.sync(env, code=77).err)

    def test_token_file_is_missing(self):
        env = self.web_identity()
        self.token_file.unlink()
        self.assertIn(f"cannot open {self.token_file}", self.sync(env, code=77).err)

    def test_half_a_role(self):
        env = self.env(AWS_ROLE_ARN=self.role)
        self.assertIn("role_arn is set, but web_identity_token_file is not", self.sync(env, code=78).err)

    def test_throttled(self):
        """What STS says when there are too many asks, and a service that is down for a moment."""
        for status, body in ((400, s3_error("Throttling")), (503, "busy"), (429, "")):
            with self.subTest(status):
                sts = self.proxy(self.server.endpoint)
                sts.fault(answer(status, body), method="POST")
                self.sync(self.web_identity(sts.endpoint))
                self.assertEqual(len(sts.requests), 3)

    def test_service_is_away(self):
        env = self.web_identity(f"http://127.0.0.1:{proxyfault.closed_port()}")
        self.assertIn("cannot connect", self.sync(env, code=69).err)

    def test_service_redirects(self):
        """A token goes where it was told to go, and nowhere else."""
        other = self.proxy()
        sts = self.proxy()
        sts.fault(answer(307, headers={"Location": other.endpoint}), times=FOREVER)
        self.assertIn("redirects", self.sync(self.web_identity(sts.endpoint), code=77).err)
        self.assertEqual(other.requests, [])

    def test_error_that_quotes_the_token(self):
        env = self.web_identity()
        token = self.token_file.read_text()
        sts = self.proxy()
        sts.fault(answer(400, s3_error("InvalidIdentityToken", f"cannot read {token}")), times=FOREVER)
        env["AWS_ENDPOINT_URL_STS"] = sts.endpoint
        self.assertIn("does not accept the web identity token", self.sync(env, code=77).err)


class SessionEnds(CredentialsCase):
    """RGW's sessions of a few seconds, in a sync that takes longer."""

    count = 60

    def profile(self, seconds):
        return self.shared_file(f"[default]\nrole_arn = {self.role}\nduration_seconds = {seconds}\n"
                                f"web_identity_token_file = {self.token_file}\n")

    def slow_front(self):
        """In front of the real S3: every copy takes 0.2 s."""
        front = self.proxy(self.server.endpoint)
        front.fault(delay(0.2), method="PUT", target="/public/", times=FOREVER)
        return front

    def test_renewed_in_time(self):
        """Sessions of 6 s in a sync of 12 s, and a new token after the first: the old one is good for 8 s only."""
        self.write_token(self.issuer.token(life=8))
        env = self.env(self.slow_front().endpoint, AWS_CONFIG_FILE=self.profile(6), STORSYNC_CONCURRENCY="1",
                       AWS_ENDPOINT_URL_STS=self.server.endpoint)
        mark = self.server.mark()
        tool = self.start("--sync", env=env)
        tool.wait_for(lambda: "Synced: " in tool.err)
        self.write_token(self.issuer.token())
        tool.wait()
        self.check_secrets(tool)
        self.assertEqual(tool.code, 0)
        requests = self.server.requests_since(mark)
        self.assertGreaterEqual(len(posts(requests)), 4)
        self.assertEqual([r for r in requests if r.status >= 400 and r.path.startswith("/bucket")
                          and ".storsync" not in r.path], [], "no request was made with a key that had ended")
        self.assertEqual(len(self.destination.keys("public/")), self.count)

    def test_ended_by_the_service(self):
        """What AWS says of a session that is over: one renewal for all who hear it, one more attempt for each."""
        first = []

        def end_first_session(x):
            first.append(x.request.headers["x-amz-security-token"])
            refuse = first[-1] == first[0]
            (answer(400, s3_error("ExpiredToken")) if refuse else proxyfault.passthrough)(x)

        front = self.proxy(self.server.endpoint)
        front.fault(end_first_session, method="PUT", target="/public/", skip=4, times=FOREVER)
        sts = self.proxy(self.server.endpoint)
        self.sync(self.web_identity(sts.endpoint, front.endpoint))
        self.assertEqual(len(sts.requests), 3)
        refused = [r.target for r in front.requests if r.status == 400]
        self.assertGreater(len(refused), 0)
        self.assertEqual(len(refused), len({*refused}))

    def test_ended_by_the_service_for_ever(self):
        """New keys that are refused as well do not become a storm."""
        front = self.proxy(self.server.endpoint)
        front.fault(answer(400, s3_error("ExpiredToken")), method="PUT", target="/public/", times=FOREVER)
        sts = self.proxy(self.server.endpoint)
        tool = self.sync(self.web_identity(sts.endpoint, front.endpoint), code=77)
        self.assertLessEqual(len(sts.requests), 4)
        self.assertIn("the session token has expired", tool.err)

    def test_real_end_that_was_not_foreseen(self):
        """The session ends while a request is on its way: RGW says AccessDenied, and it is made again."""
        self.write_token(self.issuer.token())
        front = self.proxy(self.server.endpoint)
        front.fault(delay(7), method="GET", target="list-type=2", times=1)
        env = self.env(front.endpoint, AWS_CONFIG_FILE=self.profile(6), AWS_ENDPOINT_URL_STS=self.server.endpoint)
        self.sync(env)
        refused = [r for r in front.requests if r.status == 403]
        self.assertEqual(len(refused), 1)
        self.assertIn("list-type=2", refused[0].target)

    def test_renewal_fails_while_the_old_key_is_good(self):
        """STS is down at the first renewal: nobody notices but the log."""
        self.write_token(self.issuer.token())
        sts = self.proxy(self.server.endpoint)
        sts.fault(answer(503, "busy"), skip=2, times=1)
        env = self.env(self.slow_front().endpoint, AWS_CONFIG_FILE=self.profile(6), STORSYNC_CONCURRENCY="1",
                       AWS_ENDPOINT_URL_STS=sts.endpoint, STORSYNC_RETRIES="0")
        tool = self.sync(env)
        self.assertIn("warning: credentials not renewed, and those in use end in ", tool.err)
        self.assertNotIn("Failed: ", tool.err.replace("Failed: 0", ""))


class AssumedRole(CredentialsCase):
    """A profile whose role is assumed with a key: RGW checks the signature."""

    def setUp(self):
        super().setUp()
        if "assumed" not in RUN.cache:
            policy = {"Version": "2012-10-17",
                      "Statement": [{"Effect": "Allow", "Action": ["sts:AssumeRole"],
                                     "Principal": {"AWS": [f"arn:aws:iam:::user/{rgw.BOB.name}"]}}]}
            RUN.cache["assumed"] = identity.make_role(self.server.iam(), "assumed", policy)
        self.secrets.add(rgw.BOB.secret_key)

    def profile(self, secret=rgw.BOB.secret_key):
        return self.shared_file(f"[default]\nrole_arn = {RUN.cache['assumed']}\nsource_profile = bob\n"
                                f"endpoint_url = {self.server.endpoint}\nregion = {rgw.REGION}\n"
                                f"s3 =\n    addressing_style = path\n\n"
                                f"[profile bob]\naws_access_key_id = {rgw.BOB.access_key}\n"
                                f"aws_secret_access_key = {secret}\n")

    def test_assumed(self):
        """Everything but the bucket's names comes from the profile, the endpoint as well."""
        env = self.env(AWS_CONFIG_FILE=self.profile())
        for side in ("SOURCE", "DESTINATION"):
            del env[f"STORSYNC_{side}_ENDPOINT"], env[f"STORSYNC_{side}_REGION"]
        tool = self.sync(env)
        self.assertIn('profile "default" of ', tool.err)

    def test_wrong_secret(self):
        tool = self.sync(self.env(AWS_CONFIG_FILE=self.profile("wrong")), code=77)
        self.assertIn('profile "default" of ', tool.err)

    def test_keys_of_a_profile(self):
        """Bob's own keys, which may not read Alice's bucket; named for one side, Alice's for the other."""
        env = self.env(AWS_CONFIG_FILE=self.profile(), STORSYNC_SOURCE_PROFILE="bob", **{
            f"STORSYNC_DESTINATION_{k}": v for k, v in (("ACCESS_KEY_ID", rgw.ALICE.access_key),
                                                        ("SECRET_ACCESS_KEY", rgw.ALICE.secret_key))})
        self.assertIn("access denied", self.sync(env, code=77).err)
        tool = self.succeed("--print-config", env=env)
        self.assertIn(f'; credentials of the source: profile "bob" of {env["AWS_CONFIG_FILE"]}', tool.out)
        self.assertIn("; credentials of the destination: access_key_id and secret_access_key", tool.out)
        self.check_secrets(tool)

    def test_profile_that_is_not_there(self):
        env = self.env(AWS_CONFIG_FILE=self.profile(), AWS_PROFILE="carol")
        self.assertIn('profile "carol" is in neither', self.sync(env, code=78).err)
        self.assertEqual(self.tool("--check-config", env=env).code, 78)


# --- metadata services ---

class MetadataCase(CredentialsCase):
    """Small stand-ins for the services, which hand out sessions of the real STS."""

    def service(self, *faults, **how):
        """One that answers as `faults` say, each once."""
        service = proxyfault.FaultProxy(**how).start()
        self.addCleanup(service.stop)
        for fault in faults:
            service.fault(fault)
        return service

    def container_service(self, *faults, **how):
        service = self.service(*faults, **how)
        service.fault(answer(200, json.dumps(self.session())), method="GET", target="^/v[12]/credentials", times=FOREVER)
        return service

    def container(self, service, **more):
        return self.env(AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{service.endpoint}/v1/credentials", **more)

    def instance_service(self, *faults, **how):
        """EC2's, version 2 only: nothing without a token."""
        service = self.service(*faults, **how)
        token, role = "imds-token-0123456789==", "/latest/meta-data/iam/security-credentials/"
        self.secrets.add(token)

        def needs_token(body):
            def action(x):
                given = x.request.headers.get("x-aws-ec2-metadata-token")
                answer(200 if given == token else 401, body if given == token else "")(x)
            return action
        service.fault(answer(200, token), method="PUT", target="^/latest/api/token$", times=FOREVER)
        service.fault(needs_token("my-role\n"), method="GET", target=f"^{role}$", times=FOREVER)
        service.fault(needs_token(json.dumps(self.session())), method="GET", target=f"^{role}my-role$", times=FOREVER)
        return service

    def instance(self, endpoint=None, **more):
        if endpoint:
            more["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = endpoint
        return self.env(AWS_EC2_METADATA_DISABLED="false", **more)


class Container(MetadataCase):
    def test_full_uri_and_token_file(self):
        service = self.container_service()
        self.write_token("pod-identity-token-0123456789")
        self.sync(self.container(service, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(self.token_file),
                                 AWS_CONTAINER_AUTHORIZATION_TOKEN="the-file-comes-first"))
        self.assertEqual([r.headers.get("authorization") for r in service.requests],
                         ["pod-identity-token-0123456789"] * 2)

    def test_throttled(self):
        self.sync(self.container(self.container_service(answer(429, "{}"), answer(500, "{}"))))

    def test_refused(self):
        for status in (400, 401, 403, 404):
            with self.subTest(status):
                nope = answer(status, '{"code": "Nope", "message": "says the agent"}')
                tool = self.sync(self.container(self.container_service(nope, nope)), code=77)
                self.assertIn(f"refuses (HTTP {status}, Nope: says the agent)", tool.err)

    def test_silent(self):
        """It is given up after a few seconds."""
        service = self.container_service(stall(), stall())
        tool = self.sync(self.container(service, STORSYNC_RETRIES="0"), code=75)
        self.assertIn("the container's endpoint for credentials: ", tool.err)

    def test_token_with_a_line_break(self):
        service = self.container_service()
        self.write_token("pod-identity-token\r\nx-evil: yes")
        tool = self.sync(self.container(service, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(self.token_file)), code=77)
        self.assertIn("does not hold a token", tool.err)
        self.assertEqual(service.requests, [])

    def test_address_of_somebody_else(self):
        env = self.env(AWS_CONTAINER_CREDENTIALS_FULL_URI="http://credentials.example/")
        self.assertIn("plain http goes only to", self.sync(env, code=78).err)


class Instance(MetadataCase):
    def test_role(self):
        service = self.instance_service()
        tool = self.sync(self.instance(service.endpoint))
        self.assertEqual(len(service.requests), 6)
        self.assertIn("credentials: EC2 instance metadata", tool.err)

    def test_throttled(self):
        service = self.instance_service(answer(503))
        service.fault(answer(429), method="GET")
        self.sync(self.instance(service.endpoint))

    def test_no_role(self):
        service = self.service()
        service.fault(answer(200, "token"), method="PUT", times=FOREVER)
        service.fault(answer(404, "<html>"), method="GET", times=FOREVER)
        self.assertIn("no role is attached to this instance", self.sync(self.instance(service.endpoint), code=77).err)

    def test_switched_off(self):
        service = self.service()
        service.fault(answer(403), times=FOREVER)
        self.assertIn("gives no token", self.sync(self.instance(service.endpoint), code=77).err)

    def test_nobody_there(self):
        """A machine that is no instance finds out soon."""
        service = self.service()
        service.fault(stall(), times=FOREVER)
        for endpoint in (service.endpoint, f"http://127.0.0.1:{proxyfault.closed_port()}"):
            tool = self.sync(self.instance(endpoint), code=77)
            self.assertIn("no credentials: set AWS_ACCESS_KEY_ID", tool.err)
        self.assertLessEqual(len(service.requests), 2)


class RealAddresses(MetadataCase):
    """Where the services really are, in a network namespace; and a proxy that does not exist, which nobody may ask."""

    def setUp(self):
        super().setUp()
        if RUN.tls:
            self.skipTest("the S3 server in the namespace is the one without TLS")
        self.space = self.network(f"{CONTAINER}/32", f"{EKS}/32", f"{INSTANCE}/32")
        self.service(upstream=self.server.endpoint, listener=self.space.listen("127.0.0.1", self.server.port))
        self.proxy = {"http_proxy": "http://127.0.0.1:1", "no_proxy": "127.0.0.1"}

    def inside(self, env):
        return self.sync({**env, **self.proxy}, prefix=self.space.prefix)

    def test_task_of_ecs(self):
        service = self.container_service(listener=self.space.listen(CONTAINER, 80))
        self.inside(self.env(AWS_CONTAINER_CREDENTIALS_RELATIVE_URI="/v2/credentials/0123"))
        self.assertEqual([r.target for r in service.requests], ["/v2/credentials/0123"] * 2)

    def test_pod_identity_of_eks(self):
        service = self.container_service(listener=self.space.listen(EKS, 80))
        self.write_token("pod-identity-token-0123456789")
        self.inside(self.env(AWS_CONTAINER_CREDENTIALS_FULL_URI=f"http://{EKS}/v1/credentials",
                             AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(self.token_file)))
        self.assertEqual([r.headers.get("authorization") for r in service.requests],
                         ["pod-identity-token-0123456789"] * 2)

    def test_instance_of_ec2(self):
        service = self.instance_service(listener=self.space.listen(INSTANCE, 80))
        self.inside(self.instance())
        self.assertEqual(len(service.requests), 6)

    def test_nobody_there(self):
        """Nothing listens, or nothing is there at all."""
        tool = self.sync({**self.instance(), **self.proxy}, code=77, prefix=self.space.prefix)
        self.assertIn("no credentials: set AWS_ACCESS_KEY_ID", tool.err)
