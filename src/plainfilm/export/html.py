"""Drafted reports as one page that a person reads: film, report, and where the model looked.

The page is one file. Styles and script are inline, films and heatmaps are data URIs, and its
Content-Security-Policy admits exactly these, so that it opens anywhere and loads nothing. Of a
study it shows the films, their file names, the indication that the draft was told and the reports;
the comparison and the table stay out, since a page travels further than a study.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from plainfilm.core import InputError, MissingDependencyError, Report, Score, Study
from plainfilm.export.cards import Card, Entry
from plainfilm.export.plain import DISCLAIMER
from plainfilm.text.matching import WORDS

__all__ = ["Entry", "report_page"]

_FILES = Path(__file__).parent / "page"


def report_page(
    entries: Sequence[Entry],
    *,
    title: str,
    notes: Sequence[str] = (),
    scores: Mapping[str, Mapping[str, Score]] | None = None,
) -> str:
    """Return the page, a complete HTML document.

    Args:
        entries: the studies, in the order in which they are shown.
        title: the page's heading.
        notes: paragraphs under it, plain text.
        scores: a table of scores: name of the row → name of the metric → score.

    Raises:
        InputError: there is no entry, an evidence points to an image that its study does not have,
            or a heatmap is no grid of weights in [0, 1].
    """
    if not entries:
        raise InputError("a page needs at least one study, got none")
    cards = [Card.of(number, entry) for number, entry in enumerate(entries, start=1)]
    shared = [w for w in cards[0].warnings if all(w in card.warnings for card in cards)]
    return render(
        "page",
        title=title,
        notes=notes,
        cards=cards,
        marks=WORDS,
        warnings=shared,
        scores=scores or {},
        metrics=list(dict.fromkeys(chain.from_iterable((scores or {}).values()))),
        number=_number,
        parts=_parts(scores or {}),
    )


def study_page(study: Study, report: Report) -> str:
    """Return the page of one study's draft."""
    return report_page([Entry(study=study, report=report)], title="Draft report") + "\n"


def render(name: str, **values: object) -> str:
    """Return the page of a template of ours, with its styles and script inside.

    Args:
        name: of the template, and of its script; ``page.css`` is every page's, and a style of the
            page's own name is added to it.
        values: what the template shows; every text is escaped.

    Raises:
        MissingDependencyError: jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
        from markupsafe import Markup
    except ModuleNotFoundError as error:
        raise MissingDependencyError.of("jinja2", "pages") from error
    styles = dict.fromkeys(("page", name))
    style = "".join((_FILES / f"{one}.css").read_text(encoding="utf-8") for one in styles)
    script = (_FILES / f"{name}.js").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(_FILES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(f"{name}.html").render(
        disclaimer=DISCLAIMER,
        policy=_policy(style, script),
        style=Markup(style),  # noqa: S704, our own file
        script=Markup(script),  # noqa: S704, our own file
        **values,
    )


def _number(value: float) -> str:
    return "undefined" if value != value else f"{value:.3f}"  # NaN alone differs from itself


def _parts(scores: Mapping[str, Mapping[str, Score]]) -> dict[str, list[str]]:
    """Return for each metric that has parts their names, over all rows."""
    names: dict[str, list[str]] = {}
    for row in scores.values():
        for metric, score in row.items():
            known = names.setdefault(metric, [])
            known.extend(part for part in score.parts if part not in known)
    return {metric: known for metric, known in names.items() if known}


def _policy(style: str, script: str) -> str:
    """Return the Content-Security-Policy: this style, this script, data URIs, nothing else."""

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")

    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest(style)}'; "
        f"script-src 'sha256-{digest(script)}'; base-uri 'none'; form-action 'none'"
    )
