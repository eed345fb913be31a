"""PyJWT without what HMAC tokens do not need.

`import jwt` also imports cryptography when it is installed (it is in the gateway's image) and an HTTP client for key sets:
150 ms where the HMAC part alone takes 30 ms (measured). So PyJWT's own files are loaded a second time under a private
package name, past its `__init__`, with `cryptography` refused to those two that ask for it. A program that imports `jwt` for
itself, with RS256 and all, still gets the whole of it.
"""

from __future__ import annotations

import builtins
import importlib
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

NAME = "jacfn_pyjwt"


def _without_cryptography(name: str, *arguments: Any, **options: Any) -> ModuleType:
    if name.partition(".")[0] == "cryptography":
        raise ModuleNotFoundError(name)
    return builtins.__import__(name, *arguments, **options)


def _load() -> tuple[ModuleType, ModuleType]:
    found = PathFinder.find_spec("jwt")
    if found is None or found.submodule_search_locations is None:
        raise ImportError("PyJWT is not installed", name="jwt")
    package = ModuleType(NAME)
    package.__path__ = list(found.submodule_search_locations)
    sys.modules[NAME] = package
    for leaf in ("utils", "algorithms"):  # the two that try cryptography, in the order in which they need each other
        spec = PathFinder.find_spec(f"{NAME}.{leaf}", package.__path__)
        assert spec is not None and spec.loader is not None
        module = sys.modules[spec.name] = module_from_spec(spec)
        vars(module)["__builtins__"] = vars(builtins) | {"__import__": _without_cryptography}
        spec.loader.exec_module(module)
    return importlib.import_module(f"{NAME}.api_jwt"), importlib.import_module(f"{NAME}.exceptions")


if TYPE_CHECKING:
    from jwt import PyJWT, PyJWTError
else:
    _api, _exceptions = _load()
    PyJWT, PyJWTError = _api.PyJWT, _exceptions.PyJWTError

__all__ = ["PyJWT", "PyJWTError"]
