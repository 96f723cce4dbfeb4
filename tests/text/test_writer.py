"""The writer says what it is given, all of it, and nothing else."""

import random
import re

import pytest
import yaml

from plainfilm.core import (
    OBSERVATIONS,
    Change,
    Finding,
    InputError,
    Observation,
    Report,
    Side,
    Status,
)
from plainfilm.text.writer import STYLES, Style, write
from plainfilm.text.writer.phrasebook import load_phrasebook

EFFUSION = Finding(observation=Observation.PLEURAL_EFFUSION, side=Side.RIGHT, severity="small")
NO_PNEUMOTHORAX = Finding(observation=Observation.PNEUMOTHORAX, status=Status.ABSENT)
NORMAL = Finding(observation=Observation.NO_FINDING)
PICC = Finding(
    observation=Observation.SUPPORT_DEVICES,
    detail="PICC",
    side=Side.LEFT,
    location="superior vena cava",
)


LANGUAGES = ["en", "es"]


def finding(observation: Observation, **values: object) -> Finding:
    return Finding.model_validate({"observation": observation, **values})


def texts(findings: list[Finding], style: Style | None = None, seeds: int = 60) -> set[str]:
    return {write(findings, random.Random(seed), style).findings for seed in range(seeds)}


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_each_attribute_is_in_the_text(style: Style) -> None:
    effusion = r"small .*(effusion|fluid)"
    line = r"(PICC|peripherally inserted).*(superior vena cava|SVC)"
    for text in texts([EFFUSION, PICC], style):
        said = [s for s in re.split(r"(?<=\.) ", text) if re.search(effusion, s, re.IGNORECASE)]
        assert said
        assert all("right" in s for s in said)
        said = [s for s in re.split(r"(?<=\.) ", text) if re.search(line, s, re.IGNORECASE)]
        assert said
        assert all("left" in s.lower() for s in said)


def test_phrasing_varies_with_the_generator_and_repeats_with_its_state() -> None:
    assert len(texts([EFFUSION])) >= 4
    assert len(texts([EFFUSION, NO_PNEUMOTHORAX])) >= 8
    one, two = (write([EFFUSION, PICC], random.Random(7)) for _ in range(2))
    assert one == two


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_observation_can_be_written_with_every_detail_and_status(language: str) -> None:
    book = load_phrasebook(language)
    assert set(book.terms) == set(Observation)
    for observation in OBSERVATIONS:
        assert "" in book.terms[observation], f"{observation} has no plain term"
    for observation, terms in book.terms.items():
        for detail, term in terms.items():
            for status in term.statuses:
                finding = Finding(observation=observation, detail=detail or None, status=status)
                for style in STYLES.values():
                    style = style.model_copy(update={"language": language})
                    report = write([finding], random.Random(0), style)
                    assert report.findings.rstrip().endswith("."), report.findings


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_severity_side_place_and_change_a_term_lists_can_be_written(language: str) -> None:
    book = load_phrasebook(language)
    style = Style(language=language)
    for observation, terms in book.terms.items():
        for detail, term in terms.items():
            status = term.statuses[0]
            named = Finding(observation=observation, detail=detail or None, status=status)
            if observation is Observation.NO_FINDING:
                continue
            updates: list[dict[str, object]] = [{"severity": s} for s in term.severities]
            updates += [{"side": side} for side in term.sides]
            for change in term.changes:
                resolved = change is Change.RESOLVED
                for status in term.statuses:
                    if resolved == (status is Status.ABSENT):
                        updates.append({"change": change, "status": status})
            for kind in term.places:
                for name, place in book.places[kind].items():
                    sides = [s for s in term.sides if (place.only or place.implies or s) == s]
                    updates += [{"location": name, "side": s} for s in [None, *sides]]
            for update in updates:
                text = write([named.model_copy(update=update)], random.Random(1), style).text
                assert not re.search(r"[{}|]|  | \.|\bNone\b", text), text


