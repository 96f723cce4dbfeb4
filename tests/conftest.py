"""What all tests share: one thread of torch, an order that keeps all workers busy, a dataset."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from plainfilm.data import Dataset

# Read when torch is first loaded, here and in the commands that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A process that a test starts finds the modules compiled by those before it.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Nor does any test depend on timing: a busy machine takes seconds for what is done in one.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

LONGEST = (
    "test_readme.py", "test_shipped_models.py", "test_supervised.py", "test_table.py",
    "test_run.py", "test_change.py", "test_familiarity.py", "test_prevalence.py",
    "test_meteor.py", "test_reinforcement.py", "test_truth.py", "test_families.py",
)  # fmt: skip
"""A worker runs a file whole (``make test``), so that its fixtures are made once; the longest begin
first, else one worker would end with them while the others have nothing left."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first."""
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(LONGEST)))


@pytest.fixture(scope="session")
def sixty(tmp_path_factory: pytest.TempPathFactory) -> "Dataset":
    """Sixty simulated studies, 48 × 48, made once for all workers; who changes it copies it."""
    from filelock import FileLock

    from plainfilm.data import Dataset
    from plainfilm.data.sources.phantom import prepare_phantom

    shared: Path = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder = shared / "sixty"
    with FileLock(shared / "sixty.lock"):
        if folder.exists():
            return Dataset(folder)
        return prepare_phantom(60, folder, seed=1, size=48, progress=False)
