"""Routes that take and give files. Flows take a file by its id; the id of a file in a result leads here."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from api.http import parameters
from api.http.context import context_of
from api.http.download import file_answer
from api.http.job_answers import dump
from api.http.problem_json import RangeNotSatisfiable, UnsupportedMediaType
from api.http.route_classes import BASE, ByKey, FromApp, PublicRoute, RawRoute, refusals, with_headers
from api.http.schemas import UploadedFile
from api.http.upload import AROUND_BYTES
from engine.actions.files import check_room, get_callers_file, upload
from engine.core import errors
from engine.core.clock import to_rfc3339

raw = APIRouter(prefix=BASE, route_class=RawRoute, tags=["files"])
router = APIRouter(prefix=BASE, route_class=PublicRoute, tags=["files"])

_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "The file with its name. The name of the part does not matter.",
                        }
                    },
                    "required": ["file"],
                },
            }
        },
    }
}


#: The bytes of a file, and the headers that tell about them.
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_BYTES: dict[str, Any] = {"content": {"*/*": _BINARY, "application/octet-stream": _BINARY}}
_ABOUT_BYTES = (
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Security-Policy",
    "Cross-Origin-Resource-Policy",
    "ETag",
    "Last-Modified",
)


async def partly(
    byte_range: parameters.Range = None,
    if_range: parameters.IfRange = None,
    if_none_match: parameters.IfNoneMatch = None,
) -> None:
    """Declares the headers of a download for the OpenAPI document."""


async def repeated(idempotency_key: parameters.UploadKey = None) -> None:
    """Declares the header of an upload for the OpenAPI document."""


@raw.post(
    "/files",
    operation_id="upload_file",
    summary="Upload a file",
    dependencies=[Depends(repeated)],
    status_code=201,
    response_model=UploadedFile,
    response_description="The file is stored",
    responses={
        201: with_headers("Location", "Idempotent-Replayed"),
        **refusals(
            errors.InvalidUpload,
            errors.FileSpaceFull,
            errors.FileTooLarge,
            UnsupportedMediaType,
            errors.IdempotencyKeyReused,
        ),
    },
    openapi_extra=_FORM,
)
async def upload_file(request: Request) -> Response:
    """Send the file as the only part of a form (`multipart/form-data`), with its name. At most 50 MiB, within \
10 minutes and without a pause of 30 seconds. Its kind is found from the content and the ending of the name; the name is cleaned. Send the `file_id` in a field of the type File when you run a flow. A file that nothing uses is removed \
a day after its upload; one that was used longer, once nothing uses it any more: what a job was given goes with the job's data.
    """
    context = await context_of(request)
    caller = await context.caller(request, lately=True)
    context.refuse_when_stopping()
    parameters.query(request)
    key = parameters.idempotency_key(request)
    announced = request.headers.get("content-length", "")
    least = int(announced) - AROUND_BYTES if announced.isdigit() and len(announced) < 12 else 0
    database = context.database
    await database.read(check_room, caller, max(0, least))
    async with context.uploads.receiving(request, caller.workspace_id, database.file_bytes) as incoming:
        uploaded = await database.write(upload, caller, incoming, key)
    file = uploaded.file
    address = f"{BASE}/files/{file.id}"
    view = {
        "file_id": file.id,
        "name": file.name,
        "media_type": file.media_type,
        "size": file.size,
        "created_at": to_rfc3339(file.created_at),
        "kept_until": to_rfc3339(uploaded.kept_until),
        "url": address,
    }
    replayed = {"Idempotent-Replayed": "true"} if uploaded.replayed else {}
    return Response(
        dump(view), 201, {"Location": address, "Cache-Control": "no-store", **replayed}, media_type="application/json"
    )


@router.get(
    "/files/{file_id}",
    operation_id="download_file",
    summary="Download a file",
    response_class=FileResponse,
    dependencies=[Depends(partly)],
    response_description="The bytes of the file",
    responses={
        200: _BYTES | with_headers(*_ABOUT_BYTES),
        206: {"description": "The part of the file that was asked for"}
        | _BYTES
        | with_headers("Content-Range", *_ABOUT_BYTES),
        304: {"description": "It is the file with that ETag", **with_headers("ETag")},
        **refusals(errors.NotFound, RangeNotSatisfiable, any_accept=True),
    },
)
async def download_file(request: Request, caller: ByKey, context: FromApp, file_id: parameters.FileId) -> Response:
    """A file that the key sees (the guide Files says which); results name files by `file_id`. It is sent as a \
download under its name and with its media type (without a `charset`: the bytes are as they were sent), whatever `Accept` says. With `Range`, one part of it is sent (206); with \
`If-None-Match` and its ETag, 304. The bytes of a file never change.
    """
    row = await context.database.read(get_callers_file, caller, file_id)
    return await file_answer(request, row, context.database.file_bytes)
