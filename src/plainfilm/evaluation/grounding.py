"""Grounding scored against the truth, and the test whether a model uses its maps.

:func:`score_grounding` asks three things of statements that were held against maps, on a data set
whose truth is known: does the map lie where the finding truly is; does *supported* predict *true*,
and is it calibrated; and are the findings that are possibly missed there.

:func:`counterfactual` changes one finding's map, drafts again, and looks whether its sentence
follows: the map deleted, the map moved to the other side, and as a control another structure's map
deleted. Film and feature stay as they are, so a sentence that stays was written from these.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

import numpy as np

from plainfilm.core import Finding, InputError, Report, Side, Status, Study, Verdict
from plainfilm.core.study import Maps
from plainfilm.data import Dataset
from plainfilm.data.dataset import Row
from plainfilm.data.derived import SEGMENTER, TRUTH
from plainfilm.data.examples import teachable
from plainfilm.evaluation.drafting import BATCH
from plainfilm.grounding.maps import (
    OBJECT,
    PATHOLOGY,
    FilmMaps,
    choose_maps,
    ground,
    own_classes,
    superclass_of,
    threshold_of,
)
from plainfilm.pipeline import ReportModel
from plainfilm.text import read
from plainfilm.text.matching import Kind, match
from plainfilm.text.statements import gather

BINS = 10
"""Of the calibration plot."""
_SHOWN = 20
"""Examples that are kept of the counterfactual test."""


@dataclass
class Place:
    """How well maps lie on the truth, summed over statements: soft intersection over each."""

    shared: float = 0.0
    drawn: float = 0.0
    true: float = 0.0

    def values(self) -> dict[str, float | None]:
        """Return precision and recall of the place."""
        return {
            "precision": self.shared / self.drawn if self.drawn else None,
            "recall": self.shared / self.true if self.true else None,
        }


@dataclass
class GroundingScores:
    """What :func:`score_grounding` found."""

    source: str
    studies: int = 0
    verdicts: dict[str, dict[str, int]] = field(
        default_factory=lambda: {str(one): {"true": 0, "false": 0} for one in Verdict}
    )
    """Verdict → how many statements are true and false."""
    place: Place = field(default_factory=Place)
    by_class: dict[str, Place] = field(default_factory=dict)
    pairs: list[tuple[float, bool]] = field(default_factory=list)
    """Of each statement of something present that has a map: the map's greatest value, and whether
    the statement is true."""
    missed: dict[str, int] = field(
        default_factory=lambda: {"flagged": 0, "flagged and there": 0, "there and unsaid": 0}
    )

    def to_dict(self) -> dict[str, Any]:
        """Return the scores, ready for JSON."""
        told = {name: sum(one.values()) for name, one in self.verdicts.items()}
        total = sum(told.values())
        true = sum(one["true"] for one in self.verdicts.values())
        flagged, there, unsaid = self.missed.values()
        return {
            "source": self.source,
            "studies": self.studies,
            "statements": total,
            "true": true / total if total else None,
            "verdicts": self.verdicts,
            "true_if": {
                name: one["true"] / told[name] if told[name] else None
                for name, one in self.verdicts.items()
            },
            "true_if_interval": {
                name: wilson(one["true"], told[name]) for name, one in self.verdicts.items()
            },
            "place": self.place.values(),
            "place_by_class": {name: one.values() for name, one in sorted(self.by_class.items())},
            "calibration": calibration(self.pairs),
            "expected_calibration_error": calibration_error(self.pairs),
            "possibly_missed": {
                **self.missed,
                "precision": there / flagged if flagged else None,
                "recall": there / unsaid if unsaid else None,
            },
        }


def score_grounding(
    model: ReportModel,
    dataset: Dataset,
    source: str,
    *,
    split: str = "test",
    limit: int | None = None,
    threshold: float | None = None,
) -> GroundingScores:
    """Draft a split's reports, hold them against maps, and score that against the truth.

    Args:
        model: drafts the reports.
        dataset: with true maps (``plainfilm maps --source truth``) and those of ``source``.
        source: of the maps; ``segmenter`` for the shipped one's.
        split: of the data set.
        limit: only the first so many studies.
        threshold: from which value on a cell of a map shows something.

    Raises:
        DatasetError: maps were not made.
    """
    from plainfilm.vision.segmenter import SHIPPED

    source = SHIPPED.name if source == SEGMENTER else source
    rows = teachable(dataset.split(split), model.card.target)[:limit]
    scores = GroundingScores(source)
    reads = {*model.family.reads(model.processor), f"maps/{source}", f"maps/{TRUTH}"}
    for first in range(0, len(rows), BATCH):
        batch = rows[first : first + BATCH]
        studies = [dataset.study(row, derived=reads) for row in batch]
        bare = [study.model_copy(update={"report": None}) for study in studies]
        drafts = list(model.reports(bare, batch_size=BATCH))
        for row, study, draft in zip(batch, studies, drafts, strict=True):
            _score_one(scores, row, study, draft.statements, source, threshold, model.card.language)
    return scores


def _score_one(
    scores: GroundingScores,
    row: Row,
    study: Study,
    said: Sequence[Finding],
    source: str,
    threshold: float | None,
    language: str,
) -> None:
    scores.studies += 1
    truth_maps, maps = choose_maps(study, TRUTH), choose_maps(study, source)
    if threshold is None:
        threshold = threshold_of(source)
    shown, true = FilmMaps(maps, threshold), FilmMaps(truth_maps, threshold_of(TRUTH))
    report = ground(Report(statements=tuple(said)), maps, threshold=threshold)
    known = _truth(row, study, language)
    right = true_statements(known, said)
    for finding, held, correct in zip(said, report.grounding, right, strict=True):
        if correct is None:
            continue
        scores.verdicts[held.verdict]["true" if correct else "false"] += 1
        if finding.status is Status.ABSENT:
            continue
        names = [name for name in own_classes(finding) if name in shown.values]
        if names:
            sure = max(float(shown.half(shown.values[n], finding.side).max()) for n in names)
            scores.pairs.append((sure, correct))
        if held.verdict is Verdict.SUPPORTED:
            for name in names:
                if name in true.values:
                    drawn = shown.half(shown.values[name], finding.side)
                    there = true.half(true.values[name], finding.side)
                    _add(scores, name, drawn, there)
    said_names = {name for one in said if one.status is not Status.ABSENT
                  for name in own_classes(one)}  # fmt: skip
    flagged = {one.map_class for one in report.possibly_missed}
    present = {name for name in true.told() if true.shows(name)} & set(shown.values)
    scores.missed["flagged"] += len(flagged)
    scores.missed["flagged and there"] += len(flagged & present)
    scores.missed["there and unsaid"] += len(present - said_names)


def _add(scores: GroundingScores, name: str, drawn: Any, there: Any) -> None:
    shared = float(np.minimum(drawn, there).sum())
    for place in (scores.place, scores.by_class.setdefault(name, Place())):
        place.shared += shared
        place.drawn += float(drawn.sum())
        place.true += float(there.sum())


def _truth(row: Row, study: Study, language: str) -> Sequence[Finding]:
    if row.statements is not None:
        return row.statements
    return read(study.report.text if study.report else "", language=language)


def true_statements(truth: Sequence[Finding], said: Sequence[Finding]) -> list[bool | None]:
    """Return for each statement whether it is true; None for one that leaves open what it says.

    A finding is true where the truth has it and not at another side or place; a denial where the
    truth doesn't have it.
    """
    found = match(gather(truth), gather(said))
    _, marks = found.marks()
    elsewhere = {
        index for one in found.differences if one.kind is Kind.PLACE for index in one.prediction
    }
    right: list[bool | None] = []
    for index, (finding, mark) in enumerate(zip(said, marks, strict=True)):
        word = None if mark is None else mark.word
        if index in found.prediction.open:
            right.append(None)
        elif finding.status is Status.ABSENT:
            right.append(word != "contradicted")
        else:
            right.append(word in ("agrees", "differs") and index not in elsewhere)
    return right


def calibration(pairs: Sequence[tuple[float, bool]]) -> list[dict[str, float]]:
    """Return for each bin of confidence its mean, the share of true statements, and how many."""
    found = []
    for number in range(BINS):
        inside = [
            (sure, correct) for sure, correct in pairs
            if number == min(int(sure * BINS), BINS - 1)
        ]  # fmt: skip
        if inside:
            found.append(
                {
                    "confidence": sum(sure for sure, _ in inside) / len(inside),
                    "true": sum(correct for _, correct in inside) / len(inside),
                    "statements": len(inside),
                }
            )
    return found


def calibration_error(pairs: Sequence[tuple[float, bool]]) -> float | None:
    """Return the expected calibration error (Naeini et al. 2015); None without statements."""
    if not pairs:
        return None
    bins = calibration(pairs)
    off = sum(abs(one["confidence"] - one["true"]) * one["statements"] for one in bins)
    return off / len(pairs)


def wilson(count: int, total: int) -> tuple[float, float] | None:
    """Return Wilson's 95 % interval of a share; None of nothing."""
    if not total:
        return None
    z, share = 1.96, count / total
    centre = share + z * z / (2 * total)
    width = z * sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return max(0.0, (centre - width) / scale), min(1.0, (centre + width) / scale)


