"""The version of this program, as `pyproject.toml` says."""

from __future__ import annotations

import tomllib
from pathlib import Path


def _read() -> str:
    try:
        project = tomllib.loads((Path(__file__).resolve().parents[1] / "pyproject.toml").read_text())["project"]
        return str(project["version"])
    except (OSError, KeyError, ValueError):
        return "unknown"


VERSION = _read()
