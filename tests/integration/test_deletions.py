"""delete=extra: what production has and the source has not is removed, and nothing else; what keeps it from that. The source is on
RGW behind a relay; the destination is a directory, RGW, or the stand-in of Google's."""
import re
import shutil
import signal
import threading
import time

import proxyfault
from gcs import GoogleStorage
from harness import RUN, TestCase, production, sides
from proxyfault import answer, edit_body, s3_error

QUIET = 4.2  # s after a sync in which what is written counts as the sync's
KEYS = [f"public/{number:03}" for number in range(40)]


class DeletionCase(TestCase):
    def setUp(self):
        super().setUp()
        self.source = self.s3_bucket()
        self.front = self.proxy(self.source.server.endpoint)
        self.more = {}
        self.target = self.destination()

    def sync(self, *args, code=0, deployment="d1", **more):
        env = {**production(self.source, self.target, deployment), **self.source.env("source", self.front.endpoint),
               "STORSYNC_SOURCE_ALLOW_HTTP": "true", "STORSYNC_RETRIES": "1", **self.more, **more}
        how = {"binary": RUN.test_binary} if "STORSYNC_CRASH_AT" in more else {}
        tool = self.tool("--sync", *args, env=env, **how)
        self.assertEqual(tool.code, code)
        return tool

    def delete(self, *args, **how):
        return self.sync("--delete=extra", *args, **how)

    def synced(self, keys=KEYS):
        """Both sides have them; then the first two go from the source."""
        for key in keys:
            self.source.put(key, key)
        self.sync()
        for key in keys[:2]:
            self.source.remove(key)
        return keys[:2], keys[2:]

    def removed(self, tool, word="Removed"):
        return sorted(re.findall(rf"(?m)^  . {word}: (\S+) \(", tool.err))

    def left(self):
        return self.target.keys("public/")


