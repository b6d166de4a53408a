"""Servers that fail, lie and fall silent: what can be retried is, what cannot be is told, and nothing false is left.

An RGW stands behind the fault proxies, so a retry that goes wrong shows in the bucket's contents.
"""
import re

import data
import proxyfault
from harness import RUN, TestCase, production
from proxyfault import FOREVER, answer, s3_error

LIST, OBJECTS = "list-type=2", "/public/|/private/"
ONE = "/public/3%20"  # "public/3 +%", as it is sent
PREFIXES = ("public/", "private/")
XML = {"Content-Type": "application/xml"}
LARGE = 9 * data.MIB


class FaultCase(TestCase):
    """A source with small objects and one that needs an upload in parts, each side behind a proxy of its own."""

    MORE = {"STORSYNC_PART_SIZE": "5MiB"}

    def setUp(self):
        super().setUp()
        if "faults" not in RUN.cache:
            RUN.cache["faults"] = self.s3_bucket()
            for number in range(12):
                RUN.cache["faults"].put(f"public/{number} +%", data.body(number, 1000), Metadata={"n": str(number)})
            RUN.cache["faults"].put("private/large", data.body("large", LARGE), ContentType="video/mp4")
        self.source = RUN.cache["faults"]
        self.destination = self.s3_bucket()
        self.reader, self.writer = (self.proxy(self.source.server.endpoint) for _ in range(2))

    def env(self, **more):
        """Two endpoints: everything is relayed through the tool."""
        return {**production(self.source, self.destination), **self.MORE,
                **self.source.env("source", endpoint=self.reader.endpoint),
                **self.destination.env("destination", endpoint=self.writer.endpoint), **more}

    def one_service(self, **more):
        """One endpoint: the server copies."""
        return self.env(**self.source.env("source", endpoint=self.writer.endpoint), **more)

    def assert_complete(self, tool):
        self.assertEqual(tool.code, 0)
        self.assertEqual((tool.status["state"], tool.status["failedFiles"]), ("synced", 0))
        self.assertEqual(data.compare_buckets(self.source, self.destination, PREFIXES), [])
        self.assertEqual(self.destination.unfinished_uploads(), [])
        self.assertEqual(len(self.destination.markers()), 1)

    def listed_twice(self):
        """The two requests for the one of the listings that was asked for again. Those of both paths go on at once."""
        listings = [r for r in self.reader.requests if re.search(LIST, r.target)]
        first, second = (r for r in listings if [other.target for other in listings].count(r.target) == 2)
        return first, second

    def empty_destination(self):
        for key in self.destination.keys():
            self.destination.client.delete_object(Bucket=self.destination.name, Key=key)
        for proxy in (self.reader, self.writer):
            proxy.clear()


