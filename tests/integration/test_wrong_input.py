"""Every mistake of a new user: one clear line, the documented exit code, and an application that still starts."""
import os

import proxyfault
import rgw
from harness import RUN, TestCase, production


class MistakeCase(TestCase):
    """A test says what is wrong; `mistake` checks both failure policies."""

    def setUp(self):
        super().setUp()
        self.source, self.destination = self.dir_bucket(), self.dir_bucket()
        self.source.put("public/a", "a")
        self.env = production(self.source, self.destination, STORSYNC_RETRIES="1", STORSYNC_CONNECT_TIMEOUT="1s")

    def mistake(self, code, *words, args=(), env=None, nobody=False, local=False):
        env = {**self.env, **(env or {})}
        app = self.app()
        tool = self.tool(*args, "--", app.path, env=env, nobody=nobody)
        self.assertEqual((tool.code, app.started), (0, True), "the application starts whatever happens")
        self.assertEqual(tool.status["state"], "failed")
        self.assertFalse(tool.status["success"])
        self.one_clear_line(tool, words)

        app = self.app()
        tool = self.tool("--on-failure", "stop", *args, "--", app.path, env=env, nobody=nobody)
        self.assertEqual((tool.code, app.started), (code, False))
        self.one_clear_line(tool, words)
        alone = self.tool("--sync", *args, env=env, nobody=nobody)
        self.assertEqual(alone.code, code)
        if code == 78 or local:  # what a run finds before it asks anybody, the check finds, in the same words
            check = self.tool("--check-config", *args, env=env, nobody=nobody)
            self.assertEqual(check.code, 78, check.err)
            self.one_clear_line(check, words)

    def one_clear_line(self, tool, words):
        self.assertEqual(len(tool.errors), 1, tool.err)
        for word in words:
            self.assertIn(word.lower(), tool.errors[0].lower())
        self.assertLess(len(tool.errors[0]), 500)


class Directories(MistakeCase):
    def test_missing_source_directory(self):
        self.mistake(69, "missing", env={"STORSYNC_SOURCE_BUCKET": f"file://{self.dir}/missing"}, local=True)

    def test_missing_destination_directory(self):
        self.mistake(69, "missing", env={"STORSYNC_DESTINATION_BUCKET": f"file://{self.dir}/missing"}, local=True)

    def test_bucket_is_a_file(self):
        (self.dir / "file").write_text("x")
        env = {"STORSYNC_SOURCE_BUCKET": f"file://{self.dir}/file"}
        self.mistake(69, str(self.dir / "file"), env=env, local=True)

    def test_unreadable_source_directory(self):
        self.source.root.chmod(0)
        self.destination.root.chmod(0o777)
        self.mistake(77, "permission", nobody=True, local=True)

    def test_unwritable_destination(self):
        self.destination.root.chmod(0o555)
        app = self.app()
        self.succeed("--", app.path, env=self.env, nobody=True)
        self.assertTrue(app.started)
        self.assertIn(self.tool("--sync", env=self.env, nobody=True).code, (2, 77))


