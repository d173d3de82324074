"""How much of a value is kept with a job, and how many bytes a stored value takes."""

from __future__ import annotations

#: A step's value may have so many bytes; of a larger one the beginning is kept.
VALUE_CAP = 1 << 20
#: Values that are kept whole: payloads and results have caps of their own.
WHOLE = ("payload", "result")
#: SQL for the bytes that a row of `job_values` stores; text that was cut is ASCII.
STORED_BYTES = f"case when size > {VALUE_CAP} and name not in {WHOLE} then length(data) else size end"
