"""Reading a table of reports in parallel, block by block; an interrupted run resumes.

:func:`read_rows` does the work on one block. It is a plain function of lists, which Ray Data
(``map_batches``) or Spark (``mapInPandas``) can call on archives of many millions.
"""

import csv
import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from plainfilm.core import (
    OBSERVATIONS,
    InputError,
    MissingDependencyError,
    OutputError,
)
from plainfilm.core.files import saying_why
from plainfilm.core.spreadsheet import to_cell
from plainfilm.text.languages import foreign, language_of
from plainfilm.text.outputs import (
    Uncertain,
    chexpert_values,
    graph,
    measurements,
    sentence_labels,
)
from plainfilm.text.reader import labels, read
from plainfilm.text.reader.lexicon import languages

if TYPE_CHECKING:
    from concurrent.futures import Future

Form = Literal["findings", "labels", "sentences", "chexpert", "graph", "measurements"]
FORMS: tuple[Form, ...] = get_args(Form)
AUTO = "auto"
"""Detect the language of each report."""
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
"""File name extensions of tables with one report per row."""

_BLOCK = 500
"""Reports that a worker process is given at a time."""
_FEWEST = 4_000
"""Smallest number of reports for which worker processes pay off."""
_LONGEST_CELL = 50_000_000
"""Largest number of characters in a cell."""
_LIKELY_COLUMNS = ("report", "text", "report_text", "reports", "findings")
_LIKELY_IDS = ("id", "study_id", "study", "report_id", "dicom_id", "uid")


@dataclass(frozen=True)
class Reading:
    """How each report is read and in which form the result is written."""

    form: Form = "findings"
    language: str = "en"
    uncertain: Uncertain = "keep"


@dataclass
class Summary:
    """Counts of a finished run."""

    reports: int = 0
    resumed: int = 0
    """Reports taken over from an earlier, interrupted run."""
    foreign: Counter[str] = field(default_factory=Counter)
    """Language that the reader does not know → number of reports in it, which were not read."""


Row = tuple[str, str]
"""The id of a report, and its text."""


def read_rows(ids: Sequence[str], texts: Sequence[str], how: Reading) -> list[dict[str, Any]]:
    """Return a JSON-ready record of each report: its ``id``, its ``language`` and the result.

    A report in a language that the reader does not know is not read; its record says so.

    Raises:
        InputError: a text is not a ``str``, or there are no rules for the language.
    """
    return [_record(one, text, how) for one, text in zip(ids, texts, strict=True)]


def _record(name: str, text: str, how: Reading) -> dict[str, Any]:
    language = how.language
    record: dict[str, Any] = {"id": name}
    other = None
    if language == AUTO:
        language = language_of(text) or "en"
        other = None if language in languages() else language
    elif isinstance(text, str):
        other = foreign(text, language)
    if other is not None:
        return {**record, "language": other, "read": False}
    record["language"] = language
    if how.form == "findings":
        record["findings"] = [one.to_dict() for one in read(text, language=language)]
    elif how.form == "labels":
        record["labels"] = labels(text, language=language)
    elif how.form == "sentences":
        record["sentences"] = [
            {**one._asdict(), "span": list(one.span)}
            for one in sentence_labels(text, language=language)
        ]
    elif how.form == "chexpert":
        record["text"] = text
        record["values"] = chexpert_values(labels(text, language=language), how.uncertain)
    elif how.form == "graph":
        record["graph"] = graph(text, language=language)
    else:
        record["measurements"] = [
            {**one._asdict(), "values": list(one.values), "span": list(one.span)}
            for one in measurements(text, language=language)
        ]
    return record


