"""Adds what a Playground batch needs to continue after a restart: its state, its rows' source, and the rows that are
not jobs.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "playground_batches",
        sa.Column("batch_id", sa.String(), sa.ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("snapshot_id", sa.String(), sa.ForeignKey("snapshots.id", ondelete="CASCADE"), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("source", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("trouble", sa.String(), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
    )
    op.create_index("ix_playground_batches_snapshot_id", "playground_batches", ["snapshot_id"])
    op.create_table(
        "playground_batch_rows",
        sa.Column("batch_id", sa.String(), sa.ForeignKey("playground_batches.batch_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("row", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("dataset_row", NUMBER, nullable=True),
    )


def downgrade() -> None:
    op.drop_table("playground_batch_rows")
    op.drop_table("playground_batches")
