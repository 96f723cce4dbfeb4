"""Overview of a dataset before training on it, as tables of counts.

The manifest's columns are counted directly, so that several hundred thousand studies take seconds.
The reader's labels come from a sample, since reading takes a millisecond per report.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from plainfilm.core import OBSERVATIONS, View
from plainfilm.data.dataset import Dataset, Row, Rows
from plainfilm.data.splits import SPLITS
from plainfilm.text import labels

READ = 2000
"""Maximum number of reports that the reader labels; of more, a random sample."""
_QUANTILES = (5, 25, 50, 75, 95)
_SHOWN = 12
"""Number of names shown in a table; the others are summed up."""
_SAID, _CHARACTERS = 5, 90
"""Number of most common reports shown, and number of characters of each."""


@dataclass(frozen=True)
class Table:
    """Counts by name (rows) and by split or ``columns``."""

    title: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[str, ...]]
    note: str = ""


@dataclass(frozen=True)
class Overview:
    """All tables of a dataset, and problems to solve before training on it."""

    description: str
    licence: str
    fingerprint: str
    tables: tuple[Table, ...]
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)

    def to_text(self) -> str:
        """Return the tables as text with aligned columns."""
        lines = [self.description, f"licence: {self.licence}; fingerprint {self.fingerprint[:12]}"]
        lines += [f"warning: {text}" for text in self.warnings]
        for table in self.tables:
            head = ("", *table.columns)
            body = [head, *((name, *cells) for name, cells in table.rows.items())]
            widths = [max(len(row[at]) for row in body) for at in range(len(head))]
            lines += ["", table.title]
            for row in body:
                cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
                lines.append("  ".join(["", row[0].ljust(widths[0]), *cells]).rstrip())
            if table.note:
                lines.append(f"  {table.note}")
        return "\n".join(lines)


@dataclass
class _Seen:
    """Counters filled in one pass over the rows."""

    patients: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    films: Counter[tuple[str, str]] = field(default_factory=Counter)
    studies: Counter[tuple[str, str]] = field(default_factory=Counter)
    institutions: Counter[tuple[str, str]] = field(default_factory=Counter)
    missing: Counter[tuple[str, str]] = field(default_factory=Counter)
    statuses: defaultdict[str, Counter[tuple[str, str, str]]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    values: Counter[tuple[str, str]] = field(default_factory=Counter)
    boxes: Counter[tuple[str, str]] = field(default_factory=Counter)
    words: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    reports: dict[int, list[int]] = field(default_factory=dict)
    """Hash of a report → [count, first index, bit mask of splits]."""


def look_over(dataset: Dataset, *, read: int = READ, seed: int = 0) -> Overview:
    """Return an overview of a dataset.

    Args:
        dataset: the dataset.
        read: maximum number of reports that the reader labels.
        seed: random seed of the sample.
    """
    rows = dataset.rows
    seen, counts = _Seen(), Counter[str]()
    for place, row in enumerate(rows):
        counts[row.split] += 1
        _count(seen, place, row)
    splits = tuple(split for split in SPLITS if counts[split])
    tables = [
        _studies(seen, counts, splits),
        _by(seen.studies, splits, "Studies by views", counts),
        _by(seen.films, splits, "Films by view"),
        _by(seen.institutions, splits, "Studies by institution", counts),
        _lengths(seen, splits),
        _missing(seen, counts, splits),
        *(_labelled(name, found, splits) for name, found in sorted(seen.statuses.items())),
        _read_labels(dataset, read, seed, splits),
    ]
    if seen.values:
        tables.append(_by(seen.values, splits, "Studies with a clinical value", counts))
    if seen.boxes:
        tables.append(_by(seen.boxes, splits, "Boxes by name"))
    tables += _repeated(dataset, seen, counts, splits)
    if dataset.card.skipped:
        left: dict[str, tuple[str, ...]] = {
            reason: (str(count),) for reason, count in dataset.card.skipped.items()
        }
        tables.append(Table("Left out of the source", ("studies",), left))
    card = dataset.card
    description = card.description + (" (simulated)" if card.simulated else "")
    return Overview(
        description, card.licence, card.fingerprint, tuple(tables), tuple(_warnings(seen, counts))
    )


def _count(seen: _Seen, place: int, row: Row) -> None:
    split = row.split
    seen.patients[split].add(row.patient_id)
    for view in row.views:
        seen.films[view, split] += 1
    seen.studies[" + ".join(sorted(row.views)), split] += 1
    seen.institutions[row.institution or "not said", split] += 1
    for what, lacks in {
        "findings": not row.findings,
        "impression": not row.impression,
        "any text": not row.findings and not row.impression,
        "indication": not row.indication,
        "an earlier study": row.prior_study_id is None,
        "a film that is frontal or may be": all(
            View(view) in (View.LATERAL, View.OBLIQUE) for view in row.views
        ),
        "a view that is known": all(view == View.UNKNOWN for view in row.views),
    }.items():
        seen.missing[what, split] += lacks
    for labeller, told in row.labels.items():
        for name, status in told.items():
            seen.statuses[labeller][name, status, split] += 1
    for name, value in row.table.items():
        seen.values[name, split] += value is not None
    for box in row.boxes:
        seen.boxes[box.name, split] += 1
    for section in ("findings", "impression"):
        if text := getattr(row, section):
            seen.words[section, split].append(len(text.split()))
    told_text = _plain(row)
    if told_text:
        one = seen.reports.setdefault(hash(told_text), [0, place, 0])
        one[0] += 1
        one[2] |= 1 << SPLITS.index(split)


def _plain(row: Row) -> str:
    """Return a report with case and spacing normalised, to find duplicates."""
    return " ".join(f"{row.findings}\n{row.impression}".lower().split())


def _studies(seen: _Seen, counts: Counter[str], splits: Sequence[str]) -> Table:
    films = Counter[str]()
    for (_, split), count in seen.films.items():
        films[split] += count
    rows = {
        "studies": [counts[split] for split in splits],
        "patients": [len(seen.patients[split]) for split in splits],
        "films": [films[split] for split in splits],
    }
    cells = {name: tuple(f"{count:,}" for count in values) for name, values in rows.items()}
    return Table("Size", tuple(splits), cells)


def _by(
    found: Counter[tuple[str, str]],
    splits: Sequence[str],
    title: str,
    counts: Counter[str] | None = None,
) -> Table:
    """Return a table of the most common names, with shares if ``counts`` of studies are given."""
    totals = Counter[str]()
    for (name, _), count in found.items():
        totals[name] += count
    names = [name for name, _ in totals.most_common(_SHOWN)]
    rows = {
        name: tuple(
            _cell(found[name, split], counts[split] if counts else None) for split in splits
        )
        for name in names
    }
    if more := len(totals) - len(names):
        rest = [sum(found[name, split] for name in totals if name not in names) for split in splits]
        rows[f"{more} more"] = tuple(f"{count:,}" for count in rest)
    return Table(title, tuple(splits), rows)


def _cell(count: int, of: int | None) -> str:
    return f"{count:,}" if not of else f"{count:,} ({100 * count / of:.1f} %)"


def _lengths(seen: _Seen, splits: Sequence[str]) -> Table:
    rows = {}
    for section in ("findings", "impression"):
        for split in splits:
            words = sorted(seen.words[section, split])
            if words:
                cuts = [words[min(len(words) - 1, len(words) * q // 100)] for q in _QUANTILES]
                rows[f"{section}, {split}"] = tuple(map(str, (*cuts, words[-1])))
    columns = (*(f"{q} %" for q in _QUANTILES), "longest")
    return Table("Length in words: so many have at most", columns, rows)


def _missing(seen: _Seen, counts: Counter[str], splits: Sequence[str]) -> Table:
    names = dict.fromkeys(name for name, _ in seen.missing)
    rows = {
        f"without {name}": tuple(
            _cell(seen.missing[name, split], counts[split]) for split in splits
        )
        for name in names
    }
    return Table("Missing", tuple(splits), rows)


def _labelled(labeller: str, found: Counter[tuple[str, str, str]], splits: Sequence[str]) -> Table:
    totals = Counter[str]()
    for (name, status, _), count in found.items():
        totals[name] += count if status == "present" else 0
    rows = {
        name: tuple(
            " / ".join(
                f"{found[name, status, split]:,}" for status in ("present", "uncertain", "absent")
            )
            for split in splits
        )
        for name, _ in totals.most_common(20)
    }
    note = "present / uncertain / absent" + (
        f"; the 20 commonest of {len(totals)}" if len(totals) > 20 else ""
    )
    return Table(f"The source's labels: {labeller}", tuple(splits), rows, note)


def _read_labels(dataset: Dataset, read: int, seed: int, splits: Sequence[str]) -> Table:
    found: Counter[tuple[str, str]] = Counter()
    drawn: Counter[str] = Counter()
    for row in draw(dataset, read, seed):
        text = f"{row.findings}\n{row.impression}".strip()
        if text:
            drawn[row.split] += 1
            for name, status in labels(text, language=dataset.card.language).items():
                found[str(name), row.split] += status == "present"
    rows = {
        name: tuple(_cell(found[name, split], drawn[split]) for split in splits)
        for name in map(str, OBSERVATIONS)
    }
    total = sum(drawn.values())
    note = f"present, by plainfilm's reader, in {total:,} reports" + (
        " drawn at random" if total < len(dataset.rows) else ""
    )
    return Table("What the reports say", tuple(splits), rows, note)


def draw(dataset: Dataset, count: int, seed: int) -> list[Row]:
    """Return ``count`` randomly drawn rows, or all if there are fewer."""
    total = len(dataset.rows)
    places: Iterable[int] = range(total)
    if total > count:
        places = sorted(random.Random(seed).sample(range(total), count))  # noqa: S311 - no secret
    return [dataset.rows[place] for place in places]


def _repeated(
    dataset: Dataset, seen: _Seen, counts: Counter[str], splits: Sequence[str]
) -> list[Table]:
    """Return tables of how many reports have an exact duplicate, and of the most common ones."""
    again, leaked = Counter[str](), Counter[str]()
    twice = {key for key, one in seen.reports.items() if one[0] > 1}
    train = 1 << SPLITS.index("train")
    for split, findings, impression in _texts(dataset):
        key = hash(" ".join(f"{findings}\n{impression}".lower().split()))
        if key in twice:
            again[split] += 1
            leaked[split] += bool(seen.reports[key][2] & train) and split != "train"
    rows: dict[str, tuple[str, ...]] = {
        "another study's report, word for word": tuple(
            _cell(again[split], counts[split]) for split in splits
        ),
        "of these, one in the training split": tuple(
            "" if split == "train" else _cell(leaked[split], counts[split]) for split in splits
        ),
    }
    commonest = sorted(seen.reports.values(), key=lambda one: -one[0])[:_SAID]
    said = {
        _plain(dataset.rows[place])[:_CHARACTERS]: (f"{often:,}",)
        for often, place, _ in commonest
        if often > 1
    }
    tables = [Table("Repeated", tuple(splits), rows)]
    return tables + ([Table("The commonest reports", ("studies",), said)] if said else [])


def _texts(dataset: Dataset) -> Iterable[tuple[str, str, str]]:
    if isinstance(dataset.rows, Rows):
        columns = (dataset.rows.column(name) for name in ("split", "findings", "impression"))
        return zip(*columns, strict=True)
    return ((row.split, row.findings, row.impression) for row in dataset.rows)


def _warnings(seen: _Seen, counts: Counter[str]) -> list[str]:
    found = []
    if not counts["train"]:
        found.append("there is no training split: the dataset is for evaluation")
    found += [f"the {split} split is empty" for split in ("validate", "test") if not counts[split]]
    total = sum(counts.values())
    for what, share in (("any text", 0.05), ("a film that is frontal or may be", 0.05)):
        lacking = sum(count for (name, _), count in seen.missing.items() if name == what)
        if lacking > share * total:
            found.append(f"{100 * lacking / total:.0f} % of the studies are without {what}")
    return found
