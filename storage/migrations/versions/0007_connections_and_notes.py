"""Adds to connections the models that the owner entered, Azure's API version and the number of concurrent calls; adds
notes to the owner.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("connections", sa.Column("named_models", sa.JSON()))
    op.add_column("connections", sa.Column("api_version", sa.String()))
    op.add_column("connections", sa.Column("max_concurrency", NUMBER))
    op.create_table(
        "owner_notes",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("flow_id", sa.String(), nullable=True),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("created_at", NUMBER, nullable=False),
        sa.Column("closed_at", NUMBER, nullable=True),
        sa.Column("closed_by", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("fk_owner_notes_workspace_id_workspaces")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_owner_notes")),
    )
    op.create_index(op.f("ix_owner_notes_workspace_id"), "owner_notes", ["workspace_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_owner_notes_workspace_id"), "owner_notes")
    op.drop_table("owner_notes")
    for column in ("max_concurrency", "api_version", "named_models"):
        op.drop_column("connections", column)
