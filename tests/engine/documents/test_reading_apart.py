"""Documents are read in processes of their own: good files, and hostile ones that end with a sentence and harm nothing.

`tests/security/test_hostile_documents.py` runs all of them through a real server and worker.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engine.core.errors import Invalid
from engine.documents import reading, table_reading
from engine.documents.readers import FAMILIES
from engine.documents.reading import page_images, read_document
from engine.documents.table_reading import RowTexts, read_row_texts_apart, read_rows_apart
from engine.documents.tables import read_row_texts
from engine.flow.node_context import NodeFailed
from engine.sandbox.limits import LIMITS, Kind
from engine.sandbox.pool import Sandbox
from tests.engine.documents import made_files as made
from tests.engine.documents.hostile_files import HOSTILE, hostile
from tests.engine.documents.made_files import Sent
from tests.running_processes import is_running

pytestmark = pytest.mark.process

PROJECT = Path(__file__).parents[3]
HURRY = 1.0
#: Libraries that read files: no process but an evaluator imports them.
READERS = ("pypdfium2", "python_calamine", "mammoth", "lxml", "selectolax", "email.policy", "engine.documents.pdf")


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    made = Sandbox()
    yield made
    await made.close()


async def test_each_family_reads_in_a_process_of_its_own(sandbox: Sandbox) -> None:
    files = {
        Sent("invoice.pdf", made.INVOICE): "Invoice 2041",
        Sent("hours.docx", made.WORD): "We bake & sell every day.",
        Sent("plans.pptx", made.SLIDES): "Two new breads",
        Sent("bread.xlsx", made.SHEETS): "Spelt | 5.8 | 64",
        Sent("people.ods", made.OPEN_SHEET): "Ines | Alderbrook",
        Sent("bread.csv", made.CSV): "Spelt;5,80",
        Sent("order.eml", made.MAIL): "Subject: Café order",
        Sent("prices.html", made.PAGE): "Fresh & warm.",
    }
    read = await asyncio.gather(*(read_document(file, as_="markdown", apart=sandbox.read_file) for file in files))
    assert [words in one["text"] for words, one in zip(files.values(), read, strict=True)] == [True] * len(files)
    assert all(one["markdown"] for one in read)
    tables = [file for file in files if file.name.endswith((".pdf", ".docx", ".xlsx", ".csv", ".html"))]
    read = await asyncio.gather(*(read_document(file, as_="tables", apart=sandbox.read_file) for file in tables))
    assert [len(one["tables"]) for one in read] == [1, 1, 2, 1, 1]
    tabs = Sent("table", b"a\tb\n1\t2\n", "text/tab-separated-values")
    assert (await read_document(tabs, as_="tables", apart=sandbox.read_file))["tables"][0]["rows"] == [{"a": 1, "b": 2}]
    pictures = await page_images(Sent("scan.pdf", made.scanned_pdf()), width=120, apart=sandbox.read_file)
    assert pictures.pictures[1].startswith(b"\x89PNG")
    assert sandbox.pids == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("form in itself.pdf", "took longer than 10 seconds, so it was stopped"),
        ("outside entity in UTF-16.docx", "declares a document type"),
        ("far cell.xlsx", "a document may use"),
        ("nested tables.docx", "nested too deep"),
        ("broken addresses.eml", "nested too deep"),
    ],
)
async def test_a_hostile_file_ends_with_a_sentence(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    if "took longer" in words:
        monkeypatch.setitem(LIMITS, "documents", replace(LIMITS["documents"], seconds=HURRY))
    with pytest.raises(NodeFailed) as failed:
        await read_document(hostile(name), apart=sandbox.read_file)
    assert words in f"{failed.value.message} {failed.value.why}"
    assert sandbox.pids == []


async def test_a_cancelled_reading_ends_its_process(sandbox: Sandbox) -> None:
    work = asyncio.create_task(read_document(hostile("form in itself.pdf"), apart=sandbox.read_file))
    while not sandbox.pids:
        await asyncio.sleep(0.01)
    (pid,) = sandbox.pids
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    while is_running(pid):
        await asyncio.sleep(0.02)


async def test_the_rows_of_tables_are_read_apart(sandbox: Sandbox) -> None:
    rows, texts, plain = await asyncio.gather(
        read_rows_apart('ä;b\n1;"x\n"\n'.encode(), "a.csv", most_rows=9, apart=sandbox.read_file),
        read_row_texts_apart(b'[{"a": "\\ud800!", "b": [1, true]}, {}]', "a.json", apart=sandbox.read_file),
        read_row_texts_apart(b'{"a": ', "a.json", apart=sandbox.read_file),
    )
    assert rows == RowTexts(("ä", "b"), ('{"ä":1,"b":"x\\n"}',), "CSV, semicolons", True)
    assert texts == (("row 1", "a: \ufffd!\nb: 1, yes"), ("row 2", ""))
    assert plain == (("", '{"a": '),)
    with pytest.raises(Invalid) as refused:
        await read_rows_apart(b"a,b\n1,2\n1,2,3", "a.csv", most_rows=9, apart=sandbox.read_file)
    assert refused.value.detail == "Line 3 has 3 values, but there are 2 columns"
    with pytest.raises(NodeFailed, match=r"“a.csv” cannot be read as a table. Line 1: two columns are called `a`\."):
        await read_row_texts_apart(b"a,a\n1,2", "a.csv", apart=sandbox.read_file)


_LONG = "You can return a bread tin within thirty days. " * 8


@pytest.mark.parametrize(
    ("name", "text", "parts"),
    [
        ("order.json", '{"customer":"Miller","items":[{"sku":"A1"},{"sku":"B2"}],"id":17}',
         [("row 1", "customer: Miller\nid: 17\nsku: A1"), ("row 2", "customer: Miller\nid: 17\nsku: B2")]),
        ("policy.json", json.dumps({"text": _LONG, "authors": [{"name": "Ada"}]}),
         [("", f"text: {_LONG.strip()}"), ("row 1", "name: Ada")]),
        ("rows.json", '{"count":1,"next":null,"rows":[{"name":"Rye"}]}', [("row 1", "name: Rye")]),
        ("orders.jsonl", '{"customer":"Miller","items":[{"sku":"A1"}]}\n', [("row 1", "customer: Miller\nitems: sku A1")]),
        ("deep.json", '{"a":' + "[" * 70 + '"x"' + "]" * 70 + ',"rows":[{"name":"Rye"}]}', [("row 1", "name: Rye")]),
    ],
)  # fmt: skip
def test_what_stands_beside_the_rows_of_json_is_not_lost(name: str, text: str, parts: list[tuple[str, str]]) -> None:
    async def apart(*asked: Any) -> tuple[dict[str, Any], bytes]:
        return read_row_texts(*asked[2:])

    assert asyncio.run(read_row_texts_apart(text.encode(), name, apart=apart)) == tuple(parts)


async def test_a_table_that_takes_too_long_ends_with_a_sentence(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LIMITS, "tables", replace(LIMITS["tables"], seconds=0.05))
    wide = (b",".join(b"c%d" % number for number in range(1_000)) + b"\n") + (b"ab," * 999 + b"ab\n") * 1_000
    with pytest.raises(NodeFailed, match="took longer than 30 seconds") as failed:
        await read_row_texts_apart(wide, "wide.csv", apart=sandbox.read_file)
    assert failed.value.code == "file_not_taken"
    with pytest.raises(Invalid) as refused:
        await read_rows_apart(wide, "wide.csv", most_rows=100_000, apart=sandbox.read_file)
    assert "took longer than 30 seconds" in refused.value.detail
    assert refused.value.remedy == "Split the file, or leave out what is not needed."
    assert sandbox.pids == []


async def test_stopping_the_reading_of_a_table_ends_its_process(sandbox: Sandbox) -> None:
    table = (b"ab," * 199 + b"ab\n") * 90_000  # 51 MiB with 18 million cells, which take every machine seconds
    work = asyncio.create_task(read_row_texts_apart(table, "a.csv", apart=sandbox.read_file))
    async with asyncio.timeout(60):
        while not sandbox.pids:
            assert not work.done()
            await asyncio.sleep(0.01)
        (pid,) = sandbox.pids
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        while is_running(pid):
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(("kind", "words"), [("documents", reading._LIMITS), ("tables", table_reading._LIMITS)])
def test_sentences_name_the_limits_of_the_process(kind: Kind, words: dict[str, str]) -> None:
    """Documents know nothing of evaluators, so they have the limits once more as words."""
    limits = LIMITS[kind]
    assert words == {"seconds": f"{limits.seconds:g}", "most_memory": f"{limits.memory / (1 << 30):g} GB"}


def test_no_reader_is_imported_outside_the_process() -> None:
    program = "import json, sys, engine.nodes, engine.documents.reading; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, check=True, capture_output=True, text=True)
    assert set(json.loads(done.stdout)) & set(READERS) == set()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["text", "markdown", "tables"])
async def test_every_hostile_file_ends_in_time(sandbox: Sandbox, how: str) -> None:
    """Prints a line for each: seconds, and what was said."""
    assert len(HOSTILE) >= 40
    assert set(FAMILIES) == {"pdf", "zip", "ole", "csv", "text"}
    longest = 0.0
    for name in HOSTILE:
        file, begun = hostile(name), time.monotonic()
        try:
            read = await read_document(file, as_=how, apart=sandbox.read_file)  # type: ignore[arg-type]
            said = f"read {len(read['text'])} characters"
        except NodeFailed as failed:
            said = failed.message
        longest = max(longest, time.monotonic() - begun)
        print(f"{time.monotonic() - begun:5.1f} s  {name}: {said}")
        assert "root:" not in said
    assert longest < 15
