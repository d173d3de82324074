"""The tables of stored files. Their bytes lie in the data folder (`storage/file_bytes.py`)."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from storage.table_base import Base


class StoredFile(Base):
    """A file that somebody uploaded or a step made. Rows with the same `sha256` share their bytes."""

    __tablename__ = "files"
    id: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"))
    sha256: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    media_type: Mapped[str]
    size: Mapped[int]
    #: live, test, dev: that of the key which uploaded it, or of the job that made it. playground: people and their runs.
    environment: Mapped[str]
    #: The key or the person (actor of the audit log) that uploaded it; null for files of steps.
    key_id: Mapped[str | None]
    created_by: Mapped[str | None]
    created_at: Mapped[int]
    __table_args__ = (
        Index("ix_files_workspace_created", "workspace_id", "created_at", "id"),
        Index("ix_files_workspace_size", "workspace_id", "size"),
    )


class FileUse(Base):
    """Something that names a file and keeps it: a job (`kind` job), a flow's samples, rows of a dataset, a collection."""

    __tablename__ = "file_uses"
    kind: Mapped[str] = mapped_column(primary_key=True)
    owner_id: Mapped[str] = mapped_column(primary_key=True)
    file_id: Mapped[str] = mapped_column(ForeignKey("files.id", ondelete="CASCADE"), primary_key=True, index=True)
