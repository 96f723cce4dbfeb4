import json

from plainfilm.core import Evidence, Finding, Image, Report, Study
from plainfilm.export import DISCLAIMER, report_json, report_text


def test_json_has_the_documented_keys_and_no_pixels(study: Study, report: Report) -> None:
    content = json.loads(report_json(study, report))
    assert list(content) == [
        "study", "findings", "impression", "statements", "evidence", "warnings", "model",
        "disclaimer",
    ]  # fmt: skip
    assert content["findings"] == report.findings
    assert content["disclaimer"] == DISCLAIMER
    (image,) = content["study"]["images"]
    assert "pixels" not in image
    assert image["source"] == "film.png"
    assert image["shape"] == [64, 48]


def test_json_gives_the_words_back(study: Study, report: Report) -> None:
    content = json.loads(report_json(study, report))
    assert tuple(map(Finding.from_dict, content["statements"])) == report.statements
    assert tuple(map(Evidence.from_dict, content["evidence"])) == report.evidence


def test_json_keeps_a_row_of_numbers_on_a_line_and_every_string_as_it_is(study: Study) -> None:
    heatmap = (tuple(i / 16 for i in range(16)),) * 16
    hostile = "[\n  1,\n  2\n]"
    report = Report(findings=hostile, evidence=(Evidence(observation="Edema", heatmap=heatmap),))
    text = report_json(study, report)
    assert len(text.splitlines()) < 70
    assert json.loads(text)["findings"] == hostile
    assert Evidence.from_dict(json.loads(text)["evidence"][0]).heatmap == heatmap


def test_no_form_names_a_folder_or_the_patient(study: Study, report: Report) -> None:
    warning = f"{study.images[0].source}: rescaled"
    image = Image.model_validate({**dict(study.images[0]), "warnings": (warning,)})
    doubtful = study.model_copy(update={"images": (image,)})
    told = report.model_copy(update={"warnings": (warning,)})
    for form in (report_text(doubtful, told), report_json(doubtful, told)):
        assert "film.png: rescaled" in form
        assert "secret folder" not in form
        assert "Nobody" not in form


def test_a_windows_path_is_cut_too(report: Report, study: Study) -> None:
    image = Image.model_validate({**dict(study.images[0]), "source": r"C:\patients\film.dcm"})
    text = report_text(Study(images=(image,)), report)
    assert "film.dcm" in text
    assert "patients" not in text


def test_text_reads_from_disclaimer_to_statements(study: Study, report: Report) -> None:
    assert report_text(study, report) == (
        "DRAFT FOR A RADIOLOGIST. NOT A DIAGNOSIS.\n\n"
        "Study    study-1\n"
        "Films    PA view, film.png, simulated\n"
        "Model    plainfilm-small\n\n"
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
