"""The tables. Times are whole milliseconds since 1970 (UTC); money is whole nano-dollars (None: unknown, never 0).

Accepting, claiming, running and finishing jobs use these tables through SQL statements (`storage/statements.py`) and
Core, everything else through the ORM. The tables `task`, `kv`, `schedule` and `counter` belong to Huey; a migration
creates them.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, Text, false, text
from sqlalchemy.orm import Mapped, mapped_column

from storage.table_base import Base
from storage.tables_files import FileUse as FileUse  # noqa: PLC0414 - so that `Base.metadata` has every table
from storage.tables_knowledge import KnowledgeCollection as KnowledgeCollection  # noqa: PLC0414 - likewise
from storage.tables_questions import Question as Question  # noqa: PLC0414 - likewise
from storage.tables_triggers import Hook as Hook  # noqa: PLC0414 - likewise


class Workspace(Base):
    """A tenant: everything that is owned names its workspace. Its limits replace those of the plan; -1: no limit.

    `concurrency` and `monthly` are Production's. Where those of Staging (`test`) and Development (`dev`) are null, they
    are a quarter of these.
    """

    __tablename__ = "workspaces"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    plan: Mapped[str]
    concurrency: Mapped[int | None]
    monthly: Mapped[int | None]
    test_concurrency: Mapped[int | None]
    test_monthly: Mapped[int | None]
    dev_concurrency: Mapped[int | None]
    dev_monthly: Mapped[int | None]
    created_at: Mapped[int]


class User(Base):
    """A person with an account. Roles: owner, editor, viewer."""

    __tablename__ = "users"
    id: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"), index=True)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    role: Mapped[str]
    password_hash: Mapped[str | None]
    disabled_at: Mapped[int | None]
    created_at: Mapped[int]
    #: When the person was last active, to the minute.
    seen_at: Mapped[int | None]
    #: When the newest failed run ended that the person has seen in Jobs.
    jobs_seen_at: Mapped[int | None]


class SignIn(Base):
    """A browser in which a person is signed in; it holds the cookie's SHA-256, never the cookie."""

    __tablename__ = "sessions"
    token_hash: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    created_at: Mapped[int]
    seen_at: Mapped[int]
    address: Mapped[str]
    browser: Mapped[str]


class SetupToken(Base):
    """A link that sets up the first owner, invites a person or resets a password, or a sign-in that waits for a code.
    Hashed, for a single use, short-lived.

    An invitation has a `role`, optionally an `email`, and in `created_by` the actor who made it.
    """

    __tablename__ = "setup_tokens"
    token_hash: Mapped[str] = mapped_column(primary_key=True)
    purpose: Mapped[str]
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"))
    user_id: Mapped[str | None]
    role: Mapped[str | None]
    created_at: Mapped[int]
    expires_at: Mapped[int]
    used_at: Mapped[int | None]
    email: Mapped[str | None]
    created_by: Mapped[str | None]


class SignInFailure(Base):
    """A wrong password or link, which counts against `subject` for 15 minutes (`engine.actions.sign_in_limits`)."""

    __tablename__ = "sign_in_failures"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    subject: Mapped[str] = mapped_column(index=True)
    at: Mapped[int]


class SignInPlace(Base):
    """A place from which a person signed in: an IPv4 address or an IPv6 /64 network, and the larger network (/24, /64)
    around it.
    """

    __tablename__ = "sign_in_places"
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    place: Mapped[str] = mapped_column(primary_key=True)
    network: Mapped[str]
    seen_at: Mapped[int]


class SecondFactor(Base):
    """The sealed key of a person's authenticator app.

    Codes up to time step `last_step` (30 s each, RFC 6238) cannot be used again.
    """

    __tablename__ = "second_factors"
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    sealed: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int]
    last_step: Mapped[int]


class RecoveryCode(Base):
    """The SHA-256 of a code that replaces the authenticator app once. A used code is removed."""

    __tablename__ = "recovery_codes"
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    code_hash: Mapped[str] = mapped_column(primary_key=True)


