"""The tables of what starts flows without a call: schedules, and webhooks that other services call."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from storage.table_base import Base


class Schedule(Base):
    """When a flow starts by itself, and with which input.

    `timing`: as `engine.triggers.timing` describes. `source`: `{"kind": "input", "payload": {...}}`, or
    `{"kind": "dataset", "dataset_id", "mapping": {field: column}}` for one job per row.
    """

    __tablename__ = "schedules"
    id: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"))
    flow_id: Mapped[str] = mapped_column(ForeignKey("flows.id"), index=True)
    title: Mapped[str]
    timing: Mapped[dict[str, Any]] = mapped_column(JSON)
    time_zone: Mapped[str]
    source: Mapped[dict[str, Any]] = mapped_column(JSON)
    #: When it starts next; null while it is paused.
    next_at: Mapped[int | None]
    #: Why its last start was refused (code, title, detail, remedy); null after a start that was not.
    trouble: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    created_at: Mapped[int]
    created_by: Mapped[str]
    __table_args__ = (Index("ix_schedules_next_at", "next_at", sqlite_where=text("next_at is not null")),)


class ScheduleStart(Base):
    """A start of a schedule, or a refused one. `slot`: the time for which it was due, in milliseconds; a slot has one
    row, so that it starts once.
    """

    __tablename__ = "schedule_starts"
    schedule_id: Mapped[str] = mapped_column(ForeignKey("schedules.id", ondelete="CASCADE"), primary_key=True)
    slot: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[int]
    #: How many further slots passed while no server ran; this start is for all of them.
    missed: Mapped[int]
    #: The job, or the batch of `jobs` jobs; both null when it was refused.
    job_id: Mapped[str | None]
    batch_id: Mapped[str | None]
    jobs: Mapped[int]
    #: The rows of the dataset that do not fit the fields of the flow: `{"number", "text"}`, the first ones only.
    left_out: Mapped[list[Any] | None] = mapped_column(JSON)
    left_out_count: Mapped[int]
    #: Why it was refused, as in `schedules.trouble`.
    trouble: Mapped[dict[str, Any] | None] = mapped_column(JSON)


class Hook(Base):
    """An address that another service calls to start a flow.

    `preset`: how a call proves where it comes from (`engine.triggers.signatures`). `mapping`: field -> where its value
    comes from (`engine.triggers.body_mapping`).
    """

    __tablename__ = "hooks"
    id: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"))
    flow_id: Mapped[str] = mapped_column(ForeignKey("flows.id"), index=True)
    title: Mapped[str]
    preset: Mapped[str]
    mapping: Mapped[dict[str, Any]] = mapped_column(JSON)
    paused: Mapped[bool]
    created_at: Mapped[int]
    created_by: Mapped[str]
    #: The last genuine call: its body as JSON text, its headers, and the job that it started.
    last_body: Mapped[str | None] = mapped_column(Text)
    last_headers: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    last_at: Mapped[int | None]
    last_job_id: Mapped[str | None] = mapped_column(index=True)


class HookSecret(Base):
    """A sealed secret of a hook. Two are valid while it is rotated; `ends_at` is null for the current one."""

    __tablename__ = "hook_secrets"
    id: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[str]
    hook_id: Mapped[str] = mapped_column(ForeignKey("hooks.id", ondelete="CASCADE"), index=True)
    sealed: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int]
    ends_at: Mapped[int | None]


class HookMessage(Base):
    """A message that a hook has accepted: a repeated delivery of it gets the same job. `message`: a SHA-256."""

    __tablename__ = "hook_messages"
    hook_id: Mapped[str] = mapped_column(ForeignKey("hooks.id", ondelete="CASCADE"), primary_key=True)
    message: Mapped[str] = mapped_column(primary_key=True)
    job_id: Mapped[str]
    at: Mapped[int] = mapped_column(index=True)


class HookDelivery(Base):
    """One of the newest calls of a hook, without its content."""

    __tablename__ = "hook_deliveries"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    hook_id: Mapped[str] = mapped_column(ForeignKey("hooks.id", ondelete="CASCADE"), index=True)
    at: Mapped[int]
    status: Mapped[int]
    #: `accepted`, `repeated`, `ping`, or the code of the refusal.
    code: Mapped[str]
    #: What was wrong, and what to do; empty when nothing was.
    reason: Mapped[str] = mapped_column(Text)
    #: What the sender calls the event, for example `issues`; empty when it does not say.
    event: Mapped[str]
    size: Mapped[int]
    job_id: Mapped[str | None]
