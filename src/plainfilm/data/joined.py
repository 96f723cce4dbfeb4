"""Several prepared datasets, read as one: training on many institutions' collections at once."""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence

from plainfilm import __version__
from plainfilm.core import DatasetError, Image, Study
from plainfilm.data.dataset import DataCard, Dataset, Row, study_ids
from plainfilm.data.masks import Mask
from plainfilm.data.splits import SPLITS


class Joined(Dataset):
    """Datasets one after the other; each keeps its splits, institutions and films.

    Args:
        datasets: at least one.

    Raises:
        DatasetError: two have a study of the same id, or they differ in language.
    """

    def __init__(self, datasets: Sequence[Dataset]) -> None:
        self.datasets = tuple(datasets)
        first = self.datasets[0]
        self.path = self.films = first.path
        self.card = _card(self.datasets)
        self.rows = [row for one in self.datasets for row in one.rows]
        self._owners: dict[str, Dataset] = {}
        for one in self.datasets:
            for study_id in study_ids(one.rows):
                if study_id in self._owners:
                    raise DatasetError(
                        f"{self._owners[study_id].path} and {one.path} both have a study "
                        f"{study_id!r}: give one of them other ids"
                    )
                self._owners[study_id] = one

    @property
    def parts(self) -> tuple[Dataset, ...]:
        """See the base class."""
        return self.datasets

    def owner(self, row: Row) -> Dataset:
        """Return the dataset that a row is of."""
        return self._owners[row.study_id]

    def image(self, row: Row, index: int = 0) -> Image:
        """See the base class."""
        return self.owner(row).image(row, index)

    def masks(self, row: Row, index: int = 0) -> dict[str, Mask]:
        """See the base class."""
        return self.owner(row).masks(row, index)

    def structures(self, row: Row) -> dict[str, Mask]:
        """See the base class."""
        return self.owner(row).structures(row)

    def study(
        self,
        row: Row,
        *,
        film: Callable[[Row, int], Image] | None = None,
        views: int | None = None,
        prior: bool = True,
        derived: Collection[str] = (),
    ) -> Study:
        """See the base class."""
        return self.owner(row).study(row, film=film, views=views, prior=prior, derived=derived)


def _card(datasets: Sequence[Dataset]) -> DataCard:
    cards = [one.card for one in datasets]
    languages = dict.fromkeys(card.language for card in cards)
    if len(languages) > 1:
        raise DatasetError(
            f"the datasets' reports are in {', '.join(languages)}: give one language"
        )
    digest = hashlib.sha256("\n".join(card.fingerprint for card in cards).encode())
    return DataCard(
        source={"kind": "joined", "fingerprints": [card.fingerprint for card in cards]},
        description="; ".join(card.description for card in cards),
        licence="; ".join(dict.fromkeys(card.licence for card in cards)),
        simulated=all(card.simulated for card in cards),
        language=cards[0].language,
        plainfilm=__version__,
        studies={split: sum(card.studies.get(split, 0) for card in cards) for split in SPLITS},
        skipped={},
        fingerprint=cards[0].fingerprint if len(cards) == 1 else digest.hexdigest(),
    )


def weights_of(
    dataset: Dataset, rows: Sequence[Row], weights: Mapping[Dataset, float]
) -> list[float]:
    """Return how often each row is shown, relative to one of weight 1.

    Args:
        dataset: perhaps joined.
        rows: some of its rows.
        weights: of its parts.
    """
    if not isinstance(dataset, Joined):
        return [1.0] * len(rows)
    return [weights[dataset.owner(row)] for row in rows]