def test_statements_are_the_given_findings_with_their_words() -> None:
    given = [NO_PNEUMOTHORAX, PICC, EFFUSION]
    for name, style in STYLES.items():
        for seed in range(40):
            report = write(given, random.Random(seed), style)
            assert [f.statement for f in report.statements] == [f.statement for f in given], name
            words = (r"pneumothora(x|ces)", r"PICC|peripherally inserted", r"effusion|fluid")
            for finding, word in zip(report.statements, words, strict=True):
                assert finding.sentence is not None
                assert finding.sentence in report.text
                for start, end in finding.spans:
                    assert re.search(word, report.text[start:end], re.IGNORECASE)
                    assert "." not in report.text[start:end]


def test_the_urgent_is_restated_in_the_impression_and_located_there_too() -> None:
    for seed in range(20):
        report = write([PICC, NO_PNEUMOTHORAX, EFFUSION], random.Random(seed))
        assert re.search("effusion|fluid", report.impression)
        assert not re.search("PICC|central", report.impression)
        effusion = report.statements[2]
        starts = [start for start, _ in effusion.spans]
        assert len(starts) == 2
        assert starts[0] < len(report.findings) < starts[1]


def test_the_most_urgent_comes_first_in_the_impression() -> None:
    opacity = Finding(observation=Observation.LUNG_OPACITY, side=Side.LEFT)
    pneumothorax = Finding(observation=Observation.PNEUMOTHORAX, side=Side.LEFT)
    style = STYLES["structured"]
    impression = write([opacity, EFFUSION, pneumothorax], random.Random(0), style).impression
    items = re.split(r"\d\. ", impression)[1:]
    assert "pneumothorax" in items[0].lower()
    assert re.search("effusion|fluid", items[1])
    assert "left" in items[2]
    assert len(items) == 3


def test_plain_absences_share_a_sentence() -> None:
    absent = [
        Finding(observation=o, status=Status.ABSENT)
        for o in (Observation.PNEUMOTHORAX, Observation.PLEURAL_EFFUSION)
    ]
    air, fluid = r"pneumothora(x|ces)", r"(pleural )?(effusions?|fluid)"
    expected = rf"({air} n?or {fluid}|{fluid} n?or {air})\b"
    for text in texts(absent, Style(impression=False)):
        assert re.search(expected, text), text


SOUND = r"acute|active|([Nn]ormal|[Uu]nremarkable|[Nn]egative)\b.*\bchest"


def test_a_normal_report_needs_no_finding_or_explicit_absences() -> None:
    assert write([], random.Random(0)) == Report()
    for seed in range(20):
        report = write([NORMAL], random.Random(seed))
        assert re.search(SOUND, report.findings)
        assert re.search(SOUND, report.impression)
        beside = write([NORMAL, NO_PNEUMOTHORAX], random.Random(seed))
        assert not re.search(SOUND, beside.findings)
        assert re.search(SOUND, beside.impression)
        alone = write([NO_PNEUMOTHORAX], random.Random(seed)).text
        assert not re.search(SOUND, alone)


def test_a_cause_shares_its_opacity_s_sentence_only_at_the_same_place() -> None:
    place = {"side": Side.RIGHT, "location": "lower lobe"}
    opacity = finding(Observation.LUNG_OPACITY, **place)
    pneumonia = finding(Observation.PNEUMONIA, status="uncertain", **place)
    joined = r"right lower lobe\b[^.]*, [^.]*(pneumonia|infection|infectious process)"
    assert any(re.search(joined, text) for text in texts([opacity, pneumonia]))
    elsewhere = pneumonia.model_copy(update={"side": Side.LEFT})
    severe = pneumonia.model_copy(update={"severity": "severe"})
    for other in (elsewhere, severe):
        for text in texts([opacity, other]):
            assert not re.search(r"represent|suspicious for|consistent", text), text
    for seed in range(30):
        report = write([opacity, pneumonia], random.Random(seed))
        (start, end), *_ = report.statements[1].spans
        assert re.search("pneumonia|infecti", report.text[start:end].lower())


