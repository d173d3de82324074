"""The files that a call names by their id: looked up when the job is accepted, which names them from then on.

What arrives as a data URL or an address becomes a file when the job runs (`engine/nodes/sent_files.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field
from sqlalchemy.orm import Session

from engine.core.error_codes import JobErrorCode
from engine.core.errors import FieldError, WrongFields
from engine.files.intake import value_of
from engine.flow.file_values import map_files, sent_file_id, sent_files, takes_files, why_not_taken
from storage.files import add_uses, find_files, find_visible
from storage.jobs import KeyScope

Json = Any
Fields = Sequence[Mapping[str, Any]]


class NamedFiles(Struct, frozen=True):
    """A payload in which each id is replaced by the file's value; the ids; and an error for each id that does not fit."""

    payload: dict[str, Json]
    file_ids: tuple[str, ...] = ()
    errors: WrongFields = field(default_factory=WrongFields)


def look_up_files(
    session: Session,
    workspace_id: str,
    fields: Fields,
    payload: Mapping[str, Json],
    *,
    scope: KeyScope | None = None,
    key_id: str | None = None,
    at: str = "",
) -> NamedFiles:
    """Looks up the files that a payload names. `scope`: what the caller's key sees; None: all files of the workspace.

    `at` is put before the pointers of the errors. A payload that names no file costs no query.
    """
    if not takes_files(fields):
        return NamedFiles(dict(payload))
    wanted = {file_id for _, _, sent in sent_files(fields, payload) if (file_id := sent_file_id(sent)) is not None}
    if not wanted:
        return NamedFiles(dict(payload))
    if scope is None:
        known = find_files(session, workspace_id, wanted)
    else:
        known = find_visible(session, workspace_id, wanted, scope, key_id)
    errors = WrongFields()
    for rules, pointer, sent in sent_files(fields, payload):
        file_id = sent_file_id(sent)
        if file_id is None:
            continue
        if (row := known.get(file_id)) is None:
            errors.append(
                FieldError(
                    at + pointer,
                    JobErrorCode.FILE_NOT_FOUND,
                    f"no file has the id {file_id}; upload it again, since unused files go a day after their upload, and "
                    "those of a job with its data, at once when these are erased",
                )
            )
        elif (wrong := why_not_taken(rules, row.name, row.media_type, row.size)) is not None:
            errors.append(FieldError(at + pointer, *wrong))
    if errors:
        return NamedFiles(dict(payload), errors=errors)

    def resolved(_pointer: str, sent: Json) -> Json:
        file_id = sent_file_id(sent)
        return sent if file_id is None else value_of(known[file_id])

    return NamedFiles(map_files(fields, payload, resolved), tuple(sorted(wanted)))


def name_files(session: Session, job_id: str, file_ids: Sequence[str]) -> None:
    """Notes that a job names these files, which keeps them as long as its data."""
    add_uses(session, "job", job_id, file_ids)
