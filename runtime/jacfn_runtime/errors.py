"""The runtime's error tree.

    JacfnError
    |- SettingsError            the environment or jac.toml asks for something that cannot be
    |- ProgramError             the program cannot be read, compiled or loaded
    |  `- BundleMismatch        a bundle that does not fit this interpreter or this jaclang
    |- StoreError ...           see memory/errors.py
    `- IdentityError ...        see identity/errors.py

Every error says three things: what happened, the evidence, and the next step. Whoever shows it decides on colours and codes.
"""

from __future__ import annotations


class JacfnError(Exception):
    """What happened, with the evidence and the next step; `exit_code` is the process's exit code when a command ends with it."""

    exit_code = 1

    def __init__(self, what: str, *, evidence: str = "", next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.evidence = evidence
        self.next_step = next_step

    def __str__(self) -> str:
        return "\n".join(part for part in (self.what, self.evidence, self.next_step) if part)


class SettingsError(JacfnError):
    """The environment asks for something that cannot be."""

    exit_code = 2


class ProgramError(JacfnError):
    """The program cannot be read, compiled or loaded; `evidence` has file, line and a caret where the compiler gave them."""


class BundleMismatch(ProgramError):
    """A bundle that does not fit this interpreter or this jaclang: it is refused, never silently recompiled."""
