"""Calls jaclang's hooks directly. Runs in the slim loader, where `jaclang.jac0core.runtime` asks for it while it is imported.

jaclang makes 103 proxies by inspecting signatures at every start and binds arguments to a signature at every call, several times
for each node that a walker visits. Here the proxies are written when a bundle is built (proxies.py), with jaclang's own
signatures, and call a list of implementations. The rule is jaclang's: newest plugin first, the first answer that is not None.

Imports nothing but the interpreter's own modules.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

Calls = dict[str, list[Callable[..., Any]]]

_VAR_KEYWORD = 0x08  # inspect.CO_VARKEYWORDS, without importing inspect


def helpers(plugin_class: type, manager: Any, plugin_module: Any, aggregating: set[str]) -> tuple[type, type, type]:
    """What jaclang's `generate_plugin_helpers` answers: (specifications, implementations, proxies)."""
    from jaclang.jac0core import jacfn_proxies

    functions = {name: getattr(plugin_class, name) for name in jacfn_proxies.PARAMETERS}
    calls: Calls = {name: [] for name in functions}
    for name, function in functions.items():
        function._jac_hookimpl = True
        setattr(manager.hook, name, plugin_module.HookCaller(name, _firstresult=name not in aggregating))
    proxies = jacfn_proxies.make(calls)
    for name, proxy in proxies.items():
        proxy.__defaults__, proxy.__kwdefaults__ = functions[name].__defaults__, functions[name].__kwdefaults__
    plugin_module._get_argnames = _argument_names(plugin_module._get_argnames)
    _keep_current(manager, calls, jacfn_proxies.PARAMETERS)
    name = plugin_class.__name__
    specifications = type(f"{name}Spec", (), {})  # the manager knows its hooks already
    return specifications, type(f"{name}Impl", (), functions), type(name, (), _attributes(plugin_class) | proxies)


def _attributes(plugin_class: type) -> dict[str, Any]:
    """What the proxy class takes over besides hooks: annotations, plain values, nested classes."""
    annotations: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for base in reversed(plugin_class.__mro__[:-1]):
        annotations.update(getattr(base, "__annotations__", {}))
        for key, value in base.__dict__.items():
            if not key.startswith("__") and (isinstance(value, type) or not callable(value)):
                values[key] = value
    return {**values, "__annotations__": annotations} if annotations else values


def _keep_current(manager: Any, calls: Calls, parameters: dict[str, tuple[str, ...]]) -> None:
    """Bring the lists up to date whenever a plugin comes or goes."""

    def watched(change: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*args: Any, **kwargs: Any) -> Any:
            result = change(*args, **kwargs)
            for name, names in parameters.items():
                implementations = getattr(manager.hook, name)._hookimpls
                if len(calls[name]) != len(implementations):
                    calls[name][:] = [_direct(item, names) for item in reversed(implementations)]
            return result

        return changed

    manager.register, manager.unregister = watched(manager.register), watched(manager.unregister)


def _direct(implementation: Any, parameters: tuple[str, ...]) -> Callable[..., Any]:
    """The implementation as a function of all the hook's parameters by position; it may itself take some of them, by name."""
    function: Callable[..., Any] = implementation.function
    names = parameters if implementation.argnames is None else implementation.argnames
    if names == parameters and implementation.argnames is not None:
        return function
    taken = [(name, parameters.index(name)) for name in names if name in parameters]
    return lambda *values: function(**{name: values[place] for name, place in taken})


def _argument_names(slow: Callable[[Any], tuple[str, ...] | None]) -> Callable[[Any], tuple[str, ...] | None]:
    """Parameter names of a plain function from its code; anything else is left to jaclang's own way."""

    def names(function: Any) -> tuple[str, ...] | None:
        if type(function) is not FunctionType or hasattr(function, "__wrapped__") or function.__code__.co_posonlyargcount:
            return slow(function)
        code = function.__code__
        return None if code.co_flags & _VAR_KEYWORD else code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]

    return names
