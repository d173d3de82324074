"""Files that are made to take a reader's memory or time, or to make it reach something: `HOSTILE` builds each by name.

All stay below 60 MB; most are some KB.
"""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable

from tests.engine.documents import made_files as made
from tests.engine.documents.made_files import HEAD, RELATIONS, A, P, S, Sent, W, cells, pdf_of, stream, zipped

MB = 1 << 20
PAGES = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>"]


def page(resources: bytes = b"", content: bytes = b"4 0 R", box: bytes = b"[0 0 300 300]") -> bytes:
    return b"<</Type/Page/Parent 2 0 R/MediaBox%b/Resources<<%b>>/Contents %b>>" % (box, resources, content)


def form(content: bytes, inner: bytes = b"") -> bytes:
    head = b"<</Type/XObject/Subtype/Form/BBox[0 0 1 1]/Resources<<%b>>/Length %d>>" % (inner, len(content))
    return head + b"stream\n" + content + b"\nendstream"


# PDF.


def content_bomb() -> bytes:
    return pdf_of([*PAGES, page(), stream(b"q Q " * (100 * MB))])


def packed_twice() -> bytes:
    packed = zlib.compress(zlib.compress(bytes(900 * MB), 9), 9)
    body = b"<</Length %d/Filter[/FlateDecode/FlateDecode]>>stream\n%b\nendstream" % (len(packed), packed)
    return pdf_of([*PAGES, page(), body])


def form_in_itself() -> bytes:
    inner = form(b"/A Do /B Do ", b"/XObject<</A 4 0 R/B 4 0 R>>")
    return pdf_of([*PAGES, page(b"/XObject<</A 4 0 R>>", b"5 0 R"), inner, stream(b"/A Do")])


def exponential_forms() -> bytes:
    deep = [form(b"/A Do /A Do /A Do /A Do ", b"/XObject<</A %d 0 R>>" % (6 + n)) for n in range(25)]
    return pdf_of([*PAGES, page(b"/XObject<</A 5 0 R>>"), stream(b"/A Do"), *deep, form(b"q ")])


