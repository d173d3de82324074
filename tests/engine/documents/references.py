"""Other readers of documents, to compare with: LibreOffice, pdftotext (poppler) and mshow (mblaze), as programs of this
machine.

    apt-get install --no-install-recommends libreoffice-writer libreoffice-calc libreoffice-impress poppler-utils mblaze
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

#: Format of LibreOffice for an ending: text for texts, all sheets as they are stored for tables, PDF for slides.
_TEXT = "txt:Text (encoded):UTF8"
_SHEETS = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,false,false,false,false,-1"
_FORMATS = {"docx": _TEXT, "html": _TEXT, "xlsx": _SHEETS, "xls": _SHEETS, "ods": _SHEETS, "pptx": "pdf"}
_WORD = re.compile(r"\w+")
PROGRAMS = ("soffice", "pdftotext", "mshow")


def missing_programs() -> list[str]:
    return [name for name in PROGRAMS if shutil.which(name) is None]


def convert(files: Sequence[Path], form: str, out: Path, more: Sequence[str] = ()) -> None:
    """Converts files with LibreOffice, all in one run."""
    profile = f"-env:UserInstallation={(out / 'profile').resolve().as_uri()}"
    command = ["soffice", profile, "--headless", *more, "--convert-to", form, "--outdir", str(out), *map(str, files)]
    subprocess.run(command, check=True, capture_output=True, timeout=600)


def texts_of(files: Sequence[Path], work: Path) -> dict[Path, str]:
    """Returns the text of each file as the other reader gives it; files that it cannot read are left out.

    `files` have different names without their endings.
    """
    found: dict[Path, str] = {}
    for ending, form in _FORMATS.items():
        chosen = [file for file in files if file.suffix == f".{ending}"]
        if not chosen:
            continue
        out = work / ending
        out.mkdir(parents=True, exist_ok=True)
        convert(chosen, form, out)
        for file in chosen:
            made = sorted(out.glob(f"{file.stem}-*.csv")) or [out / f"{file.stem}.{form.split(':')[0]}"]
            text = "\n".join(_read(one) for one in made if one.exists())
            if text.strip():
                found[file] = text
    for file in files:
        text = _read(file) if file.suffix[1:] not in _FORMATS else ""
        if text.strip():
            found[file] = text
    return found


def agreement(ours: str, other: str) -> float:
    """Returns the share of words that both texts have (F1 of the bags of words): 1 when they say the same."""
    left, right = (Counter(_WORD.findall(text.casefold())) for text in (ours, other))
    total = left.total() + right.total()
    return 2 * (left & right).total() / total if total else 1.0


def _read(file: Path) -> str:
    match file.suffix:
        case ".pdf":
            return _said("pdftotext", "-q", str(file), "-")
        case ".eml":
            return _said("mshow", str(file))
        case _:
            return file.read_bytes().decode("utf-8-sig", "replace")


def _said(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, timeout=120)
    return done.stdout.decode("utf-8", "replace")
