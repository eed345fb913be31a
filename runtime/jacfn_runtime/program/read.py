"""Reads a program's catalog from the compiler's tree. No user code runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from jacfn_runtime.errors import ProgramError
from jacfn_runtime.program.catalog import Access, Catalog, Endpoint, Parameter
from jacfn_runtime.program.compiler import Compiled, compile_program
from jacfn_runtime.program.declarations import Declaration, Declarations, read_declarations
from jacfn_runtime.program.schema import Schemas

type Notice = Callable[[str], None]
"""Takes one sentence that the author should read once."""

_ACCESS: dict[str, Access] = {"pub": "pub", "protect": "protect", "priv": "priv"}


def read_catalog(entry: Path, notice: Notice | None = None) -> Catalog:
    """The catalog of the program whose entry file is `entry`; `notice` hears of older syntax.

    Raises ProgramError: no such file, an error of the compiler with file, line and a caret, or a program without endpoints.
    """
    return catalog_of(compile_program(entry, code=False), notice)


def catalog_of(compiled: Compiled, notice: Notice | None = None) -> Catalog:
    """The catalog of a compiled program. Raises ProgramError if it has no endpoints."""
    declarations = read_declarations(compiled)
    schemas = Schemas(declarations)
    endpoints = []
    for name in sorted(declarations.names(compiled.entry)):
        found = declarations.find(compiled.entry, name)
        if found is not None and _is_endpoint(found, name):
            endpoints.append(_endpoint(found, name, declarations, schemas))
    file = compiled.modules[compiled.entry].source.file
    if not endpoints:
        raise ProgramError(
            f"{file} has no endpoints", next_step="Declare a walker or a function (`def`) in it, or import one by name."
        )
    if notice is not None:
        _tell_rewrites(compiled, notice)
        for remark in compiled.remarks:
            notice(remark)
    endpoints.sort(key=lambda item: item.id)
    return Catalog(entry=file, endpoints=tuple(endpoints), definitions=dict(sorted(schemas.definitions.items())))


def _is_endpoint(found: Declaration, name: str) -> bool:
    """A leading underscore hides a walker or a function, as it does everywhere in Python; so does being abstract."""
    return found.kind in ("walker", "function") and not found.is_abstract and not name.startswith("_")


def _endpoint(found: Declaration, name: str, declarations: Declarations, schemas: Schemas) -> Endpoint:
    return Endpoint(
        kind="walker" if found.kind == "walker" else "function",
        name=name,
        access=_ACCESS.get(found.access, ""),
        parameters=tuple(
            Parameter(name=item.name, type=item.type, required=item.default is None, default=item.default)
            for item in declarations.fields(found)
        ),
        returns=found.returns,
        schema=schemas.of_body(found),
        is_async=found.is_async,
        doc=found.doc,
        module=found.module,
        file=found.file,
        line=found.line,
    )


def _tell_rewrites(compiled: Compiled, notice: Notice) -> None:
    sources = [source for module in compiled.modules.values() for source in (module.source, *module.source.annexes)]
    places = [(source.file, rewrite) for source in sources for rewrite in source.rewrites]
    if places:
        file, first = places[0]
        more = f" (and {len(places) - 1} more)" if len(places) > 1 else ""
        notice(f"{file}:{first.line}: older Jac syntax, read as today's{more}: `{first.old}` is now spelled `{first.new}`")
