"""The statuses of a job."""

from __future__ import annotations

from enum import StrEnum


class JobStatus(StrEnum):
    """The status of a job; the value is stored and published."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


#: All of them, and those of jobs that have not ended, as plain texts. SQL spells the latter out as
#: `status in ('queued', 'processing')`: SQLite uses the index `ix_jobs_open` only for exactly its condition.
STATUSES = tuple(status.value for status in JobStatus)
OPEN = (JobStatus.QUEUED.value, JobStatus.PROCESSING.value)
#: Final statuses of a job or batch.
ENDED = (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)

#: How many failed runs a person is told of at most; more are "99+".
MAX_TOLD = 99

#: A job under which this many workers died runs alone in a worker the next time.
SHARED_ATTEMPTS = 2
