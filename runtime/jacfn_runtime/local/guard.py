"""`python -m jacfn_runtime.local.guard MODULE ARGS...`: run a module that ends when its parent does, however the parent ends.

Standard input is a pipe that the parent never writes to and nobody else holds: its end of file is the parent's end, `kill -9`
included, on every system. (PR_SET_PDEATHSIG would need a fork with Python code in the child, and exists on Linux only.)
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time

DRAIN_SECONDS = 5  # for requests in flight; then the process ends, whatever it does


def _end_with_parent() -> None:
    try:
        while os.read(0, 1):
            pass
    except OSError:
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(DRAIN_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