CHANGES = {
    "deleted": "the finding's map deleted: the statement goes",
    "moved": "the finding's map moved to the other side: the statement's side follows",
    "control": "another structure's map deleted: the statement stays",
}
"""What is done to a map, and what follows where a model uses it."""


def counterfactual(
    model: ReportModel,
    dataset: Dataset,
    *,
    split: str = "test",
    limit: int | None = None,
) -> dict[str, Any]:
    """Return whether a model's sentences follow changes of the maps that it reads.

    Of each study the first supported statement of a finding with a map is taken.

    Args:
        model: reads maps.
        dataset: has them.
        split: of the data set.
        limit: only the first so many studies.

    Raises:
        InputError: the model reads no maps.
    """
    source = model.own_maps
    if source is None:
        raise InputError(f"{model.card.name} reads no maps: there is nothing to change")
    rows = teachable(dataset.split(split), model.card.target)[:limit]
    followed = {name: [0, 0] for name in CHANGES}
    examples: list[dict[str, Any]] = []
    reads = set(model.family.reads(model.processor)) | {f"maps/{source}"}
    for first in range(0, len(rows), BATCH):
        studies = [
            dataset.study(row, derived=reads).model_copy(update={"report": None})
            for row in rows[first : first + BATCH]
        ]
        drafts = list(model.reports(studies, batch_size=BATCH, ground=source))
        cases = [case for study, draft in zip(studies, drafts, strict=True)
                 for case in _cases(study, draft.statements, draft.grounding, source)]  # fmt: skip
        again = list(model.reports([case.study for case in cases], batch_size=BATCH))
        for case, draft in zip(cases, again, strict=True):
            follows = case.followed(draft.statements)
            followed[case.change][0] += follows
            followed[case.change][1] += 1
            if len(examples) < _SHOWN:
                examples.append(
                    {
                        "study": case.study.id,
                        "change": case.change,
                        "statement": case.finding.sentence,
                        "follows": follows,
                        "draft": draft.text,
                    }
                )
    return {
        "source": source,
        "studies": len(rows),
        "changes": {
            name: {
                "meaning": CHANGES[name],
                "followed": count,
                "of": total,
                "share": count / total if total else None,
                "interval": wilson(count, total),
            }
            for name, (count, total) in followed.items()
        },
        "examples": examples,
    }


