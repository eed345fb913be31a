"""The pure parts under the slim loader: packing code, trimming modules, calling hooks directly."""

from __future__ import annotations

import ast
import sys
import types
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jacfn_runtime.program import diet, dispatch, pack
from jacfn_runtime.program.pack import Pack, Packed


def test_a_pack_gives_back_what_was_packed() -> None:
    code = compile("x = 1", "a.py", "exec")
    found = Pack(pack.write({"a": Packed(code, False, "src/a.py"), "p": Packed(None, True, "src/p")}, ["y = 2"]))
    assert found.code("a") == code
    assert found.code("p") is None
    assert found.entry("p") == (
        len(pack.canonical(code)) + len(pack.canonical({"y = 2": found.snippets()["y = 2"]})),
        0,
        True,
        "src/p",
    )
    assert "a" in found
    assert "b" not in found


def test_anything_else_is_no_pack() -> None:
    with pytest.raises(ValueError, match=r"code\.bin"):
        Pack(b"something else altogether")


@given(st.permutations(["a", "b", "c"]))
def test_the_order_of_modules_does_not_matter(names: list[str]) -> None:
    modules = {name: Packed(compile(f"{name} = {{'x', 'y', {name!r}}}", name, "exec"), False, name) for name in names}
    assert pack.write(modules) == pack.write(dict(sorted(modules.items())))


def module(source: str | ast.Module, name: str = "trimmed") -> Any:
    """Run a source as a module."""
    tree = ast.parse(source) if isinstance(source, str) else source
    made = types.ModuleType(name)
    sys.modules[name] = made
    exec(compile(tree, name, "exec"), made.__dict__)
    return made


LATE = """
from __future__ import annotations
import html
import colorsys as colours
from textwrap import dedent, indent
from keyword import iskeyword

default = iskeyword("if")

def escape(text: html.nothing) -> str:
    '''Doc.'''
    return html.escape(text)

class Shape:
    def hue(self, kind: colours.nothing = None):
        def inner():
            return colours.rgb_to_hsv(1, 0, 0)
        return inner()

def untouched():
    return 1
"""


def test_an_import_moves_into_the_functions_that_need_it() -> None:
    tree = diet.defer_imports(ast.parse(LATE), {"html", "colorsys", "textwrap", "keyword"})
    top = [ast.unparse(item) for item in tree.body if isinstance(item, ast.Import | ast.ImportFrom)]
    assert top == ["from __future__ import annotations", "from keyword import iskeyword"]
    made = module(tree)
    assert made.escape("<") == "&lt;"
    assert made.escape.__doc__ == "Doc."
    assert made.Shape().hue() == (0.0, 1.0, 1)
    assert made.default


def test_who_asks_the_module_for_a_deferred_name_gets_it() -> None:
    made = module(diet.defer_imports(ast.parse(LATE), {"html", "textwrap"}))
    assert made.dedent("  x") == "x"
    assert made.html.escape("<") == "&lt;"
    with pytest.raises(AttributeError, match="nothing"):
        _ = made.nothing


def test_a_split_module_serves_the_rest_when_asked() -> None:
    source = """
import enum
class Kept(enum.Enum):
    A = 1
class Moved(enum.Enum):
    B = Kept.A.value + 1
TABLE = {Moved.B: 1}
"""
    kept, rest = diet.split(ast.parse(source), ["Kept"], "split_rest", "split_kept")
    made = module(kept, "split_kept")
    assert "Moved" not in vars(made)
    module(rest, "split_rest")
    assert made.Moved.B.value == 2
    assert made.TABLE == {made.Moved.B: 1}


class HookCaller:
    def __init__(self, name: str, _firstresult: bool) -> None:
        self.first, self._hookimpls = _firstresult, []  # type: list[Any]


class Manager:
    """As much of jaclang's plugin manager as dispatch relies on."""

    def __init__(self) -> None:
        self.hook = types.SimpleNamespace()

    def register(self, name: str, function: Any, argnames: tuple[str, ...] | None) -> None:
        implementation = types.SimpleNamespace(function=function, argnames=argnames)
        getattr(self.hook, name)._hookimpls.append(implementation)

    def unregister(self, name: str) -> None:
        getattr(self.hook, name)._hookimpls.pop()


class Interface:
    value = 5

    @staticmethod
    def pick(left: int, right: int = 2) -> Any: ...

    @staticmethod
    def gather(name: str) -> Any: ...

    @staticmethod
    async def later(n: int) -> Any: ...


PROXIES = """
from types import CoroutineType
PARAMETERS = {"pick": ("left", "right"), "gather": ("name",), "later": ("n",)}
def make(calls):
    def pick(left, right):
        for call in calls["pick"]:
            result = call(left, right)
            if result is not None:
                return result
    def gather(name):
        return [result for call in calls["gather"] if (result := call(name)) is not None]
    async def later(n):
        for call in calls["later"]:
            result = call(n)
            if result is not None:
                return await result if isinstance(result, CoroutineType) else result
    return {"pick": pick, "gather": gather, "later": later}
"""


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> tuple[Manager, Any]:
    made = module(PROXIES, "jaclang.jac0core.jacfn_proxies")
    core = types.ModuleType("jaclang.jac0core")
    core.jacfn_proxies = made  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "jaclang.jac0core", core)
    monkeypatch.setitem(sys.modules, "jaclang.jac0core.jacfn_proxies", made)
    manager = Manager()
    plugin = types.SimpleNamespace(HookCaller=HookCaller, _get_argnames=lambda function: ("slow",))
    _, _, proxy = dispatch.helpers(Interface, manager, plugin, {"gather"})
    return manager, proxy


def test_the_newest_answer_that_is_not_none_counts(hooks: tuple[Manager, Any]) -> None:
    manager, proxy = hooks
    manager.register("pick", lambda left, right: ("old", left, right), ("left", "right"))
    assert proxy.pick(1) == ("old", 1, 2)
    manager.register("pick", lambda right: None if right == 2 else ("new", right), ("right",))
    assert proxy.pick(1) == ("old", 1, 2)
    assert proxy.pick(1, right=3) == ("new", 3)
    manager.unregister("pick")
    assert proxy.pick(1, 3) == ("old", 1, 3)


def test_an_implementation_that_takes_everything_is_called_by_name(hooks: tuple[Manager, Any]) -> None:
    manager, proxy = hooks
    manager.register("pick", lambda **names: names, None)
    assert proxy.pick(1) == {"left": 1, "right": 2}


async def test_aggregating_and_async_hooks(hooks: tuple[Manager, Any]) -> None:
    manager, proxy = hooks

    async def double(n: int) -> int:
        return 2 * n

    manager.register("later", double, ("n",))
    manager.register("gather", lambda name: name, ("name",))
    manager.register("gather", lambda name: None, ("name",))
    assert await proxy.later(4) == 8
    assert proxy.gather("x") == ["x"]
    assert proxy.value == 5


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"x", lambda data: data[:10]])
def test_a_pack_that_was_cut_or_mixed_up_is_refused(change: Any) -> None:
    data = pack.write({"a": Packed(compile("x = 1", "a.py", "exec"), False, "src/a.py")})
    with pytest.raises((ValueError, EOFError)):
        Pack(change(data))