class Retried(FaultCase):
    """A fault that goes away costs time only."""

    FAULTS = {
        "503": proxyfault.slow_down(),
        "500": answer(500, s3_error("InternalError"), XML),
        "500 without a body": answer(500),
        "502 HTML": answer(502, "<html>bad gateway</html>", {"Content-Type": "text/html"}),
        "429": answer(429, s3_error("TooManyRequests"), XML),
        "400 RequestTimeout": answer(400, s3_error("RequestTimeout"), XML),
        "reset": proxyfault.reset_before,
        "reset after": proxyfault.reset_after,
        "no answer": proxyfault.drop_answer,
        "stall": proxyfault.stall(),
    }

    def survive(self, proxy, faults, env, **where):
        for name, action in faults.items():
            with self.subTest(fault=name):
                self.empty_destination()
                rule = proxy.fault(action, **where)
                # Elsewhere it is long: an RGW on a busy machine stalls as well.
                limit = {"STORSYNC_STALL_TIMEOUT": "1s"} if "stall" in name else {}
                tool = self.tool(env={**env, **limit})
                self.assertGreater(rule.done, 0, "the fault did not happen")
                self.assert_complete(tool)

    def test_listing(self):
        broken = {"truncated": proxyfault.truncate(300), "reset inside": proxyfault.reset_body(300),
                  "stall inside": proxyfault.stall(after=300), "longer announced": proxyfault.wrong_length(+50)}
        self.survive(self.reader, {**self.FAULTS, **broken}, self.env(), target=LIST)

    def test_get(self):
        broken = {"truncated": proxyfault.truncate(400), "reset inside": proxyfault.reset_body(400),
                  "stall inside": proxyfault.stall(after=400), "longer announced": proxyfault.wrong_length(+50)}
        self.survive(self.reader, {**self.FAULTS, **broken}, self.env(), method="GET", target=OBJECTS, times=2)

    def test_get_of_a_part(self):
        broken = {"truncated": proxyfault.truncate(3_000_000), "reset inside": proxyfault.reset_body(3_000_000),
                  "503": proxyfault.slow_down()}
        self.survive(self.reader, broken, self.env(), method="GET", target="/private/large")

    def test_put(self):
        self.survive(self.writer, {**self.FAULTS, "no 100": proxyfault.no_continue}, self.env(), method="PUT",
                     target="/public/", times=2)

    def test_less_at_once_when_the_service_asks_for_it(self):
        """By itself; a number that is set stays that number."""
        for number, told in (("auto", True), ("9", False)):
            with self.subTest(concurrency=number):
                self.empty_destination()
                rule = self.writer.fault(proxyfault.slow_down(), method="PUT", target="/public/", times=2)
                tool = self.tool("--concurrency", number, "--log-level", "debug", env=self.env())
                self.assertGreater(rule.done, 0, "the fault did not happen")
                self.assert_complete(tool)
                self.assertEqual(told, "concurrency: 8 transfers at once (the service asks for less)" in tool.err, tool.err)

    def test_upload_begin(self):
        self.survive(self.writer, pick(self.FAULTS, "503", "500", "reset"), self.env(), method="POST",
                     target=r"\?uploads")

    def test_upload_part(self):
        self.survive(self.writer, self.FAULTS, self.env(), method="PUT", target="partNumber=")

    def test_upload_finish(self):
        lies = {"200 with an error": answer(200, s3_error("InternalError"), XML)}
        self.survive(self.writer, {**pick(self.FAULTS, "503", "500", "reset", "reset after", "no answer"), **lies},
                     self.env(), method="POST", target="uploadId=")

    def test_copy(self):
        lies = {"200 with an error": answer(200, s3_error("InternalError"), XML),
                "200 with half an answer": answer(200, '<?xml version="1.0"?><CopyObjectResult><ETag>', XML)}
        self.survive(self.writer, {**self.FAULTS, **lies}, self.one_service(), method="PUT", target="/public/", times=2)

    def test_marker(self):
        for method in ("GET", "PUT"):
            self.survive(self.writer, pick(self.FAULTS, "503", "reset", "reset after", "no answer"), self.env(),
                         method=method, target=r"/\.storsync/")

    def test_every_third_request_of_everything(self):
        for proxy in (self.reader, self.writer):
            proxy.fault(proxyfault.slow_down(), every=3, times=FOREVER)
        self.assert_complete(self.tool(env=self.env()))

    def test_slow_server(self):
        for proxy in (self.reader, self.writer):
            proxy.fault(proxyfault.delay(0.1), times=FOREVER)
        self.assert_complete(self.tool(env=self.env()))

    def test_retry_after_is_honoured(self):
        self.reader.fault(proxyfault.slow_down("2"), target=LIST)
        self.assert_complete(self.tool(env=self.env()))
        first, second = self.listed_twice()
        self.assertGreaterEqual(second.at - first.at, 1.9)


