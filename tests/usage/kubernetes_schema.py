"""Holds Kubernetes manifests against the API definitions of tests/data/kubernetes: types, required members, and none that is unknown."""

import json
import pathlib

DATA = pathlib.Path(__file__).resolve().parents[1] / "data/kubernetes/job_and_service.swagger.json"
DEFINITIONS = json.loads(DATA.read_text())["definitions"]
KINDS = {("batch/v1", "Job"): "io.k8s.api.batch.v1.Job", ("v1", "Service"): "io.k8s.api.core.v1.Service"}
TYPES = {"string": str, "integer": int, "boolean": bool, "number": (int, float), "array": list, "object": dict}


def faults_of(manifest):
    """What is wrong with a manifest, as a list of sentences."""
    kind = KINDS.get((manifest.get("apiVersion"), manifest.get("kind")))
    if kind is None:
        return [f"no definition of {manifest.get('apiVersion')} {manifest.get('kind')}"]
    return list(_check(manifest, {"$ref": "#/definitions/" + kind}, manifest["kind"]))


def _check(value, schema, where):
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        schema = DEFINITIONS[name]
        if name.endswith((".IntOrString", ".Quantity")):
            if not isinstance(value, (int, str)) or isinstance(value, bool):
                yield f"{where}: a number or text was expected: {value!r}"
            return
    wanted = schema.get("type")
    if wanted and (not isinstance(value, TYPES[wanted]) or (wanted == "integer" and isinstance(value, bool))):
        yield f"{where}: {wanted} was expected: {value!r}"
        return
    if isinstance(value, dict):
        properties, rest = schema.get("properties", {}), schema.get("additionalProperties")
        for name in schema.get("required", []):
            if name not in value:
                yield f"{where}: {name} is missing"
        for name, member in value.items():
            if name in properties or rest:
                yield from _check(member, properties.get(name, rest), f"{where}.{name}")
            elif properties:
                yield f"{where}: {name} is unknown"
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _check(item, schema.get("items", {}), f"{where}[{index}]")
