"""The progress line, on a real terminal: of any width, one that changes, and one that is to have no colours."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

import proxyfault
from harness import RUN, TestCase


class Screen:
    """What a terminal makes of it: a line that is full goes on below, and no line is gone before it was written over."""

    def __init__(self, columns):
        self.columns, self.rows, self.at, self.raw = columns, [""], 0, b""

    def write(self, data):
        self.raw += data
        for char in data.decode(errors="replace"):
            if char == "\r":
                self.at = 0
            elif char == "\n":
                self.rows.append("")
            else:
                if self.at == self.columns:
                    self.rows.append("")
                    self.at = 0
                row = self.rows[-1].ljust(self.at)
                self.rows[-1] = row[:self.at] + char + row[self.at + 1:]
                self.at += 1

    def resize(self, columns):
        """What is beyond the edge is gone."""
        self.columns = columns
        self.rows[-1] = self.rows[-1][:columns]
        self.at = min(self.at, columns)

    last = property(lambda self: self.rows[-1].rstrip())


class Terminal(TestCase):
    PROGRESS = re.compile(r"  \d+ synced, \d+ skipped, \d+ failed; 1 under way, [\d.]+ [KM]?B, [\d.]+ [KM]?B/s")

    def setUp(self):
        super().setUp()
        source = self.s3_bucket()
        source.put("public/a", b"small")
        source.put("public/large", b"x" * 3_000_000)
        self.proxied = self.proxy(source.server.endpoint)
        self.proxied.fault(proxyfault.stall(after=2_000_000), method="GET", target="public/large", times=99)
        self.env = {**source.env("source", endpoint=self.proxied.endpoint), "STORSYNC_STALL_TIMEOUT": "1h"}

    def open(self, columns, *args, **more):
        """The tool, whose standard error is a terminal."""
        self.screen = Screen(columns)
        self.master, slave = pty.openpty()
        self.addCleanup(os.close, self.master)
        self.resize(columns)
        tool = self.start("--sync", *args, env={**self.env, **self.dir_bucket().env("destination"), **more},
                          before_exec=lambda: os.dup2(slave, 2), pass_fds=[slave])
        os.close(slave)
        return tool

    def resize(self, columns):
        self.screen.resize(columns)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def read_until(self, condition):
        end = time.monotonic() + 3 * RUN.slow
        while not condition(self.screen):
            self.assertLess(time.monotonic(), end, self.screen.rows[-5:])
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    self.screen.write(os.read(self.master, 65536))
                except OSError:  # nobody has the other end any more
                    return

    def read_to_the_end(self, tool):
        tool.kill(signal.SIGTERM)
        self.read_until(lambda screen: False)
        tool.wait()

    def fits(self, line):
        """Is it the progress line, or as much of it as there is room for?"""
        return line.startswith("  1 synced, 0 skippe"[:self.screen.columns - 1]) and len(line) < self.screen.columns

    def test_it_fits_any_width(self):
        for columns in (20, 80, 200):
            tool = self.open(columns)
            self.read_until(lambda screen: self.fits(screen.last))
            if columns == 200:
                self.read_until(lambda screen: self.PROGRESS.fullmatch(screen.last))
            self.read_to_the_end(tool)
            rows = [row.rstrip() for row in self.screen.rows]
            self.assertEqual([row for row in rows if "under way" in row and "waiting" not in row], [], "it is gone at the end")
            self.assertNotIn("  1 synced", "".join(row[:10] for row in rows))
            text = "".join(self.screen.rows)
            self.assertIn("=== Sync Interrupted: interrupted by signal 15", text.replace("  ", " "))

    def test_the_terminal_is_resized(self):
        tool = self.open(200)
        self.read_until(lambda screen: self.PROGRESS.fullmatch(screen.last))
        for columns in (30, 120):
            self.resize(columns)
            before = len(self.screen.raw)
            self.read_until(lambda screen: len(screen.raw) > before + 20 and self.fits(screen.last))
        self.read_to_the_end(tool)

    def test_there_are_no_colours(self):
        for more in ({}, {"NO_COLOR": "1"}, {"TERM": "dumb"}):
            tool = self.open(80, **more)
            self.read_until(lambda screen: self.fits(screen.last))
            self.read_to_the_end(tool)
            self.assertNotIn(b"\x1b", self.screen.raw)

    def test_elsewhere_there_is_none(self):
        """In JSON, and where only warnings are wanted."""
        for args, least in ((["--log-format=json"], 1), (["--log-level=warn"], 0)):
            tool = self.open(80, *args)
            tool.wait_for(lambda: any(r.path.endswith("/public/large") for r in self.proxied.requests))
            time.sleep(0.5)  # in which it would have come
            self.read_to_the_end(tool)
            self.assertNotIn(b"\r", self.screen.raw.replace(b"\r\n", b"\n"))
            self.assertGreaterEqual(self.screen.raw.count(b"\n"), least)
            self.proxied.requests.clear()
