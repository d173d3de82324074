"""The driver of PostgreSQL: who lacks it is told what installs it here, and setting up anew keeps it."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine.core.settings import BadSetting
from storage.migrations.upgrade import require_driver

ROOT = Path(__file__).parents[2]


def test_the_command_that_installs_a_missing_driver_works_where_it_is_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    uv = tmp_path / "uv"
    uv.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(BadSetting) as told:
        require_driver()

    said = re.search(r"`(.*?)`", str(told.value))
    assert said
    words = shlex.split(said[1])
    assert words[:3] == [str(uv), "pip", "install"]
    assert words[words.index("--python") + 1] == sys.executable
    assert Path(words[-1]).samefile(ROOT / "requirements-postgres.lock")


@pytest.mark.process
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
