"""What tests need of others, from package registries: pinned by hashes, made once, and kept in STORSYNC_CACHE. What cannot
be had on this machine is for the caller to tell and to skip; what is there and has another hash is an error."""
import contextlib
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import cache

TAMPERED = re.compile(r"SECURITY ERROR|checksum mismatch|DO NOT MATCH THE HASHES|EINTEGRITY")


class Missing(Exception):
    """Why something cannot be had here."""


def command(*words, **how):
    """Runs what downloads or builds."""
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=1200, **how)
    except FileNotFoundError:
        raise Missing(f"no {Path(words[0]).name} here") from None
    except subprocess.TimeoutExpired:
        raise Missing(f"{Path(words[0]).name} did not end within 20 minutes") from None
    if TAMPERED.search(done.stdout):
        raise SystemExit(f"{' '.join(map(str, words))}: a hash is wrong:\n{done.stdout}")
    if done.returncode:
        lines = done.stdout.strip().splitlines() or ["?"]
        raise Missing(f"{Path(words[0]).name} failed: {lines[-1]}")
    return done.stdout


def kept(part, name, locks, make):
    """The folder in the cache that `make(folder)` filled, from these lock files. It is made whole or not at all."""
    digest = hashlib.sha256(repr([lock.read_bytes() for lock in locks] + [sys.version]).encode()).hexdigest()
    place = cache() / part / f"{name}-{digest[:16]}"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix=".", dir=place.parent) as folder:
            fresh = Path(folder) / "fresh"
            fresh.mkdir()
            make(fresh)
            with contextlib.suppress(OSError):  # another run may have been faster
                fresh.rename(place)
        print(f"{part}: {name}: made in {time.monotonic() - began:.0f} s, from now on in {place}", flush=True)
    return place


def npm(here, folder):
    """What package.json and package-lock.json in `here` name, into `folder`/node_modules."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(here / name, folder)
    command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", cwd=folder)
