"""The queue of drafts: huey on SQLite, its messages JSON.

huey forgets a task that it has handed out when the program dies; what was accepted is therefore
taken from the store at the start, and a study is claimed there before it is drafted. Nothing is
pickled, unlike by huey's default.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from plainfilm.core import MissingDependencyError


class Queue:
    """Hands study ids to a worker, one after the other.

    Args:
        folder: where its file lies.
        draft: called with each id, in a thread of its own; raises nothing.

    Raises:
        MissingDependencyError: huey is not installed.
    """

    def __init__(self, folder: Path, draft: Callable[[str], None]) -> None:
        try:
            from huey import SqliteHuey
            from huey.consumer import Consumer
            from huey.registry import Message
            from huey.serializer import Serializer
        except ModuleNotFoundError as error:
            raise MissingDependencyError.of("huey", "hospital") from error

        class Json(Serializer):  # type: ignore[misc, unused-ignore]
            def _serialize(self, data: Any) -> bytes:
                return json.dumps(data).encode()

            def _deserialize(self, data: bytes) -> Any:
                values = json.loads(data)
                return Message(*values) if isinstance(values, list) else values

        class Quiet(Consumer):  # type: ignore[misc, unused-ignore]
            def _set_signal_handlers(self) -> None:
                """Leave signals to the server."""

        self._huey = SqliteHuey(
            "drafts", filename=str(folder / "queue.db"), results=False, fsync=True,
            serializer=Json(),
        )  # fmt: skip
        self._task = self._huey.task(name="draft")(draft)
        self._consumer = Quiet(self._huey, workers=1, periodic=False, initial_delay=0.02,
                               max_delay=0.5, check_worker_health=False)  # fmt: skip

    def start(self, waiting: list[str]) -> None:
        """Begin to draft, with all that wait."""
        self._huey.flush()
        for id in waiting:
            self.add(id)
        self._consumer.start()

    def add(self, id: str) -> None:
        """Put a study at the end."""
        self._task(id)

    def stop(self) -> None:
        """Finish the draft that is being made and stop."""
        self._consumer.stop(graceful=True)
