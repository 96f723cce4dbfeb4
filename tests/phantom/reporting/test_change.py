"""The earlier study: the same patient, a coherent change, and reports that say it."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from plainfilm.core import Change, Finding, Observation, Side, Status, View
from plainfilm.phantom import INSTITUTIONS, PREVALENCE, simulate
from plainfilm.phantom.disease.disease import Disease
from plainfilm.phantom.film.case import evolve
from plainfilm.phantom.reporting.change import LIMITS, Seen, compare, report_change
from plainfilm.phantom.reporting.context import comparison_of
from plainfilm.phantom.reporting.institutions import NAMED
from plainfilm.phantom.simulate import drawn_case, render
from plainfilm.text import read
from plainfilm.text.writer import STYLES

SIZE = 64
VARIANTS = ("azygos lobe", "low lung volumes")
NOTHING = dict.fromkeys(set(PREVALENCE) - {"normal"}, 0.0)
EFFUSION = Observation.PLEURAL_EFFUSION
LEFT = Finding(observation=EFFUSION, side=Side.LEFT)


def seen(*truth: Finding, view: View = View.PA, **measures: float) -> Seen:
    return Seen(truth, measures, view)


def told(findings: tuple[Finding, ...]) -> set[tuple[str | None, ...]]:
    return {(f.status, f.side, f.change) for f in findings}


@pytest.mark.parametrize(
    ("now", "before", "change"),
    [(300, None, Change.NEW), (300, 200, Change.WORSE), (300, 240, Change.STABLE),
     (200, 250, Change.STABLE), (200, 300, Change.IMPROVED), (30, 10, Change.STABLE)],
)  # fmt: skip
def test_a_change_is_decided_by_the_measures(now, before, change):
    earlier = seen() if before is None else seen(LEFT, left_effusion_ml=before)
    (finding,) = compare(seen(LEFT, left_effusion_ml=now), earlier)
    assert finding == LEFT.model_copy(update={"change": change})


def test_what_is_gone_is_absent_and_resolved():
    (finding,) = compare(seen(), seen(LEFT, left_effusion_ml=200))
    assert (finding.status, finding.change, finding.side) == ("absent", "resolved", "left")


def test_the_sides_of_a_bilateral_finding_are_compared_apart():
    both = LEFT.model_copy(update={"side": Side.BILATERAL})
    now = seen(both, left_effusion_ml=200, right_effusion_ml=210)
    alike = seen(both, left_effusion_ml=390, right_effusion_ml=400)
    assert told(compare(now, alike)) == {("present", "bilateral", "improved")}
    assert told(compare(now, seen(LEFT, left_effusion_ml=200))) == {
        ("present", "left", "stable"), ("present", "right", "new"),
    }  # fmt: skip
    assert told(compare(seen(LEFT, left_effusion_ml=400), now)) == {
        ("present", "left", "worse"), ("absent", "right", "resolved"),
    }  # fmt: skip
    unsaid = report_change([both], now, seen(LEFT, left_effusion_ml=200), [], {Change.WORSE})
    assert unsaid == (both,)


def test_a_heart_changes_by_its_ratio_and_not_by_the_view():
    large = Finding(observation=Observation.CARDIOMEGALY)
    now = seen(large, cardiothoracic_ratio=0.53)
    bedside = seen(large, view=View.AP, cardiothoracic_ratio=0.57)
    assert compare(now, bedside)[0].change is Change.STABLE
    assert compare(now, seen(cardiothoracic_ratio=0.49))[0].change is Change.NEW
    assert compare(now, seen(cardiothoracic_ratio=0.51))[0].change is None  # just over the limit
    assert compare(seen(cardiothoracic_ratio=0.51), now) == ()  # nor is it gone
    assert compare(seen(cardiothoracic_ratio=0.44), now)[0].change is Change.RESOLVED


def test_a_pneumonia_changes_with_its_opacity_and_what_is_possible_does_not():
    place = {"side": Side.RIGHT, "location": "lower lobe"}
    dense = Finding(observation=Observation.CONSOLIDATION, **place)
    stated = Finding(observation=Observation.PNEUMONIA, **place)
    possible = stated.model_copy(update={"status": Status.UNCERTAIN})
    before = seen(dense, possible, right_consolidation_area_cm2=20)
    for pneumonia, change in ((stated, Change.WORSE), (possible, None)):
        now = seen(dense, pneumonia, right_consolidation_area_cm2=60)
        assert [f.change for f in compare(now, before)] == [Change.WORSE, change]


def test_a_device_is_the_same_one_where_kind_and_side_are():
    line = Finding(observation=Observation.SUPPORT_DEVICES, detail="PICC", side=Side.LEFT,
                   location="superior vena cava")  # fmt: skip
    moved = line.model_copy(update={"location": "right atrium"})
    other = line.model_copy(update={"side": Side.RIGHT})
    assert compare(seen(line), seen(line))[0].change is Change.STABLE
    assert compare(seen(moved), seen(line))[0].change is None
    assert [f.change for f in compare(seen(other), seen(line))] == [Change.NEW, Change.RESOLVED]


def test_only_what_was_reported_before_is_said_to_be_gone():
    now, before = seen(), seen(LEFT, left_effusion_ml=20)
    none = Finding(observation=EFFUSION, status=Status.ABSENT)
    assert report_change([none], now, before, [], set(Change)) == (none,)
    assert len(report_change([none], now, before, [LEFT], set(Change))) == 2
    assert report_change([none], now, before, [LEFT], {Change.NEW}) == (none,)


@pytest.fixture(scope="module")
def series():
    """Pairs of every institution."""
    return [
        simulate(17, index, SIZE, institution=name, prior=True)
        for name in NAMED
        for index in range(24)
    ]


def test_reading_gives_back_every_statement_and_its_change(series):
    assert len(series) >= 100
    for phantom in series:
        for one in (phantom, phantom.prior):
            text = one.study.report.text
            given = {f.statement for f in one.findings
                     if f.observation is not Observation.NO_FINDING}  # fmt: skip
            assert {f.statement for f in read(text)} == given, text
            assert one.findings == one.study.report.statements


def test_the_film_is_the_same_with_and_without_an_earlier_one(series):
    for phantom in series[::7]:
        _, seed, index = phantom.study.id.split("-")
        alone = simulate(int(seed), int(index), SIZE, institution=phantom.institution)
        assert alone.prior is None
        assert alone.study.prior is None
        assert (alone.study.images, alone.study.table) == (
            phantom.study.images, phantom.study.table,
        )  # fmt: skip
        assert (alone.case, alone.measures) == (phantom.case, phantom.measures)
        assert all(np.array_equal(alone.masks[name], phantom.masks[name]) for name in alone.masks)
        stated, without, before = (
            {(f.observation, f.location) for f in one.findings if f.status is not Status.ABSENT}
            for one in (phantom, alone, phantom.prior)
        )
        known = {observation for observation, _ in before}  # what was reported is not left out now
        stated, without = ({one for one in both if one[0] is not Observation.NO_FINDING}
                           for both in (stated, without))  # fmt: skip
        assert without <= stated
        assert {observation for observation, _ in stated - without} <= known
        if not INSTITUTIONS[phantom.institution].compares:
            assert alone.study.report == phantom.study.report


def test_an_earlier_study_is_of_the_same_patient(series):
    views = Counter()
    for phantom in series:
        now, before = phantom.case, phantom.prior.case
        assert phantom.study.prior == phantom.prior.study
        assert 0 <= now.patient.age - before.patient.age <= 2
        breath = {"height_mm": 0, "dome_mm": (0, 0), "cardiothoracic_ratio": 0, "scapula_mm": 0}
        one, other = (replace(who, age=0, **breath) for who in (now.patient, before.patient))
        assert one == other
        assert now.patient.height_mm != before.patient.height_mm
        assert now.exposure != before.exposure
        assert phantom.study.table["sex"] == phantom.prior.study.table["sex"]
        assert phantom.prior.prior is None
        assert not any(f.change for f in phantom.prior.findings)
        views[now.exposure.view is before.exposure.view] += 1
    assert views[True] > views[False] > 0


def test_an_institution_compares_or_does_not(series):
    for name in NAMED:
        institution = INSTITUTIONS[name]
        assert bool(institution.compares) == STYLES[name].comparison
        own = [phantom for phantom in series if phantom.institution == name]
        said = {f.change for phantom in own for f in phantom.findings} - {None}
        assert said <= institution.compares
        assert bool(said) == bool(institution.compares)
        for phantom in own:
            assert (phantom.study.comparison is not None) == bool(institution.compares)
            assert phantom.prior.study.comparison is None


def test_the_change_of_a_finding_is_that_of_its_measure(series):
    counts = Counter()
    for phantom in series:
        for finding in phantom.truth:
            limit = LIMITS.get(finding.observation)
            if limit is None or finding.observation is Observation.CARDIOMEGALY:
                continue
            sides = ("left", "right") if finding.side is Side.BILATERAL else (finding.side,)
            for side in sides:
                name = f"{side}_{limit.measure}" if side else limit.measure
                now, before = (p.measures.get(name) for p in (phantom, phantom.prior))
                counts[finding.change] += 1
                if finding.change is Change.RESOLVED:
                    assert before is not None
                elif finding.change is Change.WORSE:
                    assert now > before + limit.least
                elif finding.change is Change.IMPROVED:
                    assert now < before - limit.least
    assert set(counts) >= set(Change)


@pytest.mark.parametrize(
    ("disease", "measure"),
    [("effusion", "effusion_ml"), ("pneumothorax", "pneumothorax_rim_mm"),
     ("heart failure", "edema_water_ml"), ("consolidation", "consolidation_area_cm2")],
)  # fmt: skip
def test_disease_was_there_absent_smaller_or_larger(disease, measure):
    """Each course is taken, and what was larger measures more on the earlier film."""
    asked = NOTHING | {disease: 1.0}
    found = Counter()
    for index in range(40):
        phantom = simulate(9, index, 32, prevalence=asked, prior=True)
        drawn = [f for f in phantom.truth if f.status is Status.PRESENT]
        found.update(f.change for f in drawn if LIMITS.get(f.observation)
                     and LIMITS[f.observation].measure == measure)  # fmt: skip
    assert {Change.NEW, Change.WORSE, Change.IMPROVED, Change.STABLE} <= set(found)


def test_what_was_there_before_shows():
    """What has gone is on the earlier film, and not below or beside what would hide it."""
    gone = 0
    for index in range(60):
        phantom = simulate(31, index, SIZE, prior=True)
        before = phantom.prior.case
        rims = {before.disease.pneumothorax.side} if before.disease.pneumothorax else set()
        assert not rims & set(before.disease.fluid_top)
        for finding in phantom.prior.truth:
            if finding.observation in LIMITS and finding.side in (Side.LEFT, Side.RIGHT):
                name = f"{finding.side}_{LIMITS[finding.observation].measure}"
                assert phantom.prior.measures[name] > 0
        gone += sum(f.change is Change.RESOLVED for f in phantom.truth)
    assert gone > 5


def test_a_disease_that_is_never_drawn_was_not_there_before():
    for index in range(25):
        phantom = simulate(6, index, 32, prevalence=NOTHING | {"normal": 1.0}, prior=True)
        assert phantom.prior.case.disease == Disease()
        others = [f for f in phantom.prior.truth if f.detail not in VARIANTS]
        assert {f.observation for f in others} <= {Observation.CARDIOMEGALY}


def test_a_growing_lesion_was_smaller_the_longer_ago():
    case = drawn_case(9, 3, prevalence=NOTHING | {"lesion": 1.0})
    lesion = replace(case.disease.lesions[0], calcified=False, diameter_mm=30.0)
    case = replace(case, disease=replace(case.disease, lesions=(lesion,)))
    sizes = np.array([
        [sum(o.diameter_mm for o in evolve(case, np.random.default_rng(seed), days, ())
             .disease.lesions) for days in (10, 100, 800)]
        for seed in range(20)
    ])  # fmt: skip
    assert (np.diff(sizes, axis=1) <= 0).all()
    assert (sizes[:, 2] < 15).any()
    assert (sizes[:, 2] == 30).any()


def test_more_fluid_measures_more():
    phantom = simulate(9, 1, SIZE, prevalence=NOTHING | {"effusion": 1.0})
    side, top = next(iter(phantom.case.disease.fluid_top.items()))

    def volume(level: float) -> float:
        disease = replace(phantom.case.disease, fluid_top={side: level})
        rngs = np.random.default_rng(1), np.random.default_rng(2)
        measures = render(replace(phantom.case, disease=disease), SIZE, *rngs, "x").measures
        return next(size for name, size in measures.items() if name.endswith("effusion_ml"))

    assert volume(top + 0.03) < volume(top) < volume(top - 0.1)


def test_the_comparison_names_how_long_ago():
    assert [comparison_of(days) for days in (1, 5, 30, 200, 800)] == [
        "Chest film of the day before.", "Chest film of 5 days before.",
        "Chest film of 4 weeks before.", "Chest film of 7 months before.",
        "Chest film of 2 years before.",
    ]  # fmt: skip


def test_both_studies_have_the_views_that_are_asked_for():
    phantom = simulate(2, 0, 32, views=("frontal", "lateral"), prior=True)
    for one in (phantom, phantom.prior):
        assert [image.view.frontal for image in one.study.images] == [True, False]
        assert set(one.lateral_masks) == set(one.masks)


def test_a_healed_fracture_is_not_the_fresh_one_of_its_side():
    fresh = Finding(observation=Observation.FRACTURE, side=Side.LEFT, location="rib")
    healed = fresh.model_copy(update={"detail": "healed fracture"})
    found = compare(seen(fresh, healed), seen(healed))
    assert [f.change for f in found] == [Change.NEW, Change.STABLE]
