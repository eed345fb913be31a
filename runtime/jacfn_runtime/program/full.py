"""The full loader: the real jaclang package, compiler and all. Slower to start than the slim one; nothing is missing from it."""

from __future__ import annotations

import logging
import os
from importlib import metadata
from typing import Any

from jacfn_runtime.errors import BundleMismatch
from jacfn_runtime.program.manifest import Manifest


def start(manifest: Manifest) -> Any:
    """Import jaclang and answer its runtime module. Raises BundleMismatch for another version than the bundle's."""
    version = metadata.version("jaclang")
    if version != manifest.jaclang:
        raise BundleMismatch(
            f"The bundle was compiled with jaclang {manifest.jaclang}, and jaclang {version} is installed",
            next_step=f"Build the bundle again, or install jaclang {manifest.jaclang}.",
        )
    # Topology indexes are blobs on a root that the last writer wins (facts/jaclang.md 4): wrong with more than one process.
    os.environ["JAC_TOPOLOGY_INDEX"] = "0"
    # jac-scale and its like replace memory, users and server: here these are ours.
    os.environ.setdefault("JAC_DISABLED_PLUGINS", "*")
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    import jaclang
    import jaclang.runtimelib.serializer  # noqa: F401  must precede the program's modules, or their nodes could not be read
    from jaclang.jac0core import runtime

    # jaclang's import configures the root logger; who serves decides on logging.
    root.handlers[:], root.level = handlers, level
    return runtime
