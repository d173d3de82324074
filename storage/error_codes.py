"""The code of a job's error, as a column for queries."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, String
from sqlalchemy.ext.compiler import compiles

from storage.tables import Job


class _ErrorCode(ColumnElement[str]):
    inherit_cache = True
    type = String()


#: Null for a job without an error.
ERROR_CODE: ColumnElement[str] = _ErrorCode()
_FIELD = Job.error["code"].as_string()


@compiles(_ErrorCode)
def _read(element: _ErrorCode, compiler: Any, **options: Any) -> str:
    return compiler.process(_FIELD, **options)


@compiles(_ErrorCode, "postgresql")
def _read_beside_any_text(element: _ErrorCode, compiler: Any, **options: Any) -> str:
    r"""A message may hold NUL or half of a surrogate pair, as `\u0000`. PostgreSQL stores that and fails when it reads
    any field beside it, so it reads the field of a text with other characters in these places.
    """
    error = compiler.process(Job.error.expression, **options)
    return rf"(regexp_replace({error}::text, '\\u(0000|d[89a-f][0-9a-f]{{2}})', '\\ufffd', 'gi')::json ->> 'code')"
