"""The list of flows that a key may call, and the OpenAPI documents."""

from __future__ import annotations

import pytest

from tests.api.arrange import SERVER, House


async def test_a_key_sees_the_deployed_flows_it_may_call(house: House):
    second = house.new_flow("Second")
    house.new_flow("Draft", deployed=False)
    house.new_flow("Foreign", principal=house.other_workspace())

    everything = (await house.get("/flows")).json()["data"]
    some = (await house.get("/flows", house.new_key(flow_ids=[second]).key)).json()["data"]

    assert {flow["title"] for flow in everything} == {"Summarise a page", "Second"}
    assert some == [
        {
            "flow_id": second,
            "title": "Second",
            "description": "",
            "version": 1,
            "url": f"/public/v1/flows/execute/{second}",
        }
    ]


async def test_the_document_of_a_flow_is_written_from_its_live_version(house: House):
    document = (await house.get(f"/openapi/flows/{house.flow_id}.json")).json()

    assert document["servers"] == [{"url": SERVER}]
    call = document["paths"][f"/public/v1/flows/execute/{house.flow_id}"]["post"]
    assert call["operationId"] == "run_summarise_a_page"
    payload = document["components"]["schemas"]["Payload"]
    assert payload["required"] == ["url"]
    assert payload["properties"]["max_pages"]["maximum"] == 50
    assert document["components"]["schemas"]["Result"]["required"] == ["text"]
    assert (await house.submit(payload["examples"][0])).status_code == 202


async def test_documents_of_other_flows_are_refused(house: House):
    draft = house.new_flow("Draft", deployed=False)
    foreign = house.new_flow("Foreign", principal=house.other_workspace())
    key = house.new_key(flow_ids=[draft]).key

    async def code(flow_id: str, key: str | None = None) -> str:
        return (await house.get(f"/openapi/flows/{flow_id}.json", key)).json()["code"]

    assert await code(draft) == "flow_not_deployed"
    assert await code(foreign) == "not_found"
    assert await code(house.flow_id, key) == "not_allowed"


@pytest.mark.parametrize("sent", [{}, {"Authorization": "Bearer nonsense"}])
async def test_the_document_of_the_whole_api_is_served_to_everybody(house: House, sent: dict[str, str]):
    response = await house.client.get("/public/v1/openapi.json", headers=sent)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    assert response.json()["openapi"] == "3.1.0"
    assert response.json()["info"]["contact"]["url"] == f"{SERVER}/docs"


async def test_the_document_of_a_flow_has_its_address_of_before_too(house: House):
    now, before = f"/openapi/flows/{house.flow_id}.json", f"/flows/{house.flow_id}/openapi.json"
    assert (await house.get(now)).json() == (await house.get(before)).json()
