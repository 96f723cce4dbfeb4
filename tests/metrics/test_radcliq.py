"""RadCliQ-v1 at the published model's reference values."""

import math

import numpy as np
import pytest

from plainfilm.core import MetricError
from plainfilm.metrics.radcliq import radcliq_v1


@pytest.mark.parametrize(
    ("parts", "expected"),
    [((1, 1, 1, 1), -1.440690), ((0, 0, 0, 0), 2.450143), ((0.5, 1, 1, 1), -0.818082)],
)
def test_reference_values(parts, expected):
    assert float(radcliq_v1(*parts)) == pytest.approx(expected, abs=5e-7)


def test_each_report_by_itself():
    values = radcliq_v1([1, 0, math.nan], [1, 0, 1], [1, 0, 1], [1, 0, 1])
    np.testing.assert_allclose(values[:2], [-1.440690, 2.450143], atol=5e-7)
    assert math.isnan(values[2])


def test_parts_of_unequal_length():
    message = r"one value for each report, got radgraph \(2,\), bertscore \(1,\)"
    with pytest.raises(MetricError, match=message):
        radcliq_v1([1, 1], [1], [1, 1], [1, 1])
