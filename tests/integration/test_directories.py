"""Directories as buckets: what the files of a real machine make hard. The unit tests have the details."""
import itertools
import os
import re
import shutil
import signal
import threading

import data
from harness import RUN, TestCase, production, sides

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


class Directories(TestCase):
    def setUp(self):
        super().setUp()
        self.source, self.destination = self.dir_bucket(), self.dir_bucket()
        self.env = production(self.source, self.destination)

    def sync(self, code=0, more=()):
        tool = self.tool("--sync", env=self.env, prefix=more)
        self.assertEqual(tool.code, code, tool.err)
        return tool


class ClosedFolder(Directories):
    """One folder without permission is one failure; what is in it is unknown: neither missing nor extra."""

    def setUp(self):
        super().setUp()
        self.needs_root("another user")
        for key in ("public/a/1", "public/b/1", "public/b2", "public/c/1", "private/d"):
            self.source.put(key, key, age=100)
        os.chmod(self.destination.root, 0o777)
        os.chmod(self.dir, 0o777)  # for the status file

    def close(self, bucket):
        folder = bucket.root / "public/b"
        folder.mkdir(exist_ok=True)
        folder.chmod(0)
        self.addCleanup(folder.chmod, 0o755)

    def test_source(self):
        self.close(self.source)
        tool = self.tool("--", "/bin/true", env={**self.env, "STORSYNC_ON_FAILURE": "stop"}, prefix=NOBODY)
        self.assertEqual(tool.code, 2, tool.err)
        self.assertEqual(sorted(self.destination.contents()), ["private/d", "public/a/1", "public/b2", "public/c/1"])
        self.assertRegex(tool.err, r"Failed: b/ \(.*public/b/.*Permission denied")
        self.assertEqual((tool.status["state"], tool.status["failedFiles"]), ("partial", 1))
        self.assertEqual(self.destination.markers(), [])
        (self.source.root / "public/b").chmod(0o755)
        tool = self.tool("--", "/bin/true", env=self.env, prefix=NOBODY)
        self.assertEqual((tool.code, tool.status["syncedFiles"]), (0, 1))

    def test_destination_and_validation(self):
        self.sync(more=NOBODY)
        self.close(self.destination)
        self.destination.put("public/extra", "x")
        self.sync(2, NOBODY)
        tool = self.tool("--validate", "--json", env=self.env, prefix=NOBODY)
        self.assertEqual(tool.code, 2, tool.err)
        document = tool.json
        self.assertEqual((document["valid"], document["missingFiles"], document["extraFiles"]), (False, 0, 1))


class Volumes(Directories):
    def test_mounted_inside(self):
        """A rename does not get there. Kubernetes mounts two folders of one disk like this."""
        body = data.body(1, 3_000_000)
        for key in ("public/big", "public/sub/small", "private/p"):
            self.source.put(key, body if key == "public/big" else key, age=100)
        (self.destination.root / "public").mkdir()
        (self.dir / "other").mkdir()
        for what in ("-t tmpfs none", f"--bind '{self.dir}/other'"):
            space = self.mounts(f"mount {what} '{self.destination.root}/public'")
            tool = self.sync(more=space.prefix)
            inside = space.path(self.destination.root)
            self.assertEqual((inside / "public/big").read_bytes(), body)
            self.assertEqual((inside / "public/sub/small").read_bytes(), b"public/sub/small")
            self.assertEqual([p for p in inside.rglob(".storsync-tmp-*")], [])
            self.assertEqual([*(inside / ".storsync/tmp").iterdir()], [])
            tool = self.tool("--validate", env=self.env, prefix=space.prefix)
            self.assertEqual(tool.code, 0, tool.err)


    def test_a_file_that_cannot_be_looked_at(self):
        """Where the names do not say what they are of (NFS, old volumes), it is a failure all the same, not a file that is not there."""
        image = self.dir / "image"
        with open(image, "wb") as file:
            file.truncate(16 << 20)
        self.source.root.mkdir(exist_ok=True)
        (self.dir / "public").mkdir()
        for name in ("good", "bad"):
            (self.dir / "public" / name).write_text(name)
        try:  # a volume of which an inode is lost
            space = self.mounts(f"mkfs.ext4 -q -F -O ^filetype -d '{self.dir}/public' '{image}' 1>&2\n"
                                f"debugfs -w -R 'clri /bad' '{image}' 1>&2\n"
                                f"mkdir '{self.source.root}/public' && mount -o loop '{image}' '{self.source.root}/public'")
        except AssertionError as why:
            self.skipTest(f"SKIPPED, not tested here: ext4 on a loop device ({why})")
        tool = self.tool("--", "/bin/true", env={**self.env, "STORSYNC_ON_FAILURE": "stop"}, prefix=space.prefix)
        self.assertEqual((tool.code, tool.status["state"], tool.status["failedFiles"]), (2, "partial", 1), tool.err)
        self.assertRegex(tool.err, r"Failed: bad \(")
        self.assertEqual(self.destination.contents(), {"public/good": b"good"})
        self.assertEqual(self.destination.markers(), [])


