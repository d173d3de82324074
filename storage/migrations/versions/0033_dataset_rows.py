"""Adds to datasets up to which id rows were removed, so that SQLite gives no id to a second row, and how often rows were
looked for by another column than the key column.
"""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("datasets", sa.Column("removed_to", NUMBER, nullable=True))
    op.add_column("datasets", sa.Column("key_misses", NUMBER, nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("datasets", "key_misses")
    op.drop_column("datasets", "removed_to")