class AuditEntry(Base):
    """An entry of the audit log."""

    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    workspace_id: Mapped[str] = mapped_column(index=True)
    at: Mapped[int]
    actor: Mapped[str]
    verb: Mapped[str]
    subject: Mapped[str]
    detail: Mapped[str] = mapped_column(Text)
    address: Mapped[str]


class Flow(Base):
    """A flow: its draft, and the numbers of its newest and its live version. `newest_version` 0: never saved."""

    __tablename__ = "flows"
    id: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"), index=True)
    title: Mapped[str]
    description: Mapped[str] = mapped_column(Text)
    draft: Mapped[str] = mapped_column(Text)
    draft_revision: Mapped[int]
    draft_saved_at: Mapped[int]
    #: True when the draft (without parked nodes) differs from the newest version; also before the first save.
    draft_differs: Mapped[bool] = mapped_column(default=False)
    #: True when the content of the draft differs from that of the live version; positions on the canvas do not count.
    differs_from_live: Mapped[bool] = mapped_column(default=False, server_default=false())
    newest_version: Mapped[int]
    live_version: Mapped[int | None]
    deployed_at: Mapped[int | None]
    ever_deployed: Mapped[bool]
    settings: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[int]
    updated_at: Mapped[int]
    deleted_at: Mapped[int | None]


class FlowVersion(Base):
    """A saved version, which never changes."""

    __tablename__ = "flow_versions"
    flow_id: Mapped[str] = mapped_column(ForeignKey("flows.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    document: Mapped[str] = mapped_column(Text)
    title: Mapped[str]
    note: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int]
    created_by: Mapped[str]
    first_deployed_at: Mapped[int | None]


class Deployment(Base):
    """An entry in the history of an endpoint: which version was deployed, or undeployed, and when."""

    __tablename__ = "deployments"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    flow_id: Mapped[str] = mapped_column(ForeignKey("flows.id"), index=True)
    version: Mapped[int | None]
    verb: Mapped[str]
    at: Mapped[int]
    actor: Mapped[str]


class Snapshot(Base):
    """The document with which a Playground run was started."""

    __tablename__ = "snapshots"
    id: Mapped[str] = mapped_column(primary_key=True)
    flow_id: Mapped[str] = mapped_column(index=True)
    document: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int]


class ApiKey(Base):
    """An API key: label, environment and limits. Its secrets are rows of `api_key_secrets`."""

    __tablename__ = "api_keys"
    id: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"), index=True)
    label: Mapped[str]
    environment: Mapped[str]
    flow_ids: Mapped[list[Any] | None] = mapped_column(JSON)
    concurrency: Mapped[int | None]
    monthly: Mapped[int | None]
    expires_at: Mapped[int | None]
    revoked_at: Mapped[int | None]
    created_at: Mapped[int]
    created_by: Mapped[str]
    last_used_at: Mapped[int | None]


class ApiKeySecret(Base):
    """The SHA-256 of one secret of a key. Two are valid while a key is rotated."""

    __tablename__ = "api_key_secrets"
    hash: Mapped[str] = mapped_column(primary_key=True)
    key_id: Mapped[str] = mapped_column(ForeignKey("api_keys.id"), index=True)
    prefix: Mapped[str]
    last4: Mapped[str]
    created_at: Mapped[int]
    valid_until: Mapped[int | None]
    #: The actor who was shown the secret; None for old rows, when the audit log does not contain the actor either.
    created_by: Mapped[str | None]


class Usage(Base):
    """Slots in use and accepted jobs of the month, per environment of a workspace and per key.

    `subject` is a key's id, a workspace's id (for its Production), or a workspace's id followed by `:test` or `:dev`.
    """

    __tablename__ = "usage"
    subject: Mapped[str] = mapped_column(primary_key=True)
    active: Mapped[int]
    month: Mapped[str]
    month_count: Mapped[int]


#: The jobs that people may have started by hand; a query that says this uses `ix_jobs_tried`.
TRIED = "environment in ('playground', 'dev') and batch_id is null"

