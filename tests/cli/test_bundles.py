"""A bundle is built when something changed, and reused when nothing did."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from jacfn_cli import bundles
from jacfn_cli.bundles import project_bundle
from jacfn_cli.printer import Printer
from jacfn_cli.settings import read_settings
from jacfn_runtime.program import bundle as building


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The programs that were really compiled."""
    seen: list[Path] = []
    real = building.build_bundle

    def counted(entry: Path, *rest: Any, **more: Any) -> object:
        seen.append(entry)
        return real(entry, *rest, **more)

    monkeypatch.setattr(building, "build_bundle", counted)
    return seen


def build(entry: Path) -> tuple[Path, str]:
    folder, manifest = project_bundle(entry, read_settings(entry.parent, {}), Printer(), "leave")
    return folder, manifest.hash


def test_an_unchanged_program_is_not_built_again_and_a_changed_one_is(shop: Path, tmp_path: Path, builds: list[Path]) -> None:
    entry = shutil.copy(shop, tmp_path / "main.jac")
    first = build(entry)
    assert build(entry) == first
    assert len(builds) == 1
    entry.write_text(entry.read_text() + "\ndef : pub more() -> int { return 1; }\n")
    assert build(entry) != first
    (tmp_path / "main.impl.jac").write_text("# an annex that appears counts too\n")
    build(entry)
    assert len(builds) == 3


def test_what_jac_toml_says_of_dependencies_and_included_files_counts(tmp_path: Path, shop: Path, builds: list[Path]) -> None:
    (tmp_path / "src").mkdir()
    entry = Path(shutil.copy(shop, tmp_path / "src" / "main.jac"))
    (tmp_path / "src" / "menu.txt").write_text("tea")
    (tmp_path / "jac.toml").write_text("")
    without, _ = build(entry)
    (tmp_path / "jac.toml").write_text('[plugins.scale.knative]\ninclude = ["*.txt"]\n')
    with_menu, _ = build(entry)
    assert len(builds) == 2
    assert not list(without.rglob("menu.txt"))
    assert [file.read_text() for file in with_menu.rglob("menu.txt")] == ["tea"]


def test_what_the_program_stores_does_not_count_as_a_change(shop: Path, tmp_path: Path, builds: list[Path]) -> None:
    entry = shutil.copy(shop, tmp_path / "main.jac")
    build(entry)
    (tmp_path / ".jac" / "data").mkdir()
    (tmp_path / ".jac" / "data" / "anchor_store.db").write_bytes(b"x")
    build(entry)
    assert len(builds) == 1


def test_a_bundle_that_is_gone_is_built_again(shop: Path, tmp_path: Path, builds: list[Path]) -> None:
    entry = shutil.copy(shop, tmp_path / "main.jac")
    folder, digest = build(entry)
    shutil.rmtree(folder)
    assert build(entry) == (folder, digest)
    assert len(builds) == 2


def test_git_ignores_what_jacfn_keeps_in_the_project(shop: Path, tmp_path: Path) -> None:
    build(shutil.copy(shop, tmp_path / "main.jac"))
    assert (tmp_path / ".jac" / ".gitignore").read_text() == "*\n"


def test_only_the_last_bundles_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "KEPT", 2)
    entry = tmp_path / "main.jac"
    for number in range(3):
        entry.write_text(f"def : pub f() -> int {{ return {number}; }}\n")
        last, _ = build(entry)
    kept = [path for path in last.parent.iterdir() if path.is_dir()]
    assert len(kept) == 2
    assert last in kept
