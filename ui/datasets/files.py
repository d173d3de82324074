"""The rows of a dataset as a CSV, Excel or JSON file, read in pieces (S30)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from engine.table_files.writing import json_rows
from storage.datasets import DatasetLine, RowLine, RowsChanged, find_dataset, list_rows_on
from storage.sessions import find_signed_in
from ui.access_guard import stranger_answer
from ui.file_download import BrokenOff, Pieces, Recipient, form_of, sent_file, sent_table
from ui.page_session import COOKIE, App
from ui.page_shell import nothing_here

CSV_PATH = "/datasets/{dataset_id}/export.csv"
EXCEL_PATH = "/datasets/{dataset_id}/export.xlsx"
JSON_PATH = "/datasets/{dataset_id}/export.json"


def add_routes(root: FastAPI, app: App) -> None:
    """Registers the routes of the files. They are plain routes, so they create no NiceGUI client."""

    @root.get(CSV_PATH, include_in_schema=False)
    @root.get(EXCEL_PATH, include_in_schema=False)
    @root.get(JSON_PATH, include_in_schema=False)
    async def dataset_file(request: Request, dataset_id: str) -> Response:
        cookie = request.cookies.get(COOKIE, "")
        person = await app.database.read_briefly(find_signed_in, cookie)
        if person is None:
            return await stranger_answer(app, request)
        dataset = await app.database.read(find_dataset, person.workspace_id, dataset_id)
        if dataset is None or dataset.id != dataset_id:
            return nothing_here(request)
        name, recipient = _file_name(dataset.name), Recipient(app, cookie, person.workspace_id)
        if request.url.path.endswith(".json"):
            return sent_file(f"{name}.json", _json(recipient, dataset), "application/json")
        return sent_table(recipient, name, form_of(request), _cells(recipient, dataset))


async def _cells(recipient: Recipient, dataset: DatasetLine) -> Pieces:
    yield [dataset.column_names]
    async for rows in _pages(recipient, dataset):
        yield [[row.data.get(name) for name in dataset.column_names] for row in rows]


async def _json(recipient: Recipient, dataset: DatasetLine) -> AsyncIterator[str]:
    before = "[\n"
    async for rows in _pages(recipient, dataset):
        yield before + json_rows([row.data for row in rows])
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


async def _pages(recipient: Recipient, dataset: DatasetLine) -> AsyncIterator[list[RowLine]]:
    """Yields the rows in pages. Raises BrokenOff when they are replaced meanwhile: the pages that were sent are of another
    table, so the download has to fail.
    """
    after = 0
    try:
        while rows := await recipient.read(list_rows_on, recipient.workspace_id, dataset, after=after):
            after = rows[-1].id
            yield rows
    except RowsChanged as error:
        raise BrokenOff("the rows of the dataset were replaced, or a column of them is gone") from error


def _file_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:60] or "dataset"
