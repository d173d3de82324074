"""Creates this version's data folder for upgrade tests of later versions: `python -m tests.storage.releases.make`.

Run it once when a version is released, and commit the two files it writes. The folder holds a deployed flow, a key, jobs
that have ended, one that runs in a worker that is gone, some that wait, and rows in every other table (`rows.py`).
"""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
import tempfile
from pathlib import Path

from sqlalchemy import func, select

from engine.actions.deployments import deploy
from engine.actions.flows import import_flow
from engine.actions.jobs import submit
from engine.actions.keys import create_key
from engine.actions.principal import command_line
from engine.actions.workspaces import ensure_workspace
from engine.core.clock import Millis
from engine.core.version import VERSION
from engine.jobs.job_values import encoded
from engine.jobs.submit.accept import Caller
from engine.jobs.submit.bodies import SubmitOptions
from engine.jobs.transitions import claim, finish
from storage.job_changes import Lease
from storage.migrations.schema import VERSIONS, newest_schema
from storage.opening import open_database
from storage.tables import Base
from tests.factories import flow_file
from tests.storage.releases.rows import add_rows

FOLDER = Path(__file__).parent
GONE = "boot_gone"
TABLES = dict(sorted(Base.metadata.tables.items()))
FLOW = {
    "format": 1,
    "title": "Greeting",
    "nodes": [
        {
            "id": "api_input",
            "type": "api_input",
            "config": {"fields": [{"name": "name", "type": "string", "required": True}]},
        },
        {"id": "set_fields", "type": "set_fields", "inputs": {"text": "Hello {{ api_input.out.name }}"}},
    ],
    "edges": [{"id": "e1", "source": "api_input", "target": "set_fields"}],
}


class _Still:
    """A clock with a fixed time, so that the file is the same each time except for ids."""

    def now(self) -> Millis:
        return Millis(1_764_000_000_000)


def digest_of_migrations(schema: str) -> str:
    """Returns the SHA-256 of the text of every migration up to this one."""
    files = (path for path in sorted(VERSIONS.glob("0*.py")) if path.name.split("_")[0] <= schema)
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def make(target: Path) -> None:
    """Writes the folder's database, compressed, and the values that an upgrade must preserve."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        database = open_database(data, clock=_Still())
        workspace_id = database.write_now(ensure_workspace, "enterprise")
        owner = command_line(workspace_id)
        flow_id = database.write_now(import_flow, owner, flow_file(FLOW)).flow_id
        database.write_now(deploy, owner, flow_id)
        key = database.write_now(create_key, owner, "Shop", "live")
        caller = Caller(workspace_id, key.id, "live", "Shop")
        names = ("Ann", "Bea", "Cat", "Dan", "Eve")
        jobs = {
            name: database.write_now(submit, caller, flow_id, {"name": name}, SubmitOptions()).job_id for name in names
        }
        for name in ("Ann", "Bea"):
            database.write_now(claim, "boot_old", jobs[name])
            result = encoded({"output": {"text": f"Hello {name}"}})
            database.write_now(finish, jobs[name], "completed", lease=Lease("boot_old", 1), result=result)
        database.write_now(claim, GONE, jobs["Cat"])
        database.write_now(add_rows, workspace_id, flow_id, key.id, jobs["Ann"])
        with database.reading() as session:
            rows = {name: session.scalar(select(func.count()).select_from(table)) for name, table in TABLES.items()}
        database.close()
        with gzip.GzipFile(target, "wb", mtime=0) as packed:
            packed.write((data / "flowport.db").read_bytes())
    schema = newest_schema()
    told = {
        "schema": schema,
        "migrations": digest_of_migrations(schema),
        "flow_id": flow_id,
        "jobs": jobs,
        "rows": rows,
    }
    target.with_suffix("").with_suffix(".json").write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    make(FOLDER / f"{sys.argv[1] if len(sys.argv) > 1 else VERSION}.db.gz")
