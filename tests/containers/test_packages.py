"""What `make dist` has packed, installed and loaded where it is meant for."""
import platform
import unittest

from containers import CHECKOUT, ENGINE, ContainerCase
from engine import VERSION

DIST = CHECKOUT / "build/dist"
CPU = platform.machine()
DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}
BASE = "docker.io/library/debian:bookworm-slim"


class Packages(ContainerCase):
    def packed(self, name):
        path = DIST / name
        if not path.exists():
            raise unittest.SkipTest(f"===> SKIPPED, NOT TESTED: no build/dist/{name}; `make dist` makes it <===")
        return path

    def test_debian(self):
        """Installed, asked, and removed again."""
        ENGINE.base(BASE)
        package = self.packed(f"storsync-init_{VERSION}_{DEBIAN[CPU]}.deb")
        # The base image has dpkg leave out what is to be read.
        script = ("dpkg -i /p.deb && storsync-init --version && ! { dpkg -V storsync-init | grep -v ^missing; } && "
                  "dpkg -r storsync-init && ! test -e /usr/bin/storsync-init")
        container = self.start(BASE, "sh", "-c", script, flags=[f"--volume={package}:/p.deb:ro"])
        self.assertEqual(container.wait(), 0, container.logs)
        self.assertIn(f"storsync-init {VERSION}", container.logs)

    def test_image_of_both_cpus(self):
        """podman takes the one for this machine out of the index; the other one when asked for it."""
        archive = self.packed(f"storsync-init-{VERSION}-oci.tar")
        for name in DEBIAN.values():
            image = ENGINE("pull", "--quiet", "--arch", name, f"oci-archive:{archive}").stdout.strip()
            self.assertEqual(ENGINE("image", "inspect", "--format", "{{.Architecture}}", image).stdout.strip(), name)
            if name == DEBIAN[CPU]:
                done = ENGINE("run", "--rm", "--network=none", image, "--version")
                self.assertIn(f"storsync-init {VERSION}", done.stdout)
            ENGINE("rmi", "--force", image)
