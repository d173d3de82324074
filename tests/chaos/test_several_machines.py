"""An accepted job is never lost, never ends twice and repeats no finished step on several machines either (rules L1 to L3),
whichever process, cable or database fails.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.chaos.machines import in_own_network

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make networks for machines of its own")


def _run(folder: Path, jobs: int, rounds: int) -> None:
    subprocess.run(in_own_network("tests.chaos.several_machines", str(folder), str(jobs), str(rounds)), check=True)


@needs_root
@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_250_jobs_survive_what_happens_to_six_machines(tmp_path: Path) -> None:
    _run(tmp_path, jobs=250, rounds=1)


@needs_root
@pytest.mark.chaos
@pytest.mark.costly("six machines, of which sixty processes are killed")
@pytest.mark.timeout(3 * 3600)
def test_many_jobs_survive_what_happens_to_six_machines(tmp_path: Path) -> None:
    """5,000 jobs, 60 kills of servers and workers, 10 of the database, 5 cuts of the network; about 20 minutes."""
    _run(tmp_path, jobs=5_000, rounds=15)
