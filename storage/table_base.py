"""The base class of the tables. `storage/tables.py` and the files `storage/tables_NOUN.py` that it imports hold them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Integer, MetaData, String, event, func
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {int: BigInteger().with_variant(Integer, "sqlite"), str: String()}  # noqa: RUF012 - SQLAlchemy reads it once


def belongs_to(column: InstrumentedAttribute[str], workspace_id: str) -> ColumnElement[bool]:
    """Returns the condition that a row belongs to a workspace, written so that no index serves it: for queries by a job, a
    batch or a flow. Without statistics, SQLite takes the index of the whole workspace for as good as that of one job.
    """
    return func.coalesce(column, "") == workspace_id


@event.listens_for(Base.metadata, "before_create")
def _restrict_indexes(metadata: MetaData, connection: Any, **_options: Any) -> None:
    """Gives PostgreSQL the conditions of the indexes too. An index that named them itself would load that dialect and
    its drivers at every start of every process.
    """
    if connection.dialect.name != "postgresql":
        return
    for table in metadata.tables.values():
        for index in table.indexes:
            index.dialect_options["postgresql"]["where"] = index.dialect_options["sqlite"]["where"]
