"""The table of questions that jobs ask people."""

from __future__ import annotations

from sqlalchemy import Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from storage.table_base import Base


class Question(Base):
    """A question of a step to a person. It is open until `closed_at`, and has exactly one outcome.

    A step asks with a `key` of its own; `mark` is the SHA-256 of what it asks, so that an answer never counts for another
    question. `content` and `answer` are JSON text: `{"values", "editable"}`, and the values that the person changed.
    """

    __tablename__ = "questions"
    id: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[str]
    job_id: Mapped[str]
    flow_id: Mapped[str]
    #: That of the job.
    environment: Mapped[str]
    node_id: Mapped[str]
    index_path: Mapped[str]
    key: Mapped[str]
    mark: Mapped[str]
    title: Mapped[str] = mapped_column(Text)
    content: Mapped[str] = mapped_column(Text)
    on_expiry: Mapped[str]  # refuse, approve, fail
    asked_at: Mapped[int]
    expires_at: Mapped[int]
    closed_at: Mapped[int | None]
    #: approved or refused; withdrawn: the job ended or asks something else.
    outcome: Mapped[str | None]
    #: True when nobody answered in time.
    expired: Mapped[bool]
    answer: Mapped[str | None] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text)
    #: Who answered, as people read it; empty when nobody did.
    answered_by: Mapped[str]
    __table_args__ = (
        Index("ix_questions_job", "job_id", "node_id", "index_path", "key"),
        Index("ix_questions_workspace", "workspace_id", "closed_at", "asked_at", "id"),
        Index("ix_questions_due", "expires_at", sqlite_where=text("closed_at is null")),
    )
