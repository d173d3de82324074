"""The tables as each database gets them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import create_mock_engine

from storage.tables import Base


def test_partial_indexes_are_partial_in_postgresql_too() -> None:
    said: dict[str, list[str]] = {"sqlite": [], "postgresql": []}
    for dialect, statements in said.items():

        def take(statement: Any, *_: Any, dialect: str = dialect, statements: list[str] = statements) -> None:
            statements.append(str(statement.compile(dialect=engines[dialect].dialect)))

        engines = {dialect: create_mock_engine(f"{dialect}://", take)}
        Base.metadata.create_all(engines[dialect], checkfirst=False)
    partial = {
        dialect: sorted(line for line in statements if line.startswith("CREATE INDEX") and " WHERE " in line)
        for dialect, statements in said.items()
    }
    assert len(partial["sqlite"]) >= 9
    assert partial["postgresql"] == partial["sqlite"]
