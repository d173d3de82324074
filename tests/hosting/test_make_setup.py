"""`make setup` installs what the lock files say, and keeps the extras that somebody added."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.release_check import EXTRA_LOCKS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("package", "kept"),
    [("other", None), ("psycopg", "postgres"), ("opentelemetry/sdk", "otel"), ("playwright", "browser")],
)
def test_setting_up_anew_keeps_an_extra(tmp_path: Path, package: str, kept: str | None):
    for name in ("Makefile", "requirements.lock", *EXTRA_LOCKS):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv" / "lib" / "python3.11" / "site-packages" / package).mkdir(parents=True)

    said = subprocess.run(
        ["make", "-n", "UV=uv", "setup"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout

    assert "requirements.lock" in said
    assert [name for name in EXTRA_LOCKS if name in said] == ([f"requirements-{kept}.lock"] if kept else [])
