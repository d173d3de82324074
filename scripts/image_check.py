# ruff: noqa: INP001, S310, S603, S607, T201 - a script that prints, runs fixed commands and asks its own server
"""Builds the image of the `Dockerfile`, starts it and has it answer a call: `make image-check`, once for a release.

It needs root on Linux and buildah. The base image comes from its registry; where none is reached, or with `BASE=local`, it is
made from this system's Debian packages by debootstrap. Everything lies in a temporary folder that is removed at the end.
It ends with 0 when the image works, with 1 when it does not, and with 2 when this machine cannot try.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
USER = 10001
CERTIFICATES = "/etc/ssl/certs"
PACKAGES = "python3,python3-venv,ca-certificates"
FLOW = {
    "format": 1,
    "title": "Greeting",
    "nodes": [
        {"id": "api_input", "type": "api_input", "config": {"fields": [{"name": "name", "type": "string"}]}},
        {"id": "set_fields", "type": "set_fields", "inputs": {"text": "Hello {{ api_input.out.name }}"}},
    ],
    "edges": [{"id": "e1", "source": "api_input", "target": "set_fields"}],
}


class NotHere(Exception):
    """This machine cannot try the image; the text says what is missing."""


class NotWorking(Exception):
    """The image cannot be built, or does not do what it should."""


def missing(system: str, user: int, commands: Mapping[str, bool]) -> list[str]:
    """Returns what this machine lacks to build and start the image, each as a sentence that says what to do."""
    found = []
    if system != "Linux":
        found.append(f"This system is {system}: containers need Linux. Run it in a virtual machine or on a server.")
    if user != 0:
        found.append("It builds as root, as the image has a user of its own: `sudo make image-check`.")
    if not commands["buildah"]:
        found.append("buildah builds the image: `sudo apt-get install buildah netavark`.")
    return found


class Builder:
    """Runs buildah with a store of its own in `folder`."""

    def __init__(self, folder: Path, driver: str) -> None:
        self.folder = folder
        self._store = (
            "buildah",
            f"--root={folder}/store",
            f"--runroot={folder}/run",
            f"--storage-driver={driver}",
        )

    def command(self, *words: str) -> list[str]:
        return [*self._store, *words]

    def run(self, *words: str, seconds: float = 1_800, shown: bool = False) -> str:
        """Runs a command of buildah and returns what it prints; `shown` prints it instead. Raises NotWorking."""
        ended = subprocess.run(
            self.command(*words), capture_output=not shown, text=True, check=False, timeout=seconds, cwd=ROOT
        )
        if ended.returncode:
            raise NotWorking(f"`buildah {words[0]}` failed: {(ended.stderr or 'see above').strip()[-2_000:]}")
        return (ended.stdout or "").strip()


def store_driver(folder: Path) -> str:
    """Returns the storage driver that this kernel carries: overlay, or vfs, which copies every layer."""
    problems = []
    for driver in ("overlay", "vfs"):
        try:
            Builder(folder / driver, driver).run("from", "scratch", seconds=60)
        except (NotWorking, subprocess.TimeoutExpired) as problem:
            problems.append(f"With {driver}: {problem}")
        else:
            return driver
    raise NotHere(f"buildah can create no container here. {' '.join(problems)}")


def base_name() -> str:
    """Returns the base image of the Dockerfile."""
    (name,) = set(re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    return name


def take_base(builder: Builder, wanted: str) -> str:
    """Makes the base image available under the name that the Dockerfile has, and returns where it is from."""
    name = base_name()
    if wanted != "local":
        try:
            builder.run("pull", name, seconds=300)
        except (NotWorking, subprocess.TimeoutExpired) as problem:
            if wanted == "registry":
                raise NotHere(f"The base image {name} cannot be fetched. {problem}") from problem
            print("The registry of the base image is not reached.")
        else:
            return f"{name} from its registry"
    make_base(builder, name)
    return f"made here from {debian()[0]}, in place of {name}"


def debian() -> tuple[str, str]:
    """Returns the suite of this Debian and the archive that it installs packages from. Raises NotHere on others."""
    said = platform.freedesktop_os_release()
    if said.get("ID") != "debian" or shutil.which("debootstrap") is None:
        raise NotHere(
            "Without its registry the base image is made from Debian's packages, and that needs Debian with debootstrap: "
            "`sudo apt-get install debootstrap`."
        )
    suite = said["VERSION_CODENAME"]
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)"], capture_output=True, text=True, check=True
    ).stdout
    for address, release in dict.fromkeys(tuple(line.split(" ", 1)) for line in listed.splitlines()):
        if release == suite:
            return suite, address
    raise NotHere(f"apt knows no archive of {suite}. Add one to its sources.")


def make_base(builder: Builder, name: str) -> None:
    """Makes a base image of this system's Debian packages: a minimal root with Python and certificates."""
    suite, archive = debian()
    root = builder.folder / "base"
    print(f"Making a base image of {suite} ...", flush=True)
    ended = subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, root, archive],
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise NotHere(f"debootstrap failed: {ended.stdout.strip()[-1_000:]}")
    shutil.rmtree(root / "var/cache/apt/archives")
    container = builder.run("from", *limits(), "scratch")
    builder.run("copy", "-q", container, str(root), "/")
    builder.run("commit", "-q", "--rm", container, f"localhost/{name.partition('@')[0]}")
    shutil.rmtree(root)


