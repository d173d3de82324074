"""Why jobs failed, in a few words, by the code of the error."""

from __future__ import annotations

from engine.core.error_codes import JobErrorCode
from storage.monitoring.counts import STEPS_FAILED
from ui.kit.text import _

_FAILURES = {
    JobErrorCode.TIMEOUT: _("Time limit passed"),
    JobErrorCode.WORKER_LOST: _("A part of the server stopped"),
    "connect_failed": _("Address could not be reached"),
    JobErrorCode.BUDGET_EXCEEDED: _("Budget used up"),
    JobErrorCode.RESULT_TOO_LARGE: _("Result too large"),
    JobErrorCode.ADDRESS_NOT_ALLOWED: _("Address not allowed"),
    JobErrorCode.HTTP_STATUS: _("Website answered with an error"),
    JobErrorCode.PAGE_NOT_FOUND: _("Page not found"),
    JobErrorCode.PAGE_BLOCKED_BY_ROBOTS: _("Page closed to programs"),
    JobErrorCode.PAGE_NEEDS_BROWSER: _("Page needs a browser"),
    JobErrorCode.RESPONSE_TOO_LARGE: _("Answer too large"),
    JobErrorCode.NOT_A_LIST: _("Not a list"),
    JobErrorCode.INPUT_MISSING: _("Value missing"),
    JobErrorCode.REFERENCE_MISSING: _("Data not found"),
    JobErrorCode.TEMPLATE_ERROR: _("Template error"),
    JobErrorCode.MODEL_UNREACHABLE: _("Model not reachable"),
    JobErrorCode.MODEL_KEY_MISSING: _("Model key missing"),
    JobErrorCode.MODEL_KEY_REFUSED: _("Model key refused"),
    JobErrorCode.MODEL_RATE_LIMITED: _("Model was asked too often"),
    "invalid_json": _("Text could not be read as JSON"),
    JobErrorCode.OUTPUT_INVALID: _("Model's answer did not fit"),
    JobErrorCode.NODE_FAILED: _("Step failed"),
    STEPS_FAILED: _("A step failed, the job went on"),
    "": _("Failed"),
}


def failure_word(code: str) -> str:
    """The label of a code: `Model was asked too often`. A code without words of its own is written in plain letters."""
    return _FAILURES.get(code, code.replace("_", " ").capitalize())