class Permissions(Directories):
    def modes(self, bucket):
        return {str(p.relative_to(bucket.root)): p.stat().st_mode & 0o777 for p in bucket.root.rglob("*")
                if p.is_file() and not str(p.relative_to(bucket.root)).startswith(".storsync/")}

    def test_kept_or_narrowed(self):
        for key, mode in (("private/passport", 0o600), ("public/page", 0o644), ("public/wide", 0o666),
                          ("private/known", 0o644)):
            self.source.put(key, "new content", age=100).chmod(mode)
        self.destination.put("private/known", "old", age=200).chmod(0o600)
        self.sync(more=("sh", "-c", 'umask 022; exec "$0" "$@"'))
        self.assertEqual(self.modes(self.destination), {"private/passport": 0o600, "public/page": 0o644,
                                                        "public/wide": 0o644, "private/known": 0o600})
        for place in (self.destination.root / ".storsync").rglob("*"):
            self.assertEqual(place.stat().st_mode & 0o007, 0, place)


class Links(Directories):
    def test_never_followed_and_said(self):
        """What the link leads to stays as it was, and the object is not hidden where nobody looks for it."""
        outside = self.dir / "outside"
        outside.mkdir()
        (outside / "a").write_text("mine")
        (self.destination.root / "public").mkdir()
        (self.destination.root / "public/dir").symlink_to(outside)
        (self.destination.root / "public/file").symlink_to(outside / "a")
        for key in ("public/dir/a", "public/file", "public/good"):
            self.source.put(key, "new", age=100)
        tool = self.sync(2)
        self.assertRegex(tool.err, r"Failed: dir/a \(.*public/dir is a symbolic link")
        self.assertRegex(tool.err, r"Failed: file \(.*public/file is a symbolic link")
        self.assertEqual([p.name for p in outside.iterdir()], ["a"])
        self.assertEqual((outside / "a").read_text(), "mine")
        self.assertEqual((self.destination.root / "public/good").read_text(), "new")
        self.assertFalse((self.destination.root / ".storsync/odd").exists())


