"""podman with storage, settings and locks of its own, and the images of the suite.

No registry can be reached: what the Dockerfiles name in FROM is made from Debian's packages and imported under that
name. Such a base is kept in the user's cache; everything else is below one folder and removed by close().
"""
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from harness import CHECKOUT, cache

COMMANDS = ["podman", "runc", "catatonit", "mmdebstrap", "podman-compose"]
VERSION = re.search(r'STORSYNC_VERSION "(.*)"', (CHECKOUT / "include/version.h").read_text())[1]
TOOL_IMAGE = f"storsync-init:{VERSION}"
SUITE = "bookworm"
# The packages of each base, by the name before the colon.
BASES = {"debian": ["ca-certificates"], "node": ["ca-certificates", "nodejs"]}

CONF = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
# Nothing may look for a cloud's metadata service.
env = ["AWS_EC2_METADATA_DISABLED=true"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
lock_type = "file"
tmp_dir = "{dir}/tmp"
[network]
network_config_dir = "{dir}/net"
"""
# Without systemd there is nobody to run health checks; the tests do.
WRAPPER = """\
#!/bin/sh
export CONTAINERS_CONF='{dir}/containers.conf' DISABLE_HC_SYSTEMD=true
exec podman --root '{dir}/root' --runroot '{dir}/run' "$@"
"""


class Failed(AssertionError):
    pass


class Engine:
    def __init__(self):
        self.dir = None
        self._ready = set()

    # For whoever runs podman on its own: make, podman-compose.
    wrapper = property(lambda self: str(self.dir / "podman"))

    def why_not(self):
        """None if containers can be run here; else the reason."""
        if os.geteuid() != 0:
            return "needs root"
        missing = [command for command in COMMANDS if not shutil.which(command)]
        if missing:
            return f"no {', '.join(missing)}; `make test-containers` installs them"
        done = self("run", "--rm", "--network", "host", "--rootfs", self._tiny_root(), "/storsync-init", "--version",
                    check=False)
        return None if done.returncode == 0 else "podman cannot run a container: " + done.stderr.strip()[-300:]

    def _tiny_root(self):
        root = self.dir / "tiny"
        root.mkdir()
        shutil.copy(os.environ.get("STORSYNC_BIN") or CHECKOUT / "build/storsync-init", root / "storsync-init")
        return root

    # --- life ---

    def open(self):
        # On disk: memory that a container writes to its file system would count against its limit.
        # podman wants the path of its runroot below 50 bytes.
        place = Path(tempfile.gettempdir()).resolve()
        self.dir = Path(tempfile.mkdtemp(prefix="storsync-podman-", dir=place if len(str(place)) < 20 else "/tmp"))
        for name in ("tmp", "net"):
            (self.dir / name).mkdir()
        (self.dir / "containers.conf").write_text(CONF.format(dir=self.dir))
        (self.dir / "podman").write_text(WRAPPER.format(dir=self.dir))
        (self.dir / "podman").chmod(0o755)

    def close(self):
        """Ends what runs and removes what is there, also what a podman that was killed has left behind."""
        if not self.dir:
            return
        if (self.dir / "root").exists():
            for command in (["pod", "rm", "--all", "--force", "--time", "0"],
                            ["rm", "--all", "--force", "--time", "0", "--volumes"]):
                try:
                    self(*command, check=False, timeout=60)
                except subprocess.TimeoutExpired:
                    pass
        for pid in self._left_behind():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for place in self._mounts():
            subprocess.run(["umount", "--lazy", place], stderr=subprocess.DEVNULL)
        shutil.rmtree(self.dir, ignore_errors=True)
        self.dir = None

    def _left_behind(self):
        """Processes that have our folder in their command line, or a root file system from it."""
        ours = os.fsencode(self.dir)
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                root = [line for line in (entry / "mountinfo").read_bytes().splitlines() if line.split()[4] == b"/"]
                if ours in (entry / "cmdline").read_bytes() or any(ours in line for line in root):
                    yield int(entry.name)
            except OSError:
                pass

    def _mounts(self):
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        places = [re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), line.split()[4]) for line in lines]
        return [place for place in reversed(places) if place.startswith(f"{self.dir}/")]

    # --- use ---

    def __call__(self, *args, check=True, timeout=600, env=None, **how):
        """Runs podman. Returns the finished process; its output as text."""
        return run([self.wrapper, *map(str, args)], check, timeout, env={**clean_environment(), **(env or {})}, **how)

    def image(self, name, dockerfile_folder, extra=()):
        """Builds an image once a run."""
        if name not in self._ready:
            text = (Path(dockerfile_folder) / "Dockerfile").read_text()
            for base in re.findall(r"(?m)^FROM (\S+)", text):
                self.base(base)
            if "--from=storsync-init:" in text:
                self.tool_image()
            self("build", "--quiet", "--pull=never", "--network=none", "--format", "docker", "--tag", name, *extra,
                 dockerfile_folder)
            self._ready.add(name)
        return name

    def tool_image(self):
        """The project's own image, through `make image`, or from an archive of it."""
        if TOOL_IMAGE not in self._ready and os.environ.get("STORSYNC_IMAGE"):
            self("load", "--quiet", "--input", os.environ["STORSYNC_IMAGE"])
        elif TOOL_IMAGE not in self._ready:
            base = re.search(r"(?m)^ARG BASE=(\S+)", (CHECKOUT / "Dockerfile").read_text())[1]
            self.base(base)
            sources, archives = cache() / "sources", cache() / "containers" / "archives"
            for folder in (sources, archives / "partial"):
                folder.mkdir(parents=True, exist_ok=True)
            flags = (f"--quiet --pull=never --network=host --volume={sources}:/root/.cache/storsync-init/sources "
                     f"--volume={archives}:/var/cache/apt/archives")
            run(["make", "--no-print-directory", "-C", CHECKOUT, "image", f"ENGINE={self.wrapper}",
                 f"IMAGE={TOOL_IMAGE}", f"IMAGE_FLAGS={flags}"], True, 1500, env=clean_environment())
        self("tag", TOOL_IMAGE, f"my-registry.example/{TOOL_IMAGE}")
        self._ready.add(TOOL_IMAGE)
        return TOOL_IMAGE

    def base(self, name):
        """An image of Debian packages under the name of one from a registry."""
        if name in self._ready:
            return
        kind = name.partition(":")[0].rpartition("/")[2]
        full = name if "/" in name else f"docker.io/library/{name}"
        tar = cache() / "containers" / f"{SUITE}-{kind}.tar"
        if not tar.exists():
            print(f"containers: making the base image {name} from Debian's packages", flush=True)
            make_base(tar, BASES[kind])
        self("import", "--quiet", tar, full)
        self._ready.add(name)


def make_base(tar, packages):
    tar.parent.mkdir(parents=True, exist_ok=True)
    # What the slim images of Debian leave out as well.
    options = ["--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*",
               "--dpkgopt=path-exclude=/usr/share/locale/*"]
    with tempfile.TemporaryDirectory(dir=tar.parent, prefix=".new-") as folder:
        new = Path(folder) / "base.tar"
        run(["mmdebstrap", "--quiet", "--variant=minbase", *options, "--include=" + ",".join(packages), SUITE, new,
             *mirror()], True, 900)
        new.rename(tar)


def mirror():
    """The archive that this machine takes Debian from; none if apt knows of no such, then mmdebstrap's own."""
    targets = run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Identifier: Packages"], False, 60).stdout
    return [uri for uri in targets.split() if uri.rstrip("/").endswith("/debian")][:1]


def clean_environment():
    """The surrounding one, without what the tool or make would take for its own settings."""
    ours = ("STORSYNC_", "AWS_", "MAKE", "MFLAGS", "CONTAINERS_CONF")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def run(command, check, timeout, **how):
    """As subprocess.run, but a command that takes too long or is interrupted can tidy up before it goes."""
    with subprocess.Popen(command, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          start_new_session=True, errors="replace", **how) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            for number, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
                try:
                    os.killpg(process.pid, number)
                    process.communicate(timeout=patience)
                    break
                except (subprocess.TimeoutExpired, ProcessLookupError):
                    pass
            raise
    done = subprocess.CompletedProcess(command, process.returncode, out, err)
    if check and done.returncode:
        raise Failed(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{out[-3000:]}{err[-3000:]}")
    return done


ENGINE = Engine()
