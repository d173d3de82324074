"""axe finds nothing on any page."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.browser.accessible.looks import check, findings, open_page
from tests.browser.filled import Filled

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    "path",
    [
        "/flows",
        "/flows/{ask}",
        "/flows/{ask}?tab=versions",
        "/flows/{ask}?tab=jobs",
        "/flows/{ask}?tab=monitoring",
        "/flows/{ask}?tab=settings",
        "/flows/{ask}?tab=triggers",
        "/flows/{draft}",
        "/jobs",
        "/jobs?tab=refused",
        "/jobs/{completed}",
        "/jobs/{failed}",
        "/waiting",
        "/monitoring",
        "/settings/keys",
        "/settings/models",
        "/settings/tools",
        "/settings/limits",
        "/settings/team",
        "/settings/account",
        "/settings/audit",
        "/settings/about",
        "/docs",
        "/docs/guides/quick-start",
        "/docs/guides/authentication",
        "/docs/guides/production-checklist",
        "/docs/guides/streaming",
        "/docs/api/run_flow",
        "/docs/api/list_jobs",
        "/docs/search?q=batch",
        "/docs/errors/validation_failed",
        "/docs/errors/timeout",
        "/docs/nodes",
        "/docs/nodes/filter_list",
        "/docs/flows/{ask}",
        "/nothing/here",
    ],
)
def test_a_page(owner: Page, filled: Filled, path: str) -> None:
    open_page(owner, path.format(**filled.flows, **filled.jobs))

    check(findings(owner))


def test_a_job_with_a_step_open(owner: Page, filled: Filled) -> None:
    open_page(owner, f"/jobs/{filled.jobs['failed']}?step=http_request")

    check(findings(owner))
