"""A separate host on this machine: a network namespace with one address, reached over a virtual Ethernet pair.

with host() as there:
    there.popen([...])     a process on that host
    there.address          like "10.213.77.2"; from there the tests are "10.213.77.1"
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Host:
    """`popen` runs a command in the namespace, which exists during the `with` block."""

    name: str
    address: str
    outside: str

    def popen(self, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["ip", "netns", "exec", self.name, *command], **options)


def why_not() -> str:
    """Returns why no namespace can be created here, or "" when it can."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        return "a host of its own needs root and iproute2"
    name = f"fp-try-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True).returncode == 0
    if made:
        _ip("netns", "del", name)
    return "" if made else "this machine lets nobody make network namespaces"


@contextlib.contextmanager
def host() -> Iterator[Host]:
    """Creates the host. The third byte of its address comes from this process's id, so that two runs do not collide."""
    number, name = os.getpid() % 200 + 20, f"fp{os.getpid()}"
    inside, outside, cable = f"10.213.{number}.2", f"10.213.{number}.1", f"fp{os.getpid()}"
    _ip("netns", "add", name)
    try:
        _ip("link", "add", f"{cable}o", "type", "veth", "peer", "name", f"{cable}i", "netns", name)
        _ip("addr", "add", f"{outside}/30", "dev", f"{cable}o")
        _ip("link", "set", f"{cable}o", "up")
        for words in (["addr", "add", f"{inside}/30", "dev", f"{cable}i"], ["link", "set", f"{cable}i", "up"]):
            _ip("-n", name, *words)
        _ip("-n", name, "link", "set", "lo", "up")
        yield Host(name, inside, outside)
    finally:
        _ip("netns", "del", name)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
