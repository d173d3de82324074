# ruff: noqa: INP001 - a script, not a package
"""Prints what a release still lacks and ends with 1, or with 0 when nothing is missing. Run it with `make release-check`."""

from __future__ import annotations

import datetime as dt
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXTRA_LOCKS = tuple(f"requirements-{extra}.lock" for extra in ("postgres", "otel", "browser"))
LOCKS = ("requirements.lock", "requirements-dev.lock", *EXTRA_LOCKS, "scripts/uv.lock.txt")
RELEASES = "tests/storage/releases"
_HEADING = re.compile(r"^## \[?([^\]\s]+)\]?(?: - (.+))?$", re.MULTILINE)
UNRELEASED = "Unreleased"
#: A line under that heading, before the next one.
_LEFT = re.compile(rf"^## \[?{UNRELEASED}\]?\n(?:(?!## ).*\n)*?\* ", re.MULTILINE)
API_CHANGES = "assets/help/api-changes.md"
_OWN_IMAGE = re.compile(r"image: flowport:([^\s-]+)")
_IMAGE = re.compile(r"!\[[^\]]*\]\(([^)]+)\)")
_BASE = re.compile(r"^FROM (\S+)", re.MULTILINE)
_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")


def missing(root: Path, today: dt.date) -> Iterator[str]:
    """What is not ready, each as a sentence that says what to do. `today` is the date in UTC."""
    version = tomllib.loads(_read(root, "pyproject.toml"))["project"]["version"]
    yield from _changelog(root, version, today)
    for name in ("CHANGELOG.md", API_CHANGES):
        if _LEFT.search(_read(root, name)):
            yield f"{name} has changes under {UNRELEASED}. Move them to the version that is released."
    if f"\n## {version}\n" not in _read(root, API_CHANGES):
        yield (
            f"{API_CHANGES} has no section `## {version}`. Write what callers of the API have to know, or that nothing changes."
        )
    yield from _stale_locks(root)
    yield from _data_folders(root)
    for picture in _IMAGE.findall(_read(root, "README.md")):
        if not (root / picture).is_file():
            yield f"README.md shows {picture}, and there is no such file. Make it, or take it out of README.md."
    for image in dict.fromkeys(_BASE.findall(_read(root, "Dockerfile"))):
        if not _DIGEST.search(image):
            yield f"Dockerfile names the base image {image} without a digest. `make pin-image` writes it (needs Docker)."
    yield from _images(root, version)


def _images(root: Path, version: str) -> Iterator[str]:
    """The files that start containers name the image of this version, with or without an ending like `-postgres`."""
    for path in (root / "compose.yaml", root / "compose.scale.yaml", *sorted((root / "deploy").rglob("*.yaml"))):
        named = _OWN_IMAGE.findall(path.read_text(encoding="utf-8")) if path.is_file() else []
        if (path.name == "compose.yaml" and not named) or any(one != version for one in named):
            name = path.relative_to(root)
            yield f"{name} does not name the image flowport:{version}. Write the version of pyproject.toml there."


def _changelog(root: Path, version: str, today: dt.date) -> Iterator[str]:
    """The version is the newest of the change log, and its day is known."""
    text = _read(root, "CHANGELOG.md")
    headings = _HEADING.findall(text)
    if headings and headings[0][0] == UNRELEASED:
        del headings[0]
    if not headings:
        yield f"CHANGELOG.md has no version. Begin it with `## [{version}] - {today}`."
        return
    newest, day = headings[0]
    if newest != version:
        yield (
            f"pyproject.toml has the version {version}, the first one of CHANGELOG.md is {newest}. "
            "Set both to the version that is released."
        )
    released = _day(day)
    if released is None:
        yield (
            f"CHANGELOG.md says {day or 'no date'!r} for {newest}: it is not released. "
            f"On the day of the release write `## [{newest}] - {today}`."
        )
    elif released > today:
        yield f"CHANGELOG.md dates {newest} {released}, which is in the future. Write the day of the release."


def _stale_locks(root: Path) -> Iterator[str]:
    """`make lock` would change nothing. It runs on copies of the locks, and asks the package registry."""
    with tempfile.TemporaryDirectory() as folder:
        for name in LOCKS:
            copy = Path(folder) / name
            copy.parent.mkdir(exist_ok=True)
            if (root / name).is_file():
                shutil.copyfile(root / name, copy)
        made = subprocess.run(  # noqa: S603 - the only argument that varies is a folder made here
            ["make", "--silent", "lock", f"LOCKS={folder}"],  # noqa: S607 - the make that runs this script
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            yield f"The locks could not be checked, as `make lock` failed: {made.stderr.strip() or made.stdout.strip()}"
            return
        for name in LOCKS:
            if not (root / name).is_file() or (root / name).read_bytes() != (Path(folder) / name).read_bytes():
                yield f"{name} does not fit pyproject.toml. `make lock` writes it."


def _data_folders(root: Path) -> Iterator[str]:
    """A data folder of every released version, for the test that later versions open it."""
    for version, day in _HEADING.findall(_read(root, "CHANGELOG.md")):
        if _day(day) and not (root / RELEASES / f"{version}.db.gz").is_file():
            yield (
                f"{RELEASES} has no data folder of {version}. "
                f"At the commit of {version}: `.venv/bin/python -m tests.storage.releases.make`."
            )


def _day(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return None


def _read(root: Path, name: str) -> str:
    return (root / name).read_text(encoding="utf-8")


def main() -> int:
    """Prints what is missing."""
    found = list(missing(ROOT, dt.datetime.now(dt.UTC).date()))
    for sentence in found:
        print(f"* {sentence}")  # noqa: T201 - what the command is for
    lacks = "1 thing is" if len(found) == 1 else f"{len(found)} things are"
    print(f"{lacks} missing for a release." if found else "Ready for a release.")  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
