"""`python -m tests.engine.jobs.worker_entry DATA [GRACE SECONDS]`: a worker that also knows the test's nodes."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from engine.jobs.supervisor import PIPES
from engine.jobs.worker import WorkerOptions, run_worker
from engine.settings import Settings
from tests.engine.jobs.world import TEST_CATALOG

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    grace = float(sys.argv[2]) if len(sys.argv) > 2 else 0.5
    sys.exit(
        run_worker(
            Settings(data=Path(sys.argv[1]), outbound_allow="127.0.0.1"),
            WorkerOptions(pipes=PIPES in os.environ, grace_seconds=grace, catalog=TEST_CATALOG),
        )
    )
