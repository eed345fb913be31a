"""The bundle: the immutable, content-addressed artefact of one program. The same input gives the same bytes.

manifest.json   catalog, content hash, versions, dependencies, files with their hashes
code.bin        compiled code of the program, of its dependencies and of the slice of jaclang that it runs on (pack.py)
src/            the program's sources and the files of `include`: for tracebacks, for people, for programs that read them
site/           pure-Python dependencies
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterable, Mapping
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Literal

import msgspec

from jacfn_runtime.errors import ProgramError
from jacfn_runtime.program import pack
from jacfn_runtime.program.catalog import Catalog
from jacfn_runtime.program.compiler import Compiled, compile_program
from jacfn_runtime.program.dependencies import (
    Carried,
    carry,
    installed_closure,
    installed_plugins,
    normalized,
    not_installed,
    runtime_distributions,
)
from jacfn_runtime.program.include import included
from jacfn_runtime.program.manifest import MANIFEST, Manifest
from jacfn_runtime.program.pack import Packed
from jacfn_runtime.program.project import Project, read_project
from jacfn_runtime.program.read import Notice, catalog_of
from jacfn_runtime.program.slice import jaclang_slice
from jacfn_runtime.program.verify import Verified, verify

LIMIT = 8 * 1024 * 1024
"""Bytes. Fast mode carries a bundle in ConfigMaps of 1 MiB each, and each of them costs etcd and every node a copy."""

Dependencies = Literal["carry", "leave"]


def build_bundle(
    entry: Path,
    output: Path,
    notice: Notice | None = None,
    *,
    dependencies: Dependencies = "carry",
    project: Project | None = None,
) -> Manifest:
    """Compile the program, write its bundle into the folder `output`, which is replaced, and run what it ships.

    `notice` hears what the author should read once. `dependencies`: "carry" puts the program's pure-Python dependencies into the
    bundle; "leave" only names them, for an image that holds them (--build) or an environment that has them (a laptop). `project`
    is what jac.toml says, read from beside the entry file unless it is given.

    Raises ProgramError: see `read_catalog`; a native dependency or more than 8 MiB in "carry" (both name --build); a dependency
    that is not declared; a program that does not import.
    """
    tell = notice or (lambda _: None)
    project = read_project(entry) if project is None else project
    extra = included(entry.absolute().parent, project.include, tell)
    compiled = compile_program(entry, code=True, include=[name for name in extra if name.endswith((".jac", ".py"))])
    catalog = catalog_of(compiled, tell)
    _refuse_taken_names(compiled)
    carried = carry(project.dependencies) if dependencies == "carry" else Carried()
    named = carried.names if dependencies == "carry" else project.dependencies
    plugins = carried.plugins() if dependencies == "carry" else installed_plugins(project.dependencies)
    _refuse_random_answers(compiled, plugins)
    modules = {**jaclang_slice(), **_site_modules(carried.files), **_own_modules(compiled)}
    files = {**_sources(compiled), **_extra_files(entry.absolute().parent, extra), **_below("site", carried.files)}
    _refuse_undeclared(compiled, modules, project)
    absent = [] if dependencies == "carry" else not_installed(project.dependencies)
    draft = _manifest(catalog, named, plugins)
    if absent:
        tell(f"not tried out, because {', '.join(absent)} of [dependencies] is not installed here")
        found = Verified(not plugins, "", ())
    else:
        found = _try_out(_complete(draft, files, pack.write(modules)))
    if plugins:
        tell(f"the full loader runs this program, for the sake of {', '.join(plugins)}: each start takes longer")
    elif not found.slim:
        tell(f"the slim loader does not run this program, so each start takes longer: {found.reason}")
    manifest = msgspec.structs.replace(draft, slim=found.slim and not plugins)
    complete = _complete(manifest, files, pack.write(modules, found.compiled))
    if dependencies == "carry":
        _refuse_large(complete)
    try:
        _write(output, complete)
    except OSError as error:
        raise ProgramError(
            f"The bundle cannot be written to {output}", evidence=str(error), next_step="Name another folder."
        ) from error
    return msgspec.json.decode(complete[MANIFEST], type=Manifest)


def _try_out(files: Mapping[str, bytes]) -> Verified:
    with tempfile.TemporaryDirectory(prefix="jacfn-bundle-") as scratch:
        draft = Path(scratch) / "bundle"
        _write(draft, files)
        return verify(draft)


def _manifest(catalog: Catalog, dependencies: Iterable[str], plugins: tuple[str, ...]) -> Manifest:
    """The manifest without files and hash."""
    return Manifest(
        catalog=catalog,
        hash="",
        jacfn=metadata.version("jacfn"),
        jaclang=metadata.version("jaclang"),
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        magic=importlib.util.MAGIC_NUMBER.hex(),
        plugins=plugins,
        dependencies=tuple(dependencies),
        files={},
    )


def _complete(draft: Manifest, files: Mapping[str, bytes], code: bytes) -> dict[str, bytes]:
    """All files of the bundle, the manifest with their hashes and its own included."""
    content = {**files, "code.bin": code}
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(content.items())}
    named = msgspec.structs.replace(draft, files=digests)
    manifest = msgspec.structs.replace(named, hash=hashlib.sha256(named.to_json()).hexdigest())
    return {**content, MANIFEST: manifest.to_json()}


def _own_modules(compiled: Compiled) -> dict[str, Packed]:
    return {
        name: Packed(module.code, module.source.is_package, f"src/{module.source.file}")
        for name, module in compiled.modules.items()
    }


def _site_modules(files: Mapping[str, bytes]) -> dict[str, Packed]:
    """Code of the dependencies' Python files. One that does not compile, such as a template, is only a file."""
    packed: dict[str, Packed] = {}
    for file, data in files.items():
        path = PurePosixPath(file)
        is_package = path.name == "__init__.py"
        parts = (*path.parent.parts, *(() if is_package else (path.stem,)))
        if path.suffix != ".py" or not all(part.isidentifier() for part in parts):
            continue
        try:
            packed[".".join(parts)] = Packed(
                compile(data, file, "exec", dont_inherit=True, optimize=0), is_package, f"site/{file}"
            )
        except (SyntaxError, ValueError):
            continue
    for name in list(packed):
        for end in range(1, name.count(".") + 1):
            parent = ".".join(name.split(".")[:end])
            packed.setdefault(parent, Packed(None, True, f"site/{parent.replace('.', '/')}"))
    return packed


