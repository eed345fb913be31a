"""Reading `WWW-Authenticate` headers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jacfn_knative.image.challenge import Challenge, parse


def test_a_token_service_is_named_by_realm_service_and_scope() -> None:
    header = 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push",error="insufficient_scope"'
    assert parse(header) == [
        Challenge(
            "bearer",
            {
                "realm": "https://auth.docker.io/token",
                "service": "registry.docker.io",
                "scope": "repository:a/b:pull,push",
                "error": "insufficient_scope",
            },
        )
    ]


def test_several_challenges_in_one_header() -> None:
    assert parse('Basic realm="Registry", Bearer realm="https://x/t", service=y') == [
        Challenge("basic", {"realm": "Registry"}),
        Challenge("bearer", {"realm": "https://x/t", "service": "y"}),
    ]


def test_a_scheme_without_parameters() -> None:
    assert parse("Negotiate") == [Challenge("negotiate")]


def test_quotes_and_commas_within_a_value() -> None:
    assert parse(r'Basic realm="a \"b\", c"')[0].get("realm") == 'a "b", c'


def test_a_missing_parameter_is_empty() -> None:
    assert Challenge("basic").get("realm") == ""


words = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,10}", fullmatch=True)
values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


@given(st.lists(st.tuples(words, st.dictionaries(words.map(str.lower), values, min_size=1, max_size=3)), min_size=1, max_size=3))
def test_what_is_written_by_the_grammar_is_read_back(challenges: list[tuple[str, dict[str, str]]]) -> None:
    def quoted(value: str) -> str:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    header = ", ".join(
        f"{scheme} " + ", ".join(f"{name}={quoted(value)}" for name, value in parameters.items())
        for scheme, parameters in challenges
    )
    assert parse(header) == [Challenge(scheme.lower(), parameters) for scheme, parameters in challenges]


@given(st.text(max_size=60))
def test_no_header_breaks_the_reader(header: str) -> None:
    assert isinstance(parse(header), list)
