"""Which parts of a film's truth a report mentions, hedges, denies and leaves out.

An institution has limits below which it mentions nothing, terms that it tends to leave out, and a
readiness to hedge findings that are hard to see. The film cannot tell whether an opacity is
pneumonia: that follows from the table, if the radiologist reads it. A finding on the film is never
denied, mentioned or not, and nothing is denied beside a finding that contradicts the denial.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from plainfilm.core import Change, Finding, Observation, Severity, Status, View
from plainfilm.phantom.reporting.change import OPACITIES, Seen, key_of, parts_of, report_change
from plainfilm.phantom.reporting.institutions import NORMAL_REMARKS, Institution
from plainfilm.phantom.reporting.table import Table
from plainfilm.phantom.reporting.truth import size_of
from plainfilm.text.writer.phrasebook import IMPRESSION, Phrasebook, load_phrasebook

P = Observation


@dataclass(frozen=True)
class Said:
    """The content of a report."""

    findings: tuple[Finding, ...]
    remarks: tuple[str, ...]
    template: bool
    """Whether normal structures are described from the institution's template."""


@dataclass(frozen=True)
class Earlier:
    """An earlier film of the patient, and the findings reported on it."""

    seen: Seen
    said: tuple[Finding, ...]


def mention(
    rng: np.random.Generator,
    seen: Seen,
    table: Table,
    institution: Institution,
    before: Earlier | None = None,
) -> Said:
    """Return the content of an institution's report on a film.

    Args:
        rng: random generator for what is left out, hedged and denied.
        seen: the film's truth and measures; changes in it are ignored.
        table: the clinical table, which the radiologist may read.
        institution: the reporting institution.
        before: the earlier film, if there is one.
    """
    drawn = [_plain(f) for f in seen.truth if f.status is not Status.ABSENT]
    drawn = [f for f in drawn if f.observation is not P.PNEUMONIA]
    earlier = before.said if before and institution.compares else ()
    known = {key_of(part) for part in parts_of(earlier)}
    table = table if rng.random() < institution.reads_table else {}
    told = [f for f in drawn if _is_said(rng, f, seen, institution, known)]
    said = [
        one
        for finding in told
        for one in _judge(rng, _hedge(rng, finding, seen, institution), table, institution)
    ]
    template = bool(rng.random() < institution.template)
    names = _names(drawn) | _names(said)
    said = _one_cause(said)
    said += _denials(rng, names, institution, template=template)
    if before and institution.compares:
        said = _compared(said, replace(seen, truth=tuple(drawn)), before, institution)
    book = load_phrasebook()
    if not any(_abnormal(finding, book) for finding in said):
        said.append(Finding(observation=P.NO_FINDING))
    remarks = _remarks(
        rng,
        names | _names(said),
        seen,
        said,
        institution,
        template=template,
        compared=before is not None,
    )
    return Said(tuple(said), remarks, template)


def _plain(finding: Finding) -> Finding:
    return finding.model_copy(update={"change": None, "sentence": None, "spans": ()})


def _one_cause(said: Sequence[Finding]) -> list[Finding]:
    """Return findings without uncertain ones that another finding at the same place confirms, and
    without the opacity around a consolidation."""
    stated = {key_of(finding) for finding in said if finding.status is Status.PRESENT}
    dense = {(f.side, f.location) for f in said if f.observation is P.CONSOLIDATION}
    kept = [
        finding
        for finding in said
        if finding.status is Status.PRESENT or key_of(finding) not in stated
        if finding.observation is not P.LUNG_OPACITY
        or (finding.side, finding.location) not in dense
    ]
    return list({finding.statement: finding for finding in kept}.values())


def _compared(
    said: Sequence[Finding], now: Seen, before: Earlier, institution: Institution
) -> list[Finding]:
    """Return the statements with their changes, and resolved findings.

    If an opacity that resolved had been called pneumonia, the pneumonia is called resolved;
    a finding stated as present or possible is never called resolved.
    """
    drawn = tuple(f for f in before.seen.truth if f.observation is not P.PNEUMONIA)
    then = replace(before.seen, truth=drawn)
    pneumonias = {
        key_of(part)[1:]
        for part in parts_of(before.said)
        if part.observation is P.PNEUMONIA and part.status is Status.PRESENT
    }
    found = report_change(said, now, then, before.said, institution.compares)
    there = {key_of(part) for part in parts_of(found) if part.status is not Status.ABSENT}
    compared = []
    for finding in found:
        if finding.change is Change.RESOLVED:
            infected = finding.observation in OPACITIES and key_of(finding)[1:] in pneumonias
            if infected:
                finding = finding.model_copy(update={"observation": P.PNEUMONIA})
            if key_of(finding) in there:
                continue
        compared.append(finding)
    return list({finding.statement: finding for finding in compared}.values())


