from collections.abc import Callable

from huey.serializer import Serializer
from huey.storage import BaseStorage

class Task: ...

class TaskWrapper:
    def s(self, *args: str, id: str) -> Task: ...  # noqa: A002 - Huey's name

class Huey:
    def __init__(
        self, name: str, *, results: bool = True, serializer: Serializer, storage_class: type[BaseStorage]
    ) -> None: ...
    def task(self, *, name: str, __module__: str) -> Callable[[Callable[[str], None]], TaskWrapper]: ...
    def serialize_task(self, task: Task) -> bytes: ...
