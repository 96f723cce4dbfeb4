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
        Path | None, typer.Argument(help="A report as text; - reads standard input.")
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
    language: Annotated[str, typer.Option(help="The report's language.")] = "en",
) -> None:
    """Read a report into findings, by rules (docs/reader.md).

    A line is: status, observation (finer term), side, place, severity, change.

        echo "No effusion. Small right pneumothorax." | plainfilm read -
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
    text = _text_of(file)
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
