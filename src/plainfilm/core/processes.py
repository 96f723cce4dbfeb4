"""Rank and number of the processes that torchrun started, from the environment."""

import os


def processes() -> tuple[int, int]:
    """Return (rank, number of processes) as set by torchrun; (0, 1) without it."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