class Addresses(MistakeCase):
    def s3(self, endpoint, bucket="bucket"):
        return {"STORSYNC_SOURCE_BUCKET": bucket, "STORSYNC_SOURCE_ENDPOINT": endpoint,
                "STORSYNC_SOURCE_REGION": "us-east-1", "STORSYNC_SOURCE_ACCESS_KEY_ID": "AKID",
                "STORSYNC_SOURCE_SECRET_ACCESS_KEY": "swordfish"}

    def test_nobody_listens(self):
        port = proxyfault.closed_port()
        self.mistake(69, str(port), "refused", env=self.s3(f"http://127.0.0.1:{port}"))

    def test_host_does_not_exist(self):
        self.mistake(69, "no-such-host.invalid", env=self.s3("https://no-such-host.invalid:9"))

    def test_address_that_swallows_everything(self):
        with proxyfault.BlackHole() as hole:
            self.mistake(69, str(hole.port), env=self.s3(hole.endpoint))

    def test_endpoint_is_a_web_site(self):
        self.mistake(69, "S3", env=self.s3(self.proxy().endpoint))

    def test_endpoint_answers_404_with_html(self):
        site = self.proxy()
        site.fault(proxyfault.answer(404, "<html><body>Not found</body></html>"), times=proxyfault.FOREVER)
        self.mistake(69, env=self.s3(site.endpoint))

    def test_endpoint_speaks_no_http(self):
        site = self.proxy()
        site.fault(lambda x: x.client.send(b"220 mail.example ESMTP\r\n"), times=proxyfault.FOREVER)
        self.mistake(69, env=self.s3(site.endpoint))

    def test_https_to_a_server_without_tls(self):
        self.mistake(69, env=self.s3(self.proxy().endpoint.replace("http://127.0.0.1", "https://localhost")))

    def test_plain_http_to_another_machine(self):
        env = self.s3("http://no-such-host.invalid:9")
        self.mistake(78, "http://no-such-host.invalid:9", "not encrypted", "allow_http", env=env)
        self.mistake(69, "resolved", env={**env, "STORSYNC_SOURCE_ALLOW_HTTP": "yes"})

    def test_endpoint_is_nonsense(self):
        self.mistake(78, "source", "endpoint", env=self.s3("not a url"))

    def test_no_credentials_at_all(self):
        env = self.s3(self.proxy().endpoint)
        del env["STORSYNC_SOURCE_ACCESS_KEY_ID"], env["STORSYNC_SOURCE_SECRET_ACCESS_KEY"]
        env["AWS_EC2_METADATA_DISABLED"] = "true"
        self.mistake(77, "no credentials", "AWS_ACCESS_KEY_ID", env=env)

        self.assertEqual(self.tool("--check-config", env={**self.env, **env}).code, 78)

    def test_values_that_no_service_can_have(self):
        cases = [("ENDPOINT", "minio:9000"), ("ENDPOINT", "https://me:swordfish@s3.example.net"),
                 ("ENDPOINT", "ftp://minio"), ("BUCKET", "s3://dev/uploads"), ("BUCKET", '"dev"'),
                 ("BUCKET", "https://prod.s3.amazonaws.com/"), ("BUCKET", "s3://me:swordfish@dev"), ("BUCKET", "gs://dev/uploads"),
                 ("REGION", "eu-west-1 # Frankfurt"), ("CA_FILE", f"{self.dir}/missing.pem"), ("PROFILE", "nobody")]
        for side in ("SOURCE", "DESTINATION"):
            for name, value in cases:
                with self.subTest(side=side, setting=f"{name}={value}"):
                    env = {key.replace("SOURCE", side): text for key, text in self.s3("https://s3.example.net").items()}
                    if name == "PROFILE":
                        del env[f"STORSYNC_{side}_ACCESS_KEY_ID"], env[f"STORSYNC_{side}_SECRET_ACCESS_KEY"]
                    self.mistake(78, side, env={**env, f"STORSYNC_{side}_{name}": value})
                    self.assertNotIn("swordfish", "".join(tool.err + tool.out for tool in self.tools))

    def test_endpoints_that_only_aws_has(self):
        """A demand for validated cryptography that cannot be met is not passed over."""
        env = {**self.env, **self.s3("https://s3.example.net"), "AWS_USE_FIPS_ENDPOINT": "true"}
        tool = self.succeed("--check-config", env=env)
        self.assertEqual(len([w for w in tool.warnings if "use_fips_endpoint" in w and "s3.example.net" in w]), 1)
        del env["STORSYNC_SOURCE_ENDPOINT"]
        self.assertEqual([w for w in self.succeed("--check-config", env=env).warnings if "fips" in w], [])

    def test_one_bucket_is_forgotten(self):
        """Its default is a name that anybody may own."""
        for side, variable in (("SOURCE", "DEV_STORAGE_BUCKET"), ("DESTINATION", "PROD_STORAGE_BUCKET")):
            with self.subTest(side=side):
                self.mistake(78, variable, "dedw3n-", env={f"STORSYNC_{side}_BUCKET": ""})

    def test_nothing_configured(self):
        app = self.app()
        port = proxyfault.closed_port()
        env = {"NODE_ENV": "production", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ACCESS_KEY_ID": "a",
               "AWS_SECRET_ACCESS_KEY": "s", "STORSYNC_RETRIES": "0"}
        tool = self.succeed("--", app.path, env=env)
        self.assertTrue(app.started)
        self.assertFalse(tool.status["configured"])
        check = self.succeed("--check-config", env=env)
        for name in ("dedw3n-dev-storage", "dedw3n-production-storage", "public/ and private/"):
            # A documented default is no warning at every start, but whoever checks is to know of it.
            self.assertEqual([line for line in tool.warnings if "using" in line], [])
            self.assertTrue(any(name in line and "using" in line for line in tool.err.splitlines()), tool.err)
            self.assertTrue(any(name in line for line in check.warnings), check.err)


