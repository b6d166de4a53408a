"""What the page shows of each state, and what it does when things go wrong. The server is a stand-in."""
from browsercase import BUILT, SHARED, BrowserCase
from contract import Judge
from standin import TOKEN, a_last, a_run, a_status, ago

ODD = ["<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>", "\u202egnp.exe", "line\nfeed\x00\x1b[31m", "\u200b",
       "a" * 1024, "'\"`${alert(1)}", "público/ключ/鍵/🔑", "&lt;b&gt;"]


def differing(*kinds):
    objects = [{"key": key, "kind": kinds[i % len(kinds)]} for i, key in enumerate(ODD)]
    return {"runId": 2, "at": ago(minutes=3), "missing": 4, "different": 3, "extra": 106, "unknown": 1, "objects": objects, "more": 104}


def running(**more):
    run = {**a_last(a_run(3, by="http"), "Syncing"), "state": "running", "startedAt": ago(seconds=12), "finishedAt": None, "exitCode": None,
           "failedFiles": 2, "progress": {"listed": 12389, "active": 3, "movedBytes": 0}, **more}
    del run["durationMs"]
    return run


def failed(state="failed", kind="unreachable", message="source s3://shop-dev: no connection", files=(), **more):
    run = a_run(3, state=state, failedFiles=len(files), **more)
    errors = [{"file": file, "error": "the service says 403 Forbidden", "kind": kind} for file in files]
    return {"last": a_last(run, message, error={"kind": kind}, errors=errors), "runs": [run]}


ALL = {
    "production": {},
    "running": {"run": running()},
    "waiting": {"run": running(state="waiting", waitingFor="web-7c9f-2", mode="deploy", by="start")},
    "nothing yet": {"last": None, "runs": [], "application": None, "schedules": {"sync": None, "validate": None}},
    "development": {"environment": "development", "environmentSource": "default",
                    "last": a_last(a_run(1, "deploy", "inactive"), "Development environment: no automatic sync")},
    "failed": failed(),
    "partial": {**failed("partial", "permission", "Synced 42 objects, 9 failed", ODD), "differences": differing("missing", "different")},
    "differences": {"differences": differing("missing", "different", "extra"),
                    "last": a_last(a_run(2, "validate", "partial"), "Source and destination differ: 4 missing")},
    "twenty runs": {"runs": [a_run(20 - i, mode, state, minutes=20 * i) for i, (mode, state) in enumerate(
        [("sync", "synced"), ("dry-run", "synced"), ("validate", "partial"), ("sync", "failed"), ("deploy", "interrupted")] * 4)]},
    "rolled back": {"last": a_last(a_run(3, "rollback", "rolled-back"), "Rolled back 42 objects (12.45 MB), 12345 as before"),
                    "runs": [a_run(3, "rollback", "rolled-back"), a_run(2, deletedFiles=7)]},
    "read-only": {"readOnly": True},
}


class Contract(BrowserCase):
    def test_the_stand_in_keeps_to_it(self):
        """What it says of each state is as docs/openapi.json has it, so the real one may say it."""
        server = self.standin()
        for name, more in ALL.items():
            server.show(**{**a_status(), **more})
            self.assertEqual(Judge().answer("GET", "/status", 200, "application/json", server.text()), [], name)


class Judged(BrowserCase):
    """axe finds nothing, and nothing is too wide, in each state."""

    def test_each_state(self):
        server = self.standin()
        page = self.visit(server.url, bypass=True)  # axe itself is what the policy would refuse
        for name, more in ALL.items():
            with self.subTest(name):
                server.show(**{**a_status(version=name), **more})
                page.wait_text("#version", name)
                self.judge(page)

    def test_dialog(self):
        server = self.standin()
        page = self.visit(server.url, bypass=True)
        page.wait_text("#link", "Live")
        page.tab_to("sync")
        page.key("Enter")
        page.wait_for("document.querySelector('dialog').open")
        self.judge(page)
        page.type("no such token")
        page.key("Enter")
        page.wait_text("#wrong", "wrong")
        self.judge(page)
        page.key("Escape")
        page.tab_to("rollback")
        page.key("Enter")
        page.wait_text("#what", "Undo")
        self.judge(page)

    def test_offline(self):
        server = self.standin()
        page = self.visit(server.url, bypass=True)
        page.wait_text("#link", "Live")
        server.stop()
        page.wait_text("#state", "No answer")
        self.judge(page)

    def test_judge_sees_what_is_wrong(self):
        """The judge is awake."""
        server = self.standin()
        page = self.visit(server.url, bypass=True)
        page.run("document.querySelector('main').append(document.createElement('input'))")
        page.run(SHARED.axe) if SHARED.axe else self.skipTest("NOT TESTED: no axe-core")
        self.assertEqual(page.run("axe.run(document).then(said => said.violations.map(wrong => wrong.id))"), ["label"])


