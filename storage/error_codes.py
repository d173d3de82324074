"""Fields of a job's error, as columns for queries: its code, and the texts in which people search."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Final

from sqlalchemy import ColumnElement, String, Text, and_, cast, func, or_
from sqlalchemy.ext.compiler import compiles

from storage.tables import Job

#: Letters and digits that JSON never escapes.
_WORD: Final = re.compile(r"[A-Za-z0-9_]+")
#: How many words of a search are looked for in the stored text first.
_WORDS: Final = 3


class _ErrorField(ColumnElement[str]):
    """A field of the error as text; null for a job without an error. Each field is a class, so that SQLAlchemy tells
    statements with different ones apart.
    """

    inherit_cache = True
    type = String()
    name: ClassVar[str]


class _Code(_ErrorField):
    inherit_cache = True
    name = "code"


class _Message(_ErrorField):
    inherit_cache = True
    name = "message"


class _Why(_ErrorField):
    inherit_cache = True
    name = "why"


class _NodeLabel(_ErrorField):
    inherit_cache = True
    name = "node_label"


@compiles(_ErrorField)
def _read(element: _ErrorField, compiler: Any, **options: Any) -> str:
    return compiler.process(Job.error[element.name].as_string(), **options)


@compiles(_ErrorField, "postgresql")
def _read_beside_any_text(element: _ErrorField, compiler: Any, **options: Any) -> str:
    r"""A message may hold NUL or half of a surrogate pair, as `\u0000`. PostgreSQL stores that and fails when it reads
    any field beside it, so it reads the field of a text with other characters in these places.
    """
    error = f"{compiler.process(Job.error.expression, **options)}::text"
    replaced = rf"regexp_replace({error}, '\\u(0000|d[89a-f][0-9a-f]{{2}})', '\\ufffd', 'gi')"
    whole = rf"case when strpos({error}, '\u') > 0 then {replaced} else {error} end"
    return f"(({whole})::json ->> '{element.name}')"


#: Null for a job without an error.
ERROR_CODE: ColumnElement[str] = _Code()


def error_says(text: str) -> ColumnElement[bool]:
    """Returns the condition that a text of the error holds this one, as people read it: a page shows no backquotes and
    no line breaks, and capitals make no difference.
    """
    wanted = " ".join(text.replace("`", "").split())
    ways = ways_to_write(wanted)
    fields = [_as_shown(field) for field in (_Message(), _Why(), _NodeLabel(), ERROR_CODE)]
    says = or_(*(field.icontains(way, autoescape=True) for field in fields for way in ways))
    # Few rows have all words, and to look for these in the stored text costs a tenth of reading the fields.
    stored = func.replace(cast(Job.error, Text), "`", "")
    words = sorted(set(_WORD.findall(wanted)), key=len, reverse=True)[:_WORDS]
    return and_(Job.error.is_not(None), *(stored.icontains(word, autoescape=True) for word in words), says)


def ways_to_write(text: str) -> list[str]:
    """Returns the text as it is looked for without regard to capitals: the databases may fold those of ASCII alone, so the
    usual ways to write the other letters are tried.
    """
    return list(dict.fromkeys([text, *([] if text.isascii() else [text.lower(), text.upper(), text.capitalize()])]))


def _as_shown(field: ColumnElement[str]) -> ColumnElement[str]:
    shown: ColumnElement[str] = func.replace(field, "`", "")
    for one in ("\r", "\n", "\t", "  ", "  "):
        shown = func.replace(shown, one, " ")
    return shown