def limits() -> list[str]:
    """Returns the limits of this process as options: by itself buildah asks for higher ones, which not every root may."""
    named = {"nproc": resource.RLIMIT_NPROC, "nofile": resource.RLIMIT_NOFILE}
    return [f"--ulimit={name}={':'.join(map(str, resource.getrlimit(limit)))}" for name, limit in named.items()]


def build(builder: Builder) -> str:
    """Builds the image and returns its id. Its steps have this machine's network and trust its certificates."""
    settings = builder.folder / "settings"
    settings.mkdir()
    (settings / "pip.conf").write_text(f"[global]\ncert = {CERTIFICATES}/ca-certificates.crt\n")
    (settings / "uv.toml").write_text("native-tls = true\n")
    volumes = (
        f"{CERTIFICATES}:{CERTIFICATES}",
        f"{settings}/pip.conf:/etc/pip.conf",
        f"{settings}/uv.toml:/etc/uv/uv.toml",
    )
    builder.run(
        "build",
        "--format=docker",  # the form that has a HEALTHCHECK
        "--isolation=chroot",
        "--pull=never",
        *limits(),
        *(f"--volume={volume}:ro" for volume in volumes),
        f"--iidfile={builder.folder}/id",
        "--quiet",
        ".",
        shown=True,
    )
    return (builder.folder / "id").read_text().strip()


