"""Fixtures of the tests of vision-language models."""

from pathlib import Path

import pytest
from conftest_vlm import film, make

from plainfilm.core import Report, Study, View


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """Return where a tiny checkpoint of a kind lies."""
    made: dict[str, Path] = {}

    def find(kind: str) -> Path:
        if kind not in made:
            made[kind] = make(kind, tmp_path_factory.mktemp("vlm") / kind)
        return made[kind]

    return find


@pytest.fixture(scope="session")
def studies() -> list[Study]:
    return [
        Study(id="one", images=(film(1), film(2, view=View.LATERAL)), indication="cough"),
        Study(
            id="two", images=(film(3, (32, 40)),),
            table={"temperature_c": 38.5, "spo2_percent": None},
        ),
        Study(
            id="three", images=(film(4),), comparison="Film of last week.",
            prior=Study(id="before", images=(film(5),), report=Report(findings="Clear lungs.")),
        ),
    ]  # fmt: skip


@pytest.fixture(scope="session")
def reports() -> list[Report]:
    return [
        Report(findings="The heart is mildly enlarged.", impression="Cardiomegaly."),
        Report(findings="No pleural effusion."),
        Report(findings="Left basal consolidation. No pneumothorax."),
    ]
