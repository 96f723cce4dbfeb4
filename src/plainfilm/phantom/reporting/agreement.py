"""Checks whether a written report is consistent, and whether reading it returns its findings.

The checks read the text as a radiologist would check a draft, with the reader and with their own
patterns, so that they are independent of the rules that keep the writer from contradicting itself.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache

from plainfilm.core import Change, Finding, Observation, Report, Status
from plainfilm.phantom.reporting.change import key_of, parts_of
from plainfilm.text import read
from plainfilm.text.contradictions import contradictions
from plainfilm.text.significance import MISPLACED, load_significance
from plainfilm.text.statements import gather
from plainfilm.text.writer.phrasebook import load_phrasebook

Problem = tuple[str, str]
"""Kind of the problem, and the words that show it."""

P = Observation
_LUNGS = frozenset({
    P.LUNG_OPACITY, P.CONSOLIDATION, P.PNEUMONIA, P.EDEMA, P.ATELECTASIS, P.LUNG_LESION,
    "emphysema", "scarring", "vascular congestion",
})  # fmt: skip
_NO = r"\bno (?!(?:\w+ )?change|longer)[^.]*\b"
_NORMAL = r"(?:normal|unremarkable|intact|within (?:normal )?limits|not enlarged)"
_BESIDE: Mapping[str, tuple[str, frozenset[str]]] = {
    kind: (pattern, frozenset(names))
    for kind, pattern, names in (
        ("lungs clear beside a finding in them",
         r"\b(?:lungs?|fields|parenchyma)\b(?! bases?)[^.,]*\bclear\b|\bclear lung",
         _LUNGS),
        ("mediastinum normal beside a shift or a widening",
         rf"mediastin[^.,]*\b{_NORMAL}|{_NORMAL}[^.,]*mediastin",
         {"mediastinal shift", P.ENLARGED_CARDIOMEDIASTINUM}),
        ("heart normal beside an enlarged one",
         rf"\b(?:heart|cardiac|cardiomediastinal)\b[^.,]*\b{_NORMAL}|"
         rf"{_NORMAL} (?:heart|cardiac|cardiomediastinal)",
         {P.CARDIOMEGALY}),
        ("trachea midline beside a shift",
         r"\btrachea\b[^.]*\b(?:midline|central)\b|\bmidline trachea", {"mediastinal shift"}),
        ("opacity beside 'no pneumonia'",
         rf"{_NO}(?:pneumonia|infection|infectious)",
         {P.LUNG_OPACITY, P.CONSOLIDATION}),
        ("opacity beside 'no opacity' or 'no infiltrate'",
         rf"{_NO}(?:opacit|infiltrate|air ?space disease)",
         {P.LUNG_OPACITY, P.CONSOLIDATION, P.PNEUMONIA, P.EDEMA}),
        ("vessels normal beside congestion",
         rf"\b(?:vascularity|vasculature|vessels)\b[^.,]*\b{_NORMAL}|{_NORMAL} pulmonary vas",
         {P.EDEMA, "vascular congestion"}),
        ("bones intact beside a fracture",
         rf"\b(?:bones|osseous|bony|skelet\w+)\b[^.,]*\b{_NORMAL}",
         {P.FRACTURE, "scoliosis"}),
        ("aorta normal beside its calcification",
         rf"\b(?:aorta|aortic arch)\b[^.,]*\b{_NORMAL}", {"aortic calcification"}),
        ("lungs expanded beside what keeps them from it",
         r"\bfully expanded|well[- ]expanded|well[- ]inflated",
         {P.PNEUMOTHORAX, P.ATELECTASIS, "low lung volumes"}),
        ("diaphragm normal beside one that is not",
         rf"\b(?:hemi)?diaphragm\w*\b[^.,]*\b{_NORMAL}|smooth",
         {"flattened diaphragm", "elevated diaphragm", P.PLEURAL_EFFUSION}),
    )
}  # fmt: skip
"""Kind → pattern of a normal sentence, and findings that the same report must not contain."""
_NO_ACUTE = re.compile(
    r"\bno (?:radiographic |convincing )?(?:evidence (?:of|for) )?(?:an )?(?:acute|active)\b"
    r"(?! (?:displaced |rib )?(?:bony|osseous|skeletal|fractures?|pneumonia|infiltrates?))"
    r"|\bnormal (?:chest|examination|study|film|radiograph)",
    re.IGNORECASE,
)
_GRAMMAR: Mapping[str, re.Pattern[str]] = {
    "article": re.compile(r"\b[Aa] (?=[aeiou])(?!uni|use)\w+|\b[Aa]n (?![aeiouAEIOUM])\w+"),
    "doubled word": re.compile(r"\b(\w+),? \1\b", re.IGNORECASE),
    "slot or choice left over": re.compile(r"[<>{}|]"),
    "spacing": re.compile(r" {2,}| [.,;]|[.,;]{2}"),
    "sentence that begins small": re.compile(r"(?:^|\. |: )[a-z]"),
    "agreement": re.compile(r"\bare no [^.]*evidence|\b(?:is|has) (?:\w+ )?both\b"),
    "double negation": re.compile(r"\bno\b[^.,]*\b(?:no|not|without)\b", re.IGNORECASE),
}
_DESCRIBES = re.compile(
    r"\b(?:hazy|patchy|ill-defined|vague|faint|dense|confluent|noncalcified|rounded|lobulated|"
    r"irregular|linear|discoid|platelike|bandlike|subsegmental|streaky|lobar|acute|displaced|old|"
    r"healed|remote|solitary|fluffy|heterogeneous|indistinct|homogeneous|coalescent|spiculated|"
    r"round|plate-like|dependent|airspace|alveolar)\b"
)
"""Words for a finding's appearance, which must be consistent within a report."""