class Configuration(MistakeCase):
    def test_path_without_a_prefix(self):
        """Everything, private objects included, is not what was meant, nor are the default prefixes."""
        self.source.put("private/passport", "a")
        for variable in ("PUBLIC_OBJECT_SEARCH_PATHS", "PRIVATE_OBJECT_DIR"):
            for path in ("shop", "/shop", "/shop/", "public/"):
                with self.subTest(variable=variable, path=path):
                    self.mistake(78, variable, "/bucket/prefix", env={variable: path})
        self.mistake(78, '"shop"', env={"PUBLIC_OBJECT_SEARCH_PATHS": "/b/public,shop"})
        self.assertEqual(self.destination.contents(state=True), {})

    def test_paths_as_people_write_them(self):
        self.source.put("img/b", "b")
        for paths in ('["/a/public", "/a/img"]', "/a/public\n/a/img\n", "s3://a/public,s3://a/img/",
                      f"{self.source.url}/public, '{self.destination.url}/img'"):
            with self.subTest(paths=paths):
                tool = self.succeed("--sync", env={**self.env, "PUBLIC_OBJECT_SEARCH_PATHS": paths})
                self.assertEqual(tool.warnings, [])
                self.assertEqual(set(self.destination.contents()), {"public/a", "img/b"})
                for key in ("public/a", "img/b"):
                    (self.destination.root / key).unlink()
        self.mistake(78, "PUBLIC_OBJECT_SEARCH_PATHS", "no sync begins", env={"PUBLIC_OBJECT_SEARCH_PATHS": "/a/b\x01"})

    def test_values_that_must_not_do_more(self):
        """The default of dry_run writes, and without an environment NODE_ENV decides."""
        for env in ({"STORSYNC_DRY_RUN": "ture"}, {"STORSYNC_ENVIRONMENT": "staging", "NODE_ENV": "production"}):
            with self.subTest(**env):
                tool = self.succeed(env={**self.env, **env})
                self.assertTrue(any([*env][0] in line for line in tool.warnings), tool.err)
                self.assertEqual(self.destination.contents(state=True), {})

    def test_switches_as_people_write_them(self):
        for value, means in [(word, True) for word in ("y", "Yes", "ON", "t", "TRUE", "1")] + [
                (word, False) for word in ("n", "No", "OFF", "f", "FALSE", "0")]:
            with self.subTest(value=value):
                tool = self.succeed("--sync", "--json",
                                    env={**self.env, "STORSYNC_DRY_RUN": value})
                self.assertFalse(any("DRY_RUN" in line for line in tool.warnings), tool.err)
                self.assertEqual(tool.json["dryRun"], means)
                self.assertEqual("public/a" in self.destination.contents(), not means)
                (self.destination.root / "public" / "a").unlink(missing_ok=True)

    def test_failure_policy_that_nobody_understands(self):
        """Whoever wrote it did not want the default: a failed sync keeps the application from its start."""
        missing = {"STORSYNC_SOURCE_BUCKET": f"file://{self.dir}/missing", "STORSYNC_MIN_INTERVAL": "0"}
        for value in ("halt", "abort", "no"):
            for env in ({"STORSYNC_ON_FAILURE": value}, {}):
                with self.subTest(value=value, **env):
                    app = self.app()
                    args = () if env else ("--on-failure", value)
                    other = {**missing, "STORSYNC_DEPLOYMENT_ID": f"{value}{len(env)}"}  # each has a backoff of its own
                    tool = self.tool(*args, "--", app.path, env={**self.env, **other, **env})
                    self.assertEqual((tool.code, app.started), (69, False))
                    told = [line for line in tool.warnings if f'"{value}"' in line and "stop" in line]
                    self.assertEqual(len(told), 1, tool.err)
                    app = self.app()  # that it cannot be understood is no failure
                    self.succeed(*args, "--", app.path, env={**self.env, **env})
                    self.assertTrue(app.started)

    def test_durations_and_sizes_as_people_write_them(self):
        env = {**self.env, "STORSYNC_TIMEOUT": "1d", "STORSYNC_WAIT": "1h30m", "STORSYNC_LEASE_TTL": "90s",
               "STORSYNC_PART_SIZE": "8MB", "STORSYNC_LOG_LEVEL": "warning", "STORSYNC_STALL_TIMEOUT": "500ms"}
        tool = self.succeed("--print-config", "--json", env=env)
        self.assertEqual(tool.err, "")
        shown = {name: tool.json[name]["value"] for name in ("timeout", "wait", "lease_ttl", "part_size", "log_level")}
        self.assertEqual(shown, {"timeout": "1d", "wait": "90m", "lease_ttl": "90s", "part_size": "8MiB",
                                 "log_level": "warn"})

    def test_pipe_that_says_nothing(self):
        path = self.dir / "pipe"
        os.mkfifo(path)
        app = self.app()
        tool = self.succeed("--config", path, "--", app.path, env=self.env)
        self.assertTrue(app.started)
        self.one_clear_line(tool, [str(path), "writer"])

    def test_files_with_secrets(self):
        """Once each, though both sides read them."""
        home = self.dir / "home" / ".aws"
        home.mkdir(parents=True)
        (home / "credentials").write_text("[odd] x\n[default]\naws_access_key_id = A\naws_secret_access_key = S\n")
        secret = self.dir / "secret"
        secret.write_text("swordfish")
        env = {**self.env, "HOME": str(self.dir / "home"), "DEV_STORAGE_BUCKET": "b", "PROD_STORAGE_BUCKET": "b",
               "STORSYNC_SOURCE_BUCKET": "", "STORSYNC_DESTINATION_BUCKET": "", "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
               "STORSYNC_RETRIES": "0"}
        ini = self.dir / "keys.ini"
        ini.write_text("[source]\nsession_token = swordfish\naccess_key_id = a\n")
        keys = {"STORSYNC_SOURCE_SECRET_ACCESS_KEY_FILE": str(secret)}
        for path, args, more in ((home / "credentials", (), {}), (secret, ("--config", ini), keys),
                                 (ini, ("--config", ini), keys)):
            for mode, told in ((0o644, 1), (0o666, 1), (0o600, 0)):
                path.chmod(mode)
                for command in ("--check-config", "--sync"):
                    with self.subTest(path=path.name, mode=oct(mode), command=command):
                        tool = self.tool(command, *args, env={**env, **more})
                        about = [line for line in tool.warnings if f"chmod o-rwx {path}" in line]
                        self.assertEqual(len(about), told, tool.err)
                        self.assertNotIn("swordfish", tool.err)
                        self.assertEqual(tool.err.count("behind the ] of a section"), 1)

    def test_print_config_of_a_file_that_is_not_there(self):
        path = self.dir / "missing.ini"
        for args in ((), ("--json",)):
            tool = self.tool("--print-config", *args, "--config", path)
            self.assertEqual(tool.code, 78)
            self.one_clear_line(tool, [str(path)])
            self.assertIn("dedw3n-dev-storage", tool.out)

    def test_missing_ini(self):
        path = self.dir / "missing.ini"
        self.mistake(78, str(path), args=("--config", path))

    def test_unreadable_ini(self):
        self.destination.root.chmod(0o777)
        path = self.dir / "secret.ini"
        path.write_text("retries = 1\n")
        path.chmod(0)
        self.mistake(78, str(path), "permission", args=("--config", path), nobody=True)

    def test_ini_is_a_directory(self):
        self.mistake(78, str(self.dir), args=("--config", self.dir))

    def test_malformed_ini(self):
        path = self.dir / "bad.ini"
        path.write_text("retries = 1\n[source\nbucket = x\n")
        self.mistake(78, f"{path}:2", args=("--config", path))

    def test_failure_policy_of_a_malformed_ini(self):
        """What could be read counts: an operator who wants it to stop has it stopped."""
        path = self.dir / "bad.ini"
        path.write_text("nonsense\n")
        app = self.app()
        tool = self.tool("--config", path, "--", app.path, env={**self.env, "STORSYNC_ON_FAILURE": "stop"})
        self.assertEqual((tool.code, app.started), (78, False))

    BAD_VALUES = [("STORSYNC_CONCURRENCY", "many"), ("STORSYNC_CONCURRENCY", "0"), ("STORSYNC_CONCURRENCY", "-3"),
                  ("STORSYNC_CONCURRENCY", "99999999999999999999"), ("STORSYNC_MIN_INTERVAL", "-1h"),
                  ("STORSYNC_TIMEOUT", "5 bananas"), ("STORSYNC_PART_SIZE", "1"), ("STORSYNC_ON_FAILURE", "maybe"),
                  ("STORSYNC_SOURCE_ALLOW_HTTP", "ja"), ("STORSYNC_COMPARE", "colour"), ("STORSYNC_LOG_FORMAT", "xml"), ("STORSYNC_ENVIRONMENT", "staging?")]

    def test_bad_values_warn_and_use_the_default(self):
        for name, value in self.BAD_VALUES:
            with self.subTest(setting=f"{name}={value}"):
                app = self.app()
                env = {**self.env, "NODE_ENV": "production", name: value}
                tool = self.succeed("--", app.path, env=env)
                self.assertTrue(app.started)
                about = [w for w in tool.warnings if name in w and value in w]
                self.assertEqual(len(about), 1, tool.err)
                self.assertEqual(tool.errors, [])
                self.assertEqual(self.tool("--check-config", env=env).code, 78)

    def test_bad_value_in_the_ini_names_the_line(self):
        path = self.dir / "a.ini"
        path.write_text("\n\nconcurrency = many\nconcurency = 3\n")
        tool = self.succeed("--config", path, env=self.env)
        self.assertTrue(any(f"{path}:3" in w and "many" in w for w in tool.warnings), tool.err)
        self.assertTrue(any(f"{path}:4" in w and "concurrency" in w for w in tool.warnings), tool.err)


