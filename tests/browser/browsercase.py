"""What the browser tests share: one browser, axe-core, and a page that nobody may complain about when a test has ended."""
from pathlib import Path

from browser import Browser
from fetched import Missing, kept, npm
from harness import CHECKOUT, RUN, TestCase
from standin import StandIn

HERE = Path(__file__).resolve().parent
BUILT = CHECKOUT / "build/page"
WIDTHS = (360, 1280)


class Shared:
    browser = axe = None
    why_no_axe = ""

    def open(self):
        self.browser = Browser(RUN.tmp / "browser", RUN.slow).start()
        print(f"browser: {self.browser.version}", flush=True)
        try:
            place = kept("browser", "axe", [HERE / "package-lock.json"], lambda folder: npm(HERE, folder))
            self.axe = (place / "node_modules/axe-core/axe.min.js").read_text()
        except Missing as missing:
            self.why_no_axe = str(missing)
            print(f"browser: ===> SKIPPED, NOT TESTED: axe-core ({missing}) <===", flush=True)

    def close(self):
        if self.browser:
            self.browser.stop()


SHARED = Shared()


class BrowserCase(TestCase):
    def setUp(self):
        super().setUp()
        self.pages = []
        self.addCleanup(self._close)

    def _close(self):
        for page in self.pages:
            page.close()

    def tearDown(self):
        for page in self.pages:
            self.assertEqual(page.complaints(), [])

    def visit(self, url, **how):
        page = SHARED.browser.page(**how)
        self.pages.append(page)
        page.open(url)
        return page

    def standin(self):
        standin = StandIn(BUILT).start()
        self.addCleanup(standin.stop)
        return standin

    def judge(self, page):
        """Everybody can use what the page shows now, and nothing is out of sight to the right: light and dark, on a phone
        and on a desk. What moves stands still, so that colours are what they are."""
        if not SHARED.axe:
            self.skipTest(f"NOT TESTED: no axe-core ({SHARED.why_no_axe})")
        for width in WIDTHS:
            for dark in (False, True):
                page.look(width, 740, dark, still=True)
                with self.subTest(width=width, dark=dark):
                    self.assertLessEqual(page.run("document.documentElement.scrollWidth"), width)
                    if not page.run("typeof axe === 'object'"):
                        page.run(SHARED.axe)
                    found = page.run("axe.run(document).then(said => [said.passes.length, said.violations.map(wrong => "
                                     "[wrong.id, wrong.help, wrong.nodes.map(node => node.html + ' ' + node.failureSummary)])])")
                    self.assertEqual(found[1], [])
                    self.assertGreater(found[0], 15)