class OtherRegion(FaultCase):
    """A bucket that lives elsewhere: S3 says where, and the request is signed again."""

    def test_region_in_the_answer(self):
        rule = self.reader.fault(proxyfault.malformed_authorization("eu-test-7"), target=LIST)
        self.assert_complete(self.tool(env=self.env()))
        self.assertEqual(rule.done, 1)
        first, second = self.listed_twice()
        self.assertIn("/us-east-1/s3/", first.headers["authorization"])
        self.assertIn("/eu-test-7/s3/", second.headers["authorization"])
        self.assertIn("/eu-test-7/s3/", self.reader.requests[-1].headers["authorization"], "what was learnt is remembered")

    def test_every_region_is_wrong(self):
        """A server that is never content is given up."""
        for region in range(100):
            self.reader.fault(proxyfault.malformed_authorization(f"eu-test-{region}"))
        self.assertEqual(self.tool("--sync", env=self.env()).code, 78)
        self.assertLess(len(self.reader.requests), 20)

    def test_redirect_from_an_endpoint_that_was_set(self):
        """Only Amazon's host names follow from the region. Who set an endpoint is told what to set it to."""
        location = {**XML, "Location": "http://elsewhere.example/bucket"}
        for action, word in ((proxyfault.wrong_region("eu-test-7"), "eu-test-7"),
                             (answer(307, s3_error("TemporaryRedirect"), location), "elsewhere.example")):
            self.reader.clear()
            self.reader.fault(action, times=FOREVER)
            tool = self.tool("--sync", env=self.env())
            self.assertEqual((tool.code, len(tool.errors)), (78, 1))
            self.assertIn(word, tool.errors[0])
            self.assertLess(len(self.reader.requests), 5)

    def test_credentials_stay_with_the_service(self):
        """A redirect to another host must not carry the signature of this one, nor a session token."""
        thief = self.proxy()
        location = {**XML, "Location": f"http://localhost:{thief.port}/x"}
        self.reader.fault(answer(307, s3_error("TemporaryRedirect"), location), times=FOREVER)
        self.tool("--sync", env=self.env(STORSYNC_SOURCE_SESSION_TOKEN="swordfish"))
        self.assertNotIn("swordfish", str([r.headers for r in thief.requests]))


