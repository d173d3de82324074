"""Adds to jobs what started them without a call."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0023"
branch_labels = None
depends_on = None

TRIGGERED = sa.text("trigger is not null")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("trigger", sa.String(), nullable=True))
    op.create_index(
        "ix_jobs_trigger",
        "jobs",
        ["trigger", "created_at", "id"],
        sqlite_where=TRIGGERED,
        postgresql_where=TRIGGERED,
    )


def downgrade() -> None:
    op.drop_index("ix_jobs_trigger", table_name="jobs")
    op.drop_column("jobs", "trigger")
