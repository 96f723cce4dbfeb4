"""Labels by the reader or by CheXbert, behind one function.

A labeler is a name: ``reader`` (the default) or ``chexbert``, which needs its checkpoint.
"""

from functools import cache
from pathlib import Path
from typing import Literal

from plainfilm.core import InputError, Observation, Status
from plainfilm.text import reader
from plainfilm.text.chexbert import SOURCE, load_chexbert

Labeler = Literal["reader", "chexbert"]

_load = cache(load_chexbert)


def labels(
    text: str,
    *,
    language: str = "en",
    labeler: Labeler = "reader",
    checkpoint: str | Path | None = None,
    vocabulary: str | Path | None = None,
) -> dict[Observation, Status]:
    """Return the status of each of the 14 observations that ``text`` mentions.

    If mentions of one observation differ, present takes precedence over uncertain over absent.

    Args:
        text: a report.
        language: language of the reader's rules; CheXbert knows English only.
        labeler: ``reader``, or ``chexbert``, which needs its checkpoint.
        checkpoint: CheXbert's ``chexbert.pth``; loaded once and kept.
        vocabulary: bert-base-uncased's ``vocab.txt``; if None, the one beside the checkpoint.

    Raises:
        InputError: ``text`` is not a ``str``, or there is no such language or labeler.
        ModelError: CheXbert's files are missing, damaged or of another format.
        MissingDependencyError: CheXbert is asked for and torch is not installed.
    """
    if labeler == "reader":
        return reader.labels(text, language=language)
    if labeler != "chexbert":
        raise InputError(f"no labeler {labeler!r}; give reader or chexbert")
    if not isinstance(text, str):
        raise InputError(f"a report to label must be text (str), got {type(text).__name__}")
    if language != "en":
        raise InputError(f"CheXbert reads English, not language {language!r}; use the reader")
    if checkpoint is None:
        raise InputError(
            "labeler 'chexbert' needs checkpoint=PATH of its chexbert.pth; "
            f"{SOURCE} says how to get it"
        )
    found = _load(str(checkpoint), str(vocabulary or Path(checkpoint).parent))
    return found.labels([text])[0]