def _sources(compiled: Compiled) -> dict[str, bytes]:
    sources = [source for module in compiled.modules.values() for source in (module.source, *module.source.annexes)]
    return {f"src/{source.file}": source.original.encode() for source in sources if source.text is not None}


def _extra_files(root: Path, names: Iterable[str]) -> dict[str, bytes]:
    return {f"src/{name}": (root / name).read_bytes() for name in names}


def _below(folder: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{name}": data for name, data in files.items()}


def _refuse_taken_names(compiled: Compiled) -> None:
    """A module of the program that is named like one of the runtime's would take its place."""
    runtime = runtime_distributions()
    owners = metadata.packages_distributions()
    taken = {name for name, owned_by in owners.items() if any(normalized(item) in runtime for item in owned_by)}
    for name, module in compiled.modules.items():
        if "." not in name and name in (sys.stdlib_module_names | taken):
            raise ProgramError(
                f"{module.source.file} is named like the module `{name}` that every function service needs",
                next_step="Rename the file.",
            )


def _refuse_undeclared(compiled: Compiled, modules: Collection[str], project: Project) -> None:
    """A module that is installed on this machine and that no pod would have."""
    owners = metadata.packages_distributions()
    provided = {*runtime_distributions(), *installed_closure(project.dependencies)}
    for module in compiled.modules.values():
        for name in sorted(module.source.needs - set(modules)):
            owned_by = {normalized(owner) for owner in owners.get(name, ())}
            if owned_by and not owned_by & provided:
                raise ProgramError(
                    f"{module.source.file} imports {name}, which a pod does not have",
                    evidence=f"installed here by {', '.join(sorted(owned_by))}",
                    next_step="Add it to [dependencies] in jac.toml.",
                )


def _refuse_random_answers(compiled: Compiled, plugins: Collection[str]) -> None:
    """Without a plugin that brings a model, jaclang answers `by llm` with random values of the right type."""
    if compiled.models and not plugins:
        raise ProgramError(
            f"{', '.join(compiled.models)} calls a language model (`by llm`), and no dependency brings one",
            next_step="Add a plugin of jaclang that does, such as byllm, to [dependencies] in jac.toml.",
        )


def _refuse_large(files: Mapping[str, bytes]) -> None:
    size = sum(map(len, files.values()))
    if size > LIMIT:
        largest = sorted(files.items(), key=lambda item: -len(item[1]))[:5]
        raise ProgramError(
            f"The bundle has {size / 2**20:.1f} MiB; at most {LIMIT // 2**20} MiB fit beside the runtime image",
            evidence="\n".join(f"{len(data):10}  {name}" for name, data in largest),
            next_step="Leave files out of `include`, or deploy with --build, which makes an image of the app's own.",
        )


def _write(output: Path, files: Mapping[str, bytes]) -> None:
    """Replace the folder at once: a reader sees the old bundle or the new one."""
    output = output.absolute()
    output.parent.mkdir(parents=True, exist_ok=True)
    if output.exists() and not (output / MANIFEST).is_file() and (not output.is_dir() or any(output.iterdir())):
        raise ProgramError(f"{output} exists and is no bundle", next_step="Name another folder.")
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as scratch:
        fresh = Path(scratch) / "fresh"
        for name, data in files.items():
            path = fresh / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        if output.exists():
            shutil.move(output, Path(scratch) / "old")
        shutil.move(fresh, output)
