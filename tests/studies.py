"""Studies of films that tests make up."""

from collections.abc import Sequence

import numpy.typing as npt

from plainfilm.core import Image, Study, View

VIEWS = (View.PA, View.LATERAL, View.OBLIQUE)


def study(*films: npt.NDArray, indication: str | None = None, id: str = "") -> Study:
    """Return a study of one or several films; the first is frontal, the second lateral."""
    images = tuple(
        Image(pixels=film, view=VIEWS[min(place, 2)]) for place, film in enumerate(films)
    )
    return Study(id=id, images=images, indication=indication)


def studies(films: Sequence[npt.NDArray], indications: Sequence[str | None] | None = None):
    """Return a study for each film."""
    told = indications or [None] * len(films)
    return [study(film, indication=text) for film, text in zip(films, told, strict=True)]
