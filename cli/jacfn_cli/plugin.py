"""jacfn's part in jaclang: `jac start`, `jac destroy` and more are ours, and programs in older syntax run under `jac run` too.

jaclang loads this module wherever it is imported, in pods too, where neither Click nor the rest of this package's needs exist:
so nothing is imported here before a command of ours is typed. A hook is marked by the attribute that jaclang's `@hookimpl` sets,
because importing jaclang here would be a circle.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

OURS = ("start", "destroy", "bundle", "image", "settings", "graph")
# `jac start` options that only jaclang's own server has: with one of them the command stays jaclang's.
JACLANGS = ("--dev", "-d", "--api_port", "--api-port", "--no_client", "--no-client")


class JacfnPlugin:
    """The entry point `jacfn` of the group `jac` (facts of jaclang 0.16: its plugin manager calls each marked static method)."""

    @staticmethod
    def create_cmd() -> None:
        """Called before `jac` reads its arguments. A command of ours is run here and ends the process."""
        arguments = sys.argv[1:]
        if not arguments or arguments[0] not in OURS:
            return
        if any(argument.partition("=")[0] in JACLANGS for argument in arguments):
            return
        try:
            from jacfn_cli.main import cli
        except ModuleNotFoundError as error:
            sys.exit(f"Error: `jac {arguments[0]}` needs the package {error.name}: pip install 'jacfn[cli]'")
        cli.main(arguments, prog_name="jac")

    @staticmethod
    def set_trigger(trigger_thunk: Callable[[], Any]) -> Callable[[Any], Any]:
        """Called for each ability of a program: ``with `root entry`` means what it meant before jaclang 0.10."""
        from jacfn_runtime.program.legacy import LegacyTriggers

        return LegacyTriggers.set_trigger(trigger_thunk)


JacfnPlugin.create_cmd._jac_hookimpl = True  # type: ignore[attr-defined]
JacfnPlugin.set_trigger._jac_hookimpl = True  # type: ignore[attr-defined]
