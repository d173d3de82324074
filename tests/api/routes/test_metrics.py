"""`/metrics` is off until a token is configured, reports correct numbers, and contains no data of callers."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update

from api.app import create_api
from engine.backups.backups import new_name
from engine.backups.last_backup import note_made
from engine.backups.work_folders import backups_folder
from engine.core.clock import HOUR
from engine.core.settings import Settings
from engine.jobs.server.job_waiters import JobWaiters
from engine.secrets.sealing import open_vault
from storage.backup import DATABASE
from storage.opening import open_database
from storage.tables import Job
from tests.api.arrange import SERVER, House

TOKEN = "scrape-me-please"
GUIDE = Path(__file__).parents[3] / "assets" / "help" / "hosting.md"


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


async def said_by(client: httpx.AsyncClient) -> str:
    response = await client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert response.status_code == 200
    return response.text


async def scrape(client: httpx.AsyncClient) -> dict[tuple[str, tuple[str, ...]], float]:
    return samples(await said_by(client))


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
    assert found["flowport_database_up", ()] == 1
    assert found["flowport_disk_free_bytes", ()] > 0
    assert "canary" not in str(found)
    assert house.key not in str(found)


def make_backup(data: Path, at: int) -> None:
    """Puts a file with the name of a nightly backup into the data folder."""
    (backups_folder(data) / new_name("nightly", at)).write_bytes(b"sealed")


async def test_the_age_of_the_newest_backup_is_told_once_there_is_one(
    house: House, client: httpx.AsyncClient, tmp_path: Path
):
    name = ("flowport_backup_age_seconds", ())
    assert name not in await scrape(client)

    at = house.database.clock.now()
    for age in (5, 30, -40):  # the last one was made while the clock was ahead
        make_backup(tmp_path, at - age * HOUR)

    assert (await scrape(client))[name] == pytest.approx(5 * 3_600, abs=60)

    house.database.write_now(note_made, at - HOUR, Path("/mnt/usb/one.fpbackup"))
    assert (await scrape(client))[name] == pytest.approx(3_600, abs=60)


async def test_while_the_database_is_away_the_other_figures_are_told(token_file: Path, tmp_path: Path):
    settings = dataclasses.replace(Settings(), metrics_token_file=token_file, data=tmp_path)
    database = open_database(tmp_path)
    api = create_api(database, JobWaiters(database), settings, open_vault(tmp_path))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url=SERVER) as client:
        (tmp_path / DATABASE).unlink()
        (tmp_path / DATABASE).mkdir()  # which SQLite cannot open
        found = await scrape(client)
    database.close()

    assert found["flowport_database_up", ()] == 0
    assert found["flowport_disk_free_bytes", ()] > 0
    assert found["process_resident_memory_bytes", ()] > 0
    assert ("flowport_jobs", ("queued",)) not in found


async def test_the_guide_lists_every_metric_with_its_type_and_labels(
    house: House, client: httpx.AsyncClient, tmp_path: Path
):
    make_backup(tmp_path, house.database.clock.now())
    await client.get("/public/v1/nothing")
    families = text_string_to_metric_families(await said_by(client))

    rows = re.findall(r"^\| `(\w+)(?:\{([\w,]+)\})?` \| (gauge|counter|histogram) \|", GUIDE.read_text(), re.MULTILINE)

    assert sorted(rows) == sorted(described(one) for one in families if not one.name.endswith("_created"))


def described(family: Metric) -> tuple[str, str, str]:
    """Returns the name, the labels without those of a histogram's buckets, and the type."""
    labels = sorted({name for sample in family.samples for name in sample.labels} - {"le"})
    name = f"{family.name}_total" if family.type == "counter" else family.name
    return name, ",".join(labels), family.type