def _names(findings: Iterable[Finding]) -> set[str]:
    """Return the observations and finer terms of findings that are not absent."""
    stated = [finding for finding in findings if finding.status is not Status.ABSENT]
    details = {finding.detail for finding in stated if finding.detail}
    return {str(finding.observation) for finding in stated} | details


VARIANTS_SAID = 0.35
"""Share of normal variants that are mentioned."""


def _is_said(
    rng: np.random.Generator,
    finding: Finding,
    seen: Seen,
    institution: Institution,
    known: Collection[tuple[str | None, ...]],
) -> bool:
    """Return whether a finding is mentioned; a previously reported one always is."""
    term = load_phrasebook().terms[finding.observation][finding.detail or ""]
    omitted = institution.omits.get(finding.detail or "", 1 - VARIANTS_SAID if term.variant else 0)
    left_out = rng.random() < omitted
    if any(key_of(part) in known for part in parts_of([finding])):
        return True
    sized = size_of(finding, seen.measures)
    small = sized is not None and sized[1] < institution.limits.get(sized[0], 0.0)
    return not (small or left_out)


DOUBTED: Mapping[str, tuple[float, float]] = {
    "effusion_ml": (20, 60), "pneumothorax_rim_mm": (7, 6), "lesion_diameter_mm": (6, 5),
    "pleural_thickness_mm": (7, 3), "edema_water_ml": (120, 90), "emphysema_percent": (5, 8),
}  # fmt: skip
"""Measure → size at which a finding is most doubtful, and increase in size over which the doubt
falls to 37 %."""
DOUBT: Mapping[Observation, float] = {
    P.LUNG_OPACITY: 0.3, P.CONSOLIDATION: 0.1, P.FRACTURE: 0.25, P.ATELECTASIS: 0.15,
    P.ENLARGED_CARDIOMEDIASTINUM: 0.15,
}  # fmt: skip
"""Doubt of findings for which it does not depend on size."""


def _doubt(finding: Finding, measures: Mapping[str, float]) -> float:
    """Return the doubt about a finding on the film, from 0 to 1."""
    sized = size_of(finding, measures)
    if sized is not None and sized[0] in DOUBTED:
        least, scale = DOUBTED[sized[0]]
        return float(np.exp(-max(sized[1] - least, 0) / scale))
    return 0.0 if finding.detail else DOUBT.get(finding.observation, 0.0)


CONGESTION = 0.5
"""Share of doubtful edemas that are called vascular congestion."""


def _hedge(
    rng: np.random.Generator, finding: Finding, seen: Seen, institution: Institution
) -> Finding:
    """Return a finding as reported: some that are hard to see become uncertain."""
    doubt, congestion = rng.random(2)
    likely = _doubt(finding, seen.measures) * institution.hedges
    plain = finding.severity in (Severity.MODERATE, Severity.LARGE, Severity.SEVERE)
    if finding.status is not Status.PRESENT or plain or doubt >= likely:
        return finding
    if finding.observation is P.EDEMA and congestion < CONGESTION:
        update = {"detail": "vascular congestion", "status": Status.UNCERTAIN}
        return finding.model_copy(update=update)
    return finding.model_copy(update={"status": Status.UNCERTAIN})


def _judge(
    rng: np.random.Generator, finding: Finding, table: Table, institution: Institution
) -> list[Finding]:
    """Return a finding interpreted with the table: the cause of an opacity, doubt about an edema
    with a low BNP."""
    if finding.status is not Status.PRESENT:
        return [finding]
    if finding.observation is P.EDEMA:
        return _judge_edema(rng, finding, table)
    if finding.observation not in (P.LUNG_OPACITY, P.CONSOLIDATION):
        return [finding]
    dense = finding.observation is P.CONSOLIDATION
    score = infection_score(table) + (0.8 if dense else 0.0)
    stated, possible, other = rng.random(3)
    place = {"side": finding.side, "location": finding.location}
    if stated < _logistic(score - 2.6 - institution.hedges):
        return [finding, Finding(observation=P.PNEUMONIA, **place)]
    if possible < _logistic(score - 0.6 + institution.hedges):
        return [finding, Finding(observation=P.PNEUMONIA, status=Status.UNCERTAIN, **place)]
    if not dense and other < 0.25:
        cause = Finding(observation=P.ATELECTASIS, status=Status.UNCERTAIN, **place)
        return [finding, cause]
    if not dense and other < 0.25 + 0.3 * _logistic(-score - 0.5):
        old = {"observation": P.OTHER, "detail": "scarring", "status": Status.UNCERTAIN}
        return [finding, Finding(**old, **place)]
    return [finding]


