"""Every file of examples/ is run by a test, not just looked at."""
import re
import unittest
from pathlib import Path

from containers import EXAMPLES, ContainerCase, example


class Complete(unittest.TestCase):
    def test_no_file_is_left_out(self):
        tests = "".join(path.read_text() for path in Path(__file__).parents[1].glob("[ci]*/*.py"))
        used = set(re.findall(r'example\("([^"]+)"\)', tests))
        there = {str(path.relative_to(EXAMPLES)) for path in EXAMPLES.rglob("*") if path.is_file()}
        self.assertEqual(used, there)


class SampleIni(ContainerCase):
    """examples/storsync.ini: usable as it is, and its defaults are the defaults."""

    def mounted(self, text):
        path = self.dir / "storsync.ini"
        path.write_text(text)
        return [f"--volume={path}:/etc/storsync/storsync.ini:ro"]

    def config(self, text):
        tool = self.start_tool("--print-config", flags=self.mounted(text))
        self.assertEqual(tool.wait(), 0)
        return re.findall(r"(?m)^(\w+) *= (.*?) *; \S.*$", tool.logs)

    def test_as_it_is(self):
        text = example("storsync.ini").read_text()
        keys = ["--env=AWS_ACCESS_KEY_ID=id", "--env=AWS_SECRET_ACCESS_KEY=secret"]
        tool = self.start_tool("--check-config", flags=[*self.mounted(text), *keys])
        self.assertEqual(tool.wait(), 0, tool.logs)

    def test_defaults_written_out(self):
        text = example("storsync.ini").read_text()
        explicit = re.sub(r"(?m)^;(\w+ = .+)$", r"\1", text)
        self.assertGreater(explicit.count("\n") - len(re.findall(r"(?m)^[;#].*|^$", explicit)), 15)
        self.assertEqual(self.config(explicit), self.config(text))

    def test_a_sync_with_it(self):
        """Filled in as a user would: the two buckets, in the sections that are there."""
        self.buckets()
        text = example("storsync.ini").read_text()
        for side, bucket in (("source", self.source), ("destination", self.destination)):
            values = {name.removeprefix(f"STORSYNC_{side.upper()}_").lower(): value
                      for name, value in bucket.env(side).items()}
            head, section = text.split(f"[{side}]\n")
            for name, value in values.items():
                section, found = re.subn(rf"(?m)^;{name} =.*$", lambda _, n=name, v=value: f"{n} = {v}", section, 1)
                self.assertEqual(found, 1, name)
            text = f"{head}[{side}]\n{section}"
        tool = self.start_tool("--sync", flags=self.mounted(text))
        self.assertEqual(tool.wait(), 0)
        self.assertIn("Synced: 20", tool.logs)