class Batches(Directories):
    """What becomes durable together: after a crash at any moment each object is the old one or the new one, with its own
    metadata."""

    POINTS = ("dir-written", "dir-flushed", "dir-announced", "dir-named", "dir-synced")
    KEYS = [f"public/{i % 3}/{i}" for i in range(12)] + ["public/odd//", "private/p"]

    def fill(self, source, version):
        """Of another size in each version."""
        for key in self.KEYS:
            body = f"{key} {version} " * (10 + version)
            if source is self.source:
                source.put(key, body, age=100 - version)
            else:
                source.put(key, body, Metadata={"version": str(version)}, CacheControl=f"max-age={version}")

    def versions(self):
        """{key: version} of what another run finds in the destination, each whole and with its metadata."""
        reader, found = self.s3_bucket(), {}
        self.succeed("--sync", env=sides(self.destination, reader))
        for key in reader.keys():
            if key.startswith(".storsync/"):
                continue
            text = reader.get(key).decode()
            version = int(text.split()[1])
            self.assertEqual(text, f"{key} {version} " * (10 + version))
            if self.with_metadata:
                headers = reader.look(key)
                self.assertEqual((headers["x-amz-meta-version"], headers["cache-control"]),
                                 (str(version), f"max-age={version}"))
            found[key] = version
        return found

    def check_kills(self, source):
        for version, point in enumerate(self.POINTS, 1):
            self.fill(source, version)
            env = sides(source, self.destination, STORSYNC_JOB=f"killed-{version}", STORSYNC_CRASH_AT=point)
            tool = self.tool("--sync", env=env, binary=RUN.test_binary)
            self.assertEqual(tool.code, -signal.SIGKILL, point)
            found = self.versions()
            self.assertLessEqual(set(found.values()), {version - 1, version}, point)
            self.assertEqual(version in found.values(), point in ("dir-named", "dir-synced"), point)
            if version > 1:
                self.assertEqual(len(found), len(self.KEYS), point)
            self.succeed("--sync", env=sides(source, self.destination, STORSYNC_JOB=f"after-{version}"))
            self.assertEqual(self.versions(), dict.fromkeys(self.KEYS, version), point)

    def test_killed_with_metadata(self):
        self.with_metadata = True
        self.KEYS = [key for key in self.KEYS if not key.endswith("/")] + ["public/odd/"]
        self.check_kills(self.s3_bucket())

    def test_killed_between_directories(self):
        self.with_metadata = False
        self.KEYS = [key for key in self.KEYS if not key.endswith("/")]
        self.check_kills(self.source)


class Asleep(Directories):
    def test_in_a_flush(self):
        """It takes longer than the lease, which another has by then, and newer objects: nothing is named any more."""
        env = production(self.source, self.destination, STORSYNC_LEASE_TTL="1s")
        for key in ("public/a", "public/b"):
            self.source.put(key, "older", age=100)
        first = self.start("--sync", env={**env, "STORSYNC_CRASH_AT": "dir-waited",
                                          "STORSYNC_CRASH_HOW": str(int(signal.SIGSTOP))}, binary=RUN.test_binary)
        first.wait_for(lambda: self.is_stopped(first.worker))
        self.assertEqual(self.destination.contents(), {})
        for key in ("public/a", "public/b"):
            self.source.put(key, "newer object", age=50)
        self.succeed("--sync", env=env)
        inodes = {p: p.stat().st_ino for p in self.destination.root.glob("public/*")}
        first.thaw()
        first.wait()
        self.assertEqual(first.code, 0)
        self.assertIn("the lease is lost", first.err)
        self.assertEqual(self.destination.contents(), dict.fromkeys(("public/a", "public/b"), b"newer object"))
        self.assertEqual({p: p.stat().st_ino for p in self.destination.root.glob("public/*")}, inodes)
        self.assertEqual([*(self.destination.root / ".storsync/tmp").iterdir()], [])

    @staticmethod
    def is_stopped(pid):
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "T"


