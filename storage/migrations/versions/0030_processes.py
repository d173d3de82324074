"""Adds to the beats what kind of process each is, its release, and how late its event loop answers."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # With a default that stays: workers of an older release add their rows without these columns.
    op.add_column("workers", sa.Column("kind", sa.String(), nullable=False, server_default="worker"))
    op.add_column("workers", sa.Column("version", sa.String(), nullable=False, server_default=""))
    op.add_column("workers", sa.Column("lag_ms", NUMBER, nullable=False, server_default="0"))


def downgrade() -> None:
    for name in ("lag_ms", "version", "kind"):
        op.drop_column("workers", name)
