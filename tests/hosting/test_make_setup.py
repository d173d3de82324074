"""`make setup` installs what the lock files say, and keeps the driver of PostgreSQL that somebody added."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("has_driver", [False, True])
def test_setting_up_anew_keeps_the_driver(tmp_path: Path, has_driver: bool):
    for name in ("Makefile", "requirements.lock", "requirements-postgres.lock"):
        shutil.copy(ROOT / name, tmp_path)
    packages = tmp_path / ".venv" / "lib" / "python3.11" / "site-packages"
    (packages / ("psycopg" if has_driver else "other")).mkdir(parents=True)

    said = subprocess.run(
        ["make", "-n", "UV=uv", "setup"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout

    assert "requirements.lock" in said
    assert ("requirements-postgres.lock" in said) == has_driver
