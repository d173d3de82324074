"""Actions on knowledge: collections, their sources, and when those are read. They need the role editor or owner.

A text that is short and needs no model is indexed at once; workers read everything else in the background
(`engine.knowledge.indexer`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sqlalchemy.orm import Session

from engine.actions.files import PLAYGROUND
from engine.actions.flow_uses import refuse_delete, refuse_rename
from engine.actions.names import check_name
from engine.actions.principal import Principal, require_may
from engine.core.charsets import decode_body
from engine.core.errors import Conflict, FieldError, Invalid, TooLarge
from engine.core.web_addresses import LONGEST_ADDRESS, split_url
from engine.files.intake import Incoming, store_file
from engine.knowledge.chunking import LARGEST_PIECE, PIECE_CHARS, SMALLEST_PIECE
from engine.knowledge.documents import MAX_DEPTH, MAX_PAGES, MAX_TEXT, Found, can_read
from engine.knowledge.writing import cut_document, write_document
from engine.models.connections import split_model
from engine.models.provider_catalog import has_embeddings
from storage.audit import add_entry
from storage.connections import find_connection
from storage.database import now
from storage.datasets import get_dataset
from storage.files import drop_uses
from storage.knowledge import (
    MAX_COLLECTIONS,
    MAX_SOURCES,
    find_named_collection,
    hold_collection,
    hold_source,
    list_sources,
    most_text,
    read_room,
)
from storage.knowledge_changes import (
    AGAIN,
    end_source,
    find_source_named,
    insert_collection,
    insert_source,
    let_go,
    remove_empty_collection,
    wait_again,
)
from storage.knowledge_documents import find_document
from storage.knowledge_uses import list_knowledge_uses
from storage.tables_knowledge import KnowledgeCollection, KnowledgeSource

MAX_SOURCE_NAME = 300
#: The longest text, in characters, that is indexed in the write that adds it.
AT_ONCE_CHARS = 200_000
_WHAT = {"text": "text", "file": "file", "site": "website", "dataset": "rows", "flow": "texts of flows"}


def add_collection(session: Session, principal: Principal, name: str) -> str:
    """Creates an empty collection and returns its id. Raises Invalid, and Conflict when the name is taken."""
    require_may(principal, "edit knowledge")
    name = _check_name(session, principal, name)
    if read_room(session, principal.workspace_id).collections >= MAX_COLLECTIONS:
        raise TooLarge(
            f"A workspace may have {MAX_COLLECTIONS} collections of knowledge",
            remedy="Delete one that is not needed any more, or add the source to another one.",
        )
    collection = insert_collection(session, principal.workspace_id, name, PIECE_CHARS)
    add_entry(session, principal, "create collection", collection.id, name)
    return collection.id


def rename_collection(session: Session, principal: Principal, collection_id: str, name: str) -> None:
    """Renames a collection. Raises Invalid, and Conflict when the name is taken or a flow refers to it by its name."""
    require_may(principal, "edit knowledge")
    collection = hold_collection(session, principal.workspace_id, collection_id)
    name = _check_name(session, principal, name, collection.id)
    if name == collection.name:
        return
    refuse_rename(list_knowledge_uses(session, principal.workspace_id).get(collection.id, ()), "collection")
    add_entry(session, principal, "rename collection", collection.id, f"{collection.name} is now {name}")
    collection.name = name
    collection.updated_at = now(session)


def set_meaning(session: Session, principal: Principal, collection_id: str, model: str) -> None:
    """Chooses the embedding model `CONNECTION:model-name` for search by meaning; empty: word search only.

    Every source is read again, because its vectors are those of another model. Raises Invalid.
    """
    require_may(principal, "edit knowledge")
    collection = hold_collection(session, principal.workspace_id, collection_id)
    model = model.strip()
    if model:
        _check_model(session, principal, model)
    if model == (collection.model or ""):
        return
    collection.model = model or None
    add_entry(
        session, principal, "change collection", collection.id, f"{collection.name}: {model or 'word search only'}"
    )
    _read_all(session, collection)


def set_piece_length(session: Session, principal: Principal, collection_id: str, characters: int) -> None:
    """Sets about how long the pieces are; every source is cut again. Raises Invalid."""
    require_may(principal, "edit knowledge")
    collection = hold_collection(session, principal.workspace_id, collection_id)
    if not SMALLEST_PIECE <= characters <= LARGEST_PIECE:
        raise Invalid(
            f"A piece may have {SMALLEST_PIECE:,} to {LARGEST_PIECE:,} characters",
            remedy="Most texts are found best with about 1,000.",
        )
    if characters != collection.piece_chars:
        collection.piece_chars = characters
        add_entry(
            session,
            principal,
            "change collection",
            collection.id,
            f"{collection.name}: pieces of {characters:,} characters",
        )
        _read_all(session, collection)


def delete_collection(
    session: Session, principal: Principal, collection_id: str, if_used: Literal["refuse", "delete"] = "refuse"
) -> None:
    """Deletes a collection; a worker removes its pieces soon after.

    Raises NotFound, and Conflict while flows use it, unless `if_used` is "delete".
    """
    require_may(principal, "edit knowledge")
    collection = hold_collection(session, principal.workspace_id, collection_id)
    if if_used == "refuse":
        refuse_delete(list_knowledge_uses(session, principal.workspace_id).get(collection.id, ()), "collection")
    add_entry(session, principal, "delete collection", collection.id, collection.name)
    for one in list_sources(session, principal.workspace_id, collection.id):
        let_go(hold_source(session, principal.workspace_id, one.id))
    collection.deleted_at = now(session)
    remove_empty_collection(session, collection.id)


def add_text(session: Session, principal: Principal, collection_id: str, name: str, text: str) -> str:
    """Adds a text (Markdown headings count) and returns the id of its source. Raises Invalid, TooLarge."""
    require_may(principal, "edit knowledge")
    collection = hold_collection(session, principal.workspace_id, collection_id)
    if not text.strip():
        raise _invalid("/text", "The text is empty", "Write or paste what shall be found.")
    content = text.encode(errors="replace")
    return _add(session, principal, collection, "text", name or _first_line(text), {}, content)


def add_file(session: Session, principal: Principal, collection_id: str, incoming: Incoming) -> str:
    """Adds a file and returns the id of its source. A file of the same name in the collection is replaced: what was read of
    it stays until the new one is read.

    Raises Invalid for a kind that cannot be read, TooLarge, FileSpaceFull.
    """
    require_may(principal, "edit knowledge")
    collection = hold_collection(session, principal.workspace_id, collection_id)
    name = incoming.name[:MAX_SOURCE_NAME]
    if not can_read(name):
        raise _invalid(
            "/file",
            f"Files like “{name}” cannot be read",
            "PDF, Word, PowerPoint, Excel, text, Markdown, HTML, CSV, JSON and e-mails can be read.",
        )
    if not incoming.draft.size:
        raise _invalid("/file", f"“{name}” is empty", "Choose a file with text in it.")
    earlier = find_source_named(session, collection.id, "file", name)
    if earlier is None:
        source_id = _add(session, principal, collection, "file", name, {})
    else:
        _require_room(session, principal, earlier)
        source_id = earlier.id
        add_entry(session, principal, "add source", source_id, f"{collection.name}: {_WHAT['file']} {name}, anew")
        drop_uses(session, "collection", source_id)
        wait_again(session, earlier)
        collection.updated_at = now(session)
    row = store_file(
        session,
        incoming,
        workspace_id=principal.workspace_id,
        environment=PLAYGROUND,
        created_by=principal.actor,
        use=("collection", source_id),
    )
    hold_source(session, principal.workspace_id, source_id).settings = {"file_id": row.id}
    return source_id


def add_site(
    session: Session, principal: Principal, collection_id: str, url: str, options: Mapping[str, Any] | None = None
) -> str:
    """Adds the pages of a website and returns the id of the source.

    `options`: `max_pages`, `max_depth`, `include`, `exclude`. Raises Invalid.
    """
    require_may(principal, "edit knowledge")
    collection = hold_collection(session, principal.workspace_id, collection_id)
    url = url.strip()
    if "://" not in url and url:
        url = f"https://{url}"
    try:
        parts = split_url(url)
        host = parts.hostname
    except ValueError:
        parts, host = None, None
    if (
        parts is None
        or parts.scheme not in {"http", "https"}
        or not host
        or "@" in parts.netloc
        or len(url) > LONGEST_ADDRESS
    ):
        raise _invalid("/url", "This is no address of a website", "Write it like https://example.com/.")
    given = dict(options or {})
    pages, depth = int(given.get("max_pages", 100)), int(given.get("max_depth", 2))
    if not 1 <= pages <= MAX_PAGES or not 0 <= depth <= MAX_DEPTH:
        raise _invalid(
            "/max_pages",
            f"{pages:,} pages, {depth} links deep, is not possible",
            f"Choose 1 to {MAX_PAGES:,} pages and 0 to {MAX_DEPTH} links.",
        )
    settings = {
        "url": url,
        "max_pages": pages,
        "max_depth": depth,
        "include": [str(one)[:500] for one in given.get("include", ())][:50],
        "exclude": [str(one)[:500] for one in given.get("exclude", ())][:50],
    }
    return _add(session, principal, collection, "site", url.partition("://")[2].rstrip("/"), settings)


def add_dataset_rows(
    session: Session, principal: Principal, collection_id: str, dataset: str, columns: Sequence[str] = ()
) -> str:
    """Adds the rows of a dataset, each a document of its own, and returns the id of the source. `columns`: only these.

    Raises NotFound, Invalid.
    """
    require_may(principal, "edit knowledge")
    collection = hold_collection(session, principal.workspace_id, collection_id)
    found = get_dataset(session, principal.workspace_id, dataset)
    unknown = [name for name in columns if name not in found.column_names]
    if unknown:
        raise _invalid("/columns", f"{found.name} has no column `{unknown[0]}`", "Choose columns that are there.")
    settings = {"dataset": found.id, "columns": list(columns)}
    return _add(session, principal, collection, "dataset", found.name, settings)


def read_again(session: Session, principal: Principal, source_id: str) -> None:
    """Has a source read again; what did not change is left as it is. Raises NotFound, and Conflict while it is read."""
    require_may(principal, "edit knowledge")
    source = hold_source(session, principal.workspace_id, source_id)
    if source.state == "working":
        raise Conflict(f"“{source.name}” is being read now", remedy="Wait until it has ended, or stop it.")
    wait_again(session, source)
    add_entry(session, principal, "read source again", source.id, source.name)


def stop_reading(session: Session, principal: Principal, source_id: str) -> None:
    """Stops the reading of a source; what was read so far stays, and so does when it is read again. Does nothing when it
    is not read.
    """
    require_may(principal, "edit knowledge")
    source = hold_source(session, principal.workspace_id, source_id)
    if source.state == "waiting":
        end_source(session, source.id, None, "stopped", "It was stopped before it was read.", source.problems)
    elif source.state == "working":
        source.stop_requested = True
    else:
        return
    add_entry(session, principal, "stop source", source.id, source.name)


def set_again(session: Session, principal: Principal, source_id: str, again: str) -> None:
    """Sets how often a source is read again: empty for never, `hourly`, `daily`, `weekly`, `monthly`. Raises Invalid."""
    require_may(principal, "edit knowledge")
    source = hold_source(session, principal.workspace_id, source_id)
    if again not in {"", *AGAIN} or (again and source.kind not in {"site", "dataset"}):
        raise _invalid("/again", "This source cannot be read again by itself", "Websites and datasets can.")
    source.again = again
    if source.state != "waiting":  # the end of its reading sets it
        source.next_at = now(session) + AGAIN[again] if again else None
    add_entry(session, principal, "change source", source.id, f"{source.name}: {again or 'by hand'}")


def delete_source(session: Session, principal: Principal, source_id: str) -> None:
    """Removes a source with its pieces; a worker does it soon after. Raises NotFound."""
    require_may(principal, "edit knowledge")
    source = hold_source(session, principal.workspace_id, source_id)
    add_entry(session, principal, "delete source", source.id, f"{source.name}: {source.piece_count:,} pieces")
    let_go(source)


def bring_documents(session: Session, principal: Principal, samples: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Creates those of a template's sample collections that do not exist yet, with their documents (name -> text);
    returns their names.
    """
    require_may(principal, "edit knowledge")
    made = []
    for name, documents in samples.items():
        if find_named_collection(session, principal.workspace_id, name) is None:
            collection_id = add_collection(session, principal, name)
            for title, text in documents.items():
                add_text(session, principal, collection_id, title, text)
            made.append(name)
    return made


