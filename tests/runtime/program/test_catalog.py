"""The catalog is read from the compiler's tree; no user code runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from jacfn_runtime.errors import ProgramError
from jacfn_runtime.program.catalog import Catalog
from jacfn_runtime.program.read import read_catalog

from .conftest import Write


def test_the_documents_own_example_has_its_four_endpoints(shop: Path) -> None:
    catalog = read_catalog(shop)
    assert [(item.id, item.access) for item in catalog.endpoints] == [
        ("function/admin_action", "protect"),
        ("function/calculate_total", ""),
        ("walker/create_item", ""),
        ("walker/get_items", "pub"),
    ]


def test_a_catalog_survives_json(shop: Path) -> None:
    catalog = read_catalog(shop)
    assert Catalog.from_json(catalog.to_json()) == catalog


def test_fields_have_types_and_defaults_as_the_author_spells_them(write: Write) -> None:
    entry = write('walker w { has a: list[ str ]; has b: dict[str, int] = {"é": 1}; has c: int | None = None; }')
    fields = read_catalog(entry)["walker/w"].parameters
    assert [(item.name, item.type, item.required, item.default) for item in fields] == [
        ("a", "list[ str ]", True, None),
        ("b", "dict[str, int]", False, '{"é": 1}'),
        ("c", "int | None", False, "None"),
    ]


def test_docstring_async_line_and_return_type(write: Write) -> None:
    entry = write('glob x = 1;\n\n"""Adds."""\nasync def add(a: int, b: int = 2) -> int { return a + b; }\n')
    endpoint = read_catalog(entry)["function/add"]
    assert (endpoint.doc, endpoint.is_async, endpoint.line, endpoint.returns, endpoint.file) == (
        "Adds.",
        True,
        4,
        "int",
        "main.jac",
    )


def test_endpoints_come_from_what_is_imported_by_name(write: Write) -> None:
    entry = write(
        "import from util { util_walker, helper as renamed }\nimport util;\nimport from math { sqrt }\n",
        {"util.jac": "walker util_walker { has n: int = 3; }\ndef helper(x: int) -> int { return x; }\ndef unseen() {}\n"},
    )
    catalog = read_catalog(entry)
    assert [(item.id, item.module, item.file) for item in catalog.endpoints] == [
        ("function/renamed", "util", "util.jac"),
        ("walker/util_walker", "util", "util.jac"),
    ]


def test_helpers_of_the_compiler_private_names_and_methods_do_not_show(write: Write) -> None:
    entry = write(
        "node N { def method() -> int { return 1; } }\ndef _hidden() {}\nwalker _also {}\n"
        "walker w { can go with Root entry { here ++> N(); report [-->]; } }\n"
    )
    assert [item.id for item in read_catalog(entry).endpoints] == ["walker/w"]


def test_inherited_fields_come_first_and_postinit_and_static_ones_are_no_parameters(write: Write) -> None:
    entry = write(
        "import from base { parent }\n"
        "walker child(parent) { has extra: int = 1; has later: int by postinit; static has shared: int = 2; "
        "def postinit { self.later = 1; } }\n",
        {"base.jac": "walker parent { has first: str; }"},
    )
    assert [item.name for item in read_catalog(entry)["walker/child"].parameters] == ["first", "extra"]


def test_schemas_follow_the_declared_types(write: Write) -> None:
    entry = write(
        'enum Color { RED = "red", GREEN = "green" }\nenum Count { ONE, TWO }\n'
        "obj Point { has x: float; has next: Point | None = None; }\n"
        "walker w { has p: list[Point]; has c: Color = Color.RED; has n: Count; has t: tuple[int, str]; has any_: any; }\n"
    )
    catalog = read_catalog(entry)
    properties = catalog["walker/w"].schema["properties"]
    assert properties["p"] == {"type": "array", "items": {"$ref": "#/components/schemas/Point"}}
    assert properties["c"] == {"$ref": "#/components/schemas/Color"}
    assert properties["t"]["prefixItems"] == [{"type": "integer"}, {"type": "string"}]
    assert properties["any_"] == {}
    assert catalog.definitions["Color"] == {"enum": ["red", "green"]}
    assert catalog.definitions["Count"] == {"enum": [1, 2]}
    assert catalog.definitions["Point"]["properties"]["next"] == {
        "anyOf": [{"$ref": "#/components/schemas/Point"}, {"type": "null"}]
    }
    assert catalog.definitions["Point"]["required"] == ["x"]


def test_a_syntax_error_names_file_line_and_place(write: Write) -> None:
    entry = write("walker w {\n    has a: int\n    can go with `root entry { report 1; }\n}\n")
    with pytest.raises(ProgramError) as error:
        read_catalog(entry)
    assert "main.jac" in error.value.what
    place, line, caret = error.value.evidence.splitlines()[:3]
    assert place.startswith("main.jac:3:")
    assert "`root" in line  # the author's own spelling, not the modern one
    assert caret.strip() == "^"


@pytest.mark.parametrize(
    ("main", "message"),
    [("glob x = 1;", "has no endpoints"), ("walker w { can x with Root entry { report (; } }", "does not compile")],
)
def test_a_program_that_cannot_be_served_is_refused(write: Write, main: str, message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        read_catalog(write(main))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match=r"nowhere\.jac"):
        read_catalog(tmp_path / "nowhere.jac")


def test_older_syntax_is_told_once_with_the_modern_spelling(shop: Path) -> None:
    told: list[str] = []
    read_catalog(shop, told.append)
    assert len(told) == 1
    assert "main.jac:8" in told[0]
    assert "with Root entry" in told[0]
