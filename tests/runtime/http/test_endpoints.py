"""Walkers and functions over HTTP: who may call, what comes back, and how every refusal looks."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import jwt
import pytest

from services import SECRET, Service, Start


def error(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of an error, after a look at the whole envelope."""
    body = answer.json()
    assert (body["ok"], body["type"], body["data"]) == (False, "error", None)
    assert body["meta"]["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, body["error"]["code"]


def data(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["ok"], body["type"], body["error"]) == (True, "response", None)
    assert body["meta"]["request_id"] == answer.headers["x-request-id"]
    return body["data"]


def test_a_walker_answers_its_reports(everything: Service) -> None:
    assert data(everything.http.post("/walker/echo", json={"text": "ho", "tags": ["a"]}))["reports"] == ["ho", ["a"]]


def test_a_function_answers_its_result(everything: Service) -> None:
    assert data(everything.http.post("/function/total", json={"items": [1, 2.5], "factor": 2})) == {"result": 7.0, "reports": []}


def test_objects_of_the_program_are_built_from_json(everything: Service) -> None:
    assert data(everything.http.post("/function/distance", json={"a": {"x": 3}, "b": {"x": 0, "y": 4}}))["result"] == 5.0


def test_defaults_apply_to_what_was_not_sent(everything: Service) -> None:
    assert data(everything.http.post("/walker/echo"))["reports"] == ["hi", []]


@pytest.mark.parametrize("content", [b"", b"{}", b" {} "])
def test_an_empty_body_equals_an_empty_object(everything: Service, content: bytes) -> None:
    assert data(everything.http.post("/walker/echo", content=content))["reports"] == ["hi", []]


def test_a_walker_without_abilities_answers_no_reports(everything: Service) -> None:
    assert data(everything.http.post("/walker/empty"))["reports"] == []


def test_a_trailing_slash_changes_nothing(everything: Service) -> None:
    assert data(everything.http.post("/walker/echo/"))["reports"] == ["hi", []]


def test_a_walker_starts_at_the_node_in_the_url(everything: Service, token: str) -> None:
    mine = {"Authorization": f"Bearer {token}"}
    note = data(everything.http.post("/walker/write_note", json={"text": "milk"}, headers=mine))["reports"][0]
    assert data(everything.http.post(f"/walker/read_note/{note['_jac_id']}", headers=mine))["reports"] == ["milk"]


def test_anothers_node_an_unknown_node_and_no_node_look_alike(everything: Service, token: str) -> None:
    mine = {"Authorization": f"Bearer {token}"}
    note = data(everything.http.post("/walker/write_note", json={"text": "milk"}, headers=mine))["reports"][0]
    answers = [everything.http.post(f"/walker/read_note/{node}") for node in (note["_jac_id"], "0" * 31 + "7", "nonsense", "%00")]
    assert {error(answer) for answer in answers} == {(404, "NOT_FOUND")}
    assert len({json.dumps(answer.json()["error"]) for answer in answers}) == 1


def test_what_a_program_prints_comes_out_at_once(everything: Service) -> None:
    data(everything.http.post("/function/say", json={"text": "printed right now"}))
    assert "printed right now" in everything.log


# --- who calls


def test_without_a_token_only_public_endpoints_answer(everything: Service) -> None:
    refused = everything.http.post("/function/secret")
    assert error(refused) == (401, "UNAUTHORIZED")
    assert refused.headers["www-authenticate"] == 'Bearer realm="testing"'


def test_with_a_token_the_others_answer_too(everything: Service, token: str) -> None:
    assert data(everything.http.post("/function/secret", headers={"Authorization": f"bearer {token}"}))["result"] == "kept"


@pytest.mark.parametrize("path", ["/function/secret", "/walker/echo"])
@pytest.mark.parametrize("sent", ["Bearer nonsense", "Bearer", "Basic dTpw", "", "Bearer a b", "Bearer " + "x" * 5000])
def test_a_token_that_is_sent_must_be_good(everything: Service, path: str, sent: str) -> None:
    assert error(everything.http.post(path, headers={"Authorization": sent})) == (401, "UNAUTHORIZED")


def test_a_token_of_another_kind_or_signature_is_refused(everything: Service, token: str) -> None:
    header, claims = jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})
    forged = [
        jwt.encode(claims, "f" * 64, headers=header),
        jwt.encode(claims, SECRET, headers=header | {"typ": "rt+jwt"}),
        jwt.encode(claims | {"aud": "another"}, SECRET, headers=header),
        jwt.encode(claims | {"exp": 1}, SECRET, headers=header),
        jwt.encode(claims | {"root": "0" * 32}, SECRET, headers=header),
    ]
    for bad in forged:
        refused = everything.http.post("/walker/echo", headers={"Authorization": f"Bearer {bad}"})
        assert error(refused) == (401, "UNAUTHORIZED")
        assert 'error="invalid_token"' in refused.headers["www-authenticate"]


