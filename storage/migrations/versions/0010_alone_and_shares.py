"""Adds an index of the jobs that must run alone in a worker, and the bytes of values that each job has."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ALONE = sa.text("status = 'queued' and attempts >= 2")
KEPT = sa.text("completed_at is not null and values_gone_at is null")
#: `size` is the size of the whole value; of a step's value above 1 MiB only the beginning is stored.
STORED = "case when size > 1048576 and name not in ('payload', 'result') then length(data) else size end"
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_index("ix_jobs_alone", "jobs", ["enqueued_at"], sqlite_where=ALONE, postgresql_where=ALONE)
    op.add_column("jobs", sa.Column("value_bytes", NUMBER, nullable=False, server_default="0"))
    op.execute(
        f"update jobs set value_bytes = (select coalesce(sum({STORED}), 0) from job_values where job_id = jobs.id)"  # noqa: S608 - no outside text
        " where values_gone_at is null"
    )
    op.drop_index("ix_jobs_kept_values", "jobs")
    op.create_index(
        "ix_jobs_kept_values",
        "jobs",
        ["flow_id", "completed_at", "value_bytes", "values_gone_at"],
        sqlite_where=KEPT,
        postgresql_where=KEPT,
    )


def downgrade() -> None:
    op.drop_index("ix_jobs_kept_values", "jobs")
    op.create_index("ix_jobs_kept_values", "jobs", ["flow_id", "completed_at"], sqlite_where=KEPT, postgresql_where=KEPT)
    op.drop_column("jobs", "value_bytes")
    op.drop_index("ix_jobs_alone", "jobs")
