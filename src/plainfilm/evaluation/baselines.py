"""Baseline rows from the clinical context alone, and from perfect vision.

*Indication only* and *table only* never see a film. Each fits one logistic regression per
observation on the training split (on the words of the indication; on the values of the clinical
table and which of them were measured), thresholds its probabilities for the highest F1 on the
training split, and copies a training report with exactly these observations. If such a row comes
close to a model, the model may rely on its prompt instead of the film.

*Perfect vision* (simulated studies only) knows the truth and writes it in the institution's style,
with its own choice of words; *perfect vision, another institution* knows it too but writes in
another institution's style. The difference between them is the cost of not knowing the style.
"""

import itertools
import re
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from plainfilm.core import Finding, InputError, UncertaintyPolicy, View, binarize
from plainfilm.data import Row
from plainfilm.data.examples import target_report
from plainfilm.text import labels

INDICATION, TABLE, BOTH = "indication only", "table only", "indication and table only"
VISION, VISION_ELSEWHERE = "perfect vision", "perfect vision, another institution"

Floats = npt.NDArray[np.float64]
RAREST_WORD = 5
"""Minimum number of training indications with a word or pair of words; rarer ones are ignored."""
PENALTY = 3.0
"""Weight of the L2 penalty in the logistic regressions, on standardised features."""


def blind_answers(
    training: Sequence[Row],
    tests: Sequence[Row],
    target: str,
    language: str = "en",
    names: Sequence[str] = (INDICATION, TABLE),
) -> dict[str, dict[str, str]]:
    """Return the predictions of the context-only rows: name → study id → a training report.

    Args:
        training: studies whose reports are learned from and copied.
        tests: studies to predict.
        target: the scored part of the report.
        language: language of the reports.
        names: rows to compute, keys of :data:`FEATURES`.
    """
    texts = [target_report(row, target).text for row in training]
    truth = report_labels(texts, language)
    answers = {}
    for name in names:
        known, asked = FEATURES[name](training, tests)
        chances = [_chances(known, truth, rows) for rows in (known, asked)]
        wanted = chances[1] >= _thresholds(chances[0], truth)
        chosen = _matching(wanted, truth, texts)
        answers[name] = {
            row.study_id: texts[index] for row, index in zip(tests, chosen, strict=True)
        }
    return answers


def blind_chances(
    training: Sequence[Row], tests: Sequence[Row], target: str, language: str = "en"
) -> dict[str, Floats]:
    """Return each context-only row's probabilities of observations: name → ``(tests, 14)``."""
    truth = report_labels([target_report(row, target).text for row in training], language)
    return {
        name: _chances(known, truth, asked)
        for name, (known, asked) in (
            (name, features(training, tests)) for name, features in FEATURES.items()
        )
    }


def report_labels(texts: Sequence[str], language: str = "en") -> npt.NDArray[np.bool_]:
    """Return whether each report calls an observation present or possible, ``(reports, 14)``."""
    read = {text: labels(text, language=language) for text in set(texts)}
    return np.array([binarize(read[text], UncertaintyPolicy.POSITIVE) for text in texts])


def _words(training: Sequence[Row], tests: Sequence[Row]) -> tuple[Floats, Floats]:
    """Return indicators of the words and pairs of words in training and test indications."""
    said = [[_terms(row.indication or "") for row in rows] for rows in (training, tests)]
    counts = Counter(term for terms in said[0] for term in terms)
    often = sorted(term for term, number in counts.items() if number >= RAREST_WORD)
    place = {term: i for i, term in enumerate(often)}
    matrices = []
    for rows in said:
        matrix = np.zeros((len(rows), len(place)))
        for i, terms in enumerate(rows):
            matrix[i, [place[term] for term in terms if term in place]] = 1
        matrices.append(matrix)
    return _standardised(matrices[0], matrices[1])


def _terms(text: str) -> set[str]:
    words = re.findall(r"\w+", text.lower()) or ["(nothing)"]
    return {*words, *(" ".join(pair) for pair in itertools.pairwise(words))}


def _values(training: Sequence[Row], tests: Sequence[Row]) -> tuple[Floats, Floats]:
    """Return features of training and test tables: the values (the mean if missing), their squares,
    and which were measured; values that span orders of magnitude enter as logarithms."""
    names = sorted({name for row in training for name in row.table})
    columns: list[list[Floats]] = [[], []]
    for name in names:
        cells = [[row.table.get(name) for row in rows] for rows in (training, tests)]
        for kind in sorted({cell for cell in cells[0] if isinstance(cell, str)}):
            for i in (0, 1):
                columns[i].append(np.array([cell == kind for cell in cells[i]], dtype=np.float64))
        numbers = [_numbers(one) for one in cells]
        if not np.isfinite(numbers[0]).any():
            continue
        low, high = np.nanpercentile(numbers[0], [5, 95])
        if low > 0 and high > 5 * low:
            numbers = [np.log(np.maximum(one, low / 10)) for one in numbers]
        mean, spread = np.nanmean(numbers[0]), np.nanstd(numbers[0]) or 1.0
        for i in (0, 1):
            there = np.isfinite(numbers[i])
            value = np.where(there, (numbers[i] - mean) / spread, 0.0)
            columns[i] += [value, np.square(value) * there, there.astype(np.float64)]
    empty = [np.zeros((len(rows), 0)) for rows in (training, tests)]
    known, asked = (
        np.stack(one, axis=1) if one else none for one, none in zip(columns, empty, strict=True)
    )
    return _standardised(known, asked)


