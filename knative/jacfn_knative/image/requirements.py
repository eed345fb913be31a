"""Which distributions an image needs, and which wheels its Python can use. Pure: the caller brings the metadata.

What is installed here decides the versions: what was tested is what runs. Markers are evaluated for the image's platform, never
for this machine's, which is what pip's own `--platform` does not do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from jacfn_knative.image.errors import WheelsUnavailable
from jacfn_knative.image.model import Platform

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
_OLDEST_GLIBC = 5  # manylinux_2_5, also known as manylinux1: no wheel names an older one


@dataclass(frozen=True, slots=True)
class Target:
    """The Python of an image, as far as it decides which wheels fit."""

    platform: Platform
    python: str
    """Full version, e.g. `3.12.8`."""
    libc: str = "glibc"
    """`glibc` or `musl`."""
    libc_minor: int = 17
    """2.x of glibc, 1.x of musl: the newest tag that may be used."""

    @property
    def machine(self) -> str:
        """The processor in Python's words."""
        return _MACHINES.get(self.platform.architecture, self.platform.architecture)

    @property
    def minor(self) -> str:
        """`3.12`."""
        return ".".join(self.python.split(".")[:2])

    @property
    def wheel_platforms(self) -> list[str]:
        """Platform tags of wheels that run there (PEP 600, PEP 656), best first."""
        if self.libc == "musl":
            return [f"musllinux_1_{minor}_{self.machine}" for minor in range(self.libc_minor, 0, -1)]
        legacy = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
        tags = []
        for minor in range(self.libc_minor, _OLDEST_GLIBC - 1, -1):
            tags.append(f"manylinux_2_{minor}_{self.machine}")
            if minor in legacy:
                tags.append(f"{legacy[minor]}_{self.machine}")
        return [*tags, f"linux_{self.machine}"]

    @property
    def environment(self) -> dict[str, str]:
        """The values of environment markers there (PEP 508)."""
        return {
            "implementation_name": "cpython",
            "implementation_version": self.python,
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": self.python,
            "python_version": self.minor,
            "sys_platform": "linux",
        }


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a distribution says of itself, as far as it matters here."""

    name: str
    version: str
    requires: tuple[str, ...] = ()


@dataclass(slots=True)
class _Wanted:
    extras: set[str] = field(default_factory=set)
    specifier: SpecifierSet = field(default_factory=SpecifierSet)


@dataclass(frozen=True, slots=True)
class Closure:
    """The result: a requirement for each distribution, and those among them whose own requirements are not known yet."""

    requirements: Mapping[str, str]
    unknown: frozenset[str]


def closure(
    roots: Iterable[str], target: Target, lookup: Callable[[str], Metadata | None], without: Iterable[str] = ()
) -> Closure:
    """Everything that `roots` (requirements, PEP 508) need on `target`, by canonical name.

    `lookup` gives the metadata of a distribution by canonical name: its version is the one that is taken. What it does not know
    keeps its specifiers; the caller gets its wheel and asks again. Names in `without` are there already and left out, with what
    only they need. Raises WheelsUnavailable for a requirement that is none, or that the known version does not meet.
    """
    skipped = {canonicalize_name(name) for name in without}
    wanted: dict[str, _Wanted] = {}
    waiting = [(_read(text, "the program"), "the program") for text in roots]
    while waiting:
        requirement, who = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in skipped:
            continue
        entry = wanted.get(name)
        extras = set(requirement.extras)
        is_news = entry is None or not extras <= entry.extras
        entry = wanted.setdefault(name, _Wanted())
        entry.extras |= extras
        entry.specifier &= requirement.specifier
        known = lookup(name)
        if known is None:
            continue
        if not requirement.specifier.contains(known.version, prereleases=True):
            raise WheelsUnavailable(
                f"{who} needs {requirement}, and {known.version} is installed here",
                next_step=f"Install a version that fits: pip install '{requirement}'.",
            )
        if is_news:
            waiting += [(inner, name) for inner in applying(known, entry.extras, target)]
    return Closure(
        {name: _spell(name, entry, lookup(name)) for name, entry in sorted(wanted.items())},
        frozenset(name for name in wanted if lookup(name) is None),
    )


def applying(known: Metadata, extras: Iterable[str], target: Target) -> list[Requirement]:
    """The requirements of a distribution that hold on the target, with these extras."""
    environments = [target.environment | {"extra": extra} for extra in ("", *sorted(extras))]
    requirements = [_read(text, known.name) for text in known.requires]
    return [
        requirement
        for requirement in requirements
        if requirement.marker is None or any(requirement.marker.evaluate(environment) for environment in environments)
    ]


def _read(text: str, who: str) -> Requirement:
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise WheelsUnavailable(f"{who} has a dependency that cannot be read: {text!r}", evidence=str(error)) from error
    if requirement.url:
        raise WheelsUnavailable(
            f"{who} depends on an address instead of a release: {text}",
            next_step="Depend on a release of a package index, or build from a Dockerfile of your own (--builder docker).",
        )
    return requirement


def _spell(name: str, entry: _Wanted, known: Metadata | None) -> str:
    return f"{name}=={known.version}" if known else f"{name}{entry.specifier}"


def pins(requirements: Sequence[str]) -> str:
    """One line for a label: `anyio==4.16.0 falcon==4.4.0 ...`."""
    return " ".join(sorted(requirements))


def names(label: str) -> tuple[str, ...]:
    """The names in a line that `pins` wrote."""
    return tuple(pin.partition("==")[0] for pin in label.split())
