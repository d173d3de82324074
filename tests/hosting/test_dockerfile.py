"""The steps of the Dockerfile, run in a folder and used as its user. These tests do not build the image itself."""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from scripts.release_check import EXTRA_LOCKS
from tests.factories import as_bytes
from tests.hosting.base_image import base_image
from tests.hosting.dockerfile_steps import Stage, built, context_files, steps
from tests.live import flows
from tests.live.caller import Caller
from tests.live.holding_site import HoldingSite
from tests.live_server import LiveServer, free_port

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"
UID = 10001
CLONE_NEWUTS = 0x04000000

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="the steps set owners and become user 10001: that needs root")


class Container:
    """Does what `docker run` does with the image: its user, its environment, a read-only tree, two writable folders."""

    def __init__(self, image: Stage, temporary: Path, outbound_allow: str) -> None:
        self.image, self.port = image, free_port()
        self.temporary = temporary
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **image.real_environment(),
            "HOME": str(temporary),
            "TMPDIR": str(temporary),
            "FLOWPORT_PORT": str(self.port),
            "FLOWPORT_OUTBOUND_ALLOW": outbound_allow,
        }
        self.log = (image.root.parent / "log").open("ab")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, host_name: str) -> None:
        def become() -> None:
            if ctypes.CDLL(None).unshare(CLONE_NEWUTS) == 0:
                socket.sethostname(host_name)
            os.setgroups([])
            os.setgid(UID)
            os.setuid(UID)

        command = [*self.image.entrypoint, *self.image.command]
        self.process = subprocess.Popen(
            command,
            cwd=self.image.in_folder("."),
            env=self.environment,
            stdout=self.log,
            stderr=self.log,
            preexec_fn=become,  # noqa: PLW1509 - Popen has no argument for a host name
        )
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.said()
            try:
                if httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        raise AssertionError(f"not ready:\n{self.said()}")

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=90)

    def run(self, *command: str, stdin: bytes = b"") -> str:
        """Runs a command of app.py, like `docker exec`."""
        ended = subprocess.run(
            [*self.image.entrypoint, *command],
            input=stdin,
            cwd=self.image.in_folder("."),
            env=self.environment,
            capture_output=True,
            user=UID,
            group=UID,
            extra_groups=[],
            timeout=60,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr.decode()
        return ended.stdout.decode().strip()

    def healthy(self) -> bool:
        folder = self.image.in_folder(".")
        ended = subprocess.run(
            self.image.health, cwd=folder, env=self.environment, check=False, capture_output=True, timeout=30
        )
        return ended.returncode == 0

    def said(self) -> str:
        return (self.image.root.parent / "log").read_text(errors="replace")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that another user can enter, unlike pytest's own folders."""
    made = Path(tempfile.mkdtemp(prefix="flowport-image-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def image(folder: Path) -> Stage:
    return built(DOCKERFILE, ROOT, folder, base_image(folder))


@as_root
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_jobs_survive_a_container_that_is_replaced_by_another(image: Stage, folder: Path):
    temporary = folder / "temporary"
    temporary.mkdir()
    os.chown(temporary, UID, UID)
    before = {path for path in image.root.rglob("*") if "data" not in path.parts}
    with HoldingSite() as site:
        container = Container(image, temporary, site.origin.removeprefix("http://"))
        try:
            container.start("first-host")
            assert "Set-up link: http://localhost" in container.said()
            assert container.healthy()
            file = folder / "flow.json"
            file.write_bytes(as_bytes(flows.one_node(flows.fetch(), flows.URL)))
            flow_id = container.run("flows", "import", str(file))
            container.run("flows", "deploy", flow_id)
            caller = Caller(container.url, container.run("keys", "create", "--label", "Shop", "--environment", "live"))
            jobs = [caller.accepted(flow_id, {"url": site.hold("slow")}) for _ in range(4)]
            site.wait_until_held("slow", times=4)

            stopping = time.monotonic()
            assert container.stop() == 0, container.said()
            assert time.monotonic() - stopping < 29, "longer than stop_grace_period"
            assert not container.healthy()
            container.start("second-host")
            site.wait_until_held("slow", times=8)
            site.let_go("slow")

            assert [caller.ended(job_id)["status"] for job_id in jobs] == ["completed"] * 4
            assert container.stop() == 0
        finally:
            if container.process is not None and container.process.poll() is None:
                container.process.kill()
            container.log.close()
    after = {path for path in image.root.rglob("*") if "data" not in path.parts}
    assert after == before, "only the data folder and the temporary folder may change"
    assert "Traceback" not in container.said(), container.said()


@as_root
@pytest.mark.slow
def test_the_image_holds_the_program_and_nothing_for_developers(image: Stage):
    app = image.root / "app"
    assert {path.name for path in app.iterdir() if path.name != "__pycache__"} == {
        ".venv", "app.py", "api", "assets", "engine", "storage", "ui", "requirements.lock", *EXTRA_LOCKS, "LICENSE", "README.md", "pyproject.toml",
    }  # fmt: skip
    installed = {path.name.lower() for path in (app / ".venv").glob("lib/python3.*/site-packages/*")}
    assert "fastapi" in installed
    assert not {"pytest", "playwright", "ruff", "basedpyright", "hypothesis"} & installed
    owners = {path.lstat().st_uid for path in app.rglob("*")}
    assert owners == {0}
    writable = [path for path in app.rglob("*") if not path.is_symlink() and path.stat().st_mode & stat.S_IWOTH]
    assert writable == []


def test_what_is_copied_is_the_program_and_nothing_for_developers():
    """Checks the list of copied files only; `make slow` builds the image itself."""
    rest = [line for instruction, line in steps(DOCKERFILE.read_text()) if instruction in {"COPY", "RUN"}]
    copied = {path.split("/", 1)[0] for path in context_files(ROOT)}
    assert rest[-4:] == ["rm -rf .uv .venv/.lock scripts", rest[-3], "--from=build /app /app", rest[-1]]
    assert rest[-1].startswith("install -d -m 0700 -o 10001")
    assert copied - {"scripts"} == {
        "app.py", "api", "assets", "engine", "storage", "ui", "requirements.lock", *EXTRA_LOCKS, "LICENSE", "README.md", "pyproject.toml",
    }  # fmt: skip
    assert [line for line in rest if "pip" in line and "$WITH" not in line] == [
        ".uv/bin/uv pip sync -q --require-hashes --compile-bytecode requirements.lock"
    ]
    locked = {line.split("==")[0] for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line}
    assert "fastapi" in locked
    assert not {"pytest", "playwright", "ruff", "basedpyright", "hypothesis"} & locked


@pytest.mark.parametrize(
    ("asked", "given", "chromium"),
    [("", [], False), ("postgres ", ["postgres"], False), ("otel browser", ["otel", "browser"], True)],
)
def test_the_image_gets_the_extras_that_are_asked_for_with_their_hashes(
    tmp_path: Path, asked: str, given: list[str], chromium: bool
):
    assert run_with(tmp_path, asked).returncode == 0
    said = (tmp_path / "said").read_text().splitlines() if given else []
    installed = [line for line in said if line.startswith("pip")]
    assert installed == [
        f"pip install -q --require-hashes --compile-bytecode -r requirements-{one}.lock" for one in given
    ]
    assert ("install -y --no-install-recommends chromium" in said) == chromium


def test_an_extra_that_there_is_not_ends_the_build(tmp_path: Path):
    assert run_with(tmp_path, "otel fast browser").returncode != 0
    assert "browser" not in (tmp_path / "said").read_text()


def run_with(folder: Path, asked: str) -> subprocess.CompletedProcess[bytes]:
    """Runs the steps that look at the argument WITH. What installs writes its words into the file `said` and, as uv does,
    fails without the file with the lock.
    """
    (folder / ".uv" / "bin").mkdir(parents=True)
    for name in ("apt-get", ".uv/bin/uv"):
        (folder / name).write_text(f'#!/bin/sh\ncd {folder}\necho "$@" >> said\n[ "$1" != pip ] || [ -f "$7" ]\n')
        (folder / name).chmod(0o755)
    for name in EXTRA_LOCKS:
        shutil.copy(ROOT / name, folder)
    found = [line for name, line in steps(DOCKERFILE.read_text()) if name == "RUN" and "$WITH" in line]
    # the folder of lists is that of the image
    script = "\n".join(found).replace("/var/lib/apt", f"{folder}/apt")
    environment = {"WITH": asked, "PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.run(["/bin/sh", "-ec", script], cwd=folder, env=environment, check=False, timeout=30)


@pytest.mark.parametrize("name", EXTRA_LOCKS)
def test_an_extra_takes_nothing_that_the_program_has_in_another_version(name: str):
    """It is installed beside the program and would replace it."""
    own, added = (dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / one).read_text(), re.MULTILINE)) for one in ("requirements.lock", name))  # fmt: skip
    assert {package: own[package] for package in added if package in own} == {
        package: version for package, version in added.items() if package in own
    }


def test_the_health_check_of_the_image_asks_the_server(shared_server: LiveServer):
    found = dict(steps(DOCKERFILE.read_text()))["HEALTHCHECK"]
    _, *options = json.loads(found[found.index("CMD ") + 4 :])
    for port, healthy in ((shared_server.port, True), (free_port(), False)):
        environment = {**os.environ, "FLOWPORT_PORT": str(port)}
        ended = subprocess.run(
            [sys.executable, *options], env=environment, check=False, capture_output=True, timeout=120
        )
        assert (ended.returncode == 0) is healthy


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="what a process writes to is told by /proc")
def test_a_running_server_writes_to_its_data_folder_alone(shared_server: LiveServer):
    """So the image's tree can be read-only. The server's log is a file only in this test."""
    assert shared_server.process is not None
    processes = [shared_server.process.pid, *children_of(shared_server.process.pid)]
    assert len(processes) > 1, "there is a worker"
    written = {path for pid in processes for path in written_by(pid)}
    inside = (str(shared_server.data), str(shared_server.log_file), "/dev/", "/proc/", "/memfd:", tempfile.gettempdir())
    assert [path for path in written if not path.startswith(inside)] == []
    assert any(path.startswith(str(shared_server.data)) for path in written)


