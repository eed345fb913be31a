"""The difference between what an app should have in the cluster and what is there. Pure: two lists in, one list of changes out.

An object is kept when it was applied from the same manifest (the hash in an annotation says so) and still has every field of it:
the first finds a field that the manifest no longer has, the second a hand that changed something since. An unchanged redeploy is
all `keep`, so it writes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from jacfn_knative import quantity
from jacfn_knative.manifests.kinds import KINDS, Object, kind_of, reference

HASH = "jacfn.dev/spec-hash"
Action = Literal["create", "update", "replace", "delete", "keep"]


@dataclass(frozen=True, slots=True)
class Change:
    """What has to happen to one object, and why, for people: which fields differ, never what is in them."""

    action: Action
    item: Object = field(repr=False)
    """The object as it should be; for `delete` as it is. A Secret has its values in it: never print this."""
    reasons: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        """`Deployment/shop`."""
        return reference(self.item)


def plan(desired: Sequence[Object], live: Sequence[Object], retained: Collection[str] = ()) -> list[Change]:
    """Changes in the order in which they are made: first what is desired, in its own order, then what goes.

    `live`: the app's objects as the API server has them, without those that a controller made. `retained`: names of ConfigMaps
    that a revision which may still be woken or rolled back to has mounted; they stay. Volume claims stay too: data is deleted by
    a destroy and by nothing else.
    """
    there = {_identity(item): item for item in live}
    wanted = [stamped(item) for item in desired]
    changes = [_change(item, there.get(_identity(item))) for item in wanted]
    names = {_identity(item) for item in wanted}
    gone = [item for item in live if _identity(item) not in names and not _stays(item, retained)]
    return changes + [Change("delete", item) for item in sorted(gone, key=_removal_order)]


def stamped(item: Object) -> Object:
    """The object with the hash of its own manifest in an annotation. A Secret's values are not part of the hash: it is public."""
    metadata = item["metadata"]
    annotations = {name: value for name, value in metadata.get("annotations", {}).items() if name != HASH}
    public = {name: value for name, value in item.items() if item["kind"] != "Secret" or name != "data"}
    content = json.dumps(public | {"metadata": metadata | {"annotations": annotations}}, sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()[:16]
    return item | {"metadata": metadata | {"annotations": annotations | {HASH: digest}}}


def differences(desired: Any, live: Any, path: str = "") -> Iterator[str]:
    """Paths of fields of `desired` that `live` lacks or has otherwise. What only `live` has are the server's defaults."""
    if isinstance(desired, dict) and isinstance(live, dict):
        for name, value in desired.items():
            inner = f"{path}.{name}" if path else name
            if name in live:
                yield from differences(value, live[name], inner)
            elif value not in ({}, [], None, ""):  # the server does not keep an empty field
                yield inner
    elif isinstance(desired, list) and isinstance(live, list) and len(desired) == len(live):
        for number, (ours, theirs) in enumerate(zip(desired, live, strict=True)):
            yield from differences(ours, theirs, f"{path}[{number}]")
    elif desired != live and not (".resources." in path and _same_quantity(desired, live)):
        yield path


def _change(desired: Object, live: Object | None) -> Change:
    if live is None:
        return Change("create", desired)
    if desired["kind"] == "Job":
        # A Job's template is immutable and its name has the template's hash: what is there under this name is the same.
        return Change("replace", desired, ("it had failed",)) if _failed(live) else Change("keep", desired)
    reasons = [path for path in differences(desired, live) if not path.endswith(HASH)]
    if desired["kind"] == "Secret":  # its data is all ours, and its hash knows nothing of it
        reasons += [f"data.{key}" for key in surplus_keys(desired, live)]
    if not reasons and live["metadata"].get("annotations", {}).get(HASH) != desired["metadata"]["annotations"][HASH]:
        reasons = ["a field was removed"]
    return Change("update" if reasons else "keep", desired, tuple(reasons))


def surplus_keys(desired: Object, live: Object) -> list[str]:
    """Keys of a Secret that it should not have any more."""
    return sorted(set(live.get("data", {})) - set(desired.get("data", {})))


def _failed(job: Object) -> bool:
    conditions = job.get("status", {}).get("conditions", [])
    return any(item["type"] == "Failed" and item["status"] == "True" for item in conditions)


def _stays(item: Object, retained: Collection[str]) -> bool:
    return item["kind"] == "PersistentVolumeClaim" or (item["kind"] == "ConfigMap" and item["metadata"]["name"] in retained)


def _identity(item: Object) -> tuple[str, str, str]:
    kind = kind_of(item)
    return kind.group, kind.kind, item["metadata"]["name"]


def _removal_order(item: Object) -> tuple[int, str]:
    return -KINDS.index(kind_of(item)), item["metadata"]["name"]


def _same_quantity(first: Any, second: Any) -> bool:
    """`0.5` and `500m`: the server writes quantities its own way."""
    ours, theirs = quantity.parse(str(first)), quantity.parse(str(second))
    return ours is not None and ours == theirs
