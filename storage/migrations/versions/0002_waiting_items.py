"""Adds an index of the batch items that wait for a slot, which every ending job reads."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WAITING = sa.text("status = 'queued' and batch_id is not null and not counted")


def upgrade() -> None:
    op.create_index(
        "ix_jobs_waiting",
        "jobs",
        ["workspace_id", "created_at", "id"],
        unique=False,
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    )


def downgrade() -> None:
    op.drop_index("ix_jobs_waiting", "jobs")
