"""Which tests belong to which tier of the Makefile; a test's own marks are added to these.

`make quick` runs what is neither `process` nor `browser`; a test that uses the fixture `browser` is a `browser` test.
"""

import pytest

#: Folders in which every test starts a process or listens on a socket.
PROCESS_FOLDERS = frozenset({"chaos", "commands", "contract", "hosting", "live", "soak"})

#: Fixtures that start a process or listen on a socket, wherever they are defined: whoever uses one is a `process` test.
PROCESS_FIXTURES = frozenset(
    {
        "address",
        "called",
        "command",
        "local_server",
        "model_server",
        "places",
        "receiver",
        "sandbox",
        "server",
        "shared_server",
    }
)

#: Folders without a process test, which the process tier does not even read.
NO_PROCESS = (
    "api/docs",
    "browser",
    "chaos",
    "engine/actions",
    "soak",
    "storage",
    "ui/datasets",
    "ui/flows",
    "ui/jobs",
    "ui/monitoring",
)

#: Tests that their tier would not find, filled when tests are collected; `tests/house/test_layout.py` wants none.
MISPLACED = pytest.StashKey[list[str]]()

#: Folders whose files take long: they begin first, so that at the end no process works alone on a long one.
LONG_FIRST = (
    "hosting",
    "browser",
    "seed",
    "contract",
    "security",
    "live",
    "chaos",
    "engine/jobs",
    "commands",
    "house",
)
