"""Queries for stored files. A file is kept while a row of `file_uses` names it, and for a day after it was uploaded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final, Literal

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import Select, Text, and_, cast, delete, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from engine.core.clock import DAY
from engine.core.ids import file_ids_in, new_id
from storage.database import now
from storage.file_bytes import FILE_BYTES, Draft, FileBytes
from storage.jobs import KeyScope
from storage.statements import Statement, insert_into
from storage.table_base import belongs_to
from storage.tables import ApiKey, Dataset, DatasetRow, Flow, FlowVersion, Job
from storage.tables_files import FileUse, StoredFile

#: How long a file that nothing names is kept after its upload, in milliseconds.
UNUSED_MS: Final = DAY
#: What may keep a file.
UseKind = Literal["job", "flow", "dataset", "collection", "schedule"]
_MAX_IDS = 500

_COLUMNS = (
    "id", "workspace_id", "sha256", "name", "media_type", "size", "environment", "key_id", "created_by", "created_at",
)  # fmt: skip
_INSERT = insert_into("files", _COLUMNS)
_ADD_USE = Statement(
    """
    insert into file_uses (kind, owner_id, file_id) values (:kind, :owner_id, :file_id)
    on conflict (kind, owner_id, file_id) do nothing
    """
)
_ADD_READ = Statement(
    """
    insert into file_uses (kind, owner_id, file_id)
    select 'job', jobs.id, files.id from jobs join files on files.workspace_id = jobs.workspace_id
    where jobs.id = :job_id and jobs.completed_at is null and files.id = :file_id
    on conflict (kind, owner_id, file_id) do nothing
    """
)
_HAS_USE = Statement("select 1 from file_uses where kind = :kind and owner_id = :owner_id and file_id = :file_id")
_DROP_USES = Statement("delete from file_uses where kind = :kind and owner_id = :owner_id")
_NAMES_FILES = Statement("select 1 from file_uses where kind = :kind and owner_id = :owner_id limit 1")
_IS_NAMED = Statement("select 1 from files where sha256 = :sha256 limit 1")


class FileRow(Struct, frozen=True):
    """A stored file. `size` in bytes; `created_by`: the actor, for files that a person or key uploaded."""

    id: str
    workspace_id: str
    sha256: str
    name: str
    media_type: str
    size: int
    environment: str
    key_id: str | None
    created_by: str | None
    created_at: int


def insert_file(
    session: Session,
    draft: Draft,
    *,
    workspace_id: str,
    name: str,
    media_type: str,
    environment: str,
    key_id: str | None = None,
    created_by: str | None = None,
) -> FileRow:
    """Puts the bytes of a finished draft into their place and adds the row. Raises StorageUnavailable."""
    bytes_of(session).place(draft, session)
    row = FileRow(
        new_id("file"),
        workspace_id,
        draft.sha256,
        name,
        media_type,
        draft.size,
        environment,
        key_id,
        created_by,
        now(session),
    )
    _INSERT.run(session, asdict(row))
    return row


def bytes_of(session: Session) -> FileBytes:
    """Returns where the bytes lie, in a write."""
    return session.info[FILE_BYTES]


def find_file(session: Session, workspace_id: str, file_id: str) -> FileRow | None:
    """Returns a file of a workspace, or None."""
    return find_files(session, workspace_id, [file_id]).get(file_id)


def find_files(session: Session, workspace_id: str, file_ids: Collection[str]) -> dict[str, FileRow]:
    """Returns the files of a workspace that have one of these ids (at most 500 are looked for at once), by id."""
    found: dict[str, FileRow] = {}
    ids = list(dict.fromkeys(file_ids))
    for first in range(0, len(ids), _MAX_IDS):
        rows = session.scalars(
            select(StoredFile).where(
                StoredFile.id.in_(ids[first : first + _MAX_IDS]), belongs_to(StoredFile.workspace_id, workspace_id)
            )
        )
        found |= {row.id: _row(row) for row in rows}
    return found


def find_visible(
    session: Session, workspace_id: str, file_ids: Collection[str], scope: KeyScope, key_id: str | None
) -> dict[str, FileRow]:
    """Returns those of these files that an API key sees: files of its environment, files that a job of its
    environment names, and those of samples; a key of Development also what people upload in the Playground. A key that
    is limited to some flows sees its own uploads, and the files of these flows' jobs and samples.
    """
    known = find_files(session, workspace_id, file_ids)
    environments = ("dev", "playground") if scope.environment == "dev" else (scope.environment,)
    of_its_own = StoredFile.environment.in_(environments)
    job = and_(FileUse.kind == "job", FileUse.owner_id == Job.id, Job.environment == scope.environment)
    sample = FileUse.kind == "flow"
    if scope.flow_ids is not None:
        of_its_own = and_(of_its_own, StoredFile.key_id == (key_id or ""))
        job = and_(job, Job.flow_id.in_(scope.flow_ids))
        sample = and_(sample, FileUse.owner_id.in_(scope.flow_ids))
    seen: set[str] = set()
    ids = list(known)
    for first in range(0, len(ids), _MAX_IDS):
        by_job = exists().where(FileUse.file_id == StoredFile.id, job)
        by_sample = exists().where(FileUse.file_id == StoredFile.id, sample)
        wanted = select(StoredFile.id).where(
            StoredFile.id.in_(ids[first : first + _MAX_IDS]), or_(of_its_own, by_job, by_sample)
        )
        seen.update(session.scalars(wanted))
    return {file_id: row for file_id, row in known.items() if file_id in seen}


def find_for_job(session: Session, workspace_id: str, job_id: str, file_ids: Collection[str]) -> dict[str, FileRow]:
    """Returns those of these files that a job may read: those that it or its flow names, and those that its key sees. A
    job without a key, or whose key is gone, sees what a key of its environment sees that may call its flow only. Runs of
    the Playground are made by people, who see all files of the workspace; but one that repeats another job has the data
    of that job, so it sees the files that the other one sees.
    """
    wanted, named = set(file_ids), set[str]()
    job: Any = _reader(session, workspace_id, job_id)
    while job is not None:
        named |= _named_by(session, "job", job.id, wanted)
        options: dict[str, str] = job.run_options or {}
        repeated = options.get("again") or options.get("reuse")
        if job.environment != "playground" or repeated is None:
            break
        job = _reader(session, workspace_id, repeated)
    if job is None:
        return find_files(session, workspace_id, named)
    if job.environment == "playground":
        return find_files(session, workspace_id, wanted)
    flow_ids = [job.flow_id] if job.known_key is None else job.flow_ids
    scope = KeyScope(job.environment, None if flow_ids is None else frozenset(flow_ids))
    found = find_visible(session, workspace_id, wanted - named, scope, job.known_key)
    named |= _named_by(session, "flow", job.flow_id, wanted - named - found.keys())
    return found | find_files(session, workspace_id, named)


def _reader(session: Session, workspace_id: str, job_id: str) -> Any:
    """Returns what decides which files a job may read, or None."""
    return session.execute(
        select(Job.id, Job.environment, Job.flow_id, Job.run_options, ApiKey.id.label("known_key"), ApiKey.flow_ids)
        .outerjoin(ApiKey, ApiKey.id == Job.key_id)
        .where(Job.id == job_id, Job.workspace_id == workspace_id)
    ).one_or_none()


def find_same(session: Session, job_id: str, sha256: str, name: str) -> FileRow | None:
    """Returns a file with this content and name that the job names already, or None."""
    row = session.scalars(
        select(StoredFile)
        .join(FileUse, FileUse.file_id == StoredFile.id)
        .where(FileUse.kind == "job", FileUse.owner_id == job_id, StoredFile.sha256 == sha256, StoredFile.name == name)
        .limit(1)
    ).one_or_none()
    return None if row is None else _row(row)


def used_bytes(session: Session, workspace_id: str) -> int:
    """Returns the bytes of all files of a workspace; equal files count each."""
    return (
        session.scalar(
            select(func.coalesce(func.sum(StoredFile.size), 0)).where(StoredFile.workspace_id == workspace_id)
        )
        or 0
    )


def count_files(session: Session, workspace_id: str | None = None) -> tuple[int, int]:
    """Returns the number and the bytes of the files of a workspace, or of all."""
    wanted = select(func.count(), func.coalesce(func.sum(StoredFile.size), 0))
    if workspace_id is not None:
        wanted = wanted.where(StoredFile.workspace_id == workspace_id)
    count, size = session.execute(wanted).one()
    return count, size


# What names a file.


def add_uses(session: Session, kind: UseKind, owner_id: str, file_ids: Iterable[str]) -> None:
    """Notes that something names these files, which exist."""
    rows = [{"kind": kind, "owner_id": owner_id, "file_id": file_id} for file_id in dict.fromkeys(file_ids)]
    if rows:
        _ADD_USE.run(session, *rows)


def add_read(session: Session, job_id: str, file_ids: Iterable[str]) -> None:
    """Notes that a job names these files which it has just read. Files that are gone meanwhile are left out, and all of
    them when the job has ended: its data may have been erased.
    """
    rows = [{"job_id": job_id, "file_id": file_id} for file_id in dict.fromkeys(file_ids)]
    if rows:
        _ADD_READ.run(session, *rows)


def set_uses(session: Session, workspace_id: str, kind: UseKind, owner_id: str, file_ids: Collection[str]) -> None:
    """Notes which files something names now; ids that no file of the workspace has are left out."""
    known = set(list_uses(session, kind, owner_id))
    wanted = set(file_ids) & (known | set(find_files(session, workspace_id, set(file_ids) - known)))
    if gone := known - wanted:
        session.execute(
            delete(FileUse).where(FileUse.kind == kind, FileUse.owner_id == owner_id, FileUse.file_id.in_(gone))
        )
    add_uses(session, kind, owner_id, sorted(wanted - known))


def note_named_files(
    session: Session, workspace_id: str, kind: UseKind, owner_id: str, file_ids: Collection[str]
) -> None:
    """Notes that something names these files, in addition to others; ids that no file of the workspace has are left
    out.
    """
    add_uses(session, kind, owner_id, sorted(find_files(session, workspace_id, file_ids)))


def drop_uses(session: Session, kind: UseKind, owner_id: str) -> None:
    """Forgets what something named; a file that nothing else names is removed by retention."""
    _DROP_USES.run(session, {"kind": kind, "owner_id": owner_id})


def list_uses(session: Session, kind: UseKind, owner_id: str) -> list[str]:
    """Returns the ids of the files that something names."""
    return list(session.scalars(select(FileUse.file_id).where(FileUse.kind == kind, FileUse.owner_id == owner_id)))


def is_named_by_job(session: Session, job_id: str, file_id: str) -> bool:
    """True when the job names this file already."""
    wanted = {"kind": "job", "owner_id": job_id, "file_id": file_id}
    return _HAS_USE.row(session, wanted) is not None


def names_files(session: Session, kind: UseKind, owner_id: str) -> bool:
    """True when something names any file."""
    return _NAMES_FILES.row(session, {"kind": kind, "owner_id": owner_id}) is not None


def list_shared(session: Session, kind: UseKind, owner_id: str, job_id: str, file_ids: Collection[str]) -> list[str]:
    """Returns those of these files that something names and the job does not name yet."""
    return sorted(_named_by(session, kind, owner_id, file_ids) - _named_by(session, "job", job_id, file_ids))


def _named_by(session: Session, kind: UseKind, owner_id: str, file_ids: Collection[str]) -> set[str]:
    ids, found = list(file_ids), set[str]()
    for first in range(0, len(ids), _MAX_IDS):
        some = FileUse.file_id.in_(ids[first : first + _MAX_IDS])
        found.update(
            session.scalars(select(FileUse.file_id).where(FileUse.kind == kind, FileUse.owner_id == owner_id, some))
        )
    return found


class UnnamedUse(Struct, frozen=True):
    """A flow or dataset that names a file no more. `seen`: its state, as `forget_unnamed` compares it."""

    kind: UseKind
    owner_id: str
    file_id: str
    seen: int | None


def list_unnamed_uses(session: Session) -> list[UnnamedUse]:
    """Returns the uses by flows and datasets whose text names the file no more. Each text is read once."""
    found: list[UnnamedUse] = []
    readers: dict[UseKind, Callable[[Session, str], tuple[int | None, set[str]]]]
    readers = {"flow": _named_by_flow, "dataset": _named_by_dataset}
    for kind, read in readers.items():
        uses: dict[str, list[str]] = {}
        for use in session.execute(select(FileUse.owner_id, FileUse.file_id).where(FileUse.kind == kind)):
            uses.setdefault(use.owner_id, []).append(use.file_id)
        for owner_id, file_ids in uses.items():
            seen, named = read(session, owner_id)
            found += [UnnamedUse(kind, owner_id, file_id, seen) for file_id in file_ids if file_id not in named]
    return found


def forget_unnamed(session: Session, uses: Collection[UnnamedUse]) -> int:
    """Drops these uses, unless the flow or dataset was changed since `list_unnamed_uses`. Returns how many."""
    dropped = 0
    for use in uses:
        changed = select(Flow.draft_revision if use.kind == "flow" else Dataset.updated_at)
        changed = changed.where((Flow.id if use.kind == "flow" else Dataset.id) == use.owner_id)
        if session.scalar(changed) == use.seen:
            session.execute(
                delete(FileUse).where(
                    FileUse.kind == use.kind, FileUse.owner_id == use.owner_id, FileUse.file_id == use.file_id
                )
            )
            dropped += 1
    return dropped


def _named_by_flow(session: Session, flow_id: str) -> tuple[int | None, set[str]]:
    row = session.execute(
        select(Flow.draft_revision, Flow.draft, Flow.deleted_at).where(Flow.id == flow_id)
    ).one_or_none()
    if row is None or row.deleted_at is not None:
        return None if row is None else row.draft_revision, set()
    versions = select(FlowVersion.document).where(FlowVersion.flow_id == flow_id)
    return row.draft_revision, file_ids_in(row.draft) | _ids_in_texts(session, versions)


def _named_by_dataset(session: Session, dataset_id: str) -> tuple[int | None, set[str]]:
    seen = session.scalar(select(Dataset.updated_at).where(Dataset.id == dataset_id))
    rows = (
        select(cast(DatasetRow.data, Text))
        .join(Dataset, Dataset.id == DatasetRow.dataset_id)
        .where(DatasetRow.dataset_id == dataset_id, DatasetRow.id > Dataset.rows_after)
    )
    return seen, _ids_in_texts(session, rows)


def _ids_in_texts(session: Session, texts: Select[str]) -> set[str]:
    found = session.scalars(texts.execution_options(yield_per=_MAX_IDS))
    return {file_id for text in found for file_id in file_ids_in(text)}


# Removing.


def list_unused(session: Session, before: int, most: int) -> list[str]:
    """Returns files that were stored before a time and that nothing names."""
    used = exists().where(FileUse.file_id == StoredFile.id)
    return list(session.scalars(select(StoredFile.id).where(StoredFile.created_at < before, ~used).limit(most)))


def list_only_named_by_job(session: Session, job_id: str) -> list[str]:
    """Returns the files that this job names and nothing else."""
    other = aliased(FileUse)
    others = exists().where(other.file_id == FileUse.file_id, or_(other.kind != "job", other.owner_id != job_id))
    wanted = select(FileUse.file_id).where(FileUse.kind == "job", FileUse.owner_id == job_id, ~others)
    return list(session.scalars(wanted))


def remove_files(session: Session, file_ids: Sequence[str], *, unused_only: bool = True) -> int:
    """Removes files, and their bytes with the last row that names them. Returns how many files it removed.

    `unused_only`: those that something names meanwhile stay.
    """
    wanted = select(StoredFile.id, StoredFile.sha256).where(StoredFile.id.in_(file_ids))
    if unused_only:
        wanted = wanted.where(~exists().where(FileUse.file_id == StoredFile.id))
    rows: Any = session.execute(wanted).all()
    if not rows:
        return 0
    ids = [row.id for row in rows]
    session.execute(delete(FileUse).where(FileUse.file_id.in_(ids)))
    session.execute(delete(StoredFile).where(StoredFile.id.in_(ids)))
    remove_bytes_without_row(session, {row.sha256 for row in rows})
    return len(rows)


def remove_bytes_without_row(session: Session, hashes: Collection[str]) -> int:
    """Removes bytes that no row names. Returns how many."""
    removed = 0
    for sha256 in hashes:
        if _IS_NAMED.row(session, {"sha256": sha256}) is None:
            bytes_of(session).remove(sha256, session)
            removed += 1
    return removed


def list_hashes(session: Session) -> list[tuple[str, int]]:
    """Returns the hash and the size of all bytes that rows name, in order."""
    rows = session.execute(select(StoredFile.sha256, StoredFile.size).distinct().order_by(StoredFile.sha256))
    return [(row.sha256, row.size) for row in rows]


def has_row(session: Session, sha256: str) -> bool:
    """True when a file has these bytes."""
    return _IS_NAMED.row(session, {"sha256": sha256}) is not None


def _row(row: StoredFile) -> FileRow:
    return FileRow(**{name: getattr(row, name) for name in _COLUMNS})
