"""``plainfilm read``: the findings that a report states."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from plainfilm.core import Finding
    from plainfilm.text.reader import Fired


def read(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="A report as text (- reads standard input), or a table of reports: "
            "CSV, TSV, JSON lines, Parquet."
        ),
    ] = None,
    labels: Annotated[
        bool, typer.Option("--labels", help="Print the 14 CheXpert observations instead.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show which rule fired on which words.")
    ] = False,
    vocabulary: Annotated[
        bool, typer.Option("--vocabulary", help="Print what the reader knows, with codes.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    language: Annotated[
        str, typer.Option(help="The reports' language: en, es, or auto (each by itself).")
    ] = "en",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write what a table's reports say to this.")
    ] = None,
    form: Annotated[
        str,
        typer.Option(
            "--form",
            help="What to write of a table: findings, labels, sentences (labels of each), "
            "graph (RadGraph's), measurements, as JSON; chexpert, as CSV.",
        ),
    ] = "",
    uncertain: Annotated[
        str,
        typer.Option(
            help="What an uncertain observation becomes in CheXpert's CSV: "
            "keep (-1), ones, zeros, ignore (blank)."
        ),
    ] = "keep",
    column: Annotated[
        str | None, typer.Option("--column", help="The table's column of reports.")
    ] = None,
    identifier: Annotated[
        str | None, typer.Option("--id", help="The table's column of ids.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Processes; else one for each core."),
    ] = None,
) -> None:
    """Read a report, or a table of them, into findings, by rules (docs/reader.md).

    A line is: status, observation (finer term), side, place, severity, change.

        echo "No effusion. Small right pneumothorax." | plainfilm read -

    A table's reports are read in parallel; a run that was interrupted goes on where it stopped.

        plainfilm read reports.csv --column report -o findings.jsonl

        plainfilm read reports.parquet --form chexpert --uncertain ones -o labels.csv
    """
    from json import dumps

    from plainfilm.core import InputError
    from plainfilm.text import explain as explain_text
    from plainfilm.text import labels as label_text
    from plainfilm.text import read as read_text

    if vocabulary:
        from plainfilm.text import vocabulary as terms_of

        terms = terms_of(language)
        if json:
            typer.echo(dumps([term._asdict() for term in terms], indent=2))
        for term in () if json else terms:
            typer.echo(f"{term.observation:<28}{term.detail or '':<32}{term.code or ''}")
        return
    if file is None:
        raise InputError("no report to read; give a text file, or - for standard input")
    from plainfilm.text.batch import TABLES

    if file.suffix.lower() in TABLES:
        if out is None:
            raise InputError(f"{file}: a table of reports; say where to write (-o OUT)")
        _read_table(
            file, out, form or ("chexpert" if out.suffix.lower() == ".csv" else "findings"),
            language, uncertain, column, identifier, workers,
        )  # fmt: skip
        return
    if out is not None:
        raise InputError(f"{file}: -o writes what a table says; give one of {', '.join(TABLES)}")
    text = _text_of(file)
    language = _language_of(text, language, file)
    if labels:
        found = label_text(text, language=language)
        if json:
            typer.echo(dumps(found, indent=2))
        for observation, status in () if json else found.items():
            typer.echo(f"{status:<10}{observation}")
    elif explain:
        for fired in explain_text(text, language=language):
            typer.echo(dumps(_fired_as_dict(fired)) if json else _explained(fired, text))
    else:
        findings = read_text(text, language=language)
        if json:
            typer.echo(dumps([finding.to_dict() for finding in findings], indent=2))
        for finding in () if json else findings:
            typer.echo(_line(finding))


def _language_of(text: str, language: str, file: Path) -> str:
    """Return the language to read by; tell of a text in one that the reader does not know.

    Raises:
        InputError: the text is in such a language.
    """
    from plainfilm.core import InputError
    from plainfilm.text.batch import AUTO
    from plainfilm.text.languages import foreign, language_of
    from plainfilm.text.reader.lexicon import languages

    if language == AUTO:
        language = language_of(text) or "en"
        other = None if language in languages() else language
    else:
        other = foreign(text, language)
    if other is not None:
        raise InputError(
            f"{file}: seems to be in language {other!r}; the reader knows "
            f"{', '.join(languages())} (--language), and reads nothing of it"
        )
    return language


def _read_table(
    source: Path,
    target: Path,
    form: str,
    language: str,
    uncertain: str,
    column: str | None,
    identifier: str | None,
    workers: int | None,
) -> None:
    from typing import cast

    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from plainfilm.core import InputError
    from plainfilm.text.batch import FORMS, Reading, read_table
    from plainfilm.text.outputs import UNCERTAIN, Uncertain

    if form not in FORMS:
        raise InputError(f"--form {form}: choose from {', '.join(FORMS)}")
    if uncertain not in UNCERTAIN:
        raise InputError(f"--uncertain {uncertain}: choose from {', '.join(UNCERTAIN)}")
    how = Reading(form, language, cast(Uncertain, uncertain))
    columns = (TextColumn("reports"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("reports", total=None)
        summary = read_table(
            source, target, how, column=column, identifier=identifier, workers=workers,
            progress=lambda done: shown.update(task, completed=done),
        )  # fmt: skip
    before = f", {summary.resumed} of them before" if summary.resumed else ""
    typer.echo(f"{target}: {summary.reports} reports{before}", err=True)
    if summary.foreign:
        told = ", ".join(f"{name} {count}" for name, count in summary.foreign.most_common())
        typer.echo(
            f"not read, being in another language: {summary.foreign.total()} ({told})",
            err=True,
        )


def _text_of(file: Path) -> str:
    from plainfilm.core import InputError

    if str(file) == "-":
        return sys.stdin.read()
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}); give a text file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: not UTF-8 text; convert it first") from error


def _line(finding: "Finding") -> str:
    name = finding.observation + (f" ({finding.detail})" if finding.detail else "")
    said = (finding.side, finding.location, finding.severity, finding.change)
    return f"{finding.status:<10}" + ", ".join((name, *filter(None, said)))


def _explained(fired: "Fired", text: str) -> str:
    words = " … ".join(text[start:end] for start, end in fired.finding.spans)
    cues = f"; turned by {', '.join(map(repr, fired.cues))}" if fired.cues else ""
    return f"{_line(fired.finding)}\n          {words!r} by rule {fired.rule.name}{cues}"


def _fired_as_dict(fired: "Fired") -> dict[str, object]:
    return {"finding": fired.finding.to_dict(), "rule": fired.rule.name, "cues": list(fired.cues)}