class PowerCut(TestCase):
    """What a disk may lose is what no flush came after. So by the system calls: bytes come before the flush of their file, that
    before the name, that before the flush of the folder, and that before anybody is told. A folder may be lost until the one
    above it was flushed by this very run, also if it was there before, and comes before the names of what is in it."""

    CALL = re.compile(r"\d+ +(\w+)\((.*)\) += (\d+)")
    OPENED = re.compile(r"\d+<([^>]*)>")

    def calls(self, source, destination, space=None):
        if shutil.which("strace") is None:
            self.skipTest("SKIPPED, not tested here: the order of system calls (strace)")
        self.not_wrapped("strace shows the wrapper")
        log = self.dir / "strace"
        traced = "write,pwrite64,fsync,syncfs,fchmod,utimensat,renameat,renameat2,linkat,mkdirat"
        tool = self.tool("--", "/bin/true", env={**production(source, destination), "STORSYNC_ON_FAILURE": "stop"},
                         timeout=60, prefix=(*(space.prefix if space else ()), "strace", "-f", "-y", "-s", "200", "-o", str(log),
                                             "-e", f"trace={traced}"))
        self.assertEqual(tool.code, 0, tool.err)
        for line in log.read_text().splitlines():
            if match := self.CALL.match(line):
                yield match[1], match[2]

    def check(self, source, keys, space=None, destination=None):
        """How often a whole volume was flushed."""
        destination = destination or self.dir_bucket()
        root = str(destination.root)
        loose, folders, named, whole = set(), set(), [], 0  # not flushed: files by path, folders
        shelves = set()  # sidecars that were announced
        seen = space.path(destination.root) if space else destination.root
        unsure = {f"{root}/{path.relative_to(seen)}" for path in seen.rglob("*") if path.is_dir()}  # folders that may be lost
        for call, args in self.calls(source, destination, space):
            path = found[1] if (found := self.OPENED.match(args)) else ""
            if call in ("write", "pwrite64", "fchmod", "utimensat") and path.startswith(root):
                loose.add(path)
            elif call == "fsync":
                loose.discard(path)
                folders.discard(path)
                unsure = {folder for folder in unsure if os.path.dirname(folder) != path}
            elif call == "syncfs":
                loose, folders, unsure, whole = set(), set(), set(), whole + 1
            elif call == "mkdirat":
                unsure.add("{}/{}".format(*re.match(r'\d+<([^>]*)>, "([^"]*)"', args).groups()))
            elif call in ("renameat", "renameat2", "linkat"):
                old, new = [f"{folder}/{name}" for folder, name in
                            re.findall(r'\d+<([^>]*)>, "((?:[^"\\]|\\.)*)"', args)]
                self.assertNotIn(old, loose, "named before its bytes are durable")
                if new.endswith(".next"):
                    shelves.add(new)
                needed = [new, *shelves] if "/.storsync/meta/" not in new else []
                self.assertEqual([(name, folder) for folder in unsure for name in needed if name.startswith(f"{folder}/")], [],
                                 "named before its folders are durable")
                if "/deployments/" in new or "/last-sync" in new:
                    self.assertEqual(folders, set(), "told before its name is durable")
                if "/.storsync/" not in new or "/.storsync/odd/" in new or new.endswith(".next"):
                    folders.add(os.path.dirname(new))
                if "/.storsync/" not in new:
                    meta = [f for f in folders if "/.storsync/meta/" in f]
                    self.assertEqual(meta, [], "named before its metadata are durable")
                    named.append(os.path.relpath(new, root))
        self.assertEqual(sorted(named), sorted(keys))
        self.assertEqual(folders, set())
        return whole

    def test_from_a_directory(self):
        source = self.dir_bucket()
        keys = [f"public/{i % 7}/{i}" for i in range(100)] + ["private/large"]
        for key in keys:
            source.put(key, data.body(1, 20_000_000) if key.endswith("large") else key, age=100)
        self.check(source, keys)

    def test_new_folders_and_those_of_a_killed_run(self):
        """It was killed after it had made the folders, and had flushed none of them."""
        source, destination = self.dir_bucket(), self.dir_bucket()
        keys = [f"public/{i // 10}/{i}/x" for i in range(40)]
        for key in keys:
            source.put(key, key, age=100)
        tool = self.tool("--sync", env=production(source, destination, STORSYNC_JOB="killed", STORSYNC_CRASH_AT="dir-written"),
                         binary=RUN.test_binary)
        self.assertEqual(tool.code, -signal.SIGKILL, tool.err)
        self.assertTrue((destination.root / "public/0/0").is_dir())
        self.assertEqual(destination.contents(), {})
        self.check(source, keys, destination=destination)
        destination = self.dir_bucket()
        self.check(source, keys, destination=destination)

    @staticmethod
    def waiting():
        """KiB that this machine has not written yet."""
        with open("/proc/meminfo", encoding="ascii") as info:
            return sum(int(line.split()[1]) for line in info if line.startswith(("Dirty:", "Writeback:")))

    def check_volume(self, source, keys):
        """ext4, where many files are flushed with one call, unless much is waiting to be written on this machine."""
        destination = self.dir_bucket()
        image = self.dir / "image"
        with open(image, "wb") as file:
            file.truncate(64 << 20)
        try:
            space = self.mounts(f"mkfs.ext4 -q -F '{image}' && mount -o loop '{image}' '{destination.root}'")
        except AssertionError as why:
            self.skipTest(f"SKIPPED, not tested here: ext4 on a loop device ({why})")
        for attempt in range(5):  # much may have been waiting for a moment only
            waiting = self.waiting()
            whole = self.check(source, keys, space, destination)
            self.assertLess(whole, 100)
            if whole > 0 or waiting + self.waiting() >= 16 << 10:
                break
            self.assertLess(attempt, 4, "no volume was flushed")
            shutil.rmtree(space.path(destination.root) / "public")
            shutil.rmtree(space.path(destination.root) / ".storsync")
        tool = self.tool("--validate", env=production(source, destination), prefix=space.prefix)
        self.assertEqual(tool.code, 0, tool.err)

    def test_a_volume_from_a_directory(self):
        source = self.dir_bucket()
        keys = [f"public/{i % 7}/{i}" for i in range(100)]
        for key in keys:
            source.put(key, key, age=100)
        self.check_volume(source, keys)

    def test_a_volume_from_s3(self):
        source = self.s3_bucket()
        keys = [f"public/{i % 5}/{i}" for i in range(60)]
        for key in keys:
            source.put(key, key, Metadata={"of": key})
        self.check_volume(source, keys)

    def test_from_s3(self):
        source = self.s3_bucket()
        keys = [f"public/{i % 5}/{i}" for i in range(40)]
        for key in keys:
            source.put(key, key, Metadata={"of": key})
        self.check(source, keys)


