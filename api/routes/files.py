"""Routes that take and give files. Flows take a file by its id; the id of a file in a result leads here."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from api.http import parameters
from api.http.context import context_of
from api.http.job_answers import dump
from api.http.problem_json import UnsupportedMediaType
from api.http.route_classes import BASE, ByKey, FromApp, PublicRoute, RawRoute, refusals, with_headers
from api.http.schemas import UploadedFile
from api.http.upload import AROUND_BYTES
from engine.actions.files import check_room, get_callers_file, upload
from engine.core import errors
from engine.core.clock import to_rfc3339
from engine.files.download import download_headers, held_file

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
                        "file": {"type": "string", "format": "binary", "description": "The file with its name."}
                    },
                    "required": ["file"],
                },
            }
        },
    }
}


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
    """Send the file as the only part of a form (`multipart/form-data`), with its name. At most 50 MiB. Its kind is found from \
the content; the name is cleaned. Send the `file_id` in a field of the type File when you run a flow. A file that nothing uses is removed \
after a day; one that a job was given is kept as long as the job's data.
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
    async with context.uploads.receiving(request, database.file_bytes) as incoming:
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
    response_description="The bytes of the file",
    responses={
        200: {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}},
        **refusals(errors.NotFound),
    },
)
async def download_file(caller: ByKey, context: FromApp, file_id: parameters.FileId) -> Response:
    """A file that the key uploaded, or that a job made or was given: results name files by `file_id`. It is sent as a \
download under its name and with its media type.
    """
    row = await context.database.read(get_callers_file, caller, file_id)
    held = await held_file(context.database.file_bytes, row)
    if held is None:
        raise errors.NotFound("The bytes of this file are not there any more")
    after = BackgroundTask(held.give_back) if held.give_back else None
    return FileResponse(held.path, headers=download_headers(row), background=after)
