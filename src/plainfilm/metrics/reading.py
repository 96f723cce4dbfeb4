"""Reading many reports into labels or findings, optionally in several processes."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from plainfilm.core import MetricError

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

_BATCH = 100
_FEWEST = 2_000  # minimum number of reports for which starting processes pays off


def read_in_batches(what: str, texts: Sequence[str], language: str, workers: int) -> Iterator[Any]:
    """Yield the ``labels`` or ``findings`` of each text, in order.

    Raises:
        MetricError: a process died.
    """
    batches = [texts[start : start + _BATCH] for start in range(0, len(texts), _BATCH)]
    if workers == 1 or len(texts) < _FEWEST:
        for batch in batches:
            yield from _read(what, batch, language)
        return
    from concurrent.futures.process import BrokenProcessPool

    try:
        for found in _pool(workers).map(_read, *zip(*((what, b, language) for b in batches),
                                                    strict=True)):  # fmt: skip
            yield from found
    except BrokenProcessPool as error:
        _pool.cache_clear()
        raise MetricError(
            f"a process that read {what} ended: give fewer workers, or 1, which needs none"
        ) from error


@cache
def _pool(workers: int) -> "ProcessPoolExecutor":
    """Return a pool that lives as long as the program; not forked, since torch may have threads."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))


def _read(what: str, texts: Sequence[str], language: str) -> list[Any]:
    from plainfilm.text import labels, read

    reader: Any = labels if what == "labels" else read
    return [reader(text, language=language) for text in texts]
