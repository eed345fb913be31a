"""`python -m jacfn_runtime` serves; `python -m jacfn_runtime init` prepares the stores and runs `with entry` once."""

from __future__ import annotations

import gc
import os
import signal
import sys

gc.disable()  # nothing that a start makes is garbage: an eighth of it (facts/floor.md). `serve` turns it on again.
# As PID 1 a process without a handler would ignore SIGTERM (facts/knative.md B.6), also while it imports.
signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(0))

USAGE = "usage: python -m jacfn_runtime [init]"


def main(arguments: list[str]) -> int:
    """Run what the arguments ask for, as the environment says (ARCHITECTURE 3.1); the exit code."""
    if arguments == ["init"]:
        from jacfn_runtime.http.prepare import prepare as run
    elif not arguments:
        from jacfn_runtime.http.serve import serve as run  # before the settings: it imports leanly what they need as well
    else:
        print(USAGE, file=sys.stderr)  # noqa: T201
        return 2
    from jacfn_runtime.errors import JacfnError
    from jacfn_runtime.settings import Settings

    try:
        return run(Settings.read(os.environ))
    except JacfnError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
