"""Adds the questions that jobs ask people, and to jobs how long they wait for an answer. A job that goes on after an answer
waits for a slot like the item of a batch, so the index of these holds it, too.
"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OPEN = sa.text("closed_at is null")
OLD_WAITING = sa.text("status = 'queued' and batch_id is not null and not counted")
WAITING = sa.text("status = 'queued' and not counted and environment <> 'playground'")
LIMITED = sa.text("flow_concurrency is not null and completed_at is null")
WAITING_COLUMNS = ["workspace_id", "environment", "created_at", "item_index", "id"]
LIMITED_COLUMNS = ["flow_id", "status", "counted", "created_at", "item_index", "id", "flow_concurrency", "completed_at"]


def _replace_index(name: str, columns: list[str], where: sa.TextClause) -> None:
    op.drop_index(name, table_name="jobs")
    op.create_index(name, "jobs", columns, sqlite_where=where, postgresql_where=where)


def upgrade() -> None:
    op.create_table(
        "questions",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("flow_id", sa.String(), nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("node_id", sa.String(), nullable=False),
        sa.Column("index_path", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("mark", sa.String(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("on_expiry", sa.String(), nullable=False),
        sa.Column("asked_at", NUMBER, nullable=False),
        sa.Column("expires_at", NUMBER, nullable=False),
        sa.Column("closed_at", NUMBER, nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("expired", sa.Boolean(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("answered_by", sa.String(), nullable=False),
    )
    op.create_index("ix_questions_job", "questions", ["job_id", "node_id", "index_path", "key"])
    op.create_index("ix_questions_workspace", "questions", ["workspace_id", "closed_at", "asked_at", "id"])
    op.create_index("ix_questions_due", "questions", ["expires_at"], sqlite_where=OPEN, postgresql_where=OPEN)
    op.add_column("jobs", sa.Column("questions", NUMBER, nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("waiting_since", NUMBER, nullable=True))
    op.add_column("jobs", sa.Column("waited_ms", NUMBER, nullable=False, server_default="0"))
    op.add_column("webhook_deliveries", sa.Column("question_id", sa.String(), nullable=True))
    _replace_index("ix_jobs_waiting", WAITING_COLUMNS, WAITING)
    _replace_index("ix_jobs_flow_limited", [*LIMITED_COLUMNS, "waiting_since"], LIMITED)


def downgrade() -> None:
    _replace_index("ix_jobs_flow_limited", LIMITED_COLUMNS, LIMITED)
    _replace_index("ix_jobs_waiting", WAITING_COLUMNS, OLD_WAITING)
    op.drop_column("webhook_deliveries", "question_id")
    op.drop_column("jobs", "waited_ms")
    op.drop_column("jobs", "waiting_since")
    op.drop_column("jobs", "questions")
    op.drop_table("questions")
