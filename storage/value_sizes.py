"""The limits of stored values, and the SQL for the bytes that they take."""

from __future__ import annotations

#: The largest whole number that a database stores.
MAX_INTEGER = (1 << 63) - 1
#: The largest size of a step's value in bytes; of a larger one only the beginning is stored.
VALUE_CAP = 1 << 20
#: Values that are stored whole: payloads and results have limits of their own.
WHOLE = ("payload", "result")
#: SQL for the bytes that a row of `job_values` stores; a text that was cut is ASCII, so its length is its bytes.
STORED_BYTES = f"case when size > {VALUE_CAP} and name not in {WHOLE} then length(data) else size end"
