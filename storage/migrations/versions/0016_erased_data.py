"""Adds when a job's data was erased, and indexes for interrupted erasures and for runs that were made from a job."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

ERASING = sa.text("data_erased_at is not null and values_gone_at is null")
COPIES = sa.text("environment = 'playground' and run_options is not null")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("data_erased_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite")))
    op.create_index("ix_jobs_erasing", "jobs", ["data_erased_at"], sqlite_where=ERASING, postgresql_where=ERASING)
    op.create_index(
        "ix_jobs_copies", "jobs", ["workspace_id", "created_at"], sqlite_where=COPIES, postgresql_where=COPIES
    )


def downgrade() -> None:
    op.drop_index("ix_jobs_copies", table_name="jobs")
    op.drop_index("ix_jobs_erasing", table_name="jobs")
    op.drop_column("jobs", "data_erased_at")
