"""The baseline of the benchmarks: the smallest FastAPI endpoint, under the same uvicorn."""

from __future__ import annotations

import contextlib
import time

import httpx
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel


class Body(BaseModel):
    """The request body of the endpoint."""

    name: str


def bare(port: int) -> None:
    """Serves `POST /noop` until it is terminated."""
    app = FastAPI()

    @app.post("/noop")
    async def noop(body: Body) -> dict[str, str]:
        return {"job_id": "0", "status": "queued"}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", loop="uvloop", http="httptools")


def wait_for_port(port: int) -> None:
    """Returns when something answers at the port, or after ten seconds."""
    for _ in range(200):
        with contextlib.suppress(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{port}/", timeout=1)
            return
        time.sleep(0.05)
