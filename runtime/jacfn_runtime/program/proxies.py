"""Writes the proxies of jaclang's hooks as source, from the installed jaclang, when a bundle is built. See dispatch.py."""

from __future__ import annotations

import inspect
from typing import Any


def proxies_source() -> str:
    """Source of a module with `PARAMETERS` (hook -> parameter names) and `make(calls)` (hook -> proxy)."""
    from jaclang.jac0core import runtime

    hooks = {name: function for name, function in sorted(vars(runtime.JacRuntimeImpl).items()) if inspect.isfunction(function)}
    parameters = {name: tuple(inspect.signature(function).parameters) for name, function in hooks.items()}
    lines = [
        "from __future__ import annotations",
        "from types import CoroutineType",
        f"PARAMETERS = {parameters!r}",
        "def make(calls):",
    ]
    for name, function in hooks.items():
        body = _aggregating if name in runtime._AGGREGATING_HOOKS else _first_result
        lines += [f"    {line}" for line in body(name, function)]
    lines.append(f"    return {{{', '.join(f'{name!r}: {name}' for name in hooks)}}}")
    return "\n".join(lines)


def _first_result(name: str, function: Any) -> list[str]:
    is_async = inspect.iscoroutinefunction(function)
    answer = "return await result if isinstance(result, CoroutineType) else result" if is_async else "return result"
    return [
        f"calls_{name} = calls[{name!r}]",
        f"{'async ' if is_async else ''}def {name}({_signature(function)}):",
        f"    for call in calls_{name}:",
        f"        result = call({', '.join(inspect.signature(function).parameters)})",
        "        if result is not None:",
        f"            {answer}",
    ]


def _aggregating(name: str, function: Any) -> list[str]:
    arguments = ", ".join(inspect.signature(function).parameters)
    return [
        f"calls_{name} = calls[{name!r}]",
        f"def {name}({_signature(function)}):",
        f"    return [result for call in calls_{name} if (result := call({arguments})) is not None]",
    ]


def _signature(function: Any) -> str:
    """The parameters in the implementation's own kinds; which of them have defaults is taken over at run time."""
    parts: list[str] = []
    for item in inspect.signature(function).parameters.values():
        if item.kind is inspect.Parameter.KEYWORD_ONLY and not any(part.startswith("*") for part in parts):
            parts.append("*")
        star = {inspect.Parameter.VAR_POSITIONAL.value: "*", inspect.Parameter.VAR_KEYWORD.value: "**"}
        parts.append(star.get(item.kind.value, "") + item.name)
    return ", ".join(parts)