def _add(
    session: Session,
    principal: Principal,
    collection: KnowledgeCollection,
    kind: Literal["text", "file", "site", "dataset"],
    name: str,
    settings: Mapping[str, Any],
    content: bytes | None = None,
) -> str:
    if content is not None and len(content) > MAX_TEXT:
        raise TooLarge(
            f"“{name}” has {len(content) / (1 << 20):,.1f} MiB; {MAX_TEXT >> 20} MiB are taken",
            remedy="Add it in several parts, or as a file.",
        )
    _require_room(session, principal)
    name = " ".join(name.split())[:MAX_SOURCE_NAME] or _WHAT[kind]
    source = insert_source(session, collection, kind, name, settings, principal.name, content)
    add_entry(session, principal, "add source", source.id, f"{collection.name}: {_WHAT[kind]} {name}")
    if content is not None and len(content) <= AT_ONCE_CHARS and not collection.model:
        _index_now(session, source, content, collection.piece_chars)
    return source.id


def _require_room(session: Session, principal: Principal, earlier: KnowledgeSource | None = None) -> None:
    """Raises TooLarge when the workspace holds its most. `earlier`: a source whose content is replaced and makes way."""
    room = read_room(session, principal.workspace_id)
    if earlier is not None:
        room = room.without(earlier.piece_count, earlier.char_count)
    if not room.has_room_for() or (earlier is None and room.sources >= MAX_SOURCES):
        raise TooLarge(
            f"The workspace holds its most: {MAX_SOURCES:,} sources, {most_text()}",
            remedy="Delete sources that are not needed any more.",
        )


