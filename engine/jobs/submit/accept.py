"""Accepts jobs: limit, quota, job row, payload, event and queue message in one transaction.

The transaction reads again whether the key is revoked and which version is live. Caches elsewhere only save parsing, so
none of them has to be updated when a key is revoked or another version goes live. Calls that arrive at the same time
are accepted together (`accept_many`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy.orm import Session

from engine.core.clock import SECOND
from engine.core.errors import NotAllowed, NotDeployed, NotFound, Refusal, Unauthorized, wrong_fields
from engine.core.ids import JobId, new_job_id
from engine.flow.payload_check import check_payload
from engine.jobs.huey_queue import send
from engine.jobs.job_values import encoded
from engine.jobs.notifier import job_changed
from engine.jobs.submit.bodies import CheckedBody, NotChecked, SubmitOptions, Version, body_for, read_version
from engine.jobs.submit.idempotency import find_earlier, idempotency_scope, remember
from engine.jobs.submit.job_files import look_up_files, name_files
from engine.jobs.submit.limits import LimitCounter, LimitsView, limit_counters, limits_now, take_slots
from storage.database import now
from storage.flows import CalledFlow, find_called_flow, was_ever_deployed
from storage.idempotency import find_answer
from storage.job_changes import insert_jobs
from storage.jobs import KeyScope, find_status
from storage.keys import find_caller, read_caller
from storage.usage import Caps, SlotBook, usage_subject
from storage.usage import look_ahead as look_ahead_at_usage
from storage.workspaces import get_limits

#: The time limit of a job whose flow sets none, and the range of `limit_seconds` in a flow's settings; in seconds.
USUAL_LIMIT_SECONDS = 1_800
LIMIT_SECONDS = (10, 86_400)
#: The name of the flow setting that says how many of its jobs run at once, and its range.
FLOW_CONCURRENCY = "concurrency"
FLOW_CONCURRENCY_RANGE = (1, 1_000)
#: The name of the flow setting with the webhook address, for each environment.
WEBHOOK_SETTINGS = {"live": "webhook_url", "test": "webhook_url_test", "dev": "webhook_url_dev"}


class Caller(Struct, frozen=True):
    """Who calls. `key_id` None: a person on the server's own pages, a schedule, or with `flow_ids` an incoming webhook.
    The key's row is read again when the job is accepted.
    """

    workspace_id: str
    key_id: str | None
    environment: str
    label: str = ""
    prefix: str = ""
    flow_ids: frozenset[str] | None = None
    concurrency: int | None = None
    monthly: int | None = None
    #: Requests per second; None: no limit.
    requests: int | None = None
    #: The hash of the secret that was sent; after a rotation a key has two valid ones.
    key_hash: str = ""

    @property
    def scope(self) -> KeyScope:
        """Which jobs and batches this caller sees."""
        return KeyScope(self.environment, self.flow_ids)

    @property
    def files_scope(self) -> KeyScope | None:
        """Which files this caller sees; None for a person, who sees all files of the workspace."""
        return None if self.key_id is None and self.flow_ids is None else self.scope


class Accepted(Struct, frozen=True):
    """A job that is stored and will run.

    `replayed`: an earlier request with this Idempotency-Key created it, and `status` is its present one.
    """

    job_id: JobId
    status: str
    flow_id: str
    created_at: int
    replayed: bool
    limits: LimitsView


def find_body_version(
    session: Session, caller: Caller, flow_id: str, options: SubmitOptions
) -> tuple[int, Version] | None:
    """Returns the number and the data of the version against which a body is to be checked before the transaction of
    `accept`. None when the transaction will refuse the request or has to choose the version itself.
    """
    try:
        check_flow_allowed(session, caller, flow_id)
    except (NotAllowed, NotFound):
        return None
    number = options.version
    if options.idempotency_key is not None:
        route = options.route or f"/flows/execute/{flow_id}"
        scope = idempotency_scope(caller.workspace_id, caller.environment, route, options.idempotency_key)
        earlier = find_answer(session, scope)
        number = number if earlier is None else earlier.flow_version or number
    flow = find_called_flow(session, caller.workspace_id, flow_id)
    if flow is None or (number is None and flow.live_version is None):
        return None
    try:
        number = choose_version(session, flow, number)
    except NotFound:
        return None
    return number, read_version(session, flow_id, number)


class Submit(Struct, frozen=True):
    """A call that asks for a job. `checked` is the result of `BodyChecks.check` for the payload; when a flow with patterns
    needs it and it is not there, NotChecked is the answer.
    """

    caller: Caller
    flow_id: str
    payload: Mapping[str, Any]
    options: SubmitOptions
    checked: CheckedBody | None = None


def accept_many(session: Session, calls: Sequence[Submit]) -> list[Accepted | Exception]:
    """Stores a job for each call, for the live version of its flow. Returns for each the accepted job or its refusal.

    The calls are decided in their order against rows that are read once, and written by a few statements. The refusals:
    Unauthorized, NotFound, NotDeployed, NotAllowed, PayloadInvalid, IdempotencyKeyReused, MonthlyQuotaExceeded,
    ConcurrencyLimitExceeded; and NotChecked.
    """
    group = _AcceptGroup(session)
    answers: list[Accepted | Exception] = []
    for call in calls:
        try:
            answers.append(group.accept(call))
        except (Refusal, NotChecked) as refusal:
            answers.append(refusal)
    group.write()
    return answers


def look_ahead(session: Session, calls: Sequence[Submit]) -> None:
    """Makes the reads with which `accept_many` begins (`storage.prefetch`)."""
    for caller in {(call.caller.key_id, call.caller.key_hash): call.caller for call in calls}.values():
        with contextlib.suppress(Unauthorized):
            read_key_again(session, caller)
    for workspace_id, flow_id in dict.fromkeys((call.caller.workspace_id, call.flow_id) for call in calls):
        find_called_flow(session, workspace_id, flow_id)
    of = dict.fromkeys((call.caller.workspace_id, call.caller.environment, call.caller.key_id) for call in calls)
    for workspace_id in dict.fromkeys(workspace_id for workspace_id, _, _ in of):
        with contextlib.suppress(NotFound):
            get_limits(session, workspace_id)
    subjects = [subject for workspace_id, name, key_id in of for subject in (usage_subject(workspace_id, name), key_id)]
    for subject in dict.fromkeys(subjects):
        if subject is not None:
            look_ahead_at_usage(session, subject)


def accept(
    session: Session,
    caller: Caller,
    flow_id: str,
    payload: Mapping[str, Any],
    options: SubmitOptions,
    checked: CheckedBody | None = None,
) -> Accepted:
    """Stores a job for one call. Raises the refusals of `accept_many`."""
    (answer,) = accept_many(session, [Submit(caller, flow_id, payload, options, checked)])
    if isinstance(answer, Exception):
        raise answer
    return answer


class _AcceptGroup:
    """The calls that one transaction accepts. Rows of keys, flows and limits are read once, since no call changes them;
    `write` stores the jobs.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._book = SlotBook(session)
        self._jobs: list[tuple[dict[str, Any], tuple[str, int]]] = []
        self._file_ids: list[tuple[str, Sequence[str]]] = []
        self._callers: dict[tuple[str | None, str], Caller] = {}
        self._flows: dict[tuple[str, str], CalledFlow] = {}
        self._counters: dict[tuple[str, str, str | None], list[LimitCounter]] = {}

    def accept(self, call: Submit) -> Accepted:
        """Decides one call. Raises its refusal, and then changes nothing."""
        session, options = self._session, call.options
        caller = self._caller(call.caller)
        check_flow_allowed(session, caller, call.flow_id)  # before a replay, which reveals a job of this flow
        scope = ""
        if options.idempotency_key is not None:
            scope = self._scope(caller, call)
            if (replay := self._replay(caller, call, scope)) is not None:
                return replay
        flow = self._flow(caller, call.flow_id)
        number = choose_version(session, flow, options.version)
        version = read_version(session, flow.id, number)
        body = self._body_as_of(call, number)
        if body.errors:
            raise wrong_fields(body.errors)
        named = look_up_files(
            session, caller.workspace_id, version.fields, body.clean, scope=caller.files_scope, key_id=caller.key_id
        )
        if named.errors:
            raise wrong_fields(named.errors)
        limits = take_slots(session, self._book, self._limits(caller), flow.id)
        job_id = new_job_id()
        row = job_row(caller, flow, number, version, options, counted=True)
        row["id"] = job_id
        self._jobs.append((row, encoded(named.payload)))
        if named.file_ids:
            self._file_ids.append((job_id, named.file_ids))
        accepted: Mapping[str, Any] = {
            "job_id": job_id,
            "status": "queued",
            "flow_id": flow.id,
            "created_at": now(session),
        }
        if scope:
            remember(session, scope, body.fingerprint, number, accepted)
        return Accepted(**accepted, replayed=False, limits=limits)

    def write(self) -> None:
        """Stores the accepted jobs, their slots and their queue messages."""
        if not self._jobs:
            return
        jobs, self._jobs = self._jobs, []
        job_ids = [row["id"] for row, _ in jobs]
        self._book.write()
        insert_jobs(self._session, jobs)
        for job_id, file_ids in self._file_ids:
            name_files(self._session, job_id, file_ids)
        self._file_ids = []
        send(self._session, *((row["id"], row["key_id"] or row["workspace_id"]) for row, _ in jobs))
        job_changed(self._session, *job_ids)

    def _caller(self, caller: Caller) -> Caller:
        sent = caller.key_id, caller.key_hash
        known = self._callers.get(sent) if caller.key_id is not None else None
        if known is None:
            known = self._callers[sent] = read_key_again(self._session, caller)
        return known

    def _flow(self, caller: Caller, flow_id: str) -> CalledFlow:
        found = self._flows.get((caller.workspace_id, flow_id))
        if found is None:
            found = self._flows[caller.workspace_id, flow_id] = find_live_flow(self._session, caller, flow_id)
        return found

    def _limits(self, caller: Caller) -> list[LimitCounter]:
        of = caller.workspace_id, caller.environment, caller.key_id
        counters = self._counters.get(of)
        if counters is None:
            caps = Caps(caller.concurrency, caller.monthly)
            counters = self._counters[of] = limit_counters(self._session, *of, caps, caller.label)
        return counters

    def _body_as_of(self, call: Submit, number: int) -> CheckedBody:
        return body_for(
            self._session,
            call.flow_id,
            number,
            call.payload,
            call.options,
            check_payload,
            call.checked,
        )

    def _scope(self, caller: Caller, call: Submit) -> str:
        options = call.options
        route = options.route or f"/flows/execute/{call.flow_id}"
        return idempotency_scope(caller.workspace_id, caller.environment, route, options.idempotency_key or "")

    def _replay(self, caller: Caller, call: Submit, scope: str) -> Accepted | None:
        """Returns the answer to an earlier call with this Idempotency-Key, with the present status of its job."""
        session = self._session

        earlier = find_earlier(session, scope, call.payload, lambda number: self._body_as_of(call, number))
        if earlier is None:
            return None
        self.write()  # the earlier call may be one of this group
        key_caps = Caps(caller.concurrency, caller.monthly)
        limits = limits_now(session, caller.workspace_id, caller.environment, caller.key_id, key_caps)
        earlier["status"] = find_status(session, caller.workspace_id, earlier["job_id"]) or earlier["status"]
        return Accepted(**earlier, replayed=True, limits=limits)