class Told(BrowserCase):
    """In words: state and tone, never by colour alone."""

    def setUp(self):
        super().setUp()
        self.server = self.standin()
        self.page = self.visit(self.server.url)
        self.page.wait_text("#link", "Live")

    def show(self, **more):
        self.server.show(**a_status(version="shown", **more))
        self.page.wait_text("#version", "shown")
        self.server.show(version="next")
        self.page.wait_text("#version", "next")

    def test_states(self):
        for more, words, tone, title in (
                ({}, "Production is in sync", "ok", "✓"),
                ({"last": a_last(a_run(1, state="already-synced"))}, "Production is in sync", "ok", "✓"),
                ({"last": a_last(a_run(1, state="too-soon"))}, "Sync not due yet", "ok", "✓"),
                ({"last": a_last(a_run(1, state="nothing-to-do"))}, "Sync has nothing to do", "ok", "✓"),
                ({"environment": "development"}, "In sync", "ok", "✓"),
                (ALL["development"], "First sync left out", "calm", "First"),
                (ALL["running"], "Sync under way", "run", "↻"),
                ({"run": running(mode="validate")}, "Validation under way", "run", "↻"),
                (ALL["failed"], "Sync failed", "bad", "✗"),
                (failed("interrupted", "interrupted"), "Sync ended early", "warn", "!"),
                (ALL["partial"], "Sync incomplete", "bad", "✗"),
                (ALL["differences"], "Source and destination differ", "warn", "!"),
                ({"last": a_last(a_run(2, "validate"))}, "Source and destination are equal", "ok", "✓"),
                (failed(mode="validate"), "Validation failed", "bad", "✗"),
                (ALL["rolled back"], "Rollback done", "ok", "✓"),
                ({"run": running(mode="rollback")}, "Rollback under way", "run", "↻"),
                (failed("partial", mode="rollback"), "Rollback incomplete", "bad", "✗"),
                ({"last": a_last(a_run(2, state="what-comes-later"))}, "Sync what-comes-later", "warn", "!"),
                ({"last": None, "runs": []}, "Nothing has run yet", "calm", "N")):
            with self.subTest(words):
                self.show(**more)
                self.assertEqual(self.page.text("#state"), words)
                self.assertEqual(self.page.run("document.getElementById('hero').dataset.tone"), tone)
                self.assertTrue(self.page.run("document.title").startswith(title))

    def test_dry_run_changes_no_verdict(self):
        last = failed()
        dry = a_run(4, "dry-run")
        self.show(last=a_last(dry, "Would sync 3 objects"), runs=[dry, *last["runs"]])
        self.assertEqual(self.page.text("#state"), "Sync failed")

    def test_what_was_removed(self):
        self.show(run=running(deletedFiles=1234), runs=[a_run(2, deletedFiles=4321)])
        self.assertRegex(self.page.text("#figures"), r"removed\s+1,234")
        self.assertIn("4,321", self.page.run("document.querySelector('[data-name=Removed]:is(td)').innerText"))
        self.show(run=running())
        self.assertNotIn("removed", self.page.text("#figures"))
        self.assertNotIn("Removed", self.page.text("#runs"))

    def test_cure(self):
        for kind, words in (("permission", "--check-access"), ("credentials", "renew"), ("configuration", "--check-config"),
                            ("new kind", "docs/MESSAGES.md")):
            self.show(**failed(kind=kind))
            self.assertIn(words, self.page.text("#cure"))
        self.show(**failed("interrupted", "interrupted", mode="rollback"))
        self.assertEqual(self.page.text("#cure"), "Roll back again: it goes on where this one ended.")
        self.show()
        self.assertEqual(self.page.text("#trouble"), "")

    def test_keys_are_text(self):
        self.show(**ALL["partial"])
        for place in ("#keys", "#errors"):
            shown = self.page.run(f"[...document.querySelectorAll('{place} .key')].map(key => key.textContent)")
            self.assertEqual(shown, ["<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>", "\\u{202e}gnp.exe",
                                     "line\\u{a}feed\\u{0}\\u{1b}[31m", "\\u{200b}", *ODD[5:]])
        self.assertEqual(self.page.run("document.querySelectorAll('img, main script, main b').length"), 0)

    def test_runs(self):
        self.show(**ALL["twenty runs"])
        rows = self.page.run("[...document.querySelectorAll('tbody tr')].map(row => row.innerText)")
        self.assertEqual(len(rows), 20)
        for row, words in zip(rows, ("20 · Sync", "19 · Dry run", "18 · Validation", "17 · Sync", "16 · First sync")):
            self.assertIn(words, row)
        self.assertIn("12.45 MB", rows[0])
        self.assertIn("12,345", rows[0])

    def test_times(self):
        """Local; UTC where one points at it. The browser's zone is Berlin's, whose hour is another one all year."""
        self.show(last=a_last(a_run(1), finishedAt="2026-01-02T23:04:05.678Z"))
        self.assertIn("3 Jan, 00:04:05", self.page.text("#when"))
        self.assertEqual(self.page.run("document.querySelector('#when time').title"), "2026-01-02T23:04:05.678Z")
        self.assertRegex(self.page.text("#facts"), r"\(in (49|50) min\)")

    def test_environment_and_why(self):
        facts = self.page.text("#facts")
        for words in ("production", "by NODE_ENV=production", "s3://shop-dev", "s3://shop-production", "running, process 7"):
            self.assertIn(words, facts)

    def test_what_does_not_change_is_let_alone(self):
        """Who reads or selects it is not disturbed; a screen reader does not say it again."""
        self.page.run("window.before = document.querySelector('tbody tr'), window.said = document.getElementById('state').firstChild")
        self.server.show(version="later")
        self.page.wait_text("#version", "later")
        self.assertTrue(self.page.run("before === document.querySelector('tbody tr') && said === document.getElementById('state').firstChild"))


