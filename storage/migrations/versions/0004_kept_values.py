"""For retention: when a job's values were removed, and an index of the jobs that still have theirs, oldest first in
each flow.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

KEPT = sa.text("completed_at is not null and values_gone_at is null")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("values_gone_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite")))
    op.create_index(
        "ix_jobs_kept_values",
        "jobs",
        ["flow_id", "completed_at"],
        unique=False,
        sqlite_where=KEPT,
        postgresql_where=KEPT,
    )


def downgrade() -> None:
    op.drop_index("ix_jobs_kept_values", "jobs")
    op.drop_column("jobs", "values_gone_at")
