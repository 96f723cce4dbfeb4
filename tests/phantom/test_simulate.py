"""One study from two numbers: the same everywhere, and what it must carry."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from plainfilm.core import InputError, Observation, Provenance, Status
from plainfilm.phantom import PREVALENCE, PhantomStudy, simulate
from plainfilm.phantom.reporting.truth import LEAST
from plainfilm.phantom.simulate import drawn_case, drawn_table

SIZE = 96
HEALTHY = {**dict.fromkeys(PREVALENCE, 0.0), "normal": 1.0}


def digest(phantom: PhantomStudy) -> str:
    image = phantom.study.images[0]
    masks = b"".join(name.encode() + mask.tobytes() for name, mask in phantom.masks.items())
    whole = image.pixels.tobytes() + masks + phantom.study.to_json().encode()
    return hashlib.sha256(whole).hexdigest()


def test_a_study_does_not_depend_on_what_was_simulated_before():
    first = [digest(simulate(3, index, SIZE)) for index in (0, 1, 2)]
    again = [digest(simulate(3, index, SIZE)) for index in (2, 1, 0)]
    assert first == again[::-1]
    assert len(set(first)) == 3
    assert digest(simulate(4, 0, SIZE)) != first[0]


def test_a_study_is_the_same_in_another_process():
    code = "from test_simulate import SIZE, digest, simulate\nprint(digest(simulate(5, 17, SIZE)))"
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parents[1] / "src")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "7"},
    )  # fmt: skip
    assert done.stdout.strip() == digest(simulate(5, 17, SIZE))


def test_another_size_shows_the_same_patient():
    small, large = simulate(8, 4, SIZE), simulate(8, 4, 2 * SIZE)
    assert small.case == large.case
    assert small.study.table == large.study.table
    coarse = large.study.images[0].pixels.reshape(SIZE, 2, SIZE, 2).mean(axis=(1, 3))
    assert np.corrcoef(coarse.ravel(), small.study.images[0].pixels.ravel())[0, 1] > 0.98


def test_what_is_drawn_is_the_same_without_a_film():
    asked = {"prevalence": {"effusion": 0.9}, "institution": "community"}
    for index in range(3):
        phantom = simulate(8, index, 32, **asked)
        assert drawn_case(8, index, **asked) == phantom.case
        assert drawn_table(8, index, **asked) == phantom.study.table


def test_a_study_says_that_it_is_simulated_and_carries_its_geometry():
    phantom = simulate(1, 2, SIZE)
    (image,) = phantom.study.images
    assert image.provenance is Provenance.SIMULATED
    assert image.shape == (SIZE, SIZE)
    assert image.view.frontal
    row, column = image.spacing_mm or (0, 0)
    assert row == column
    assert 250 < row * SIZE < 500  # a film of an adult's chest, in mm
    assert phantom.study.report is not None
    assert phantom.findings == phantom.study.report.statements
    assert {"age_years", "sex", "bnp_pg_per_ml"} < set(phantom.study.table)
    for mask in phantom.masks.values():
        assert mask.shape == (SIZE, SIZE)
        assert mask.dtype == bool


def test_a_lateral_film_is_added_and_changes_nothing_else():
    for index in range(3):
        one, two = simulate(3, index, SIZE), simulate(3, index, SIZE, views=("frontal", "lateral"))
        assert [str(image.view) for image in two.study.images][1:] == ["lateral"]
        assert two.study.images[0] == one.study.images[0]
        assert two.study.report == one.study.report
        assert (two.case, two.measures, two.truth) == (one.case, one.measures, one.truth)
        assert one.lateral_masks == {}
        assert set(two.lateral_masks) == set(two.masks)
        assert all(mask.shape == (SIZE, SIZE) for mask in two.lateral_masks.values())
        assert "and lateral" in (two.study.technique or "and lateral")


def test_the_picture_does_not_drift():
    """The shipped model was trained on these films: they may not change unnoticed."""
    found = []
    for index in (0, 1, 2, 3, 22):  # buttons lie on 3, electrodes on 22
        phantom = simulate(2026, index, 128)
        pixels = phantom.study.images[0].pixels
        found.append(
            [float(pixels.mean()), float(pixels.std()), float(pixels[40:90, 30:50].mean())]
        )
    np.testing.assert_allclose(found, PINNED, atol=2e-4)


def test_the_truth_does_not_drift():
    present = [
        [str(f.observation) for f in simulate(2026, index, 32).findings if f.status == "present"]
        for index in range(6)
    ]
    assert present == PINNED_PRESENT


def test_a_healthy_series_has_no_finding():
    for index in range(5):
        phantom = simulate(6, index, 64, prevalence=HEALTHY | {"devices": 0.0})
        present = {f.observation for f in phantom.findings if f.status is Status.PRESENT}
        assert present <= {Observation.NO_FINDING}


def test_prevalence_decides_what_is_drawn():
    only = {**dict.fromkeys(PREVALENCE, 0.0), "pneumothorax": 1.0}
    for index in range(5):
        phantom = simulate(6, index, 64, prevalence=only)
        assert phantom.case.disease.pneumothorax is not None
        drawn = {f.observation: f.status for f in phantom.truth}
        wide = phantom.case.disease.pneumothorax.rim_mm >= LEAST["pneumothorax_rim_mm"]
        assert drawn.get(Observation.PNEUMOTHORAX) is (Status.PRESENT if wide else None)
        said = {f.observation for f in phantom.findings if f.status is not Status.ABSENT}
        assert (Observation.PNEUMOTHORAX in said) != (Observation.NO_FINDING in said)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1, "index": 0}, "seed must be a whole number, 0 or more, got -1"),
        ({"seed": 1.5, "index": 0}, "seed must be a whole number, 0 or more, got 1.5"),
        ({"seed": 0, "index": "a"}, "index must be a whole number, 0 or more, got 'a'"),
        ({"seed": 0, "index": 0, "size": 8},
         "size must be a whole number, between 32 and 4096, got 8"),
        ({"seed": 0, "index": 0, "size": 100.5},
         "size must be a whole number, between 32 and 4096, got 100.5"),
        ({"seed": 0, "index": 0, "views": ("lateral",)},
         r"views must be \('frontal',\) or \('frontal', 'lateral'\), got \('lateral',\)"),
        ({"seed": 0, "index": 0, "prevalence": "lesion"}, "prevalence must map diseases to shares"),
        ({"seed": 0, "index": 0, "prevalence": {"lesion": "much"}},
         r"the prevalence of lesion must lie in \[0, 1\], got 'much'"),
        ({"seed": 0, "index": 0, "prevalence": {"gout": 1}}, r"no such diseases: \['gout'\]"),
        ({"seed": 0, "index": 0, "prevalence": {"lesion": 2}},
         r"the prevalence of lesion must lie in \[0, 1\], got 2"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        simulate(**arguments)


PINNED = [
    [0.613816, 0.293024, 0.382653],
    [0.667261, 0.303617, 0.5713],
    [0.511494, 0.200714, 0.214058],
    [0.601373, 0.239547, 0.26194],
    [0.638314, 0.323477, 0.464957],
]
PINNED_PRESENT = [
    ["No Finding"],
    ["Other"],
    ["Support Devices", "No Finding"],
    ["No Finding"],
    ["No Finding"],
    ["No Finding"],
]