def test_two_sides_may_share_a_sentence() -> None:
    left = finding(Observation.PLEURAL_EFFUSION, side="left", severity="moderate")
    shared = (
        r"small right and moderate left (pleural effusions|effusions|pleural fluid collections)"
    )
    written = texts([EFFUSION, left])
    assert any(re.search(shared, text, re.IGNORECASE) for text in written)
    assert any(not re.search(shared, text, re.IGNORECASE) for text in written)
    report = next(
        r
        for seed in range(60)
        if "mall right and" in (r := write([EFFUSION, left], random.Random(seed))).findings
    )
    said = [report.text[slice(*f.spans[0])].lower() for f in report.statements]
    assert said[0] == "small right"
    assert re.fullmatch("moderate left (pleural )?(effusions|fluid collections)", said[1])


def test_no_finding_stands_beside_devices_and_variants() -> None:
    variant = finding(Observation.OTHER, detail="azygos lobe")
    report = write([NORMAL, PICC, variant], random.Random(0))
    assert "azygos lobe" in report.findings
    assert re.search(SOUND, report.impression)


def test_lungs_are_not_called_clear_beside_something_in_them() -> None:
    clear = Finding(observation=Observation.LUNG_OPACITY, status=Status.ABSENT)
    nodule = Finding(observation=Observation.LUNG_LESION, detail="nodule")
    assert any("lear" in text for text in texts([clear]))
    assert not any("lear" in text for text in texts([clear, nodule]))


def test_a_style_without_comparison_drops_change_from_text_and_statements() -> None:
    worse = EFFUSION.model_copy(update={"change": Change.WORSE})
    style = Style(comparison=False)
    report = write([worse], random.Random(0), style)
    assert report.statements[0].change is None
    assert not any(
        re.search(r"worse|increas|prior|previous", text) for text in texts([worse], style)
    )


def test_a_style_orders_the_groups() -> None:
    for text in texts([PICC, EFFUSION], Style(order=("pleura", "devices"))):
        fluid, line = (re.search(p, text) for p in ("ffusion|fluid", "PICC|eripherally"))
        assert fluid
        assert line
        assert fluid.start() < line.start()
    with pytest.raises(InputError, match=r"no such groups: \['plura'\]; a style orders film, "):
        write([], random.Random(0), Style(order=("plura",)))


def test_structured_reports_have_headings_and_numbers() -> None:
    edema = Finding(observation=Observation.EDEMA)
    report = write([edema, EFFUSION], random.Random(0), Style(layout="structured"))
    assert re.match(r"Lungs: .*\. Pleura: .*\.$", report.findings)
    assert re.match(r"1\. .* 2\. ", report.impression)


