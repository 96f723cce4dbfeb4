"""The engine read in Spanish: hard sentences by topic, and what must be read from them.

The cases are data (``hard_spanish.yaml``, in the notation of ``hard_sentences.yaml``). The
rates are those of ``benchmarks/reader_annotated.py`` on its annotated Spanish texts.
"""

import pytest
from test_annotated import BENCHMARK
from test_hard_sentences import cases, load, parse, show

from plainfilm.core import Observation
from plainfilm.text import labels, read
from plainfilm.text.reader.lexicon import vocabulary

GOALS = {"status": 0.98, "side": 0.95, "severity": 0.95, "change": 0.95, "place": 0.95}
"""F1 that the rules must keep on the annotated texts."""


@pytest.mark.parametrize("name", ["spanish_sentences_1", "spanish_reports"])
def test_annotated_texts_are_read(name: str) -> None:
    rates = BENCHMARK.score(name, BENCHMARK.load(name))
    assert {kind: rates[kind] for kind in GOALS if rates[kind] < GOALS[kind]} == {}


@pytest.mark.parametrize(("text", "line"), cases(load("hard_spanish.yaml")))
def test_spanish_sentence_is_read_as_expected(text: str, line: str) -> None:
    wanted, open_ended = parse(line)
    apart = (Observation.OTHER, Observation.NO_FINDING)
    found = [one for one in read(text, language="es") if one.observation not in apart]
    missed = [one for one in wanted if not any(one.matches(finding) for finding in found)]
    assert not missed, f"missed {missed} in {text!r}; read: {show(found)}"
    extra = [finding for finding in found if not any(one.matches(finding) for one in wanted)]
    assert open_ended or not extra, f"not said in {text!r}: {show(extra)}"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Índice cardiotorácico normal.", "indice cardiotoracico normal"),
        ("Neumotórax apical izquierdo de pequeño tamaño.", "neumotorax apical izq pequeño"),
        ("Nódulo en el lóbulo superior derecho.", "nodulo en lsd"),
        ("Derrame izdo. con atelectasia.", "derrame izquierdo con atelectasia"),
    ],
)
def test_telegraphic_spelling_reads_the_same(text: str, plain: str) -> None:
    first, second = (
        {one.statement for one in read(given, language="es")} for given in (text, plain)
    )
    assert first == second
    assert first


@pytest.mark.parametrize(
    "text",
    [
        "Radiografía de tórax sin hallazgos patológicos.",
        "No se observan infiltrados ni derrame. Marcapasos bicameral.",
        "Volúmenes pulmonares bajos. Silueta cardiaca normal.",
        "Lóbulo de la ácigos como variante anatómica. Senos costofrénicos libres.",
    ],
)
def test_normal_report_is_without_finding(text: str) -> None:
    assert Observation.NO_FINDING in labels(text, language="es")


@pytest.mark.parametrize(
    "text",
    ["Hernia de hiato.", "Signos de EPOC. Sin derrame.", "Elongación aórtica.", "Escoliosis."],
)
def test_other_abnormality_blocks_no_finding(text: str) -> None:
    assert Observation.NO_FINDING not in labels(text, language="es")


def test_spanish_knows_every_finer_term_of_english() -> None:
    english, spanish = (
        {(term.observation, term.detail): term.code for term in vocabulary(language)}
        for language in ("en", "es")
    )
    assert not english.keys() - spanish.keys()
    assert all(spanish[key] == code for key, code in english.items() if code)