class Rules:
    """For each kind of destination."""

    def test_extras_go(self):
        gone, rest = self.synced()
        for key in ("elsewhere/x", "public/keep.tmp"):
            self.target.put(key, "production's")
        tool = self.delete("--dry-run", "--exclude=*.tmp")
        self.assertEqual(self.removed(tool, "Would remove"), gone)
        self.assertEqual(self.left(), sorted([*KEYS, "public/keep.tmp"]))
        tool = self.delete("--exclude=*.tmp")
        self.assertEqual((self.removed(tool), tool.status["deletedFiles"], tool.status["extraFiles"]), (gone, 2, 0))
        self.assertEqual(self.left(), [*rest, "public/keep.tmp"])
        self.assertIn("elsewhere/x", self.target.keys())
        self.assertTrue(any("/lease/" in key for key in self.target.keys()))
        self.assertIn("2 removed", tool.status["message"])
        tool = self.delete("--exclude=*.tmp")
        self.assertEqual((tool.status["deletedFiles"], tool.status["extraFiles"]), (0, 0))

    def test_off(self):
        gone, _ = self.synced()
        for value in ("off", "yes", "everything"):
            tool = self.sync(STORSYNC_DELETE=value)
            self.assertEqual((tool.status["deletedFiles"], tool.status["extraFiles"], self.left()), (0, 2, KEYS))

    def test_guard(self):
        gone, rest = self.synced()
        for key in KEYS[2:6]:
            self.source.remove(key)
        for limit in ("10%", "5", "0", "ten"):
            tool = self.sync(code=2, STORSYNC_DELETE="extra", STORSYNC_MAX_DELETE=limit)
            self.assertRegex(tool.status["message"], "6 of the 40 objects in production are not at the source.*max_delete")
            self.assertIn(tool.status["message"], tool.err)
            self.assertEqual((tool.status["state"], tool.status["deletedFiles"], self.left()), ("partial", 0, KEYS))
        self.assertEqual(self.removed(self.delete("--max-delete=5%", "--dry-run", code=2), "Would remove"), [])
        self.assertEqual(self.delete("--max-delete=15%").status["deletedFiles"], 6)
        self.assertEqual(self.left(), KEYS[6:])

    def test_nothing_at_the_source(self):
        """A path that is misspelt, a volume that is not mounted."""
        self.synced(["private/a", "private/b", "private/c", *KEYS])
        for key in ("private/c",):
            self.source.remove(key)
        tool = self.delete("--max-delete=100%")
        self.assertIn('as the source has nothing under "private/", the 3 objects that production has there are not removed',
                      tool.err)
        self.assertEqual((tool.status["deletedFiles"], tool.status["extraFiles"]), (0, 3))
        for key in KEYS:
            self.source.remove(key)
        tool = self.delete("--max-delete=100%")
        self.assertEqual((tool.status["deletedFiles"], self.left()), (0, KEYS))

    def test_not_after_a_failure(self):
        self.synced()
        self.source.put("public/new", "x")
        self.front.fault(answer(403, s3_error("AccessDenied")), target="public/new", times=99)
        tool = self.delete(code=2)
        self.assertEqual((tool.status["failedFiles"], tool.status["deletedFiles"], self.left()), (1, 0, KEYS))
        self.assertIn("nothing is removed after a failure: 2 objects", tool.err)

    def test_comes_back(self):
        """A listed-as-missing object that is at the source when its turn comes."""
        gone, rest = self.synced()

        def come(x):
            self.source.put(gone[0], "again")
            proxyfault.passthrough(x)
        self.front.fault(come, method="HEAD", target=gone[0])
        tool = self.delete("--max-delete=2")
        self.assertEqual((self.removed(tool), self.left()), ([gone[1]], [gone[0], *rest]))
        self.assertIn(f"{gone[0]} has come to the source meanwhile", tool.err)
        self.assertEqual(self.delete().status["failedFiles"], 0)
        self.assertEqual(self.target.get(gone[0]), b"again")

    def test_changed_in_between(self):
        gone, rest = self.synced()

        def change(x):
            self.target.put(gone[0], "production's own, and longer")
            proxyfault.passthrough(x)
        self.front.fault(change, method="HEAD", target=gone[0])
        tool = self.delete()
        self.assertEqual(self.target.get(gone[0]), b"production's own, and longer")
        self.assertEqual((tool.status["deletedFiles"], tool.status["keptFiles"]), (1, 1))

    def test_production_made_it(self):
        """What is as old as the first sync may be production's: only a later one's copies are surely ours."""
        self.source.put("public/old", "of the first sync")
        self.target.put("public/older", "production's")
        self.sync()
        time.sleep(QUIET)
        gone, rest = self.synced()
        self.source.remove("public/old")
        time.sleep(QUIET)
        self.target.put("public/upload", "a user's")
        time.sleep(QUIET)  # before the next sync begins
        tool = self.delete("--conflict=keep")
        self.assertEqual((self.removed(tool), self.left()), (gone, [*rest, "public/old", "public/older", "public/upload"]))
        self.assertIn("3 objects that only production has stay", tool.err)
        tool = self.delete("--conflict=fail", code=2)
        self.assertEqual([e["file"] for e in tool.status["errors"]], ["public/upload"])
        tool = self.delete()
        self.assertEqual((self.removed(tool), self.left()), (["public/old", "public/older", "public/upload"], rest))
        self.assertRegex(tool.err, r"Removed: public/upload \(not at the source; made or changed in production\)")

    def test_before_the_first_sync_nothing_is_ours(self):
        self.target.put("public/upload", "a user's")
        for key in KEYS:
            self.source.put(key, key)
        self.assertEqual(self.delete("--conflict=keep").status["deletedFiles"], 0)
        self.assertIn("public/upload", self.left())

    def test_back_again(self):
        """What the journal keeps comes back."""
        gone, rest = self.synced()
        tool = self.delete("--keep-previous=copies")
        self.assertEqual((tool.status["deletedFiles"], self.left()), (2, rest))
        env = {**production(self.source, self.target), **self.more}
        self.succeed("--rollback", env=env)
        self.assertEqual((self.left(), self.target.get(gone[0])), (KEYS, gone[0].encode()))

    def test_killed(self):
        """After each removal; the next run finishes it, and none is counted as synced before."""
        gone, rest = self.synced()
        for number in (1, 2):
            self.delete(code=-signal.SIGKILL, STORSYNC_CRASH_AT="removing", STORSYNC_CONCURRENCY="1",
                        STORSYNC_LEASE_TTL="3s")
            self.assertEqual(self.left(), sorted([*gone[number:], *rest]))
        tool = self.delete(STORSYNC_LEASE_TTL="3s")
        self.assertEqual((tool.status["state"], self.left()), ("synced", rest))


class OnDirectories(Rules, DeletionCase):
    def destination(self):
        return self.dir_bucket()


class OnRgw(Rules, DeletionCase):
    def destination(self):
        return self.s3_bucket()


