"""What a dataset's reports say of the 14 observations, read once and kept with it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from plainfilm.core import (
    OBSERVATIONS,
    Observation,
    Status,
    UncertaintyPolicy,
    binarize,
    write_atomically,
)
from plainfilm.data.dataset import Dataset, Row, study_ids
from plainfilm.data.targets import target_report
from plainfilm.metrics.clinical import labeler
from plainfilm.text import labels

KEPT = "labels"
"""Folder in a dataset directory, with a Parquet file of labels by study for each target and version
of the reader. It is a cache, and can be deleted."""


Statuses = Mapping[Observation, Status]
"""What a report says of the observations that it mentions."""
_CODES = (None, *Status)
"""The status of each code in the file; the first is that of an observation not mentioned."""


def observation_statuses(dataset: Dataset, rows: Sequence[Row], target: str) -> list[Statuses]:
    """Return what each study's report says of the observations that it mentions.

    What the reports of a whole dataset say is kept in its folder, for this version of the reader,
    where the folder can be written; reading 100,000 reports again at each start would take a minute
    in every process.

    Args:
        dataset: the dataset.
        rows: some of its studies.
        target: the part of the report to read (see ``plainfilm.data.targets``).
    """
    if len(dataset.parts) > 1:
        wanted = set(study_ids(rows))
        known: dict[str, Statuses] = {}
        for part in dataset.parts:
            mine = [row for row in part.rows if row.study_id in wanted]
            told = observation_statuses(part, mine, target)
            known |= {row.study_id: one for row, one in zip(mine, told, strict=True)}
        return [known[one] for one in study_ids(rows)]
    reader = labeler(dataset.card.language).rpartition("+")[2]
    path = dataset.path / KEPT / f"{target}-{reader}-{dataset.fingerprint[:12]}-statuses.parquet"
    kept = _read(path) if path.is_file() else {}
    ids = study_ids(rows)
    if not all(one in kept for one in ids):
        kept = {row.study_id: _codes(dataset, row, target) for row in dataset.rows}
        _keep(path, kept)
    return [
        {name: status for name, code in zip(OBSERVATIONS, kept[one], strict=True)
         if (status := _CODES[code]) is not None}
        for one in ids
    ]  # fmt: skip


def binary_labels(statuses: Sequence[Statuses]) -> torch.Tensor:
    """Return ``(reports, observations)`` in {0, 1}; an uncertain mention counts as positive."""
    found = [binarize(one, UncertaintyPolicy.POSITIVE, OBSERVATIONS) for one in statuses]
    return torch.tensor(found, dtype=torch.float32).reshape(len(statuses), len(OBSERVATIONS))


def _codes(dataset: Dataset, row: Row, target: str) -> list[int]:
    found = labels(target_report(row, target).text, language=dataset.card.language)
    return [_CODES.index(found.get(name)) for name in OBSERVATIONS]


def _read(path: Path) -> dict[str, list[int]]:
    try:
        table = pq.read_table(path)
        values = np.stack([table[str(name)].to_numpy() for name in OBSERVATIONS], axis=1)
        if not np.isin(values, range(len(_CODES))).all():
            return {}
        return dict(zip(table["study_id"].to_pylist(), values.tolist(), strict=True))
    except (OSError, KeyError, pa.ArrowException):
        return {}  # damaged: it is made again


def _keep(path: Path, kept: dict[str, list[int]]) -> None:
    values = np.array(list(kept.values()), dtype=np.int8).reshape(len(kept), len(OBSERVATIONS))
    columns = {str(name): values[:, place] for place, name in enumerate(OBSERVATIONS)}
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.table({"study_id": list(kept), **columns}), buffer)
    try:
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, buffer.getvalue().to_pybytes())
    except OSError:
        return  # a dataset that can't be written is read again each time
