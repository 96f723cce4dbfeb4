"""Films: reading an Image from a file, and writing one."""

from typing import Any

__all__ = ["file_digest"]


def __getattr__(name: str) -> Any:
    if name != "file_digest":
        raise AttributeError(f"module 'plainfilm.data.films' has no attribute {name!r}")
    from plainfilm.data.films.prepared import file_digest

    return file_digest
