"""The server keeps the locks of its database, whatever it reads beside SQLite."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from engine.core.ids import new_id
from storage.checkpoints import PAGES, Checkpoints
from storage.opening import open_database
from storage.sqlite_file import file_of
from storage.statements import Statement

FILL = Statement("insert into settings (scope, name, value) values (:scope, 'fill', :value)")


@pytest.mark.process
def test_looking_at_the_log_gives_up_no_lock(new_data: Path) -> None:
    """A process gives up its locks when it closes another descriptor of the same file. Then two processes write at the
    same time, and the database is damaged.
    """
    database = open_database(new_data)
    rows = [{"scope": new_id("fill"), "value": f'"{"x" * 3_500}"'} for _ in range(PAGES + 100)]
    database.write_now(lambda session: FILL.run(session, *rows))
    file = file_of(database.url)
    other = (
        "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None).execute('begin immediate')"
    )

    def begin_in_another_process() -> str:
        command = [sys.executable, "-c", other, str(file)]
        return subprocess.run(command, capture_output=True, text=True, check=False).stderr

    with (
        contextlib.closing(sqlite3.connect(file, isolation_level=None)) as writer,
        contextlib.closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as connection,
    ):
        writer.execute("begin immediate")
        Checkpoints(database.url).pass_over(connection)
        assert "database is locked" in begin_in_another_process()
        writer.execute("rollback")
        assert begin_in_another_process() == ""
    database.close()
