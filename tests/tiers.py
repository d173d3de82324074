"""Assigns tests to the tiers of the Makefile, in addition to their own markers.

`make inside` runs tests that are neither `process` nor `browser`, and `make quick` those of them that are soon done; a
test that uses the fixture `browser` is a `browser` test. `make test-postgres` runs the in-process and the process tests
of the folders that open a database, once more, on a real PostgreSQL: with those marked `postgres`, which every other run
leaves out, and without those marked `sqlite`.
"""

import pytest

#: Folders in which every test starts a process or listens on a socket.
PROCESS_FOLDERS = frozenset({"chaos", "commands", "contract", "hosting", "live", "soak"})

#: Fixtures that start a process or listen on a socket, wherever they are defined. Tests that use one are `process`
#: tests.
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

#: Folders without process tests, which the process tier does not collect.
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

#: Ids of tests that their tier would not find, collected for `tests/house/test_layout.py`, which requires an empty list.
MISPLACED = pytest.StashKey[list[str]]()

#: Folders with long-running files. They start first, so that no process is left alone with a long file at the end.
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
