"""Loading a bundle: what is refused, what runs when, and what Jac code can never reach."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jacfn_runtime.errors import BundleMismatch, ProgramError
from jacfn_runtime.program.bundle import build_bundle
from jacfn_runtime.program.load import load, read_code

from .conftest import python

LOADERS = pytest.mark.parametrize("loader", ["slim", "full"])
MAIN = """
import threading;
import from helper { note, notes }

node Item { has name: str; }
glob bodies: int = 0;
with entry { note("main"); root ++> Item(name="seed"); }
with entry:__main__ { note("__main__"); }

walker count { can go with Root entry { report len([-->]); } }
def seen() -> list[str] { return notes; }
def in_a_thread() -> str {
    found: list[str] = [];
    def look() -> None { try { found.append(str(root)); } except Exception as e { found.append(type(e).__name__); } }
    thread = threading.Thread(target=look);
    thread.start();
    thread.join();
    return found[0];
}
def in_a_flow() -> bool { mine = root; task = flow same(mine); return wait task; }
def same(mine: any) -> bool { return mine is root; }
"""
HELPER = 'glob notes: list[str] = [];\ndef note(text: str) -> None { notes.append(text); }\nwith entry { note("helper"); }\n'


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("load")
    (folder / "main.jac").write_text(MAIN)
    (folder / "helper.jac").write_text(HELPER)
    build_bundle(folder / "main.jac", folder / "bundle")
    return folder / "bundle"


@pytest.fixture
def changed(bundle: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the bundle whose manifest says something else."""

    def changed(**values: Any) -> Path:
        copy = tmp_path / "changed"
        shutil.copytree(bundle, copy)
        manifest = json.loads((copy / "manifest.json").read_text())
        (copy / "manifest.json").write_text(json.dumps({**manifest, **values}))
        return copy

    return changed


