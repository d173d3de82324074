"""compose.scale.yaml as it is run without Docker: every service's command and environment, as processes of this machine.

Names of services become ports of this machine, the PostgreSQL of the tests stands for the service `postgres`, and a
folder for the volume that the servers share.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.hosting.nginx import write_configuration
from tests.live_server import free_port
from tests.one_command import clean_environment, run_here

ROOT = Path(__file__).parents[2]
FILE = ROOT / "compose.scale.yaml"
_VARIABLE = re.compile(r"\$\{(\w+)(?::([?-])([^}]*))?\}")


def services(variables: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Returns the services, with `${NAME:-default}` and `${NAME:?message}` replaced as Compose does."""

    def value(found: re.Match[str]) -> str:
        said = variables.get(found[1], "")
        assert said or found[2] != "?", f"{found[1]} is not set: {found[3]}"
        return said or found[3] or ""

    return yaml.safe_load(_VARIABLE.sub(value, FILE.read_text()))["services"]


@dataclass
class Replay:
    """Runs the services. `url` is the address of an empty PostgreSQL database."""

    folder: Path
    url: str
    variables: dict[str, str] = field(default_factory=lambda: {"POSTGRES_PASSWORD": "secret"})

    def __post_init__(self) -> None:
        self.port = free_port()
        self.services = services({**self.variables, "FLOWPORT_PUBLIC_URL": f"http://127.0.0.1:{self.port}"})
        self.ports = {name: free_port() for name in self.services if name.startswith(("pages-", "api-"))}
        self.running: dict[str, list[subprocess.Popen[bytes]]] = {}
        (self.folder / "flowport.key").write_text("A" * 43 + "=\n")

    def environment(self, name: str) -> dict[str, str]:
        """Returns the environment of a service, with this machine's addresses in the place of those of the network."""
        given = self.services[name]["environment"]
        assert given["FLOWPORT_DATABASE_URL"] == "postgresql://flowport:secret@postgres:5432/flowport"
        assert given["FLOWPORT_SECRET_KEY_FILE"] == "/run/secrets/flowport.key"
        image = {"FLOWPORT_DATA": str(self.folder / "data"), "FLOWPORT_HOST": "127.0.0.1", "PYTHONUNBUFFERED": "1"}
        here = {
            "FLOWPORT_DATABASE_URL": self.url,
            "FLOWPORT_SECRET_KEY_FILE": str(self.folder / "flowport.key"),
            "FLOWPORT_PORT": str(self.ports.get(name, 8080)),
        }
        return {**clean_environment(), **image, **given, **here}

    def run(self, name: str, *words: str, stdin: bytes = b"") -> str:
        """Runs a service's command, or `app.py` with other words in its place, to its end; returns what it printed."""
        command = list(words) or self.services[name]["command"]
        ended = run_here(command, stdin=stdin, environment=self.environment(name), folder=ROOT)
        assert ended.returncode == 0, ended.stderr.decode()
        return ended.stdout.decode().strip()

    def start(self, name: str, count: int = 1) -> None:
        """Starts a service and, when it answers calls, waits until it does."""
        log = (self.folder / f"{name}.log").open("ab")
        for _ in range(count):
            command = [sys.executable, "app.py", *self.services[name]["command"]]
            one = subprocess.Popen(command, cwd=ROOT, env=self.environment(name), stdout=log, stderr=log)
            self.running.setdefault(name, []).append(one)
        log.close()
        if name in self.ports:
            self.wait_for(f"http://127.0.0.1:{self.ports[name]}/healthz", name)

    def start_caddy(self) -> None:
        """Starts Caddy with the file and the variables that its service names."""
        given = {key: self._here(value) for key, value in self.services["caddy"]["environment"].items()}
        (mount,) = (one for one in self.services["caddy"]["volumes"] if one.endswith(":ro"))
        file = ROOT / mount.split(":")[0]
        environment = {
            **os.environ,
            **given,
            "SITE": f"http://127.0.0.1:{self.port}",
            "HOME": str(self.folder),
        }
        self._start_proxy(["caddy", "run", "--adapter", "caddyfile", "--config", str(file)], environment)

    def start_nginx(self) -> None:
        """Starts nginx with the recipe of the folder deploy."""
        nginx = shutil.which("nginx")
        assert nginx
        text = (ROOT / "deploy" / "nginx.conf").read_text().replace("listen 80;", f"listen 127.0.0.1:{self.port};")
        places = {"10.0.0.11": "pages-1", "10.0.0.12": "pages-2", "10.0.0.21": "api-1", "10.0.0.22": "api-2"}
        for address, name in places.items():
            text = text.replace(f"{address}:8080", f"127.0.0.1:{self.ports[name]}")
        self._start_proxy([nginx, "-c", str(write_configuration(self.folder, text))], dict(os.environ))

    def _start_proxy(self, command: list[str], environment: dict[str, str]) -> None:
        with (self.folder / "proxy.log").open("ab") as log:
            self.running["proxy"] = [subprocess.Popen(command, env=environment, stdout=log, stderr=log)]
        self.wait_for(f"http://127.0.0.1:{self.port}/healthz", "proxy")

    def _here(self, text: str) -> str:
        for name, port in self.ports.items():
            text = text.replace(f"{name}:8080", f"127.0.0.1:{port}")
        return text

    def wait_for(self, url: str, name: str) -> None:
        """Waits until the address answers 200."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            assert all(one.poll() is None for one in self.running.get(name, [])), self.log(name)
            try:
                if httpx.get(url, timeout=2).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise AssertionError(f"{name} does not answer:\n{self.log(name)}")

    def log(self, name: str) -> str:
        """Returns what a service wrote."""
        file = self.folder / f"{name}.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def end(self) -> dict[str, list[int]]:
        """Sends SIGTERM to all that run, as `docker compose down` does, and returns their exit codes."""
        every = [one for ones in self.running.values() for one in ones]
        for one in every:
            if one.poll() is None:
                one.send_signal(signal.SIGTERM)
        codes = {name: [one.wait(timeout=60) for one in ones] for name, ones in self.running.items()}
        self.running = {}
        return codes
