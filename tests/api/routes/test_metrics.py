"""`/metrics` is off until a token is configured, reports correct numbers, and contains no data of callers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update

from api.app import create_api
from engine.core.settings import Settings
from engine.jobs.server.job_waiters import JobWaiters
from engine.secrets.sealing import open_vault
from storage.tables import Job
from tests.api.arrange import SERVER, House

TOKEN = "scrape-me-please"


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    return path


@pytest.fixture
async def client(house: House, token_file: Path, tmp_path: Path):
    settings = dataclasses.replace(Settings(), metrics_token_file=token_file, data=tmp_path)
    api = create_api(house.database, JobWaiters(house.database), settings, open_vault(tmp_path))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url=SERVER) as client:
        yield client
    await api.close()


def samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def scrape(client: httpx.AsyncClient) -> dict[tuple[str, tuple[str, ...]], float]:
    response = await client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert response.status_code == 200
    return samples(response.text)


async def test_without_a_token_file_there_are_no_metrics(house: House):
    response = await house.client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})

    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert "FLOWPORT_METRICS_TOKEN_FILE" in response.json()["detail"]


@pytest.mark.parametrize("sent", [None, "Bearer", "Bearer wrong", f"Basic {TOKEN}", "Bearer scrape-me-pleasé"])
async def test_a_wrong_token_is_refused(client: httpx.AsyncClient, sent: str | None):
    response = await client.get("/metrics", headers={"Authorization": sent.encode()} if sent else {})

    assert response.status_code == 401


async def test_a_token_that_is_taken_away_counts_at_once(client: httpx.AsyncClient, token_file: Path):
    await scrape(client)

    token_file.unlink()

    assert (await client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})).status_code == 404


async def test_calls_and_jobs_are_counted(house: House, client: httpx.AsyncClient):
    path = f"/public/v1/flows/execute/{house.flow_id}"
    headers = {"Authorization": f"Bearer {house.key}"}
    for _ in range(2):
        accepted = await client.post(path, json={"url": "https://a.example/"}, headers=headers)
    await client.post(path, json={"canary": "canary-in-a-body"}, headers=headers)
    await client.get("/public/v1/canary-in-an-address", headers=headers)
    house.finish(accepted.json()["job_id"])
    house.database.write_now(lambda session: session.execute(update(Job).values(steps_failed=2)))

    found = await scrape(client)

    route = "/public/v1/flows/execute/{flow_id}"
    assert found["flowport_api_calls_total", (route, "202")] == 2
    assert found["flowport_api_calls_total", (route, "400")] == 1
    assert found["flowport_api_calls_total", ("?", "404")] == 1
    assert found["flowport_api_call_seconds_count", (route,)] == 3
    assert found["flowport_jobs", ("queued",)] == 1
    assert (found["flowport_jobs", ("processing",)], found["flowport_jobs", ("waiting",)]) == (0, 0)
    assert found["flowport_jobs_last_hour", ("completed",)] == 1
    assert found["flowport_jobs_last_hour_steps_failed", ()] == 1, "the other one has not ended"
    assert found["flowport_database_bytes", ()] > 100_000
    assert found["flowport_disk_free_bytes", ()] > 0
    assert "canary" not in str(found)
    assert house.key not in str(found)
