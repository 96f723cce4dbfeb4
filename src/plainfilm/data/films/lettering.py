"""Text that is burned into a picture: small marks of one brightness, side by side on a line.

A letter R or L at the side of a film is a mark that belongs there; a line of letters may be a name.
"""

import numpy as np
import numpy.typing as npt

from plainfilm.core import Pixels

_BRIGHT = 0.97
"""Of the picture's greatest value: letters are drawn in white."""
_MOST_BRIGHT = 0.03
"""Share of the picture beyond which white is not lettering but what the film shows."""
_SMALLEST, _LARGEST = 6, 80
"""Height of a letter, pixels."""
_FEWEST = 5
"""Letters of a line."""


def lines_of_text(pixels: Pixels) -> int:
    """Return how many lines of at least five letters are burned into ``(height, width)`` pixels."""
    white = pixels >= _BRIGHT * pixels.max()
    if not 0 < white.mean() < _MOST_BRIGHT:
        return 0
    from scipy import ndimage  # 0.1 s, for films that have something white

    parts, _ = ndimage.label(white, np.ones((3, 3)))
    boxes = np.array(
        [(y.start, y.stop, x.start, x.stop) for y, x in ndimage.find_objects(parts)]
    ).reshape(-1, 4)
    heights, widths = boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2]
    letters = boxes[
        (heights >= _SMALLEST) & (heights <= _LARGEST) & (widths <= 2 * heights) & (widths >= 1)
    ]
    return _lines(letters[letters[:, 2].argsort()])


def _lines(letters: npt.NDArray[np.intp]) -> int:
    """Return how many rows of letters there are; each is ``(top, bottom, left, right)``, sorted."""
    open_lines: list[tuple[npt.NDArray[np.intp], int]] = []
    for letter in letters:
        top, bottom, left, _ = letter
        height = bottom - top
        for place, (last, count) in enumerate(open_lines):
            gap = left - last[3]
            same_line = (
                abs(bottom - last[1]) <= 0.35 * height and abs(top - last[0]) <= 0.5 * height
            )
            if same_line and -0.3 * height <= gap <= 1.5 * height:
                open_lines[place] = (letter, count + 1)
                break
        else:
            open_lines.append((letter, 1))
    return sum(count >= _FEWEST for _, count in open_lines)
