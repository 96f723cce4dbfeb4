"""Statements held against segmentation maps, on maps that are drawn by hand."""

import numpy as np
import pytest

from plainfilm.core import Finding, Image, InputError, Report, Side, Study, Verdict, View
from plainfilm.core.study import Maps
from plainfilm.grounding.maps import choose_maps, describe, ground
from plainfilm.text import read

CLASSES = (
    "lung", "right lung", "left lung", "Effusion", "Pneumothorax", "Consolidation", "Atelectasis",
    "Nodule", "Cardiomegaly", "CVC - Normal", "Letters", "plainfilm: Lung Opacity", "Fracture",
)  # fmt: skip


def drawn(source="truth", value=1.0, **boxes):
    """Return maps of 16 × 16 cells: lungs in rows 2 to 13, and boxes (rows, columns) by class."""
    values = np.zeros((len(CLASSES), 16, 16), np.float32)
    values[0:2, 2:14, 2:7] = 1
    values[0, 2:14, 9:14] = values[2, 2:14, 9:14] = 1
    for name, (rows, columns) in boxes.items():
        values[CLASSES.index(name.replace("_", " ")), rows, columns] = value
    return Maps(classes=CLASSES, values=values, source=source)


LEFT_BASE = (slice(11, 14), slice(9, 14))
RIGHT_APEX = (slice(2, 5), slice(2, 7))


def held(text, maps, **more):
    report = Report(findings=text, statements=tuple(read(text)))
    found = ground(report, maps, **more)
    return found


@pytest.mark.parametrize(("text", "verdict", "reason"), [
    ("There is a left pleural effusion.", "supported", "Effusion on the left, lower zone, 12 %"),
    ("There is a right pleural effusion.", "contradicted", "said of the right, and the map lies"),
    ("There are bilateral pleural effusions.", "contradicted", "no map shows it on the right"),
    ("No pleural effusion.", "contradicted", "denied, and Effusion on the left"),
    ("No right pleural effusion.", "supported", "shows nothing"),
    ("No pneumothorax.", "supported", "the map of Pneumothorax shows nothing"),
    ("There is a right pneumothorax.", "contradicted", "the map of Pneumothorax shows nothing"),
    ("Possible right pneumothorax.", "not checkable", "said to be possible"),
    ("There is pulmonary edema.", "not checkable", "no map of it"),
    ("The mediastinum is widened.", "not checkable", "no map of it"),
])  # fmt: skip
def test_a_statement_is_held_against_its_map(text, verdict, reason) -> None:
    found = held(text, drawn(Effusion=LEFT_BASE))
    assert len(found.statements) == 1
    (grounding,) = found.grounding
    assert grounding.verdict == verdict
    assert reason in grounding.reason


@pytest.mark.parametrize(("text", "verdict"), [
    ("Right upper lobe consolidation.", "supported"),
    ("Right apical consolidation.", "supported"),
    ("Right lower lobe consolidation.", "contradicted"),
    ("Consolidation.", "supported"),
    ("Right upper lobe pneumonia.", "supported"),
    ("Right upper lobe opacity.", "supported"),
])  # fmt: skip
def test_place_and_relatives_count(text, verdict) -> None:
    (grounding,) = held(text, drawn(Consolidation=RIGHT_APEX)).grounding
    assert grounding.verdict == verdict
    assert [one.map_class for one in grounding.maps] == ["Consolidation"]


def test_normal_is_held_against_all_maps_of_findings() -> None:
    normal = Report(findings="Normal.", statements=(Finding(observation="No Finding"),))
    (found,) = ground(normal, drawn(Effusion=LEFT_BASE, Letters=RIGHT_APEX)).grounding
    assert found.verdict == Verdict.CONTRADICTED
    assert found.reason.startswith("said to be normal, and Effusion on the left")
    (found,) = ground(normal, drawn(Letters=RIGHT_APEX)).grounding
    assert found.verdict == Verdict.SUPPORTED


def test_what_no_statement_mentions_is_possibly_missed() -> None:
    maps = drawn(Effusion=LEFT_BASE, Nodule=RIGHT_APEX, Letters=RIGHT_APEX)
    found = held("Left pleural effusion.", maps)
    assert [describe(one) for one in found.possibly_missed] == [
        "Nodule on the right, upper zone, 12 % of the lungs"
    ]
    assert held("Left pleural effusion. A right upper lung nodule.", maps).possibly_missed == ()
    assert held("No nodule.", maps).possibly_missed


def test_how_much_a_map_must_show_depends_on_its_kind() -> None:
    assert held("Left effusion.", drawn(value=0.1, Effusion=LEFT_BASE)).grounding[0].verdict == (
        Verdict.SUPPORTED
    )
    faint = drawn("plainfilm-segmenter", 0.4, Effusion=LEFT_BASE)
    assert held("Left effusion.", faint).grounding[0].verdict == Verdict.CONTRADICTED
    (found,) = held("Left effusion.", faint, threshold=0.3).grounding
    assert found.verdict == Verdict.SUPPORTED
    assert found.maps[0].confidence == pytest.approx(0.4)
    assert found.maps[0].sides == (Side.LEFT,)


def test_names_not_positions_decide() -> None:
    maps = drawn(Effusion=LEFT_BASE)
    turned = Maps(classes=CLASSES[::-1], values=maps.values[::-1], source="truth")
    text = "Left pleural effusion. No nodule."
    assert held(text, maps).grounding == held(text, turned).grounding


def test_superclasses_say_less() -> None:
    values = np.zeros((2, 16, 16), np.float32)
    values[0, 11:14, 9:14] = 1
    maps = Maps(
        classes=("finding: pathology", "finding: foreign object"), values=values,
        source="truth-superclasses",
    )  # fmt: skip
    found = held("Left effusion. Right effusion. A right central line.", maps)
    assert [one.verdict for one in found.grounding] == [
        "not checkable", "contradicted", "contradicted",
    ]  # fmt: skip
    assert [one.map_class for one in held("Normal heart size.", maps).possibly_missed] == [
        "finding: pathology"
    ]


def test_a_wide_films_padding_is_left_out() -> None:
    found = held("Left effusion.", drawn(Effusion=LEFT_BASE), shape=(50, 100))
    heatmap = found.grounding[0].maps[0].heatmap
    assert (len(heatmap), len(heatmap[0])) == (8, 16)


def test_maps_are_chosen_by_source_and_film() -> None:
    film = Image(pixels=np.zeros((4, 4), np.float32), view=View.PA)
    study = Study(id="a", images=(film,), maps=(drawn("cxas"), drawn("truth")))
    assert choose_maps(study).source == "cxas"
    assert choose_maps(study, "truth").source == "truth"
    with pytest.raises(InputError, match=r"no maps from 'mine' .*it has: cxas, truth"):
        choose_maps(study, "mine")