class OnGoogle(Rules, DeletionCase):
    def destination(self):
        server = GoogleStorage().start()
        self.addCleanup(server.stop)
        self.more = {"STORAGE_EMULATOR_HOST": server.endpoint}
        return server.bucket("prod-bucket")

    def test_of_that_version_only(self):
        """The condition is sent: what changes after the look is not lost."""
        gone, _ = self.synced()
        self.delete()
        removals = [r for r in self.target.server.requests if r.method == "DELETE" and "public" in r.target]
        self.assertEqual(len(removals), 2)
        for removal in removals:
            self.assertRegex(removal.target, "ifGenerationMatch=[1-9]")


class Lies(DeletionCase):
    """A source that says other things than it has, and a destination in between."""

    def destination(self):
        return self.s3_bucket()

    LISTING = r"prefix=public"

    def hide(self, key):
        name = re.escape(key).replace("/", "(/|%2F)").encode()
        entry = rb"<Contents><Key>" + name + rb"</Key>.*?</Contents>"
        self.front.fault(edit_body(entry, b""), method="GET", target=self.LISTING, times=99)

    def test_hidden(self):
        """Its listing leaves out what it has: found out at the first one, and nothing more is removed."""
        gone, rest = self.synced()
        self.source.remove(rest[-1])
        time.sleep(12)  # old enough to have been there when it was listed
        self.hide(rest[0])
        for keep in ("copies", "off"):  # "copies": what comes after it is in the journal by then
            tool = self.delete("--max-delete=50%", code=2, STORSYNC_CONCURRENCY="1", STORSYNC_JOB="other",
                               STORSYNC_KEEP_PREVIOUS=keep)
            self.assertIn("the source has it, but does not list it", tool.status["errors"][0]["error"])
            self.assertEqual(self.left(), rest)

    def test_empty(self):
        self.synced()
        self.front.fault(edit_body(rb"<Contents>.*</Contents>", b""), method="GET", target=self.LISTING, times=99)
        tool = self.delete("--max-delete=100%")
        self.assertEqual((tool.status["deletedFiles"], self.left()), (0, KEYS))

    def test_empty_at_the_second_look(self):
        """All of it goes between the two: a bucket that is being emptied, a volume that is unmounted."""
        self.synced()

        def empty(x):
            for key in KEYS[2:]:
                self.source.remove(key)
            proxyfault.passthrough(x)
        self.front.fault(empty, method="GET", target=self.LISTING, skip=1)
        tool = self.delete("--max-delete=100%", STORSYNC_KEEP_PREVIOUS="copies")
        self.assertIn("the source has nothing there any more: nothing more is removed", tool.err)
        self.assertEqual((tool.status["deletedFiles"], self.left()), (0, KEYS))

    def test_nearly_empty_at_the_second_look(self):
        """What is left of it could be all there ever was: no more go than the first look has counted."""
        self.synced()

        def empty(x):
            for key in KEYS[3:]:
                self.source.remove(key)
            self.source.put("public/", "a folder, by the console")
            proxyfault.passthrough(x)
        self.front.fault(empty, method="GET", target=self.LISTING, skip=1)
        tool = self.delete("--max-delete=100%", STORSYNC_CONCURRENCY="16")
        self.assertEqual((tool.status["deletedFiles"], len(self.left())), (2, len(KEYS) - 2))

    def test_cut_off(self):
        """A listing that looks complete, and answers of 404 that fit it: then the guard is what remains."""
        gone, rest = self.synced()
        self.front.fault(edit_body(rb"<Contents><Key>public(/|%2F)010.*</Contents>", b""), method="GET",
                         target=self.LISTING, times=99)
        self.front.fault(answer(404), method="HEAD", times=999)
        tool = self.delete(code=2)
        self.assertIn("max_delete", tool.status["message"])
        self.assertEqual((tool.status["deletedFiles"], self.left()), (0, KEYS))

    def test_not_said(self):
        """Anything but 404 is no proof."""
        gone, _ = self.synced()
        for status, code in ((403, 2), (500, 2), (410, 2), (200, 0)):
            self.front.clear()
            self.front.fault(answer(status), method="HEAD", times=999)
            tool = self.delete(code=code)
            self.assertEqual((tool.status["deletedFiles"], self.left()), (0, KEYS), status)
            self.assertEqual(tool.status["failedFiles"], code)

    def test_out_of_order(self):
        self.synced()
        self.front.fault(edit_body(rb"public(/|%2F)039", rb"public/001"), method="GET", target=self.LISTING, times=99)
        tool = self.tool("--sync", "--delete=extra", "--max-delete=100%",
                         env={**production(self.source, self.target), "STORSYNC_SOURCE_ALLOW_HTTP": "true",
                              **self.source.env("source", self.front.endpoint)})
        self.assertEqual((tool.status["state"], tool.status["deletedFiles"], self.left()), ("failed", 0, KEYS))

    def test_second_look_breaks(self):
        """The listing of the second pass fails: what is removed until then was right."""
        gone, rest = self.synced()
        self.front.fault(answer(500), method="GET", target=self.LISTING, skip=1, times=99)
        self.assertNotEqual(self.tool("--sync", "--delete=extra", env={
            **production(self.source, self.target), "STORSYNC_SOURCE_ALLOW_HTTP": "true", "STORSYNC_RETRIES": "1",
            **self.source.env("source", self.front.endpoint)}).code, 0)
        self.assertTrue({*rest} <= {*self.left()})

    def test_not_allowed_to(self):
        gone, _ = self.synced()
        back = self.proxy(self.target.server.endpoint)
        back.fault(answer(403, s3_error("AccessDenied")), method="DELETE", target="public", times=99)
        tool = self.delete(code=2, **self.target.env("destination", back.endpoint),
                           STORSYNC_DESTINATION_ALLOW_HTTP="true")
        self.assertEqual(tool.status["failedFiles"], 2)
        self.assertIn("s3:DeleteObject", tool.status["errors"][0]["error"])

    def test_conditions_that_mean_nothing(self):
        """Refused although the version is there, or not known at all: a look does instead. Also for one that hears it when others
        know it already."""
        for refusal in (412, 501):
            gone, rest = self.synced()
            back, known = self.proxy(self.target.server.endpoint), threading.Event()

            def refuse(x, refusal=refusal, late=gone[1], known=known):
                if "if-match" in x.request.headers:
                    x.drain()
                    if late in x.request.target:
                        known.wait(20)
                    x.reply(refusal)
                else:
                    proxyfault.passthrough(x)
                    known.set()
            back.fault(refuse, method="DELETE", target="public", times=99)
            tool = self.delete(**self.target.env("destination", back.endpoint), STORSYNC_DESTINATION_ALLOW_HTTP="true")
            self.assertEqual((tool.status["deletedFiles"], self.left()), (2, rest))

    def test_requests(self):
        """A sync that finds nothing to do costs no request more for any of the policies: listings, and eight."""
        for key in KEYS:
            self.source.put(key, key)
        self.sync()
        back = self.proxy(self.target.server.endpoint)
        env = {**self.target.env("destination", back.endpoint), "STORSYNC_DESTINATION_ALLOW_HTTP": "true"}
        policies = ((), ("--delete=extra",), ("--conflict=keep", "--delete=extra"), ("--conflict=fail",),
                    ("--keep-previous=copies",), ("--keep-previous=versions", "--delete=extra"), ("--exclude=*.tmp",),
                    ("--max-requests=1000", "--max-bytes=100MiB"), ("--delete=extra", "--dry-run"))
        counts = {}
        for args in policies:
            self.front.clear()
            back.clear()
            self.sync(*args, **env)
            counts[args] = (len(self.front.requests), len(back.requests))
        dry = counts.pop(policies[-1])
        self.assertEqual(set(counts.values()), {counts[()]}, counts)
        self.assertLessEqual(max(*counts[()], *dry), 2 + 8)
        self.assertEqual((counts[()][0], dry[0]), (2, 2))

    def test_paths(self):
        """--sync PATH: only there."""
        self.synced([*KEYS, "public/sub/a", "public/sub/b"])
        self.source.remove("public/sub/b")
        self.sync("public/sub", "--delete=extra", "--max-delete=100%")
        self.assertEqual(self.left(), [*KEYS, "public/sub/a"])

    def test_spellings(self):
        """A key that a listing could mean in two ways is asked for in the listing as well."""
        names = ["public/a+b", "public/a b", "public/c%2Bd", "public/e&f", "public/x"]
        for key in [*names, *KEYS]:
            self.source.put(key, key)
        self.sync()
        for key in names:
            self.source.remove(key)
        tool = self.delete("--max-delete=5")
        self.assertEqual((tool.status["deletedFiles"], self.left()), (5, KEYS))


