"""A server without pages says where they are, at every address that is not the API's."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI

from ui import no_pages

HERE = "http://10.0.0.9:8080"


async def asked(path: str, public_url: str, *, method: str = "GET", accept: str = "*/*") -> httpx.Response:
    root = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    no_pages.register(root, public_url)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(root), base_url=HERE) as client:
        return await client.request(method, path, headers={"accept": accept})


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("path", ["/", "/flows", "/sign-in", "/_nicegui_ws/socket.io/", "/settings/<script>"])
async def test_the_address_of_a_page_says_where_the_pages_are(path: str, method: str):
    said = await asked(path, "https://flows.example.com", method=method)
    assert said.status_code == 404
    assert said.text.startswith("There are no pages on this server. This server answers the API")
    assert said.text.endswith("Open the pages at https://flows.example.com.\n")


async def test_a_browser_gets_a_page_of_it():
    said = await asked("/flows", "https://flows.example.com", accept="text/html,*/*")
    assert said.headers["content-type"].startswith("text/html")
    assert "<h1>There are no pages on this server</h1>" in said.text
    assert "Open the pages at https://flows.example.com." in said.text


async def test_a_proxy_that_sends_pages_here_is_told_apart_from_a_person_who_asks_here():
    assert "The proxy in front of this server sent the address of a page here." in (await asked("/flows", HERE)).text


async def test_without_a_known_address_it_names_the_setting():
    assert "With FLOWPORT_PUBLIC_URL set here" in (await asked("/flows", "")).text
