"""What ``plainfilm evaluate --output`` draws from its folder: plots, and a page of errors."""

import json
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plainfilm.core import OBSERVATIONS, InputError, Score, errors_as, write_atomically

if TYPE_CHECKING:
    from plainfilm.data import Dataset
    from plainfilm.evaluation.error_page import Film
    from plainfilm.evaluation.plots import Bar, Lengths
    from plainfilm.metrics.error_table import ErrorTable
    from plainfilm.metrics.pairs import Pairs

_CLASS_MEASURES = ("macro-f1-14", "micro-f1-14", "weighted-f1-14", "macro-f1-5", "micro-f1-5")
"""Metrics whose parts are F1 by observation, in order of preference."""


_FILM_SIDE = 320  # pixels of a film on the page of errors


def write_pages(folder: Path, dataset: "Dataset | None" = None) -> list[Path]:
    """Write the plots and ``errors.html`` of a run folder into it, and return their paths.

    Args:
        folder: what ``plainfilm evaluate --output`` wrote.
        dataset: where the films of its studies are, for the page.

    Raises:
        InputError: the folder lacks a file of ``plainfilm evaluate --output``.
    """
    from plainfilm.metrics import align
    from plainfilm.metrics.error_table import error_table
    from plainfilm.metrics.files import read_systems

    written = write_plots(folder, folder / "plots")
    truth, systems = read_systems(folder)
    shares = _error_shares(folder)
    one = next(iter(next(iter(shares.values())).values()))
    language = one.signature.language or "en"
    pairs = {name: align(truth, said, language=language) for name, said in systems.items()}
    errors = {name: error_table(one) for name, one in pairs.items()}
    page = folder / "errors.html"
    films = {} if dataset is None else films_of(dataset, list(truth))
    write_error_page(page, pairs, errors, shares, films)
    return [*written, page]


def write_plots(run: Path, output: Path) -> list[Path]:
    """Draw the plots of a run folder into the folder ``output``, and return their paths.

    Raises:
        InputError: the run lacks a file of ``plainfilm evaluate --output``.
    """
    from plainfilm.evaluation.plots import bar_chart, length_chart
    from plainfilm.metrics.files import read_scores

    drawn = {}
    with _whole(run / "scores.json"):
        scores = read_scores(run)
        first = next(iter(scores.values()))
        measure = next((name for name in _CLASS_MEASURES if name in first), None)
        if measure is not None:
            drawn["observations.svg"] = bar_chart(
                "F1 by observation",
                _by_observation(scores, measure),
                note=_about(first[measure]),
            )
    shares = _error_shares(run)
    one = next(iter(next(iter(shares.values())).values()))
    drawn["errors.svg"] = bar_chart(
        "Share of reports with each kind of error",
        {
            row: {name: (found[row].value, found[row].interval) for name, found in shares.items()}
            for row in next(iter(shares.values()))
        },
        note=f"{one.signature.count} reports; whiskers: {one.interval_method}",
        percent=True,
    )
    with _whole(run / "per_report.jsonl"):
        lengths = _lengths(run)
    if next(iter(lengths.values())).values:
        drawn["length.svg"] = length_chart("Metrics against the length of the reference", lengths)
    try:
        output.mkdir(parents=True, exist_ok=True)
        for name, picture in drawn.items():
            write_atomically(output / name, picture)
    except OSError as error:
        raise InputError(f"{output}: cannot be written: {error.strerror}") from error
    return [output / name for name in drawn]


def write_error_page(
    path: Path,
    pairs: "Mapping[str, Pairs]",
    errors: "Mapping[str, ErrorTable]",
    shares: Mapping[str, Mapping[str, Score]],
    films: "Mapping[str, Film] | None" = None,
) -> None:
    """Write the page of errors.

    Args:
        path: the file to write.
        pairs: system → references and predictions.
        errors: system → its error table.
        shares: system → row of the table → share of reports.
        films: report id → its film.

    Raises:
        InputError: the file cannot be written.
    """
    from plainfilm.evaluation.error_page import error_page
    from plainfilm.metrics.formats import write_content

    write_content(path, error_page(pairs, errors, shares, films=films))


def films_of(dataset: "Dataset", ids: Iterable[str]) -> "dict[str, Film]":
    """Return the frontal film, made small, of each study that the dataset has."""
    from plainfilm.core import Provenance
    from plainfilm.data.examples import frontal_index, readable
    from plainfilm.evaluation.error_page import Film
    from plainfilm.export.pictures import film_uri

    wanted = set(ids)
    films = {}
    for row in readable([row for row in dataset.rows if row.study_id in wanted]):
        image = dataset.image(row, frontal_index(row))
        films[row.study_id] = Film(
            film_uri(image, _FILM_SIDE), image.provenance is Provenance.SIMULATED
        )
    return films


def _about(score: Score) -> str:
    signature = score.signature
    return f"{signature.metric}, {signature.labels}; {signature.count} reports"


def _by_observation(
    scores: Mapping[str, Mapping[str, Score]], measure: str
) -> "dict[str, dict[str, Bar]]":
    return {
        name: {system: (found[measure].parts[name], None) for system, found in scores.items()}
        for name in map(str, OBSERVATIONS)
        if name in next(iter(scores.values()))[measure].parts
    }


def _error_shares(run: Path) -> dict[str, dict[str, Score]]:
    with _whole(run / "errors.json"):
        stored = json.loads(_content(run / "errors.json"))
        shares = {
            system: {row: Score.from_dict(share) for row, share in found["shares"].items()}
            for system, found in stored.items()
        }
        next(iter(next(iter(shares.values())).values()))  # at least one
    return shares


def _lengths(run: Path) -> "dict[str, Lengths]":
    """Return the reports' own values by system; averages over classes mean little for one."""
    from plainfilm.evaluation.plots import Lengths

    rows: dict[str, list[dict[str, Any]]] = {}
    for line in _content(run / "per_report.jsonl").splitlines():
        row = json.loads(line)
        rows.setdefault(row["system"], []).append(row)
    keys = next(iter(rows.values()))[0]
    metrics = [
        name
        for name in keys
        if name not in ("id", "system", "reference_words")
        and not name.startswith(("macro-", "weighted-"))
    ]
    return {
        system: Lengths(
            [row["reference_words"] for row in found],
            {
                metric: [float("nan") if row[metric] is None else row[metric] for row in found]
                for metric in metrics
            },
        )
        for system, found in rows.items()
    }


def _whole(path: Path) -> AbstractContextManager[None]:
    """Turn whatever goes wrong with a file of a run folder into an InputError that names it."""
    return errors_as(InputError, f"{path} is damaged or incomplete", "run plainfilm evaluate again")


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror}; give a folder from plainfilm evaluate "
            "--output"
        ) from error
