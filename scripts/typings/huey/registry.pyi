from typing import Any, NamedTuple

class Message(NamedTuple):
    id: str
    name: str
    eta: float | None = None
    retries: int | None = None
    retry_delay: float | None = None
    priority: int | None = None
    args: tuple[Any, ...] = ()
