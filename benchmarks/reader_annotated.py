"""The reader on texts annotated by its conventions: status, side, severity, change and place.

    python benchmarks/reader_annotated.py                              # the invented texts
    python benchmarks/reader_annotated.py --reports NLMCXR_reports.tgz   # Open-i's as well
    python benchmarks/reader_annotated.py sentences_3 --disagreements

``annotated/*.yaml`` hold texts (for Open-i: study ids) and what each states, written by others than
the reader's author, who had the conventions before them and not the rules. What is compared are
sets, text by text: (observation, status) pairs; (observation, status, word) triples for side,
severity, change and place, bilateral counting as left and right; and whether the report is without
finding. A text is read by the language that its file's name begins with (``spanish_…``).
"""

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from plainfilm.core import Change, Finding, Observation, Severity, Side, Status
from plainfilm.text import labels, read

HERE = Path(__file__).parent / "annotated"
SETS = tuple(sorted(path.stem for path in HERE.glob("*.yaml")))
BY_ID = "iu"
"""The set whose texts lie in an archive that the user has."""
FIELDS = ("side", "severity", "change", "place")
WORDS = {
    **{word.value: "side" for word in Side},
    **{word.value: "severity" for word in Severity},
    **{word.value: "change" for word in Change},
}
Facts = Mapping[str, frozenset[tuple[str, ...]]]
"""What is compared → what a text states of it."""


class Stated(NamedTuple):
    """One annotated or read finding."""

    observation: Observation
    status: Status
    side: str | None = None
    severity: str | None = None
    change: str | None = None
    place: str | None = None


def parse(line: str) -> tuple[list[Stated], bool]:
    """Return the findings of an annotation, and whether it says No Finding.

    Raises:
        ValueError: a word is none of the notation's.
    """
    parts = [part.strip() for part in line.split(";")]
    found = [_parse_one(part) for part in parts if part not in ("nothing", "No Finding", "")]
    return found, "No Finding" in parts


def _parse_one(part: str) -> Stated:
    head, _, tail = f"{part} ".partition(" / ")
    if " at " in head:
        head, _, tail = head.partition(" at ")
        tail = f"at {tail}"
    words, _, place = f" {tail}".partition(" at ")
    status, _, observation = head.strip().partition(" ")
    given = {WORDS[word]: word for word in words.split()}
    if place.strip():
        given["place"] = place.strip()
    return Stated(Observation(observation), Status(status), **given)


def facts(stated: Iterable[Stated], nothing: bool) -> Facts:
    """Return the sets that are compared."""
    stated = list(stated)
    said: dict[str, frozenset[tuple[str, ...]]] = {
        "status": frozenset((one.observation, one.status) for one in stated),
        "no finding": frozenset([("no finding",)] if nothing else []),
    }
    for field in FIELDS:
        said[field] = frozenset(
            (one.observation, one.status, word)
            for one in stated
            for word in _both(getattr(one, field))
        )
    return said


def _both(word: str | None) -> Sequence[str]:
    if word == Side.BILATERAL:
        return Side.LEFT.value, Side.RIGHT.value
    return [word] if word else []


def as_read(text: str, language: str) -> tuple[list[Stated], bool]:
    """Return what the reader finds, in the annotation's terms."""
    apart = (Observation.OTHER, Observation.NO_FINDING)
    found = [one for one in read(text, language=language) if one.observation not in apart]
    return [_stated(one) for one in found], Observation.NO_FINDING in labels(
        text, language=language
    )


def _stated(one: Finding) -> Stated:
    return Stated(one.observation, one.status, one.side, one.severity, one.change, one.location)


def load(name: str, archive: Path | None = None) -> Iterator[tuple[str, str]]:
    """Yield the texts of a set and their annotations."""
    annotated = yaml.safe_load((HERE / f"{name}.yaml").read_text(encoding="utf-8"))
    if name != BY_ID:
        yield from annotated.items()
    elif archive:
        from reader_iu import read_archive

        texts = {report.id: report.text for report in read_archive(archive, coded=False)}
        yield from ((texts[id], line) for id, line in annotated.items())


def score(name: str, pairs: Iterable[tuple[str, str]], show: bool = False) -> dict[str, float]:
    """Return F1 of everything that is compared, and the number of texts.

    Sentences are not judged for No Finding, so it has no score where no annotation says it.
    """
    language = "es" if name.startswith("spanish") else "en"
    pairs = list(pairs)
    judged = any(parse(line)[1] for _, line in pairs)
    counts: dict[str, list[int]] = {}
    for text, line in pairs:
        wanted, found = facts(*parse(line)), facts(*as_read(text, language))
        for kind in wanted:
            both, one_side = counts.setdefault(kind, [0, 0])
            both += len(wanted[kind] & found[kind])
            one_side += len(wanted[kind] ^ found[kind])
            counts[kind] = [both, one_side]
        if show and wanted != found:
            print(text)
            for kind in wanted if judged else [k for k in wanted if k != "no finding"]:
                for fact in sorted(wanted[kind] ^ found[kind]):
                    who = "annotation" if fact in wanted[kind] else "reader"
                    print(f"    {who:<11}{kind}: {' '.join(fact)}")
    rates = {
        kind: 2 * both / (2 * both + apart)
        if both + apart and (judged or kind != "no finding")
        else float("nan")
        for kind, (both, apart) in counts.items()
    }
    return {"texts": len(pairs), **rates}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"of {', '.join(SETS)}")
    parser.add_argument("--reports", type=Path, help="Open-i's NLMCXR_reports.tgz")
    parser.add_argument("--disagreements", action="store_true", help="print them")
    given = parser.parse_args()
    if unknown := sorted(set(given.sets) - set(SETS)):
        parser.error(f"no such sets: {', '.join(unknown)}; there are {', '.join(SETS)}")
    chosen = given.sets or [name for name in SETS if name != BY_ID or given.reports]
    if BY_ID in chosen and not given.reports:
        parser.error(f"the texts of {BY_ID} are not kept here: give --reports")
    kinds = ("status", *FIELDS, "no finding")
    rows = [f"| set | texts | {' | '.join(kinds)} |", "|---|" + "---:|" * (len(kinds) + 1)]
    for name in chosen:
        rates = score(name, load(name, given.reports), given.disagreements)
        values = " | ".join(f"{rates[kind]:.3f}" for kind in kinds)
        rows.append(f"| {name} | {rates['texts']} | {values} |")
    print("\n".join(rows).replace("nan", "–"))


if __name__ == "__main__":
    main()