@dataclass(frozen=True)
class _Case:
    """A study one of whose maps was changed."""

    change: str
    study: Study
    finding: Finding

    def followed(self, statements: Sequence[Finding]) -> bool:
        """Return whether a new draft does what the change asks."""
        same = [
            one for one in statements
            if one.status is not Status.ABSENT and one.observation is self.finding.observation
        ]  # fmt: skip
        side = self.finding.side
        here = [one for one in same if side is None or one.side in (None, side, Side.BILATERAL)]
        if self.change == "deleted":
            return not here
        if self.change == "control":
            return bool(here)
        other = Side.RIGHT if side is Side.LEFT else Side.LEFT
        return any(one.side is other for one in same) and not any(
            one.side in (side, Side.BILATERAL) for one in same
        )


def _cases(
    study: Study, statements: Sequence[Finding], grounding: Sequence[Any], source: str
) -> Iterator[_Case]:
    maps = choose_maps(study, source)
    for finding, held in zip(statements, grounding, strict=True):
        names = [name for name in own_classes(finding) if name in maps.classes]
        if finding.status is Status.ABSENT or held.verdict is not Verdict.SUPPORTED or not names:
            continue
        yield _Case("deleted", _with(study, maps, change(maps, names, "delete")), finding)
        if finding.side in (Side.LEFT, Side.RIGHT):
            yield _Case("moved", _with(study, maps, change(maps, names, "mirror")), finding)
        others = [
            name for name, values in zip(maps.classes, maps.values, strict=True)
            if values.any() and name not in names and name not in (PATHOLOGY, OBJECT)
        ]  # fmt: skip
        if others:
            chosen = others[zlib.crc32(study.id.encode()) % len(others)]
            yield _Case("control", _with(study, maps, change(maps, [chosen], "delete")), finding)
        return