#: The jobs of which people are told when they fail; a query that says this uses `ix_jobs_told`.
TOLD = "status = 'failed' and (environment = 'live' or trigger is not null)"


class Job(Base):
    """The state of one job. Open jobs have the status queued or processing."""

    __tablename__ = "jobs"
    id: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[str]
    flow_id: Mapped[str]
    flow_version: Mapped[int | None]
    snapshot_id: Mapped[str | None]
    #: live, test, dev: the environment of the key. playground: started on the canvas, never part of the public API.
    environment: Mapped[str]
    key_id: Mapped[str | None]
    batch_id: Mapped[str | None]
    #: Its index among the items of its batch, from 0; rows of a Playground batch have none.
    item_index: Mapped[int | None]
    #: True when it counts against the plan's slots (False: Playground run, batch item without a slot, job that waits for
    #: a person or that goes on and has no slot yet).
    counted: Mapped[bool]
    status: Mapped[str]
    #: The boot id of the worker that holds it, and the number of claims: every write of a worker names both.
    owner: Mapped[str | None]
    attempts: Mapped[int]
    created_at: Mapped[int]
    enqueued_at: Mapped[int]
    started_at: Mapped[int | None]
    completed_at: Mapped[int | None]
    cancel_requested_at: Mapped[int | None]
    #: How long it may run from its first start, in milliseconds.
    limit_ms: Mapped[int]
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    steps_total: Mapped[int]
    steps_done: Mapped[int]
    items_failed: Mapped[int]
    #: How many steps failed, though the job may have gone on without them; a step that runs per item counts once.
    steps_failed: Mapped[int] = mapped_column(server_default="0")
    cost_nanos: Mapped[int | None]
    input_tokens: Mapped[int]
    output_tokens: Mapped[int]
    model_calls: Mapped[int]
    simulated: Mapped[bool]
    last_seq: Mapped[int]
    request_id: Mapped[str]
    #: The caller's trace as `engine.core.trace_context` writes it: `traceparent`, then the other headers on a line
    #: each.
    traceparent: Mapped[str | None]
    webhook_url: Mapped[str | None]
    #: True: the call named `webhook_url`, so the list for callers' webhooks applies; False: the flow named it.
    webhook_by_caller: Mapped[bool] = mapped_column(default=False)
    #: What to run instead of the whole flow: {"until": node id} or {"from": node id, "reuse": job id}.
    run_options: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    #: When retention removed its input, result, steps and events; for an erased job, when its last remains were
    #: overwritten.
    values_gone_at: Mapped[int | None]
    #: When its data was erased. While `values_gone_at` is null, remains are still being removed.
    data_erased_at: Mapped[int | None]
    #: The stored bytes of its input, its result and the values of its steps; a workspace's use is the sum of them.
    value_bytes: Mapped[int] = mapped_column(server_default="0")
    #: How many jobs of its flow may run at once (`storage.flow_limits`); null: its flow has no limit of its own.
    flow_concurrency: Mapped[int | None]
    #: What started it without a call: `schedule:` or `hook:` and an id. Null: a call, or a run of the Playground.
    trigger: Mapped[str | None]
    #: How many questions it has asked people (`storage.questions`).
    questions: Mapped[int] = mapped_column(server_default="0")
    #: Since when it waits for a person. While it is processing it then has no worker (`owner`) and holds no slot; while
    #: it is queued, there is an answer, and it waits for a worker to go on.
    waiting_since: Mapped[int | None]
    #: How long it has waited for people, in milliseconds, up to its last claim. Its time limit leaves that out.
    waited_ms: Mapped[int] = mapped_column(server_default="0")
    __table_args__ = (
        Index("ix_jobs_workspace_created", "workspace_id", "created_at", "id"),
        Index("ix_jobs_flow_created", "flow_id", "created_at", "id"),
        Index(
            "ix_jobs_open",
            "status",
            "owner",
            sqlite_where=text("status in ('queued', 'processing')"),
        ),
        Index(
            "ix_jobs_waiting",
            "workspace_id",
            "environment",
            "created_at",
            "item_index",
            "id",
            sqlite_where=text("status = 'queued' and not counted and environment <> 'playground'"),
        ),
        Index(
            "ix_jobs_kept_values",
            "flow_id",
            "completed_at",
            "value_bytes",
            "values_gone_at",  # always null in this index; without the column SQLite would read each row to check it
            sqlite_where=text("completed_at is not null and values_gone_at is null"),
        ),
        Index(
            "ix_jobs_erasing",
            "data_erased_at",
            sqlite_where=text("data_erased_at is not null and values_gone_at is null"),
        ),
        Index(
            "ix_jobs_copies",
            "workspace_id",
            "created_at",
            sqlite_where=text("environment = 'playground' and run_options is not null"),
        ),
        Index(
            "ix_jobs_tried",
            "flow_id",
            "created_at",
            "id",
            "environment",
            "key_id",  # lets a search for a person's runs pass over those of other keys without reading them
            sqlite_where=text(TRIED),
        ),
        Index(
            "ix_jobs_alone",
            "enqueued_at",
            sqlite_where=text("status = 'queued' and attempts >= 2"),
        ),
        Index(
            "ix_jobs_flow_limited",
            "flow_id",
            "status",
            "counted",
            "created_at",
            "item_index",
            "id",
            "flow_concurrency",
            "completed_at",  # always null in this index; without the column SQLite would read each row to check it
            "waiting_since",
            sqlite_where=text("flow_concurrency is not null and completed_at is null"),
        ),
        Index(
            "ix_jobs_batch",
            "batch_id",
            "item_index",
            "status",  # lets a count of a batch's jobs read the index only
            sqlite_where=text("batch_id is not null"),
        ),
        Index(
            "ix_jobs_batch_begun",
            "batch_id",
            sqlite_where=text("batch_id is not null and started_at is not null"),
        ),
        Index(
            "ix_jobs_trigger",
            "trigger",
            "created_at",
            "id",
            sqlite_where=text("trigger is not null"),
        ),
        Index("ix_jobs_told", "workspace_id", "completed_at", sqlite_where=text(TOLD)),
    )