def disagreements(report: Report) -> list[Problem]:
    """Return a report's contradictions and grammatical errors.

    Args:
        report: a report by the writer, with its statements and their spans.
    """
    text = report.text
    found = read(text)
    problems = [("denied and stated", one.what) for one in contradictions(gather(found), text)]
    stated = [finding for finding in found if finding.status is not Status.ABSENT]
    names = {str(finding.observation) for finding in stated}
    names |= {finding.detail for finding in stated if finding.detail}
    for kind, (pattern, beside) in _BESIDE.items():
        match = re.search(pattern, text, re.IGNORECASE)
        if match and (there := sorted(beside & names)):
            problems.append((kind, f"{match[0]} | {', '.join(there)}"))
    standing = {key_of(part) for part in parts_of(stated)}
    problems += [
        ("resolved and stated", finding.sentence or "")
        for part, finding in ((part, f) for f in found for part in parts_of([f]))
        if part.change is Change.RESOLVED and key_of(part) in standing
    ]
    if match := _NO_ACUTE.search(text):
        problems += [
            ("'no acute abnormality' beside one", f"{match[0]} | {finding.sentence}")
            for finding in stated
            if _is_abnormal(finding)
        ]
    problems += _between(report)
    problems += [
        ("grammar", f"{kind}: {match[0]}")
        for kind, pattern in _GRAMMAR.items()
        for part in (report.findings, report.impression)
        for match in pattern.finditer(part)
    ]
    problems += [("grammar", f"number: {match}") for match in _wrong_numbers(text)]
    return problems


def _is_abnormal(finding: Finding) -> bool:
    """Return whether a finding contradicts "no acute abnormality"."""
    if finding.observation is P.SUPPORT_DEVICES:
        return load_significance().misplaced(finding) or _is_misplaced(finding)
    term = load_phrasebook().terms[finding.observation].get(finding.detail or "")
    return not (term and term.variant)


def _is_misplaced(finding: Finding) -> bool:
    term = load_phrasebook().terms[P.SUPPORT_DEVICES].get(finding.detail or "")
    return bool(term and finding.location in term.misplaced)


def _between(report: Report) -> Iterator[Problem]:
    """Yield contradictions between findings and impression."""
    if not report.impression or not report.findings:
        return
    above, below = (read(part) for part in (report.findings, report.impression))
    said = {finding.statement for finding in above}
    for finding in below:
        if finding.statement not in said and finding.observation is not P.NO_FINDING:
            yield "impression says what the findings do not", finding.sentence or ""
    repeated = {finding.statement for finding in below}
    urgent = load_phrasebook().impression.order[:3]
    for finding in above:
        names = {str(finding.observation), finding.detail}
        if _is_misplaced(finding):
            names.add(MISPLACED)
        urgently = finding.status is Status.PRESENT and names & set(urgent)
        if urgently and finding.statement not in repeated:
            yield "impression leaves out what is urgent", finding.sentence or ""
    border = len(report.findings)
    for finding in report.statements:
        if finding.status is Status.ABSENT or finding.observation is P.NO_FINDING:
            continue
        parts: list[set[str]] = [set(), set()]
        for start, end in finding.spans:
            words = _DESCRIBES.findall(report.text[start:end].lower())
            parts[start >= border] |= set(words)
        below_it = any(start >= border for start, _ in finding.spans)
        if below_it and any(start < border for start, _ in finding.spans) and parts[0] != parts[1]:
            yield "described otherwise in the impression", f"{parts} {finding.sentence}"


@cache
def _plurals() -> str:
    nouns = {
        form.split()[-1]
        for terms in load_phrasebook().terms.values()
        for term in terms.values()
        for noun in (*term.nouns, *term.absent)
        if noun.many and noun.many != noun.one
        for form in re.split(r"[<>|]", noun.many)
        if form.strip().endswith("s") and not form.endswith("osseous")
    }
    return "|".join(sorted(nouns))


def _wrong_numbers(text: str) -> Iterator[str]:
    """Yield verbs and articles that do not agree with a plural."""
    plurals = _plurals()
    for match in re.finditer(
        rf"\bThere is (?:no )?(?:a |an )?(?:[\w-]+ ){{0,3}}?(?:{plurals})\.|"
        rf"\ba (?:[\w-]+ ){{0,3}}?(?:{plurals})\b[^.]*|"
        rf"(?<!with )(?<!with clinical )(?<!of )(?<!for )\b(?:{plurals}) (?:is|has|was)\b[^.]*",
        text,
    ):
        sentence = text[text.rfind(".", 0, match.start()) + 1 : match.end()]
        if not re.search(r"\b(?:evidence|sign|change|resolution|removal|placement|suspicion"
                         r"|concern|question) (?:of|in|for)\b|\bor\b", sentence):  # fmt: skip
            yield match[0]


def misread(report: Report) -> list[Problem]:
    """Return differences between the findings read from a report and those it was written from."""
    given = {f.statement: f for f in report.statements if f.observation is not P.NO_FINDING}
    got = {f.statement: f for f in read(report.text)}
    return [
        *(("not read", f"{_words(one)} | {one.sentence}")
          for key, one in given.items() if key not in got),
        *(("read, not meant", f"{_words(one)} | {one.sentence}")
          for key, one in got.items() if key not in given),
    ]  # fmt: skip


def _words(finding: Finding) -> str:
    return " ".join(str(word) for word in finding.statement if word)
