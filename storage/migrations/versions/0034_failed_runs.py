"""Adds to people when they last opened Jobs, and an index of the runs whose failure is told beside that entry.

For people of before it is when they were last active, so that old failures are not told as new ones.
"""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TOLD = sa.text("status = 'failed' and (environment = 'live' or trigger is not null)")


def upgrade() -> None:
    op.add_column("users", sa.Column("jobs_seen_at", NUMBER, nullable=True))
    op.execute("update users set jobs_seen_at = seen_at")
    op.create_index(
        "ix_jobs_told", "jobs", ["workspace_id", "completed_at"], sqlite_where=TOLD, postgresql_where=TOLD
    )


def downgrade() -> None:
    op.drop_index("ix_jobs_told", table_name="jobs")
    op.drop_column("users", "jobs_seen_at")