class Value(Base):
    """Payloads, results and the inputs and outputs of steps as JSON text, in a table of their own to keep rows of jobs
    and steps small.

    `name` is payload or result (with empty node_id and index_path), or input, output, tries or log of a step, or
    `part/...`, what a part of a step gave (`storage.steps.PART`).
    """

    __tablename__ = "job_values"
    job_id: Mapped[str] = mapped_column(primary_key=True)
    node_id: Mapped[str] = mapped_column(primary_key=True)
    index_path: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    size: Mapped[int]
    data: Mapped[str] = mapped_column(Text)
    __table_args__ = {"sqlite_with_rowid": True}  # noqa: RUF012


class Step(Base):
    """One node's run in a job, per item (`index_path` like `3` or `0/12`; empty outside a Splitter)."""

    __tablename__ = "steps"
    job_id: Mapped[str] = mapped_column(primary_key=True)
    node_id: Mapped[str] = mapped_column(primary_key=True)
    index_path: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str]  # running, waiting (for a person), completed, failed, skipped, cancelled
    attempt: Mapped[int]  # the attempt of the job that wrote it
    tries: Mapped[int]
    started_at: Mapped[int]
    ended_at: Mapped[int | None]
    duration_ms: Mapped[int | None]
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    warnings: Mapped[list[Any] | None] = mapped_column(JSON)
    cost_nanos: Mapped[int | None]
    input_tokens: Mapped[int]
    output_tokens: Mapped[int]
    model_calls: Mapped[int]
    simulated: Mapped[bool]
    items: Mapped[int | None]  # how many items a Splitter gave