def run(bundle: Path, loader: str, code: str) -> Any:
    """Run code with `program` and a fresh scratch `context()` in a process of its own; it has to set `answer`."""
    done = python(
        "-c",
        "import json, sys\nfrom pathlib import Path\nfrom jacfn_runtime.program.load import load\n"
        "from jacfn_runtime.program.scratch import scratch_context\n"
        f"program = load(Path({str(bundle)!r}), {loader!r})\ncontext = lambda: scratch_context(program._runtime)\n"
        f"{code}\nprint(json.dumps(answer))",
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@LOADERS
def test_targets_are_the_programs_walkers_and_functions(bundle: Path, loader: str) -> None:
    code = "answer = [program.loader, program.hash, [program.target(e.id).__name__ for e in program.catalog.endpoints]]"
    used, digest, names = run(bundle, loader, code)
    assert used == loader
    assert len(digest) == 64
    assert names == ["in_a_flow", "in_a_thread", "note", "same", "seen", "count"]


@LOADERS
def test_importing_a_target_runs_bodies_once_and_writes_nowhere(bundle: Path, loader: str) -> None:
    code = """
seen = program.target("function/seen")
program.target("walker/count")
count = program.target("walker/count")
from jaclang.jac0core.runtime import JacRuntime
with context():
    walker = JacRuntime.spawn(count(), JacRuntime.root())
answer = [seen(), walker.reports]
"""
    assert run(bundle, loader, code) == [["helper", "main"], [0]]


@LOADERS
def test_run_entry_runs_every_body_afresh_in_the_callers_context(bundle: Path, loader: str) -> None:
    code = """
from jaclang.jac0core.runtime import JacRuntime
old = program.target("walker/count")
answer = []
for main in (False, True, False):
    with context():
        program.run_entry(main)
        walker = JacRuntime.spawn(program.target("walker/count")(), JacRuntime.root())
        answer.append([program.target("function/seen")(), walker.reports])
answer.append(program.target("walker/count") is old)
"""
    assert run(bundle, loader, code) == [
        [["helper", "main"], [1]],
        [["helper", "main", "__main__"], [1]],
        [["helper", "main"], [1]],
        False,
    ]


@LOADERS
def test_a_raising_entry_block_is_named_with_file_and_line_and_may_run_again(tmp_path: Path, loader: str) -> None:
    source = 'walker w {}\nimport os;\nwith entry {\n    if os.environ.get("FAIL") { raise ValueError("no seed"); }\n}\n'
    (tmp_path / "main.jac").write_text(source)
    build_bundle(tmp_path / "main.jac", tmp_path / "bundle")
    code = """
import os
os.environ["FAIL"] = "1"
try:
    with context():
        program.run_entry()
except Exception as error:
    answer = [type(error).__name__, error.what, error.evidence]
del os.environ["FAIL"]
with context():
    program.run_entry()
"""
    kind, what, evidence = run(tmp_path / "bundle", loader, code)
    assert (kind, what) == ("ProgramError", "main.jac does not import: ValueError: no seed")
    assert evidence.startswith("main.jac:4: ")


@LOADERS
def test_outside_a_request_there_is_no_root_to_fall_back_to(bundle: Path, loader: str) -> None:
    code = """
seen, thread, flow = (program.target("function/" + name) for name in ("seen", "in_a_thread", "in_a_flow"))
from jaclang.jac0core.runtime import JacRuntime
try:
    JacRuntime.root()
except RuntimeError as error:
    refused = type(error).__name__
with context():
    answer = [refused, thread(), flow()]
"""
    assert run(bundle, loader, code) == ["NoUnitOfWork", "NoUnitOfWork", True]


@LOADERS
def test_a_traceback_names_the_line_of_the_jac_file(bundle: Path, loader: str, tmp_path: Path) -> None:
    (tmp_path / "main.jac").write_text('"""Doc."""\ndef fail(x: int) -> int {\n    return 1 / x;\n}\n')
    build_bundle(tmp_path / "main.jac", tmp_path / "bundle")
    code = """
import traceback
try:
    program.target("function/fail")(0)
except ZeroDivisionError:
    answer = traceback.format_exc()
"""
    assert 'File "main.jac", line 3, in fail\n    return 1 / x;' in run(tmp_path / "bundle", loader, code)


@LOADERS
def test_loading_compiles_nothing_and_writes_nothing(bundle: Path, loader: str) -> None:
    code = """
compiled, written = [], []
def watch(event, arguments):
    if event == "compile" and arguments[0] is not None and b"walker" in bytes(str(arguments[0]), "utf8"):
        compiled.append(str(arguments[0])[:80])
    if event == "open" and arguments[1] and set(str(arguments[1])) & set("wax+"):
        written.append(str(arguments[0]))
sys.addaudithook(watch)
program.target("walker/count")
answer = [compiled, written]
"""
    assert run(bundle, loader, code) == [[], []]


def test_the_slim_loader_imports_no_compiler_and_nothing_heavy(bundle: Path) -> None:
    code = 'program.target("walker/count")\nanswer = sorted(sys.modules)'
    modules = set(run(bundle, "slim", code))
    heavy = {
        "jaclang.meta_importer",
        "sqlite3",
        "tomllib",
        "http.server",
        "importlib.metadata",
        "pickle",
        "tempfile",
        "subprocess",
    }
    assert modules & heavy == set()
    core = "archetype constant constructs jaclib jacfn_proxies modresolver osp_kernel osp_kernel_sv plugin runtime"
    library = "builtin runtime schema_rules serializer topo_utils typecache"
    allowed = {"jaclang.jac0core", "jaclang.runtimelib"}
    allowed |= {f"jaclang.jac0core.{name}" for name in core.split()} | {f"jaclang.runtimelib.{name}" for name in library.split()}
    assert {name for name in modules if name.startswith("jaclang.")} <= allowed


def test_code_may_come_in_parts_as_config_maps_bring_it(bundle: Path, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    shutil.copytree(bundle, parts)
    code = (parts / "code.bin").read_bytes()
    (parts / "code.bin").unlink()
    for number, start in enumerate(range(0, len(code), 50_000)):
        (parts / f"code.bin.{number}").write_bytes(code[start : start + 50_000])
    assert read_code(parts) == code
    assert run(parts, "slim", 'answer = program.target("function/seen").__name__') == "seen"


def test_a_bundle_for_another_interpreter_is_refused(changed: Callable[..., Path]) -> None:
    with pytest.raises(BundleMismatch, match=r"Python 3\.99"):
        load(changed(magic="00000000", python="3.99"))


def test_a_bundle_for_another_jaclang_is_refused(changed: Callable[..., Path]) -> None:
    with pytest.raises(BundleMismatch, match=r"jaclang 0\.15\.0"):
        load(changed(jaclang="0.15.0"))


def test_a_folder_without_a_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="no bundle"):
        load(tmp_path)


def test_damaged_code_is_refused(bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    (copy / "code.bin").write_bytes(b"\x00" * 100)
    with pytest.raises(BundleMismatch, match="damaged"):
        load(copy)


@pytest.mark.parametrize("loader", ["slim", "auto"])
def test_a_changed_byte_in_the_code_is_refused_before_any_of_it_runs(bundle: Path, tmp_path: Path, loader: Any) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    code = bytearray((copy / "code.bin").read_bytes())
    code[len(code) // 2] ^= 1
    (copy / "code.bin").write_bytes(code)
    told: list[str] = []
    with pytest.raises(BundleMismatch, match=r"code\.bin is damaged") as error:
        load(copy, loader, told.append)
    assert "SHA-256" in error.value.evidence
    assert told == []


@pytest.mark.parametrize("values", [{"files": {}}, {"hash": "0" * 64}, {"hash": ""}, {"slim": False}, {"dependencies": ["x"]}])
def test_a_manifest_that_was_edited_by_hand_is_refused(changed: Callable[..., Path], values: dict[str, Any]) -> None:
    with pytest.raises(BundleMismatch, match=r"manifest\.json is damaged"):
        load(changed(**values))


@pytest.mark.parametrize("text", ["", "null", "{", '{"hash": 1}', '{"x": ' + "[" * 100_000], ids=range(5))
def test_a_manifest_that_is_none_is_refused(bundle: Path, tmp_path: Path, text: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    (copy / "manifest.json").write_text(text)
    with pytest.raises(BundleMismatch, match="is no manifest"):
        load(copy)


def test_where_jaclang_is_imported_already_the_full_loader_is_used(bundle: Path) -> None:
    code = 'program.target("walker/count")\nanswer = [program.loader, load(Path(program._folder)).loader]'
    assert run(bundle, "full", code) == ["full", "full"]