def _both(training: Sequence[Row], tests: Sequence[Row]) -> tuple[Floats, Floats]:
    words, values = _words(training, tests), _values(training, tests)
    return np.hstack([words[0], values[0]]), np.hstack([words[1], values[1]])


FEATURES: Mapping[str, Callable[[Sequence[Row], Sequence[Row]], tuple[Floats, Floats]]] = {
    INDICATION: _words,
    TABLE: _values,
    BOTH: _both,
}
"""Name of a context-only row → its features of training and test studies."""


def _numbers(cells: Sequence[float | str | None]) -> Floats:
    return np.array([cell if isinstance(cell, int | float) else np.nan for cell in cells])


def _standardised(known: Floats, asked: Floats) -> tuple[Floats, Floats]:
    mean, spread = known.mean(axis=0), known.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    return (known - mean) / spread, (asked - mean) / spread


def _chances(known: Floats, truth: npt.NDArray[np.bool_], asked: Floats) -> Floats:
    """Return each observation's probability for ``asked``, by one logistic regression each."""
    columns = [asked @ weights + bias for weights, bias in (_fit(known, y) for y in truth.T)]
    return 1 / (1 + np.exp(-np.stack(columns, axis=1)))


def _fit(features: Floats, present: npt.NDArray[np.bool_]) -> tuple[Floats, float]:
    """Return weights and bias of a ridge-penalised logistic regression, by Newton's method."""
    design = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    penalty = np.full(design.shape[1], PENALTY)
    penalty[-1] = 1e-3
    beta = np.zeros(design.shape[1])
    for _ in range(25):
        chance = 1 / (1 + np.exp(-np.clip(design @ beta, -30, 30)))
        slope = design.T @ (chance - present) + penalty * beta
        curvature = (design * (chance * (1 - chance))[:, None]).T @ design + np.diag(penalty)
        step = np.linalg.solve(curvature, slope)
        beta = beta - step
        if np.abs(step).max() < 1e-6:
            break
    return beta[:-1], float(beta[-1])


def _thresholds(chances: Floats, truth: npt.NDArray[np.bool_]) -> Floats:
    """Return for each observation the probability threshold with the best F1."""
    best = np.ones(truth.shape[1])
    for column in range(truth.shape[1]):
        order = np.argsort(-chances[:, column])
        hits = np.cumsum(truth[order, column])
        f1 = 2 * hits / (np.arange(1, len(order) + 1) + truth[:, column].sum())
        best[column] = chances[order[int(f1.argmax())], column] if hits[-1] else np.inf
    return best


def _matching(
    wanted: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_], texts: Sequence[str]
) -> list[int]:
    """Return for each set of observations the index of a report with that set, or else with the
    closest one; among several, of the most common text."""
    common = Counter(texts)
    order = sorted(range(len(texts)), key=lambda i: -common[texts[i]])
    known = truth[order]
    found = {}
    for row in {tuple(row) for row in wanted.tolist()}:
        found[row] = order[int((known != np.array(row)).sum(axis=1).argmin())]
    return [found[tuple(row)] for row in wanted.tolist()]


def vision_answers(
    rows: Sequence[Row], priors: Mapping[str, Row], target: str, language: str = "en"
) -> dict[str, dict[str, str]]:
    """Return the predictions of perfect vision, in the institution's style and in another's.

    The other institution is one of those in ``rows``, or, if these have only one, of all seen
    institutions. Reports are sampled anew from the truth: radiologists differ in what they mention
    and in words, so that even this row does not reach 1.

    Args:
        rows: simulated studies, with their truth, measures and institution.
        priors: study id → row of the earlier studies that ``rows`` name.
        target: the scored part of the report.
        language: language of the reports.

    Raises:
        InputError: a study has no truth or no institution.
    """
    from plainfilm.phantom.reporting.institutions import INSTITUTIONS, SEEN

    there = sorted({row.institution for row in rows if row.institution})
    names = there if len(there) > 1 else list(SEEN)
    answers: dict[str, dict[str, str]] = {VISION: {}, VISION_ELSEWHERE: {}}
    for row in rows:
        own = row.institution
        if row.truth is None or row.measures is None or own not in INSTITUTIONS or own is None:
            raise InputError(f"{row.study_id} is no simulated study: its truth is not known")
        seed = zlib.crc32(row.study_id.encode())
        others = [name for name in names if name != own]
        elsewhere = others[seed % len(others)]
        for name, institution in ((VISION, own), (VISION_ELSEWHERE, elsewhere)):
            answers[name][row.study_id] = _told(
                row, priors.get(row.prior_study_id or ""), institution, target, language, seed
            )
    return answers


def _told(
    row: Row, prior: Row | None, institution: str, target: str, language: str, seed: int
) -> str:
    """Return a report of a study's truth in an institution's style."""
    from plainfilm.core import Report
    from plainfilm.phantom.reporting.change import Seen
    from plainfilm.phantom.reporting.institutions import INSTITUTIONS
    from plainfilm.phantom.reporting.mention import Earlier
    from plainfilm.phantom.reporting.tell import tell

    def seen(one: Row) -> Seen:
        return Seen(tuple(one.truth or ()), dict(one.measures or {}), View(one.views[0]))

    said: tuple[Finding, ...] = tuple(prior.statements or ()) if prior else ()
    report = tell(
        np.random.default_rng([seed, 1]),
        seen(row),
        dict(row.table),
        INSTITUTIONS[institution],
        language=language,
        before=Earlier(seen(prior), said) if prior else None,
    )
    impression = report.impression if target == "findings+impression" else ""
    return Report(findings=report.findings, impression=impression).text