class ModelCall(Base):
    """One call of a language model, with the price used for its cost."""

    __tablename__ = "model_calls"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    workspace_id: Mapped[str]
    job_id: Mapped[str] = mapped_column(index=True)
    flow_id: Mapped[str]
    node_id: Mapped[str]
    index_path: Mapped[str]
    at: Mapped[int]
    connection: Mapped[str]
    model: Mapped[str]
    input_tokens: Mapped[int]
    output_tokens: Mapped[int]
    cost_nanos: Mapped[int | None]
    price: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    duration_ms: Mapped[int]
    simulated: Mapped[bool]
    error: Mapped[str | None]
    __table_args__ = (Index("ix_model_calls_workspace_at", "workspace_id", "at"),)


class Event(Base):
    """An event of a job, in order; the API streams them."""

    __tablename__ = "events"
    job_id: Mapped[str] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[int]
    name: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(JSON)


class Batch(Base):
    """Jobs submitted together by one call, or the runs of a Playground batch, which use only the columns up to
    `created_at`.
    """

    __tablename__ = "batches"
    id: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[str]
    flow_id: Mapped[str]
    environment: Mapped[str]
    total: Mapped[int]
    created_at: Mapped[int]
    #: The webhook for the end of all items, and whether the call named it (False: the flow did).
    webhook_url: Mapped[str | None]
    webhook_by_caller: Mapped[bool] = mapped_column(default=False)
    #: When the cancellation of the whole batch was requested first.
    cancel_requested_at: Mapped[int | None]
    #: When its last item ended, set in the transaction of that end.
    completed_at: Mapped[int | None]
    __table_args__ = (Index("ix_batches_workspace_created", "workspace_id", "created_at", "id"),)


class PlaygroundBatch(Base):
    """The state of a Playground batch, from which the server continues it after a restart.

    Once it has ended, it goes together with its document, which is removed when the data of the runs go.
    """

    __tablename__ = "playground_batches"
    batch_id: Mapped[str] = mapped_column(ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True)
    snapshot_id: Mapped[str] = mapped_column(ForeignKey("snapshots.id", ondelete="CASCADE"), index=True)
    #: On whose behalf the rows run.
    user_id: Mapped[str]
    #: Where the rows come from (`engine/playground_batches/rows.py`).
    source: Mapped[dict[str, Any]] = mapped_column(JSON)
    #: `running`, `paused`, `stopping`, `stopped` or `ended`.
    state: Mapped[str]
    #: Why the server paused the batch; empty when it did not.
    trouble: Mapped[str]
    #: True after a stop: rows that had not started stay out, also when failed rows are run again.
    closed: Mapped[bool]


class PlaygroundBatchRow(Base):
    """A row of a Playground batch that is no job: its input was refused, it waits to run again, or was cancelled while it
    waited.
    """

    __tablename__ = "playground_batch_rows"
    batch_id: Mapped[str] = mapped_column(
        ForeignKey("playground_batches.batch_id", ondelete="CASCADE"), primary_key=True
    )
    row: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    #: `refused`, `again` or `cancelled`.
    state: Mapped[str]
    title: Mapped[str]
    #: Why it was refused.
    text: Mapped[str]
    #: The id of the row in its dataset; None for a sample.
    dataset_row: Mapped[int | None]


class Idempotency(Base):
    """The answer to a request with an Idempotency-Key, kept for 24 hours."""

    __tablename__ = "idempotency"
    scope: Mapped[str] = mapped_column(primary_key=True)  # SHA-256 of workspace, environment, route and key
    #: A hash of the payload, with the defaults of `flow_version`, and of the options; without a version, of the body as
    #: it was sent.
    fingerprint: Mapped[str]
    #: The version that the request used. Rows of earlier releases have none.
    flow_version: Mapped[int | None]
    status: Mapped[int]
    body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(index=True)


class RefusalCount(Base):
    """Refused calls per minute, flow, key and code."""

    __tablename__ = "refusal_counts"
    minute: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[str] = mapped_column(primary_key=True)
    flow_id: Mapped[str] = mapped_column(primary_key=True)
    key_id: Mapped[str] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int]


