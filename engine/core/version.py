"""The version of this program, from `pyproject.toml`."""

from __future__ import annotations

import tomllib

from engine.core.paths import PROJECT


def _read() -> str:
    try:
        project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
        return str(project["version"])
    except (OSError, KeyError, ValueError):
        return "unknown"


VERSION = _read()
