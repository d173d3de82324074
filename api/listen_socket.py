"""Opens the socket on which the server listens, and says why it cannot be opened."""

from __future__ import annotations

import contextlib
import errno
import socket

from engine.core.settings import BadSetting, Settings


def listen(settings: Settings, backlog: int) -> socket.socket:
    """Opens the socket of the settings. Raises BadSetting."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        with contextlib.ExitStack() as on_error:
            listener = on_error.enter_context(socket.socket(family, kind))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(backlog)
            on_error.pop_all()
    except OSError as error:
        said = f"Flowport cannot listen on {settings.host}, port {settings.port}: {error.strerror or error}."
        raise BadSetting(f"{said} {remedy_for(error, settings)}") from error
    return listener


def remedy_for(error: OSError, settings: Settings) -> str:
    """Returns what to do about a socket that cannot be opened, as sentences."""
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return "This machine has no such address: choose another one, like --host 127.0.0.1 or --host 0.0.0.0."
    if error.errno in {errno.EACCES, errno.EPERM}:
        return (
            "Ports below 1024 need rights that this user does not have: choose a higher one, like --port 8080, and put a "
            "proxy in front of it (see /docs/guides/hosting)."
        )
    return f"Another program may use it: stop that one, or choose another port, like --port {settings.port + 1} (or FLOWPORT_PORT={settings.port + 1})."
