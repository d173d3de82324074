"""Which of the first steps a workspace has done: a run, a change, a deployment, a call."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from storage.jobs import PUBLIC
from storage.table_base import belongs_to
from storage.tables import Flow, Job


class FirstSteps(Struct, frozen=True):
    """True for each step that was done at least once."""

    run: bool = False
    changed: bool = False
    deployed: bool = False
    called: bool = False

    @property
    def all_done(self) -> bool:
        """True when all steps are done, so that the list of first steps is not shown."""
        return self.run and self.changed and self.deployed and self.called


def read_first_steps(session: Session, workspace_id: str) -> FirstSteps:
    """Returns what a workspace has done so far; deleted flows count too."""
    flows = exists().where(Flow.workspace_id == workspace_id)
    jobs = exists().where(Job.workspace_id == workspace_id, Job.status == "completed")
    row = session.execute(
        select(
            jobs.label("run"),
            flows.where(Flow.draft_revision > 1).label("changed"),
            flows.where(Flow.ever_deployed).label("deployed"),
            jobs.where(Job.environment.in_(PUBLIC)).label("called"),
        )
    ).one()
    return FirstSteps(row.run, row.changed, row.deployed, row.called)


def was_called(session: Session, workspace_id: str, flow_id: str) -> bool:
    """Tells whether a caller ever sent a job to this flow."""
    mine = belongs_to(Job.workspace_id, workspace_id), Job.flow_id == flow_id
    of_callers = exists().where(*mine, Job.environment.in_(PUBLIC))
    return bool(session.execute(select(of_callers)).scalar())
