"""Turns the files that a caller sent with a request into stored files: the first act of a job whose API Input has files.

A `file_id` was looked up when the job was accepted. A data URL is stored, and an https address is fetched through the
outbound client.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from engine.core.error_codes import JobErrorCode
from engine.core.web_addresses import split_url
from engine.flow.file_values import (
    MAX_FILE_BYTES,
    is_file_value,
    map_files,
    read_data_url,
    sent_file_id,
    sent_files,
    size_in_words,
    why_not_taken,
)
from engine.flow.node_context import Json, NodeContext, NodeFailed

_FETCH_SECONDS = 120.0
#: Code of a request that brought no answer -> that of the job. An address that may not be called keeps its own.
_PUBLISHED_AS = {
    **dict.fromkeys(
        ("answer_unreadable", "bad_url", "connect_failed", "timed_out", "too_many_redirects"),
        JobErrorCode.FILE_NOT_FOUND,
    ),
    JobErrorCode.RESPONSE_TOO_LARGE: JobErrorCode.FILE_NOT_TAKEN,
}
_HEADER_NAME = re.compile(
    r"filename\*=(?:utf-8|iso-8859-1)?''([^;]+)|filename=(?:\"([^\"]*)\"|([^;\s]+))", re.IGNORECASE
)


async def with_files(
    fields: Sequence[Mapping[str, Any]], payload: Mapping[str, Json], context: NodeContext
) -> dict[str, Json]:
    """Returns the payload with the value of a stored file in place of each file that was sent. Raises NodeFailed."""
    found: dict[str, Json] = {}
    has_data = False
    for field, pointer, sent in sent_files(fields, payload):
        if is_file_value(sent):
            continue
        try:
            found[pointer] = await _stored(field, sent, context)
        except NodeFailed as failed:
            failed.message = f"`{pointer[1:]}`: {failed.message}"
            failed.args = (failed.message,)
            raise
        has_data = has_data or (isinstance(sent, str) and sent[:5].lower() == "data:")
    if not found:
        return dict(payload)
    changed = map_files(fields, payload, found.get)
    if has_data:
        await context.files.note_payload(changed)
    return changed


async def _stored(field: Mapping[str, Any], sent: Json, context: NodeContext) -> Json:
    if sent_file_id(sent) is not None:  # of a called flow: a job's own are looked up when it is accepted
        content = await context.files.look_up(sent)
        _require_fit(field, content.name, content.media_type, content.size)
        return {
            "name": content.name,
            "media_type": content.media_type,
            "size": content.size,
            "file_id": sent_file_id(sent),
        }
    name, said_type, data = await _opened(str(sent), context)
    value = await context.files.keep(name, said_type, data)
    _require_fit(field, value["name"], value["media_type"], value["size"])
    return value


async def _opened(sent: str, context: NodeContext) -> tuple[str, str, bytes]:
    """Returns name, media type as said, and bytes."""
    if sent[:5].lower() != "data:":
        return await _fetched(sent, context)
    parts = read_data_url(sent)
    if parts is None:
        raise NodeFailed(
            "The data URL cannot be read.", code=JobErrorCode.FILE_NOT_TAKEN, remedy="Send it with base64."
        )
    try:
        return parts.name, parts.media_type, await context.in_thread(parts.content)
    except ValueError as error:
        raise NodeFailed(
            "The base64 of the data URL cannot be read.",
            code=JobErrorCode.FILE_NOT_TAKEN,
            why="It holds a sign that base64 does not have, or it is cut off.",
            remedy="Send it again, or upload the file and send its `file_id`.",
        ) from error


async def _fetched(url: str, context: NodeContext) -> tuple[str, str, bytes]:
    try:
        answer = await context.http.request("GET", url, timeout_seconds=_FETCH_SECONDS, max_bytes=MAX_FILE_BYTES)
    except NodeFailed as failed:
        failed.code = _PUBLISHED_AS.get(failed.code, failed.code)
        raise
    if answer.status != 200:
        raise NodeFailed(
            f"The address of the file answered with status {answer.status}.",
            code=JobErrorCode.FILE_NOT_FOUND,
            why="The file may have moved, or the address may need a sign-in.",
            remedy="Open the address in a private window of a browser: it must show or download the file.",
            passing=answer.status >= 500 or answer.status == 429,
        )
    return _name_of(answer.url, answer.headers), answer.content_type, answer.body


def _name_of(url: str, headers: Mapping[str, str]) -> str:
    found = _HEADER_NAME.search(headers.get("content-disposition", "")[:1_000])
    if found is not None and (name := unquote(found[1]) if found[1] else found[2] or found[3]):
        return name
    return unquote(split_url(url).path.rpartition("/")[2])


def _require_fit(field: Mapping[str, Any], name: str, media_type: str, size: int) -> None:
    wrong = why_not_taken(field, name, media_type, size)
    if wrong is not None:
        raise NodeFailed(
            f"{wrong[1]}.",
            code=JobErrorCode.FILE_NOT_TAKEN,
            why=f"The field takes files of up to {size_in_words(MAX_FILE_BYTES)} unless API Input says less.",
            remedy="Send another file, or let the designer of the flow allow this in API Input.",
        )
