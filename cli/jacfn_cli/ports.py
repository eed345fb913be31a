"""Is a port free, and who has it if not."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

from jacfn_runtime.errors import JacfnError


class PortInUse(JacfnError):
    """Somebody listens on the port already."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound to this address and does not listen yet. Raises PortInUse, and JacfnError for no address of ours."""
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of the last run that still wait are no reason
    try:
        bound.bind(address)
        return bound
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(
                f"Port {port} on {host} is in use",
                evidence=owner(port),
                next_step=f"Stop it, or choose another: --port {port + 1}",
            ) from error
        raise JacfnError(f"Port {port} on {host} cannot be used", evidence=str(error)) from error


def check_free(host: str, port: int) -> None:
    """Raise what `listen` raises if nothing can listen there now."""
    listen(host, port).close()


def owner(port: int) -> str:
    """`process 123: python app.py`, as far as Linux tells this user; "" otherwise."""
    inodes = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for process in Path("/proc").glob("[0-9]*") if inodes else ():
        try:
            if any(str(file.readlink()) in inodes for file in (process / "fd").iterdir()):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
                return f"process {process.name}: {command[:200]}"
        except OSError:
            continue
    return ""


def _listening_inodes(port: int) -> list[str]:
    """Sockets in /proc/net/tcp whose local port is this one and whose state is 0A, LISTEN."""
    found = []
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        rows = [line.split() for line in table.read_text().splitlines()[1:]] if table.exists() else []
        found += [row[9] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port]
    return found