def job_row(
    caller: Caller, flow: CalledFlow, number: int, version: Version, options: SubmitOptions, *, counted: bool
) -> dict[str, Any]:
    """Returns the columns that a call decides about its job, or about each job of its batch. `counted`: it has a slot."""
    return {
        "workspace_id": caller.workspace_id,
        "flow_id": flow.id,
        "flow_version": number,
        "environment": caller.environment,
        "key_id": caller.key_id,
        "counted": counted,
        "limit_ms": limit_ms(flow.settings, options.cancel_after_seconds),
        "steps_total": version.steps,
        "request_id": options.request_id,
        "traceparent": options.trace,
        "webhook_url": options.webhook_url or flow_webhook(flow.settings, caller.environment),
        "webhook_by_caller": options.webhook_url is not None,
        "flow_concurrency": flow_concurrency(flow.settings),
        "trigger": options.trigger,
    }


def flow_limit_ms(settings: Mapping[str, Any]) -> int:
    """Returns how long a job of a flow may run, in milliseconds, from the flow's settings."""
    seconds = settings.get("limit_seconds", USUAL_LIMIT_SECONDS)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        seconds = USUAL_LIMIT_SECONDS
    return round(min(max(seconds, LIMIT_SECONDS[0]), LIMIT_SECONDS[1]) * SECOND)