class RefusedCall(Base):
    """One of the last 1,000 refused calls of a workspace: pointers and types, never values."""

    __tablename__ = "refused_calls"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    workspace_id: Mapped[str] = mapped_column(index=True)
    at: Mapped[int]
    request_id: Mapped[str]
    key_id: Mapped[str | None]
    key_prefix: Mapped[str]
    flow_id: Mapped[str]
    status: Mapped[int]
    code: Mapped[str]
    fields: Mapped[list[Any]] = mapped_column(JSON)


class SentField(Base):
    """How many accepted calls of a day (days since 1970) sent a field of the request, per flow and key.

    The empty name counts the calls themselves.
    """

    __tablename__ = "sent_fields"
    day: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[str] = mapped_column(primary_key=True)
    flow_id: Mapped[str] = mapped_column(primary_key=True)
    key_id: Mapped[str] = mapped_column(primary_key=True)
    field: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int]
    __table_args__ = (Index("ix_sent_fields_flow", "flow_id", "day"),)


class WebhookDelivery(Base):
    """The outbox of webhook calls for ended jobs and batches and for questions, with the log of their tries."""

    __tablename__ = "webhook_deliveries"
    id: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[str]
    flow_id: Mapped[str] = mapped_column(index=True)
    #: The job that has ended or asks; empty for a batch and for a test.
    job_id: Mapped[str]
    batch_id: Mapped[str | None]
    #: The question that the job asks a person.
    question_id: Mapped[str | None]
    url: Mapped[str]
    event: Mapped[str]
    status: Mapped[str]  # waiting, delivered, failed
    tries: Mapped[int]
    next_at: Mapped[int | None] = mapped_column(index=True)
    log: Mapped[list[Any]] = mapped_column(JSON)
    created_at: Mapped[int]
    #: True: a caller named the address. False: the flow did.
    by_caller: Mapped[bool] = mapped_column(default=False)


class WebhookSecret(Base):
    """A secret that signs a flow's webhooks. `ends_at` is None for the current one."""

    __tablename__ = "webhook_secrets"
    id: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[str]
    flow_id: Mapped[str] = mapped_column(index=True)
    sealed: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int]
    ends_at: Mapped[int | None]


class Secret(Base):
    """A sealed value (AES-256-GCM, bound to owner and id). People can replace it but never read it."""

    __tablename__ = "secrets"
    id: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"), index=True)
    name: Mapped[str]
    sealed: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int]
    updated_at: Mapped[int]
    #: The hosts to which nodes may send it; an empty list: none (keys of connections). None: any host, for secrets from
    #: before hosts existed.
    #: secrets named hosts.
    hosts: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))


class Connection(Base):
    """A model connection named by the owner."""

    __tablename__ = "connections"
    id: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"), index=True)
    name: Mapped[str]
    provider: Mapped[str]
    base_url: Mapped[str | None]
    secret_id: Mapped[str | None]
    local: Mapped[bool]
    #: The model names that its server listed, and those that the owner entered because no list has them (Azure
    #: deployments).
    models: Mapped[list[Any]] = mapped_column(JSON)
    named_models: Mapped[list[Any] | None] = mapped_column(JSON)
    #: The API version for Azure; None: the default one.
    api_version: Mapped[str | None]
    #: The number of concurrent calls in each worker process; None: the default.
    max_concurrency: Mapped[int | None]
    created_at: Mapped[int]


class ToolServer(Base):
    """An MCP server named by the owner, whose tools agents may call."""

    __tablename__ = "tool_servers"
    id: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"))
    name: Mapped[str]
    url: Mapped[str]
    #: The header that carries the key, and the sealed key; null without one.
    header: Mapped[str]
    secret_id: Mapped[str | None]
    #: The tools that the server listed last, each `{name, description, schema, reads}`, and the names of those that
    #: agents may call.
    tools: Mapped[list[Any]] = mapped_column(JSON)
    allowed: Mapped[list[Any]] = mapped_column(JSON)
    created_at: Mapped[int]
    #: When the server listed its tools last.
    listed_at: Mapped[int | None]
    __table_args__ = (Index("ux_tool_servers_name", "workspace_id", "name", unique=True),)


