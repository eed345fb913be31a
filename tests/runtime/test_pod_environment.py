"""The runtime works where only a function pod's dependencies are: no click, no kubernetes, nothing of the extras."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import jacfn_runtime

RUNTIME = Path(jacfn_runtime.__file__).parent


def closure(name: str) -> set[str]:
    """A distribution without extras, and everything that it needs."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        current = canonicalize_name(waiting.pop())
        if current in found:
            continue
        found.add(current)
        for line in distribution(current).requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found


@pytest.fixture(scope="module")
def pod_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with links to the installed files of a pod's dependencies and of nothing else."""
    site = tmp_path_factory.mktemp("site")
    # click is there because uvicorn's own command line wants it: nothing of ours may.
    for name in closure("jacfn") - {"jacfn", "click"}:
        for file in distribution(name).files or ():
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (site / top).exists():
                (site / top).symlink_to(Path(str(distribution(name).locate_file(top))))
    (site / "jacfn_runtime").symlink_to(RUNTIME)
    return site


def run(site: Path, code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(site)!r}); {code}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_every_module_that_a_pod_may_need_imports(pod_site: Path) -> None:
    modules = [
        ".".join(path.relative_to(RUNTIME.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted(RUNTIME.rglob("*.py"))
        if path.name != "__main__.py" and not {"identity", "local"} & set(path.parts)  # a pod imports neither
    ]
    assert "jacfn_runtime.http.serve" in modules
    # As serve.py imports them: with a stand-in for uvicorn's command line, the only one who wants click.
    code = "import importlib; from jacfn_runtime.http.lean import stand_ins; lean = stand_ins(); lean.__enter__(); "
    code += "; ".join(f"importlib.import_module({module!r})" for module in modules)
    result = run(pod_site, code)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("absent", ["click", "kubernetes", "rich", "beanie", "authlib", "argon2", "jacfn_cli", "jacfn_knative"])
def test_the_pod_has_no(absent: str, pod_site: Path) -> None:
    assert "ModuleNotFoundError" in run(pod_site, f"import {absent}").stderr
