"""Adds the marks of write transactions to PostgreSQL (`storage.postgres.commit_marks`). SQLite gets no table: there a COMMIT
always has an answer.
"""

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        op.execute(
            "create table write_marks (writer text primary key, number bigint not null, at bigint not null)"
            " with (fillfactor = 20)"
        )


def downgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        op.execute("drop table write_marks")
