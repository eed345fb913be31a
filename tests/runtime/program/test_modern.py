"""Older syntax: what is rewritten, what is left alone, and the hooks that catch the rest."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jacfn_runtime.program.modern import modernize

from .conftest import python

SETUP = """
import sys, jaclang
from jaclang.jac0core.runtime import plugin_manager
from jacfn_runtime.program import legacy
legacy.install_hook(plugin_manager)
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("can a with `root entry {}", "can a with Root  entry {}"),
        ("can a with root exit {}", "can a with Root exit {}"),
        ("can a with `root | Item entry {}", "can a with Root  | Item entry {}"),
        ("can a with Item | `root entry {}", "can a with Item | Root  entry {}"),
        ("impl w.a with\n    `root entry {}", "impl w.a with\n    Root  entry {}"),
    ],
)
def test_root_as_a_trigger_becomes_the_class(old: str, new: str) -> None:
    assert modernize(old)[0] == new


@pytest.mark.parametrize(
    "source",
    [
        "can a with Root entry { root ++> x; }",
        "with entry { root ++> x; }",
        "with entry:__main__ { x = root; }",
        'x = "with `root entry";',
        "# can a with `root entry",
        "#* can a with `root entry *#",
        'with open("root") as root { root.read(); }',
        "can a with root_like entry {}",
        "can a with my.root entry {}",
        "visit root; can a with Item entry {}",
    ],
)
def test_anything_else_stays_as_it_is(source: str) -> None:
    assert modernize(source) == (source, ())


def test_a_rewrite_names_its_line_and_both_spellings() -> None:
    _, rewrites = modernize("walker w {\n    can a with `root entry {}\n}")
    assert [(item.line, item.old, item.new) for item in rewrites] == [(2, "with `root entry", "with Root entry")]


@given(st.lists(st.sampled_from(["with ", "`root ", "root", " entry", "{", "}", "\n", '"', "'", "#", "*", "| Item", ";", "é"])))
def test_places_never_move(pieces: list[str]) -> None:
    source = "".join(pieces)
    modern, _ = modernize(source)
    assert [len(line) for line in modern.split("\n")] == [len(line) for line in source.split("\n")]
    assert modernize(modern) == (modern, ())


def jac(program: str, folder: Path, setup: str = SETUP) -> subprocess.CompletedProcess[str]:
    """What `jac run` does, with a plugin of ours."""
    code = f"{setup}\nfrom jaclang import JacRuntime as Jac\nJac.jac_import('main', {str(folder)!r})"
    (folder / "main.jac").write_text(program)
    return python("-c", code, JAC_DISABLED_PLUGINS="*")


def test_older_syntax_runs_under_plain_jaclang_by_the_hook(tmp_path: Path) -> None:
    done = jac("walker w { can a with `root entry { print('fired'); } }\nwith entry { root spawn w(); }", tmp_path)
    assert done.stdout.strip().endswith("fired"), done.stderr


def test_a_union_with_root_runs_under_plain_jaclang_and_is_told_once(tmp_path: Path) -> None:
    program = "node N {}\nwalker w { can a with `root | N entry { print('fired'); } }\nwith entry { root spawn w(); }"
    done = jac(program, tmp_path, SETUP + "legacy.rewrite_sources(lambda text: print(text, file=sys.stderr))")
    assert done.stdout.strip().endswith("fired"), done.stderr
    assert done.stderr.count("older Jac syntax") == 1
