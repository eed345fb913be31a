"""The full loader: the real jaclang package, compiler and all. Slower to start than the slim one; nothing is missing from it."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection
from typing import Any


def start(plugins: Collection[str]) -> Any:
    """Import jaclang and answer its runtime module. Of jaclang's plugins (`distribution:name`) only these are let in."""
    # Topology indexes are blobs on a root that the last writer wins (facts/jaclang.md 4): wrong with more than one process.
    os.environ["JAC_TOPOLOGY_INDEX"] = "0"
    # jac-scale and its like replace memory, users and server: here these are ours.
    os.environ["JAC_DISABLED_PLUGINS"] = ",".join(_others(plugins)) if plugins else "*"
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    import jaclang
    import jaclang.runtimelib.serializer  # noqa: F401  must precede the program's modules, or their nodes could not be read
    from jaclang.jac0core import runtime

    # jaclang's import configures the root logger; who serves decides on logging.
    root.handlers[:], root.level = handlers, level
    return runtime


def _others(plugins: Collection[str]) -> list[str]:
    from importlib import metadata

    entries = [item for item in metadata.entry_points(group="jac") if item.dist is not None]
    wanted = {plugin.lower().replace("_", "-") for plugin in plugins}
    names = [f"{item.dist.name}:{item.name}" for item in entries if item.dist is not None]
    return [name for name in names if name.lower().replace("_", "-") not in wanted]
