"""Adds the MCP servers whose tools agents may call."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "tool_servers",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("workspace_id", sa.String(), sa.ForeignKey("workspaces.id"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("header", sa.String(), nullable=False),
        sa.Column("secret_id", sa.String(), nullable=True),
        sa.Column("tools", sa.JSON(), nullable=False),
        sa.Column("allowed", sa.JSON(), nullable=False),
        sa.Column("created_at", NUMBER, nullable=False),
        sa.Column("listed_at", NUMBER, nullable=True),
    )
    op.create_index("ux_tool_servers_name", "tool_servers", ["workspace_id", "name"], unique=True)


def downgrade() -> None:
    op.drop_table("tool_servers")