class OwnerNote(Base):
    """A person's request to the owner: a model for a flow. It stays open until an owner closes it."""

    __tablename__ = "owner_notes"
    id: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"), index=True)
    #: The person who asked, with the name of that time.
    user_id: Mapped[str]
    name: Mapped[str]
    #: What the request is about: a flow, or a template by its title. The flow may have been deleted since.
    flow_id: Mapped[str | None]
    subject: Mapped[str]
    message: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int]
    closed_at: Mapped[int | None]
    closed_by: Mapped[str | None]


class Price(Base):
    """An owner's own price of a model, in nano-dollars per million tokens."""

    __tablename__ = "prices"
    workspace_id: Mapped[str] = mapped_column(primary_key=True)
    connection: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    input_nanos: Mapped[int]
    output_nanos: Mapped[int]


class Dataset(Base):
    """A named table of rows. `columns`: a list of `{"name", "type"}`. `byte_count`: bytes of its rows as JSON text."""

    __tablename__ = "datasets"
    id: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    columns: Mapped[list[Any]] = mapped_column(JSON)
    #: The column whose values are the `key` of the rows.
    key_column: Mapped[str | None]
    row_count: Mapped[int] = mapped_column(server_default="0")
    byte_count: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[int]
    updated_at: Mapped[int]
    #: The largest id of a row that was removed; rows that are added get larger ones.
    removed_to: Mapped[int | None]
    #: How many searches in a row were by another column than `key_column`.
    key_misses: Mapped[int] = mapped_column(server_default="0", default=0)
    #: Grows with each change of rows: who found rows before a transaction sees in it whether they are still the same.
    revision: Mapped[int] = mapped_column(server_default="0", default=0)
    #: The last row whose `key` is that of `key_column`; None: all rows have it.
    keyed_to: Mapped[int | None]
    #: The rows of the table have larger ids; those up to it were replaced, and wait to be removed.
    rows_after: Mapped[int] = mapped_column(server_default="0", default=0)
    #: The last row of the table while rows behind it are prepared.
    rows_to: Mapped[int | None]
    #: What is done in pieces (`storage.dataset_pieces`): its name `what`, the time of the last piece `at`, `ready`, and the
    #: `rows` and `bytes` of the pieces.
    changing: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


class DatasetRow(Base):
    """A row of a dataset; `id` gives the order. `written_by`: the step that wrote it last (`job:node:0/12`)."""

    __tablename__ = "dataset_rows"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"), index=True)
    data: Mapped[dict[str, Any]] = mapped_column(JSON)
    key: Mapped[str | None]
    written_by: Mapped[str | None]
    __table_args__ = (Index("ix_dataset_rows_key", "dataset_id", "key"),)


class DatasetWrite(Base):
    """A receipt that this step (`job:node:0/12`) has written to this dataset, so that a repeated try does not write
    again.
    """

    __tablename__ = "dataset_writes"
    id: Mapped[str] = mapped_column(primary_key=True)
    dataset_id: Mapped[str] = mapped_column(primary_key=True)
    action: Mapped[str]
    at: Mapped[int] = mapped_column(index=True)


class Setting(Base):
    """A setting of the server or of a workspace (`scope` is `server` or the workspace id)."""

    __tablename__ = "settings"
    scope: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[dict[str, Any]] = mapped_column(JSON)


class WorkerProcess(Base):
    """The heartbeat of a worker: `beat` grows while it lives. The `owner` of its jobs is its `boot_id`. With
    PostgreSQL, servers have a row, too; with SQLite there is only one.
    """

    __tablename__ = "workers"
    boot_id: Mapped[str] = mapped_column(primary_key=True)
    started_at: Mapped[int]
    beat: Mapped[int]
    beat_at: Mapped[int]
    host: Mapped[str]
    pid: Mapped[int]
    #: `worker`, `server` (pages and API) or `api` (a server without pages).
    kind: Mapped[str] = mapped_column(server_default="worker")
    #: The release that runs there; "" of a worker older than this column.
    version: Mapped[str] = mapped_column(server_default="")
    #: The longest time that its event loop took to answer since the beat before, in milliseconds.
    lag_ms: Mapped[int] = mapped_column(server_default="0")