class Moving(BrowserCase):
    def test_progress(self):
        server = self.standin()
        page = self.visit(server.url)
        server.show(run=running(syncedFiles=10, totalSize=1024))
        page.wait_text("#figures", "10")
        self.assertTrue(page.run("document.getElementById('progress').offsetWidth > 100"))
        for i in range(1, 8):
            server.show(run=running(syncedFiles=10 + i, totalSize=1024 + i * 3 * 1024 ** 2))
            page.wait_text("#figures", str(10 + i))
        page.wait_text("#figures", "21.00 MB")
        server.show(run=running(totalSize=0, progress={"listed": 7, "active": 1, "movedBytes": 5 * 1024 ** 3}))
        page.wait_text("#figures", "5.00 GB")  # of an object that is under way
        server.show(run=running(mode="validate", progress={"listed": 4321, "active": 0, "movedBytes": 0}))
        page.wait_text("#figures", "4,321")
        server.show(run=None)
        page.wait_text("#state", "Production is in sync")
        self.assertEqual(page.text("#live"), "")

    def test_stands_still_for_who_wants_that(self):
        server = self.standin()
        server.show(run=running())
        page = self.visit(server.url)
        page.wait_text("#state", "Sync under way")
        moving = "document.getAnimations().length"
        self.assertGreater(page.run(moving), 0)
        page.look(1280, still=True)
        self.assertEqual(page.run(moving), 0)


