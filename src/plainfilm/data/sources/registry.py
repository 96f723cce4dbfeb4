"""The published collections that plainfilm reads: where they are and under which conditions.

Facts as the publishers' pages say them; whoever downloads a collection agrees to its terms there.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Source(NamedTuple):
    """A published collection."""

    title: str
    url: str
    licence: str
    access: str
    """What a person needs to get it."""
    credentialed: bool = False
    """Whether its terms forbid passing anything of it on."""


_PHYSIONET = "PhysioNet Credentialed Health Data License 1.5.0"
_CREDENTIALED = "credentialed PhysioNet account, CITI training and a signed data use agreement"

SOURCES: Mapping[str, Source] = {
    "mimic-cxr": Source(
        "MIMIC-CXR",
        "https://physionet.org/content/mimic-cxr-jpg/",
        _PHYSIONET,
        _CREDENTIALED,
        True,
    ),
}
"""By the name of the command that reads them."""
