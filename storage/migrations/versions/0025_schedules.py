"""Adds schedules with their starts, and to jobs what started them without a call."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TRIGGERED = sa.text("trigger is not null")
DUE = sa.text("next_at is not null")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("trigger", sa.String(), nullable=True))
    op.create_index(
        "ix_jobs_trigger",
        "jobs",
        ["trigger", "created_at", "id"],
        sqlite_where=TRIGGERED,
        postgresql_where=TRIGGERED,
    )
    op.create_table(
        "schedules",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("flow_id", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("timing", sa.JSON(), nullable=False),
        sa.Column("time_zone", sa.String(), nullable=False),
        sa.Column("source", sa.JSON(), nullable=False),
        sa.Column("next_at", INT, nullable=True),
        sa.Column("trouble", sa.JSON(), nullable=True),
        sa.Column("created_at", INT, nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("fk_schedules_workspace_id_workspaces")
        ),
        sa.ForeignKeyConstraint(["flow_id"], ["flows.id"], name=op.f("fk_schedules_flow_id_flows")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
    )
    op.create_index(op.f("ix_schedules_flow_id"), "schedules", ["flow_id"])
    op.create_index("ix_schedules_next_at", "schedules", ["next_at"], sqlite_where=DUE, postgresql_where=DUE)
    op.create_table(
        "schedule_starts",
        sa.Column("schedule_id", sa.String(), nullable=False),
        sa.Column("slot", INT, nullable=False),
        sa.Column("at", INT, nullable=False),
        sa.Column("missed", INT, nullable=False),
        sa.Column("job_id", sa.String(), nullable=True),
        sa.Column("batch_id", sa.String(), nullable=True),
        sa.Column("jobs", INT, nullable=False),
        sa.Column("left_out", sa.JSON(), nullable=True),
        sa.Column("left_out_count", INT, nullable=False),
        sa.Column("trouble", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(
            ["schedule_id"],
            ["schedules.id"],
            name=op.f("fk_schedule_starts_schedule_id_schedules"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("schedule_id", "slot", name=op.f("pk_schedule_starts")),
    )


def downgrade() -> None:
    op.drop_table("schedule_starts")
    op.drop_index("ix_schedules_next_at", "schedules")
    op.drop_index(op.f("ix_schedules_flow_id"), "schedules")
    op.drop_table("schedules")
    op.drop_index("ix_jobs_trigger", table_name="jobs")
    op.drop_column("jobs", "trigger")
