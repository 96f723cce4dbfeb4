"""What one report says held against what another says: the one comparison of findings.

The error table, its page, finding-level metrics and rewards all stand on :func:`match`. It pairs
the statements of two reports, each at most once, and says how the two of a pair differ:

- Statements pair where they have the same name: an observation, for Other its finer term, for a
  device its kind ("central line" may stand for a PICC). A right pacemaker and a left chest tube
  against a right port are two omissions and an invention.
- Of several candidates the closest pair: the same side and place first, then what one report leaves
  unsaid, then another place, then another side.
- What is left over is covered where the other report says it less definitely ("effusions" covers a
  left and a right one), a wrong side or place where its other half is paired ("left" against
  "bilateral"), and otherwise omitted or hallucinated.
- What a report leaves unsaid of a finding (no side, no severity) is no difference; nor is what only
  one of them denies, since reports name only some of what is normal.

``significance.yaml`` says which findings are critical. A difference is significant where it
concerns one of them: invented or left out, at another side, two grades or a threefold size away, or
better where it is worse.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from plainfilm.core import Change, Finding, Observation, Status
from plainfilm.text.significance import load_significance
from plainfilm.text.statements import Said, Statement, gather, name_of, overlap

WORDS = {
    "hallucinated": "Drafted as present or uncertain, and not in the truth.",
    "omitted": "Present or uncertain in the truth, and not in the draft.",
    "contradicted": "A normal statement where the other report has an abnormal one.",
    "differs": "The other report says it with another side, place, severity, size, certainty or "
    "change.",
    "agrees": "The other report says it too, and nothing that both say of it differs.",
}
"""The words for one statement and what they mean, the gravest first."""

SIZE_FACTOR = 2.0
"""From which ratio on two sizes differ."""
_SIGNIFICANT_FACTOR = 3.0
_SIGNIFICANT_GRADES = 2

_DIRECTION = {
    Change.NEW: 1, Change.WORSE: 1, Change.STABLE: 0, Change.IMPROVED: -1, Change.RESOLVED: -1,
}  # fmt: skip


class Kind(StrEnum):
    """How a prediction differs from its reference."""

    HALLUCINATED = "hallucinated finding"
    OMITTED = "omitted finding"
    PLACE = "wrong side or place"
    SEVERITY = "wrong severity"
    CERTAINTY = "wrong certainty"
    COMPARISON = "wrong or invented comparison"
    COMPARISON_OMITTED = "omitted comparison"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between two reports."""

    kind: Kind
    what: str
    """The finding, and what was said for what is so."""
    significant: bool
    """Whether it would usually change what is done next."""
    reference: tuple[int, ...] = ()
    """The findings of the reference that it concerns."""
    prediction: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """The word for one finding, one of :data:`WORDS`, and what the other report says of it."""

    word: str
    other: str = ""


@dataclass(frozen=True, slots=True)
class Matching:
    """What two reports share, and how they differ."""

    reference: Said
    prediction: Said
    pairs: tuple[tuple[Statement, Statement], ...]
    """Mentions of both reports that are about the same thing."""
    denied: int
    """How many statements both reports deny."""
    differences: tuple[Difference, ...]

    @property
    def matched(self) -> int:
        """How many statements both reports make, denials among them, without significant error."""
        wrong = {
            index
            for difference in self.differences
            if difference.significant
            for index in difference.prediction
        }
        return self.denied + sum(not wrong & set(said.findings) for _, said in self.pairs)

    @property
    def significant(self) -> int:
        """How many differences would usually change what is done next."""
        return sum(difference.significant for difference in self.differences)

    @property
    def insignificant(self) -> int:
        """How many differences would not."""
        return len(self.differences) - self.significant

    def marks(self) -> tuple[tuple[Mark | None, ...], tuple[Mark | None, ...]]:
        """Return the mark of each finding of the reference and of the prediction.

        None for a finding that only one report denies, or that leaves open what it is about.
        """
        return _marks(self, own="reference"), _marks(self, own="prediction")

    def counterparts(self) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]:
        """Return for each finding of either report which findings of the other are about it."""
        links: set[tuple[int, int]] = {
            (index, other)
            for truth, said in self.pairs
            for index in truth.findings
            for other in said.findings
        }
        for truth in (*self.reference.mentions, *self.reference.denials):
            for said in (*self.prediction.mentions, *self.prediction.denials):
                denied = Status.ABSENT in (truth.status, said.status)
                if denied and _same_name(truth, said) and not _other_side(truth, said):
                    links |= {(i, j) for i in truth.findings for j in said.findings}
        of_reference: list[list[int]] = [[] for _ in self.reference.findings]
        of_prediction: list[list[int]] = [[] for _ in self.prediction.findings]
        for index, other in sorted(links):
            of_reference[index].append(other)
            of_prediction[other].append(index)
        return tuple(map(tuple, of_reference)), tuple(map(tuple, of_prediction))


