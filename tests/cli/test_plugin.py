"""jacfn in jaclang's own `jac`: our commands are handed over, everything else stays as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

JAC = Path(sys.executable).with_name("jac")
SHOP = Path(__file__).parents[2] / "examples" / "shop" / "main.jac"


def jac(*arguments: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    # The full loader sets JAC_* in the process that it runs in, and a test before this one may have been that process.
    shell = {name: value for name, value in os.environ.items() if not name.startswith("JAC_")}
    return subprocess.run(
        [JAC, *arguments], cwd=folder, env={**shell, **env}, capture_output=True, text=True, timeout=60, check=False
    )


def test_jac_start_is_ours_and_speaks_of_jac(tmp_path: Path) -> None:
    done = jac("start", "--nonsense", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: jac start [OPTIONS] [FILE]\nTry 'jac start --help' for help.\n")


def test_jac_start_faux_prints_the_endpoints_of_the_documents_program() -> None:
    done = jac("start", str(SHOP), "--faux", folder=SHOP.parent)
    assert done.returncode == 0
    assert done.stdout == (
        "ENDPOINT                        ACCESS  PARAMETERS               SOURCE\n"
        "POST /function/admin_action     login   -                        main.jac:24\n"
        "POST /function/calculate_total  login   items: list[float]       main.jac:28\n"
        "POST /walker/create_item        login   name: str, price: float  main.jac:13\n"
        "POST /walker/get_items          public  -                        main.jac:7\n"
    )


def test_jac_run_runs_a_program_in_older_syntax(tmp_path: Path) -> None:
    (tmp_path / "old.jac").write_text(
        "walker w { can go with `root entry { print('walked'); } can also with root entry { print('twice'); } }\n"
        "with entry { root spawn w(); }\n"
    )
    done = jac("run", "old.jac", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, "walked\ntwice\n")


@pytest.mark.parametrize("arguments", [["start", "--dev", "--nonsense"], ["start", "--no_client", "--nonsense"]])
def test_jac_start_with_an_option_of_jaclangs_own_server_stays_jaclangs(arguments: list[str], tmp_path: Path) -> None:
    done = jac(*arguments, folder=tmp_path)
    assert "unrecognized arguments: --nonsense" in done.stderr


def test_a_person_may_switch_the_plugin_off(tmp_path: Path) -> None:
    done = jac("start", "--nonsense", folder=tmp_path, JAC_DISABLED_PLUGINS="jacfn:*")
    assert "unrecognized arguments: --nonsense" in done.stderr


def test_without_the_command_lines_packages_the_missing_one_is_named() -> None:
    code = (
        "import sys; sys.modules['click'] = None; sys.argv = ['jac', 'start']\n"
        "from jacfn_cli.plugin import JacfnPlugin; JacfnPlugin.create_cmd()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (1, "Error: `jac start` needs the package click: pip install 'jacfn[cli]'\n")


def test_importing_the_plugin_imports_nothing_of_ours_or_heavy() -> None:
    code = (
        "import sys; import jacfn_cli.plugin; print([m for m in sys.modules if '.' in m or m in ('click', 'msgspec', 'jaclang')])"
    )
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True).stdout
    for name in ("click", "msgspec", "jaclang", "jacfn_runtime"):
        assert f"'{name}'" not in modules
        assert f"'{name}." not in modules