def exponential_glyphs() -> bytes:
    """Fonts (Type 3) whose characters are drawn with text of the next font."""
    objects = [*PAGES, page(b"/Font<</F 5 0 R>>"), stream(b"BT /F 9 Tf (aaaa) Tj ET")]
    for level in range(12):
        own = 5 + 2 * level
        objects += [
            b"<</Type/Font/Subtype/Type3/FontBBox[0 0 9 9]/FontMatrix[1 0 0 1 0 0]/FirstChar 97/LastChar 97/Widths[9]"
            b"/Encoding<</Differences[97/a]>>/CharProcs<</a %d 0 R>>/Resources<</Font<</F %d 0 R>>>>>>"
            % (own + 1, own + 2),
            stream(b"9 0 d0 BT /F 9 Tf (aaaaaaaa) Tj ET"),
        ]
    return pdf_of([*objects, b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"])


def font_bomb() -> bytes:
    """An embedded font, and a table of its characters, that unpack to hundreds of megabytes."""
    letters = b"1 beginbfrange\n" + b"<0000> <ffff> <0000>\n" * (8 * MB) + b"endbfrange"
    return pdf_of(
        [
            *PAGES,
            page(b"/Font<</F 5 0 R>>"),
            stream(b"BT /F 9 Tf <00010002> Tj ET"),
            b"<</Type/Font/Subtype/Type0/BaseFont/X/Encoding/Identity-H/DescendantFonts[6 0 R]/ToUnicode 8 0 R>>",
            b"<</Type/Font/Subtype/CIDFontType2/BaseFont/X/CIDSystemInfo<<>>/FontDescriptor 7 0 R>>",
            b"<</Type/FontDescriptor/FontName/X/Flags 4/FontFile2 9 0 R>>",
            stream(letters),
            stream(b"\0\1\0\0\0\x40" + bytes(300 * MB)),
        ]
    )


def pages_in_a_circle() -> bytes:
    return pdf_of([PAGES[0], b"<</Type/Pages/Kids[2 0 R 2 0 R]/Count 1000000>>"])


def page_count_that_lies() -> bytes:
    return pdf_of([PAGES[0], b"<</Type/Pages/Kids[3 0 R]/Count 2147483647>>", page()])


def a_million_pages() -> bytes:
    return pdf_of([PAGES[0], b"<</Type/Pages/Kids[%b]/Count 1000000>>" % (b"3 0 R " * MB), page(), stream(b"q Q")])


def nested_arrays() -> bytes:
    return pdf_of([b"<</Type/Catalog/Pages 2 0 R/X " + b"[" * MB + b"]" * MB + b">>", PAGES[1], page()])


def table_in_a_circle() -> bytes:
    body = b"%PDF-1.7\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n"
    return body + b"xref\n0 1\n0000000000 65535 f \ntrailer<</Size 9/Root 1 0 R/Prev %d>>\nstartxref\n%d\n%%%%EOF" % (
        len(body), len(body),
    )  # fmt: skip


def text_without_end() -> bytes:
    words = b"BT /F 9 Tf 9 9 Td\n" + b"(word word word word word word ) Tj T*\n" * (6 * MB) + b"ET"
    return pdf_of(
        [*PAGES, page(b"/Font<</F 5 0 R>>"), stream(words), b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    )


def stream_without_end() -> bytes:
    return pdf_of([*PAGES, page()])[:-60] + b"4 0 obj\n<</Length 99999999999>>stream\n" + b"(a) Tj " * (3 * MB)


def huge_picture() -> bytes:
    head = b"/Type/XObject/Subtype/Image/Width 60000/Height 60000/ColorSpace/DeviceRGB/BitsPerComponent 8"
    return pdf_of(
        [*PAGES, page(b"/XObject<</I 5 0 R>>"), stream(b"q 300 0 0 300 0 0 cm /I Do Q"), stream(bytes(600 * MB), head)]
    )


def huge_page() -> bytes:
    return pdf_of([*PAGES, page(box=b"[0 0 1e30 1e30]"), stream(b"0 0 1e30 1e30 re f")])


def launches_a_program() -> bytes:
    action = b"<</S/Launch/F(/bin/sh)/Next<</S/JavaScript/JS(while(true){})>>>>"
    catalog = b"<</Type/Catalog/Pages 2 0 R/OpenAction %b/AA<</WC %b>>>>" % (action, action)
    return pdf_of([catalog, PAGES[1], page(), stream(b"q Q")])


def flipped(content: bytes, seed: int, share: float = 0.01) -> bytes:
    """The file with one byte in a hundred changed."""
    chance, changed = random.Random(seed), bytearray(content)
    for _ in range(max(8, int(len(changed) * share))):
        changed[chance.randrange(8, len(changed))] = chance.randrange(256)
    return bytes(changed)


# Office files.


def laughs(root: str, spaces: str) -> str:
    """XML whose entities expand to billions of letters."""
    entities = "".join(f'<!ENTITY l{n} "' + f"&l{n - 1};" * 10 + '">' for n in range(1, 12))
    return f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "ha">{entities}]><{root} {spaces}>&l11;</{root}>'


def word(document: str | bytes, **more: str | bytes) -> bytes:
    return zipped({**made.word_parts(""), "word/document.xml": document, **more})


def word_body(body: str) -> bytes:
    return word(f"{HEAD}<w:document {W}><w:body>{body}</w:body></w:document>")


def outside_entity(encoding: str) -> bytes:
    text = f'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><w:document {W}><w:body><w:p><w:r><w:t>&e;</w:t></w:r></w:p></w:body></w:document>'
    return word(f'<?xml version="1.0" encoding="{encoding}"?>{text}'.encode(encoding))


def outside_parts() -> bytes:
    links = "".join(
        f'<Relationship Id="x{n}" Type="{made.OFFICE}/{kind}" Target="{target}" TargetMode="External"/>'
        for n, (kind, target) in enumerate(
            [
                ("image", "file:///etc/passwd"),
                ("attachedTemplate", "http://169.254.169.254/"),
                ("image", "../../../etc/passwd"),
            ]
        )
    )
    picture = (
        '<w:p><w:r><w:drawing><a:blip xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
        f'{made.R} r:link="x0"/></w:drawing></w:r></w:p>'
    )
    relations = {"word/_rels/document.xml.rels": f"{HEAD}<Relationships {RELATIONS}>{links}</Relationships>"}
    return zipped({**made.word_parts(picture), **relations})


def lying_size(name: str, parts: dict[str, str | bytes]) -> bytes:
    """A zip whose directory says that one part has 100 bytes; it unpacks to 900 MB."""
    content = bytearray(zipped({**parts, name: bytes(900 * MB)}))
    size = struct.pack("<I", 900 * MB)
    while (at := content.find(size)) >= 0:
        content[at : at + 4] = struct.pack("<I", 100)
    return bytes(content)


def linked(name: str, target: str, parts: dict[str, str | bytes]) -> bytes:
    """A zip with a symbolic link as one of its parts."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for one, content in parts.items():
            if one != name:
                archive.writestr(one, content)
        link = zipfile.ZipInfo(name)
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, target)
    return file.getvalue()


def many_parts() -> bytes:
    return zipped({**made.word_parts(""), **{f"x{n}": b"" for n in range(60_000)}})


def zip_in_zip() -> bytes:
    inner = bytes(10 * MB)
    for _ in range(6):
        inner = zipped({f"{n}.zip": inner for n in range(10)})
    return word(inner)


def overlapping() -> bytes:
    """A zip whose directory names the same packed bytes four thousand times."""
    content = zipped({**made.word_parts(""), "word/a": bytes(MB)})
    at, end = content.rfind(b"PK\1\2"), content.rfind(b"PK\5\6")
    entry, directory = content[at:end], content[content.find(b"PK\1\2") : end]
    start = content.find(b"PK\1\2")
    listed = directory + entry * 4_000
    tail = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 4_006, 4_006, len(listed), start, 0)
    return content[:start] + listed + tail


def locked_zip() -> bytes:
    content = bytearray(made.WORD)
    for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = content.find(mark)
        while at >= 0:
            content[at + place] |= 1
            at = content.find(mark, at + 4)
    return bytes(content)


def sheet(rows: str | bytes, **more: str | bytes) -> bytes:
    start, end = f"{HEAD}<worksheet {S}><sheetData>".encode(), b"</sheetData></worksheet>"
    body = rows.encode() if isinstance(rows, str) else rows
    return zipped({**made.sheet_parts(A=""), "xl/worksheets/sheet1.xml": start + body + end, **more})


def far_cell() -> bytes:
    return sheet('<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')


def repeated_text() -> bytes:
    """One text of a megabyte that ten thousand cells show."""
    row = "".join(f'<c r="{chr(65 + n)}{{0}}" t="s"><v>0</v></c>' for n in range(20))
    rows = "".join(f'<row r="{n}">{row.format(n)}</row>' for n in range(1, 501))
    strings = f"{HEAD}<sst {S}><si><t>{'x' * MB}</t></si></sst>"
    main = f'<Relationship Id="s" Type="{made.OFFICE}/sharedStrings" Target="sharedStrings.xml"/>'
    links = str(made.sheet_parts(A="")["xl/_rels/workbook.xml.rels"]).replace(
        "</Relationships>", f"{main}</Relationships>"
    )
    return sheet(rows, **{"xl/sharedStrings.xml": strings, "xl/_rels/workbook.xml.rels": links})


def million_rows() -> bytes:
    return sheet("".join(f'<row r="{n}"><c r="A{n}"><v>1</v></c></row>' for n in range(1, 1_000_001)))


def repeated_cells() -> bytes:
    repeated = 'table:number-rows-repeated="1000000000"'
    cell = '<table:table-cell table:number-columns-repeated="1000000000" office:value-type="string"><text:p>x</text:p></table:table-cell>'
    return made.open_sheet(f"<table:table-row {repeated}>{cell}</table:table-row>")


def deep(tag: str, count: int) -> str:
    return f"<{tag}>" * count + f"</{tag}>" * count


def same_slide_again() -> bytes:
    parts = made.slides_parts(made.shape("word " * 20_000))
    ids = "".join(f'<p:sldId id="{n}" r:id="r1"/>' for n in range(200_000))
    parts["ppt/presentation.xml"] = (
        f"{HEAD}<p:presentation {P} {made.R}><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>"
    )
    return zipped(parts)


def many_attributes() -> bytes:
    names = " ".join(f'a{n}="x"' for n in range(400_000))
    return word(f"{HEAD}<w:document {W} {names}><w:body/></w:document>")


def old_table_with_huge_sizes() -> bytes:
    head = bytearray(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504))
    struct.pack_into("<HHHHH", head, 24, 0x3E, 3, 0xFFFE, 9, 6)
    struct.pack_into("<IIIIIIIIIII", head, 44, 0x7FFFFFFF, 0, 0, 4096, 0, 0x7FFFFFFF, 0, 0x7FFFFFFF, 0, 0, 0)
    return bytes(head) + "Workbook".encode("utf-16-le") + b"\xff" * 4_096


# Text.


def nested_mail(depth: int) -> bytes:
    lines = [b"From: a@b.example", b"Subject: deep", b"MIME-Version: 1.0"]
    for level in range(depth):
        lines += [b"Content-Type: multipart/mixed; boundary=b%d" % level, b"", b"--b%d" % level]
    return b"\n".join([*lines, b"Content-Type: text/plain", b"", b"words"])


def mail_with(body: bytes, head: bytes = b"") -> bytes:
    return b"From: a@b.example\nTo: c@d.example\nSubject: x\nMIME-Version: 1.0\n" + head + b"\n" + body


def quoted_bomb() -> bytes:
    head = b"Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n"
    return mail_with(b"=3Cdiv=3E=3Cb=3E=\n" * (2 * MB), head)


def many_mail_parts() -> bytes:
    head = b"Content-Type: multipart/mixed; boundary=x\n"
    return mail_with(b"--x\nContent-Type: text/plain\n\na\n" * 200_000, head)


def encoded_words() -> bytes:
    return mail_with(
        b"words",
        b"Cc: " + b" =?utf-8?q?" + b"=41" * 400 + b"?=" * 1 + b"\n" + b"X-Y: " + b"=?utf-8?b?QQ==?= " * 200_000 + b"\n",
    )


def broken_addresses() -> bytes:
    return (
        b"From: "
        + b"(" * 100_000
        + b"\nTo: "
        + b"<a@b>,:;" * 50_000
        + b"\nSubject: x\nDate: "
        + b"9" * 100_000
        + b"\n\nwords"
    )


#: Name of the file -> its content. What a hostile file is called, is what people would call it.
HOSTILE: dict[str, Callable[[], bytes]] = {
    "content bomb.pdf": content_bomb,
    "packed twice.pdf": packed_twice,
    "form in itself.pdf": form_in_itself,
    "exponential forms.pdf": exponential_forms,
    "exponential glyphs.pdf": exponential_glyphs,
    "font bomb.pdf": font_bomb,
    "pages in a circle.pdf": pages_in_a_circle,
    "page count that lies.pdf": page_count_that_lies,
    "a million pages.pdf": a_million_pages,
    "nested arrays.pdf": nested_arrays,
    "table in a circle.pdf": table_in_a_circle,
    "text without end.pdf": text_without_end,
    "stream without end.pdf": stream_without_end,
    "huge picture.pdf": huge_picture,
    "huge page.pdf": huge_page,
    "launches a program.pdf": launches_a_program,
    "bit flips 1.pdf": lambda: flipped(made.INVOICE, 1),
    "bit flips 2.pdf": lambda: flipped(made.INVOICE, 2, 0.05),
    "bit flips 3.pdf": lambda: flipped(made.INVOICE, 3, 0.2),
    "cut off.pdf": lambda: made.INVOICE[: len(made.INVOICE) // 3],
    "billion laughs.docx": lambda: word(laughs("w:document", W)),
    "outside entity.docx": lambda: outside_entity("utf-8"),
    "outside entity in UTF-16.docx": lambda: outside_entity("utf-16"),
    "outside parts.docx": outside_parts,
    "nested tables.docx": lambda: word_body("<w:tbl><w:tr><w:tc>" * 30_000 + "</w:tc></w:tr></w:tbl>" * 30_000),
    "150 MB of text.docx": lambda: word_body(made.paragraph("a" * 40) * 1_700_000),
    "many attributes.docx": many_attributes,
    "many parts.docx": many_parts,
    "lying size.docx": lambda: lying_size("word/document.xml", made.word_parts("")),
    "symbolic link.docx": lambda: linked("word/document.xml", "/etc/passwd", made.word_parts("")),
    "way out.docx": lambda: zipped({**made.word_parts(made.paragraph("harmless")), "../../../tmp/hostile": b"x", "/etc/cron.d/x": b"x"}),
    "zip in zip.docx": zip_in_zip,
    "overlapping.docx": overlapping,
    "locked parts.docx": locked_zip,
    "cut off.docx": lambda: made.WORD[: len(made.WORD) * 2 // 3],
    "bit flips.docx": lambda: flipped(made.WORD, 4),
    "zip bomb.xlsx": lambda: sheet(b" " * (600 * MB)),
    "far cell.xlsx": far_cell,
    "repeated text.xlsx": repeated_text,
    "a million rows.xlsx": million_rows,
    "billion laughs.xlsx": lambda: sheet("", **{"xl/workbook.xml": laughs("workbook", S)}),
    "bit flips.xlsx": lambda: flipped(made.SHEETS, 5),
    "lying size.xlsx": lambda: lying_size("xl/worksheets/sheet1.xml", made.sheet_parts(A=cells(["a"]))),
    "repeated cells.ods": repeated_cells,
    "huge sizes.xls": old_table_with_huge_sizes,
    "billion laughs.pptx": lambda: zipped({**made.slides_parts(""), "ppt/slides/slide1.xml": laughs("p:sld", f"{P} {A}")}),
    "nested shapes.pptx": lambda: zipped(made.slides_parts(deep("p:grpSp", 200_000))),
    "same slide again.pptx": same_slide_again,
    "nested.html": lambda: b"<html><body>" + b"<div>" * 500_000,
    "many choices.html": lambda: b"<html><body><select>" + b"<option>x" * 190_000,
    "many attributes.html": lambda: b"<html><p " + b" ".join(b"a%d" % n for n in range(500_000)) + b">x",
    "46 MB.html": lambda: b"<html><body>" + b"<p>words <b>and <i>more" * (2 * MB),
    "nested.eml": lambda: nested_mail(20_000),
    "quoted-printable bomb.eml": quoted_bomb,
    "many parts.eml": many_mail_parts,
    "encoded words.eml": encoded_words,
    "broken addresses.eml": broken_addresses,
    "one cell.csv": lambda: b'a,b\n"' + b"x" * (45 * MB),
    "a million columns.csv": lambda: b",".join([b"a"] * MB) + b"\n" + b",".join([b"1"] * MB),
    "program.pdf": lambda: b"\x7fELF" + random.Random(6).randbytes(MB),
    "noise.docx": lambda: b"PK\3\4" + random.Random(7).randbytes(MB),
}  # fmt: skip


def hostile(name: str) -> Sent:
    """Builds a file of `HOSTILE`."""
    return Sent(name, HOSTILE[name]())
