"""An accepted job is never lost, never ends twice and never repeats a finished step, whichever process is killed (rules
L1 to L3).

tests/live/test_endings.py checks the same in `make test` with one kill of each kind.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.kills import Chaos


@pytest.mark.chaos
@pytest.mark.timeout(400)
def test_60_jobs_survive_4_kills(tmp_path: Path) -> None:
    Chaos(tmp_path, jobs=60, kills=4, seconds=120).run()


@pytest.mark.chaos
@pytest.mark.timeout(360)
def test_300_jobs_survive_kills_again_and_again(tmp_path: Path) -> None:
    Chaos(tmp_path, jobs=300, kills=60, seconds=200).run()
