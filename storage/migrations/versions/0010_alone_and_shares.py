"""Jobs: an index of those that wait for a worker of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ALONE = sa.text("status = 'queued' and attempts >= 2")


def upgrade() -> None:
    op.create_index("ix_jobs_alone", "jobs", ["enqueued_at"], sqlite_where=ALONE, postgresql_where=ALONE)


def downgrade() -> None:
    op.drop_index("ix_jobs_alone", "jobs")
