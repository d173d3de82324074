"""Checks before a deployment: problems, what changes for callers, and which keys the changes affect."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from sqlalchemy.orm import Session

from engine.actions.called_flows import asks_person_anywhere, calls_older_versions
from engine.actions.datasets import known_datasets
from engine.actions.deployments import problems_before_deploy, warnings_before_deploy
from engine.actions.keys import find_try_key
from engine.core.errors import Problem
from engine.core.settings import Settings
from engine.flow.accept_field import has_field
from engine.flow.caller_changes import CallerChange, caller_changes
from engine.flow.document import Document, load_document
from engine.flow.flow_warnings import FlowWarning
from engine.flow.validation import without_parked
from engine.flow.version_comparison import answers_may_differ, content_of
from engine.nodes import CATALOG
from storage.database import now
from storage.flows import FlowRow, get_draft, get_flow, get_version
from storage.keys import list_keys
from storage.sent_fields import CALLS, count_sent_fields
from ui.flows.made_up_note import MadeUp, load_made_up
from ui.flows.practice_note import Practice, load_practice
from ui.kit.text import _, plural
from ui.parts.written_rows import tables_of

DAYS = 7
#: Most keys that are named; for more only their number is shown.
MAX_NAMED = 4


class Noticed(Struct, frozen=True):
    """A change that callers notice, with a sentence about the affected keys ("" when they are not known)."""

    change: CallerChange
    keys: str
    hits: bool


class Checks(Struct, frozen=True):
    """The result of the checks. `number` is the version that callers will get."""

    flow: FlowRow
    number: int
    problems: tuple[Problem, ...]
    changes: tuple[Noticed, ...]
    labels: Mapping[str, str]
    warnings: tuple[FlowWarning, ...]
    made_up: MadeUp
    #: True when calls may be answered in another way than by the live version.
    answers_may_differ: bool
    practice: Practice
    #: The tables that calls save rows in from then on, and do not yet.
    saves: tuple[str, ...]
    #: What was checked.
    document: Document
    #: Whether a run may wait for a person.
    asks: bool

    @property
    def heading(self) -> tuple[str, str]:
        """What the checks found, in one sentence, and whether that is `ok` or `warn`."""
        breaking = [one for one in self.changes if one.change.weight == "breaking"]
        refused = [one for one in self.changes if one.change.sent_now_refused or one.change.missing_now_refused]
        if any(one.hits for one in refused):
            return _("Some calls that work today will get an error."), "warn"
        if refused:
            return _("It can go live, but calls that no longer fit will get an error."), "warn"
        if breaking:
            return _("It can go live, but programs that use the result may stop working."), "warn"
        return _("It can go live.") if self.to_look_at else _("No problems."), "ok"

    @property
    def to_look_at(self) -> str:
        """What stands above the warnings, as a sentence; "" when there is none."""
        count = len(self.warnings) + bool(self.made_up.steps) + bool(self.practice.node_id)
        things = plural(count, _("thing"), _("things"))
        return _("Look at {things} first:").format(things=things) if count else ""


def look_before_deploy(
    session: Session, workspace_id: str, flow_id: str, version: int | None = None, settings: Settings | None = None
) -> Checks:
    """Checks the draft or a saved version. `settings`: those of the server. Raises NotFound."""
    flow = get_flow(session, workspace_id, flow_id)
    was_live = False
    older = version is None and calls_older_versions(session, workspace_id, flow_id)
    if version is None and (flow.draft_differs or older or not flow.newest_version):
        number = flow.newest_version + 1
        document = load_document(get_draft(session, workspace_id, flow_id).document)
    else:
        number = version or flow.newest_version
        row = get_version(session, workspace_id, flow_id, number)
        document, was_live = load_document(row.document), row.first_deployed_at is not None
    changes: tuple[Noticed, ...] = ()
    differ = False
    saves = _tables(session, workspace_id, document)
    if flow.live_version is not None:
        live = load_document(get_version(session, workspace_id, flow_id, flow.live_version).document)
        found = caller_changes(live, document, CATALOG)
        changes = tuple(_noticed(session, workspace_id, flow_id, document, found))
        saves = tuple(name for name in saves if name not in _tables(session, workspace_id, live))
        of_version = number <= flow.newest_version
        differ = older or (
            answers_may_differ(live, document)
            if of_version
            else answers_may_differ(content_of(live), content_of(document))
        )
    problems = tuple(problems_before_deploy(session, workspace_id, flow_id, document, settings, was_live=was_live))
    warnings = tuple(warnings_before_deploy(session, workspace_id, document))
    labels = {node.id: node.name for node in document.nodes}
    made_up = load_made_up(session, workspace_id, flow_id, document)
    practice = load_practice(session, workspace_id, flow_id, document)
    asks = asks_person_anywhere(session, workspace_id, document)
    return Checks(flow, number, problems, changes, labels, warnings, made_up, differ, practice, saves, document, asks)


def _tables(session: Session, workspace_id: str, document: Document) -> tuple[str, ...]:
    known = known_datasets(session, workspace_id)
    return tuple(one.name for one in tables_of(without_parked(document), known))


def _noticed(
    session: Session, workspace_id: str, flow_id: str, document: Document, changes: tuple[CallerChange, ...]
) -> list[Noticed]:
    """Adds the affected keys to each change.

    Revoked and expired keys are left out, and so is the "Try it now" key, because its requests always fit the flow.
    """
    at, own = now(session), find_try_key(session, workspace_id)
    labels = {
        key.id: key.label for key in list_keys(session, workspace_id) if key.status(at) == "active" and key.id != own
    }
    sent = {
        labels[key_id]: fields
        for key_id, fields in count_sent_fields(session, workspace_id, flow_id, DAYS).items()
        if key_id in labels
    }
    return [_hit(change, document, sent) for change in changes]


def _hit(change: CallerChange, document: Document, sent: Mapping[str, Mapping[str, int]]) -> Noticed:
    name = change.field
    if name is None or not (change.sent_now_refused or change.missing_now_refused):
        return Noticed(change, "", hits=False)
    if change.missing_now_refused:
        keys = [label for label, fields in sent.items() if fields.get(name, 0) < fields.get(CALLS, 0)]
        did = _("called without `{name}`").format(name=name)
    else:
        keys = [label for label, fields in sent.items() if fields.get(name)]
        did = _("sent `{name}`").format(name=name)
    if not keys:
        return Noticed(change, _("No key {did} in the last 7 days.").format(did=did), hits=False)
    sure = change.missing_now_refused or not has_field(document, name)
    then = _("will be refused") if sure else _("may be refused")
    named = f": {', '.join(sorted(keys))}." if len(keys) <= MAX_NAMED else "."
    said = _("{keys} {did} in the last 7 days and {then}{named}").format(
        keys=plural(len(keys), _("key"), _("keys")), did=did, then=then, named=named
    )
    return Noticed(change, said, hits=True)
