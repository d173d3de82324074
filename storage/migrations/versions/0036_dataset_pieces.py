"""Adds to datasets which rows are theirs while rows are written or removed in pieces, and what is done in them."""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("datasets", sa.Column("rows_after", NUMBER, nullable=False, server_default="0"))
    op.add_column("datasets", sa.Column("rows_to", NUMBER, nullable=True))
    op.add_column("datasets", sa.Column("changing", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("datasets", "changing")
    op.drop_column("datasets", "rows_to")
    op.drop_column("datasets", "rows_after")
