"""The download of a stored file, for people of its workspace."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from engine.files.download import download_headers, held_file
from storage.files import find_file
from storage.sessions import find_signed_in
from ui.access_guard import stranger_answer
from ui.file_download import Recipient, StoredFile
from ui.page_session import COOKIE, App
from ui.page_shell import nothing_here


def add_routes(root: FastAPI, app: App) -> None:
    """Registers the route. It is a plain route, so it creates no NiceGUI client."""

    @root.get("/files/{file_id}", include_in_schema=False)
    async def stored_file(request: Request, file_id: str) -> Response:
        cookie = request.cookies.get(COOKIE, "")
        person = await app.database.read_briefly(find_signed_in, cookie)
        if person is None:
            return await stranger_answer(app, request)
        row = await app.database.read(find_file, person.workspace_id, file_id)
        held = None if row is None else await held_file(app.database.file_bytes, row)
        if row is None or held is None:
            return nothing_here(request)
        headers = {**download_headers(row), "X-Content-Type-Options": "nosniff"}
        recipient = Recipient(app, cookie, person.workspace_id)
        return StoredFile(recipient, held.path, headers=headers, give_back=held.give_back)
