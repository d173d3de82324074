"""Adds to datasets how often their rows were changed, for a step that looks through them before its transaction, and up to
which row the keys of the key column are written.
"""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("datasets", sa.Column("revision", NUMBER, nullable=False, server_default="0"))
    op.add_column("datasets", sa.Column("keyed_to", NUMBER, nullable=True))


def downgrade() -> None:
    op.drop_column("datasets", "keyed_to")
    op.drop_column("datasets", "revision")