def children_of(pid: int) -> list[int]:
    """Returns the child processes of this process."""
    found = [child for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()]
    return [number for child in found for number in (int(child), *children_of(int(child)))]


def written_by(pid: int) -> set[str]:
    """Returns the files that this process holds open for writing."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            flags = int(Path(f"/proc/{pid}/fdinfo/{entry.name}").read_text().split("flags:")[1].split()[0], 8)
            path = str(entry.readlink())
        except OSError:  # closed meanwhile
            continue
        if flags & (os.O_WRONLY | os.O_RDWR) and path.startswith("/"):
            found.add(path)
    return found


def test_the_image_says_who_runs_it_and_how():
    found = dict(steps(DOCKERFILE.read_text()))
    assert found["USER"] == f"{UID}:{UID}"
    assert found["VOLUME"] == "/data"
    assert "FLOWPORT_HOST=0.0.0.0" in found["ENV"]
    assert "/healthz" in found["HEALTHCHECK"]


def test_the_base_image_is_a_version_and_the_same_for_both_stages():
    bases = [rest.split()[0] for instruction, rest in steps(DOCKERFILE.read_text()) if instruction == "FROM"]
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", bases[0])


def test_a_release_writes_the_digest_of_the_base_image(tmp_path: Path):
    (tmp_path / "Dockerfile").write_text(DOCKERFILE.read_text())
    digest = f"sha256:{'5e' * 32}"
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(f'#!/bin/sh\necho "$@" >> asked\necho {digest}\n')
    docker.chmod(0o755)
    environment = {"PATH": f"{docker.parent}:{os.environ['PATH']}"}
    for _again in range(2):
        subprocess.run([ROOT / "scripts" / "pin-base-image"], cwd=tmp_path, env=environment, check=True, timeout=30)
    before, after = steps(DOCKERFILE.read_text()), steps((tmp_path / "Dockerfile").read_text())
    tag = before[0][1].split()[0].partition("@")[0]
    assert [rest.split()[0] for instruction, rest in after if instruction == "FROM"] == [f"{tag}@{digest}"] * 2
    assert [step for step in after if step[0] != "FROM"] == [step for step in before if step[0] != "FROM"]
    assert f"imagetools inspect {tag} " in (tmp_path / "asked").read_text()


def test_uv_is_installed_by_version_and_hash():
    script = (ROOT / "scripts" / "get-uv").read_text()
    assert "--require-hashes" in script
    lock = (ROOT / "scripts" / "uv.lock.txt").read_text()
    names = re.findall(r"^(\S+==\S+)", lock, re.MULTILINE)
    assert [name.partition("==")[0] for name in names] == ["uv"]
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", lock)) > 10, "one for each platform"
    assert "://" not in lock, "no host of a registry"


def test_compose_gives_the_container_nothing_it_does_not_need():
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    (service,) = compose["services"].values()
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"] == "4g"
    assert 256 <= service["pids_limit"] <= 4096
    assert [re.fullmatch(r"/tmp:size=\d+m,mode=1777", one) is not None for one in service["tmpfs"]] == [True]


def test_compose_is_one_service_with_one_volume():
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    (service,) = compose["services"].values()
    assert service["restart"] == "unless-stopped"
    assert service["stop_grace_period"] == "30s"
    assert service["init"] is True
    assert service["read_only"] is True
    assert service["extra_hosts"] == ["host.docker.internal:host-gateway"]
    assert [volume.split(":")[1] for volume in service["volumes"]] == ["/data"]
    assert list(compose["volumes"]) == ["flowport-data"]
