"""Actions on incoming webhooks: add, change, pause, resume, renew the secret, remove."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from sqlalchemy.orm import Session

from engine.actions.principal import Principal, require_may
from engine.actions.stale_forms import refuse_stale
from engine.core.clock import HOUR
from engine.core.errors import Conflict, FieldError, Invalid
from engine.core.ids import new_id
from engine.secrets.sealing import Vault
from engine.triggers.body_mapping import check_mapping
from engine.triggers.signatures import MAX_SECRET, PRESETS, new_secret
from storage.audit import add_entry
from storage.database import now
from storage.flows import hold_flow
from storage.hooks import HookRow, count_hooks, get_hook, hold_hook, insert_hook, insert_hook_secret, remove_hooks

MAX_TITLE = 100
MAX_PER_FLOW = 50
#: How long the old secret is valid beside a new one, in milliseconds.
OVERLAP_MS = 24 * HOUR
#: The shortest secret that a person may enter.
SHORTEST = 12


class NewHook(Struct, frozen=True):
    """A new hook, or a new secret of one. `secret` is shown only once."""

    id: str
    secret: str


def hook_path(hook_id: str, preset: str, secret: str = "") -> str:
    """Returns the path that the service calls; the secret of the preset `link` is its last part."""
    return f"/public/v1/hooks/{hook_id}" + (f"/{secret}" if preset == "link" and secret else "")


def add_hook(
    session: Session,
    principal: Principal,
    vault: Vault,
    flow_id: str,
    title: str,
    preset: str,
    mapping: Mapping[str, Any],
    secret: str = "",
) -> NewHook:
    """Adds a hook. `secret`: the one that the service has made, as Stripe does; "" makes a new one.

    Raises Invalid, NotFound, and Conflict when the flow has too many.
    """
    require_may(principal, "deploy")
    flow = hold_flow(session, principal.workspace_id, flow_id)
    if preset not in PRESETS:
        raise Invalid("It is not said which service calls", remedy="Choose one from the list.")
    if count_hooks(session, principal.workspace_id, flow.id) >= MAX_PER_FLOW:
        raise Conflict(f"The flow has {MAX_PER_FLOW} webhooks", remedy="Remove one that is not needed any more.")
    row = HookRow(
        id=new_id("hook"),
        workspace_id=principal.workspace_id,
        flow_id=flow.id,
        title=_title(title),
        preset=preset,
        mapping=check_mapping(mapping),
        paused=False,
        created_at=now(session),
        created_by=principal.name,
        last_at=None,
    )
    insert_hook(session, row)
    add_entry(session, principal, "add hook", flow.id, f"{row.title}: {preset}")
    return NewHook(row.id, _keep_secret(session, vault, row, secret, 0))


def change_hook(
    session: Session,
    principal: Principal,
    hook_id: str,
    title: str,
    mapping: Mapping[str, Any],
    *,
    began: HookRow | None = None,
) -> None:
    """Changes the name of a hook and what fills the fields.

    `began`: the hook as it was when the form was opened. Raises Invalid and NotFound, and VersionConflict when its name or
    mapping differs from that.
    """
    require_may(principal, "deploy")
    hook = hold_hook(session, principal.workspace_id, hook_id)
    title, checked = _title(title), check_mapping(mapping)
    if began is not None:
        refuse_stale((began.title, began.mapping), (hook.title, hook.mapping))
    hook.title, hook.mapping = title, checked
    add_entry(session, principal, "change hook", hook.flow_id, hook.title)


def pause_hook(session: Session, principal: Principal, hook_id: str) -> None:
    """Refuses the calls of a hook until it is resumed. Raises NotFound."""
    require_may(principal, "deploy")
    hook = hold_hook(session, principal.workspace_id, hook_id)
    if not hook.paused:
        hook.paused = True
        add_entry(session, principal, "pause hook", hook.flow_id, hook.title)


def resume_hook(session: Session, principal: Principal, hook_id: str) -> None:
    """Takes the calls of a hook again. Raises NotFound."""
    require_may(principal, "deploy")
    hook = hold_hook(session, principal.workspace_id, hook_id)
    if hook.paused:
        hook.paused = False
        add_entry(session, principal, "resume hook", hook.flow_id, hook.title)


def renew_hook_secret(
    session: Session, principal: Principal, vault: Vault, hook_id: str, secret: str = "", overlap_ms: int = OVERLAP_MS
) -> NewHook:
    """Gives a hook a new secret, made here or by the service; the old one is valid for the overlap. Raises Invalid and
    NotFound.
    """
    require_may(principal, "deploy")
    hook = get_hook(session, principal.workspace_id, hook_id)
    add_entry(session, principal, "renew hook secret", hook.flow_id, hook.title)
    return NewHook(hook.id, _keep_secret(session, vault, hook, secret, overlap_ms))


def remove_hook(session: Session, principal: Principal, hook_id: str) -> None:
    """Removes a hook: its address answers no more. Its jobs stay. Raises NotFound."""
    require_may(principal, "deploy")
    hook = get_hook(session, principal.workspace_id, hook_id)
    add_entry(session, principal, "remove hook", hook.flow_id, hook.title)
    remove_hooks(session, principal.workspace_id, hook_id=hook.id)


def _keep_secret(session: Session, vault: Vault, hook: HookRow, secret: str, overlap_ms: int) -> str:
    secret = secret.strip()
    if secret and (hook.preset == "link" or not SHORTEST <= len(secret) <= MAX_SECRET or not secret.isprintable()):
        said = f"It needs {SHORTEST} to {MAX_SECRET} characters on one line."
        raise Invalid("This secret cannot be used", remedy=said, errors=(FieldError("/secret", "format", said),))
    secret = secret or new_secret(hook.preset)
    secret_id = new_id("hsec")
    insert_hook_secret(session, hook, secret_id, vault.seal(hook.workspace_id, secret_id, secret), overlap_ms)
    return secret


def _title(title: str) -> str:
    title = " ".join(title.split())
    if not title or len(title) > MAX_TITLE:
        said = f"Enter a name of at most {MAX_TITLE} characters."
        raise Invalid("The webhook needs a name", remedy=said, errors=(FieldError("/title", "required", said),))
    return title