class Permanent(FaultCase):
    """A fault that stays: counted or fatal, within bounds, and never a false 'synced'."""

    def refuse(self, code, state, env):
        app = self.app()
        tool = self.tool("--on-failure", "stop", "--retries", "2", "--", app.path, env=env)
        self.assertEqual((tool.code, tool.status["state"], app.started), (code, state, False))
        self.assertEqual(self.destination.markers(), [])
        self.assertEqual(self.destination.unfinished_uploads(), [])
        return tool

    def whole_or_absent(self):
        source, found = (data.snapshot(b, PREFIXES) for b in (self.source, self.destination))
        self.assertEqual([k for k in found if found[k] != source[k]], [], "an object is whole or not there")
        return found

    def test_one_object_cannot_be_read(self):
        # curl by itself asks again when a connection that worked before is dead.
        faults = {"500": (answer(500), 3), "truncated": (proxyfault.truncate(400), 3),
                  "reset": (proxyfault.reset_before, 20), "longer announced": (proxyfault.wrong_length(+9), 3)}
        for name, (action, attempts) in faults.items():
            with self.subTest(fault=name):
                self.empty_destination()
                self.reader.fault(action, method="GET", target=ONE, times=FOREVER)
                tool = self.refuse(2, "partial", self.env())
                self.assertEqual((tool.status["syncedFiles"], tool.status["failedFiles"]), (12, 1))
                self.assertIn("public/3 +%", tool.status["errors"][0]["file"])
                self.assertNotIn("public/3 +%", self.whole_or_absent())
                self.assertLessEqual(len([r for r in self.reader.requests if ONE in r.target]), attempts)

    def test_large_object_cannot_be_read(self):
        self.reader.fault(proxyfault.truncate(2_000_000), method="GET", target="/private/large", times=FOREVER)
        tool = self.refuse(2, "partial", self.env())
        self.assertEqual(tool.status["failedFiles"], 1)
        self.assertNotIn("private/large", self.whole_or_absent())

    def test_large_object_cannot_be_written(self):
        for target in ("partNumber=", "uploadId=.*"):
            self.empty_destination()
            self.writer.fault(answer(500), method="PUT" if "part" in target else "POST", target=target, times=FOREVER)
            self.assertEqual(self.refuse(2, "partial", self.env()).status["failedFiles"], 1)
            self.whole_or_absent()

    def test_copy_that_always_fails_inside_200(self):
        self.writer.fault(answer(200, s3_error("InternalError"), XML), method="PUT", target=ONE, times=FOREVER)
        self.assertEqual(self.refuse(2, "partial", self.one_service()).status["failedFiles"], 1)

    def test_access_denied_in_the_middle(self):
        self.writer.fault(answer(403, s3_error("AccessDenied"), XML), method="PUT", target=ONE, times=FOREVER)
        self.assertEqual(self.refuse(2, "partial", self.env()).status["failedFiles"], 1)
        self.assertEqual(len([r for r in self.writer.requests if ONE in r.target]), 1, "not retried")

    def test_storm(self):
        """Everything answers 503: given up in bounded time and with a bounded number of requests."""
        for proxy in (self.reader, self.writer):
            proxy.fault(proxyfault.slow_down(), times=FOREVER)
        self.refuse(69, "failed", self.env())
        self.assertLess(len(self.reader.requests) + len(self.writer.requests), 30)

    def test_listing_breaks_for_good(self):
        faults = {"500": answer(500), "truncated": proxyfault.truncate(100), "HTML": answer(200, "<html/>"),
                  "of all buckets": answer(200, "<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>", XML),
                  "says nothing": answer(200, "<ListBucketResult><Oops/></ListBucketResult>", XML),
                  "403": answer(403, s3_error("AccessDenied"), XML)}
        for name, action in faults.items():
            for proxy in (self.reader, self.writer):
                with self.subTest(fault=name, side="source" if proxy is self.reader else "destination"):
                    self.empty_destination()
                    proxy.fault(action, target=LIST, times=FOREVER)
                    self.refuse(77 if name == "403" else 69, "failed", self.env())

    def test_listing_that_goes_backwards(self):
        """Keys out of order would make the merge-join see missing objects everywhere."""
        swap = proxyfault.edit_body(rb"<Key>public%2F1[^<]*</Key>", b"<Key>public%2Fzzz</Key>")
        rule = self.reader.fault(swap, target=LIST, times=FOREVER)
        self.refuse(69, "failed", self.env())
        self.assertGreater(rule.done, 0)
        self.assertNotIn("public/zzz", self.destination.keys())

    def test_listing_that_never_ends(self):
        """The same page again and again, each time with a promise of more."""
        more = b"<IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>"
        endless = proxyfault.edit_body(rb"<IsTruncated>false</IsTruncated>", more)
        self.reader.fault(endless, target=LIST, times=FOREVER)
        self.refuse(69, "failed", self.env())
        self.assertLess(len(self.reader.requests), 40)

    def test_too_large_an_answer(self):
        """A listing without end in one answer does not fill the memory."""
        junk = answer(200, "<ListBucketResult><Name>" + "x" * (64 * data.MIB), XML)
        self.reader.fault(junk, target=LIST, times=FOREVER)
        tool = self.refuse(69, "failed", self.env())
        if not RUN.instrumented:
            self.assertLess(tool.peak_rss, 10 * data.MIB)