def match(reference: Said | Sequence[Finding], prediction: Said | Sequence[Finding]) -> Matching:
    """Return what two reports share, and how the prediction differs from the reference.

    Args:
        reference: what a radiologist wrote: its findings, or what :func:`gather` made of them.
        prediction: what a model wrote, likewise.
    """
    truth = reference if isinstance(reference, Said) else gather(reference)
    said = prediction if isinstance(prediction, Said) else gather(prediction)
    pairs, only_truth, only_said = _pair(truth.mentions, said.mentions)
    differences = [
        *_one_sided(only_said, pairs, truth, said, Kind.HALLUCINATED),
        *_one_sided(only_truth, pairs, truth, said, Kind.OMITTED),
    ]
    for one, other in pairs:
        differences += _differences(one, other, truth, said)
    differences += _comparisons(truth, said)
    denied = sum(
        any(_same_name(one, other) and not _other_side(one, other) for other in said.denials)
        for one in truth.denials
    )
    return Matching(truth, said, tuple(pairs), denied, tuple(_once(differences)))


def compare(
    drafted: Sequence[Finding], truth: Sequence[Finding]
) -> tuple[tuple[Mark | None, ...], tuple[Mark | None, ...]]:
    """Return the mark of each drafted finding and of each of the truth's."""
    of_truth, of_draft = match(truth, drafted).marks()
    return of_draft, of_truth


def _same_name(one: Statement, other: Statement) -> bool:
    """Return whether two statements may be about the same thing."""
    if one.name == other.name:
        return True
    if (
        one.observation is not Observation.SUPPORT_DEVICES
        or other.observation is not one.observation
    ):
        return False
    if one.name.startswith("misplaced") or other.name.startswith("misplaced"):
        return False
    return load_significance().same_device(one.detail, other.detail)


def _other_side(one: Statement, other: Statement) -> bool:
    return one.side is not None and other.side is not None and one.side is not other.side


def _other_place(one: Statement, other: Statement) -> bool:
    return bool(one.places and other.places) and not overlap(one.places, other.places)


def _pair(
    truth: Sequence[Statement], said: Sequence[Statement]
) -> tuple[list[tuple[Statement, Statement]], list[Statement], list[Statement]]:
    """Return the pairs, the closest first, and what is left of either side and not covered."""
    candidates = []
    for i, one in enumerate(truth):
        for j, other in enumerate(said):
            if _same_name(one, other):
                candidates.append((*_distance(one, other), i, j))
    candidates.sort()
    of_truth: dict[int, int] = {}
    of_said: dict[int, int] = {}
    for *_, i, j in candidates:
        if i not in of_truth and j not in of_said:
            of_truth[i], of_said[j] = j, i
    pairs = [(truth[i], said[of_truth[i]]) for i in sorted(of_truth)]
    only_truth = [
        one for i, one in enumerate(truth) if i not in of_truth and not _covered(one, said)
    ]
    only_said = [one for j, one in enumerate(said) if j not in of_said and not _covered(one, truth)]
    return pairs, only_truth, only_said


def _distance(one: Statement, other: Statement) -> tuple[int, ...]:
    """Return how far apart two statements of one name are; the first number weighs most."""
    return (
        _other_side(one, other),
        _other_place(one, other),
        one.name != other.name,
        one.side is not other.side,
        not (one.places == other.places or overlap(one.places, other.places)),
        one.status is not other.status,
        bool(one.ranks and other.ranks) and not one.ranks & other.ranks,
    )


def _covered(one: Statement, others: Sequence[Statement]) -> bool:
    """Return whether a statement of the other report says ``one`` too, less definitely.

    "Effusions" covers a left and a right one, "lines and tubes" every device; "a central line" is
    one line.
    """
    return any(
        (one.name == other.name or other.name == Observation.SUPPORT_DEVICES)
        and _same_name(one, other)
        and other.side in (None, one.side)
        and (not other.places or overlap(one.places, other.places))
        for other in others
    )


