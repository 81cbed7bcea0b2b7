"""Reads YAML as PyYAML does: the protocol of tekton/reader, {"as": "yaml", "text": base64} a line."""

import base64
import datetime
import json
import sys

import yaml


def plain(value):
    """The value as JSON; an error for what JSON does not have."""
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("a key that is no text")
        return {key: plain(member) for key, member in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ValueError(f"a {type(value).__name__}")


def read(text):
    for document in yaml.safe_load_all(text):
        return plain(document)
    return None


for line in sys.stdin:
    if not line.strip():
        sys.stdout.flush()
        continue
    try:
        answer = {"value": read(base64.b64decode(json.loads(line)["text"]).decode())}
    except Exception as error:  # whatever it is, PyYAML did not read it
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer))
