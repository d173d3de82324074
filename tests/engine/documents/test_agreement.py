"""Sixty files made by office programs, read by us and by other readers: they say the same words.

Needs the programs that `references.py` names.
"""

from __future__ import annotations

import csv
import shutil
from collections import defaultdict
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from engine.core.paths import ASSETS
from engine.documents.reading import read_document
from engine.sandbox.pool import Sandbox
from tests.engine.documents.made_files import Sent
from tests.engine.documents.references import agreement, convert, missing_programs, texts_of

pytestmark = [
    pytest.mark.process,
    pytest.mark.slow,
    pytest.mark.costly("60 files are made by an office program, and each is read twice"),
]

#: The share of words that both readers have, on average of the files of a kind.
LEAST = 0.95
_OFFICE_FILES = {"docx": "docx:MS Word 2007 XML", "pdf": "pdf"}
_TABLE_FILES = {"xlsx": "xlsx:Calc MS Excel 2007 XML", "xls": "xls:MS Excel 97", "ods": "ods"}


def write_tables(folder: Path) -> Iterator[Path]:
    """CSV files with words, whole numbers, numbers with a point, dates and empty cells."""
    for number in range(3):
        file = folder / f"table{number}.csv"
        with file.open("w", newline="", encoding="utf-8") as stream:
            lines = csv.writer(stream)
            lines.writerow(["order", "customer", "price", "remark"])
            for row in range(20 + 400 * number):
                lines.writerow([1_000 + row, f"Café № {row}", f"{row}.25", "" if row % 3 else "to be fetched, please"])
        yield file
    for file in sorted((ASSETS / "templates" / "datasets").glob("*.csv"))[:2]:
        yield Path(shutil.copy(file, folder / file.name.replace(" ", "_")))


def write_mail(folder: Path, text: Path) -> Path:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = (
        "Ines <ines@hearthandrye.example>",
        "tom@example.com",
        f"About {text.stem}",
    )
    mail.set_content(text.read_text(encoding="utf-8"), cte="quoted-printable")
    mail.add_alternative("<p>The same in HTML.</p>", subtype="html")
    file = folder / f"{text.stem}.eml"
    file.write_bytes(mail.as_bytes())
    return file


def made_corpus(folder: Path) -> list[Path]:
    pages = sorted((ASSETS / "practice").glob("*.html"))[:13]
    texts = sorted((ASSETS / "help").glob("*.md"))[:10]
    tables = list(write_tables(folder))
    for ending, form in _OFFICE_FILES.items():
        convert(pages, form, folder / ending)
    for ending, form in _TABLE_FILES.items():
        convert(tables, form, folder / ending, ["--infilter=CSV:44,34,76,1"])
    made = [file for ending in (*_OFFICE_FILES, *_TABLE_FILES) for file in (folder / ending).glob(f"*.{ending}")]
    made += [Path(shutil.copy(page, folder)) for page in pages]
    made += [Path(shutil.copy(text, folder)) for text in texts[5:]]
    return sorted([*made, *tables, *(write_mail(folder, text) for text in texts[:5])])


@pytest.mark.timeout(1_800)
async def test_we_read_what_other_readers_read(tmp_path: Path) -> None:
    assert missing_programs() == [], "tests/engine/documents/references.py says how to install them"
    files = made_corpus(tmp_path)
    kinds = {file.suffix for file in files}
    assert len(files) >= 60 and len(kinds) >= 8, (len(files), kinds)
    others = texts_of(files, tmp_path / "others")
    sandbox, shares = Sandbox(), defaultdict(list)
    for file in files:
        read = await read_document(Sent(file.name, file.read_bytes()), apart=sandbox.read_file)
        shares[file.suffix].append((agreement(read["text"], others.get(file, "")), file.name))
    await sandbox.close()
    means = {kind: sum(share for share, _ in found) / len(found) for kind, found in shares.items()}
    for kind, found in sorted(shares.items()):
        print(f"{kind}: {len(found)} files, mean {means[kind]:.3f}, least {min(found)}")
    assert {kind: mean for kind, mean in means.items() if mean < LEAST} == {}