def _one_sided(
    left_over: Sequence[Statement],
    pairs: Sequence[tuple[Statement, Statement]],
    truth: Said,
    said: Said,
    kind: Kind,
) -> Iterator[Difference]:
    """Yield what only one report says; of a bilateral finding half of which is paired, its side."""
    own = 1 if kind is Kind.HALLUCINATED else 0
    for one in left_over:
        half = next(
            (
                pair
                for pair in pairs
                if pair[own].name == one.name and set(pair[own].findings) & set(one.findings)
            ),
            None,
        )
        if half is not None:
            significant = one.critical
            yield _difference(Kind.PLACE, half, truth, said, significant, also=(one, own))
            continue
        yield Difference(
            kind,
            one.name,
            one.critical,
            reference=() if own else tuple(one.findings),
            prediction=tuple(one.findings) if own else (),
        )


def _differences(one: Statement, other: Statement, truth: Said, said: Said) -> Iterator[Difference]:
    """Yield how the two statements of a pair differ."""
    pair = (one, other)
    critical = one.critical or other.critical
    if one.status is not other.status:
        yield _difference(Kind.CERTAINTY, pair, truth, said, False)
    if _other_side(one, other):
        significant = load_significance().lists(one.name)
        yield _difference(Kind.PLACE, pair, truth, said, significant)
    elif _other_place(one, other):
        yield _difference(Kind.PLACE, pair, truth, said, critical)
    grades = min((abs(a - b) for a in one.ranks for b in other.ranks), default=0)
    factor = _size_factor(one, other)
    if grades or factor >= SIZE_FACTOR:
        significant = load_significance().lists(one.name) and (
            grades >= _SIGNIFICANT_GRADES or factor >= _SIGNIFICANT_FACTOR
        )
        yield _difference(Kind.SEVERITY, pair, truth, said, significant)


def _size_factor(one: Statement, other: Statement) -> float:
    """Return by which factor the closest sizes of two statements differ; 1 where one has none."""
    return min(
        (max(a, b) / min(a, b) for a in one.sizes_mm for b in other.sizes_mm if min(a, b) > 0),
        default=1.0,
    )


def _comparisons(truth: Said, said: Said) -> Iterator[Difference]:
    """Yield each finding whose change the other report tells otherwise or not at all."""
    stated, claimed = _changes(truth), _changes(said)
    for name in dict.fromkeys((*claimed, *stated)):
        so, of_truth = stated.get(name, ({}, []))
        told, of_said = claimed.get(name, ({}, []))
        concerned = {"reference": tuple(of_truth), "prediction": tuple(of_said)}
        if wrong := [change for change in told if change not in so]:
            opposed = any(
                _DIRECTION[change] * _DIRECTION[other] < 0 for change in wrong for other in so
            )
            significant = opposed and load_significance().lists(name)
            what = f"{name}: {', '.join(sorted(wrong))} for {_listed(so)}"
            yield Difference(Kind.COMPARISON, what, significant, **concerned)
        elif so and not told:
            what = f"{name}: no comparison for {_listed(so)}"
            yield Difference(Kind.COMPARISON_OMITTED, what, False, **concerned)


def _listed(changes: dict[Change, None]) -> str:
    return ", ".join(sorted(changes)) or "no comparison"


def _changes(said: Said) -> dict[str, tuple[dict[Change, None], list[int]]]:
    """Return the changes of each name, denied or not, and the findings that tell them."""
    found: dict[str, tuple[dict[Change, None], list[int]]] = {}
    for index, finding in enumerate(said.findings):
        if finding.change is not None and finding.observation is not Observation.NO_FINDING:
            changes, indices = found.setdefault(_subject(finding), ({}, []))
            changes[finding.change] = None
            indices.append(index)
    return found


def _subject(finding: Finding) -> str:
    """Return what a change is told of: all devices together, since "lines unchanged" is of all."""
    device = finding.observation is Observation.SUPPORT_DEVICES
    return str(finding.observation) if device else name_of(finding)


