"""An accepted job is never lost, never ends twice and never repeats a finished step, whichever process is killed (rules
L1 to L3).

tests/live/test_endings.py checks the same in `make test` with one kill of each kind.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.chaos.kills import Chaos


@pytest.mark.chaos
@pytest.mark.timeout(400)
def test_60_jobs_survive_4_kills(tmp_path: Path) -> None:
    Chaos(tmp_path, jobs=60, kills=4, seconds=120).run()


@pytest.mark.chaos
@pytest.mark.costly("a hundred starts of a server")
@pytest.mark.timeout(3 * 3600)
def test_many_jobs_survive_kills_again_and_again(tmp_path: Path) -> None:
    """10,000 jobs and 200 kills, about 40 minutes; `make chaos JOBS=300 KILLS=60` takes four."""
    jobs, kills = int(os.environ.get("CHAOS_JOBS", "10000")), int(os.environ.get("CHAOS_KILLS", "200"))
    Chaos(tmp_path, jobs=jobs, kills=kills, seconds=2.5 * 3600, clients=32).run()
