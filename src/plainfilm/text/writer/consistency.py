"""Checks that the writer can express findings, alone and together in one report."""

import difflib
from collections.abc import Sequence

from plainfilm.core import Change, Finding, InputError, Observation, Side, Status
from plainfilm.text.writer.phrasebook import Phrasebook, Term


def check(finding: Finding, book: Phrasebook) -> Term:
    """Return the phrasebook's term for ``finding``.

    Raises:
        InputError: it cannot be expressed; the message lists what can.
    """
    name = f"{finding.observation}" + (f" ({finding.detail})" if finding.detail else "")
    terms = book.terms[finding.observation]
    term = terms.get(finding.detail or "")
    if term is None:
        near = difflib.get_close_matches(finding.detail or "", terms, n=3, cutoff=0.4) or terms
        raise InputError(
            f"cannot write {finding.observation} with detail {finding.detail!r}; "
            f"give one of: {', '.join(detail or 'no detail' for detail in near)}"
        )
    place = book.place(term, finding.location) if finding.location else None
    only = (place.only or place.implies) if place else None
    for what, value, allowed in (
        ("status", finding.status, term.statuses),
        ("severity", finding.severity, term.severities),
        ("side", finding.side, (*term.sides, only) if only else term.sides),
        ("change", finding.change, term.changes),
        ("location", finding.location, [p for kind in term.places for p in book.places[kind]]),
    ):
        if value is not None and value not in allowed:
            raise InputError(
                f"cannot write {name} with {what} {str(value)!r}; "
                f"it takes {', '.join(allowed) or 'none'}"
            )
    if only and finding.side not in (None, only):
        raise InputError(f"cannot write {name}: the {finding.location} is {only} only")
    absent = finding.status is Status.ABSENT
    if absent != (finding.change is Change.RESOLVED) and finding.change is not None:
        raise InputError(
            f"cannot write {name} as {finding.status} and {finding.change}; "
            "an absent finding has no change or is resolved, and only an absent one is resolved"
        )
    if absent and (finding.severity or finding.side is Side.BILATERAL):
        raise InputError(f"cannot write {name} as absent with a severity or both sides; drop them")
    return term


def check_together(findings: Sequence[Finding], book: Phrasebook) -> None:
    """Check that ``findings`` can stand in one report.

    Raises:
        InputError: one says No Finding and another an abnormality or a misplaced device, or one
            denies what another states.
    """
    stated = [finding for finding in findings if finding.status is not Status.ABSENT]
    if any(finding.observation is Observation.NO_FINDING for finding in findings):
        normal = (Observation.NO_FINDING, Observation.SUPPORT_DEVICES)
        for other in stated:
            variant = book.terms[other.observation][other.detail or ""].variant
            wrong = misplaced(other, book)
            if wrong or (other.observation not in normal and not variant):
                name = other.detail or other.observation
                name = f"a misplaced {name}" if wrong else name
                raise InputError(f"No Finding contradicts {name}; leave one of them out")
    for finding in findings:
        if finding.status is not Status.ABSENT or finding.side or finding.location:
            continue
        for other in stated:
            general = finding.detail is None and finding.observation is not Observation.OTHER
            same = other.detail == finding.detail or general
            if other.observation is finding.observation and same:
                raise InputError(
                    f"{finding.observation} is given both as absent and as {other.status}; "
                    "give the absent one a side or leave it out"
                )


def check_remarks(remarks: Sequence[str], findings: Sequence[Finding], book: Phrasebook) -> None:
    """Check that ``remarks`` can stand beside ``findings``.

    Raises:
        InputError: a remark is unknown or contradicts one of the findings.
    """
    stated = {
        name
        for finding in findings
        if finding.status is not Status.ABSENT
        for name in (finding.observation, finding.detail)
    }
    for remark in remarks:
        if remark not in book.remarks:
            near = difflib.get_close_matches(remark, book.remarks, n=3) or book.remarks
            raise InputError(f"no remark {remark!r}; choose from {', '.join(near)}")
        if wrong := sorted(book.remarks[remark].unless & stated):
            raise InputError(f"the remark {remark!r} contradicts {', '.join(wrong)}")


def misplaced(finding: Finding, book: Phrasebook) -> bool:
    """Return whether a device's tip is misplaced."""
    term = book.terms[finding.observation][finding.detail or ""]
    return finding.status is not Status.ABSENT and finding.location in term.misplaced
