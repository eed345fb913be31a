"""Which distributions an image needs: for its platform, in the versions that are installed here."""

from __future__ import annotations

import pytest

from jacfn_knative.image.errors import WheelsUnavailable
from jacfn_knative.image.model import Platform
from jacfn_knative.image.requirements import Metadata, Target, closure

AMD = Target(Platform.parse("linux/amd64"), "3.12.8", libc_minor=36)
ARM = Target(Platform.parse("linux/arm64"), "3.12.8", libc_minor=36)
HERE = {
    "web": Metadata("web", "2.0", ("loop>=1; sys_platform != 'win32'", "colors; sys_platform == 'win32'", "parser[fast]~=3.0")),
    "loop": Metadata("loop", "1.5"),
    "parser": Metadata("parser", "3.1", ("speed>=1; extra == 'fast'", "docs; extra == 'docs'", "old; python_version < '3.9'")),
    "speed": Metadata("speed", "1.0", ("intel; platform_machine == 'x86_64'", "web")),
    "intel": Metadata("intel", "9"),
}


def needed(*roots: str, target: Target = AMD, without: tuple[str, ...] = ()) -> dict[str, str]:
    return dict(closure(roots, target, HERE.get, without).requirements)


def test_everything_that_is_needed_in_the_installed_versions() -> None:
    assert needed("web") == {
        "web": "web==2.0",
        "loop": "loop==1.5",
        "parser": "parser==3.1",
        "speed": "speed==1.0",
        "intel": "intel==9",
    }


def test_markers_are_those_of_the_image_not_of_this_machine() -> None:
    assert "intel" not in needed("web", target=ARM)
    assert "colors" not in needed("web")


def test_an_extra_that_is_asked_for_later_still_counts() -> None:
    assert "speed" in needed("parser", "web")
    assert "speed" not in needed("parser")


def test_what_the_image_has_already_is_left_out_with_what_only_it_needs() -> None:
    assert needed("web", without=("parser",)) == {"web": "web==2.0", "loop": "loop==1.5"}


def test_names_are_compared_in_their_canonical_form() -> None:
    assert needed("Web", without=("PARSER", "loop")) == {"web": "web==2.0"}


def test_what_is_not_installed_keeps_its_bounds_and_is_told() -> None:
    found = closure(["stranger>=1", "stranger<3"], AMD, HERE.get)
    assert found.requirements == {"stranger": "stranger<3,>=1"}
    assert found.unknown == {"stranger"}


def test_an_installed_version_that_does_not_meet_a_requirement_is_refused() -> None:
    with pytest.raises(WheelsUnavailable, match=r"the program needs web>=3, and 2.0 is installed here"):
        needed("web>=3")


@pytest.mark.parametrize("text", ["not a requirement", "web @ https://example.com/web.whl"])
def test_a_requirement_that_no_index_can_answer_is_refused(text: str) -> None:
    with pytest.raises(WheelsUnavailable):
        needed(text)


def test_wheels_may_ask_for_the_image_s_libc_or_an_older_one() -> None:
    tags = AMD.wheel_platforms
    assert tags[0] == "manylinux_2_36_x86_64"
    assert "manylinux2014_x86_64" in tags
    assert "manylinux_2_37_x86_64" not in tags
    assert ARM.wheel_platforms[0] == "manylinux_2_36_aarch64"


def test_musl_images_take_musl_wheels() -> None:
    assert Target(AMD.platform, "3.12.8", "musl", 2).wheel_platforms == ["musllinux_1_2_x86_64", "musllinux_1_1_x86_64"]
