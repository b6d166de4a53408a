"""The admin endpoint of --serve: what it tells, what it takes and from whom, and that whoever connects costs nobody else anything."""
import base64
import contextlib
import gzip
import hashlib
import http.client
import json
import os
import re
import resource
import signal
import socket
import stat
import time
from pathlib import Path

from contract import Judge
from harness import RUN, children
from rgw import free_ports
from test_serve import ServeCase

TOKEN = "correct horse battery staple"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


class Connection(http.client.HTTPConnection):
    """To a socket in the file system."""

    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    json = property(lambda self: json.loads(self.body))
    code = property(lambda self: self.json["error"]["code"])


class AdminCase(ServeCase):
    judge = Judge()

    def setUp(self):
        super().setUp()
        self.socket = self.dir / "admin.sock"
        self.env.update(STORSYNC_ADMIN_LISTEN=f"unix:{self.socket}", STORSYNC_ADMIN_TOKEN=TOKEN)

    def serve(self, script="exec sleep 1000", env=(), **how):
        tool = super().serve(script, env, **how)
        tool.wait_for(lambda: "admin endpoint: " in tool.err)
        return tool

    def ask_admin(self, method, target, body=None, headers=None, token=True):
        """The answer; all of them are as docs/openapi.json says."""
        connection = Connection(self.socket, timeout=10 * RUN.slow)
        try:
            with contextlib.suppress(BrokenPipeError):  # who is refused by the head need not send the body
                connection.request(method, target, body=body, headers={**(BEARER if token else {}), **(headers or {})})
            answer = Answer(connection.getresponse())
        finally:
            connection.close()
        self.assertEqual(self.judge.answer(method, target.partition("?")[0], answer.status,
                                           answer.headers["Content-Type"], answer.body), [], answer.body)
        return answer

    def status(self):
        found = self.ask_admin("GET", "/status").json
        for run in (found["run"], found["last"]):
            self.assertEqual(self.judge.run(run or {}), [])
        return found

    def serve_stalled(self):
        """One that was asked for a sync, whose worker waits for an answer; and that worker."""
        _, env = self.stalled()
        tool = self.serve(env={**env, "STORSYNC_ENVIRONMENT": "development"})
        before = set(children(tool.pid))
        self.ask_admin("POST", "/sync")
        worker = (set(children(tool.pid)) - before).pop()
        tool.wait_for(lambda: self.status()["run"]["state"] == "running")
        return tool, worker

    def wait_idle(self, tool, last):
        tool.wait_for(lambda: not (found := self.status())["run"] and found["last"]["id"] == last)
        return self.status()

    def raw(self, data=b"", timeout=10):
        """A connection on which that was sent."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout * RUN.slow)
        connection.connect(str(self.socket))
        self.addCleanup(connection.close)
        connection.sendall(data)
        return connection

    def reacts(self, tool):
        """A sync by signal begins, and its end is told, as ever."""
        tool.wait_for(lambda: len(children(tool.pid)) == 1)  # beside one that is about to end no other is started
        before = tool.err.count("Sync Complete")
        began = time.monotonic()
        tool.kill(signal.SIGUSR1)
        tool.wait_for(lambda: tool.err.count("Sync Complete") > before)
        return time.monotonic() - began

    def end(self, tool):
        """In the time of a process that does nothing else."""
        began = time.monotonic()
        tool.kill(signal.SIGTERM)
        self.assertEqual(tool.wait().code, 143)
        self.assertLess(time.monotonic() - began, 2 * RUN.slow)


class Told(AdminCase):
    def test_contract(self):
        """The document is one, and nothing in it leads nowhere."""
        self.assertEqual(self.judge.references(), [])
        self.assertEqual(self.judge.api["openapi"], "3.1.0")

    def test_status(self):
        tool = self.serve()
        found = self.status()
        self.assertEqual(found["application"], {"running": True, "pid": children(tool.pid)[0]})
        self.assertIsNone(found["run"])
        self.assertEqual([found["last"][name] for name in ("id", "mode", "by", "state", "syncedFiles", "exitCode")],
                         [1, "deploy", "start", "synced", 1, 0])
        self.assertEqual([run["id"] for run in found["runs"]], [1])
        self.assertEqual((found["environment"], found["source"]), ("production", self.source.shown))
        self.assertFalse(found["readOnly"])
        self.assertIsNone(found["differences"])
        self.assertEqual(found["schedules"], {"sync": None, "validate": None})
        self.assertEqual(self.ask_admin("HEAD", "/status").body, b"")
        self.end(tool)
        self.assertFalse(self.socket.exists())

    def test_health_and_readiness(self):
        proxy, env = self.stalled()
        tool = self.start("--serve", "--", "/bin/sleep", "1000", env={**self.env, **env})
        tool.wait_for(lambda: "admin endpoint: " in tool.err)
        self.assertEqual((self.ask_admin("GET", "/healthz").status, self.ask_admin("GET", "/readyz").status), (503, 503))
        self.assertEqual(self.ask_admin("GET", "/readyz").json, {"ready": False, "message": "the first run is not over"})
        tool.wait_for(lambda: self.status()["run"]["state"] == "running")
        self.assertEqual(self.ask_admin("DELETE", "/run").status, 202)
        tool.wait_for(lambda: "runs as process" in tool.err)
        self.assertEqual(self.ask_admin("GET", "/readyz").status, 200)
        answer = self.ask_admin("GET", "/healthz")
        self.assertEqual((answer.status, answer.json["healthy"]), (503, False))
        self.assertEqual(self.tool("--health").code, 1)

    def test_metrics(self):
        """Of all runs since the process began."""
        tool = self.serve()
        self.source.put("public/more", "x")
        self.ask_admin("POST", "/sync")
        self.wait_idle(tool, 2)
        answer = self.ask_admin("GET", "/metrics")
        self.assertEqual(answer.headers["Content-Type"], "text/plain; version=0.0.4")
        self.assertRegex(answer.body.decode(), r'(?m)^storsync_runs_total\{[^}]*mode="sync"[^}]*result="success"[^}]*\} 1$')
        self.assertRegex(answer.body.decode(), r"(?m)^storsync_application_running(\{[^}]*\})? 1$")

    def test_schedule(self):
        self.serve(env={"STORSYNC_SCHEDULE": "0 3 * * *"})
        found = self.status()["schedules"]
        self.assertRegex(found["sync"]["next"], "T03:00:00")
        self.assertIsNone(found["validate"])

    def test_differences(self):
        for name in ("missing", "different", 'quote"and\\slash', "name é\u2028"):
            self.source.put(f"public/{name}", name)
        tool = self.serve(env={"STORSYNC_ENVIRONMENT": "development"})
        for name in ("extra", "different"):
            self.destination.put(f"public/{name}", "x")
        self.assertEqual(self.ask_admin("POST", "/validate").json, {"run": {"id": 2, "mode": "validate"}})
        found = self.wait_idle(tool, 2)["differences"]
        kinds = {item["key"]: item["kind"] for item in found["objects"]}
        self.assertEqual((found["runId"], found["missing"], found["different"], found["extra"], found["more"]), (2, 4, 1, 1, 0))
        self.assertEqual((kinds["public/extra"], kinds["public/different"], kinds['public/quote"and\\slash']),
                         ("extra", "different", "missing"))
        self.ask_admin("POST", "/sync")
        self.assertEqual(self.wait_idle(tool, 3)["differences"], found, "until the next validation")

    def test_many_differences(self):
        for i in range(150):
            self.source.put(f"public/{i:03}", "x")
        tool = self.serve(env={"STORSYNC_ENVIRONMENT": "development"})
        self.ask_admin("POST", "/validate")
        found = self.wait_idle(tool, 2)["differences"]
        self.assertEqual((found["missing"], len(found["objects"]), found["more"]), (151, 100, 51))

    def test_history(self):
        tool = self.serve(env={"STORSYNC_ENVIRONMENT": "development"})
        for i in range(2, 25):
            self.assertEqual(self.ask_admin("POST", "/sync?dry_run=true").status, 202)
            self.wait_idle(tool, i)
        self.assertEqual([(run["id"], run["mode"], run["by"]) for run in self.status()["runs"]],
                         [(i, "dry-run", "http") for i in range(24, 4, -1)])

    def test_events(self):
        tool = self.serve()
        events = self.raw(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").makefile("rb")

        def event():
            for line in events:
                if line.startswith(b"data: "):
                    return json.loads(line[6:])
            return None

        self.assertEqual(event()["last"]["id"], 1)
        self.ask_admin("POST", "/sync")
        while not ((told := event())["last"]["id"] == 2 and told["run"] is None):
            self.assertEqual(self.judge.faults(told, {"$ref": "#/components/schemas/Status"}), [])
        self.end(tool)

    def test_worker_that_is_killed(self):
        tool, worker = self.serve_stalled()
        os.kill(worker, signal.SIGKILL)
        last = self.wait_idle(tool, 2)["last"]
        self.assertEqual((last["state"], last["exitCode"] > 0), ("failed", True))
        self.assertIn("was killed (signal 9)", last["message"])
        self.assertEqual(self.ask_admin("GET", "/healthz").status, 503)
        self.assertTrue(self.status()["application"]["running"])

    def test_address_that_is_taken(self):
        """The application starts, and the warning names the cure."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            listen = f"127.0.0.1:{taken.getsockname()[1]}"
            tool = ServeCase.serve(self, "exec sleep 1000", {"STORSYNC_ADMIN_LISTEN": listen})
        self.assertIn(f"no admin endpoint at {listen}: something else listens there", tool.err)
        self.assertIn("set admin_listen to another address, or to off", tool.err)
        self.end(tool)

    def test_socket_in_the_file_system(self):
        """For its owner only; one that is left behind is replaced, one that is used and what is no socket stay."""
        first = self.serve()
        self.assertEqual(stat.S_IMODE(self.socket.stat().st_mode), 0o600)
        second = ServeCase.serve(self, "exec sleep 1000")
        self.assertIn("something else listens there", second.err)
        self.end(second)
        self.assertEqual(self.ask_admin("GET", "/readyz").status, 200)
        first.kill(signal.SIGKILL)
        first.wait()
        self.assertTrue(self.socket.exists())
        self.end(self.serve())
        self.socket.write_text("precious")
        third = ServeCase.serve(self, "exec sleep 1000")
        self.assertIn("something else listens there", third.err)
        self.end(third)
        self.assertEqual(self.socket.read_text(), "precious")

    def test_workers_have_none_of_it(self):
        """Neither the socket nor a connection, nor what the supervisor waits on."""
        proxy, env = self.stalled()
        tool = self.serve(env={**env, "STORSYNC_ENVIRONMENT": "development", "STORSYNC_SCHEDULE": "0 3 * * *"})
        watcher = self.raw(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        watcher.recv(1)
        ours = {os.readlink(path) for path in Path(f"/proc/{tool.pid}/fd").iterdir() if int(path.name) > 2}
        before = set(children(tool.pid))
        self.ask_admin("POST", "/sync")
        worker = (set(children(tool.pid)) - before).pop()
        tool.wait_for(lambda: self.status()["run"]["state"] == "running")
        theirs = [os.readlink(path) for path in Path(f"/proc/{worker}/fd").iterdir() if int(path.name) > 2]
        self.assertEqual([each for each in ours & set(theirs) if each.startswith("socket:") or "signalfd" in each], [])
        self.assertEqual([each for each in theirs if "signalfd" in each or "timerfd" in each], [])


class Taken(AdminCase):
    """Orders, and who may give them."""

    def test_sync(self):
        tool = self.serve()
        self.source.put("public/more", "x")
        self.source.put("private/b", "x")
        self.assertEqual(self.ask_admin("POST", "/sync?dry_run").json, {"run": {"id": 2, "mode": "dry-run"}})
        last = self.wait_idle(tool, 2)["last"]
        self.assertEqual((last["mode"], last["dryRun"], last["syncedFiles"]), ("dry-run", True, 2))
        self.assertNotIn("public/more", self.destination.contents())
        self.ask_admin("POST", "/sync", json.dumps({"paths": ["private/"]}), {"Content-Type": "application/json"})
        self.wait_idle(tool, 3)
        self.assertEqual(set(self.destination.contents()), {"public/a", "private/b"})
        self.ask_admin("POST", "/sync", b"")
        self.wait_idle(tool, 4)
        self.assertIn("public/more", self.destination.contents())

    def test_rollback(self):
        tool = self.serve(env={"STORSYNC_KEEP_PREVIOUS": "copies"})
        self.source.put("public/a", "newer")
        self.ask_admin("POST", "/sync")
        self.wait_idle(tool, 2)
        self.assertEqual(self.destination.contents()["public/a"], b"newer")
        self.assertEqual(self.ask_admin("POST", "/rollback").json, {"run": {"id": 3, "mode": "rollback"}})
        self.assertEqual(self.wait_idle(tool, 3)["last"]["state"], "rolled-back")
        self.assertEqual(self.destination.contents()["public/a"], b"a")
        self.ask_admin("POST", "/rollback", '{"run": 77}', {"Content-Type": "application/json"})
        self.assertEqual(self.wait_idle(tool, 4)["last"]["state"], "failed")

    def test_what_was_removed(self):
        tool = self.serve(env={"STORSYNC_DELETE": "extra", "STORSYNC_MAX_DELETE": "100%"})
        self.assertEqual(self.status()["runs"][0]["deletedFiles"], 0)
        self.source.put("public/more", "more")
        self.ask_admin("POST", "/sync")
        self.wait_idle(tool, 2)
        self.source.remove("public/more")
        self.ask_admin("POST", "/sync")
        status = self.wait_idle(tool, 3)
        self.assertEqual([run["deletedFiles"] for run in (status["last"], *status["runs"])], [1, 1, 0, 0])

    def test_dry_run_by_setting_stays_one(self):
        tool = self.serve(env={"STORSYNC_DRY_RUN": "yes"})
        self.ask_admin("POST", "/sync?dry_run=false")
        self.assertEqual(self.wait_idle(tool, 2)["last"]["mode"], "dry-run")
        self.assertEqual(self.destination.contents(), {})

    def test_one_at_a_time(self):
        proxy, env = self.stalled()
        tool = self.serve(env={**env, "STORSYNC_ENVIRONMENT": "development"})
        self.assertEqual(self.ask_admin("DELETE", "/run").code, "no-run")
        self.ask_admin("POST", "/sync")
        for target in ("/sync", "/validate"):
            answer = self.ask_admin("POST", target)
            self.assertEqual((answer.status, answer.code, answer.json["error"]["runId"]), (409, "busy", 2))
        self.assertEqual(self.ask_admin("DELETE", "/run").json, {"run": {"id": 2, "mode": "sync"}})
        last = self.wait_idle(tool, 2)["last"]
        self.assertIn(last["state"], ("interrupted", "failed"))
        self.assertEqual(len(children(tool.pid)), 1, "the application goes on")
        self.end(tool)

    def test_by_force(self):
        """A worker that does not even end when it is asked to."""
        tool, worker = self.serve_stalled()
        os.kill(worker, signal.SIGSTOP)
        self.ask_admin("DELETE", "/run")
        last = self.wait_idle(tool, 2)["last"]
        self.assertEqual((last["state"], last["message"][:16]), ("failed", "ended by request"))

    def test_token(self):
        tool = self.serve()
        for header in ({}, {"Authorization": "Bearer"}, {"Authorization": "Bearer "}, {"Authorization": "Bearer wrong"},
                       {"Authorization": f"Basic {TOKEN}"}, {"Authorization": f"Bearer {TOKEN}x"},
                       {"Authorization": f"Bearer {TOKEN[:-1]}"}):
            with self.subTest(header=header):
                answer = self.ask_admin("POST", "/sync", headers=header, token=False)
                self.assertEqual((answer.status, answer.code, answer.headers["WWW-Authenticate"]),
                                 (401, "unauthorized", "Bearer"))
        self.assertEqual(self.ask_admin("GET", "/status", token=False).status, 200)
        self.assertEqual(self.status()["last"]["id"], 1)
        self.assertNotIn(TOKEN, tool.err)
        self.assertNotIn(TOKEN, self.tool("--print-config", env=self.env).out)

    def test_token_file(self):
        (self.dir / "token").write_text("from a file\n")
        del self.env["STORSYNC_ADMIN_TOKEN"]
        self.serve(env={"STORSYNC_ADMIN_TOKEN_FILE": str(self.dir / "token")})
        self.assertEqual(self.ask_admin("POST", "/sync", headers={"Authorization": "bearer from a file"}, token=False).status, 202)

    def test_without_token_nothing_changes(self):
        del self.env["STORSYNC_ADMIN_TOKEN"]
        tool = self.serve()
        self.assertIn("read-only", tool.err)
        self.assertTrue(self.status()["readOnly"])
        for method, target in (("POST", "/sync"), ("POST", "/validate"), ("DELETE", "/run")):
            answer = self.ask_admin(method, target)
            self.assertEqual((answer.status, answer.code), (403, "read-only"))

    def test_what_is_not_understood_does_nothing(self):
        tool = self.serve()
        kind = {"Content-Type": "application/json"}
        wrong = [("/sync?dryrun=1", None), ("/sync?dry_run=maybe", None), ("/sync?paths", None), ("/sync?paths=", None),
                 ("/sync?paths=a,,b", None), ("/sync?paths=%00", None), ("/sync?paths=%ff", None), ("/validate?dry_run", None),
                 ("/rollback?run", None), ("/rollback?run=0", None), ("/rollback?run=x", None), ("/rollback?run=99999999999", None),
                 ("/rollback", '{"run":-1}'), ("/rollback", '{"run":0}'), ("/rollback", '{"run":"1"}'), ("/rollback?dry_run", None),
                 ("/sync", "{"), ("/sync", "[]"), ("/sync", '{"dry_run":1}'), ("/sync", '{"dryRun":true}'), ("/sync", '{"paths":[]}'),
                 ("/sync", '{"paths":"a/"}'), ("/sync", '{"paths":[1]}'), ("/sync", '{"paths":["a\\u0000b"]}'), ("/sync", '{"a":1}'),
                 ("/sync", json.dumps({"paths": ["a/"] * 65})), ("/sync", json.dumps({"paths": ["a" * 1025]})),
                 ("/sync", json.dumps({"paths": ["a" * 1000] * 9})), ("/validate", '{"paths":["a/"]}'), ("/sync", "[" * 5000)]
        for target, body in wrong:
            with self.subTest(target=target, body=body and body[:40]):
                answer = self.ask_admin("POST", target, body, kind)
                self.assertEqual((answer.status, answer.code), (400, "bad-request"))
        answer = self.ask_admin("POST", "/sync", "a=b", {"Content-Type": "application/x-www-form-urlencoded"})
        self.assertEqual((answer.status, answer.code), (415, "unsupported-media-type"))
        self.assertEqual(self.ask_admin("POST", "/sync", "{}", {"Content-Type": "application/json; charset=utf-8"}).status, 202)
        self.wait_idle(tool, 2)

    def test_where_nothing_is(self):
        self.serve()
        for target in ("/nowhere", "/status/", "//status", "/../status", "/openapi.json", "/sync/x"):
            with self.subTest(target=target):
                self.assertEqual(self.ask_admin("GET", target).status, 404)
        for method, target, allowed in (("POST", "/status", "GET, HEAD"), ("GET", "/sync", "POST"), ("PUT", "/run", "DELETE"),
                                        ("OPTIONS", "/status", "GET, HEAD")):
            with self.subTest(method=method, target=target):
                answer = self.ask_admin(method, target)
                self.assertEqual((answer.status, answer.headers["Allow"]), (405, allowed))

    def test_other_sites(self):
        """A browser that was led astray: by a name of its own for us (DNS rebinding), or by a page of another site."""
        (port,) = free_ports(1)
        self.serve(env={"STORSYNC_ADMIN_LISTEN": f":{port}", "STORSYNC_ADMIN_HOSTS": "admin.example, app"}, wait="runs as")

        def ask(method, target, host, **headers):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10 * RUN.slow)
            connection.request(method, target, headers={**BEARER, "Host": host, **headers})
            return Answer(connection.getresponse())

        for host, status in (("localhost", 200), (f"LOCALHOST:{port}", 200), ("127.0.0.1", 200), ("10.1.2.3:80", 200), ("[::1]:9", 200),
                             ("[fe80::1]", 200), ("admin.example", 200), ("App:80", 200), ("evil.example", 421),
                             ("127.0.0.1.evil.example", 421), ("localhost.evil", 421), ("xadmin.example", 421), ("", 421),
                             ("[::1", 421), ("a" * 300, 421)):
            with self.subTest(host=host):
                self.assertEqual(ask("GET", "/status", host).status, status)
        for origin, status in ((f"http://localhost:{port}", 202), ("https://evil.example", 403), ("null", 403), ("http://localhost", 403)):
            with self.subTest(origin=origin):
                answer = ask("POST", "/sync?dry_run", f"localhost:{port}", Origin=origin)
                self.assertEqual(answer.status, status)
                self.assertNotIn("Access-Control-Allow-Origin", answer.headers)

    def test_headers(self):
        self.serve()
        for method, target in (("GET", "/status"), ("GET", "/nowhere"), ("POST", "/sync?x")):
            headers = self.ask_admin(method, target).headers
            self.assertEqual((headers["Cache-Control"], headers["X-Content-Type-Options"], headers["Referrer-Policy"]),
                             ("no-store", "nosniff", "no-referrer"))
            self.assertIn("frame-ancestors 'none'", headers["Content-Security-Policy"])

    def test_page(self):
        """Its policy allows what is in it, by hash; who has it already does not get it again. What it does is for tests/browser."""
        self.serve()
        answer = self.ask_admin("GET", "/")
        policy, page = answer.headers["Content-Security-Policy"], gzip.decompress(answer.body).decode()
        self.assertEqual((answer.headers["Content-Encoding"], answer.headers["Cache-Control"]), ("gzip", "no-cache"))
        for tag in ("style", "script"):
            digest = hashlib.sha256(re.search(f"(?s)<{tag}>(.*)</{tag}>", page)[1].encode()).digest()
            self.assertIn(f"{tag}-src 'sha256-{base64.b64encode(digest).decode()}';", policy)
        for words in ("default-src 'none'", "connect-src 'self'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'none'"):
            self.assertIn(words, policy)
        for tag, status in ((answer.headers["ETag"], 304), (f'"another", W/{answer.headers["ETag"]}', 304), ('"another"', 200)):
            connection = Connection(self.socket, timeout=10 * RUN.slow)
            connection.request("GET", "/", headers={"If-None-Match": tag})
            again = Answer(connection.getresponse())
            connection.close()
            self.assertEqual((again.status, again.headers["ETag"]), (status, answer.headers["ETag"]))
            self.assertEqual(again.body, b"" if status == 304 else answer.body)
        self.assertEqual(len(self.ask_admin("HEAD", "/").body), 0)


