"""Adds to invitations for whom and by whom they are; stores with a person when they were last active, also after
signing out.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("setup_tokens", sa.Column("email", sa.String(), nullable=True))
    op.add_column("setup_tokens", sa.Column("created_by", sa.String(), nullable=True))
    op.add_column("users", sa.Column("seen_at", NUMBER, nullable=True))


def downgrade() -> None:
    op.drop_column("users", "seen_at")
    op.drop_column("setup_tokens", "created_by")
    op.drop_column("setup_tokens", "email")
