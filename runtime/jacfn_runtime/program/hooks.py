"""What jacfn changes in jaclang's runtime: a plugin of four hooks, and a preparation of the program's classes after their import.

A hook that answers None hands over to the next plugin, so every hook here answers something (facts/jaclang.md 5).
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterable
from inspect import iscoroutinefunction
from types import ModuleType
from typing import TYPE_CHECKING, Any

from jacfn_runtime.program.legacy import install_hook

if TYPE_CHECKING:
    from concurrent.futures import Future


class NoUnitOfWork(RuntimeError):
    """Jac code asked for the graph outside a unit of work."""

    def __init__(self) -> None:
        super().__init__(
            "Jac code asked for the graph outside a request: a thread of its own has none. Use `flow`, which keeps the request's."
        )


def install(runtime: Any) -> None:
    """Register the hooks with jaclang's runtime module, once."""
    manager = runtime.plugin_manager
    install_hook(manager)
    if not any(name == "jacfn-runtime" for name, _ in manager.list_name_plugin()):
        manager.register(_hooks(runtime), name="jacfn-runtime")


def _hooks(runtime: Any) -> type:
    from jaclang.jac0core.osp_kernel import _current_scope, osp_report

    class Hooks:
        @staticmethod
        def get_context() -> Any:
            """The request's context. jaclang would fall back to one of the whole process, whose root is the system root."""
            context = runtime._request_context.get()
            if context is None:
                raise NoUnitOfWork
            return context

        @staticmethod
        def log_report(expr: Any, custom: bool) -> bool:
            """`report` goes into the answer and nowhere else: jaclang prints it as well."""
            if custom:
                Hooks.get_context().custom = expr
            elif _current_scope() is not None:
                osp_report(expr)
            else:
                state = Hooks.get_context().call_state.get(None)
                if state is not None:
                    state.reports.put_nowait(expr)
            return True

        @staticmethod
        def thread_run(func: Callable[..., Any], args: tuple[Any, ...] = ()) -> Future[Any]:
            """`flow` keeps the caller's context; jaclang's own would run it as the system root."""
            future: Future[Any] = runtime.JacRuntime.pool.submit(contextvars.copy_context().run, func, *args)
            return future

    for name in ("get_context", "log_report", "thread_run"):
        getattr(Hooks, name)._jac_hookimpl = True
    return Hooks


def prepare(modules: Iterable[ModuleType]) -> None:
    """Make walkers async that meet an async ability, on themselves or on a node: jaclang would drop such an ability silently."""
    from jaclang.jac0core.archetype import NodeArchetype, WalkerArchetype

    names = {module.__name__ for module in modules}
    classes = [cls for cls in _subclasses(WalkerArchetype) | _subclasses(NodeArchetype) if cls.__module__ in names]
    awaited = [ability for cls in classes if issubclass(cls, NodeArchetype) for ability in _async_abilities(cls)]
    for cls in classes:
        if issubclass(cls, WalkerArchetype) and not cls.__jac_async__ and (_async_abilities(cls) or _fires_for(awaited, cls)):
            cls.__jac_async__ = True


def _subclasses(cls: Any) -> set[Any]:
    children: list[Any] = cls.__subclasses__()
    return {found for child in children for found in {child} | _subclasses(child)}


def _async_abilities(cls: Any) -> list[Any]:
    return [ability for ability in (*cls._jac_entry_funcs_, *cls._jac_exit_funcs_) if iscoroutinefunction(ability.func)]


def _fires_for(abilities: Iterable[Any], walker: type) -> bool:
    return any(_accepts(ability, walker) for ability in abilities)


def _accepts(ability: Any, walker: type) -> bool:
    try:
        return ability.trigger is None or issubclass(walker, ability.trigger)
    except (TypeError, NameError):  # a trigger that means nothing: jaclang says so when the ability is met
        return False
