"""Errors say what happened, the evidence and the next step."""

from __future__ import annotations

from jacfn_knative.errors import DeployFailed, ForeignApp, InvalidApp, KnativeError
from jacfn_knative.report import Event, silent


def test_an_error_is_three_sentences_for_a_person() -> None:
    assert str(KnativeError("it broke", evidence="line 3", next_step="mend it")) == "it broke\nline 3\nmend it"
    assert str(KnativeError("it broke")) == "it broke"
    assert (KnativeError("").exit_code, InvalidApp("").exit_code) == (1, 2)


def test_a_foreign_app_names_both_projects_and_the_way_out() -> None:
    error = ForeignApp("jaseci", "default", "their-project", "my-project")
    assert "belongs to another project" in error.what
    assert "their-project" in error.what and "my-project" in error.what
    assert "APP_NAME" in error.next_step and "Nothing was written" in error.evidence


def test_a_failed_deploy_says_what_had_been_written() -> None:
    assert DeployFailed("no", applied=["Secret/a", "ksvc/b"]).applied == ("Secret/a", "ksvc/b")


def test_a_report_may_be_ignored() -> None:
    silent(Event("apply", "Secret/a"))
