"""docs/openapi.json and docs/status.schema.json as a judge of answers: as much of JSON Schema as these two use."""
import json
import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "integer": int}
KNOWN = {"type", "enum", "const", "anyOf", "required", "properties", "additionalProperties", "items", "minItems", "maxItems",
         "minLength", "maxLength", "minimum", "maximum", "pattern", "format", "description", "title", "$ref", "$defs", "$schema",
         "dependentRequired"}


def read(name):
    return json.loads((DOCS / name).read_text())


class Judge:
    """Says what is wrong with an answer, by the document that describes it."""

    def __init__(self):
        self.api = read("openapi.json")
        self.documents = {"": self.api, "status.schema.json": read("status.schema.json")}

    def resolve(self, ref, base):
        name, _, pointer = ref.partition("#")
        found = self.documents[name or base]
        for step in pointer.split("/")[1:]:
            found = found[step]
        return found, name or base

    def faults(self, value, schema, where="", base=""):
        """[(where, what)]; none: it is as described."""
        unknown = schema.keys() - KNOWN
        assert not unknown, f"this judge does not know {unknown}"
        if "$ref" in schema:
            target, of = self.resolve(schema["$ref"], base)
            return self.faults(value, target, where, of)
        if "anyOf" in schema:
            tries = [self.faults(value, one, where, base) for one in schema["anyOf"]]
            return [] if [] in tries else min(tries, key=len)
        if "type" in schema and not (isinstance(value, TYPES[schema["type"]]) and
                                     (schema["type"] != "integer" or not isinstance(value, bool))):
            return [(where, f"{value!r} is no {schema['type']}")]
        if "enum" in schema and value not in schema["enum"] or "const" in schema and value != schema["const"]:
            return [(where, f"{value!r} is not allowed")]
        found = []
        if isinstance(value, dict):
            properties = schema.get("properties", {})
            found += [(where, f"lacks {name}") for name in schema.get("required", ()) if name not in value]
            for name, member in value.items():
                if name in properties:
                    found += self.faults(member, properties[name], f"{where}/{name}", base)
                elif schema.get("additionalProperties") is False:
                    found.append((where, f"has {name}"))
        elif isinstance(value, list):
            if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
                found.append((where, f"{len(value)} elements"))
            for i, item in enumerate(value):
                found += self.faults(item, schema.get("items", {}), f"{where}/{i}", base)
        elif isinstance(value, str):
            if not re.search(schema.get("pattern", ""), value):
                found.append((where, f"{value!r} does not match"))
        elif isinstance(value, int) and not isinstance(value, bool):
            if not schema.get("minimum", value) <= value <= schema.get("maximum", value):
                found.append((where, f"{value} is out of bounds"))
        return found

    def answer(self, method, path, status, kind, body):
        """The same of an answer to a request that is described; what is not described at all is a fault."""
        operation = self.api["paths"].get(path, {}).get("get" if method == "HEAD" else method.lower())
        if operation is None:
            return self.faults(json.loads(body), {"$ref": "#/components/schemas/Error"}) if method != "HEAD" else []
        described = operation["responses"].get(str(status))
        if described is None:
            return [(path, f"status {status} is not described")]
        if kind not in described["content"]:
            return [(path, f"{kind} is not described")]
        if method == "HEAD" or kind != "application/json":
            return []
        return self.faults(json.loads(body), described["content"][kind]["schema"])

    def run(self, run):
        """Of the members of a run, those of the status document."""
        properties = self.documents["status.schema.json"]["properties"]
        own = self.api["components"]["schemas"]["Run"]["properties"]
        return [fault for name, value in run.items() if name not in own
                for fault in ([(name, "is in neither document")] if name not in properties else
                              self.faults(value, properties[name], name, "status.schema.json"))]

    def references(self):
        """All that leads nowhere."""
        lost = []

        def walk(value, base):
            if isinstance(value, dict):
                if "$ref" in value:
                    try:
                        self.resolve(value["$ref"], base)
                    except KeyError:
                        lost.append(value["$ref"])
                for each in value.values():
                    walk(each, base)
            elif isinstance(value, list):
                for each in value:
                    walk(each, base)

        for name, document in self.documents.items():
            walk(document, name)
        return lost
