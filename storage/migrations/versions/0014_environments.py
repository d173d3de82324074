"""Adds limits for each environment; a flow's webhook address becomes that of Production.

What Staging and Development have used this month no longer counts for Production. When the server starts, it creates
their counters from the jobs table and counts again how many jobs hold a slot. Open jobs of these two environments no
longer call the flow's webhook.
"""

import calendar
import datetime

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LIMITS = ("test_concurrency", "test_monthly", "dev_concurrency", "dev_monthly")
WAITING = sa.text("status = 'queued' and batch_id is not null and not counted")


def upgrade() -> None:
    for name in LIMITS:
        op.add_column("workspaces", sa.Column(name, NUMBER, nullable=True))
    _index_waiting(["workspace_id", "environment", "created_at", "id"])
    connection = op.get_bind()
    counters = connection.execute(
        sa.text("select u.subject, u.month, u.month_count from usage u join workspaces w on w.id = u.subject")
    )
    for subject, month, month_count in counters.all():
        others = connection.scalar(
            sa.text(
                "select count(*) from jobs"
                " where workspace_id = :subject and environment in ('test', 'dev') and created_at >= :since"
            ),
            {"subject": subject, "since": _start(month)},
        )
        connection.execute(
            sa.text("update usage set month_count = :left where subject = :subject"),
            {"subject": subject, "left": max(0, month_count - (others or 0))},
        )
    connection.execute(
        sa.text(
            "update jobs set webhook_url = null where status in ('queued', 'processing')"
            " and environment in ('test', 'dev') and not webhook_by_caller"
        )
    )


def downgrade() -> None:
    op.execute("delete from usage where subject in (select id || ':test' from workspaces union select id || ':dev' from workspaces)")
    _index_waiting(["workspace_id", "created_at", "id"])
    for name in LIMITS:
        op.drop_column("workspaces", name)


def _index_waiting(columns: list[str]) -> None:
    op.drop_index("ix_jobs_waiting", "jobs")
    op.create_index("ix_jobs_waiting", "jobs", columns, unique=False, sqlite_where=WAITING, postgresql_where=WAITING)


def _start(month: str) -> int:
    """Returns the first millisecond of a month like `2026-11`."""
    return calendar.timegm(datetime.datetime.strptime(month, "%Y-%m").timetuple()) * 1000  # noqa: DTZ007 - UTC
