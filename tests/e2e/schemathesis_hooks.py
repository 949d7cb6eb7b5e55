"""What schemathesis is told about the server, besides its schema: which things there are, and that nobody has time to wait."""

import json
import os

import schemathesis

KNOWN = json.loads(os.environ["TRAINYARD_KNOWN"])
# Seconds and microseconds that a valid request may wait for what does not come.
WAITS = {"wait": 1, "wait_us": 1000}


def shorter(name, value):
    """A wait that the server would take, made short; anything else as it is."""
    text = str(value)
    return WAITS[name] if text.isdigit() and WAITS[name] < int(text) else value


@schemathesis.hook
def before_call(context, case, _):
    query = case.query
    if isinstance(query, dict):
        for name in WAITS.keys() & query.keys():
            query[name] = shorter(name, query[name])
        if query.get("follow") in ("1", "true"):
            query["follow"] = "0"


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Every other time something that is there."""
    if not isinstance(path_parameters, dict) or context.operation is None:
        return path_parameters
    segments = context.operation.path.split("/")
    for before, segment in zip(segments, segments[1:]):
        name = segment.strip("{}")
        value = path_parameters.get(name)
        if segment.startswith("{") and before in KNOWN and isinstance(value, str) and sum(value.encode("utf-8", "replace")) % 2 == 0:
            path_parameters[name] = KNOWN[before][sum(value.encode("utf-8", "replace")) // 2 % len(KNOWN[before])]
    return path_parameters
