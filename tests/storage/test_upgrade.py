from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from storage.database import open_database
from storage.migrations.upgrade import VERSIONS, NewerData

ROOT = Path(__file__).parents[2]
OPEN = """
import sys
from pathlib import Path
from storage.database import open_database
open_database(Path(sys.argv[1])).close()
print("alembic" in sys.modules)
"""


def schema(data: Path, *, becomes: str | None = None) -> str:
    connection = sqlite3.connect(data / "flowport.db")
    with connection:
        if becomes is not None:
            connection.execute("update alembic_version set version_num = ?", (becomes,))
        (found,) = connection.execute("select version_num from alembic_version").fetchone()
    connection.close()
    return found


def test_a_new_folder_gets_the_newest_schema_and_its_files_are_named_after_it(tmp_path):
    open_database(tmp_path).close()
    config = Config()
    config.set_main_option("script_location", str(VERSIONS.parent))
    script = ScriptDirectory.from_config(config)
    assert schema(tmp_path) == script.get_current_head()
    revisions = {revision.revision for revision in script.walk_revisions()}
    assert {file.name.split("_")[0] for file in VERSIONS.glob("0*.py")} == revisions


def test_a_folder_with_the_newest_schema_is_opened_without_loading_what_migrates(tmp_path):
    for migrated in ("True", "False"):
        done = subprocess.run(
            [sys.executable, "-c", OPEN, tmp_path], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == migrated


def test_a_folder_of_a_newer_program_is_refused_and_left_alone(tmp_path):
    open_database(tmp_path).close()
    schema(tmp_path, becomes="9999")
    with pytest.raises(NewerData, match="newer Flowport"):
        open_database(tmp_path)
    assert schema(tmp_path) == "9999"
