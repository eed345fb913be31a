"""Runs what a bundle ships before it ships: every endpoint is imported and its schema built, under both loaders, with one result.

`verify` starts a process for each loader; the module itself is what they run.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jacfn_runtime.errors import ProgramError

_SECONDS = 120  # a program whose modules take longer than this to import would never wake in time
# What a function service imports after the program: the code that `dataclasses` writes for it travels in the bundle as well.
_SERVING = ("jacfn_runtime.memory.sqlite", "jacfn_runtime.memory.adapter.attempt", "jacfn_runtime.memory.adapter.hooks")
_MARK = "jacfn-verified:"


@dataclass(frozen=True, slots=True)
class Verified:
    """What a verification found. `slim`: whether the slim loader runs the program; if not, `reason` says why."""

    slim: bool
    reason: str
    compiled: tuple[str, ...]
    """Sources that `dataclasses` compiles while the program is loaded: their code can travel in the bundle."""


def verify(folder: Path) -> Verified:
    """Import every endpoint of the bundle in `folder` under both loaders. Raises ProgramError if the program does not import."""
    runs = [_start(folder, loader) for loader in ("full", "slim")]
    try:
        full, slim = map(_finish, runs)
    finally:
        for process in runs:
            _end(process)
    if "error" in full:
        raise ProgramError(full["error"], evidence=full["evidence"], next_step=full["next_step"])
    if "error" in slim:
        return Verified(False, slim["error"], ())
    if slim["endpoints"] != full["endpoints"]:
        names = sorted(key for key in full["endpoints"] if slim["endpoints"].get(key) != full["endpoints"][key])
        return Verified(False, f"both loaders differ on {', '.join(names)}", ())
    return Verified(True, "", tuple(slim["compiled"]))


def _start(folder: Path, loader: str) -> subprocess.Popen[str]:
    # -P: a file of the project that is named like a library must not take its place.
    command = [sys.executable, "-P", "-m", __name__, str(folder), loader]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)


def _finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    try:
        output, errors = process.communicate(timeout=_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise ProgramError(
            f"The program's modules did not import within {_SECONDS} s", next_step="Is a module's body waiting for something?"
        ) from error
    answers = [line.removeprefix(_MARK) for line in output.splitlines() if line.startswith(_MARK)]
    if not answers:
        raise ProgramError(
            "The program ended its process while it was imported",
            evidence="\n".join(errors.splitlines()[-5:]),
            next_step="A module's body must not exit: move what does into a function.",
        )
    answer: dict[str, Any] = json.loads(answers[-1])
    return answer


def _end(process: subprocess.Popen[str]) -> None:
    """Nothing of a trial outlives it, however the other one went."""
    if process.poll() is None:
        process.kill()
        process.communicate()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def main(folder: str, loader: str) -> None:
    """What the child process runs: one line of JSON on stdout."""
    import dataclasses

    from jacfn_runtime.program.load import load

    compiled: list[str] = []
    plain_exec = exec

    def recording_exec(source: Any, *namespaces: Any) -> None:
        compiled.append(source)
        plain_exec(source, *namespaces)

    dataclasses.exec = recording_exec  # type: ignore[attr-defined]  # found before the builtin
    try:
        program = load(Path(folder), loader)  # type: ignore[arg-type]
        endpoints = {item.id: _facts(program.target(item.id), item) for item in program.catalog.endpoints}
        for name in _SERVING:
            importlib.import_module(name)
    except ProgramError as error:
        answer: dict[str, Any] = {"error": error.what, "evidence": error.evidence, "next_step": error.next_step}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}", "evidence": "", "next_step": ""}
    else:
        answer = {
            "endpoints": endpoints,
            "compiled": sorted({source for source in compiled if isinstance(source, str)}),
        }
    sys.stdout.write(f"\n{_MARK}{json.dumps(answer)}\n")


def _facts(target: Any, endpoint: Any) -> dict[str, Any]:
    """What has to be the same under every loader: what the endpoint takes, in which types, and whether it is async."""
    import inspect

    import msgspec

    from jacfn_runtime.program.arguments import arguments_type

    if not callable(target):
        raise ProgramError(
            f"{endpoint.id} cannot be called: the program makes it a {type(target).__name__}",
            next_step="Let its decorator answer a function.",
        )
    parameters = {name: item for name, item in inspect.signature(target).parameters.items() if name != "self"}
    positional = [name for name, item in parameters.items() if item.kind is item.POSITIONAL_ONLY and item.default is item.empty]
    if positional:
        raise ProgramError(
            f"{endpoint.id} takes {', '.join(positional)} by position only, and a request has only names",
            next_step="Take away the `/` from its parameters.",
        )
    takes_all = any(item.kind is inspect.Parameter.VAR_KEYWORD for item in parameters.values())
    declared = {item.name for item in endpoint.parameters}
    if not takes_all and not declared <= parameters.keys():
        raise ProgramError(
            f"{endpoint.id} is declared with {', '.join(sorted(declared))} and takes {', '.join(parameters) or 'nothing'}",
            next_step="Does a decorator change what it takes? Let its function take `**kwargs`, or what is declared.",
        )
    kind = arguments_type(target, endpoint)
    fields = {field.name: [str(field.type), field.required] for field in msgspec.structs.fields(kind)}
    is_async = bool(getattr(target, "__jac_async__", False)) or inspect.iscoroutinefunction(target)
    return {"fields": fields, "async": is_async, "module": target.__module__}


if __name__ == "__main__":
    main(*sys.argv[1:])