class CommandLine(MistakeCase):
    def test_usage(self):
        cases = [("--no-such-option",), ("--sinc",), ("--config",), ("--sync", "--validate"), ("--",), ("-x",),
                 ("--validate", "--", "/bin/true"), ("--source-secret-access-key", "swordfish")]
        for args in cases:
            with self.subTest(args=args):
                tool = self.tool(*args, env=self.env)
                self.assertEqual(tool.code, 64)
                self.assertEqual(len(tool.errors), 1, tool.err)
                self.assertNotIn("swordfish", tool.err)
        self.assertIn("--sync", self.tool("--sinc", env=self.env).err)

    def test_modes_without_dashes(self):
        for word in ("sync", "validate", "status", "help"):
            with self.subTest(word=word):
                tool = self.tool(word, env=self.env)
                self.assertEqual(tool.code, 64)
                self.one_clear_line(tool, [f"--{word}"])
                self.assertEqual(self.destination.contents(state=True), {})
        self.succeed("--", "sync", env=self.env)  # coreutils' own
        self.assertEqual(self.destination.get("public/a"), b"a")

    def test_command_that_cannot_run(self):
        (self.dir / "no-rights").write_text("#!/bin/sh\n")
        (self.dir / "bad-interpreter").write_text("#!/no/such/interpreter\n")
        (self.dir / "bad-interpreter").chmod(0o755)
        cases = [("", 64), ("no-such-command-at-all", 127), ("/no/such/file", 127), (self.dir / "no-rights", 126),
                 (self.dir, 126), (self.dir / "bad-interpreter", 126)]
        if RUN.wrap:
            cases.pop()  # valgrind itself gives up at this one
        for command, code in cases:
            with self.subTest(command=str(command)):
                tool = self.tool("--", command, env=self.env)
                self.assertEqual(tool.code, code)
                self.assertEqual(len(tool.errors), 1, tool.err)


