import numpy as np
import pytest

from plainfilm.core import Evidence, Finding, Image, Observation, Report, Side, Status, Study

HEATMAP = ((0.0, 0.2), (1.0, 0.1))


@pytest.fixture
def study() -> Study:
    ramp = np.add.outer(np.linspace(0, 0.6, 64), np.linspace(0, 0.4, 48)).astype(np.float32)
    image = Image(
        pixels=ramp,
        view="PA",
        spacing_mm=(2.0, 2.0),
        provenance="simulated",
        source="/home/someone/secret folder/film.png",
    )
    return Study(id="study-1", images=(image,), indication="Mr Nobody coughs")


@pytest.fixture
def report() -> Report:
    findings = "Small right pleural effusion. No pneumothorax. The trachea is midline."
    return Report(
        findings=findings,
        impression="Possible pneumonia.",
        statements=(
            Finding(
                observation=Observation.PLEURAL_EFFUSION,
                severity="small",
                side=Side.RIGHT,
                sentence="Small right pleural effusion.",
                spans=((12, 28),),
            ),
            Finding(
                observation=Observation.PNEUMOTHORAX,
                status=Status.ABSENT,
                sentence="No pneumothorax.",
                spans=((33, 45),),
            ),
            Finding(
                observation=Observation.PNEUMONIA,
                status=Status.UNCERTAIN,
                sentence="Possible pneumonia.",
            ),
        ),
        evidence=(
            Evidence(
                observation=Observation.PLEURAL_EFFUSION,
                probability=0.91,
                heatmap=HEATMAP,
                method="cross-attention",
            ),
            Evidence(observation=Observation.EDEMA, probability=0.42, heatmap=HEATMAP),
        ),
        warnings=("This model was trained on simulated films only.",),
        model="plainfilm-small",
    )
