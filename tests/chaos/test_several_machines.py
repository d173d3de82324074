"""An accepted job is never lost, never ends twice and repeats no finished step on several machines either (rules L1 to L3),
whichever process, cable or database fails.
"""

from __future__ import annotations

import os
import subprocess
import tempfile

import pytest

from tests.chaos.machines import in_own_network

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make networks for machines of its own")


def _run(jobs: int, rounds: int) -> None:
    # Not in pytest's own folder: each start of pytest closes that to other users, also for a PostgreSQL that is at work in it.
    with tempfile.TemporaryDirectory(
        prefix="flowport-machines-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")
    ) as folder:
        subprocess.run(in_own_network("tests.chaos.several_machines", folder, str(jobs), str(rounds)), check=True)


@needs_root
@pytest.mark.chaos
@pytest.mark.costly("six machines, whose processes are killed in each way once")
@pytest.mark.timeout(900)
def test_250_jobs_survive_what_happens_to_six_machines() -> None:
    _run(jobs=250, rounds=1)


@needs_root
@pytest.mark.chaos
@pytest.mark.costly("six machines, of which sixty processes are killed")
@pytest.mark.timeout(3 * 3600)
def test_many_jobs_survive_what_happens_to_six_machines() -> None:
    """5,000 jobs, 60 kills of servers and workers, 10 of the database, 5 cuts of the network; about 20 minutes."""
    _run(jobs=5_000, rounds=15)