def read_table(
    source: Path,
    target: Path,
    how: Reading,
    *,
    column: str | None = None,
    identifier: str | None = None,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Summary:
    """Read every report of a table and write the results; ``target`` appears only when complete.

    Until then, finished blocks are kept in ``<target>.part``, and the same call resumes there.

    Args:
        source: CSV, TSV, JSON lines or Parquet with one report per row.
        target: JSON lines; CSV for the form ``chexpert``; one JSON object for ``graph``.
        how: language and form of the result.
        column: column of the reports; if None, ``report`` or ``text``.
        identifier: column of the ids; if None, ``id`` or ``study_id``, else the row's number.
        workers: number of processes; one per core if None.
        progress: called with the number of reports done.

    Raises:
        InputError: the table cannot be read, has no such column, or a row is no text.
        OutputError: ``target`` cannot be written.
        MissingDependencyError: Parquet is given and pyarrow is not installed.
    """
    if how.language != AUTO and how.language not in languages():
        raise InputError(
            f"no rules for language {how.language!r}; there are: {', '.join(languages())}, {AUTO}"
        )
    part = target.with_name(f"{target.name}.part")
    mark = part.with_name(f"{part.name}.json")
    key = {
        "source": str(source.resolve()), "column": column, "id": identifier, **asdict(how),
        "state": _state_of(source), "rules": _rules(),
    }  # fmt: skip
    summary = Summary()
    with saying_why(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        summary.resumed = _resumable(part, mark, key)
    rows = islice(_rows(source, column, identifier), summary.resumed, None)
    blocks = _blocks(rows, how, workers or os.cpu_count() or 1)
    block = next(blocks, [])  # a mistake in the table leaves nothing behind
    with saying_why(target):
        mark.write_text(json.dumps(key), encoding="utf-8")
        journal = part.open("ab")
    with journal:
        summary.reports = summary.resumed
        while block:
            with saying_why(target):
                journal.write("".join(block).encode("utf-8", "backslashreplace"))
                journal.flush()
            summary.reports += len(block)
            progress(summary.reports)
            block = next(blocks, [])
    with saying_why(target):
        _finish(part, target, how, summary)
        mark.unlink()
    return summary


def _state_of(source: Path) -> list[int]:
    try:
        state = source.stat()
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror})") from error
    return [state.st_size, state.st_mtime_ns]


def _rules() -> str:
    """Return a digest of the reader; a run begun by another version is not resumed."""
    folder = Path(__file__).parent
    paths = sorted([*folder.glob("*.py"), *folder.glob("reader/**/*.py"),
                    *folder.glob("reader/**/*.yaml")])  # fmt: skip
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _resumable(part: Path, mark: Path, key: dict[str, Any]) -> int:
    """Return how many reports an earlier run finished, and truncate its last, incomplete line."""
    if not part.exists() or not mark.exists():
        part.unlink(missing_ok=True)
        return 0
    try:
        same = json.loads(mark.read_text(encoding="utf-8")) == key
    except ValueError:
        same = False
    if not same:
        part.unlink()
        return 0
    done = whole = 0
    with part.open("rb") as journal:
        for line in journal:
            if not line.endswith(b"\n"):
                break
            done += 1
            whole += len(line)
    os.truncate(part, whole)
    return done


def _blocks(rows: Iterator[Row], how: Reading, workers: int) -> Iterator[list[str]]:
    """Yield the lines of each block, in order."""
    first = list(islice(rows, _FEWEST))
    if len(first) < _FEWEST or workers == 1:
        for start in range(0, len(first), _BLOCK):
            yield _lines(first[start : start + _BLOCK], how)
        while block := list(islice(rows, _BLOCK)):
            yield _lines(block, how)
        return
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    blocks = _chunked(first, rows)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting: list[Future[list[str]]] = []
        try:
            for block in blocks:
                waiting.append(pool.submit(_lines, block, how))
                if len(waiting) >= 4 * workers:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        except BrokenProcessPool as error:
            raise OutputError(
                "a process that read reports ended: give fewer --workers; the same command goes on"
            ) from error
        finally:
            for one in waiting:
                one.cancel()


def _chunked(first: list[Row], rows: Iterator[Row]) -> Iterator[list[Row]]:
    for start in range(0, len(first), _BLOCK):
        yield first[start : start + _BLOCK]
    while block := list(islice(rows, _BLOCK)):
        yield block


def _lines(rows: Sequence[Row], how: Reading) -> list[str]:
    """Return one line of JSON per report."""
    records = read_rows([one for one, _ in rows], [text for _, text in rows], how)
    return [json.dumps(record, ensure_ascii=False) + "\n" for record in records]


