"""Telling others how a run ended: webhooks that are well, and such that are not; mail through a real SMTP server."""
import base64
import contextlib
import email
import email.policy
import hmac
import json
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pki
from harness import CHECKOUT, RUN, TestCase, production

try:
    from aiosmtpd.controller import Controller
    from aiosmtpd.smtp import AuthResult, SMTP
except ImportError:
    Controller = None

SECRET = "a secret of the receiver's"
PATH = "/services/T000/B000/very-secret-path?key=also-secret"
DOCUMENT = CHECKOUT / "docs" / "NOTIFY.md"


class Receiver:
    """A webhook. `answers` are what it does, one after the other; the last one again and again."""

    def __init__(self, *answers, tls=False):
        self.answers = [*answers] or [204]
        self.requests = []  # (path, headers, body)
        self.released = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                answer = receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0]
                self.close_connection = True
                if callable(answer):
                    answer(self)
                else:
                    reply(answer)(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}{PATH}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def stop(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @property
    def payload(self):
        return json.loads(self.requests[-1][2])

    # what a receiver may do instead of answering

    def stall(self, handler):
        self.released.wait(60)

    def reset(self, handler):
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()

    def endless(self, handler):
        """Never an end, of an answer that is fine."""
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not self.released.is_set():
            handler.wfile.write(b"x" * 65536)

    def head_only(self, handler):
        """Says that a body comes, and is silent."""
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        handler.wfile.flush()
        self.released.wait(60)


def close_early(handler):
    handler.connection.shutdown(socket.SHUT_RDWR)


def reply(status, **headers):
    def answer(handler):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
    return answer


class NotifyCase(TestCase):
    def setUp(self):
        super().setUp()
        self.source, self.destination = self.dir_bucket(), self.dir_bucket()
        self.source.put("public/a", b"x" * 1000, age=100)

    def receiver(self, *answers, **how):
        receiver = Receiver(*answers, **how)
        self.addCleanup(receiver.stop)
        return receiver

    def env(self, **more):
        return production(self.source, self.destination, **more)

    def broken(self, **more):
        """A run that fails."""
        shutil.rmtree(self.source.root, ignore_errors=True)
        return self.env(**more)

    def assert_secrets_kept(self, tool):
        for secret in (SECRET, "very-secret-path", "also-secret", "hunter2"):
            self.assertNotIn(secret, tool.err + tool.out)

    def not_told(self, tool, what):
        self.assertTrue(any("not told how the run ended" in line and what in line for line in tool.warnings),
                        tool.warnings)
        self.assert_secrets_kept(tool)


class Webhook(NotifyCase):
    def test_failure(self):
        receiver = self.receiver()
        app = self.app()
        tool = self.tool("--", app.path, env=self.broken(STORSYNC_NOTIFY_URL=receiver.url, STORSYNC_LOG_LEVEL="debug"))
        self.assertEqual(tool.code, 0)
        self.assertTrue(app.started)
        self.assertEqual(len(receiver.requests), 1)
        path, headers, _ = receiver.requests[0]
        self.assertEqual(path, PATH)
        self.assertEqual(headers["content-type"], "application/json")
        self.assertNotIn("webhook-signature", headers)
        payload = receiver.payload
        self.assertEqual(payload["run"], {**tool.status, "updatedAt": payload["run"]["updatedAt"]})
        self.assertEqual(payload["run"]["state"], "failed")
        self.assertTrue(payload["text"].startswith("[storsync-init] deploy failed: file://"), payload["text"])
        self.assertIn(payload["run"]["message"].split(":")[0], payload["text"])
        self.assertIn(f"told 127.0.0.1:{receiver.port} how the run ended", tool.err)
        self.assert_secrets_kept(tool)

    def test_signature(self):
        """Checked by what is in the document, for Python and for Node."""
        receiver = self.receiver()
        self.tool("--sync", env=self.broken(STORSYNC_NOTIFY_URL=receiver.url, STORSYNC_NOTIFY_SECRET=SECRET))
        _, headers, body = receiver.requests[0]
        text = DOCUMENT.read_text()
        programs = {"python3": "-c", "node": "-e"}
        for name, code in re.findall(r"```(python|js)\n(.*?)```", text, re.S):
            command = {"python": "python3", "js": "node"}[name]
            if not shutil.which(command):
                continue
            with self.subTest(command):
                tail = {"python": "\nimport json, sys\nprint(verify(open(0, 'rb').read(), json.loads(sys.argv[1]), sys.argv[2]))",
                        "js": "\nconst [headers, secret] = process.argv.slice(1);\n"
                              "console.log(verify(require('fs').readFileSync(0), JSON.parse(headers), secret) ? 'True' : 'False')"}[name]
                for given, secret, expected in ((body, SECRET, "True"), (body + b" ", SECRET, "False"),
                                                (body, "another", "False")):
                    done = subprocess.run([command, programs[command], code + tail, json.dumps(headers), secret], input=given,
                                          capture_output=True)
                    self.assertEqual(done.stdout.decode().strip(), expected, done.stderr)
                stale = {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) - 3600)}
                stale["webhook-signature"] = "v1," + base64.b64encode(hmac.digest(
                    SECRET.encode(), f"{headers['webhook-id']}.{stale['webhook-timestamp']}.".encode() + body, "sha256")).decode()
                done = subprocess.run([command, programs[command], code + tail, json.dumps(stale), SECRET], input=body,
                                      capture_output=True)
                self.assertEqual(done.stdout.decode().strip(), "False", "an old one that somebody plays again")
        self.assertLess(abs(int(headers["webhook-timestamp"]) - time.time()), 60)

    def test_which_runs(self):
        receiver = self.receiver()

        def told(*args, on, **how):
            before = len(receiver.requests)
            self.tool(*args, env={**self.env(STORSYNC_NOTIFY_URL=receiver.url, STORSYNC_NOTIFY_ON=on), **how})
            return len(receiver.requests) - before

        self.assertEqual(told("--sync", on="failure"), 0)
        self.assertEqual(told("--sync", on="always"), 1)
        self.assertEqual(told("--sync", on="change"), 0)
        self.assertEqual(told("--sync", "--dry-run", on="always"), 0)
        self.assertEqual(told("--validate", on="failure"), 0)
        self.destination.remove("public/a")
        self.assertEqual(told("--validate", on="failure"), 1)
        self.assertEqual(receiver.payload["run"]["missingFiles"], 1)
        self.assertNotIn("details", receiver.payload["run"])
        hidden = self.source.root.with_name("hidden")
        self.source.root.rename(hidden)
        self.assertEqual(told("--sync", on="change"), 1)
        self.assertEqual(told("--sync", on="change"), 0, "it failed before")
        self.assertEqual(told("--sync", on="failure"), 1)
        hidden.rename(self.source.root)
        self.assertEqual(told("--sync", on="change"), 1)
        self.assertEqual(receiver.payload["run"]["state"], "synced")
        self.assertEqual(told(on="always", STORSYNC_ENVIRONMENT="development"), 0, "development asks nobody")

    def test_retried(self):
        receiver = self.receiver(503, reply(429, Retry_After="1"), 204)
        tool = self.tool("--sync", env=self.broken(STORSYNC_NOTIFY_URL=receiver.url, STORSYNC_NOTIFY_TIMEOUT="2m"))
        self.assertEqual(len(receiver.requests), 3)
        self.assertEqual(len({headers["webhook-id"] for _, headers, _ in receiver.requests}), 1)
        self.assertIn("told 127.0.0.1", tool.err)

    def test_refused(self):
        for answer, what, attempts in (
                (500, "status 500", 3),
                (404, "status 404", 1),
                (reply(302, Location="http://127.0.0.1:1/"), "it answers with a redirect (status 302)", 1),
                (close_early, "the connection was closed without an answer", 3)):
            receiver = self.receiver(answer)
            tool = self.tool("--sync", env=self.broken(STORSYNC_NOTIFY_URL=receiver.url, STORSYNC_NOTIFY_TIMEOUT="2m",
                                                       STORSYNC_LOG_LEVEL="debug"))
            with self.subTest(what):
                self.not_told(tool, what)
                self.assertEqual(len(receiver.requests), attempts)

    def test_reset(self):
        receiver = self.receiver()
        receiver.answers = [receiver.reset, 204]
        tool = self.tool("--sync", env=self.broken(STORSYNC_NOTIFY_URL=receiver.url, STORSYNC_NOTIFY_TIMEOUT="2m"))
        self.assertEqual(len(receiver.requests), 2)
        self.assertIn("told 127.0.0.1", tool.err)

    def test_nobody_there(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{unused.getsockname()[1]}{PATH}"
            tool = self.tool("--sync", env=self.broken(STORSYNC_NOTIFY_URL=url))
        self.not_told(tool, "cannot connect")

    def test_stalls(self):
        """The application waits for that long, and no longer; the exit code is the run's."""
        receiver = self.receiver()
        receiver.answers = [receiver.stall]
        app = self.app()
        tool = self.tool("--", app.path, env=self.broken(STORSYNC_NOTIFY_URL=receiver.url, STORSYNC_NOTIFY_TIMEOUT="1s"))
        self.assertTrue(app.started)
        self.assertGreater(tool.seconds, 1)
        self.not_told(tool, "no answer within")
        self.assertEqual(tool.status["state"], "failed", "the status was told before")

    def test_time_limit(self):
        """timeout holds for all of it, and leaves a quarter for telling of a run that took all of its time."""
        silent = self.proxy()
        receiver = self.receiver()
        receiver.answers = [receiver.stall]
        app = self.app()
        tool = self.tool("--", app.path, env=self.broken(STORSYNC_NOTIFY_URL=receiver.url, STORSYNC_NOTIFY_TIMEOUT="1m",
                                                         STORSYNC_TIMEOUT="4s"), timeout=30)
        self.assertTrue(app.started)
        self.assertLess(tool.seconds, 4 * RUN.slow)
        self.not_told(tool, "no answer within")
        del silent

    def test_answer_without_an_end(self):
        for name in ("endless", "head_only"):
            receiver = self.receiver()
            receiver.answers = [getattr(receiver, name)]
            tool = self.tool("--sync", env=self.broken(STORSYNC_NOTIFY_URL=receiver.url, STORSYNC_NOTIFY_TIMEOUT="2s"))
            with self.subTest(name):
                self.assertIn("told 127.0.0.1", tool.err)
                self.assertEqual(len(receiver.requests), 1)

    def test_signal_ends_it(self):
        receiver = self.receiver()
        receiver.answers = [receiver.stall]
        app = self.app()
        tool = self.start("--", app.path, env=self.broken(STORSYNC_NOTIFY_URL=receiver.url, STORSYNC_NOTIFY_TIMEOUT="5m",
                                                          STORSYNC_TIMEOUT="1h"))
        tool.wait_for(lambda: receiver.requests)
        asked = time.monotonic()
        tool.kill(signal.SIGTERM)
        tool.wait(timeout=60)
        self.assertEqual(tool.code, 128 + signal.SIGTERM)
        self.assertFalse(app.started)
        self.assertLess(time.monotonic() - asked, 2 * RUN.slow)

    def test_https_with_a_private_authority(self):
        receiver = self.receiver(tls=pki.server_context(RUN.pki.pem(RUN.certificate)))
        env = self.broken(STORSYNC_NOTIFY_URL=receiver.url)
        self.not_told(self.tool("--sync", env=env), "certificate")
        self.assertEqual(receiver.requests, [])
        tool = self.tool("--sync", env={**env, "STORSYNC_NOTIFY_CA_FILE": str(RUN.ca_file)})
        self.assertIn("told 127.0.0.1", tool.err)

    def test_crashed(self):
        """What a run could not say any more is told by the process that tells of its end."""
        if not RUN.test_binary:
            self.skipTest("no binary with places to crash at: STORSYNC_TEST_BIN")
        receiver = self.receiver()
        app = self.app()
        env = self.env(STORSYNC_NOTIFY_URL=receiver.url, STORSYNC_CRASH_AT="synced",
                       STORSYNC_CRASH_HOW=str(int(signal.SIGSEGV)), STORSYNC_NOTIFY_TIMEOUT="1m")
        self.tool("--", app.path, env=env, binary=RUN.test_binary)
        self.assertTrue(app.started)
        self.assertEqual(len(receiver.requests), 1)
        self.assertIn("crashed (signal 11", receiver.payload["run"]["message"])

    def test_crashed_after_removing(self):
        """What it had removed until then is not forgotten."""
        if not RUN.test_binary:
            self.skipTest("no binary with places to crash at: STORSYNC_TEST_BIN")
        receiver = self.receiver()
        self.destination.put("public/extra", b"y")
        tool = self.tool("--sync", env=self.env(STORSYNC_NOTIFY_URL=receiver.url, STORSYNC_CRASH_AT="before-end",
                                                STORSYNC_CRASH_HOW=str(int(signal.SIGSEGV)), STORSYNC_DELETE="extra",
                                                STORSYNC_MAX_DELETE="100%"), binary=RUN.test_binary)
        self.assertEqual((tool.status["state"], tool.status["deletedFiles"]), ("failed", 1))
        run, text = receiver.payload["run"], receiver.payload["text"]
        self.assertEqual((run["state"], run["deletedFiles"]), ("failed", 1))
        self.assertIn("Synced 1 object (1000 B), 0 already up to date, 1 removed", text)

    def test_crashed_and_stalls(self):
        if not RUN.test_binary:
            self.skipTest("no binary with places to crash at: STORSYNC_TEST_BIN")
        receiver = self.receiver()
        receiver.answers = [receiver.stall]
        app = self.app()
        env = self.env(STORSYNC_NOTIFY_URL=receiver.url, STORSYNC_CRASH_AT="synced",
                       STORSYNC_CRASH_HOW=str(int(signal.SIGSEGV)), STORSYNC_NOTIFY_TIMEOUT="1s")
        tool = self.tool("--", app.path, env=env, binary=RUN.test_binary)
        self.assertTrue(app.started)
        self.not_told(tool, "no answer within")

    def test_text_is_only_text(self):
        receiver = self.receiver()
        self.tool("--sync", env=self.broken(STORSYNC_NOTIFY_URL=receiver.url,
                                            STORSYNC_DEPLOYMENT_ID="<!channel> @everyone & more"))
        self.assertIn("&lt;!channel&gt; @\u200beveryone &amp; more", receiver.payload["text"])
        self.assertNotRegex(receiver.payload["text"], r"[<>]|@everyone")


class Configuration(NotifyCase):
    def check(self, **env):
        tool = self.tool("--check-config", env=self.env(**{f"STORSYNC_{k}": v for k, v in env.items()}))
        self.assert_secrets_kept(tool)
        return tool

    MAIL = {"SMTP_URL": "smtp://mail.example.com:587", "NOTIFY_MAIL_FROM": "storsync@example.com"}

    def test_good(self):
        for env in ({"NOTIFY_URL": "https://hooks.slack.com/services/T0/B0/x"},
                    {"NOTIFY_URL": "https://chat.example.com/v1/x?key=1&token=2"},
                    {"NOTIFY_URL": "http://127.0.0.1:9/x"}, {"NOTIFY_URL": "http://alerts:9/x", "NOTIFY_PLAIN": "true"},
                    {**self.MAIL, "NOTIFY_MAIL_TO": "a@example.com, b.c+d@sub.example.com"},
                    {**self.MAIL, "NOTIFY_MAIL_TO": "a@b", "SMTP_USER": "u", "SMTP_PASSWORD": "hunter2"}):
            with self.subTest(env):
                self.assertEqual(self.check(**env).code, 0)

    def test_wrong(self):
        mail = self.MAIL
        for env, what in (
                ({"NOTIFY_URL": "http://alerts/very-secret-path"}, "http:// to another machine"),
                ({"NOTIFY_URL": "ftp://alerts/very-secret-path"}, "has to begin with https://"),
                ({"NOTIFY_URL": "very-secret-path"}, "is no URL"),
                ({"NOTIFY_URL": "https://user:hunter2@alerts/very-secret-path"}, "a user or a password in it"),
                ({"NOTIFY_URL": "https://alerts/very-secret-path\u00e4"}, "has a character in it"),
                ({"NOTIFY_URL": "https://alerts/very-secret-path x"}, "has a character in it"),
                ({"SMTP_URL": "smtp://mail/x"}, "has to be smtp://host:port"),
                ({"SMTP_URL": "https://mail"}, "has to be smtp://host:port"),
                ({"SMTP_URL": "smtp://u:hunter2@mail"}, "a user or a password in it"),
                ({"NOTIFY_MAIL_TO": "a@b"}, "needs notify_mail_from"),
                ({"NOTIFY_MAIL_TO": "a@b", "NOTIFY_MAIL_FROM": "c@d"}, "needs smtp_url"),
                ({**mail, "NOTIFY_MAIL_TO": "a@b", "SMTP_USER": "u"}, "needs smtp_user and smtp_password"),
                ({**mail, "NOTIFY_MAIL_TO": "Ops <a@b>"}, "without a name"),
                ({**mail, "NOTIFY_MAIL_TO": "a@b\r\nBcc: evil@example.com"}, "without a name"),
                ({**mail, "NOTIFY_MAIL_TO": "a@b\nRCPT TO:<evil@example.com>"}, "without a name"),
                ({**mail, "NOTIFY_MAIL_TO": "\u00fcser@example.com"}, "in ASCII"),
                ({**mail, "NOTIFY_MAIL_TO": ",".join(["a@b"] * 17)}, "up to 16"),
                ({**mail, "NOTIFY_MAIL_TO": "a@b,"}, "an address"), ({**mail, "NOTIFY_MAIL_TO": "a@b@c"}, "an address"),
                ({**mail, "NOTIFY_MAIL_TO": "a b@c"}, "an address"), ({**mail, "NOTIFY_MAIL_TO": "@c"}, "an address"),
                ({**mail, "NOTIFY_MAIL_FROM": "a@b,c@d", "NOTIFY_MAIL_TO": "a@b"}, "an address")):
            with self.subTest(env):
                tool = self.check(**env)
                self.assertEqual(tool.code, 78)
                self.assertTrue(any(what in line for line in tool.errors), tool.err)

    def test_a_sync_goes_on_without(self):
        tool = self.succeed(env=self.env(STORSYNC_NOTIFY_URL="nonsense", STORSYNC_NOTIFY_MAIL_TO="x"))
        self.assertEqual(tool.status["state"], "synced")

    def test_printed_without_secrets(self):
        tool = self.tool("--print-config", env=self.env(STORSYNC_NOTIFY_URL="https://hooks/very-secret-path",
                                                        STORSYNC_NOTIFY_SECRET=SECRET, STORSYNC_SMTP_PASSWORD="hunter2"))
        self.assert_secrets_kept(tool)
        self.assertRegex(tool.out, r"notify_url *= \*\*\*\*")


class Mailbox:
    """aiosmtpd, a real SMTP server, with STARTTLS (or TLS from the beginning) and AUTH."""

    def __init__(self, starttls=True, smtps=False, auth=False, mechanisms=None, refuse=(), act=None):
        self.mails = []  # (envelope)
        self.logins = []
        mailbox = self

        class Handler:
            async def handle_RCPT(self, server, session, envelope, address, options):
                if address in refuse:
                    return "550 5.1.1 no such user here"
                envelope.rcpt_tos.append(address)
                return "250 OK"

            async def handle_DATA(self, server, session, envelope):
                if act:
                    return act()
                mailbox.mails.append((envelope, session.ssl is not None))
                return "250 OK"

        def authenticate(server, session, envelope, mechanism, data):
            mailbox.logins.append((mechanism, data.login.decode(), data.password.decode()))
            good = data.login == b"storsync" and data.password == b"hunter2"
            return AuthResult(success=good, handled=good or False, message=None if good else "535 5.7.8 wrong password")

        context = pki.server_context(RUN.pki.pem(RUN.certificate))
        exclude = None if mechanisms is None else {"LOGIN", "PLAIN"} - set(mechanisms)

        class Own(Controller):
            def factory(self):
                return SMTP(self.handler, tls_context=context if starttls and not smtps else None,
                            require_starttls=starttls and not smtps, authenticator=authenticate if auth else None,
                            auth_required=bool(auth), auth_require_tls=starttls and not smtps,
                            auth_exclude_mechanism=exclude, hostname="mail.test")

            def _create_server(self):
                return self.loop.create_server(self._factory_invoker, sock=listener, ssl=self.ssl_context)

        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self.controller = Own(Handler(), hostname="127.0.0.1", port=self.port, ready_timeout=5 * RUN.slow,
                              ssl_context=context if smtps else None)
        self.controller.start()
        self.url = f"smtp{'s' if smtps else ''}://127.0.0.1:{self.port}"

    def stop(self):
        self.controller.stop(no_assert=True)

    def message(self, number=-1):
        return email.message_from_bytes(self.mails[number][0].original_content, policy=email.policy.SMTP)


@unittest.skipUnless(Controller, ">>> SKIPPED, not tested here: no SMTP server (Debian package python3-aiosmtpd) <<<")
class Mail(NotifyCase):
    def mailbox(self, **how):
        mailbox = Mailbox(**how)
        self.addCleanup(mailbox.stop)
        return mailbox

    def mail(self, mailbox, **more):
        env = {"STORSYNC_SMTP_URL": mailbox.url, "STORSYNC_NOTIFY_MAIL_FROM": "storsync@example.com",
               "STORSYNC_NOTIFY_MAIL_TO": "ops@example.com, night+shift@example.org",
               "STORSYNC_NOTIFY_CA_FILE": str(RUN.ca_file), "STORSYNC_LOG_LEVEL": "debug", **more}
        tool = self.tool("--sync", env=self.broken(**env))
        self.assert_secrets_kept(tool)
        return tool

    USER = {"STORSYNC_SMTP_USER": "storsync", "STORSYNC_SMTP_PASSWORD": "hunter2"}

    def test_with_starttls_and_login(self):
        for mechanism in ("PLAIN", "LOGIN"):
            mailbox = self.mailbox(auth=True, mechanisms=[mechanism])
            tool = self.mail(mailbox, **self.USER)
            with self.subTest(mechanism):
                self.assertEqual(tool.warnings, [])
                self.assertEqual(mailbox.logins, [(mechanism, "storsync", "hunter2")])
                ((envelope, encrypted),) = mailbox.mails
                self.assertTrue(encrypted)
                self.assertEqual(envelope.mail_from, "storsync@example.com")
                self.assertEqual(envelope.rcpt_tos, ["ops@example.com", "night+shift@example.org"])

    def test_message(self):
        mailbox = self.mailbox()
        self.mail(mailbox, STORSYNC_DEPLOYMENT_ID="v\u00fc42", LC_ALL="C.UTF-8")
        content = mailbox.mails[0][0].original_content
        self.assertEqual(content.count(b"\n"), content.count(b"\r\n"))
        content.decode("ascii")
        self.assertLessEqual(max(map(len, content.split(b"\r\n"))), 998)
        message = mailbox.message()
        self.assertEqual(message.defects, [])
        self.assertEqual([(a.addr_spec) for a in message["to"].addresses], ["ops@example.com", "night+shift@example.org"])
        self.assertEqual(message["from"], "storsync@example.com")
        self.assertRegex(message["message-id"], r"^<[0-9a-f]{32}@example\.com>$")
        self.assertLess(abs(message["date"].datetime.timestamp() - time.time()), 3600)
        self.assertEqual(message["auto-submitted"], "auto-generated")
        self.assertTrue(message["subject"].startswith("[storsync-init] sync failed: "))
        text = message.get_content()
        self.assertIn("failed: ", text)
        self.assertIn("Deployment: v\u00fc42\n", text)
        self.assertIn(f"Host: {socket.gethostname()}\n", text)

    def test_tls_from_the_beginning(self):
        mailbox = self.mailbox(smtps=True, auth=True)
        self.assertEqual(self.mail(mailbox, **self.USER).warnings, [])
        self.assertEqual(len(mailbox.mails), 1)

    def test_without_starttls(self):
        mailbox = self.mailbox(starttls=False, auth=True)
        self.not_told(self.mail(mailbox, **self.USER), "it offers no STARTTLS, and nothing is sent without")
        self.assertEqual((mailbox.mails, mailbox.logins), ([], []))
        self.assertEqual(self.mail(mailbox, STORSYNC_NOTIFY_PLAIN="true", **self.USER).warnings, [])
        self.assertEqual([encrypted for _, encrypted in mailbox.mails], [False])

    def test_unknown_authority(self):
        mailbox = self.mailbox(auth=True)
        self.not_told(self.mail(mailbox, STORSYNC_NOTIFY_CA_FILE="", **self.USER), "certificate")
        self.assertEqual((mailbox.mails, mailbox.logins), ([], []))

    def test_wrong_password(self):
        mailbox = self.mailbox(auth=True)
        tool = self.mail(mailbox, STORSYNC_SMTP_USER="storsync", STORSYNC_SMTP_PASSWORD="hunter2-not")
        self.not_told(tool, "535")
        self.assertEqual(mailbox.mails, [])

    def test_recipients(self):
        mailbox = self.mailbox(refuse=("ops@example.com",))
        self.assertEqual(self.mail(mailbox).warnings, [])
        self.assertEqual(mailbox.mails[0][0].rcpt_tos, ["night+shift@example.org"])
        mailbox = self.mailbox(refuse=("ops@example.com", "night+shift@example.org"))
        self.not_told(self.mail(mailbox), "it refuses the mail: 550 5.1.1 no such user here")

    def test_later(self):
        answers = ["451 4.3.0 not now", "250 OK"]
        mailbox = self.mailbox(act=lambda: answers.pop(0))
        self.assertEqual(self.mail(mailbox, STORSYNC_NOTIFY_TIMEOUT="1m").warnings, [])
        self.assertEqual(answers, [])

    def test_silent_servers(self):
        """Before the greeting, and after the message: there libcurl waits by itself."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            class Silent:
                url = f"smtp://127.0.0.1:{listener.getsockname()[1]}"
            tool = self.mail(Silent, STORSYNC_NOTIFY_TIMEOUT="1s")
        self.not_told(tool, "no answer within")

        script = [b"220 x\r\n", b"250 x\r\n", b"250 x\r\n", b"250 x\r\n", b"250 x\r\n", b"354 x\r\n"]
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            over = threading.Event()

            def serve():
                connection, _ = listener.accept()
                with connection:
                    for line in script:
                        connection.sendall(line)
                        if line[:3] != b"354":
                            connection.recv(4096)
                    over.wait(60)
            thread = threading.Thread(target=serve, daemon=True)
            thread.start()

            class Deaf:
                url = f"smtp://127.0.0.1:{port}"
            tool = self.mail(Deaf, STORSYNC_NOTIFY_TIMEOUT="1s", STORSYNC_NOTIFY_PLAIN="true")
            over.set()
            thread.join()
        self.not_told(tool, "127.0.0.1")
        self.assertLess(tool.seconds, 2 * RUN.slow)

    def scripted(self, *script, **more):
        """A server that says these lines, one for each that it reads but the message; and then nothing any more."""
        over = threading.Event()
        heard = []

        def serve():
            connection, _ = listener.accept()
            with contextlib.suppress(ConnectionError), connection, connection.makefile("rb") as lines:
                for line in script:
                    connection.sendall(line)
                    while True:
                        heard.append(lines.readline())
                        if not line.startswith(b"354") or heard[-1] in (b".\r\n", b""):
                            break
                over.wait(60)

        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=serve, daemon=True)
            thread.start()

            class Server:
                url = f"smtp://127.0.0.1:{listener.getsockname()[1]}"
            tool = self.mail(Server, STORSYNC_NOTIFY_PLAIN="true", **more)
            over.set()
            thread.join()
        return tool, heard

    def test_no_farewell(self):
        """The mail is sent; nobody waits for an answer to QUIT."""
        tool, heard = self.scripted(*[b"220 x\r\n", b"250 x\r\n", b"250 x\r\n", b"250 x\r\n", b"250 x\r\n", b"354 x\r\n",
                                      b"250 taken\r\n"], STORSYNC_NOTIFY_TIMEOUT="5m")
        self.assertEqual(tool.warnings, [])
        self.assertIn(b"QUIT\r\n", heard)
        self.assertLess(tool.seconds, 3 * RUN.slow)

    def test_nonsense(self):
        """Lines without an end, codes that are none, an answer to STARTTLS with more behind it."""
        for script in ([b"x" * 300_000], [b"220 x\r\n", b"999 x\r\n"], [b"HTTP/1.1 400 Bad Request\r\n\r\n"],
                       [b"220 x\r\n", b"250-x\r\n250 STARTTLS\r\n", b"220 go\r\n250 injected\r\n"],
                       [b"220 x\r\n", b"250-x\r\n" * 20_000]):
            with self.subTest(script[-1][:20]):
                tool, heard = self.scripted(*script, STORSYNC_NOTIFY_TIMEOUT="2s")
                self.not_told(tool, "127.0.0.1")
                self.assertFalse(any(b"MAIL FROM" in line for line in heard))

    def test_both(self):
        """A webhook that stalls does not keep the mail."""
        mailbox = self.mailbox()
        receiver = self.receiver()
        receiver.answers = [receiver.stall]
        tool = self.mail(mailbox, STORSYNC_NOTIFY_URL=receiver.url, STORSYNC_NOTIFY_TIMEOUT="5s")
        self.assertEqual(len(mailbox.mails), 1)
        self.assertIn(f"told 127.0.0.1:{mailbox.port} how the run ended (smtp_url)", tool.err)
        self.not_told(tool, "(notify_url): no answer within")
