"""The processes that torchrun started, as its environment tells them."""

import os


def processes() -> tuple[int, int]:
    """Return this process's place among those that torchrun started, and how many there are."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
