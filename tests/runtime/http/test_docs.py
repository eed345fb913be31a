"""/openapi.json says what is there, no more and no less; /docs shows it without help from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from jacfn_runtime.http import docs, openapi
from jacfn_runtime.http.app import make_app
from jacfn_runtime.memory.graph import Graph
from jacfn_runtime.program.manifest import read_manifest
from jacfn_runtime.settings import Settings
from services import SECRET, Service, Start

OPERATIONAL = {"/healthz/live", "/healthz/ready", "/metrics", "/openapi.json", "/docs", "/"}


def document(service: Service) -> dict[str, Any]:
    answer = service.http.get("/openapi.json")
    assert answer.status_code == 200
    parsed: dict[str, Any] = answer.json()
    return parsed


def routes(nodes: Any) -> set[str]:
    """Every URI template of a Falcon router."""
    found = set()
    for node in nodes:
        if node.resource is not None:
            found.add(node.uri_template)
        found |= routes(node.children)
    return found


def test_the_document_is_valid_openapi(everything: Service) -> None:
    OpenAPIV31SpecValidator(document(everything)).validate()


@pytest.mark.parametrize("serve", ["all", "gateway"])
def test_document_routing_table_and_catalog_agree(bundle: Path, tmp_path: Path, serve: str) -> None:
    settings = Settings(bundle=bundle, serve=(serve,), jwt_secret=SECRET, shelf_db_path=tmp_path / "store.db")
    manifest = read_manifest(bundle)
    graph = Graph.open(settings)
    if serve == "all":
        endpoints = {f"/{endpoint.id}" for endpoint in manifest.catalog.endpoints}
    else:
        app = make_app(settings, manifest, graph)
        table = routes(app._router._roots) - OPERATIONAL
        from jacfn_runtime.http.openapi_identity import PATHS

        paths = set(openapi.document("app", "1", manifest.catalog, manifest.catalog.endpoints, PATHS)["paths"])
        assert table == paths
        endpoints = {path for path in table if path.startswith(("/walker/", "/function/")) and "{" not in path}
    assert endpoints == {f"/{endpoint.id}" for endpoint in manifest.catalog.endpoints}


def test_every_path_of_the_document_answers_its_method_and_no_other(everything: Service) -> None:
    for path, item in document(everything)["paths"].items():
        url = path.replace("{node}", "0" * 32).replace("{platform}", "nowhere")
        methods = {name.upper() for name in item if name in ("get", "post", "put", "delete")}
        allowed = {name.strip() for name in everything.http.request("PATCH", url).headers["allow"].split(",")}
        assert allowed - {"OPTIONS", "HEAD"} == methods, path


def test_public_endpoints_are_open_and_the_others_need_a_bearer_token(everything: Service) -> None:
    paths = document(everything)["paths"]
    assert paths["/walker/echo"]["post"]["security"] == [{}, {"bearer": []}]
    assert paths["/function/secret"]["post"]["security"] == [{"bearer": []}]


def test_a_body_without_required_fields_may_be_left_out(everything: Service) -> None:
    paths = document(everything)["paths"]
    assert paths["/walker/echo"]["post"]["requestBody"]["required"] is False
    assert paths["/walker/write_note"]["post"]["requestBody"]["required"] is True


def test_a_function_service_documents_its_own_endpoint_only(start: Start) -> None:
    with start("walker/echo") as service:
        OpenAPIV31SpecValidator(document(service)).validate()
        assert set(document(service)["paths"]) == {"/walker/echo", "/walker/echo/{node}"}
        assert service.http.get("/docs").status_code == 200


def test_who_has_the_document_already_gets_304(everything: Service) -> None:
    etag = everything.http.get("/openapi.json").headers["etag"]
    answer = everything.http.get("/openapi.json", headers={"If-None-Match": etag})
    assert (answer.status_code, answer.content) == (304, b"")


def test_the_page_loads_from_this_server_only_and_every_file_is_there(everything: Service) -> None:
    page = everything.http.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "//" not in re.sub(r"<!--.*?-->", "", page.text)
    for link in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        if not link.startswith("data:"):
            assert everything.http.get(f"/{link}").status_code == 200, link


def test_the_page_has_no_script_that_its_policy_would_refuse(everything: Service) -> None:
    page = everything.http.get("/docs")
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert not re.search(r"<script(?![^>]*src=)[^>]*>|\son\w+=", page.text)


@pytest.mark.parametrize(
    "path", ["/docs/../app.py", "/docs/..%2fapp.py", "/docs/%2e%2e/app.py", "/docs//etc/passwd", "/docs/nope.js"]
)
def test_nothing_else_can_be_fetched_under_docs(everything: Service, path: str) -> None:
    assert everything.http.get(path).status_code in (400, 404)


def test_the_vendored_files_carry_their_licence() -> None:
    assert "Apache License" in (docs.FILES / "LICENSE").read_text()