class RollupSpan(Base):
    """The jobs of a workspace that the roll-up counts: those accepted from `since` to before `until`.

    The tables `rollup_...` hold sums per hour of acceptance, which `storage/monitoring/rollup_writes.py` adds up in the
    background. All times in them are milliseconds.
    """

    __tablename__ = "rollup_spans"
    workspace_id: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[int]
    until: Mapped[int]


class RollupCarried(Base):
    """A job that was accepted before the span's `until` and ended after it or has not ended. It is still needed for how
    many jobs ran at once. `counted`: it is in the sums, since it had ended.
    """

    __tablename__ = "rollup_carried"
    job_id: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[str] = mapped_column(index=True)
    counted: Mapped[bool]


class RollupJobs(Base):
    """How many jobs accepted in the hour that begins at `start` ended in this way, and when the last of them ended.

    `status` is that of the job or `steps_failed`; `code` is the error's. `key_id` is empty for calls without a key.
    """

    __tablename__ = "rollup_jobs"
    workspace_id: Mapped[str] = mapped_column(primary_key=True)
    start: Mapped[int] = mapped_column(primary_key=True)
    flow_id: Mapped[str] = mapped_column(primary_key=True)
    environment: Mapped[str] = mapped_column(primary_key=True)
    key_id: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    jobs: Mapped[int]
    last_ended_at: Mapped[int]
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012


class RollupCalls(Base):
    """The model calls of the jobs accepted in the hour that begins at `start`, by the quarter of an hour of the call
    (`at`). `unknown` of the `calls` have no known price.
    """

    __tablename__ = "rollup_calls"
    workspace_id: Mapped[str] = mapped_column(primary_key=True)
    start: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[int] = mapped_column(primary_key=True)
    flow_id: Mapped[str] = mapped_column(primary_key=True)
    environment: Mapped[str] = mapped_column(primary_key=True)
    key_id: Mapped[str] = mapped_column(primary_key=True)
    connection: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    nanos: Mapped[int]
    calls: Mapped[int]
    unknown: Mapped[int]
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012


class RollupDurations(Base):
    """How often each run time (`took`) or waiting time (`waited`) occurred among the jobs accepted in the hour or the
    UTC day (`width`) that begins at `start`: a list of time, count, time, count.

    Jobs are summed up for each filter: `flow_id` empty for all flows, `environment` empty for all public ones, `key_id`
    empty for all keys. Times are as exact as the pages show them (`storage/monitoring/durations.py`).
    """

    __tablename__ = "rollup_durations"
    workspace_id: Mapped[str] = mapped_column(primary_key=True)
    start: Mapped[int] = mapped_column(primary_key=True)
    width: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    flow_id: Mapped[str] = mapped_column(primary_key=True)
    environment: Mapped[str] = mapped_column(primary_key=True)
    key_id: Mapped[str] = mapped_column(primary_key=True)
    counts: Mapped[list[Any]] = mapped_column(JSON)
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012


class RollupBusy(Base):
    """The most jobs at once in each minute of the hour that begins at `start`: a list of 60 numbers, for each filter as
    in `rollup_durations`.
    """

    __tablename__ = "rollup_busy"
    workspace_id: Mapped[str] = mapped_column(primary_key=True)
    start: Mapped[int] = mapped_column(primary_key=True)
    flow_id: Mapped[str] = mapped_column(primary_key=True)
    environment: Mapped[str] = mapped_column(primary_key=True)
    key_id: Mapped[str] = mapped_column(primary_key=True)
    most: Mapped[list[int]] = mapped_column(JSON)
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012