class Reached(BrowserCase):
    """The connection: events, or asking; and what is said when there is no answer."""

    def test_without_events(self):
        """Something between does not let them through."""
        server = self.standin()
        server.events = False
        page = self.visit(server.url)
        page.wait_text("#link", "Asking")
        server.show(version="9.9.9")
        page.wait_text("#version", "9.9.9")

    def test_no_answer_and_again(self):
        server = self.standin()
        page = self.visit(server.url)
        page.wait_text("#link", "Live")
        server.stop()
        page.wait_text("#state", "No answer since")
        self.assertIn("What you see is of", page.text("#message"))
        self.assertIn("Then: Production is in sync", page.text("#when"))
        self.assertTrue(page.run("document.title").startswith("! No answer"))
        server.start(server.port)
        page.wait_text("#state", "Production is in sync", timeout=30)
        page.wait_text("#link", "Live", timeout=30)

    def test_silence(self):
        """It takes connections and says nothing: as good as dead, after ten seconds."""
        server = self.standin()
        page = self.visit(server.url)
        page.wait_text("#link", "Live")
        server.silent = True
        server.show(version="unheard")
        page.wait_text("#state", "No answer since", timeout=60)

    def test_out_of_sight(self):
        """Who does not look has no connection open."""
        server = self.standin()
        page = self.visit(server.url)
        page.wait_text("#link", "Live")
        page.run("Object.defineProperty(document, 'hidden', {value: true, configurable: true}), document.dispatchEvent(new Event('visibilitychange'))")
        page.wait_for("events.readyState === EventSource.CLOSED")
        server.show(version="later")
        page.run("delete document.hidden, document.dispatchEvent(new Event('visibilitychange'))")
        page.wait_text("#version", "later")