class Hostile(AdminCase):
    """Whoever connects: the application and the signals do not notice."""

    def test_sizes(self):
        tool = self.serve()

        def status(head, body=b""):
            connection = self.raw()
            try:
                connection.sendall(head + b"\r\n\r\n" + body)
                return int(connection.makefile("rb").readline().split()[1])
            except (ConnectionError, IndexError):
                return 0  # the connection was ended

        get = b"GET /status HTTP/1.1\r\nHost: localhost\r\n"
        post = b"POST /sync?dry_run HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + TOKEN.encode() + b"\r\n"
        self.assertEqual(status(get + b"X: " + b"x" * 7000), 200)
        self.assertIn(status(get + b"X: " + b"x" * 9500), (431, 0))
        self.assertIn(status(get + b"X: " + b"x" * 1000000), (431, 0))
        self.assertIn(status(get + b"\r\n".join(b"X%d: y" % i for i in range(2000))), (431, 0))
        self.assertIn(status(b"GET /" + b"x" * 100000 + b" HTTP/1.1\r\nHost: localhost"), (414, 431, 0))
        self.assertEqual(status(post + b"Content-Length: 65537"), 413)
        self.assertIn(status(post + b"Content-Length: 99999999999999999999999"), (400, 413))
        self.assertIn(status(post + b"Content-Length: -1"), (400, 0))
        chunks = b"".join(b"4000\r\n" + b"x" * 0x4000 + b"\r\n" for _ in range(5)) + b"0\r\n\r\n"
        self.assertEqual(status(post + b"Transfer-Encoding: chunked", chunks), 413)
        self.assertEqual(status(post + b"Content-Length: 65536", b" " * 65534 + b"{}"), 202)
        self.wait_idle(tool, 2)

    def test_garbage(self):
        tool = self.serve()
        for data in (b"\0" * 5000, b"\r\n" * 3000, bytes(range(256)) * 40, b"GET / HTTP/9.9\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00",
                     b"POST /sync HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
                     b"GET /status HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                     b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n" * 300 + b"\xff" * 100):
            with self.subTest(data=data[:40]):
                try:
                    connection = self.raw(data)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65536):
                        pass
                except ConnectionError:
                    pass
        self.assertLess(self.reacts(tool), 5 * RUN.slow)
        self.assertEqual(self.status()["application"]["running"], True)
        self.end(tool)

    def test_slow_and_silent(self):
        """All places taken: by who sends a byte now and then, who sends nothing, who reads nothing. They have ten seconds."""
        tool = self.serve()
        began = time.monotonic()
        slow = [self.raw(b"GET /status HTTP/1.1\r\nHost: local", timeout=30) for _ in range(8)]
        heads = [self.raw(b"HEAD /events HTTP/1.1\r\nHost: localhost\r\n\r\n", timeout=30) for _ in range(4)]
        silent = [self.raw(timeout=30) for _ in range(12)]
        greedy = [self.raw(b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n" * 60, timeout=30) for _ in range(8)]
        self.assertLess(self.reacts(tool), 5 * RUN.slow)
        left = set(slow)
        while left and time.monotonic() - began < 30 * RUN.slow:
            for each in list(left):
                try:
                    each.send(b"x")
                except ConnectionError:
                    left.discard(each)
            time.sleep(0.5)
        self.assertEqual(left, set(), "a byte now and then does not prolong it")
        self.assertGreater(time.monotonic() - began, 8)
        tool.wait_for(lambda: self.ask_admin("GET", "/readyz").status == 200, timeout=30)
        self.assertEqual({each.recv(1) for each in silent}, {b""})
        for each in heads:
            self.assertIn(b" 200 ", b"".join(iter(lambda: each.recv(4096), b"")), "and then its end")
        del greedy
        self.end(tool)

    def test_watchers(self):
        """Eight may; one that reads nothing harms nobody; one that goes makes room."""
        tool = self.serve()
        ask = b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"
        watchers = [self.raw(ask) for _ in range(8)]
        for each in watchers[1:]:
            self.assertTrue(each.recv(100).startswith(b"HTTP/1.1 200"))
        self.assertEqual(self.ask_admin("GET", "/events").code, "too-many")
        self.assertLess(self.reacts(tool), 5 * RUN.slow)
        self.assertLess(self.reacts(tool), 5 * RUN.slow)
        for each in watchers:
            each.close()
        self.reacts(tool)

        def room():
            connection = self.raw(ask)
            try:
                return connection.recv(12) == b"HTTP/1.1 200"
            finally:
                connection.close()

        tool.wait_for(room)
        self.end(tool)

    def test_ten_thousand(self):
        """Connections that come and go, while the supervisor has few descriptors."""
        tool = self.serve(before_exec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24)))
        done = 0
        began = time.monotonic()
        while done < 10000:
            burst = []
            for _ in range(100):
                connection = socket.socket(socket.AF_UNIX)
                connection.setblocking(False)
                try:
                    connection.connect(str(self.socket))
                    connection.send(b"GET /st")
                except OSError:
                    pass  # the queue is full
                burst.append(connection)
            for connection in burst:
                connection.close()
            done += len(burst)
            if done % 2500 == 0:
                self.assertLess(self.reacts(tool), 5 * RUN.slow)
        self.assertGreater(done / (time.monotonic() - began), 1)

        def answers():
            try:
                return self.ask_admin("GET", "/readyz").status == 200
            except BlockingIOError:
                return False  # the queue is still full

        tool.wait_for(answers, timeout=30)
        self.assertEqual(len(children(tool.pid)), 1)
        if not RUN.instrumented:
            size = int(re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{tool.pid}/status").read_text())[1])
            self.assertLess(size, 2048)
        self.end(tool)

    def test_stopping(self):
        """Who watches, and who asks for more, keeps nobody from ending."""
        proxy, env = self.stalled()
        tool = self.serve(env={**env, "STORSYNC_ENVIRONMENT": "development"})
        self.raw(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.ask_admin("POST", "/sync")
        began = time.monotonic()
        tool.kill(signal.SIGTERM)
        self.assertEqual(tool.wait().code, 143)
        self.assertLess(time.monotonic() - began, 4 * RUN.slow)
        self.assertFalse(self.socket.exists())