def _difference(
    kind: Kind,
    pair: tuple[Statement, Statement],
    truth: Said,
    said: Said,
    significant: bool,
    also: tuple[Statement, int] | None = None,
) -> Difference:
    """Return a difference of a pair; ``also`` is the half of it that the other report lacks."""
    indices = [list(statement.findings) for statement in pair]
    if also is not None:
        indices[also[1]] += also[0].findings
    of_truth, of_said = (tuple(sorted(set(found))) for found in indices)
    sizes = kind is Kind.SEVERITY and bool(pair[0].sizes_mm and pair[1].sizes_mm)
    certain = kind is Kind.CERTAINTY
    words = [
        _words([report.findings[i] for i in found], statement if sizes else None, certain)
        for report, found, statement in ((truth, of_truth, pair[0]), (said, of_said, pair[1]))
    ]
    return Difference(
        kind, f"{pair[0].name}: {words[1]} for {words[0]}", significant, of_truth, of_said
    )


def _words(findings: Sequence[Finding], sized: Statement | None, certain: bool) -> str:
    """Return status (where it differs), severity, size, side and place of findings, in words."""
    size = "" if sized is None else " to ".join(f"{s:g} mm" for s in sorted(sized.sizes_mm))
    described = (
        " ".join(filter(None, (f.status if certain else "", f.severity, size, *_where(f))))
        for f in findings
    )
    return ", ".join(dict.fromkeys(text or "unspecified" for text in described))


def _where(finding: Finding) -> tuple[str | None, str | None]:
    """Return side and place of a finding, the side once ("right atrium")."""
    sided = finding.side and finding.location and finding.location.startswith(finding.side)
    return None if sided else finding.side, finding.location


def _once(differences: Sequence[Difference]) -> Iterator[Difference]:
    """Yield the differences; of several with the same words one alone.

    Of a misplaced tube that is left out, or invented, its being misplaced goes before the tube.
    """
    kept: dict[tuple[Kind, str], Difference] = {}
    for difference in differences:
        key = (difference.kind, difference.what)
        if difference.kind in (Kind.HALLUCINATED, Kind.OMITTED):
            key = (difference.kind, f"{difference.reference}{difference.prediction}")
        if key not in kept or (difference.significant and not kept[key].significant):
            kept[key] = difference
    yield from kept.values()


_SHOWN = {
    Kind.PLACE: ("side", "location"),
    Kind.SEVERITY: ("severity",),
    Kind.CERTAINTY: ("status",),
    Kind.COMPARISON: ("change",),
}
"""What is shown of the other report's finding, by kind of difference."""
_NOTHING = "no comparison"


def _marks(matching: Matching, own: str) -> tuple[Mark | None, ...]:
    report: Said = getattr(matching, own)
    other: Said = matching.prediction if own == "reference" else matching.reference
    alone = "omitted" if own == "reference" else "hallucinated"
    missing = Kind.OMITTED if own == "reference" else Kind.HALLUCINATED
    far = "prediction" if own == "reference" else "reference"
    found: dict[int, Mark] = {}
    differing: dict[int, dict[str, None]] = {}
    lacking: set[int] = set()
    for difference in matching.differences:
        if difference.kind is missing:
            lacking.update(getattr(difference, own))
        elif difference.kind in _SHOWN:
            shown = [
                str(value)
                for attribute in _SHOWN[difference.kind]
                for index in getattr(difference, far)
                if (value := getattr(other.findings[index], attribute))
            ]
            for index in getattr(difference, own):
                differing.setdefault(index, {}).update(dict.fromkeys(shown or [_NOTHING]))
    mentioned = {index for statement in report.mentions for index in statement.findings}
    normal = any(f.observation is Observation.NO_FINDING for f in other.findings)
    abnormal = bool(other.mentions)
    for index, finding in enumerate(report.findings):
        if finding.observation is Observation.NO_FINDING:
            if normal or abnormal:
                found[index] = Mark("agrees" if normal else "contradicted")
        elif index in mentioned:
            if index in differing:
                found[index] = Mark("differs", ", ".join(differing[index]))
            else:
                found[index] = Mark(alone if index in lacking else "agrees")
    for statement in report.denials:
        same = [one for one in other.mentions if _same_name(statement, one)]
        near = [one for one in same if not _other_side(statement, one)]
        agreed = any(
            _same_name(statement, one) and not _other_side(statement, one) for one in other.denials
        )
        for index in statement.findings:
            if near:
                found[index] = Mark("contradicted")
            elif index in differing:
                found[index] = Mark("differs", ", ".join(differing[index]))
            elif agreed:
                found[index] = Mark("agrees")
    return tuple(found.get(index) for index in range(len(report.findings)))
