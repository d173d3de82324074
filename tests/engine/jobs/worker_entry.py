"""`python -m tests.engine.jobs.worker_entry DATA [GRACE SECONDS [DRAIN SECONDS]]`: a worker with the node types of the
tests.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from engine.core.settings import Settings
from engine.jobs.server.supervisor import ALONE, PIPES
from engine.jobs.worker.worker import WorkerOptions, run_worker
from tests.databases import url_of
from tests.engine.jobs.world import TEST_CATALOG

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    grace, drain = [float(said) for said in sys.argv[2:]] + [0.5, 60.0][len(sys.argv[2:]) :]
    data = Path(sys.argv[1])
    sys.exit(
        run_worker(
            Settings(data=data, database_url=url_of(data), outbound_allow="127.0.0.1"),
            WorkerOptions(
                pipes=PIPES in os.environ,
                alone=ALONE in os.environ,
                grace_seconds=grace,
                drain_seconds=drain,
                catalog=TEST_CATALOG,
            ),
        )
    )
