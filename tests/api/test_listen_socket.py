"""Why the socket of the server cannot be opened, for the person who starts it."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from api.listen_socket import listen, remedy_for
from engine.core.settings import BadSetting, Settings, from_environment


def settings_of(host: str, port: int) -> Settings:
    return from_environment({}, host=host, port=port)


@pytest.mark.usefixtures("socket_enabled")
def test_a_port_that_is_used_names_another_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            BadSetting, match=f"port {port}: Address already in use. Another program .* --port {port + 1}"
        ):
            listen(settings_of("127.0.0.1", port), 1)


@pytest.mark.usefixtures("socket_enabled")
@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_that_this_machine_lacks_is_told(host: str) -> None:
    with pytest.raises(BadSetting, match="This machine has no such address: choose another one, like --host 127"):
        listen(settings_of(host, 8080), 1)


def test_a_port_that_needs_rights_leads_to_a_higher_one() -> None:
    """Only users without these rights meet it, so the error is made here."""
    denied = OSError(errno.EACCES, os.strerror(errno.EACCES))
    said = remedy_for(denied, settings_of("0.0.0.0", 443))
    assert said.startswith("Ports below 1024 need rights")
    assert "444" not in said
