"""Adds an index of the jobs that people may have started by hand, in which the last input of a flow is looked up."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

TRIED = sa.text("environment in ('playground', 'dev') and batch_id is null")


def upgrade() -> None:
    op.create_index(
        "ix_jobs_tried",
        "jobs",
        ["flow_id", "created_at", "id", "environment", "key_id"],
        sqlite_where=TRIED,
        postgresql_where=TRIED,
    )


def downgrade() -> None:
    op.drop_index("ix_jobs_tried", table_name="jobs")