def flow_concurrency(settings: Mapping[str, Any]) -> int | None:
    """Returns how many jobs of a flow may run at once, or None when the flow has no limit of its own."""
    number = settings.get(FLOW_CONCURRENCY)
    if isinstance(number, bool) or not isinstance(number, int):
        return None
    return min(max(number, FLOW_CONCURRENCY_RANGE[0]), FLOW_CONCURRENCY_RANGE[1])


def flow_webhook(settings: Mapping[str, Any], environment: str) -> str | None:
    """Returns the webhook address that a flow's settings name for an environment, or None."""
    return settings.get(WEBHOOK_SETTINGS[environment]) or None


def limit_ms(settings: Mapping[str, Any], cancel_after_seconds: float | None) -> int:
    """Returns how long a job may run in milliseconds: the flow's limit, or less when the caller asks for less."""
    limit = flow_limit_ms(settings)
    return limit if cancel_after_seconds is None else max(1, min(limit, round(cancel_after_seconds * SECOND)))


def read_key_again(session: Session, caller: Caller) -> Caller:
    """Reads the key in this transaction.

    Raises Unauthorized when the key, or the secret that was sent, is not valid any more.
    """
    if caller.key_id is None:
        return caller
    if caller.key_hash:
        row = find_caller(session, caller.key_hash)
    else:
        row = read_caller(session, caller.workspace_id, caller.key_id)
    if row is None:
        raise Unauthorized
    return Caller(
        workspace_id=caller.workspace_id,
        key_id=caller.key_id,
        environment=row.environment,
        label=row.label,
        prefix=caller.prefix,
        flow_ids=row.flow_ids,
        concurrency=row.concurrency,
        monthly=row.monthly,
        requests=row.requests,
        key_hash=caller.key_hash,
    )


