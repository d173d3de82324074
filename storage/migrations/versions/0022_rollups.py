"""Adds the roll-up of ended jobs per hour, which Monitoring reads. The server fills it in the background."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "rollup_spans",
        sa.Column("workspace_id", sa.String(), primary_key=True),
        sa.Column("since", NUMBER, nullable=False),
        sa.Column("until", NUMBER, nullable=False),
    )
    op.create_table(
        "rollup_carried",
        sa.Column("job_id", sa.String(), primary_key=True),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False),
    )
    op.create_index("ix_rollup_carried_workspace_id", "rollup_carried", ["workspace_id"])
    _create("rollup_jobs", "flow_id", "environment", "key_id", "status", "code", numbers=("jobs", "last_ended_at"))
    _create(
        "rollup_calls",
        sa.Column("at", NUMBER, primary_key=True, autoincrement=False),
        "flow_id",
        "environment",
        "key_id",
        "connection",
        "model",
        numbers=("nanos", "calls", "unknown"),
    )
    _create(
        "rollup_durations",
        sa.Column("width", NUMBER, primary_key=True, autoincrement=False),
        "kind",
        "flow_id",
        "environment",
        "key_id",
        values=("counts",),
    )
    _create("rollup_busy", "flow_id", "environment", "key_id", values=("most",))


def _create(
    name: str, *keys: "str | sa.Column[int]", numbers: tuple[str, ...] = (), values: tuple[str, ...] = ()
) -> None:
    """Creates a table of sums, in which rows are stored in the order of the key."""
    op.create_table(
        name,
        sa.Column("workspace_id", sa.String(), primary_key=True),
        sa.Column("start", NUMBER, primary_key=True, autoincrement=False),
        *(sa.Column(key, sa.String(), primary_key=True) if isinstance(key, str) else key for key in keys),
        *(sa.Column(number, NUMBER, nullable=False) for number in numbers),
        *(sa.Column(value, sa.JSON(), nullable=False) for value in values),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    for name in ("busy", "durations", "calls", "jobs", "carried", "spans"):
        op.drop_table(f"rollup_{name}")
