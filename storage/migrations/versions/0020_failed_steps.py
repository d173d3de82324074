"""Adds to jobs how many of their steps failed, and counts it for jobs whose steps are still stored."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "jobs",
        sa.Column(
            "steps_failed",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            server_default="0",
        ),
    )
    # A step of a called flow (`call_flow.prompt`) counts as the step that calls it.
    op.execute(
        """
        update jobs set steps_failed = (
            select count(distinct step.node_id) from steps step
              join (select distinct node_id from steps where job_id = jobs.id and error is not null) failed
                on failed.node_id = step.node_id
                   or substr(failed.node_id, 1, length(step.node_id) + 1) = step.node_id || '.'
             where step.job_id = jobs.id and step.node_id not like '%.%')
         where id in (select job_id from steps where error is not null)
        """
    )


def downgrade() -> None:
    op.drop_column("jobs", "steps_failed")
