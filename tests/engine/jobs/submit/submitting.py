"""Keys and calls, for tests of what is accepted."""

from __future__ import annotations

from engine.actions.jobs import submit
from engine.core.ids import new_id
from engine.jobs.submit.accept import (
    Caller,
)
from engine.jobs.submit.bodies import SubmitOptions
from engine.jobs.transitions import claim, finish
from storage.database import now
from storage.job_changes import Lease
from storage.tables import ApiKey
from tests.engine.jobs.world import World


def add_key(world: World, **changes) -> Caller:
    key_id = new_id("key")

    def add(session) -> None:
        row = {
            "environment": "live",
            "label": "Shop",
            "flow_ids": None,
            "concurrency": None,
            "monthly": None,
            "created_at": now(session),
            "created_by": "test",
            **changes,
        }
        session.add(ApiKey(id=key_id, workspace_id=world.workspace_id, **row))

    world.write(add)
    return Caller(world.workspace_id, key_id, changes.get("environment", "live"), "Shop", "fp_live_ab")


def submit_with(world: World, caller: Caller, flow_id: str, payload=None, **options):
    return world.write(submit, caller, flow_id, payload or {}, SubmitOptions(**options))


def end(world: World, job_id: str) -> None:
    claimed = world.write(claim, "boot_w", job_id)
    world.write(finish, job_id, "completed", lease=Lease("boot_w", claimed.attempt), result=("1", 1))