class StatusFile(MistakeCase):
    def status_cannot_be_written(self, path, **how):
        app = self.app()
        tool = self.succeed("--", app.path, env={**self.env, "STORSYNC_STATUS_FILE": str(path)}, **how)
        self.assertTrue(app.started)
        self.assertEqual(tool.errors, [])
        self.assertEqual(len([w for w in tool.warnings if str(path) in w]), 1, "a warning, once: " + tool.err)
        self.assertEqual(self.destination.get("public/a"), b"a")

    def test_status_file_in_a_missing_folder(self):
        self.status_cannot_be_written(self.dir / "missing" / "status.json")

    def test_status_file_in_a_read_only_folder(self):
        self.destination.root.chmod(0o777)
        folder = self.dir / "read-only"
        folder.mkdir()
        folder.chmod(0o555)
        self.status_cannot_be_written(folder / "status.json", nobody=True)

    def test_status_file_is_a_folder(self):
        folder = self.dir / "folder"
        folder.mkdir()
        self.status_cannot_be_written(folder)

    def test_status_file_where_nothing_can_be_created(self):
        self.status_cannot_be_written("/proc/status.json")

    def test_full_disk_behind_standard_error(self):
        app = self.app()
        tool = self.start("--", app.path, env=self.env,
                          before_exec=lambda: os.dup2(os.open("/dev/full", os.O_WRONLY), 2))
        self.assertEqual((tool.wait().code, app.started), (0, True))


