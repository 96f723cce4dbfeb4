"""Splits by patient: all studies of one patient lie in one split, on every machine."""

import hashlib
from collections.abc import Mapping

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