class AllInVain(TestCase):
    def test_max_failures(self):
        """The run ends as the failure's, and its log is short."""
        source, destination = self.s3_bucket(), self.dir_bucket()
        for number in range(60):
            source.put(f"public/img/{number:02}.png")
        reader = self.proxy(source.server.endpoint)
        reader.fault(answer(403, s3_error("AccessDenied"), XML), method="GET", target="public/img", times=FOREVER)
        env = {**production(source, destination), **source.env("source", endpoint=reader.endpoint)}
        tool = self.tool(env={**env, "STORSYNC_MAX_FAILURES": "30", "STORSYNC_CONCURRENCY": "1"})
        self.assertEqual((tool.code, tool.status["state"], tool.status["failedFiles"]), (77, "failed", 30))
        self.assertEqual(len(reader.requests), 1 + 30, "a listing, and each object once")
        why = "=== Sync Failed: 30 objects in a row failed for one reason (setting max_failures), the last one: "
        self.assertEqual([line for line in tool.errors if line.startswith(why)], tool.errors)
        lines = [line.split("Failed: ")[1] for line in tool.err.splitlines() if line.startswith("  x Failed: ")]
        self.assertEqual([line.split(" ")[0] for line in lines], [*(f"img/{n:02}.png" for n in range(10)), "20"])
        self.assertEqual(lines[-1], '20 more that begin with "public/img/" ("public/img/10.png" and so on), like the first 10 '
                                    "(permission, HTTP 403 AccessDenied)")
        self.assertEqual(destination.markers(), [])
        tool = self.tool(env={**env, "STORSYNC_MAX_FAILURES": "0", "STORSYNC_DEPLOYMENT_ID": "d2"})
        self.assertEqual((tool.code, tool.status["failedFiles"]), (2, 60))


class Deadline(FaultCase):
    def test_timeout_bounds_the_delay(self):
        self.reader.fault(proxyfault.stall(), times=FOREVER)
        env = self.env(STORSYNC_TIMEOUT="2s", STORSYNC_STALL_TIMEOUT="60s")
        app = self.app()
        tool = self.tool("--", app.path, env=env)
        self.assertEqual((tool.code, app.started, tool.status["state"]), (0, True, "failed"))
        self.assertLess(tool.seconds, 3 * RUN.slow)
        tool = self.tool("--on-failure", "stop", "--", app.path, env=env)
        self.assertEqual(tool.code, 75)
        self.assertLess(tool.seconds, 3 * RUN.slow)

    def test_next_start_goes_on_from_there(self):
        self.reader.fault(proxyfault.stall(), target="/public/5", times=FOREVER)
        first = self.tool("--sync", env=self.env(STORSYNC_TIMEOUT="3s", STORSYNC_STALL_TIMEOUT="60s"))
        self.assertEqual(first.code, 75)
        copied = len(self.destination.keys("public/"))  # what is in parts has no hash, and is not trusted after a failure
        self.assertGreater(copied, 0)
        self.reader.clear()
        tool = self.tool(env=self.env())
        self.assert_complete(tool)
        self.assertEqual(tool.status["skippedFiles"], copied)


class OpenConnections(FaultCase):
    def test_no_more_than_asked_for(self):
        """Connections are used again, not opened for every object."""
        self.assert_complete(self.tool("--concurrency", "4", env=self.env()))
        for proxy in (self.reader, self.writer):
            self.assertLessEqual(len({r.connection for r in proxy.requests}), 4 + 3)


class OneSide(TestCase):
    def test_server_that_stops_sending_does_not_hold_a_directory_sync(self):
        """No RGW needed: a listing that stalls ends with the stall limit, twice, then the application starts."""
        proxy, destination, app = self.proxy(), self.dir_bucket(), self.app()
        proxy.fault(proxyfault.stall(), times=FOREVER)
        env = {**destination.env("destination"), "STORSYNC_ENVIRONMENT": "production", "STORSYNC_SOURCE_BUCKET": "b",
               "STORSYNC_SOURCE_ENDPOINT": proxy.endpoint, "STORSYNC_SOURCE_ACCESS_KEY_ID": "a",
               "STORSYNC_SOURCE_SECRET_ACCESS_KEY": "s", "STORSYNC_STALL_TIMEOUT": "1s", "STORSYNC_RETRIES": "1"}
        tool = self.succeed("--", app.path, env=env)
        self.assertTrue(app.started)
        self.assertEqual(tool.status["state"], "failed")


def pick(faults, *names):
    return {name: faults[name] for name in names}
