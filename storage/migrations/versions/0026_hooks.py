"""Adds the webhooks that other services call: their secrets, the messages they accepted, and their newest calls."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "hooks",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("flow_id", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("preset", sa.String(), nullable=False),
        sa.Column("mapping", sa.JSON(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("created_at", INT, nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("last_body", sa.Text(), nullable=True),
        sa.Column("last_headers", sa.JSON(), nullable=True),
        sa.Column("last_at", INT, nullable=True),
        sa.Column("last_job_id", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_hooks_workspace_id_workspaces")),
        sa.ForeignKeyConstraint(["flow_id"], ["flows.id"], name=op.f("fk_hooks_flow_id_flows")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hooks")),
    )
    op.create_index(op.f("ix_hooks_flow_id"), "hooks", ["flow_id"])
    op.create_index(op.f("ix_hooks_last_job_id"), "hooks", ["last_job_id"])
    op.create_table(
        "hook_secrets",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("hook_id", sa.String(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("created_at", INT, nullable=False),
        sa.Column("ends_at", INT, nullable=True),
        _of_hook("hook_secrets"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hook_secrets")),
    )
    op.create_index(op.f("ix_hook_secrets_hook_id"), "hook_secrets", ["hook_id"])
    op.create_table(
        "hook_messages",
        sa.Column("hook_id", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("at", INT, nullable=False),
        _of_hook("hook_messages"),
        sa.PrimaryKeyConstraint("hook_id", "message", name=op.f("pk_hook_messages")),
    )
    op.create_index(op.f("ix_hook_messages_at"), "hook_messages", ["at"])
    op.create_table(
        "hook_deliveries",
        sa.Column("id", INT, autoincrement=True, nullable=False),
        sa.Column("hook_id", sa.String(), nullable=False),
        sa.Column("at", INT, nullable=False),
        sa.Column("status", INT, nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("size", INT, nullable=False),
        sa.Column("job_id", sa.String(), nullable=True),
        _of_hook("hook_deliveries"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hook_deliveries")),
    )
    op.create_index(op.f("ix_hook_deliveries_hook_id"), "hook_deliveries", ["hook_id"])


def downgrade() -> None:
    for table in ("hook_deliveries", "hook_messages", "hook_secrets", "hooks"):
        op.drop_table(table)


def _of_hook(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["hook_id"], ["hooks.id"], name=op.f(f"fk_{table}_hook_id_hooks"), ondelete="CASCADE")
