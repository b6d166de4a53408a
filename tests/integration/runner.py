"""Running a folder of unittest files: what tests/integration/run and tests/containers/run have in common."""
import signal
import sys
import time
import unittest


class Result(unittest.TestResult):
    """One line per test, with its time; the log of the tool where something went wrong."""

    passed = 0
    verdict = None

    def startTest(self, test):
        super().startTest(test)
        self.verdict, self.began = None, time.monotonic()

    def stopTest(self, test):
        super().stopTest(test)
        if self.verdict:  # none when interrupted
            self._line(test, self.verdict)

    def addSuccess(self, test):
        self.verdict = "ok"
        self.passed += 1

    def addFailure(self, test, error):
        self._bad(test, self._exc_info_to_string(error, test))

    addError = addFailure

    def addSubTest(self, test, subtest, error):
        if error:
            self._bad(test, f"{subtest._subDescription()}\n{self._exc_info_to_string(error, test)}")

    def addSkip(self, test, reason):
        self.verdict = "skip"
        self.skipped.append((test, reason))
        print(f"      {reason}")

    def _bad(self, test, text):
        if self.verdict != "FAIL":
            self.failures.append((test, text))
        self.verdict = "FAIL"
        print(text.rstrip())
        if not isinstance(test, unittest.TestCase):  # a class or a module that could not be set up
            self._line(test, "FAIL")
        elif hasattr(test, "log"):
            print("--- what the tool said ---\n" + test.log() + "---", flush=True)

    def _line(self, test, verdict):
        seconds = time.monotonic() - getattr(self, "began", time.monotonic())
        print(f"{verdict:<4} {seconds:6.2f} s  {test.id()}", flush=True)


def chosen(suite, patterns):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from chosen(item, patterns)
        elif not patterns or any(pattern in item.id() for pattern in patterns):
            yield item


def end_on_signal(number, _frame):
    raise KeyboardInterrupt(number)  # the one exception that unittest does not take for a failed test


def main(name, here, usage, open_all, close_all):
    """Runs the tests below `here` that the command line chooses, between `open_all` and `close_all`."""
    if any(word.startswith("-") for word in sys.argv[1:]):
        print(usage.strip())
        return 0 if sys.argv[1] in ("-h", "--help") else 64
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end_on_signal)
    # A shell that starts this in the background has it ignored, and so would be what is tested.
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    result = Result()
    began = time.monotonic()
    try:
        open_all()
        found = unittest.TestLoader().discover(here, top_level_dir=here)
        unittest.TestSuite(chosen(found, sys.argv[1:])).run(result)
    except KeyboardInterrupt as interrupt:
        print(f"{name}: ended by signal {interrupt}")
        return 128 + interrupt.args[0]
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # one is enough: cleaning up takes a moment
        close_all()
    failed, skipped = len(result.failures), len(result.skipped)
    for test, _ in result.failures:
        print(f"failed: {test.id()}")
    print(f"{name}: took {time.monotonic() - began:.0f} s")
    print(f"{name}: {result.passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not result.passed else 0