def _judge_edema(rng: np.random.Generator, finding: Finding, table: Table) -> list[Finding]:
    bnp = _value(table, "bnp_pg_per_ml")
    doubt, infection = rng.random(2)
    if bnp is None or bnp >= LOW_BNP:
        return [finding]
    found = [finding]
    if doubt < DOUBTED_EDEMA and finding.severity is not Severity.SEVERE:
        found = [finding.model_copy(update={"status": Status.UNCERTAIN})]
    if infection < _logistic(infection_score(table) - 1.0):
        found.append(Finding(observation=P.PNEUMONIA, status=Status.UNCERTAIN))
    return found


LOW_BNP = 100.0
"""BNP in pg/ml below which acute heart failure is unlikely (European Society of Cardiology), and
haze may have another cause."""
DOUBTED_EDEMA = 0.5
"""Share of edemas with a low BNP that are only called possible, unless they are severe."""


def infection_score(table: Table) -> float:
    """Return a table's evidence for pneumonia, roughly as log odds; 0 if it has none."""
    score = 0.0
    crp = _value(table, "crp_mg_per_l")
    if crp is not None:
        score += 1.7 if crp > 100 else 1.0 if crp > 50 else -0.3 if crp > 20 else -1.2
    white = _value(table, "white_cells_10e9_per_l")
    if white is not None:
        score += 0.8 if white > 10.5 else -0.4
    warm = _value(table, "temperature_c")
    if warm is not None:
        score += 1.0 if warm > 37.8 else -0.3
    return score


def _value(table: Table, name: str) -> float | None:
    value = table.get(name)
    return float(value) if isinstance(value, int | float) else None


def _logistic(odds: float) -> float:
    return float(1 / (1 + np.exp(-odds)))


IN_THE_LUNGS = frozenset({
    P.LUNG_OPACITY, P.CONSOLIDATION, P.EDEMA, P.PNEUMONIA, P.ATELECTASIS, P.LUNG_LESION,
    "emphysema", "scarring", "fibrosis",
})  # fmt: skip
DENIED: Mapping[str, float] = {
    P.CARDIOMEGALY: 0.85,
    P.ENLARGED_CARDIOMEDIASTINUM: 0.5,
    P.LUNG_OPACITY: 0.6,
    P.CONSOLIDATION: 0.55,
    P.EDEMA: 0.35,
    P.PNEUMONIA: 0.15,
    P.LUNG_LESION: 0.15,
    P.PLEURAL_EFFUSION: 0.85,
    P.PNEUMOTHORAX: 0.85,
    P.FRACTURE: 0.1,
    "bone abnormality": 0.15,
    "free air": 0.06,
    "lymphadenopathy": 0.04,
    "bone lesion": 0.03,
    "tuberculosis": 0.015,
    "pneumomediastinum": 0.02,
    "subcutaneous emphysema": 0.02,
    P.SUPPORT_DEVICES: 0.03,
}
"""Probability that the absence of an observation, or of a finer term of Other, is stated without a
template."""
CONTRADICTS: Mapping[str, frozenset[str]] = {
    P.LUNG_OPACITY: IN_THE_LUNGS | {P.PNEUMOTHORAX, "mediastinal shift"},
    P.CONSOLIDATION: frozenset({P.PNEUMONIA, P.ATELECTASIS}),
    P.PNEUMONIA: frozenset({P.LUNG_OPACITY, P.CONSOLIDATION}),
    P.EDEMA: frozenset({"vascular congestion"}),
    P.ENLARGED_CARDIOMEDIASTINUM: frozenset({"mediastinal shift", "hiatal hernia",
                                             "pneumomediastinum", "lymphadenopathy"}),
    P.LUNG_LESION: frozenset({"granulomatous disease"}),
    "tuberculosis": IN_THE_LUNGS,
    "lymphadenopathy": frozenset({P.ENLARGED_CARDIOMEDIASTINUM, P.LUNG_LESION}),
    "pneumomediastinum": frozenset({P.PNEUMOTHORAX}),
    "subcutaneous emphysema": frozenset({P.PNEUMOTHORAX}),
    "free air": frozenset({"hiatal hernia"}),
    "bone abnormality": frozenset({P.FRACTURE, "scoliosis", "kyphosis", "degenerative change",
                                   "osteopenia", "bone lesion"}),
}  # fmt: skip
"""Denial → findings that contradict it: "no pneumonia" beside an opacity, "the mediastinum is
normal" beside a shift, clear lungs beside a collapse."""


def _denials(
    rng: np.random.Generator, names: Collection[str], institution: Institution, *, template: bool
) -> list[Finding]:
    """Return the absences to state when the findings ``names`` are present."""
    chances = rng.random(len(DENIED))
    found = []
    for (name, share), chance in zip(DENIED.items(), chances, strict=True):
        barred = {name} | CONTRADICTS.get(name, frozenset())
        wanted = name in institution.denies if template else chance < share * institution.absences
        if wanted and not barred & set(names):
            found.append(absence(name))
    return found


