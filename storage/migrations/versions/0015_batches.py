"""Adds to batches the index of each item, their end and their webhook; adds to Idempotency-Keys the version that the
first request used.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OF_A_BATCH = sa.text("batch_id is not null")
WAITING = sa.text("status = 'queued' and batch_id is not null and not counted")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("item_index", NUMBER, nullable=True))
    # The items of a batch were inserted in order, in one transaction, so their row ids give the order.
    op.execute(
        """
        update jobs set item_index = numbered.position from (
            select id, row_number() over (partition by batch_id order by rowid) - 1 as position from jobs
             where batch_id is not null and environment <> 'playground') numbered
         where jobs.id = numbered.id
        """
    )
    _index("ix_jobs_batch", ["batch_id", "item_index", "status"], OF_A_BATCH)
    _index("ix_jobs_waiting", ["workspace_id", "environment", "created_at", "item_index", "id"], WAITING)
    op.add_column("batches", sa.Column("webhook_url", sa.String(), nullable=True))
    op.add_column("batches", sa.Column("webhook_by_caller", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("batches", sa.Column("cancel_requested_at", NUMBER, nullable=True))
    op.add_column("batches", sa.Column("completed_at", NUMBER, nullable=True))
    op.execute(
        """
        update batches set completed_at = (select max(completed_at) from jobs where batch_id = batches.id)
         where environment <> 'playground' and not exists (
            select 1 from jobs where batch_id = batches.id and (status = 'queued' or status = 'processing'))
        """
    )
    op.create_index("ix_batches_workspace_created", "batches", ["workspace_id", "created_at", "id"])
    op.add_column("webhook_deliveries", sa.Column("batch_id", sa.String(), nullable=True))
    op.add_column("idempotency", sa.Column("flow_version", NUMBER, nullable=True))


def downgrade() -> None:
    op.drop_column("idempotency", "flow_version")
    op.drop_column("webhook_deliveries", "batch_id")
    op.drop_index("ix_batches_workspace_created", "batches")
    for name in ("completed_at", "cancel_requested_at", "webhook_by_caller", "webhook_url"):
        op.drop_column("batches", name)
    _index("ix_jobs_waiting", ["workspace_id", "environment", "created_at", "id"], WAITING)
    _index("ix_jobs_batch", ["batch_id"], OF_A_BATCH)
    op.drop_column("jobs", "item_index")


def _index(name: str, columns: list[str], where: sa.TextClause) -> None:
    op.drop_index(name, "jobs")
    op.create_index(name, "jobs", columns, sqlite_where=where, postgresql_where=where)
