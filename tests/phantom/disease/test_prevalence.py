"""A share that is asked for is the share that is drawn, whatever goes with what."""

from collections import Counter
from functools import cache

import numpy as np
import pytest

from plainfilm.core import InputError, View
from plainfilm.phantom.anatomy.patient import Patient
from plainfilm.phantom.disease.disease import Disease
from plainfilm.phantom.disease.prevalence import PREVALENCE, RISKS, chances_of
from plainfilm.phantom.film.case import Case, draw_case

CASES = 4000
NONE = dict.fromkeys(RISKS, 0.0)


def drawn(disease: Disease) -> set[str]:
    """Return the names of what is drawn."""
    dense = {opacity.consolidation for opacity in disease.opacities}
    found = {
        "heart failure": disease.edema > 0,
        "cardiomegaly": disease.ratio is not None,
        "wide mediastinum": disease.mediastinum_mm > 0,
        "effusion": bool(disease.fluid_top),
        "pneumothorax": disease.pneumothorax is not None,
        "consolidation": True in dense,
        "opacity": False in dense,
        "lesion": bool(disease.lesions),
        "atelectasis": bool(disease.bands),
        "fracture": disease.fracture is not None,
        "pleural thickening": disease.pleura is not None,
        "lobar collapse": disease.collapse is not None,
        "emphysema": disease.emphysema > 0,
        "hiatal hernia": disease.hernia_mm > 0,
        "scoliosis": disease.cobb_deg != 0,
        "aortic calcification": disease.calcified_arch is not None,
        "healed fracture": disease.healed_fracture is not None,
    }
    names = {name for name, there in found.items() if there}
    return (names or {"normal"}) | ({"devices"} if disease.devices else set())


def cases(prevalence=None, count: int = CASES) -> list[Case]:
    return usual()[:count] if not prevalence else drawn_cases(prevalence, count)


@cache
def usual() -> list[Case]:
    """The patients of the shares that are not asked for, whom three tests look at."""
    return drawn_cases(None, 6000)


def drawn_cases(prevalence, count: int) -> list[Case]:
    chances = chances_of(prevalence)
    streams = (np.random.SeedSequence([77, index]).spawn(2) for index in range(count))
    return [draw_case(*map(np.random.default_rng, pair), chances) for pair in streams]


@pytest.mark.parametrize(
    "asked",
    [{}, {"pneumothorax": 0.3}, {"normal": 0.6, "lesion": 0.02}, {"heart failure": 0.5},
     {"normal": 0.0, "effusion": 1.0, "devices": 0.5}, NONE | {"opacity": 0.4},
     NONE | {"normal": 0.3, "effusion": 0.5, "fracture": 0.5}],
    ids=str,
)  # fmt: skip
def test_asking_for_a_share_gives_that_share(asked):
    counts = Counter(name for case in cases(asked) for name in drawn(case.disease))
    wanted = {**PREVALENCE, **asked}
    if "normal" not in asked and not sum(wanted[name] for name in RISKS) > 1:
        wanted["normal"] = 1 - sum(wanted[name] for name in RISKS)
    for name, share in wanted.items():
        spread = np.sqrt(share * (1 - share) / CASES)
        assert counts[name] / CASES == pytest.approx(share, abs=3.5 * spread + 1e-9), name


def test_diseases_go_with_age_sex_the_bedside_and_one_another():
    series = [(case, drawn(case.disease)) for case in cases(count=6000)]

    def share(name: str, among) -> float:
        chosen = [name in found for case, found in series if among(case, found)]
        assert len(chosen) > 300
        return float(np.mean(chosen))

    def old(case: Case, _: set[str]) -> bool:
        return case.patient.age > 65

    def young(case: Case, _: set[str]) -> bool:
        return case.patient.age < 45

    for name in ("heart failure", "cardiomegaly", "effusion", "lesion", "pleural thickening",
                 "emphysema", "hiatal hernia", "aortic calcification"):  # fmt: skip
        assert share(name, old) > 1.3 * share(name, young), name
    assert share("pneumothorax", old) < share("pneumothorax", young)

    def of(sex: str):
        return lambda case, _: case.patient.sex == sex

    assert share("pneumothorax", of("M")) > 1.3 * share("pneumothorax", of("F"))

    def at(view: View):
        return lambda case, _: case.exposure.view is view

    assert share("normal", at(View.PA)) > 2 * share("normal", at(View.AP))
    assert share("devices", at(View.AP)) > 2 * share("devices", at(View.PA))

    def having(name: str, there: bool = True):
        return lambda _, found: (name in found) == there

    for name in ("cardiomegaly", "effusion"):
        with_edema = share(name, having("heart failure"))
        assert with_edema > 2 * share(name, having("heart failure", False)), name
    broken = share("fracture", having("pneumothorax"))
    assert broken > 1.5 * share("fracture", having("pneumothorax", False))


def test_patients_are_as_published():
    """The means of patient.py's docstring, which names the sources."""
    patients: list[Patient] = [case.patient for case in cases(count=3000)]

    def mean(name: str, sex: str | None = None) -> float:
        return float(np.mean([getattr(p, name) for p in patients if sex in (None, p.sex)]))

    assert 278 < 2 * mean("width_mm", "M") < 296
    assert 251 < 2 * mean("width_mm", "F") < 271
    assert 0.42 < mean("cardiothoracic_ratio") < 0.466
    assert 9 < np.mean([p.lift_mm[0] for p in patients]) < 22
    knob = np.polyfit([p.age for p in patients], [2 * p.knob_mm for p in patients], 1)
    assert knob[0] == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize(
    ("asked", "message"),
    [({"normal": 0.9, "lesion": 0.5},
      r"with these prevalences 0 to 0.5 of all studies are normal, got normal=0.9"),
     (NONE | {"normal": 0.0, "lesion": 0.3}, r"0.7 to 0.7 of all studies are normal"),
     (NONE | {"normal": 0.0, "lesion": 0.5, "effusion": 0.5}, "leave no room for one another"),
     ({"lesion": "often"}, r"the prevalence of lesion must lie in \[0, 1\], got 'often'"),
     ({"gout": 0.1}, r"no such diseases: \['gout'\]; choose from normal, heart failure")],
)  # fmt: skip
def test_what_cannot_be_had_is_said(asked, message):
    with pytest.raises(InputError, match=message):
        chances_of(asked)
