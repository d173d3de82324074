"""Who lacks the driver of PostgreSQL is told what installs it here."""

from __future__ import annotations

import re
import shlex
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