class Container:
    """A container of the image, with a data folder and a port of this machine."""

    def __init__(self, builder: Builder, image: str) -> None:
        self._builder = builder
        self._config: dict[str, Any] = json.loads(builder.run("inspect", "--type=image", image))["Docker"]["config"]
        self._name = builder.run("from", "--pull=never", *limits(), image)
        self._data = builder.folder / "data"
        self._data.mkdir(mode=0o700)
        os.chown(self._data, USER, USER)
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port: int = found.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = builder.folder / "log"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Runs what the image runs when nothing is said; stops it as `docker stop` does."""
        command = self._run(*self._config["Entrypoint"], *self._config["Cmd"])
        with self.log.open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
            try:
                self._wait(process)
                yield
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGTERM)
                try:
                    process.wait(timeout=30)  # what compose.yaml grants
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    raise NotWorking("The server did not stop within 30 s.") from None

    def app(self, *words: str) -> str:
        """Runs a command of app.py in the container, as `docker exec` does, and returns what it prints."""
        return self._said(*self._config["Entrypoint"], *words)

    def healthy(self) -> None:
        """Runs the health check of the image. Raises NotWorking when it says no."""
        kind, *words = self._config["Healthcheck"]["Test"]
        if kind != "CMD":
            raise NotWorking(f"The health check has the form {kind}, and only CMD is known here.")
        self._said(*words)

    def give(self, name: str, value: object) -> None:
        """Puts a JSON file into the data folder."""
        path = self._data / name
        path.write_text(json.dumps(value))
        os.chown(path, USER, USER)

    def get(self, path: str, **headers: str) -> str:
        return self._answer(urllib.request.Request(self.url + path, headers=headers))

    def post(self, path: str, body: object, **headers: str) -> str:
        named = {"Content-Type": "application/json", **headers}
        return self._answer(urllib.request.Request(self.url + path, json.dumps(body).encode(), named))

    def _run(self, *words: str) -> list[str]:
        options = (f"--volume={self._data}:/data", f"--env=FLOWPORT_PORT={self.port}", "--isolation=chroot")
        return self._builder.command("run", *options, self._name, "--", *words)

    def _said(self, *words: str) -> str:
        ended = subprocess.run(self._run(*words), capture_output=True, text=True, check=False, timeout=120)
        if ended.returncode:
            raise NotWorking(f"`{' '.join(words[:4])}` ended with {ended.returncode}: {ended.stderr.strip()[-2_000:]}")
        return ended.stdout.strip()

    @staticmethod
    def _answer(request: urllib.request.Request) -> str:
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.read().decode()
        except (urllib.error.URLError, TimeoutError) as problem:
            raise NotWorking(f"{request.get_method()} {request.selector}: {problem}") from problem

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        for _ in range(600):
            if process.poll() is not None:
                raise NotWorking(f"The server ended with {process.returncode}.")
            try:
                self.get("/readyz")
            except (NotWorking, ConnectionError):
                time.sleep(0.2)
            else:
                return
        raise NotWorking("The server was not ready after two minutes.")


def try_it(container: Container) -> Iterator[str]:
    """Yields a line for each thing that works; raises NotWorking at the first that does not."""
    container.get("/healthz")
    container.healthy()
    yield "/healthz answers, and the health check of the image agrees"
    if "<title>" not in container.get("/sign-in"):
        raise NotWorking("The sign-in page is no page.")
    yield "the sign-in page comes"
    container.give("flow.json", FLOW)
    flow_id = container.app("flows", "import", "/data/flow.json")
    container.app("flows", "deploy", flow_id)
    key = container.app("keys", "create", "--label", "Image check", "--environment", "live")
    named = {"Authorization": f"Bearer {key}", "Prefer": "wait=30"}
    answer = json.loads(container.post(f"/public/v1/flows/execute/{flow_id}", {"name": "Ann"}, **named))
    if answer.get("status") != "completed" or "Hello Ann" not in json.dumps(answer):
        raise NotWorking(f"The call was answered with {answer}")
    yield "a flow is deployed inside, and a call is answered"


def checked(folder: Path, wanted: str) -> Iterator[str]:
    """Builds, starts and tries the image; yields a line for each thing that works."""
    builder = Builder(folder, store_driver(folder))
    yield f"The base image: {take_base(builder, wanted)}."
    began = time.monotonic()
    image = build(builder)
    size = json.loads(builder.run("images", "--json", "--filter", f"id={image.removeprefix('sha256:')[:12]}"))
    yield f"The image is built in {time.monotonic() - began:.0f} s: {size[0]['size'] if size else 'size unknown'}."
    container = Container(builder, image)
    began = time.monotonic()
    try:
        with container.running():
            yield f"It is ready after {time.monotonic() - began:.1f} s."
            for line in try_it(container):
                yield f"It works: {line}."
    except NotWorking:
        print(container.log.read_text(errors="replace")[-4_000:], file=sys.stderr)
        raise
    yield "It stops when it is told to."


def main(words: Sequence[str] | None = None) -> int:
    """Prints what is missing, or what works."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--base", choices=("any", "registry", "local"), default="any", help="where the base image is from"
    )
    wanted = parser.parse_args(words).base
    lacks = missing(platform.system(), os.geteuid(), {"buildah": shutil.which("buildah") is not None})
    if lacks:
        print("The image cannot be tried here.", *(f"* {one}" for one in lacks), sep="\n")
        return 2
    with tempfile.TemporaryDirectory(prefix="flowport-image-", ignore_cleanup_errors=True) as folder:
        try:
            for line in checked(Path(folder), wanted):
                print(line, flush=True)
        except NotHere as problem:
            print(f"The image cannot be tried here.\n* {problem}")
            return 2
        except NotWorking as problem:
            print(f"The image does not work. {problem}")
            return 1
    print("The image works.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