def absence(name: str) -> Finding:
    """Return the finding that an observation, or a finer term of Other, is absent."""
    if name in set(Observation):
        return Finding(observation=Observation(name), status=Status.ABSENT)
    return Finding(observation=P.OTHER, detail=name, status=Status.ABSENT)


def _abnormal(finding: Finding, book: Phrasebook) -> bool:
    """Return whether a finding excludes "no acute abnormality"."""
    if finding.status is Status.ABSENT:
        return False
    term = book.terms[finding.observation][finding.detail or ""]
    if finding.observation is P.SUPPORT_DEVICES:
        return finding.location in term.misplaced
    return not term.variant


ROTATED_DEG = 4.0
"""Rotation of the patient above which a report may mention it."""


def _remarks(
    rng: np.random.Generator,
    names: Collection[str],
    seen: Seen,
    said: Sequence[Finding],
    institution: Institution,
    *,
    template: bool,
    compared: bool,
) -> tuple[str, ...]:
    """Return remarks that are true when the findings ``names`` are present; ``compared`` if there
    is an earlier film."""
    book = load_phrasebook()
    readily = institution.remarking
    stated = [finding for finding in said if finding.status is not Status.ABSENT]
    chances: dict[str, float] = dict.fromkeys(NORMAL_REMARKS, 0.0 if template else 0.4 * readily)
    if template:
        chances |= dict.fromkeys(institution.remarks, 1.0)
    rotated = abs(seen.measures.get("rotation_deg", 0.0)) > ROTATED_DEG
    chances["rotated"] = readily if rotated else 0.0
    chances["portable"] = 0.5 * readily if seen.view is View.AP else 0.0
    masses = {f.detail for f in stated if f.observation is P.LUNG_LESION} & {"nodule", "mass"}
    chances["advise CT"] = 2 * readily if masses else 0.0
    infection = {P.PNEUMONIA, P.CONSOLIDATION} & {f.observation for f in stated}
    chances["advise follow-up"] = 1.5 * readily if infection else 0.0
    doubtful = any(f.status is Status.UNCERTAIN for f in stated)
    chances["correlate"] = readily if doubtful else 0.0
    wrong = [f for f in stated if f.observation is P.SUPPORT_DEVICES and _abnormal(f, book)]
    chances["advise repositioning"] = 0.3 + readily if wrong else 0.0
    large = any(
        f.observation is P.PNEUMOTHORAX and f.severity in (Severity.MODERATE, Severity.LARGE)
        for f in stated
    )
    chances["communicated"] = 0.2 + readily if large or wrong else 0.0
    chances["quality"] = 0.2 * readily if seen.view is View.PA and not rotated else 0.0
    chances["no prior"] = 0.0 if compared else 0.25 * readily
    chances |= _advice(stated, seen, readily)
    draws = rng.random(len(chances))
    chosen = [
        name
        for (name, chance), draw in zip(chances.items(), draws, strict=True)
        if draw < chance and not book.remarks[name].unless & set(names)
    ]
    closing = [name for name in chosen if book.remarks[name].group == IMPRESSION]
    return tuple(name for name in chosen if name not in closing[MOST_ADVICE:])


MOST_ADVICE = 2
"""Maximum number of recommendations at the end of an impression."""


def _advice(stated: Sequence[Finding], seen: Seen, readily: float) -> dict[str, float]:
    """Return the probability of each recommendation given the ``stated`` findings."""

    def said(observation: Observation, *severities: Severity, location: str | None = None) -> bool:
        return any(
            finding.observation is observation
            and (not severities or finding.severity in severities)
            and (location is None or location in (finding.location or ""))
            for finding in stated
        )

    given = {
        "advise decubitus": said(P.PLEURAL_EFFUSION, Severity.TRACE),
        "advise drainage": said(P.PLEURAL_EFFUSION, Severity.LARGE),
        "advise rib views": any(f.observation is P.FRACTURE and not f.detail for f in stated),
        "advise echo": said(P.CARDIOMEGALY),
        "advise upright": seen.view is View.AP and bool(stated),
        "advise diuresis": said(P.EDEMA),
        "advise bronchoscopy": said(P.ATELECTASIS, location="lobe"),
        "advise serial films": said(P.PNEUMOTHORAX),
        "advise sampling": any(f.detail == "mass" for f in stated),
        "resolution": said(P.CONSOLIDATION) or said(P.LUNG_OPACITY),
    }
    return {name: 0.5 * readily if there else 0.0 for name, there in given.items()}
