"""Think, then answer: a report between marks, and the observations that it comes down to.

    <think>Small left pleural effusion. …</think><answer>Pleural Effusion, Edema</answer>

After arXiv:2601.03321: the detailed findings are the reasoning, the labels its conclusion, and
reinforcement rewards their agreement.
"""

import re

from plainfilm.core import OBSERVATIONS, Observation, UncertaintyPolicy, binarize
from plainfilm.text.labeler import labels

_FORM = re.compile(r"\s*<think>(.*?)</think>\s*<answer>(.*?)</answer>\s*", re.DOTALL)
_MARK = re.compile(r"</?(?:think|answer)>")
_NAMES = {str(one).lower(): one for one in OBSERVATIONS}


def thought(text: str) -> str:
    """Return a report's text as what is thought, with the answer that follows from it."""
    named = ", ".join(str(one) for one in OBSERVATIONS if one in positive(text))
    return f"<think>{text}</think><answer>{named}</answer>"


def positive(text: str) -> frozenset[Observation]:
    """Return the observations that a report calls present or possible."""
    values = binarize(labels(text), UncertaintyPolicy.POSITIVE, OBSERVATIONS)
    return frozenset(one for one, value in zip(OBSERVATIONS, values, strict=True) if value)


def split_thought(text: str) -> tuple[str, frozenset[Observation] | None]:
    """Return what was thought, and the observations answered; None where the form is another."""
    found = _FORM.fullmatch(text)
    if found is None:
        return _MARK.sub(" ", text).strip(), None
    names = {part.strip().lower() for part in found[2].split(",")} - {""}
    if not names <= _NAMES.keys():
        return found[1].strip(), None
    return found[1].strip(), frozenset(_NAMES[name] for name in names)
