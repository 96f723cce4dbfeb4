"""Splits and shards by patient: all studies of a patient are in the same one, on any machine."""

import hashlib
import re
from collections.abc import Mapping
from typing import NamedTuple

from plainfilm.core import InputError

SPLITS = ("train", "validate", "test")

SHARES: Mapping[str, float] = {"train": 0.8, "validate": 0.1, "test": 0.1}
"""Shares of the patients, for sources without a split of their own."""


def split_of(patient_id: str, shares: Mapping[str, float] = SHARES) -> str:
    """Return the split of a patient, determined by a hash of the id, so that it never changes."""
    digest = hashlib.sha256(f"plainfilm split {patient_id}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64 * sum(shares.values())
    for name, share in shares.items():
        place -= share
        if place < 0:
            return name
    return next(reversed(list(shares)))


class Shard(NamedTuple):
    """One of several shards, counted from 1."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def has(self, patient_id: str) -> bool:
        """Return whether a patient's studies belong to this shard."""
        digest = hashlib.sha256(f"plainfilm shard {patient_id}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.of == self.number - 1


def read_shard(text: str) -> Shard:
    """Return the shard written as a text such as ``3/16``.

    Raises:
        InputError: the text is not a shard.
    """
    found = re.fullmatch(r"([0-9]{1,5})/([0-9]{1,5})", text.strip())
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise InputError(f"a shard is written like 3/16 (the third of sixteen), got {text!r}")
    return Shard(int(found[1]), int(found[2]))
