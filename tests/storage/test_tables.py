"""The tables as each database gets them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import create_mock_engine

from storage.tables import Base


def statements_of(dialect: str) -> list[str]:
    """Returns the statements that create all tables in a database of this kind."""
    said: list[str] = []

    def take(statement: Any, *_: Any) -> None:
        said.append(str(statement.compile(dialect=engine.dialect)))

    engine = create_mock_engine(f"{dialect}://", take)
    Base.metadata.create_all(engine, checkfirst=False)
    return said


def test_partial_indexes_are_partial_in_postgresql_too() -> None:
    partial = {
        dialect: sorted(
            line.replace('"', "")  # each dialect quotes other words
            for line in statements_of(dialect)
            if line.startswith("CREATE INDEX") and " WHERE " in line
        )
        for dialect in ("sqlite", "postgresql")
    }
    assert len(partial["sqlite"]) >= 9
    assert partial["postgresql"] == partial["sqlite"]