class Folders(TestCase):
    """Between directories."""

    def test_a_validation_and_the_status_tell_of_it(self):
        source, target = self.dir_bucket(), self.dir_bucket()
        for number in range(20):
            source.put(f"public/{number}", b"x")
        env = production(source, target)
        self.succeed("--sync", env=env)
        source.remove("public/3")
        for delete, told in (("off", False), ("extra", True)):
            tool = self.tool("--validate", f"--delete={delete}", env=env)
            self.assertEqual("a sync removes what is extra" in tool.err, told)
            self.assertIn("public/3", target.keys("public/"))
        self.succeed("--sync", "--delete=extra", env=env)
        self.assertRegex(self.succeed("--status", env=env).out, r"Removed: +1")
        self.assertNotIn("what is extra", self.succeed("--validate", "--delete=extra", env=env).err)

    def test_unreadable_folder(self):
        self.not_wrapped("as another user")
        source, target = self.dir_bucket(), self.dir_bucket()
        for number in range(30):
            source.put(f"public/{number}", b"x")
            target.put(f"public/{number}", b"x")
        target.put("public/closed/a", b"x")
        source.put("public/closed/a", b"x")
        (source.root / "public/closed").chmod(0)
        self.addCleanup((source.root / "public/closed").chmod, 0o755)
        target.put("public/extra", b"x")
        for each in (target.root, *target.root.rglob("*")):
            each.chmod(0o777)
        tool = self.tool("--sync", "--delete=extra", env=sides(source, target), nobody=True)
        self.assertEqual((tool.code, tool.status["deletedFiles"]), (2, 0))
        self.assertTrue((target.root / "public/closed/a").exists() and (target.root / "public/extra").exists())

    def test_links_at_the_source(self):
        """What a link hides is not gone: neither what it stands in the place of, nor what was in its folder."""
        source, target = self.dir_bucket(), self.dir_bucket()
        outside = self.dir / "outside"
        outside.mkdir()
        (outside / "a").write_text("x")
        keys = [*(f"public/{number}" for number in range(9)), "public/file", "public/folder/a", "public/folder/b", "public/gone/a"]
        for key in keys:
            source.put(key, "x")
        self.succeed("--sync", env=sides(source, target))
        for name, end in (("file", outside / "a"), ("folder", outside), ("gone", self.dir / "nowhere")):
            path = source.root / "public" / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
            path.symlink_to(end)
        for keep in ("off", "copies"):
            tool = self.tool("--sync", "--delete=extra", "--max-delete=100%", f"--keep-previous={keep}", env=sides(source, target))
            self.assertEqual((tool.code, tool.status["deletedFiles"]), (2, 0))
            self.assertEqual(target.keys("public/"), sorted(keys))
            self.assertIn("public/file: Symbolic link loop", tool.status["errors"][0]["error"])

    def test_a_folder_that_goes_between_the_looks(self):
        """A volume that is unmounted: no more is removed than had been counted before."""
        source, target = self.dir_bucket(), self.s3_bucket()
        keys = [f"public/{number:02}" for number in range(20)] + [f"public/volume/{number}" for number in range(9)]
        for key in keys:
            source.put(key, "x")
        self.succeed("--sync", env=sides(source, target))
        source.remove("public/00")
        front = self.proxy(target.server.endpoint)

        def unmount(x):
            (source.root / "public/volume").rename(source.root / "elsewhere")
            proxyfault.passthrough(x)
        front.fault(unmount, method="GET", target="prefix=public", skip=1)
        env = {**sides(source, target), **target.env("destination", front.endpoint), "STORSYNC_DESTINATION_ALLOW_HTTP": "true"}
        tool = self.tool("--sync", "--delete=extra", "--max-delete=100%", env=env)
        self.assertEqual((tool.status["deletedFiles"], len(target.keys("public/"))), (1, len(keys) - 1))

    def test_sidecars_go_too(self):
        source, target = self.s3_bucket(), self.dir_bucket()
        for number in range(20):
            source.put(f"public/{number}", b"x", Metadata={"a": "b"})
        env = production(source, target)
        self.succeed("--sync", env=env)
        source.remove("public/3")
        self.succeed("--sync", "--delete=extra", env=env)
        self.assertEqual([str(p) for p in target.root.rglob("*") if p.name.startswith("3")], [])

    def test_replicas(self):
        """Of two that start together one removes, and both start their application."""
        source, target = self.s3_bucket(), self.dir_bucket()
        for number in range(200):
            source.put(f"public/{number:03}", b"x")
        env = production(source, target)
        self.succeed("--sync", env=env)
        for number in range(10):
            source.remove(f"public/{number:03}")
        env = {**env, "STORSYNC_DELETE": "extra", "STORSYNC_MIN_INTERVAL": "0", "STORSYNC_DEPLOYMENT_ID": "d2"}
        tools = [self.start("--", "/bin/true", env=env) for _ in range(3)]
        deleted = [tool.wait(60).err.count("Removed: public/") for tool in tools]
        self.assertEqual((sorted(deleted), [tool.code for tool in tools]), ([0, 0, 10], [0, 0, 0]))
        self.assertEqual(len(target.keys("public/")), 190)
