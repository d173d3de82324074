"""Adds an index of the batch items that a worker has started, from which a query finds whether a batch has begun."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

BEGUN = sa.text("batch_id is not null and started_at is not null")


def upgrade() -> None:
    op.create_index("ix_jobs_batch_begun", "jobs", ["batch_id"], sqlite_where=BEGUN, postgresql_where=BEGUN)


def downgrade() -> None:
    op.drop_index("ix_jobs_batch_begun", table_name="jobs")