class Asking(BrowserCase):
    """The buttons, by the keyboard alone."""

    def setUp(self):
        super().setUp()
        self.server = self.standin()
        self.page = self.visit(self.server.url)
        self.page.wait_text("#link", "Live")

    def press(self, button, token=TOKEN):
        self.page.tab_to(button)
        self.page.key("Enter")
        if token:
            self.page.wait_for("document.activeElement.id === 'token'")
            self.page.type(token)
            self.page.key("Enter")

    def test_each_button(self):
        token = TOKEN
        for button, method, path in (("sync", "POST", "/sync"), ("dry", "POST", "/sync?dry_run=true"), ("validate", "POST", "/validate")):
            self.press(button, token)
            token = None  # it is known now
            self.page.wait_text("#said", "Run 3 has begun")
            self.assertEqual(self.server.asked[-1], (method, path, "Bearer " + TOKEN))
        self.server.show(run=running())
        self.page.wait_text("#stop", "Stop")
        self.press("stop", None)
        self.page.wait_text("#said", "told to end")
        self.assertEqual(self.server.asked[-1], ("DELETE", "/run", "Bearer " + TOKEN))
        self.server.show(run=None, last=a_last(a_run(3), "Synced 3 objects"))
        self.page.wait_for("document.activeElement.id === 'sync'")  # where Stop was there is nothing
        self.page.wait_text("#said", "Run 3 has ended: Synced 3 objects")

    def test_rollback_asks_each_time(self):
        """What it undoes is said before it is done, also where the token is known; who turns away has asked for nothing."""
        self.press("sync")
        self.page.wait_text("#said", "Run 3 has begun")
        for key, asked in (("Escape", False), ("Enter", False), ("Enter on Roll back", True)):
            with self.subTest(key):
                self.press("rollback", None)
                self.page.wait_text("#what", "Undo the last sync that changed something: s3://shop-production will look as before it")
                self.page.wait_for("document.activeElement.id === 'cancel'")
                self.assertEqual(self.page.text("#asked"), "Roll back")
                if asked:
                    self.page.tab_to("go")
                self.page.key(key.split()[0])
                self.page.wait_for("!document.querySelector('dialog').open")
                if asked:
                    self.page.wait_text("#said", "Run 3 has begun")
                self.assertEqual([path for _, path, _ in self.server.asked], ["/sync", "/rollback"] if asked else ["/sync"])
        self.assertEqual(self.server.asked[-1], ("POST", "/rollback", "Bearer " + TOKEN))
        self.server.show(run=running(mode="rollback"))
        self.page.wait_text("#stop", "Stop")
        self.press("rollback", None)
        self.page.wait_text("#said", "Run 3 is under way")

    def test_focus_comes_back(self):
        self.page.tab_to("validate")
        self.page.key("Enter")
        self.page.wait_for("document.activeElement.id === 'token'")
        self.page.key("Tab")
        self.page.key("Tab")
        self.assertEqual(self.page.run("document.activeElement.id"), "cancel")
        self.page.key("Escape")
        self.page.wait_for("document.activeElement.id === 'validate'")
        self.assertEqual(self.server.asked, [])

    def test_wrong_token(self):
        for token in ("", "wrong", "ключ"):
            with self.subTest(token):
                if not self.page.run("document.getElementById('ask').open"):
                    self.page.tab_to("sync")
                    self.page.key("Enter")
                    self.page.wait_for("document.activeElement.id === 'token'")
                self.page.type(token)
                self.page.key("Enter")
                self.page.wait_text("#wrong", "This token is wrong")
                self.page.wait_for("document.activeElement.id === 'token'")
                self.assertFalse(self.page.run("sessionStorage.token"))
        self.page.type(TOKEN)
        self.page.key("Enter")
        self.page.wait_text("#said", "Run 3 has begun")

    def test_token_is_this_tabs(self):
        self.press("sync")
        self.page.wait_text("#said", "Run 3 has begun")
        self.assertEqual(self.page.run("[sessionStorage.token, localStorage.length, document.cookie, location.search]"), [TOKEN, 0, "", ""])

    def test_a_run_is_under_way(self):
        self.server.show(run=running())
        self.page.wait_text("#stop", "Stop")
        self.press("sync", None)
        self.page.wait_text("#said", "Run 3 is under way")
        self.assertEqual(self.server.asked, [])

    def test_refusals(self):
        token = TOKEN
        for status, code, more, words in (
                (409, "busy", {"runId": 77}, "Run 77 is under way"), (404, "no-run", {}, "The server's own words"), (503, "", {}, "The server's own words")):
            with self.subTest(code):
                self.server.refuse = (status, code, more)
                self.press("sync", token)
                token = None
                self.page.wait_text("#said", words)

    def test_no_answer(self):
        self.page.tab_to("sync")
        self.page.key("Enter")
        self.server.stop()
        self.page.type(TOKEN)
        self.page.key("Enter")
        self.page.wait_text("#said", "No answer. Whether it was heard is not known")

    def test_read_only(self):
        self.server.show(readOnly=True)
        self.page.wait_text("#locked", "Read-only: there is no token")
        self.assertEqual(self.page.text("#buttons"), "")


class Policy(BrowserCase):
    """What got into the page somehow can do nothing."""

    def test_is_strict(self):
        server, other = self.standin(), self.standin()
        page = self.visit(server.url)
        page.wait_text("#link", "Live")
        page.run("addEventListener('securitypolicyviolation', seen => (window.refused ??= []).push(seen.effectiveDirective))")
        for what in ("const script = document.createElement('script'); script.append('window.done = true'); document.body.append(script)",
                     "document.body.innerHTML = '<p>'",
                     "const style = document.createElement('style'); style.append('body { display: none }'); document.body.append(style)",
                     "const image = document.createElement('img'); image.src = %r; document.body.append(image)" % other.url,
                     "fetch(%r + 'status')" % other.url,
                     "const base = document.createElement('base'); base.href = %r; document.head.append(base)" % other.url):
            page.run("(async () => { %s })().catch(() => {})" % what)
        page.wait_for("['require-trusted-types-for', 'style-src-elem', 'img-src', 'connect-src', 'base-uri']"
                      ".every(kind => window.refused?.includes(kind))")
        self.assertFalse(page.run("window.done"))
        self.assertEqual(other.asked, [])
        self.assertGreater(len(page.complaints()), 3)
        self.pages.remove(page)
        page.close()

    def test_size(self):
        page = (BUILT / "page.html").read_text()
        self.assertLessEqual(len(page.encode()), 24 * 1024)
        self.assertNotRegex(page, r"https?://(?!www\.w3\.org/2000/svg)")
