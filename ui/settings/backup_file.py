"""The download of a backup, for owners of the server."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from engine.actions.principal import OWNERS, Principal
from engine.core.errors import Refusal
from engine.core.ids import WorkspaceId
from storage.sessions import find_signed_in
from ui.access_guard import NO_STORE, stranger_answer
from ui.file_download import Recipient, StoredFile
from ui.page_session import COOKIE, App
from ui.page_shell import nothing_here


def add_routes(root: FastAPI, app: App) -> None:
    """Registers the route. It is a plain route: the layers around a page would end a response that breaks off."""

    @root.get("/settings/data/backups/{name}", include_in_schema=False)
    async def backup_file(request: Request, name: str) -> Response:
        from engine.actions.server import note_backup  # few people download one, so a start does not import it
        from engine.backups.backups import find_backup

        cookie = request.cookies.get(COOKIE, "")
        person = await app.database.read_briefly(find_signed_in, cookie)
        if person is None:
            return await stranger_answer(app, request)
        workspace_id = WorkspaceId(person.workspace_id)
        address = request.client.host if request.client else ""
        principal = Principal(workspace_id, person.id, person.name, person.role, address)
        try:
            path = find_backup(app.settings.data, name)
            await app.database.write(note_backup, principal, "download backup", name)
        except Refusal:
            return nothing_here(request)
        headers = {
            **NO_STORE,
            "content-type": "application/octet-stream",
            "content-disposition": f'attachment; filename="{name}"',
        }
        return StoredFile(Recipient(app, cookie, workspace_id, OWNERS), path, headers=headers)