class Rewritten(TestCase):
    """Files that somebody writes in place all the time, and puts their time back (rsync --inplace -t, tar). Whatever arrives
    is one version of them."""

    SIZES = {"public/small": 20_000, "public/large": 3_000_000}

    def setUp(self):
        super().setUp()
        self.source = self.dir_bucket()
        for key, size in self.SIZES.items():
            self.source.put(key, b"a" * size, age=100)

    def rewrite(self, number):
        for key, size in self.SIZES.items():
            with open(self.source.root / key, "rb+", buffering=0) as file:
                before = os.stat(file.fileno())
                file.write(bytes([ord("b") + number % 20]) * size)
                os.utime(file.fileno(), ns=(before.st_atime_ns, before.st_mtime_ns))

    def rewrite_until(self, stopped):
        for number in itertools.count():
            self.rewrite(number)
            if stopped.wait((0, 0.001, 0.02, 0.2)[number % 4]):
                return

    def found(self, bucket):
        if hasattr(bucket, "contents"):
            return bucket.contents()
        return {key: bucket.get(key) for key in bucket.keys() if not key.startswith(".storsync/")}

    def check(self, bucket, rounds):
        stopped = threading.Event()
        writer = threading.Thread(target=self.rewrite_until, args=(stopped,))
        writer.start()
        try:
            for _ in range(rounds):
                destination = bucket()
                tool = self.tool("--sync", env=production(self.source, destination))
                self.assertIn(tool.code, (0, 2), tool.err)
                for key, body in self.found(destination).items():
                    self.assertEqual((key, len(body), body.strip(body[:1])), (key, self.SIZES[key], b""))
        finally:
            stopped.set()
            writer.join()
        destination = bucket()
        self.succeed("--sync", env=production(self.source, destination))
        self.assertEqual(sorted(self.found(destination)), sorted(self.SIZES))

    def test_to_a_directory(self):
        self.check(self.dir_bucket, 10)

    def test_to_s3(self):
        self.check(self.s3_bucket, 5)
