"""The pure core: what a flow is and means. Pydantic and the standard library only; no storage, no network, no job."""
