"""Adds counts of the fields that each key sent to a flow, by day."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "sent_fields",
        sa.Column("day", NUMBER, nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("flow_id", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("field", sa.String(), nullable=False),
        sa.Column("count", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("day", "workspace_id", "flow_id", "key_id", "field", name=op.f("pk_sent_fields")),
    )
    op.create_index("ix_sent_fields_flow", "sent_fields", ["flow_id", "day"])


def downgrade() -> None:
    op.drop_index("ix_sent_fields_flow", "sent_fields")
    op.drop_table("sent_fields")
