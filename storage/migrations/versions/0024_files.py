"""Adds stored files, and what names each of them."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "files",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("workspace_id", sa.String(), sa.ForeignKey("workspaces.id"), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("size", NUMBER, nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=True),
        sa.Column("created_by", sa.String(), nullable=True),
        sa.Column("created_at", NUMBER, nullable=False),
    )
    op.create_index("ix_files_sha256", "files", ["sha256"])
    op.create_index("ix_files_workspace_created", "files", ["workspace_id", "created_at", "id"])
    op.create_index("ix_files_workspace_size", "files", ["workspace_id", "size"])
    op.create_table(
        "file_uses",
        sa.Column("kind", sa.String(), primary_key=True),
        sa.Column("owner_id", sa.String(), primary_key=True),
        sa.Column("file_id", sa.String(), sa.ForeignKey("files.id", ondelete="CASCADE"), primary_key=True),
    )
    op.create_index("ix_file_uses_file_id", "file_uses", ["file_id"])


def downgrade() -> None:
    op.drop_table("file_uses")
    op.drop_table("files")