class Service(MistakeCase):
    """What only a real service can say."""

    def setUp(self):
        super().setUp()
        self.bucket = self.s3_bucket()
        self.bucket.put("public/a", "a")

    def side(self, side, **more):
        return self.bucket.env(side, **more)

    def test_no_such_bucket(self):
        for side in ("source", "destination"):
            with self.subTest(side=side):
                self.mistake(69, "no-such-bucket", env=self.side(side, bucket="no-such-bucket"))

    def test_wrong_access_key(self):
        self.mistake(77, self.bucket.name, env=self.side("source", access_key_id="NOSUCHKEY00000000000"))

    def test_wrong_secret(self):
        for side in ("source", "destination"):
            with self.subTest(side=side):
                self.mistake(77, self.bucket.name, env=self.side(side, secret_access_key="swordfish"))
                self.assertNotIn("swordfish", "".join(t.err + t.out for t in self.tools))

    def test_listing_is_refused(self):
        stranger = {"access_key_id": rgw.BOB.access_key, "secret_access_key": rgw.BOB.secret_key}
        self.mistake(77, self.bucket.name, env=self.side("source", **stranger))

    def test_bucket_name_that_cannot_be(self):
        self.mistake(78, "bucket", env=self.side("source", bucket="No_Such/Bucket?x"))

    def test_endpoint_with_the_bucket_in_it(self):
        endpoint = f"{self.bucket.server.endpoint}/{self.bucket.name}"
        tool = self.tool("--sync", env={**self.env, **self.side("source", endpoint=endpoint)})
        self.assertEqual(tool.code, 78)
        self.one_clear_line(tool, ["STORSYNC_SOURCE_ENDPOINT", "ends with the name of the bucket: leave that out"])