def find_live_flow(session: Session, caller: Caller, flow_id: str) -> CalledFlow:
    """Returns id, live version and settings of a flow that this caller may call.

    Raises NotFound, NotAllowed, NotDeployed.
    """
    check_flow_allowed(session, caller, flow_id)
    flow = find_called_flow(session, caller.workspace_id, flow_id)
    if flow is None:
        raise _no_such_flow(flow_id)
    if flow.live_version is None:
        raise NotDeployed
    return flow


def check_flow_allowed(session: Session, caller: Caller, flow_id: str) -> None:
    """Raises NotAllowed when this key is limited to other flows, or NotFound when the flow does not exist."""
    if caller.flow_ids is None or flow_id in caller.flow_ids:
        return
    if find_called_flow(session, caller.workspace_id, flow_id) is None:
        raise _no_such_flow(flow_id)
    raise NotAllowed(
        f"The key “{caller.label}” may not call this flow",
        remedy="Use another key, or let the owner allow this flow for it under Settings, API Keys.",
    )


def _no_such_flow(flow_id: str) -> NotFound:
    return NotFound(
        f"No flow has the id {flow_id[:100]!r}", remedy="GET /public/v1/flows lists the flows that this key may call."
    )


def choose_version(session: Session, flow: CalledFlow, wanted: int | None) -> int:
    """Returns the number of the live version, or the wanted one when it was ever deployed. Raises NotFound."""
    if wanted is None or wanted == flow.live_version:
        assert flow.live_version is not None
        return flow.live_version
    if not was_ever_deployed(session, flow.id, wanted):
        raise NotFound(f"Version {wanted} of this flow was never deployed")
    return wanted
