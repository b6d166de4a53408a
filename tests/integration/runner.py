"""Running a folder of unittest files: what tests/integration/run and tests/containers/run have in common."""
import os
import signal
import sys
import time
import traceback
import unittest


class Result(unittest.TestResult):
    """One line per test, with its time. Of a test that went wrong that line has what matters, and comes before the rest:
    the traceback, and the log of the tool."""

    passed = 0
    verdict = None

    def __init__(self):
        super().__init__()
        self.times = []  # (seconds, name)
        self.bad = {}    # name: the line that matters

    def startTest(self, test):
        super().startTest(test)
        self.verdict, self.began = None, time.monotonic()

    def stopTest(self, test):
        super().stopTest(test)
        self.times.append((self._seconds(), test.id()))
        if self.verdict not in (None, "FAIL"):  # none when interrupted
            self._line(test, self.verdict)

    def addSuccess(self, test):
        self.verdict = "ok"
        self.passed += 1

    def addFailure(self, test, error):
        self._bad(test, error)

    addError = addFailure

    def addSubTest(self, test, subtest, error):
        if error:
            self._bad(test, error, subtest._subDescription())

    def addSkip(self, test, reason):
        self.verdict = "skip"
        self.skipped.append((test, reason))
        print(f"      {reason}")

    def summary(self, name):
        """The last lines of a run, and its exit status."""
        for seconds, test in sorted(self.times, reverse=True)[:10]:
            if seconds >= 1:
                print(f"slowest: {seconds:6.2f} s  {test}")
        for test, matter in self.bad.items():
            print(f"failed: {test}: {matter}")
        failed, skipped = len(self.failures), len(self.skipped)
        print(f"{name}: {self.passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
        return 1 if failed or not self.passed else 0

    def _bad(self, test, error, part=""):
        text = self._exc_info_to_string(error, test)
        if self.verdict != "FAIL":
            self.failures.append((test, text))
        self.verdict = "FAIL"
        told = test.last_words() if hasattr(test, "last_words") else ""
        matter = " | ".join(filter(None, (part, what_matters(error), told)))
        self.bad.setdefault(test.id(), matter)
        self._line(test, "FAIL", ": " + matter)
        print(text.rstrip())
        if hasattr(test, "log"):
            print("--- what the tool said ---\n" + test.log() + "---", flush=True)

    def _line(self, test, verdict, matter=""):
        print(f"{verdict:<4} {self._seconds():6.2f} s  {test.id()}{matter}", flush=True)

    def _seconds(self):
        return time.monotonic() - getattr(self, "began", time.monotonic())  # none for a class or a module


def what_matters(error):
    """Where in the test it went wrong, and the first line of why."""
    kind, value, trace = error
    frames = [(os.path.basename(f.filename), f.lineno) for f in traceback.extract_tb(trace)]
    places = [f for f in frames if f[0].startswith("test_")] or frames[-1:]
    where = "{}:{}: ".format(*places[-1]) if places else ""
    name = "" if issubclass(kind, AssertionError) else kind.__name__ + ": "
    return where + name + (str(value).strip().splitlines() or [kind.__name__])[0][:200]


def chosen(suite, patterns):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from chosen(item, patterns)
        elif not patterns or any(pattern in item.id() for pattern in patterns):
            yield item


def share(tests):
    """The part of the tests that STORSYNC_SHARE names: "1/2" is every second class, from the first one on."""
    tests = list(tests)
    number, of = map(int, os.environ.get("STORSYNC_SHARE", "1/1").split("/"))
    classes = list(dict.fromkeys(type(test) for test in tests))
    mine = set(classes[number - 1::of])
    return [test for test in tests if type(test) in mine]


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
        unittest.TestSuite(share(chosen(found, sys.argv[1:]))).run(result)
    except KeyboardInterrupt as interrupt:
        print(f"{name}: ended by signal {interrupt}")
        return 128 + interrupt.args[0]
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # one is enough: cleaning up takes a moment
        close_all()
    print(f"{name}: took {time.monotonic() - began:.0f} s")
    return result.summary(name)
