"""The bundle in immutable ConfigMaps: no registry of the user's own, no volume claim, no feature flag.

A ConfigMap holds 1 MiB: files are packed below that, and a larger file is cut into `<file>.0`, `<file>.1`, ... which the loader
joins. Each ConfigMap is named after its content: the same content is never written twice, and a retained revision keeps its own.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping

from jacfn_knative.errors import InvalidApp
from jacfn_knative.manifests.context import Context
from jacfn_knative.manifests.kinds import Object

# The sum of a ConfigMap's values may be 1,048,576 bytes (facts/knative-measured.md 4.iv); the rest is room for keys and metadata.
CONFIG_MAP_BYTES = 900 * 1024
# More than this belongs into an image: every node would fetch it through the API server and etcd.
BUNDLE_BYTES = 8 * 1024 * 1024
KEY_LENGTH = 253


def objects(context: Context) -> list[Object]:
    """The ConfigMaps of the bundle; none if the image has it. Raises InvalidApp above 8 MiB."""
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": context.metadata(_name(context, pack), "bundle"),
            "immutable": True,
            **_data(pack),
        }
        for pack in packs(context.app.bundle.files)
    ]


def volume(context: Context, name: str) -> Object:
    """One projected volume in which every file of the bundle has its path again."""
    sources = [
        {"configMap": {"name": _name(context, pack), "items": [{"key": key(path), "path": path} for path in pack]}}
        for pack in packs(context.app.bundle.files)
    ]
    return {"name": name, "projected": {"sources": sources, "defaultMode": 0o444}}


def packs(files: Mapping[str, bytes]) -> list[dict[str, bytes]]:
    """The files, sorted by path, cut and grouped so that each group fits into one ConfigMap."""
    total = sum(map(len, files.values()))
    if total > BUNDLE_BYTES:
        raise InvalidApp(
            f"The bundle has {total / 1024 / 1024:.1f} MiB; up to 8 MiB travel in ConfigMaps",
            evidence=", ".join(f"{path} {len(files[path])} bytes" for path in sorted(files, key=lambda p: -len(files[p]))[:3]),
            next_step="Use --build: it puts the bundle into an image.",
        )
    found: list[dict[str, bytes]] = []
    room = 0
    for path, content in _pieces(files):
        if any(path in pack for pack in found):
            raise InvalidApp(f"The bundle has a file named {path}, and a piece of a larger file would be named so, too")
        if not found or len(content) > room:
            found.append({})
            room = CONFIG_MAP_BYTES
        found[-1][path] = content
        room -= len(content)
    return found


def key(path: str) -> str:
    """A ConfigMap's key for a path, different for different paths: letters, digits, `-`, `_` and `.`, at most 253."""
    readable = path.replace("/", "__")
    if re.fullmatch(r"[-._a-zA-Z0-9]+", readable) and "__" not in path and len(readable) <= KEY_LENGTH:
        return readable
    mark = hashlib.sha256(path.encode()).hexdigest()[:16]
    return f"{mark}___{re.sub(r'[^-._a-zA-Z0-9]', '_', path)[-100:]}"  # three underscores: no readable key starts like this


def _pieces(files: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    for path in sorted(files):
        content = files[path]
        if len(content) <= CONFIG_MAP_BYTES:
            yield path, content
        else:
            for number, start in enumerate(range(0, len(content), CONFIG_MAP_BYTES)):
                yield f"{path}.{number}", content[start : start + CONFIG_MAP_BYTES]


def _name(context: Context, pack: Mapping[str, bytes]) -> str:
    content = json.dumps([[path, hashlib.sha256(pack[path]).hexdigest()] for path in sorted(pack)])
    return f"{context.app.name}-bundle-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def _data(pack: Mapping[str, bytes]) -> Object:
    """Text stays readable for people with kubectl; everything else is base64."""
    text: dict[str, str] = {}
    binary: dict[str, str] = {}
    for path, content in pack.items():
        try:
            text[key(path)] = content.decode()
        except UnicodeDecodeError:
            binary[key(path)] = base64.b64encode(content).decode()
    return ({"data": text} if text else {}) | ({"binaryData": binary} if binary else {})
