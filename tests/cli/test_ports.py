"""A port that is in use is named, with the process that has it."""

from __future__ import annotations

import os
import socket

import pytest

from jacfn_cli.ports import PortInUse, check_free, listen
from jacfn_runtime.errors import JacfnError


def test_a_free_port_is_free_and_can_be_listened_on() -> None:
    with listen("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
    check_free("127.0.0.1", port)


def test_a_port_in_use_is_refused_with_its_owner_and_another_one() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortInUse) as error:
            check_free("127.0.0.1", port)
    assert error.value.what == f"Port {port} on 127.0.0.1 is in use"
    assert error.value.evidence.startswith(f"process {os.getpid()}: ")
    assert error.value.next_step == f"Stop it, or choose another: --port {port + 1}"


def test_an_address_of_somebody_else_is_refused() -> None:
    with pytest.raises(JacfnError, match=r"Port 1 on 192\.0\.2\.1 cannot be used"):
        check_free("192.0.2.1", 1)
