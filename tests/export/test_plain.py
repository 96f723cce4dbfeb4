import json
from pathlib import Path

import pytest

from plainfilm.core import Evidence, Finding, Image, Reference, Report, Study
from plainfilm.export import (
    DISCLAIMER,
    refusal_values,
    report_json,
    report_text,
    report_values,
)

ROOT = Path(__file__).parents[2]
LEVELS = ("study", "series", "instance", "class")


def test_json_has_the_documented_keys_and_no_pixels(study: Study, report: Report) -> None:
    content = json.loads(report_json(study, report))
    assert list(content) == [
        "schema_version", "badges", "disclaimer", "study", "findings", "impression", "statements",
        "evidence", "warnings", "model", "weights_sha256", "plainfilm", "created",
    ]  # fmt: skip
    assert content["findings"] == report.findings
    assert content["disclaimer"] == DISCLAIMER
    (image,) = content["study"]["images"]
    assert "pixels" not in image
    assert image["source"] == "film.png"
    assert image["shape"] == [64, 48]


def test_json_gives_the_words_back(study: Study, report: Report) -> None:
    own = report.statements[1].model_copy(update={"evidence": (report.evidence[0],)})
    statements = (report.statements[0], own, *report.statements[2:])
    report = report.model_copy(update={"statements": statements, "hangs_on_indication": (2,)})
    content = json.loads(report_json(study, report))
    evidence = tuple(map(Evidence.from_dict, content["evidence"]))
    assert evidence == (*report.evidence, report.evidence[0])
    assert [one.pop("evidence") for one in content["statements"]] == [[0], [2], []]
    assert [one.pop("needs_indication") for one in content["statements"]] == [False, False, True]
    bare = [one.model_copy(update={"evidence": ()}) for one in report.statements]
    assert list(map(Finding.from_dict, content["statements"])) == bare


def test_json_keeps_to_its_published_schema(study: Study, report: Report) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="the dev extra brings it")
    uids = {f"{name}_uid": f"1.2.3.{n}" for n, name in enumerate(LEVELS)}
    known = Reference(**uids, rows=64, columns=48)
    film = study.images[0].model_copy(update={"reference": known, "digest": "0" * 64})
    study = study.model_copy(update={"images": (film, film)})
    report = report.model_copy(update={"images_read": (1,), "badges": ("outside",)})
    told = report_values(study, report, uids=True)
    assert [image["read"] for image in told["study"]["images"]] == [False, True]
    assert told["study"]["images"][0]["study_uid"] == "1.2.3.0"
    assert "1.2.3" not in report_json(study, report)
    refused = refusal_values("b", ["b.png"], "b.png: is empty")
    schema = json.loads((ROOT / "docs/report.schema.json").read_text())
    for values in (told, report_values(study, report), refused, [refused, told]):
        jsonschema.validate(json.loads(json.dumps(values)), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(told | {"more": 1}, schema)


def test_json_keeps_a_row_of_numbers_on_a_line_and_every_string_as_it_is(study: Study) -> None:
    heatmap = (tuple(i / 16 for i in range(16)),) * 16
    hostile = "[\n  1,\n  2\n]"
    report = Report(findings=hostile, evidence=(Evidence(observation="Edema", heatmap=heatmap),))
    text = report_json(study, report)
    assert len(text.splitlines()) < 75
    assert json.loads(text)["findings"] == hostile
    assert Evidence.from_dict(json.loads(text)["evidence"][0]).heatmap == heatmap


def test_no_form_names_a_folder(study: Study, report: Report) -> None:
    warning = f"{study.images[0].source}: rescaled"
    image = Image.model_validate({**dict(study.images[0]), "warnings": (warning,)})
    doubtful = study.model_copy(update={"images": (image,)})
    told = report.model_copy(update={"warnings": (warning,)})
    for form in (report_text(doubtful, told), report_json(doubtful, told)):
        assert "film.png: rescaled" in form
        assert "secret folder" not in form


def test_a_windows_path_is_cut_too(report: Report, study: Study) -> None:
    image = Image.model_validate({**dict(study.images[0]), "source": r"C:\patients\film.dcm"})
    text = report_text(Study(images=(image,)), report)
    assert "film.dcm" in text
    assert "patients" not in text


def test_text_reads_from_disclaimer_to_statements(study: Study, report: Report) -> None:
    assert report_text(study, report) == (
        "DRAFT FOR A RADIOLOGIST. NOT A DIAGNOSIS.\n\n"
        "Study       study-1\n"
        "Films       PA view, film.png, simulated\n"
        "Indication  Mr Nobody coughs\n"
        "Model       plainfilm-small\n\n"
        "! This model was trained on simulated films only.\n\n"
        "FINDINGS\n"
        "Small right pleural effusion. No pneumothorax. The trachea is midline.\n\n"
        "IMPRESSION\n"
        "Possible pneumonia.\n\n"
        "STATEMENTS\n"
        "[+] present    Pleural Effusion, small, right  (classifier 0.91)\n"
        "[-] absent     Pneumothorax\n"
        "[?] uncertain  Pneumonia\n"
    )


def test_text_cannot_steer_the_terminal(study: Study) -> None:
    text = report_text(study, Report(findings="\x1b[2JEdema.\x07", warnings=("\x1b]0;x\x07",)))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "Edema." in text
