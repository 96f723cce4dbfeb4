from plainfilm.core import Finding, Observation, Report
from plainfilm.export.passages import sections


def finding(sentence: str | None = None, *spans: tuple[int, int]) -> Finding:
    return Finding(observation=Observation.EDEMA, sentence=sentence, spans=spans)


def cut(findings: str, *statements: Finding, impression: str = "") -> list[tuple[str, tuple]]:
    report = Report(findings=findings, impression=impression, statements=statements)
    return [(p.text, p.statements) for parts in sections(report).values() for p in parts]


def test_the_passages_join_to_the_section(report: Report) -> None:
    parts = sections(report)
    assert list(parts) == ["Findings", "Impression"]
    assert "".join(p.text for p in parts["Findings"]) == report.findings
    assert "".join(p.text for p in parts["Impression"]) == report.impression


def test_each_sentence_knows_its_statements_and_the_rest_has_none(report: Report) -> None:
    texts = {p.text: p.statements for parts in sections(report).values() for p in parts}
    assert texts["Small right pleural effusion."] == (0,)
    assert texts["No pneumothorax."] == (1,)
    assert texts["Possible pneumonia."] == (2,)
    assert texts[" The trachea is midline."] == ()


def test_of_two_equal_sentences_the_span_tells_which() -> None:
    assert cut("Edema. Edema.", finding("Edema.", (7, 12))) == [("Edema. ", ()), ("Edema.", (0,))]


def test_a_sentence_is_found_over_a_line_break() -> None:
    assert cut("Mild\n edema.", finding("Mild edema.")) == [("Mild\n edema.", (0,))]


def test_a_span_outside_of_the_sentence_is_marked_too() -> None:
    passages = cut("Edema.", finding("Edema.", (0, 5), (12, 17)), impression="Mild edema.")
    assert passages == [("Edema.", (0,)), ("Mild ", ()), ("edema", (0,)), (".", ())]


def test_statements_that_overlap_share_the_overlap() -> None:
    passages = cut("Mild edema.", finding("Mild edema."), finding(None, (5, 10)))
    assert passages == [("Mild ", (0,)), ("edema", (0, 1)), (".", (0,))]


def test_a_statement_that_the_text_does_not_hold_marks_nothing() -> None:
    assert cut("Clear.", finding("Edema.")) == [("Clear.", ())]


def test_an_empty_section_is_left_out() -> None:
    assert list(sections(Report(impression="Edema."))) == ["Impression"]
