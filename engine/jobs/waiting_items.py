"""Items of batches, and jobs that go on after a person's answer, wait in `queued` without a slot. They are admitted as
slots become free, the oldest first.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from engine.jobs.huey_queue import send, send_ahead
from storage.batches import admit_item, environments_with_waiting_items, has_waiting_items, waiting_items
from storage.keys import find_concurrency
from storage.usage import release_slot, take_active, usage_subject
from storage.workspaces import get_limits

_PAGE = 32


def admit_waiting(session: Session, workspace_id: str, environment: str) -> int:
    """Gives free slots of an environment to the jobs that wait for one, and sends these to the queue. Returns how many."""
    if not has_waiting_items(session, workspace_id, environment):
        return 0
    subject = usage_subject(workspace_id, environment)
    full_keys: set[str] = set()
    admitted: list[tuple[str, str]] = []
    resumed: list[str] = []  # they had their turn already
    free = True
    while free and (page := waiting_items(session, workspace_id, environment, full_keys, _PAGE)):
        concurrency = get_limits(session, workspace_id).caps[environment].concurrency
        for job_id, key_id, goes_on in page:
            if key_id in full_keys:
                continue
            if not take_active(session, subject, concurrency):
                free = False
                break
            if key_id is not None and not take_active(session, key_id, find_concurrency(session, key_id)):
                release_slot(session, subject)
                full_keys.add(key_id)
                continue
            admit_item(session, job_id)
            if goes_on:
                resumed.append(job_id)
            else:
                admitted.append((job_id, f"batches of {key_id or workspace_id}"))
    send(session, *admitted)
    if resumed:
        send_ahead(session, *resumed)
    return len(admitted) + len(resumed)


def admit_all_waiting(session: Session) -> int:
    """Admits waiting items in all environments: a limit may have been raised, or a process died before it admitted
    them.
    """
    waiting = environments_with_waiting_items(session)
    return sum(admit_waiting(session, workspace_id, environment) for workspace_id, environment in waiting)
