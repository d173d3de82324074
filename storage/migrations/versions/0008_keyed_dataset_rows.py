"""Adds to datasets their size, a key by which rows are found, and which step wrote each row."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("datasets", sa.Column("key_column", sa.String(), nullable=True))
    op.add_column("datasets", sa.Column("row_count", NUMBER, nullable=False, server_default="0"))
    op.add_column("datasets", sa.Column("byte_count", NUMBER, nullable=False, server_default="0"))
    op.add_column("dataset_rows", sa.Column("key", sa.String(), nullable=True))
    op.add_column("dataset_rows", sa.Column("written_by", sa.String(), nullable=True))
    op.create_index("ix_dataset_rows_key", "dataset_rows", ["dataset_id", "key"])
    op.create_table(
        "dataset_writes",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("dataset_id", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("at", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id", "dataset_id", name=op.f("pk_dataset_writes")),
    )
    op.create_index(op.f("ix_dataset_writes_at"), "dataset_writes", ["at"])


def downgrade() -> None:
    op.drop_index(op.f("ix_dataset_writes_at"), "dataset_writes")
    op.drop_table("dataset_writes")
    op.drop_index("ix_dataset_rows_key", "dataset_rows")
    op.drop_column("dataset_rows", "written_by")
    op.drop_column("dataset_rows", "key")
    op.drop_column("datasets", "byte_count")
    op.drop_column("datasets", "row_count")
    op.drop_column("datasets", "key_column")
