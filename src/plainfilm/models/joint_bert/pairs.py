"""Films and reports that belong together, or not, for image-report matching."""

from copy import copy
from dataclasses import replace

from plainfilm.data.examples import Example, Examples


class PairedExamples(Examples):
    """Half of the studies with another one's report, whose labels differ; frontal films alone."""

    def __init__(self, examples: Examples) -> None:
        self.__dict__.update(copy(examples).__dict__)
        self.views = 1

    def __getitem__(self, index: int) -> Example:
        rng = self.rng(index)
        told = self.another(index, rng) if rng.random() < 0.5 else index
        own = super().__getitem__(index)
        return replace(own, report=self.reports[told], rng=rng, matched=told == index)