def test_who_calls_is_settled_before_the_arguments(everything: Service) -> None:
    assert error(everything.http.post("/function/secret", content=b"no json")) == (401, "UNAUTHORIZED")


# --- what is sent


def test_malformed_json_is_400(everything: Service) -> None:
    assert error(everything.http.post("/walker/echo", content=b'{"text": ')) == (400, "BAD_REQUEST")


def test_arguments_that_do_not_fit_are_422_with_the_path_of_each(everything: Service) -> None:
    answer = everything.http.post("/function/distance", json={"a": {"x": "far", "z": 1}, "b": {}, "c": 1})
    assert error(answer) == (422, "INVALID_ARGUMENTS")
    paths = {detail["path"] for detail in answer.json()["error"]["details"]}
    assert {"body.b", "body.c"} <= paths
    assert any(path.startswith("body.a") for path in paths)


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", "x"]
)
def test_another_media_type_is_415(everything: Service, media_type: str) -> None:
    answer = everything.http.post("/walker/echo", content=b"{}", headers={"Content-Type": media_type})
    assert error(answer) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"])
def test_json_in_utf8_is_taken(everything: Service, media_type: str) -> None:
    data(everything.http.post("/walker/echo", content=b"{}", headers={"Content-Type": media_type}))


def test_a_content_coding_is_415(everything: Service) -> None:
    assert error(everything.http.post("/walker/echo", content=b"{}", headers={"Content-Encoding": "gzip"}))[0] == 415


def test_more_than_the_limit_is_413(start: Start) -> None:
    with start("walker/echo", JACFN_BODY_LIMIT="100") as service:
        fits, too_large = (json.dumps({"text": "x" * size}).encode() for size in (80, 100))
        data(service.http.post("/", content=fits))
        assert error(service.http.post("/", content=too_large)) == (413, "TOO_LARGE")
        chunks = (too_large[position : position + 10] for position in range(0, len(too_large), 10))
        assert error(service.http.post("/", content=chunks)) == (413, "TOO_LARGE")
        assert error(service.http.post("/", content=b"x" * 5_000_000)) == (413, "TOO_LARGE")
        data(service.http.post("/", content=fits))


# --- what is there


@pytest.mark.parametrize(
    "path", ["/nope", "/walker", "/walker/nope", "/function/echo", "/walker/total", "/function/total/x", "/walker/echo/a/b"]
)
def test_what_is_not_there_is_404(everything: Service, path: str) -> None:
    assert error(everything.http.post(path)) == (404, "NOT_FOUND")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_another_method_is_405_and_says_which_are_allowed(everything: Service, method: str) -> None:
    answer = everything.http.request(method, "/walker/echo")
    assert error(answer) == (405, "METHOD_NOT_ALLOWED")
    assert "POST" in answer.headers["allow"]


def test_head_has_no_body(everything: Service) -> None:
    assert (everything.http.head("/walker/echo").status_code, everything.http.head("/walker/echo").content) == (405, b"")
    assert everything.http.head("/docs").status_code == 200


def test_options_says_what_is_allowed_and_grants_no_origin(everything: Service) -> None:
    answer = everything.http.options("/walker/echo", headers={"Origin": "https://evil.example"})
    assert (answer.status_code, answer.headers["allow"]) == (200, "POST")
    assert not [name for name in answer.headers if name.startswith("access-control")]


