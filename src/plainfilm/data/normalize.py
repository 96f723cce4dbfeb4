"""From values of unknown range to [0, 1]."""

import numpy as np
import numpy.typing as npt

from plainfilm.core import Pixels

PERCENTILES = (0.5, 99.5)
"""What becomes black and white where nothing says so: robust against markers and dead pixels."""


def stretch(
    values: npt.NDArray[np.floating], counted: npt.NDArray[np.bool_] | None = None
) -> Pixels:
    """Return ``values`` scaled linearly so that their percentiles 0.5 and 99.5 become 0 and 1.

    Args:
        values: any shape.
        counted: where the percentiles are taken (padding left out); everywhere without it.

    Values of one grey level become 0.
    """
    sample = values if counted is None else values[counted]
    if sample.size > 1_000_000:
        sample = sample.ravel()[:: sample.size // 500_000]
    low, high = np.percentile(sample, PERCENTILES)
    if high <= low:  # more than 99 % one value: the whole range, if there is any
        low, high = float(sample.min()), float(sample.max())
    if high <= low:
        return np.zeros(values.shape, dtype=np.float32)
    return np.asarray(((values - low) / (high - low)).clip(0, 1), dtype=np.float32)