def _index_now(session: Session, source: KnowledgeSource, content: bytes, piece_chars: int) -> None:
    text = decode_body(content, is_page=False)
    document = cut_document(Found("file", source.name, (("", text),)), piece_chars)
    known = find_document(session, source.id, "file")
    write_document(session, source.id, None, document, known.id if known else None)
    end_source(session, source.id, None, "ready", "", ())


def _read_all(session: Session, collection: KnowledgeCollection) -> None:
    """Has every source of a collection read again; one that is being read begins anew."""
    collection.updated_at = now(session)
    for one in list_sources(session, collection.workspace_id, collection.id):
        wait_again(session, hold_source(session, collection.workspace_id, one.id))


def _check_name(session: Session, principal: Principal, name: str, own_id: str = "") -> str:
    return check_name(
        name, "collection", lambda wanted: find_named_collection(session, principal.workspace_id, wanted), own_id
    )


def _check_model(session: Session, principal: Principal, model: str) -> None:
    connection_name, model_name = split_model(model)
    connection = find_connection(session, principal.workspace_id, connection_name or "")
    if connection is None or not model_name.strip():
        raise _invalid(
            "/model", f"No connection is called “{connection_name}”", "Choose a connection and one of its models."
        )
    if not has_embeddings(connection.provider):
        raise _invalid(
            "/model",
            f"“{connection.name}” has no models for search by meaning",
            "Choose a connection to OpenAI, Google, Azure, Mistral, Ollama or a server like them.",
        )


def _invalid(pointer: str, message: str, remedy: str) -> Invalid:
    return Invalid(message, remedy=remedy, errors=(FieldError(pointer, "format", message),))


def _first_line(text: str) -> str:
    return next((line.strip("# \t") for line in text.splitlines() if line.strip("# \t")), "")[:80]
