"""The page with the real process that stays behind it: the way of an administrator who has a keyboard."""
import os
import signal
import threading

from browsercase import BrowserCase
from harness import RUN, production
from proxyfault import FOREVER, passthrough
from rgw import free_ports

TOKEN = "three in the morning is early"


class Real(BrowserCase):
    def setUp(self):
        super().setUp()
        self.not_wrapped("it is another program")
        self.source, self.destination = RUN.google.bucket(RUN.fresh("shop-dev")), self.dir_bucket()
        self.google = self.proxy(RUN.google.endpoint)
        self.gate = threading.Event()
        self.addCleanup(self.gate.set)

    def close_gate(self, after):
        """So many more objects are read, and no further one until the gate is opened."""
        def gated(exchange):
            while not self.gate.is_set() and not exchange.proxy.stopping.is_set():
                self.gate.wait(0.05)
            passthrough(exchange)

        self.google.fault(gated, method="GET", target="alt=media", skip=after, times=FOREVER)

    def serve(self, *command, token=TOKEN, **more):
        for _ in range(3):  # a port can be taken between choosing and using it
            [port] = free_ports(1)
            env = {**production(self.source, self.destination), "STORAGE_EMULATOR_HOST": self.google.endpoint,
                   "STORSYNC_ADMIN_LISTEN": f"127.0.0.1:{port}", "STORSYNC_CONCURRENCY": "1", **more}
            if token:
                env["STORSYNC_ADMIN_TOKEN"] = token
            tool = self.start("--serve", *(["--", *command] if command else []), env=env)
            tool.wait_for(lambda: "runs as process" in tool.err or "staying until" in tool.err)
            if "Address already in use" not in tool.err:
                return tool, f"http://127.0.0.1:{port}/"
        raise AssertionError("no port is free")

    def fill(self, count=6):
        for i in range(count):
            self.source.put(f"public/file-{i}", b"x" * 1024)

    def press(self, page, button, token=TOKEN):
        page.tab_to(button)
        page.key("Enter")
        if token:
            page.wait_for("document.activeElement.id === 'token'")
            page.type(token)
            page.key("Enter")

    def test_a_sync_by_keyboard(self):
        """Tab, Enter, the token, Enter: it begins, moves, and ends."""
        tool, url = self.serve("sleep", "1000")
        page = self.visit(url)
        page.wait_text("#state", "Production is in sync")
        page.wait_text("#facts", "running, process")
        self.fill()
        self.close_gate(after=3)
        self.press(page, "sync")
        page.wait_text("#said", "has begun")
        page.wait_text("#state", "Sync under way")
        page.wait_for("document.querySelector('#figures dd').innerText === '3'")
        page.wait_text("#figures", "3.00 KB")
        self.gate.set()
        page.wait_text("#state", "Production is in sync")
        page.wait_text("#message", "Synced 6 objects (6.00 KB)")
        rows = page.run("[...document.querySelectorAll('tbody tr')].map(row => row.innerText)")
        self.assertRegex(rows[0], r"(?s)Sync\s.*In sync.*\b6\b.*6\.00 KB")
        self.assertIn("First sync", rows[-1])
        self.assertEqual(len(self.destination.keys("public/")), 6)
        self.assertTrue(tool.running())

    def test_the_other_buttons(self):
        self.fill(3)
        tool, url = self.serve()
        page = self.visit(url)
        page.wait_text("#message", "Synced 3 objects")
        self.source.put("public/<b>new</b>\u202e", b"y")
        (self.destination.root / "public/file-0").write_bytes(b"changed")
        self.press(page, "dry")
        page.wait_text("tbody tr", "Dry run done")
        self.assertEqual(len(self.destination.keys("public/")), 3)
        self.press(page, "validate", token=None)
        page.wait_text("#state", "Source and destination differ")
        self.assertEqual(page.text("#trouble"), "")
        self.assertIn("1 missing, 1 different", page.text("#compared"))
        shown = page.run("[...document.querySelectorAll('#keys li')].map(row => row.innerText.replace(/\\s+/g, ' '))")
        self.assertEqual(sorted(shown), ["different public/file-0", "missing at the destination public/<b>new</b>\\u{202e}"])

    def test_rollback(self):
        """What the last sync changed is as before; where nothing is left to undo it says so."""
        self.fill(2)
        tool, url = self.serve(STORSYNC_KEEP_PREVIOUS="copies")
        page = self.visit(url)
        page.wait_text("#message", "Synced 2 objects")
        self.source.put("public/file-0", b"newer")
        self.press(page, "sync")
        page.wait_text("#message", "Synced 1 object")
        self.assertEqual(self.destination.contents()["public/file-0"], b"newer")
        for number, words, message in ((3, "Rollback done", "Rolled back 1 object"), (4, "Rollback done", "Rolled back 2 objects"),
                                       (5, "Rollback failed", "no sync can be rolled back")):
            self.press(page, "rollback", token=None)
            page.wait_text("#what", "Undo the last sync")
            page.tab_to("go")
            page.key("Enter")
            page.wait_text("#said", f"Run {number} has ended")
            page.wait_text("#state", words)
            self.assertIn(message, page.text("#message"))
            if number == 3:
                self.assertEqual(self.destination.contents()["public/file-0"], b"x" * 1024)
        self.assertEqual(self.destination.keys("public/"), [])

    def test_stop(self):
        tool, url = self.serve()
        page = self.visit(url)
        page.wait_text("#state", "Production is in sync")
        self.fill()
        self.close_gate(after=2)
        self.press(page, "sync")
        page.wait_text("#stop", "Stop")
        self.press(page, "stop", token=None)
        page.wait_text("#state", "Sync ended early")
        self.assertTrue(tool.running())

    def test_wrong_token(self):
        tool, url = self.serve()
        page = self.visit(url)
        page.wait_text("#state", "Production is in sync")
        self.press(page, "sync", "a wrong one")
        page.wait_text("#wrong", "This token is wrong")
        page.type(TOKEN)
        page.key("Enter")
        page.wait_text("#said", "has begun")

    def test_read_only(self):
        tool, url = self.serve(token=None)
        page = self.visit(url)
        page.wait_text("#locked", "Read-only")
        self.assertEqual(page.text("#buttons"), "")

    def test_failure_in_words(self):
        self.fill(3)
        self.source.denied.add("storage.objects.get")
        tool, url = self.serve()
        page = self.visit(url)
        page.wait_text("#state", "First sync incomplete")
        self.assertIn("--check-access", page.text("#cure"))
        self.assertIn("storage.objects.get", page.text("#errors"))
        self.assertEqual(page.run("document.querySelectorAll('#errors li').length"), 3)
        RUN.google.buckets.pop(self.source.name)
        self.press(page, "sync")
        page.wait_text("#state", "Sync failed")
        self.assertIn("docs/MESSAGES.md", page.text("#cure"))

    def test_worker_is_killed(self):
        """The page says so; the application lives on."""
        tool, url = self.serve("sleep", "1000")
        page = self.visit(url)
        page.wait_text("#state", "Production is in sync")
        self.fill()
        self.close_gate(after=2)
        before = set(tool.family())
        self.press(page, "sync")
        page.wait_text("#state", "Sync under way")
        [worker] = set(tool.family()) - before
        os.kill(worker, signal.SIGKILL)
        page.wait_text("#state", "Sync failed")
        self.assertRegex(page.text("#message"), "signal|killed")
        self.assertTrue(tool.running())

    def test_the_end(self):
        tool, url = self.serve()
        page = self.visit(url)
        page.wait_text("#state", "Production is in sync")
        tool.kill(signal.SIGTERM)
        self.assertEqual(tool.wait().code, 0)
        page.wait_text("#state", "No answer since")
