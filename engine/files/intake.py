"""Takes files in: counts and cleans what arrives, finds the media type, and stores it within the workspace's space.

The bytes are on disk before the transaction begins (`Incoming`), so that it only moves them and adds the row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct
from sqlalchemy.orm import Session

from engine.core.errors import FileSpaceFull, FileTooLarge
from engine.core.file_names import clean_file_name
from engine.core.media_types import ending_for, ending_of, media_type_of
from engine.flow.file_values import MAX_FILE_BYTES, file_value, size_in_words
from storage.file_bytes import Draft, FileBytes
from storage.files import FileRow, UseKind, add_uses, find_same, insert_file, used_bytes
from storage.settings import SERVER, find_setting

#: The server's setting for how many GiB the files of each workspace may take, and its default.
SPACE_GB, USUAL_SPACE_GB = "files_space_gb", 5.0
_GIB = 1 << 30


class Incoming(Struct, frozen=True):
    """A file that is on disk and not stored yet. `discard` removes it unless it was stored."""

    name: str
    media_type: str
    draft: Draft

    def discard(self) -> None:
        self.draft.discard()


@dataclass
class FileIntake:
    """Receives one file in pieces. Ends with `done` or `discard`."""

    bytes: FileBytes
    most: int = MAX_FILE_BYTES
    _draft: Draft = field(init=False)

    def __post_init__(self) -> None:
        self._draft = self.bytes.draft()

    def write(self, piece: bytes) -> None:
        """Adds bytes. Raises FileTooLarge, when it has more than `most`, and StorageUnavailable."""
        if self._draft.size + len(piece) > self.most:
            self.discard()
            raise FileTooLarge(f"A file may have {size_in_words(self.most)}")
        self._draft.write(piece)

    def done(self, name: str, said_type: str = "") -> Incoming:
        """Writes the rest to the disk; `said_type` counts where the ending of a name would, when it has none. Raises
        StorageUnavailable.
        """
        self._draft.finish()
        return named(self._draft, name, said_type)

    def discard(self) -> None:
        """Removes what was received."""
        self._draft.discard()


def incoming_of(files: FileBytes, content: bytes, name: str, said_type: str = "") -> Incoming:
    """Puts a file that is in memory on the disk. Raises FileTooLarge and StorageUnavailable; call it in a thread."""
    intake = FileIntake(files)
    intake.write(content)
    return intake.done(name, said_type)


def named(draft: Draft, name: str, said_type: str = "") -> Incoming:
    """Gives a finished draft its cleaned name and its media type."""
    clean = clean_file_name(name)
    media_type = media_type_of(clean, draft.head, draft.tail, said_type)
    if not ending_of(clean) and (ending := ending_for(media_type)) and clean == "file":
        clean = f"{clean}{ending}"
    return Incoming(clean, media_type, draft)


def store_file(
    session: Session,
    incoming: Incoming,
    *,
    workspace_id: str,
    environment: str,
    key_id: str | None = None,
    created_by: str | None = None,
    use: tuple[UseKind, str] | None = None,
) -> FileRow:
    """Stores a file and notes what names it. A job that stores the same file again gets the same row.

    Raises FileSpaceFull and StorageUnavailable.
    """
    draft = incoming.draft
    if use is not None and use[0] == "job":
        known = find_same(session, use[1], draft.sha256, incoming.name)
        if known is not None:
            return known
    check_space(session, workspace_id, draft.size)
    row = insert_file(
        session,
        draft,
        workspace_id=workspace_id,
        name=incoming.name,
        media_type=incoming.media_type,
        environment=environment,
        key_id=key_id,
        created_by=created_by,
    )
    if use is not None:
        add_uses(session, *use, [row.id])
    return row


def space_bytes(session: Session) -> int:
    """Returns how many bytes the files of a workspace may take; 0: no limit."""
    found = find_setting(session, SERVER, SPACE_GB)
    return round((USUAL_SPACE_GB if found is None else found) * _GIB)


def check_space(session: Session, workspace_id: str, more: int) -> None:
    """Raises FileSpaceFull when so many more bytes do not fit."""
    most = space_bytes(session)
    if not most:
        return
    used = used_bytes(session, workspace_id)
    if used + more > most:
        raise FileSpaceFull(
            f"The files of this workspace take {size_in_words(used)} of {size_in_words(most)}, and this one has "
            f"{size_in_words(more)}"
        )


def value_of(row: FileRow) -> dict[str, Any]:
    """Returns a stored file as a value of a flow."""
    return file_value(row.id, row.name, row.media_type, row.size)