def change(maps: Maps, names: Sequence[str], how: str) -> Maps:
    """Return maps of which some were deleted, or mirrored about the film's middle.

    What lies in the map of all findings because of them goes along.

    Args:
        maps: of a film.
        names: which to change.
        how: ``delete`` or ``mirror``.
    """
    values = np.array(maps.values)
    places = {name: place for place, name in enumerate(maps.classes)}
    changed = [places[name] for name in names]
    before = values[changed].max(axis=0)
    values[changed] = values[changed][:, :, ::-1] if how == "mirror" else 0
    for whole in (PATHOLOGY, OBJECT):
        if whole not in places:
            continue
        parts = [place for name, place in places.items()
                 if place not in changed and superclass_of(name) == whole]  # fmt: skip
        if not any(superclass_of(name) == whole for name in names):
            continue
        rest = values[parts].max(axis=0) if parts else np.zeros_like(before)
        alone = np.minimum(values[places[whole]], rest)
        values[places[whole]] = np.where(before > 0, alone, values[places[whole]])
        if how == "mirror":
            moved = values[changed].max(axis=0)
            values[places[whole]] = np.maximum(values[places[whole]], moved)
    return maps.model_copy(update={"values": values})


def _with(study: Study, old: Maps, new: Maps) -> Study:
    maps = tuple(new if one is old else one for one in study.maps)
    return study.model_copy(update={"maps": maps})


def summary(values: Mapping[str, Any]) -> list[str]:
    """Return the lines that are printed of :meth:`GroundingScores.to_dict`."""

    def number(value: float | None) -> str:
        return "–" if value is None else f"{value:.3f}"

    lines = [
        f"{values['statements']} statements of {values['studies']} drafts, maps of "
        f"{values['source']}; true of all: {number(values['true'])}"
    ]
    for name, counts in values["verdicts"].items():
        interval = values["true_if_interval"][name]
        span = f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""
        lines.append(
            f"{name}: {sum(counts.values())}; true of these {number(values['true_if'][name])}{span}"
        )
    place, missed = values["place"], values["possibly_missed"]
    lines.append(
        f"place of what is supported: precision {number(place['precision'])}, recall "
        f"{number(place['recall'])}"
    )
    lines.append(
        f"possibly missed: {missed['flagged']}; of them there {number(missed['precision'])}; of "
        f"what is there and unsaid {number(missed['recall'])}"
    )
    lines.append(f"expected calibration error: {number(values['expected_calibration_error'])}")
    return lines
