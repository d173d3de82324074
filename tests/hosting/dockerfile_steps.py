"""Runs the steps of a Dockerfile in a folder, without Docker.

image = built(ROOT / "Dockerfile", ROOT, folder, base_image(folder))     every stage gets a folder of its own under `folder`
image.root, image.environment, image.command         the result of the last stage

The base image is this machine, and its Python 3 (`base_image.py`) replaces that of `FROM python:...`. Instructions that
the project's Dockerfile does not use raise an error, so that no step is ignored.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

#: Absolute paths of the image that steps may contain.
IMAGE_PATHS = re.compile(r"(?<![\w./-])/(app|data|tmp)\b")


@dataclass
class Stage:
    """One `FROM`. Paths in `environment` are those of the image; `in_folder` returns the real one."""

    root: Path
    base: dict[str, str]
    folder: str = "/"
    environment: dict[str, str] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)
    user: str = "0"
    volumes: list[str] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)

    def in_folder(self, path: str) -> Path:
        """Returns the real path of a path of the image."""
        return Path(os.path.normpath(self.root / str(PurePosixPath(self.folder) / path).lstrip("/")))

    def real(self, text: str) -> str:
        """Replaces the image's absolute paths in a text by the real ones."""
        return IMAGE_PATHS.sub(lambda found: f"{self.root}/{found[1]}", text)

    def real_environment(self) -> dict[str, str]:
        return {**self.base, **{name: self.real(value) for name, value in self.environment.items()}}


def built(dockerfile: Path, context: Path, folder: Path, base: dict[str, str]) -> Stage:
    """Runs every step and returns the last stage. A step that fails raises with its output."""
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    for instruction, rest in steps(dockerfile.read_text()):
        if instruction == "FROM":
            image, *named = rest.split()
            assert image.startswith("python:3."), f"this machine cannot stand for {image}"
            name = named[1] if named else "last"
            stages[name] = stage = Stage(folder / name, base)
            stage.root.mkdir(mode=0o755)
            stage.root.chmod(0o755)
            continue
        assert stage is not None
        _do(stage, instruction, rest, stages, context)
    assert stage is not None
    return stage


def steps(text: str) -> list[tuple[str, str]]:
    """Returns instruction and arguments of each line, without comments."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(instruction, rest.strip()) for instruction, _, rest in (line.partition(" ") for line in lines)]


def _do(stage: Stage, instruction: str, rest: str, stages: dict[str, Stage], context: Path) -> None:
    match instruction:
        case "WORKDIR":
            stage.folder = str(PurePosixPath(stage.folder) / rest)
            stage.in_folder(".").mkdir(parents=True, exist_ok=True)
        case "ARG":
            name, _, default = rest.partition("=")
            stage.arguments[name] = default
        case "ENV":
            stage.environment |= dict(pair.split("=", 1) for pair in shlex.split(rest))
        case "COPY":
            _copy(stage, rest.split(), stages, context)
        case "RUN":
            assert stage.user == "0"
            # This machine's settings for Python, such as where compiled files go, are not part of an image.
            own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
            environment = {**own, **stage.arguments, **stage.real_environment()}
            ended = subprocess.run(
                ["/bin/sh", "-c", stage.real(rest)],
                cwd=stage.in_folder("."),
                env=environment,
                check=False,
                capture_output=True,
                text=True,
                timeout=300,
            )
            assert ended.returncode == 0, f"RUN {rest}\n{ended.stdout}\n{ended.stderr}"
        case "USER":
            stage.user = rest
        case "VOLUME":
            stage.volumes.append(rest)
        case "ENTRYPOINT":
            stage.entrypoint = json.loads(rest)
        case "CMD":
            stage.command = json.loads(rest)
        case "HEALTHCHECK":
            stage.health = json.loads(rest[rest.index("CMD ") + 4 :])
        case "EXPOSE" | "STOPSIGNAL":
            pass
        case _:
            raise AssertionError(f"this replay does not know {instruction}")


def _copy(stage: Stage, words: list[str], stages: dict[str, Stage], context: Path) -> None:
    if words[0].startswith("--from="):
        source, target = stages[words[0].removeprefix("--from=")].root / words[1].lstrip("/"), stage.in_folder(words[2])
        shutil.copytree(source, target, symlinks=True)
        return
    name, target = words[0], stage.in_folder(words[1])
    sent = context_files(context)
    wanted = [path for path in sent if name == "." or path == name or path.startswith(f"{name}/")]
    assert wanted, f"COPY {name}: .dockerignore keeps it out"
    for path in wanted:
        place = target / (path if name == "." else os.path.relpath(path, name) if path != name else name)
        if path != name and name != ".":
            place = stage.in_folder(words[1]) / os.path.relpath(path, name)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(context / path, place)


def context_files(context: Path) -> list[str]:
    """Returns the tracked files that .dockerignore does not exclude; a clean clone has no others."""
    patterns = [line for line in (context / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert patterns[0] == "*"
    allowed = {pattern[1:] for pattern in patterns if pattern.startswith("!")}
    kept_out = [pattern.removeprefix("**/") for pattern in patterns[1:] if not pattern.startswith("!")]
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=context, capture_output=True, check=True, text=True).stdout
    return [
        path
        for path in listed.split("\0")
        if path
        and path.split("/", 1)[0] in allowed
        and not any(path.startswith(f"{front}/") or f"/{front}/" in path for front in kept_out)
        and (context / path).is_file()
    ]
