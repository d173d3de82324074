"""What comes out of a file of each kind, and the sentence for each that cannot be read."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from email.message import EmailMessage
from typing import Any

import pytest
from selectolax.lexbor import LexborHTMLParser

from engine.documents import sheets
from engine.documents.document import MAX_CHARACTERS
from engine.documents.readers import FAMILIES, read
from engine.documents.reading import LARGEST, family_of, page_images, read_document
from engine.flow.node_context import NodeFailed
from engine.pages.markdown_writer import Writer
from tests.engine.documents import made_files as made
from tests.engine.documents.made_files import Sent


async def apart(family: str, reader: str, arguments: Any, content: bytes) -> tuple[dict[str, Any], bytes]:
    """Reads in this process, as an evaluator process does."""
    assert family in FAMILIES
    value, pictures = read(family, reader, arguments, content, seconds=60)
    return json.loads(json.dumps(value)), pictures


async def read_it(
    name: str, content: bytes, how: Any = "text", pages: str = "", media_type: str = ""
) -> dict[str, Any]:
    return await read_document(Sent(name, content, media_type), pages=pages, as_=how, apart=apart)


async def refused(name: str, content: bytes, code: str = "file_not_taken", **choices: Any) -> str:
    with pytest.raises(NodeFailed) as failed:
        await read_it(name, content, **choices)
    assert failed.value.code == code
    return " ".join(filter(None, (failed.value.message, failed.value.why, failed.value.remedy)))


async def test_a_pdf_has_pages_text_and_a_title() -> None:
    found = await read_it("invoice.pdf", made.INVOICE)
    assert found["title"] == "Invoice 2041"
    assert (found["page_count"], found["media_type"], found["notes"]) == (2, "application/pdf", [])
    assert [page["number"] for page in found["pages"]] == [1, 2]
    assert found["text"].startswith("Invoice 2041\n")
    assert found["text"].endswith("\n\nGeneral terms of delivery.")


async def test_the_layout_of_a_pdf_keeps_columns_side_by_side() -> None:
    found = await read_it("invoice.pdf", made.INVOICE, pages="1")
    lines = found["layout"].split("\n")
    head = next(line for line in lines if line.startswith("Item"))
    row = next(line for line in lines if line.startswith("Rye flour"))
    assert head.split() == ["Item", "Quantity", "Price", "Amount"]
    assert row.index("480.00") == head.index("Amount")


async def test_markdown_of_a_pdf_has_headings_and_tables() -> None:
    found = await read_it("invoice.pdf", made.INVOICE, "markdown", pages="1")
    assert found["markdown"] == (
        "# Invoice 2041\n\nMill & Sons, Alderbrook\n\n| Item | Quantity | Price | Amount |\n| --- | --- | --- | --- |\n"
        "| Rye flour, 25 kg | 40 | 12.00 | 480.00 |\n| Spelt, 25 kg | 6 | 22.00 | 132.00 |\n\n"
        "To be paid until 2 April 2026. Thank you for your order."
    )


async def test_a_table_in_a_pdf_becomes_rows() -> None:
    found = await read_it("invoice.pdf", made.INVOICE, "tables")
    assert [(table["title"], table["page"]) for table in found["tables"]] == [("Page 1", 1)]
    assert found["tables"][0]["rows"][1] == {
        "Item": "Spelt, 25 kg", "Quantity": "6", "Price": "22.00", "Amount": "132.00"
    }  # fmt: skip


#: Two columns of prose below some lines of a page.
COLUMNS = made.pdf(
    [
        (57, 780, 20, "Terms of the shop"),
        *((57, 750 - 14 * line, 10, f"Line {line} of the prose above the columns.") for line in range(12)),
        *((57, 540 - 14 * line, 10, f"The left column goes on in its line {line}.") for line in range(4)),
        *((310, 554 - 14 * line, 10, f"The right column stands beside it, {line}.") for line in range(3)),
        (57, 440, 11, "Item"), (250, 440, 11, "Price"),
        (57, 420, 11, "Rye"), (250, 420, 11, "3.20"),
    ]
)  # fmt: skip


async def test_prose_in_columns_is_read_one_column_after_the_other() -> None:
    found = await read_it("terms.pdf", COLUMNS, "markdown")
    assert found["markdown"].startswith("# Terms of the shop\n\nLine 0 of")
    assert found["markdown"].endswith(
        "The left column goes on in its line 0.\nThe left column goes on in its line 1.\n"
        "The left column goes on in its line 2.\nThe left column goes on in its line 3.\n\n"
        "The right column stands beside it, 0.\nThe right column stands beside it, 1.\n"
        "The right column stands beside it, 2.\n\n| Item | Price |\n| --- | --- |\n| Rye | 3.20 |"
    )


HEBREW = ("מדיניות החזרות", "ניתן להחזיר כל מוצר תוך שלושים יום", "כספי יינתן תוך ארבעה עשר ימי עסקים")


async def test_a_page_from_right_to_left_keeps_the_order_of_its_words() -> None:
    found = await read_it("terms.pdf", made.hebrew_pdf(*HEBREW), "markdown")
    assert (found["text"], found["markdown"], found["layout"]) == ("\n".join(HEBREW),) * 3
    with pytest.raises(NodeFailed, match="holds no table"):
        await read_it("terms.pdf", made.hebrew_pdf(*HEBREW), "tables")


@pytest.mark.parametrize("line", [
    HEBREW[0], 'הנכ"ל והסמנכ"ל', "מְדִינִיּוּת הַחֲזָרוֹת", "سُلْطَةٌ كَبِيرَةٌ", "(ניתן) להחזיר, כל מוצר.",
])  # fmt: skip
async def test_a_line_from_right_to_left_on_another_page_keeps_the_order_of_its_words(line: str) -> None:
    lines = ("A QUOTE FROM A BOOK OF ANOTHER COUNTRY, WITH MORE WORDS"[::-1], line)
    found = await read_it("quote.pdf", made.hebrew_pdf(*lines), "markdown")
    assert found["text"].split("\n")[-1] == found["markdown"].split("\n")[-1] == found["layout"].split("\n")[-1].strip()
    assert {*line} - {*"()"} == {*found["markdown"].split("\n")[-1]} - {*"()"}


async def test_pages_of_a_pdf_come_out_as_pictures() -> None:
    pictures = await page_images(Sent("invoice.pdf", made.INVOICE), width=300, apart=apart)
    assert (list(pictures.pictures), pictures.notes) == ([1, 2], ())
    width, height = (int.from_bytes(pictures.pictures[1][at : at + 4], "big") for at in (16, 20))
    assert (width, height) == (300, 425)
    scanned = await page_images(Sent("scan.pdf", made.scanned_pdf()), pages="last", width=100, apart=apart)
    assert [picture[:4] for picture in scanned.pictures.values()] == [b"\x89PNG"]
    with pytest.raises(NodeFailed, match="has no pages to show as pictures"):
        await page_images(Sent("a.docx", made.WORD), apart=apart)


@pytest.mark.parametrize(
    ("pages", "broken", "seconds", "drawn", "notes"),
    [
        (20, (), 60, range(1, 21), ()),
        (21, (), 60, range(1, 21), ("It has 21 pages, and those after page 20 are missing: at most 20 are drawn.",)),
        (
            21,
            (2, 20),
            60,
            (1, *range(3, 20)),
            (
                "It has 21 pages, and those after page 20 are missing: at most 20 are drawn.",
                "Each of the pages 2, 20 cannot be drawn, so it is missing.",
            ),
        ),
        (5, (3,), 60, (1, 2, 4, 5), ("Page 3 cannot be drawn, so it is missing.",)),
        (
            3,
            (),
            0,
            (1,),
            ("It has 3 pages, and those after page 1 are missing: drawing them takes too long for one step.",),
        ),
        (1, (), 0, (1,), ()),
    ],
)
async def test_pages_without_a_picture_are_named(
    pages: int, broken: Sequence[int], seconds: float, drawn: Sequence[int], notes: tuple[str, ...]
) -> None:
    async def draw(family: str, reader: str, arguments: Any, content: bytes) -> tuple[dict[str, Any], bytes]:
        return read(family, reader, arguments, content, seconds=seconds)

    found = await page_images(Sent("scan.pdf", made.scanned_pdf(pages, broken)), width=100, apart=draw)
    assert (list(found.pictures), found.notes) == (list(drawn), notes)


async def test_word() -> None:
    found = await read_it("hours.docx", made.WORD, "markdown")
    assert found["title"] == "The bakery"
    assert found["text"] == "Opening hours\n\nWe bake & sell every day.\n\nDay | Opens\nMonday | 7:00\nSunday | 8:30"
    assert found["markdown"].startswith("# Opening hours\n\nWe bake & sell every day.\n\n|")
    tables = (await read_it("hours.docx", made.WORD, "tables"))["tables"]
    assert tables[0]["rows"] == [{"Day": "Monday", "Opens": "7:00"}, {"Day": "Sunday", "Opens": "8:30"}]
    assert "no fixed pages" in (await read_it("hours.docx", made.WORD, pages="2"))["notes"][0]


MATH = f'xmlns:m="{made.OFFICE.replace("relationships", "math")}"'


def run(text: str) -> str:
    return f"<w:r><w:t>{text}</w:t></w:r>"


def formula(text: str) -> str:
    return f"<m:r><m:t>{text}</m:t></m:r>"


def fraction(above: str, below: str) -> str:
    return f"<m:f><m:num>{formula(above)}</m:num><m:den>{formula(below)}</m:den></m:f>"


@pytest.mark.parametrize(
    ("inside", "text"),
    [
        (f'{run("for ")}<w:fldSimple w:instr=" MERGEFIELD Name ">{run("Mill &amp; Sons")}</w:fldSimple>', "for Mill & Sons"),
        (f'<w:fldSimple w:instr="A"><w:fldSimple w:instr="B">{run("inner")}</w:fldSimple></w:fldSimple>', "inner"),
        (f'<w:dir w:val="rtl">{run("שלום")}</w:dir>', "שלום"),
        (f'<w:bdo w:val="rtl">{run("turned")}</w:bdo>', "turned"),
        ((f"{run('it is ')}<m:oMath>{formula('E=m')}<m:sSup><m:sSupPr/><m:e>{formula('c')}</m:e><m:sup>{formula('2')}"
         "</m:sup></m:sSup></m:oMath>"), "it is E=mc^2"),
        ((f"<m:oMathPara><m:oMath><m:f><m:num>{formula('1')}</m:num><m:den><m:d><m:e>{formula('a+b')}</m:e></m:d></m:den>"
         "</m:f></m:oMath></m:oMathPara>"), "1/(a+b)"),
        (f"<m:oMath>{fraction('a+b', 'c+d')}</m:oMath>", "(a+b)/(c+d)"),
        (f"<m:oMath>{formula('2')}{fraction('1', '2')}{formula('x')}</m:oMath>", "2 1/2 x"),
        (f"<m:oMath>{fraction('12', '3.5')}</m:oMath>", "12/3.5"),
        (f"<m:oMath><m:sSup><m:e>{formula('2')}</m:e><m:sup>{formula('n+1')}</m:sup></m:sSup></m:oMath>", "2^(n+1)"),
        (f"<m:oMath><m:sSup><m:e>{fraction('a', 'b')}</m:e><m:sup>{fraction('1', '2')}</m:sup></m:sSup></m:oMath>",
         "(a/b)^(1/2)"),
        (f"<m:oMath><m:sSub><m:e>{formula('x')}</m:e><m:sub>{formula('max')}</m:sub></m:sSub>{formula('y')}</m:oMath>",
         "x_max y"),
        (f"<m:oMath><m:rad><m:radPr/><m:deg/><m:e>{formula('x+1')}</m:e></m:rad></m:oMath>", "√(x+1)"),
        (f"<m:oMath><m:rad><m:radPr/><m:deg>{formula('3')}</m:deg><m:e>{formula('x+1')}</m:e></m:rad></m:oMath>",
         "root(3; x+1)"),
        ((f"<m:oMath><m:d><m:dPr><m:begChr m:val='['/><m:sepChr m:val=','/><m:endChr m:val=')'/></m:dPr>"
          f"<m:e>{formula('x')}</m:e><m:e>{formula('y')}</m:e></m:d></m:oMath>"), "[x,y)"),
        (f"<m:oMath><m:d><m:dPr><m:begChr m:val='{{'/><m:endChr m:val=''/></m:dPr><m:e>{formula('x')}</m:e></m:d></m:oMath>",
         "{x"),
        ((f"<m:oMath><m:nary><m:naryPr><m:chr m:val='∑'/></m:naryPr><m:sub>{formula('i=1')}</m:sub>"
          f"<m:sup>{formula('n')}</m:sup><m:e>{formula('i')}</m:e></m:nary></m:oMath>"), "∑_(i=1)^n i"),
        ((f"<m:oMath><m:d><m:e><m:m><m:mr><m:e>{formula('1')}</m:e><m:e>{formula('2')}</m:e></m:mr>"
          f"<m:mr><m:e>{formula('3')}</m:e><m:e>{formula('4')}</m:e></m:mr></m:m></m:e></m:d></m:oMath>"), "(1, 2; 3, 4)"),
        ((f"<m:oMath><m:sSup><m:e>{formula('x')}</m:e><m:sup><w:ins w:id='1'>{formula('2')}</w:ins></m:sup></m:sSup>"
          "</m:oMath>"), "x^2"),
        (f"<m:oMath>{formula('3')}<m:box><m:e>{fraction('1', '2')}</m:e></m:box>{formula('x')}</m:oMath>", "3 1/2 x"),
        (f"<m:oMath>{formula('3')}<w:ins w:id='1'>{fraction('1', '2')}</w:ins></m:oMath>", "3 1/2"),
        (f"<m:oMath><w:ins w:id='1'>{formula('3')}{fraction('1', '2')}</w:ins></m:oMath>", "3 1/2"),
        (f"<m:oMath>{formula('3')}<w:moveTo w:id='1'>{fraction('1', '2')}</w:moveTo></m:oMath>", "3 1/2"),
        (f"<m:oMath>{formula('3')}<w:ins w:id='1'><w:ins w:id='2'>{fraction('1', '2')}</w:ins></w:ins></m:oMath>", "3 1/2"),
        (f"<m:oMath>{formula('3')}<w:del w:id='1'>{formula('+')}</w:del>{fraction('1', '2')}</m:oMath>", "3 1/2"),
        ((f"<m:oMath><m:d><m:e><m:f><m:fPr><m:type m:val='noBar'/></m:fPr><m:num>{formula('n')}</m:num>"
          f"<m:den>{formula('k')}</m:den></m:f></m:e></m:d></m:oMath>"), "(n choose k)"),
        (f"<m:oMath><m:groupChr><m:e>{formula('a+b')}</m:e></m:groupChr>{formula('c')}</m:oMath>", "a+b c"),
    ],
)  # fmt: skip
async def test_text_in_fields_and_formulas_of_word_is_read(inside: str, text: str) -> None:
    parts = made.word_parts(f'<w:p>{inside}<w:r><w:footnoteReference w:id="5"/></w:r></w:p>')
    parts["word/document.xml"] = str(parts["word/document.xml"]).replace(made.W, f"{made.W} {MATH}")
    parts["word/footnotes.xml"] = (
        f'{made.HEAD}<w:footnotes {made.W} {MATH}><w:footnote w:id="5"><w:p>{inside}</w:p></w:footnote></w:footnotes>'
    )
    found = await read_it("letter.docx", made.zipped(parts))
    assert found["text"].split("[1]")[0].strip() == text
    assert found["text"].count(text) == 2


async def test_a_formula_of_many_parts_takes_time_with_their_number() -> None:
    terms = f"<m:e>{formula('x')}</m:e>" * 1_500
    body = f"<m:oMath><m:d><m:dPr>{'<m:ctrlPr/>' * 1_500}</m:dPr>{terms}</m:d></m:oMath>"
    parts = made.word_parts(f"<w:p>{body}</w:p>")
    parts["word/document.xml"] = str(parts["word/document.xml"]).replace(made.W, f"{made.W} {MATH}")
    before = time.process_time()
    assert "x|x|x" in (await read_it("letter.docx", made.zipped(parts)))["text"]
    assert time.process_time() - before < 4, "it takes 0.3 s, and 14 s with a search for the sign at each part"


async def test_slides() -> None:
    found = await read_it("plans.pptx", made.SLIDES, "markdown", pages="2")
    assert (found["page_count"], found["text"]) == (2, "Prices\n\nBread | Price\nRye | 4.20")
    assert found["markdown"] == "## Prices\n\n| Bread | Price |\n| --- | --- |\n| Rye | 4.20 |"
    tables = (await read_it("plans.pptx", made.SLIDES, "tables"))["tables"]
    assert tables == [
        {"title": "Slide 2", "page": 2, "columns": ["Bread", "Price"], "rows": [{"Bread": "Rye", "Price": "4.20"}]}
    ]


async def test_of_alternatives_in_slides_one_is_read() -> None:
    names = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    both = (
        f'<mc:AlternateContent {names}><mc:Choice Requires="a14">{{}}</mc:Choice><mc:Fallback>{{}}</mc:Fallback>'
        "</mc:AlternateContent>"
    )
    same, only = both.format(made.shape("Once"), made.shape("Once")), both.format("", made.shape("Fallback"))
    found = await read_it("deck.pptx", made.zipped(made.slides_parts(same + only + made.shape("End"))))
    assert found["text"] == "Once\n\nFallback\n\nEnd"


async def test_sheets_of_excel_with_whole_numbers_as_whole_numbers() -> None:
    found = await read_it("bread.xlsx", made.SHEETS, "tables")
    assert found["tables"][0]["rows"] == [
        {"name": "Rye", "price": 4.5, "sold": 120},
        {"name": "Spelt", "price": 5.8, "sold": 64},
    ]
    assert isinstance(found["tables"][0]["rows"][0]["sold"], int)
    assert found["text"] == "Breads\nname | price | sold\nRye | 4.5 | 120\nSpelt | 5.8 | 64\n\nNotes\nOnly in autumn"
    assert (await read_it("bread.xlsx", made.SHEETS, pages="last"))["text"] == "Notes\nOnly in autumn"


async def test_tables_of_open_document() -> None:
    found = await read_it("people.ods", made.OPEN_SHEET, "tables")
    assert found["tables"][0]["rows"] == [{"name": "Ines", "town": "Alderbrook"}]


async def test_csv() -> None:
    found = await read_it("bread.csv", made.CSV, "tables")
    assert found["tables"] == [
        {"title": "bread", "page": 1, "columns": ["name", "price"],
         "rows": [{"name": "Rye", "price": "4,20"}, {"name": "Spelt", "price": "5,80"}]}
    ]  # fmt: skip
    assert found["text"] == "name;price\nRye;4,20\nSpelt;5,80"
    assert "Line 3 has 3 values" in await refused("x.csv", b"a,b\n1,2\n1,2,3", how="tables")
    assert (await read_it("x.csv", b"a,b\n1,2\n1,2,3"))["text"] == "a,b\n1,2\n1,2,3"


async def test_web_pages() -> None:
    found = await read_it("prices.html", made.PAGE, "markdown")
    assert (found["title"], found["media_type"]) == ("Prices", "text/html")
    assert found["text"] == "Prices\n\nFresh & warm.\n\nBread | Price\nRye | 4.20"
    assert found["markdown"].startswith("# Prices\n\nFresh & warm.\n\n| Bread | Price |")
    assert (await read_it("no ending", made.PAGE, "tables"))["tables"][0]["rows"] == [{"Bread": "Rye", "Price": "4.20"}]


MERGED = """<table><tr><th>Region</th><th>City</th><th>Sales</th></tr>
<tr><td rowspan=2>North</td><td>Kiel</td><td>5</td></tr><tr><td>Hamburg</td><td>9</td></tr>
<tr><td colspan=2>Total</td><td>14</td></tr></table>"""


def word_cell(text: str, merged: str = "") -> str:
    return f"<w:tc><w:tcPr>{merged}</w:tcPr><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:tc>"


MERGED_IN_WORD = "".join(
    f"<w:tr>{''.join(cells)}</w:tr>"
    for cells in (
        map(word_cell, ("Region", "City", "Sales")),
        (word_cell("North", '<w:vMerge w:val="restart"/>'), word_cell("Kiel"), word_cell("5")),
        (word_cell("", "<w:vMerge/>"), word_cell("Hamburg"), word_cell("9")),
        (word_cell("Total", '<w:gridSpan w:val="2"/>'), word_cell("14")),
    )
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.html", f"<html><body>{MERGED}</body></html>".encode()),
        ("a.docx", made.zipped(made.word_parts(f"<w:tbl>{MERGED_IN_WORD}</w:tbl>"))),
    ],
)
async def test_merged_cells_leave_the_values_in_their_columns(name: str, content: bytes) -> None:
    assert (await read_it(name, content, "tables"))["tables"][0]["rows"] == [
        {"Region": "North", "City": "Kiel", "Sales": "5"},
        {"Region": None, "City": "Hamburg", "Sales": "9"},
        {"Region": "Total", "City": None, "Sales": "14"},
    ]
    found = await read_it(name, content, "markdown")
    assert "North | Kiel | 5\n | Hamburg | 9\nTotal |  | 14" in found["text"]
    assert "| North | Kiel | 5 |\n|  | Hamburg | 9 |\n| Total |  | 14 |" in found["markdown"]


@pytest.mark.parametrize(
    ("rows", "shown"),
    [
        ("<tr><td colspan=1000000>a<td>b<tr><td>c<td rowspan=999999999>d<tr><td>e", "a |  | b\nc | d\ne"),
        ("<tr><td rowspan=0>a<td>b<tr><td>c<tr><td>d", "a | b\n | c\n | d"),
        ("<thead><tr><td rowspan=3>a<td>b</thead><tbody><tr><td>c<td>d</tbody>", "a | b\nc | d"),
        ("<tr><td>a<td rowspan=2>b<td rowspan=2>c<td>d<tr><td>e<td>f", "a | b | c | d\ne |  |  | f"),
        ("<tr><td rowspan=2 colspan=2>a<td>b<tr><td>c<tr><td>d<td>e<td>f", "a |  | b\n |  | c\nd | e | f"),
        ("<tr><td colspan=x rowspan=-2>a<td>b<tr><td>c<td>d", "a | b\nc | d"),
        ("<tr><td rowspan=2>a<td rowspan=2>b</tr><tr></tr><tr><td>c<td>d", "a | b\nc | d"),
    ],
)
async def test_cells_are_merged_as_a_browser_shows_them(rows: str, shown: str) -> None:
    text = (await read_it("a.html", f"<html><body><table>{rows}</table></body></html>".encode()))["text"]
    assert [line.rstrip(" |") for line in text.splitlines()] == shown.splitlines()


@pytest.mark.parametrize(
    "rows",
    [
        "".join(f"<tr><td colspan={1 + 3 * number}>a<td>b" for number in range(4_000)),
        "<tr>" + "<td rowspan=9999>a" * 2_000 + "<tr><td>b" * 4_000,
    ],
)
async def test_merged_cells_need_no_room_that_the_file_has_not(rows: str) -> None:
    found = await read_it("a.html", f"<html><body><table>{rows}</table></body></html>".encode())
    assert len(found["text"]) < 3 * len(rows)


def test_merged_cells_of_many_tables_cost_little_time() -> None:
    table = f"<table><tr>{'<td rowspan=0>a' * 1_000}</tr>{'<tr><td>b' * 990}</table>" * 20

    def seconds(html: str) -> float:
        body = LexborHTMLParser(f"<html><body>{html}</body></html>").body
        assert body is not None
        begun = time.thread_time()
        Writer().write(body)
        return time.thread_time() - begun

    assert seconds(table) < 3 * seconds(table.replace(" rowspan=0", "")) + 0.5


async def test_an_email() -> None:
    found = await read_it("order.eml", made.MAIL)
    assert found["title"] == "Café order"
    assert found["text"] == (
        "From: Ines Marlow <ines@hearthandrye.example>\nTo: Tom <tom@example.com>\nDate: Fri, 27 Nov 2026 10:00:00 +0000\n"
        "Subject: Café order\n\nTwo café loaves, please.\n\nAttached files: order.pdf"
    )
    assert found["notes"] == ["1 attached file is named at the end of the text, but not read."]
    assert "Two **café** loaves" in (await read_it("order", made.MAIL, "markdown"))["markdown"]


def mail_of(*parts: EmailMessage, kind: str = "mixed") -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "a@b.example", "Order"
    mail["Content-Type"] = f"multipart/{kind}"
    for one in parts:
        mail.attach(one)
    return mail


def part(text: str, kind: str = "plain") -> EmailMessage:
    made_part = EmailMessage()
    made_part.set_content(text, subtype=kind)
    return made_part


def forwarded(mail: EmailMessage) -> EmailMessage:
    made_part = EmailMessage()
    made_part.set_content(mail)
    return made_part


_TABLE = "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td><td>d</td></tr></table>"


@pytest.mark.parametrize(
    ("mail", "text", "markdown"),
    [
        (mail_of(part("First"), part("<p>Then <b>this</b></p>", "html")), "First\n\nThen this", "First\n\nThen **this**"),
        (mail_of(part("<p>One</p>", "html"), part("Two"), part("<p>Three</p>", "html")),
         "One\n\nTwo\n\nThree", "One\n\nTwo\n\nThree"),
        (mail_of(mail_of(part("Plain"), part("<b>HTML</b>", "html"), kind="alternative"), part("Below")),
         "Plain\n\nBelow", "**HTML**\n\nBelow"),
        (mail_of(part(" "), part("<b>HTML</b>", "html"), kind="alternative"), "HTML", "**HTML**"),
        (mail_of(part("Plain"), part("<p></p>", "html"), kind="alternative"), "Plain", "Plain"),
        (mail_of(part("Look:"), forwarded(mail_of(part("<p>40 loaves</p>", "html")))),
         "Look:\n\nFrom: a@b.example\nSubject: Order\n\n40 loaves",
         "Look:\n\n- From: a@b.example\n- Subject: Order\n\n40 loaves"),
    ],
)  # fmt: skip
async def test_no_part_of_an_email_is_lost(mail: EmailMessage, text: str, markdown: str) -> None:
    found = await read_it("order.eml", mail.as_bytes(), "markdown")
    assert found["markdown"] == f"- From: a@b.example\n- Subject: Order\n\n{markdown}"
    assert (await read_it("order.eml", mail.as_bytes()))["text"] == f"From: a@b.example\nSubject: Order\n\n{text}"


async def test_tables_in_parts_of_an_email_have_numbers_of_their_own() -> None:
    mail = mail_of(part(_TABLE, "html"), part(_TABLE, "html"))
    tables = (await read_it("order.eml", mail.as_bytes(), "tables"))["tables"]
    assert [one["title"] for one in tables] == ["Table 1", "Table 2"]


async def test_text_and_markdown() -> None:
    assert (await read_it("a.md", made.MARKDOWN, "markdown"))["title"] == "Bread"
    assert (await read_it("a.txt", "Größe".encode("cp1252")))["text"] == "Größe"
    assert (await read_it("a.txt", "Größe".encode("utf-16")))["text"] == "Größe"
    assert (await read_it("a.txt", b"a\x1b[31mb"))["text"] == "a[31mb"


@pytest.mark.parametrize("head", ["BMI", "PKW", "MZ", "ID3", "OggS", "RIFF", "GIF8", "PK"])
async def test_a_text_may_begin_with_the_letters_of_another_kind_of_file(head: str) -> None:
    assert (await read_it("a.csv", f"{head};b\n1;2\n".encode(), "tables"))["tables"][0]["columns"] == [head, "b"]
    assert (await read_it("a.txt", f"{head} and more".encode()))["text"] == f"{head} and more"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("locked.pdf", made.locked_pdf(), "“locked.pdf” is locked with a password"),
        ("scan.pdf", made.scanned_pdf(), "its pages are pictures. It was probably scanned"),
        ("scan.pdf", made.scanned_pdf(), "Give the file to a Prompt node"),
        ("empty.pdf", b"", "“empty.pdf” is empty."),
        ("half.pdf", made.INVOICE[:300], "is damaged, so it cannot be read."),
        ("half.docx", made.WORD[: len(made.WORD) // 2], "is damaged, so it cannot be read."),
        ("half.docx", made.WORD[: len(made.WORD) // 2], "save it again"),
        ("photo.jpg", b"\xff\xd8\xff\xe0 1234", "cannot be read: it is a picture. Read Document reads PDF"),
        ("all.zip", made.zipped({"a.txt": "a"}), "it is a zip archive."),
        ("letter.odt", made.zipped({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": "<a/>"}),
         "it is an OpenDocument text. "),
        ("locked.ods", made.zipped({"mimetype": "application/vnd.oasis.opendocument.spreadsheet", "content.xml": b"\x8f\x02",
                                    "META-INF/manifest.xml": "<m><encryption-data/></m>"}), "is locked with a password"),
        ("letter.rtf", b"{\\rtf1 x}", "Rich Text Format"),
        ("letter.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "WordDocument".encode("utf-16-le"), "Save it as a newer Word"),
        ("locked.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "with a password"),
        ("photo.txt", b"BM\x36\x10\x0e" + bytes(5), "it is a picture."),
        ("a.csv", b"MZ\x90\0\3", "it is a program."),
        ("none.zip", made.zipped({}), "it is a zip archive."),
        ("program.pdf", b"\x7fELF\x02\x01", "it is a program."),
        ("noise.txt", b"\x00\x01\x02", "no text and no document that it knows"),
        ("log.html", b"<p>x" * 200_001, "“log.html” cannot be read. It has more than 200,000 elements."),
        ("spaces.txt", b" \n ", "has no text."),
        ("big.pdf", b"%PDF-" + bytes(LARGEST), "is too big: it has 64 MiB. Files up to 64 MiB are read."),
    ],
)  # fmt: skip
async def test_what_cannot_be_read_is_told_in_a_sentence(name: str, content: bytes, words: str) -> None:
    assert words in await refused(name, content)


@pytest.mark.parametrize(
    ("pages", "words", "code"),
    [
        ("7-9", "“invoice.pdf” has 2 pages, and none of them is in “7-9”.", "file_not_taken"),
        ("3-1", "`3-1` goes backwards.", "node_failed"),
        ("two", "`two` names no pages.", "node_failed"),
    ],
)
async def test_pages_that_are_not_there(pages: str, words: str, code: str) -> None:
    assert words in await refused("invoice.pdf", made.INVOICE, code, pages=pages)


@pytest.mark.parametrize(
    ("name", "content", "how", "note"),
    [
        ("a.txt", b"\n" + b"x" * MAX_CHARACTERS + b"\n", "text", ""),
        ("a.txt", b"x" * MAX_CHARACTERS + b"y", "text", "Only its first 2,000,000 characters were read."),
        ("a.csv", b"a,b\n" + b"1234567890,123456789\n" * 80_000, "markdown", "Only its first 2,000,000 characters were read."),
        ("a.html", b"<p>" + b"x" * MAX_CHARACTERS + b"y", "text", "Only its first 2,000,000 characters were read."),
        ("a.html", b"<table><tr><td>1<td>2</table>" * 501, "tables", "Only its first 500 tables were read."),
        ("a.eml", mail_of(*[part(_TABLE * 300, "html")] * 2).as_bytes(), "tables", "Only its first 500 tables were read."),
        ("a.eml", b"Content-Type: text/html\n\n" + b"x" * MAX_CHARACTERS + b"y", "text", "Only the beginning of one of its parts was read."),
        ("a.pdf", made.pdf([(57, 780, 20, "The begin")], *[[]] * 1_000), "text", "Only the first 1,000 pages, up to page 1,000, were read: there is too much for one step."),
    ],
)  # fmt: skip
async def test_what_is_left_out_of_a_long_file_is_told(name: str, content: bytes, how: str, note: str) -> None:
    found = await read_it(name, content, how)
    assert (found["truncated"], found["notes"]) == (bool(note), [note] if note else [])
    assert len(found["text"]) <= MAX_CHARACTERS


@pytest.mark.parametrize(("wide", "high", "read_rows"), [(2, 5, 5), (3, 4, 4), (3, 5, 4), (11, 1, 1), (11, 2, 1)])
async def test_a_sheet_that_fits_is_not_cut(
    monkeypatch: pytest.MonkeyPatch, wide: int, high: int, read_rows: int
) -> None:
    monkeypatch.setattr(sheets, "MAX_CELLS", 10)
    found = await read_it("a.ods", made.open_sheet(made.open_row(*"abcdefghijk"[:wide]) * high))
    rows = "1 row" if read_rows == 1 else f"{read_rows} rows"
    note = f"Only the first {rows} of the sheet “Sheet1” were read: it is very large."
    assert (found["truncated"], found["notes"]) == ((True, [note]) if read_rows < high else (False, []))
    assert len(found["text"].split("\n")) == read_rows


async def test_a_wrong_ending_does_not_matter() -> None:
    assert (await read_it("hours.pdf", made.WORD))["text"].startswith("Opening hours")
    assert (await read_it("hours.docx", made.INVOICE))["media_type"] == "application/pdf"
    assert family_of(Sent("a.csv", made.SHEETS)) == "zip"


async def test_document_types_are_refused_also_in_other_alphabets() -> None:
    for encoding in ("utf-8", "utf-16"):
        body = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'.encode(encoding)
        hostile = made.zipped({**made.word_parts(""), "word/document.xml": body})
        assert "declares a document type" in await refused("xxe.docx", hostile)


async def test_an_answer_with_another_shape_is_not_believed() -> None:
    async def answers(*_: Any) -> tuple[dict[str, Any], bytes]:
        return {"value": {"pages": [{"number": "1"}]}}, b""

    with pytest.raises(NodeFailed, match="the reader stopped in the middle"):
        await read_document(Sent("a.pdf", b"%PDF-"), apart=answers)
    for told in (
        {"pictures": [{"page": 1, "size": 4}], "notes": []},
        {"pictures": [{"size": 4}], "notes": []},
        {"pictures": [], "notes": [1]},
        {"pictures": 5},
    ):
        with pytest.raises(NodeFailed, match="the reader stopped in the middle"):
            await page_images(Sent("a.pdf", b"%PDF-"), apart=lambda *_, told=told: _done(({"value": told}, b"GIF8")))


async def _done(answer: tuple[dict[str, Any], bytes]) -> tuple[dict[str, Any], bytes]:
    return answer
