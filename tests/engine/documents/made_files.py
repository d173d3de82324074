"""Small files of every kind that Read Document reads, made in code."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Collection
from dataclasses import dataclass

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
A = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
P = 'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"'
R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
S = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
RELATIONS = 'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'


@dataclass(frozen=True)
class Sent:
    """A file with its bytes, as nodes get it."""

    name: str
    content: bytes
    media_type: str = "application/octet-stream"

    @property
    def size(self) -> int:
        return len(self.content)


def zipped(parts: dict[str, str | bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


# PDF.


def pdf_of(objects: list[bytes], trailer: bytes = b"", root: int = 1) -> bytes:
    """A PDF of these objects, numbered from 1."""
    body, places = b"%PDF-1.7\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%b\nendobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer<</Size %d/Root %d 0 R%b>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, root, trailer, len(body))
    return body + b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + table + end


def stream(content: bytes, entries: bytes = b"") -> bytes:
    packed = zlib.compress(content, 9)
    return b"<</Length %d/Filter/FlateDecode%b>>stream\n%b\nendstream" % (len(packed), entries, packed)


def pdf(*pages: list[tuple[float, float, float, str]], title: str = "") -> bytes:
    """A PDF; each page is a list of (x, y, size, text), in points from the left and from the bottom of A4."""
    count = len(pages)
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[%b]/Count %d>>" % (b" ".join(b"%d 0 R" % (4 + 2 * n) for n in range(count)), count),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    ]
    for number, page in enumerate(pages):
        text = b"".join(
            b"BT /F %g Tf %g %g Td (%b) Tj ET\n"
            % (size, x, y, words.encode("cp1252").replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)"))
            for x, y, size, words in page
        )
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F 3 0 R>>>>/Contents %d 0 R>>"
            % (5 + 2 * number)
        )
        objects.append(stream(text))
    if not title:
        return pdf_of(objects)
    objects.append(b"<</Title(%b)>>" % title.encode("cp1252"))
    return pdf_of(objects, b"/Info %d 0 R" % len(objects))


def hebrew_pdf(*lines: str) -> bytes:
    """A PDF with lines of Hebrew letters and ASCII, drawn glyph by glyph from the right as printers do."""
    glyphs = {letter: number for number, letter in enumerate(sorted(set("".join(lines))), 65)}
    codes = "".join(f"<{number:02x}> <{ord(letter):04x}>\n" for letter, number in glyphs.items())
    cmap = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /H def /CMapType 2 def\n"
        f"1 begincodespacerange <00> <ff> endcodespacerange\n{len(glyphs)} beginbfchar\n{codes}endbfchar\n"
        "endcmap CMapName currentdict /CMap defineresource pop end end"
    )
    text = "".join(
        f"BT /F 12 Tf {540 - 7.2 * at:g} {780 - 16 * row} Td <{glyphs[letter]:02x}> Tj ET\n"
        for row, line in enumerate(lines)
        for at, letter in enumerate(line)
    )
    return pdf_of(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Kids[4 0 R]/Count 1>>",
            b"<</Type/Font/Subtype/Type1/BaseFont/Courier/Encoding/WinAnsiEncoding/ToUnicode 6 0 R>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F 3 0 R>>>>/Contents 5 0 R>>",
            stream(text.encode()),
            stream(cmap.encode()),
        ]
    )


def scanned_pdf(pages: int = 1, broken: Collection[int] = ()) -> bytes:
    """Pages with a picture and without text; those that are broken cannot be opened."""
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Resources<</XObject<</I 3 0 R>>>>/Contents 4 0 R>>"
    kids = b" ".join(b"%d 0 R" % (4 + number) for number in range(1, pages + 1))
    return pdf_of(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Kids[%b]/Count %d>>" % (kids, pages),
            stream(
                b"\x80" * 64, b"/Type/XObject/Subtype/Image/Width 8/Height 8/ColorSpace/DeviceGray/BitsPerComponent 8"
            ),
            stream(b"q 200 0 0 200 0 0 cm /I Do Q"),
            *(b"<</Type/Broken/Parent 2 0 R>>" if number in broken else page for number in range(1, pages + 1)),
        ]
    )


def locked_pdf() -> bytes:
    """A PDF that opens with a password only (a key that fits no password)."""
    inner = b"<</Filter/Standard/V 1/R 2/O(%b)/U(%b)/P -4>>" % (b"o" * 32, b"u" * 32)
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[]/Count 0>>", inner]
    return pdf_of(objects, b"/Encrypt 3 0 R/ID[(1234567890123456)(1234567890123456)]")


INVOICE = pdf(
    [
        (57, 780, 20, "Invoice 2041"),
        (57, 750, 11, "Mill & Sons, Alderbrook"),
        (57, 700, 11, "Item"), (250, 700, 11, "Quantity"), (350, 700, 11, "Price"), (450, 700, 11, "Amount"),
        (57, 680, 11, "Rye flour, 25 kg"), (250, 680, 11, "40"), (350, 680, 11, "12.00"), (450, 680, 11, "480.00"),
        (57, 660, 11, "Spelt, 25 kg"), (250, 660, 11, "6"), (350, 660, 11, "22.00"), (450, 660, 11, "132.00"),
        (57, 600, 11, "To be paid until 2 April 2026. Thank you for your order."),
    ],
    [(57, 780, 11, "General terms of delivery.")],
    title="Invoice 2041",
)  # fmt: skip


# Office.


def word_parts(body: str, title: str = "") -> dict[str, str | bytes]:
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": f'{HEAD}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.'
        'wordprocessingml.document.main+xml"/></Types>',
        "_rels/.rels": f'{HEAD}<Relationships {RELATIONS}><Relationship Id="r1" Type="{OFFICE}/officeDocument" '
        'Target="word/document.xml"/></Relationships>',
        "word/document.xml": f"{HEAD}<w:document {W}><w:body>{body}</w:body></w:document>",
        "word/styles.xml": f'{HEAD}<w:styles {W}><w:style w:type="paragraph" w:styleId="Heading1"><w:name w:val='
        '"heading 1"/></w:style></w:styles>',
        "word/_rels/document.xml.rels": f'{HEAD}<Relationships {RELATIONS}><Relationship Id="r1" Type="{OFFICE}/styles" '
        'Target="styles.xml"/></Relationships>',
    }
    if title:
        parts["docProps/core.xml"] = (
            f'{HEAD}<cp:coreProperties xmlns:cp="urn:x" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{title}'
            "</dc:title></cp:coreProperties>"
        )
    return parts


def paragraph(text: str, style: str = "") -> str:
    chosen = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{chosen}<w:r><w:t>{text}</w:t></w:r></w:p>"


def word_table(*rows: list[str]) -> str:
    cells = ("".join(f"<w:tc>{paragraph(cell)}</w:tc>" for cell in row) for row in rows)
    return f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in cells)}</w:tbl>"


WORD = zipped(
    word_parts(
        paragraph("Opening hours", "Heading1")
        + paragraph("We bake &amp; sell every day.")
        + word_table(["Day", "Opens"], ["Monday", "7:00"], ["Sunday", "8:30"]),
        title="The bakery",
    )
)


def slides_parts(*slides: str) -> dict[str, str | bytes]:
    numbers = range(1, len(slides) + 1)
    ids = "".join(f'<p:sldId id="{255 + n}" r:id="r{n}"/>' for n in numbers)
    links = "".join(f'<Relationship Id="r{n}" Type="{OFFICE}/slide" Target="slides/slide{n}.xml"/>' for n in numbers)
    return {
        "ppt/presentation.xml": f"{HEAD}<p:presentation {P} {R}><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>",
        "ppt/_rels/presentation.xml.rels": f"{HEAD}<Relationships {RELATIONS}>{links}</Relationships>",
        **{
            f"ppt/slides/slide{n}.xml": f"{HEAD}<p:sld {P} {A}><p:cSld><p:spTree>{slide}</p:spTree></p:cSld></p:sld>"
            for n, slide in zip(numbers, slides, strict=True)
        },
    }


def shape(text: str, kind: str = "") -> str:
    place = f'<p:nvSpPr><p:nvPr><p:ph type="{kind}"/></p:nvPr></p:nvSpPr>' if kind else ""
    return f"<p:sp>{place}<p:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"


def slide_table(*rows: list[str]) -> str:
    written = "".join(
        f"<a:tr>{''.join(f'<a:tc><a:txBody><a:p><a:r><a:t>{c}</a:t></a:r></a:p></a:txBody></a:tc>' for c in row)}</a:tr>"
        for row in rows
    )
    return f"<p:graphicFrame><a:graphic><a:graphicData><a:tbl>{written}</a:tbl></a:graphicData></a:graphic></p:graphicFrame>"


SLIDES = zipped(
    slides_parts(
        shape("Plans for autumn", "title") + shape("Two new breads"),
        shape("Prices", "title") + slide_table(["Bread", "Price"], ["Rye", "4.20"]) + shape("7", "sldNum"),
    )
)


def sheet_parts(**sheets: str) -> dict[str, str | bytes]:
    """An Excel workbook; each sheet is the content of its `sheetData`."""
    numbers = range(1, len(sheets) + 1)
    listed = "".join(
        f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, name in zip(numbers, sheets, strict=True)
    )
    links = "".join(
        f'<Relationship Id="r{n}" Type="{OFFICE}/worksheet" Target="worksheets/sheet{n}.xml"/>' for n in numbers
    )
    main = f'<Relationship Id="r1" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/>'
    return {
        "_rels/.rels": f"{HEAD}<Relationships {RELATIONS}>{main}</Relationships>",
        "xl/workbook.xml": f"{HEAD}<workbook {S} {R}><sheets>{listed}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f"{HEAD}<Relationships {RELATIONS}>{links}</Relationships>",
        **{
            f"xl/worksheets/sheet{n}.xml": f"{HEAD}<worksheet {S}><sheetData>{rows}</sheetData></worksheet>"
            for n, rows in zip(numbers, sheets.values(), strict=True)
        },
    }


def cells(*rows: list[str | float]) -> str:
    written = []
    for number, row in enumerate(rows, 1):
        line = "".join(
            f'<c r="{chr(65 + at)}{number}" t="inlineStr"><is><t>{cell}</t></is></c>'
            if isinstance(cell, str)
            else f'<c r="{chr(65 + at)}{number}"><v>{cell}</v></c>'
            for at, cell in enumerate(row)
        )
        written.append(f'<row r="{number}">{line}</row>')
    return "".join(written)


SHEETS = zipped(
    sheet_parts(
        Breads=cells(["name", "price", "sold"], ["Rye", 4.5, 120], ["Spelt", 5.8, 64]),
        Notes=cells(["Only in autumn"]),
    )
)


def open_sheet(rows: str) -> bytes:
    """An OpenDocument table with the content of its only sheet."""
    spaces = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text")
    )
    return zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
            "content.xml": f"{HEAD}<office:document-content {spaces}><office:body><office:spreadsheet>"
            f'<table:table table:name="Sheet1">{rows}</table:table></office:spreadsheet></office:body>'
            "</office:document-content>",
            "META-INF/manifest.xml": f'{HEAD}<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>',
        }
    )


def open_row(*texts: str) -> str:
    row = "".join(
        f'<table:table-cell office:value-type="string"><text:p>{text}</text:p></table:table-cell>' for text in texts
    )
    return f"<table:table-row>{row}</table:table-row>"


OPEN_SHEET = open_sheet(open_row("name", "town") + open_row("Ines", "Alderbrook"))

# Text.

MAIL = """From: Ines Marlow <ines@hearthandrye.example>
To: Tom <tom@example.com>
Subject: =?utf-8?q?Caf=C3=A9_order?=
Date: Fri, 27 Nov 2026 10:00:00 +0000
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=x

--x
Content-Type: multipart/alternative; boundary=y

--y
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Two caf=C3=A9 loaves, please.
--y
Content-Type: text/html; charset=utf-8

<p>Two <b>café</b> loaves, please.</p>
--y--
--x
Content-Type: application/pdf; name=order.pdf
Content-Disposition: attachment; filename=order.pdf

%PDF-
--x--
""".encode()

PAGE = (
    b"<!doctype html><html><head><title>Prices</title><style>p{}</style></head><body><h1>Prices</h1><p>Fresh &amp; warm.</p>"
    b"<table><tr><th>Bread</th><th>Price</th></tr><tr><td>Rye</td><td>4.20</td></tr></table></body></html>"
)

CSV = "name;price\nRye;4,20\nSpelt;5,80\n".encode("cp1252")
MARKDOWN = b"# Bread\n\nRye, *fresh*.\n"
