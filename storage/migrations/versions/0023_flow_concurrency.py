"""Adds to jobs how many jobs of their flow may run at once, and an index of the open jobs that have such a number."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

LIMITED = sa.text("flow_concurrency is not null and completed_at is null")


def upgrade() -> None:
    op.add_column(
        "jobs", sa.Column("flow_concurrency", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
    )
    op.create_index(
        "ix_jobs_flow_limited",
        "jobs",
        ["flow_id", "status", "counted", "created_at", "item_index", "id", "flow_concurrency", "completed_at"],
        sqlite_where=LIMITED,
        postgresql_where=LIMITED,
    )


def downgrade() -> None:
    op.drop_index("ix_jobs_flow_limited", table_name="jobs")
    op.drop_column("jobs", "flow_concurrency")
