"""Starts a real Flowport for tests: `app.py serve` in its own process, with a free port and its own data folder."""

from __future__ import annotations

import contextlib
import functools
import random
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from storage.database import Database
from tests.databases import open_database, settings_of
from tests.one_command import clean_environment, run_here

ROOT = Path(__file__).parents[1]
#: Empty, as no test uses TLS: httpx would otherwise load all certificate authorities of the machine for each call.
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
EMAIL = "owner@example.com"
PASSWORD = "correct horse battery"
#: Long, because tests run on shared machines.
READY_SECONDS = 180


def free_port() -> int:
    """Returns a port that nobody listens on.

    It is below the system's range of ephemeral ports, so that no connection takes it.
    """
    for port in random.sample(range(15_000, 30_000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("all ports are taken")


@dataclass
class LiveServer:
    """A server that can be started, stopped and killed repeatedly; its data folder is kept."""

    data: Path
    port: int = field(default_factory=free_port)
    env: Mapping[str, str] = field(default_factory=dict)
    #: Limit of open files and connections of the server's processes; None for the limit of the tests.
    descriptors: int | None = None
    #: Words before the command, of a program that runs it.
    under: tuple[str, ...] = ()
    #: Options after the command.
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @functools.cached_property
    def store(self) -> Database:
        """The server's database, opened by the test process too, as a command beside a running server does."""
        return open_database(self.data)

    def close_store(self) -> None:
        """Closes the database if it was opened; it can be opened again."""
        if (store := self.__dict__.pop("store", None)) is not None:
            store.close()

    @property
    def log_file(self) -> Path:
        return self.data.parent / f"{self.data.name}.log"

    def environment(self) -> dict[str, str]:
        """Returns the environment of the server's process."""
        return {
            **clean_environment(),
            "FLOWPORT_DATA": str(self.data),
            "PYTHONUNBUFFERED": "1",
            **settings_of(self.data),
            **self.env,
        }

    def start(self, *, owner: bool = True, wait: bool = True) -> LiveServer:
        """Starts the server and waits until it is ready. `owner` creates an owner to sign in as."""
        env = self.environment()
        if owner:
            secret = self.data.parent / f"{self.data.name}.password"
            secret.write_text(PASSWORD)
            env |= {"FLOWPORT_ADMIN_EMAIL": EMAIL, "FLOWPORT_ADMIN_PASSWORD_FILE": str(secret)}
        limited = ["sh", "-c", f'ulimit -n {self.descriptors}; exec "$@"', "sh"] if self.descriptors else []
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *self.under,
                    *limited,
                    sys.executable,
                    str(ROOT / "app.py"),
                    "serve",
                    "--host",
                    "127.0.0.1",
                    "--port",
                    str(self.port),
                    *self.options,
                ],
                cwd=ROOT,
                env=env,
                stdout=log,
                stderr=log,
            )
        if wait:
            self.wait_until_ready()
        return self

    def wait_until_ready(self) -> None:
        """Returns when /readyz answers 200; fails with the log when the process ends or after READY_SECONDS."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self.process is not None and self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log()}")
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/readyz", timeout=2, verify=TLS).status_code == 200:
                    return
            time.sleep(0.1)
        raise AssertionError(f"the server was not ready in {READY_SECONDS} s:\n{self.log()}")

    def stop(self) -> int:
        """Sends SIGTERM, waits for the end and returns the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=READY_SECONDS)

    def kill(self) -> None:
        """Kills the server process with SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=30)

    def log(self) -> str:
        """Returns the log written so far."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def run(self, *command: str, stdin: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs a command of app.py beside the running server, inside the test process."""
        ended = run_here(command, stdin=(stdin or "").encode(), environment=self.environment(), folder=ROOT)
        answer = subprocess.CompletedProcess(
            command, ended.returncode, ended.stdout.decode(errors="replace"), ended.stderr.decode(errors="replace")
        )
        if check and answer.returncode:
            raise AssertionError(f"{command} ended with {answer.returncode}:\n{answer.stdout}\n{answer.stderr}")
        return answer


@contextlib.contextmanager
def live_server(
    data: Path, *, owner: bool = True, env: Mapping[str, str] | None = None, descriptors: int | None = None
) -> Iterator[LiveServer]:
    """A running server, which is stopped at the end of the `with` block."""
    server = LiveServer(data, env=env or {}, descriptors=descriptors)
    try:
        server.start(owner=owner)
        yield server
    finally:
        server.close_store()
        if server.process is not None and server.process.poll() is None:
            server.process.terminate()
            try:
                server.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                server.process.kill()