def _finish(part: Path, target: Path, how: Reading, summary: Summary) -> None:
    """Convert the finished ``.part`` file into the requested form."""
    whole = part.with_name(f"{part.name}.whole")
    with (
        part.open(encoding="utf-8") as journal,
        whole.open("w", encoding="utf-8", newline="") as out,
    ):
        records = _told(journal, summary)
        if how.form == "chexpert":
            table = csv.writer(out)
            table.writerow(["id", "Reports", *map(str, OBSERVATIONS)])
            for record in records:
                values = record.get("values") or dict.fromkeys(map(str, OBSERVATIONS), "")
                cells = (to_cell(str(record["id"])), to_cell(record.get("text", "")))
                table.writerow([*cells, *values.values()])
        elif how.form == "graph":
            out.write("{")
            for number, record in enumerate(records):
                name = json.dumps(str(record["id"]), ensure_ascii=False)
                made = json.dumps(record.get("graph"), ensure_ascii=False)
                out.write(f"{',' if number else ''}\n{name}: {made}")
            out.write("\n}\n")
        else:
            for record in records:
                out.write(json.dumps(record, ensure_ascii=False) + "\n")
    whole.replace(target)
    part.unlink()


def _told(journal: Iterable[str], summary: Summary) -> Iterator[dict[str, Any]]:
    for line in journal:
        record = json.loads(line)
        if record.get("read") is False:
            summary.foreign[record["language"]] += 1
        yield record


def _rows(source: Path, column: str | None, identifier: str | None) -> Iterator[Row]:
    """Yield id and text of each row.

    Raises:
        InputError: as :func:`read_table`.
    """
    kind = source.suffix.lower()
    if kind not in TABLES:
        raise InputError(f"{source}: not a table of reports; give one of {', '.join(TABLES)}")
    records = {
        ".csv": _csv, ".tsv": _csv, ".parquet": _parquet
    }.get(kind, _json_lines)(source)  # fmt: skip
    text_key = id_key = None
    for number, record in enumerate(records):
        if number == 0:
            text_key = _chosen(source, record, column, _LIKELY_COLUMNS, "--column")
            id_key = _chosen(source, record, identifier, _LIKELY_IDS, "--id", needed=False)
        text = record.get(text_key or "")
        if text is not None and not isinstance(text, str):
            raise InputError(
                f"{source}, row {number + 1}: {text_key!r} is no text but {text!r:.40}; name the "
                "column of the reports"
            )
        name = record.get(id_key) if id_key else None
        yield str(number if name is None else name), text or ""


def _chosen(
    source: Path,
    record: dict[str, Any],
    wanted: str | None,
    likely: Sequence[str],
    option: str,
    *,
    needed: bool = True,
) -> str | None:
    """Return the column ``wanted``, or the only one of ``likely`` that the table has."""
    there = ", ".join(str(name) for name in record) or "none"
    if wanted is not None:
        if wanted not in record:
            raise InputError(f"{source}: no column {wanted!r} ({option}); there are: {there}")
        return wanted
    found = [name for name in record if str(name).lower() in likely]
    if needed and len(found) != 1:
        problem = "several columns may hold the reports" if found else "no column of reports"
        raise InputError(f"{source}: {problem}; name one ({option}) of: {there}")
    return found[0] if found else None


def _csv(source: Path) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(min(sys.maxsize, _LONGEST_CELL))
    with _reading(source) as lines:
        table = csv.DictReader(lines, dialect="excel-tab" if source.suffix == ".tsv" else "excel")
        try:
            if not table.fieldnames:
                raise InputError(f"{source}: empty; give a table with a line of column names")
            for row in table:
                row.pop(None, None)
                yield row
        except csv.Error as error:
            raise InputError(f"{source}, line {table.line_num}: {error}") from error


def _json_lines(source: Path) -> Iterator[dict[str, Any]]:
    with _reading(source) as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError as error:
                raise InputError(f"{source}, line {number}: not JSON ({error})") from error
            if not isinstance(record, dict):
                raise InputError(f"{source}, line {number}: not an object with a report's columns")
            yield record


@contextmanager
def _reading(source: Path) -> Iterator[Iterator[str]]:
    try:
        with source.open(encoding="utf-8-sig", newline="") as lines:
            yield lines
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{source}: not UTF-8 text; convert it first") from error


def _parquet(source: Path) -> Iterator[dict[str, Any]]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise MissingDependencyError(
            f"{source}: Parquet needs pyarrow; install plainfilm[data]"
        ) from error
    try:
        for batch in ParquetFile(source).iter_batches(batch_size=_BLOCK):
            yield from batch.to_pylist()
    except (OSError, ArrowException) as error:
        raise InputError(f"{source}: no Parquet file that can be read ({error})") from error