@pytest.mark.parametrize(
    ("findings", "message"),
    [
        (
            [finding(Observation.SUPPORT_DEVICES, detail="PIC")],
            r"cannot write Support Devices with detail 'PIC'; give one of: PICC, ICD",
        ),
        (
            [finding(Observation.OTHER)],
            r"cannot write Other with detail None; give one of: ",
        ),
        (
            [finding(Observation.PNEUMOTHORAX, severity="severe")],
            r"cannot write Pneumothorax with severity 'severe'; it takes trace, small, mod",
        ),
        (
            [finding(Observation.CARDIOMEGALY, side="left")],
            r"cannot write Cardiomegaly with side 'left'; it takes none",
        ),
        (
            [finding(Observation.EDEMA, location="lower lobe")],
            r"cannot write Edema with location 'lower lobe'; it takes none",
        ),
        (
            [finding(Observation.LUNG_OPACITY, location="lingula", side="right")],
            r"cannot write Lung Opacity: the lingula is left only",
        ),
        (
            [finding(Observation.EDEMA, change="resolved")],
            r"cannot write Edema as present and resolved; an absent finding has no change or is",
        ),
        (
            [finding(Observation.EDEMA, status="absent", change="new")],
            r"cannot write Edema as absent and new",
        ),
        (
            [finding(Observation.EDEMA, status="absent", severity="mild")],
            r"cannot write Edema as absent with a severity or both sides; drop them",
        ),
        (
            [finding(Observation.NO_FINDING, status="absent")],
            r"cannot write No Finding with status 'absent'; it takes present",
        ),
        (
            [NORMAL, finding(Observation.OTHER, detail="emphysema")],
            r"No Finding contradicts emphysema; leave one of them out",
        ),
        ([NORMAL, EFFUSION], r"No Finding contradicts Pleural Effusion; leave one of them out"),
        (
            [EFFUSION, finding(Observation.PLEURAL_EFFUSION, status="absent")],
            r"Pleural Effusion is given both as absent and as present; give the absent one a side",
        ),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_line(
    findings: list[Finding], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        write(findings, random.Random(0))
    assert "\n" not in str(caught.value)


def test_an_absence_on_one_side_does_not_contradict_the_other() -> None:
    left = finding(Observation.PLEURAL_EFFUSION, status="absent", side="left")
    for text in texts([EFFUSION, left]):
        assert re.search(r"\bno (evidence|.*(effusion|fluid))", text, re.IGNORECASE)
        assert re.search(r"\bleft", text)


def test_an_unknown_language_lists_the_known() -> None:
    with pytest.raises(InputError, match=r"the writer has no language 'klingon'; it has en, es"):
        write([EFFUSION], random.Random(0), Style(language="klingon"))


def test_the_vocabulary_has_the_breadth_of_real_reports() -> None:
    book = load_phrasebook()
    said = str([book.sentences, book.terms, book.places, book.together, book.remarks])
    assert 500 < len(set(re.findall(r"[a-z]{2,}", said.lower()))) < 2000


def test_a_phrasebook_with_a_mistake_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    load = yaml.safe_load

    def with_a_mistake(text: str) -> dict[str, object]:
        entries: dict[str, object] = load(text)
        return {**entries, "tense": "past"} if "agreement" in entries else entries

    monkeypatch.setattr(yaml, "safe_load", with_a_mistake)
    with pytest.raises(InputError, match=r"writing/en: tense: Extra inputs"):
        load_phrasebook.__wrapped__("en")


def test_every_language_has_the_same_terms_places_and_sentences() -> None:
    english, *others = (load_phrasebook(language) for language in LANGUAGES)
    for other in others:
        assert other.sentences.keys() == english.sentences.keys()
        assert other.impression == english.impression
        for kind, places in english.places.items():
            assert other.places[kind].keys() == places.keys()
        for observation, terms in english.terms.items():
            assert other.terms[observation].keys() == terms.keys()
            for detail, term in terms.items():
                same = ("group", "statuses", "variant", "severities", "sides", "places", "changes")
                for name in same:
                    translated = getattr(other.terms[observation][detail], name)
                    assert translated == getattr(term, name), f"{observation} {detail} {name}"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"observation": "Pleural Effusion", "side": "right", "severity": "small"},
         "Derrame pleural derecho pequeño."),
        ({"observation": "Lung Opacity", "side": "right", "severity": "small"},
         "Opacidad derecha pequeña."),
        ({"observation": "Lung Opacity", "side": "bilateral", "severity": "severe"},
         "Opacidades bilaterales severas."),
        ({"observation": "Lung Opacity", "side": "left", "location": "lower lobe"},
         "Opacidad en el lóbulo inferior izquierdo."),
        ({"observation": "Pleural Effusion", "side": "left", "location": "fissure"},
         "Derrame pleural en la cisura izquierda."),
        ({"observation": "Fracture", "status": "absent", "change": "resolved"},
         "Resolución de fractura."),
    ],
)  # fmt: skip
def test_spanish_adjectives_agree(values: dict[str, str], text: str) -> None:
    style = Style(language="es", wording="terse", impression=False)
    report = write([Finding.model_validate(values)], random.Random(0), style)
    assert report.findings == text