# --- what comes back


@pytest.mark.parametrize("kind", ["nan", "infinity", "big", "bytes", "surrogate", "keys", "object", "set", "complex"])
def test_what_json_cannot_hold_crashes_nothing(everything: Service, kind: str) -> None:
    data(everything.http.post("/function/strange", json={"kind": kind}))


def test_a_failure_is_500_with_a_request_id_and_nothing_else(everything: Service) -> None:
    answer = everything.http.post("/function/fail", json={"text": "hush hush"}, headers={"X-Request-Id": "find-me"})
    assert error(answer) == (500, "EXECUTION_ERROR")
    assert answer.headers["x-request-id"] == "find-me"
    assert "find-me" in answer.json()["error"]["message"]
    assert not re.search(r"hush|Traceback|ValueError|\.jac|\.py", answer.text)


def test_a_failure_is_logged_with_request_id_place_and_traceback(everything: Service) -> None:
    everything.http.post("/function/fail", json={"text": "look in the log"}, headers={"X-Request-Id": "logged-once"})
    lines = [json.loads(line) for line in everything.log.splitlines() if "logged-once" in line]
    assert len(lines) == 1
    line = lines[0]
    assert (line["level"], line["endpoint"], line["error"]) == ("error", "/function/fail", "ValueError: look in the log")
    assert re.fullmatch(r"program\.jac:\d+", line["jac"])
    assert "Traceback (most recent call last)" in line["traceback"]


@pytest.mark.parametrize("name", ["fail_later", "leave", "give_up"])
def test_every_way_to_fail_is_500_and_logged_with_its_place(everything: Service, name: str) -> None:
    answer = everything.http.post(f"/function/{name}", headers={"X-Request-Id": f"failed-by-{name}"})
    assert error(answer) == (500, "EXECUTION_ERROR")
    (line,) = [json.loads(line) for line in everything.log.splitlines() if f"failed-by-{name}" in line]
    assert re.fullmatch(r"program\.jac:\d+", line["jac"])
    data(everything.http.post("/walker/echo"))


# --- headers


@pytest.mark.parametrize("sent", ["abc-123", "4bf92f3577b34da6a3ce929d0e0e4736", "a.b:c/d+e="])
def test_a_sane_request_id_is_kept(everything: Service, sent: str) -> None:
    assert everything.http.post("/walker/echo", headers={"X-Request-Id": sent}).headers["x-request-id"] == sent


@pytest.mark.parametrize("sent", ["", "a b", "x" * 129, '{"a":1}', "ü".encode("latin-1")])
def test_any_other_request_id_is_replaced(everything: Service, sent: Any) -> None:
    answer = everything.http.post("/nope", headers={"X-Request-Id": sent})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


@pytest.mark.parametrize("path", ["/walker/echo", "/nope", "/function/secret", "/docs"])
def test_every_answer_has_the_security_headers(everything: Service, path: str) -> None:
    answer = everything.http.post(path)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "server" not in answer.headers


# --- which process serves what


def test_a_function_service_answers_on_its_path_and_on_the_bare_url(start: Start) -> None:
    with start("function/total") as service:
        for path in ("/", "/function/total"):
            assert data(service.http.post(path, json={"items": [1]}))["result"] == 1.0
        for path in ("/walker/echo", "/login", "/register"):
            assert error(service.http.post(path)) == (404, "NOT_FOUND")
        assert error(service.http.get("/")) == (405, "METHOD_NOT_ALLOWED")


def test_several_endpoints_may_share_a_service_which_then_has_no_bare_url(start: Start) -> None:
    with start("function/total,walker/echo") as service:
        assert data(service.http.post("/function/total", json={"items": [1]}))["result"] == 1.0
        assert data(service.http.post("/walker/echo"))["reports"] == ["hi", []]
        assert error(service.http.post("/")) == (404, "NOT_FOUND")


def test_at_everything_the_bare_url_leads_to_the_docs(everything: Service) -> None:
    answer = everything.http.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "docs")
