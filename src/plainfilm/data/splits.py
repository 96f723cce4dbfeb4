"""Splits and shards by patient: all studies of one patient lie in one, on every machine."""

import hashlib
import re
from collections.abc import Mapping
from typing import NamedTuple

from plainfilm.core import InputError

SPLITS = ("train", "validate", "test")

SHARES: Mapping[str, float] = {"train": 0.8, "validate": 0.1, "test": 0.1}
"""Of the patients, where a source has no split of its own."""


def split_of(patient_id: str, shares: Mapping[str, float] = SHARES) -> str:
    """Return the split of a patient: decided by a hash of the id, so that it never moves."""
    digest = hashlib.sha256(f"plainfilm split {patient_id}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64 * sum(shares.values())
    for name, share in shares.items():
        place -= share
        if place < 0:
            return name
    return next(reversed(list(shares)))


class Shard(NamedTuple):
    """One of several parts, from 1."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def has(self, patient_id: str) -> bool:
        """Whether a patient's studies belong to this part."""
        digest = hashlib.sha256(f"plainfilm shard {patient_id}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.of == self.number - 1


def read_shard(text: str) -> Shard:
    """Return the shard that a text such as ``3/16`` means.

    Raises:
        InputError: it means none.
    """
    found = re.fullmatch(r"([0-9]{1,5})/([0-9]{1,5})", text.strip())
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise InputError(f"a shard is written like 3/16 (the third of sixteen), got {text!r}")
    return Shard(int(found[1]), int(found[2]))
