"""The baseline of the benchmarks: the smallest FastAPI endpoint, under the same uvicorn."""

from __future__ import annotations

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel


class Body(BaseModel):
    """What the endpoint takes."""

    name: str


def bare(port: int) -> None:
    """Serves `POST /noop` until it is terminated."""
    app = FastAPI()

    @app.post("/noop")
    async def noop(body: Body) -> dict[str, str]:
        return {"job_id": "0", "status": "queued"}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", loop="uvloop", http="httptools")
