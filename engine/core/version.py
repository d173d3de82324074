"""The version of this program, from `pyproject.toml`, and the commit of a git checkout."""

from __future__ import annotations

import tomllib
from pathlib import Path

from engine.core.paths import PROJECT


def _read() -> str:
    try:
        project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
        return str(project["version"])
    except (OSError, KeyError, ValueError):
        return "unknown"


VERSION = _read()


def read_commit(folder: Path = PROJECT) -> str:
    """Returns the first characters of the commit that is checked out in a folder; "" where it is no git checkout. It reads
    the files of git and runs no program.
    """
    try:
        git = folder / ".git"
        if git.is_file():  # a work tree beside the repository
            git = folder / git.read_text().removeprefix("gitdir:").strip()
        head = (git / "HEAD").read_text().strip()
        name = head.removeprefix("ref: ")
        if name != head:
            shared = git / "commondir"
            git = git / shared.read_text().strip() if shared.exists() else git
            packed = git / "packed-refs"
            head = (git / name).read_text().strip() if (git / name).exists() else _packed(packed.read_text(), name)
        return head[:10]
    except (OSError, ValueError):
        return ""


def _packed(refs: str, name: str) -> str:
    return next((line.split()[0] for line in refs.splitlines() if line.endswith(f" {name}")), "")
