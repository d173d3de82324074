"""Read the text of a PDF, Word, Excel or other file.

**File** is a file that a caller sends: give API Input a field of the type File, and choose it here. What the file is counts, not
its name: a Word document that is called `.pdf` is read all the same.

| File | What comes out |
|---|---|
| PDF | its pages; **layout** is the text as it is printed, with columns side by side, which helps a model with tables and invoices (a page in Hebrew or Arabic is in reading order) |
| Word (.docx) | headings, lists, tables and footnotes |
| PowerPoint (.pptx) | each slide with its tables and notes |
| Excel and OpenDocument tables (.xlsx, .xls, .ods) | each sheet as a page and as a table |
| CSV | one table |
| Web page (.html) | its text, with links and tables |
| E-mail (.eml) | sender, date, subject and text, also of an e-mail that it forwards, and the names of attached files |
| Text, Markdown, JSON and XML | as it is, without control characters and empty lines at its begin and end, and with LF as line ends |

**Give back** decides what comes out beside the text: *Markdown* has headings, lists and tables, *Tables* has the rows of each table,
ready for **For each item** or a dataset: `tables` is the list of tables, and `rows` of a table holds an object for each row, with the
columns as its fields. In a PDF, tables are found by how words stand below each other; check what was found. A file
without a table fails the step then, with `file_not_taken`.

| Table in | Cells of its rows |
|---|---|
| CSV | A column holds numbers, or true and false, only when **all** its filled cells are that. One other cell makes all of it text: `3` and `x` are `"3"` and `"x"`. `1e3` is 1000.0. Numbers with a zero before them (`007`) or a `+`, with more than 15 digits before or behind the point or none (`.5`, `5.`), with an exponent of more than two digits, or written like `1,000` are text, and so are dates. A column of JSON lists or objects holds these. An empty cell is null |
| Excel and OpenDocument | Each cell is what the file holds: a number, true or false, or text. A date is text like `2026-01-31`. An empty cell is null |
| All others | Text |

The first line of a CSV file names the columns, unless all its cells are numbers. With *Tables* a CSV file fails the
step with `file_not_taken` when it has more than 100,000 rows, when two columns have one name, when it has a line with names but no rows,
and when a line has more values than there are columns. Its text is read all the same without *Tables*. For an export that may be empty, choose a default value under **If it fails**. In all other tables the
first row names the columns when its cells are text and more rows follow: a sheet with names alone has one row; of two columns with
one name the second is `name 2`. In every table a column without a name is `Column 1` and so on, by its place, with
`(no name)` behind it when another has that name.

Of one file at most 2,000,000 characters (of PDF, PowerPoint, Excel and OpenDocument no more pages once there are so many), 1,000
pages, slides or sheets, 250,000 cells of Excel and OpenDocument, and 500 tables of a web page, Word document or e-mail are read, in
some seven seconds. `truncated` is true when that left something out; give it back in API Output when a caller must know. A web page
with more than 200,000 elements is refused with `file_not_taken`.

**Pages** chooses some of a long file: `1-3, 5`, `4-` for the fourth and all after it, or `last`. For slides and sheets, their numbers
count.

A scanned PDF has no text, only pictures of its pages: give such a file to a Prompt node, whose model can look at it. Files with a
password are not read. A damaged or hostile file ends this step with a sentence that says so, after ten seconds at most; nothing else
is harmed, because every file is read in a process of its own that can reach nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

from pydantic import Field, JsonValue, create_model

from engine.core.errors import Problem
from engine.core.redaction import cut
from engine.documents.page_ranges import HOW_TO_WRITE, BadRange, read_ranges
from engine.documents.reading import read_document
from engine.flow.document import Document, Node
from engine.flow.file_values import is_file_value, sent_file_id
from engine.flow.node_context import Json, JsonSchema, NodeContext, NodeFailed
from engine.flow.node_type import NodeConfig, NodeInputs, NodeType

_PAGES = Field(
    "",
    max_length=200,
    title="Pages",
    description="Only these pages, slides or sheets, like `1-3, 5` or `last`. Empty: all of them.",
)
_AS = Field(
    "text",
    title="Give back",
    description="Markdown keeps headings, lists and tables. Tables gives the rows of each table. The text always comes.",
    json_schema_extra={"words": {"text": "Text", "markdown": "Text and Markdown", "tables": "Text and tables"}},
)

# `as` is a word of Python, so the class cannot be written as one.
Config = create_model(
    "Config",
    __base__=NodeConfig,
    __module__=__name__,
    **cast("dict[str, Any]", {"pages": (str, _PAGES), "as": (Literal["text", "markdown", "tables"], _AS)}),
)


class Inputs(NodeInputs):
    file: Any = Field(
        title="File",
        description="The file to read, like a field of the type File of API Input.",
    )


async def run(config: Any, inputs: Inputs, context: NodeContext) -> Json:
    """Reads the file in a process of its own. Raises NodeFailed for what cannot be read."""
    file = _one_file(inputs.file)
    stored = await context.files.look_up(file)
    how = getattr(config, "as")
    async with context.files.room(stored.size):
        content = await context.files.read(file)
        read = await read_document(content, pages=config.pages, as_=how, apart=context.read_file_apart)
    for note in read["notes"]:
        context.warn(note)
    read["name"] = stored.name
    return {name: read[name] for name in _out({"as": how}, {})["properties"]}


def _one_file(value: JsonValue) -> Json:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if is_file_value(value) or sent_file_id(value) is not None:
        return value
    if isinstance(value, list) and value and all(map(is_file_value, value)):
        raise NodeFailed(
            f"Read Document reads one file at a time, and these are {len(value)}.",
            remedy="Put “For each item” before it, and choose its item as the file.",
            pointer="/inputs/file",
        )
    raise NodeFailed(
        "File takes a file.",
        why=f"What came in this run is {_in_words(value)}.",
        remedy="Choose data that is a file, like a field of the type File of API Input.",
        pointer="/inputs/file",
    )


def _in_words(value: Json) -> str:
    match value:
        case str():
            return f"the text “{cut(value, 61, mark='…')}”"
        case bool():
            return "yes or no"
        case int() | float():
            return "a number"
        case list():
            return "an empty list" if not value else "a list of something else"
        case _:
            return "a group of data that is no file"


def _check(node: Node, document: Document) -> list[Problem]:
    pages = node.config.get("pages")
    try:
        read_ranges(pages if isinstance(pages, str) else "")
    except BadRange as error:
        return [Problem("bad_pages", f"{error} {HOW_TO_WRITE}", node.id, "/config/pages", blocks_import=False)]
    return []


_TEXT: JsonSchema = {"type": "string"}
_PAGE: JsonSchema = {
    "type": "object",
    "properties": {"number": {"type": "integer", "title": "Number"}, "text": {**_TEXT, "title": "Text"}},
    "required": ["number", "text"],
}
_TABLE: JsonSchema = {
    "type": "object",
    "properties": {
        "title": {**_TEXT, "title": "Title"},
        "page": {"type": "integer", "title": "Page"},
        "columns": {"type": "array", "title": "Columns", "items": _TEXT},
        "rows": {
            "type": "array",
            "title": "Rows",
            "items": {"type": "object"},
            "description": "Each row with the columns as its fields",
        },
    },
    "required": ["title", "page", "columns", "rows"],
}


def _out(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> JsonSchema:
    fields: dict[str, JsonSchema] = {"text": {**_TEXT, "title": "Text", "description": "All of the text that was read"}}
    if config.get("as") == "markdown":
        fields["markdown"] = {**_TEXT, "title": "Markdown", "description": "With headings, lists and tables"}
    if config.get("as") == "tables":
        fields["tables"] = {
            "type": "array",
            "title": "Tables",
            "items": _TABLE,
            "description": "Each table with its rows",
        }
    fields |= {
        "layout": {**_TEXT, "title": "Layout", "description": "Of a PDF: its text with columns side by side"},
        "pages": {"type": "array", "title": "Pages", "items": _PAGE, "description": "Pages, slides or sheets"},
        "page_count": {"type": "integer", "title": "Page count", "description": "All pages of the file"},
        "title": {**_TEXT, "title": "Title", "description": "As the file tells it; it may be empty"},
        "name": {**_TEXT, "title": "Name", "description": "The name of the file"},
        "media_type": {**_TEXT, "title": "Media type", "description": "What the file is, like application/pdf"},
        "truncated": {
            "type": "boolean",
            "title": "Truncated",
            "description": "True when the file has more than is read, so that its end is missing",
        },
    }
    return {"type": "object", "properties": fields, "required": list(fields)}


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    what = {"markdown": "text and Markdown", "tables": "text and tables"}.get(str(config.get("as")), "text")
    pages = str(config.get("pages") or "").strip()
    return f"{what}, pages {pages}"[:60] if pages else what


NODE = NodeType(
    type="read_document",
    title="Read Document",
    group="transform",
    icon="description",
    synonyms=(
        "pdf, word, docx, excel, xlsx, xls, spreadsheet, powerpoint, pptx, slides, csv, ods, html, eml, e-mail, "
        "email, file, files, document, attachment, upload, read file, extract text, invoice, contract, scan, "
        "table from pdf, parse pdf, open a file, read an invoice, read a pdf, attached file"
    ),
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=_out,
    timeout_seconds=120.0,
    summary=_summary,
    check=_check,
    example=({"as": "markdown"}, {"file": "{{ api_input.out.file }}"}),
)
