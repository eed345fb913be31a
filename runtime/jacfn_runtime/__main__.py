"""`python -m jacfn_runtime` serves; `python -m jacfn_runtime init` prepares the stores and runs `with entry` once."""

from __future__ import annotations

import gc

gc.disable()  # nothing that a start makes is garbage: an eighth of it (facts/floor.md). `serve` turns it on again.

import os  # noqa: E402
import sys  # noqa: E402

from jacfn_runtime.errors import JacfnError  # noqa: E402
from jacfn_runtime.settings import Settings  # noqa: E402

USAGE = "usage: python -m jacfn_runtime [init]"


def main(arguments: list[str]) -> int:
    """Run what the arguments ask for, as the environment says (ARCHITECTURE 3.1); the exit code."""
    if arguments not in ([], ["init"]):
        print(USAGE, file=sys.stderr)  # noqa: T201
        return 2
    try:
        settings = Settings.read(os.environ)
        if arguments:
            from jacfn_runtime.http.prepare import prepare

            return prepare(settings)
        from jacfn_runtime.http.serve import serve

        return serve(settings)
    except JacfnError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
