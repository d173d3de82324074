"""What a caller is told when PostgreSQL, its disk or the network to it fails, and what the log is told.

A caller may be a stranger, so an answer names neither host nor user; the log has PostgreSQL's own words.
"""

from __future__ import annotations

import logging
from typing import Final

import psycopg

from engine.core.errors import DatabaseAway
from engine.core.log_throttle import LogThrottle

log = logging.getLogger(__name__)

_BY_STATE: Final = {
    "53100": "Its disk is full",
    "53200": "It has not enough memory",
    "53300": "It has no free place for another connection",
    "57P01": "It is starting or stopping",
    "57P02": "It is starting or stopping",
    "57P03": "It is starting or stopping",
    "25006": "It only reads at the moment",
    "25P03": "A process stood still for too long while it wrote",
    "40001": "Another write was in the way",
    "40P01": "Another write was in the way",
    "55P03": "Another write took too long",
}
#: What an error without a state says, which comes from the driver, and what a caller is told.
_BY_WORDS: Final = (
    ("refused", "Nothing answers at its address"),
    ("starting up", "It is starting or stopping"),
    ("shutting down", "It is starting or stopping"),
    ("not yet accepting", "It is starting or stopping"),
    ("remaining connection slots", "It has no free place for another connection"),
    ("too many clients", "It has no free place for another connection"),
    ("timeout", "It did not answer in time"),
    ("resolve host", "The name of its host is not known"),
    ("authentication failed", "It does not accept the user or the password"),
)
#: What does not pass within minutes: trying again only costs the server more.
_LASTING: Final = {"53100", "53200"}
_log_throttle = LogThrottle()


def is_connection_fault(error: BaseException | None) -> bool:
    """True for an error of the driver that says that the connection is gone or could not be made."""
    state = getattr(error, "sqlstate", None)
    if state is None:
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return state[:2] in {"08", "57"} and state != "57014"


def as_away(error: BaseException) -> DatabaseAway:
    """Returns the refusal for an error of the driver, and logs the error unless it was logged a moment ago."""
    said = " ".join(str(error).split())
    state = getattr(error, "sqlstate", None) or ""
    why = _BY_STATE.get(state) or next(
        (told for words, told in _BY_WORDS if words in said), "The connection to it was lost"
    )
    if _log_throttle.may_say(why):
        log.warning("The database does not do its work: %s", said)
    away = DatabaseAway(why)
    away.may_pass = state not in _LASTING
    return away
