"""The types of the Kubernetes API, read from the TypeScript declarations of the npm package kubernetes-types.

Those are generated from the API's own OpenAPI document, one interface a type, and have nothing but properties in them;
so a few regular expressions read them, and no node is needed. `problems` knows what an API server with strict field
validation refuses: unknown fields, missing ones, values of another type. It knows no rules beyond the types.
"""
import base64
import hashlib
import posixpath
import re
import shutil
import tarfile

from engine import cache, run

PACKAGE, VERSION = "kubernetes-types", "1.30.0"
SHA512 = "Dew1okvhM/SQcIa2rcgujNndZwU8VnSapDgdxlYoB84ZlpAD43U6KLAFqYo17ykSFGHNPrg0qry0bP+GJd9v7Q=="
# In which module a manifest's apiVersion is declared.
MODULES = {"v1": "core/v1", "apps/v1": "apps/v1", "batch/v1": "batch/v1", "networking.k8s.io/v1": "networking/v1"}
PLAIN = {"string": str, "boolean": bool, "number": (int, float), "any": object}


class NotThere(Exception):
    pass


def download():
    """The package, from the cache or from the registry that npm is set up for; checked in either case."""
    folder = cache() / "containers"
    tar = folder / f"{PACKAGE}-{VERSION}.tgz"
    if not tar.exists():
        if not shutil.which("npm"):
            raise NotThere("npm is not installed")
        folder.mkdir(parents=True, exist_ok=True)
        done = run(["npm", "pack", "--silent", "--pack-destination", folder, f"{PACKAGE}@{VERSION}"], False, 120,
                   cwd=folder)
        if done.returncode or not tar.exists():
            raise NotThere(f"npm cannot get {PACKAGE}: {done.stderr.strip()[-200:]}")
    if base64.b64encode(hashlib.sha512(tar.read_bytes()).digest()).decode() != SHA512:
        tar.unlink()
        raise AssertionError(f"{tar} is not the file that this test was written with; removed")
    return tar


class Types:
    def __init__(self, tar):
        with tarfile.open(tar) as archive:
            self.modules = {member.name[len("package/"):-len(".d.ts")]: archive.extractfile(member).read().decode()
                            for member in archive if member.name.endswith(".d.ts")}
        self._known = {}

    def _module(self, name):
        """{type: its text}, {imported type: module} of one file."""
        if name not in self._known:
            text = re.sub(r"/\*.*?\*/", "", self.modules[name], flags=re.S)
            types = dict(re.findall(r"(?ms)^export interface (\w+) (\{$.*?^\})", text))
            types.update(re.findall(r"(?m)^export (?:declare )?type (\w+) = (.*);", text))
            imports = {word: posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
                       for words, path in re.findall(r'import \{ (.*?) \} from "(.*?)"', text)
                       for word in words.split(", ")}
            self._known[name] = types, imports
        return self._known[name]

    def problems(self, manifest):
        """What is wrong with a manifest; [] if nothing is."""
        module = MODULES.get(manifest.get("apiVersion"))
        if not module or manifest.get("kind") not in self._module(module)[0]:
            return [f"no such kind: {manifest.get('apiVersion')} {manifest.get('kind')}"]
        return self._check(manifest, manifest["kind"], module, manifest["kind"])

    def _check(self, value, wanted, module, path):
        wanted = wanted.strip()
        if wanted.startswith("{"):
            return self._check_object(value, wanted, module, path)
        if wanted.startswith("Array<"):
            if not isinstance(value, list):
                return [f"{path}: not a list"]
            return [problem for number, item in enumerate(value)
                    for problem in self._check(item, wanted[len("Array<"):-1], module, f"{path}[{number}]")]
        if " | " in wanted:
            found = [self._check(value, one, module, path) for one in wanted.split(" | ")]
            return [] if [] in found else found[0]
        if wanted.startswith('"'):
            return [] if value == wanted.strip('"') else [f"{path}: {value!r}, not {wanted}"]
        if wanted in PLAIN:
            fits = isinstance(value, PLAIN[wanted]) and (wanted in ("boolean", "any") or not isinstance(value, bool))
            return [] if fits else [f"{path}: {value!r} is not a {wanted}"]
        types, imports = self._module(module)
        if wanted in types:
            return self._check(value, types[wanted], module, path)
        return self._check(value, self._module(imports[wanted])[0][wanted], imports[wanted], path)

    def _check_object(self, value, text, module, path):
        if not isinstance(value, dict):
            return [f"{path}: not an object"]
        inside = text.strip()[1:-1]
        any_name = re.fullmatch(r"(?s)\s*\[name: string\]: (.*);\s*", inside)
        if any_name:
            fields = {name: ("?", any_name[1]) for name in value}
        else:
            found = re.findall(r'(?ms)^ *"?([$\w-]+)"?(\??): (\{$.*?^ *\}|[^;]*);$', inside)
            fields = {name: (optional, kind) for name, optional, kind in found}
        wrong = [f"{path}.{name}: no such field" for name in value if name not in fields]
        wrong += [f"{path}.{name}: missing" for name, (optional, _) in fields.items()
                  if not optional and name not in value]
        for name in value.keys() & fields.keys():
            wrong += self._check(value[name], fields[name][1], module, f"{path}.{name}")
        return sorted(wrong)
