"""IU X-ray, on a small archive and folder of the published layout."""

import io
import json
import tarfile

import numpy as np
import PIL.Image
import pytest
from typer.testing import CliRunner

from plainfilm.cli.data import data_app
from plainfilm.core import DatasetError, InputError, View
from plainfilm.data.sources.iu_xray import prepare_iu_xray, read_r2gen_split, read_reports

XML = """<?xml version="1.0" encoding="utf-8"?>
<eCitation><meta type="rr"/><uId id="CXR{number}"/>
<MedlineCitation><Article><Abstract>
  <AbstractText Label="COMPARISON">None.</AbstractText>
  <AbstractText Label="INDICATION">{indication}</AbstractText>
  <AbstractText Label="FINDINGS">{findings}</AbstractText>
  <AbstractText Label="IMPRESSION">No acute disease.</AbstractText>
</Abstract></Article></MedlineCitation>
{images}</eCitation>"""

STUDIES = {
    1: ("The heart is normal\n   in size.", ["CXR1_1_IM-0001-3001", "CXR1_1_IM-0001-4001"]),
    2: ("Clear lungs &amp; pleura.", ["CXR2_IM-0652-1001"]),
    3: ("", ["CXR3_IM-1384-1001"]),
    4: ("No film on disk.", ["CXR4_IM-2050-1001", "CXR4_IM-2050-2001"]),
    5: ("No film in the report.", []),
}


def archive(path, texts):
    with tarfile.open(path, "w:gz") as tar:
        for name, text in texts.items():
            info = tarfile.TarInfo(f"ecgen-radiology/{name}.xml")
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return path


@pytest.fixture
def reports(tmp_path):
    texts = {}
    for number, (findings, images) in STUDIES.items():
        parents = "".join(f'<parentImage id="{image}"/>\n' for image in images)
        texts[number] = XML.format(
            number=number, findings=findings, images=parents, indication="Cough"
        )
    return archive(tmp_path / "NLMCXR_reports.tgz", texts)


@pytest.fixture
def film(chest):
    return PIL.Image.fromarray((chest * 255).astype(np.uint8))


@pytest.fixture
def pngs(tmp_path, film):
    folder = tmp_path / "png"
    folder.mkdir()
    for number, (_, images) in STUDIES.items():
        for image in images:
            if image != "CXR4_IM-2050-2001":  # each a film of its own
                film.point(lambda grey, less=number: max(grey - less, 0)).save(
                    folder / f"{image}.png"
                )
    return folder


def prepare(tmp_path, **settings):
    return prepare_iu_xray(tmp_path / "iu", workers=1, progress=False, **settings)


def test_reports_are_read_from_the_archive(reports):
    found = read_reports(reports)
    assert [report.study_id for report in found] == [f"CXR{number}" for number in range(1, 6)]
    assert found[0].sections == {
        "comparison": "None.",
        "indication": "Cough",
        "findings": "The heart is normal in size.",
        "impression": "No acute disease.",
    }
    assert found[0].images == ("CXR1_1_IM-0001-3001", "CXR1_1_IM-0001-4001")
    assert found[1].sections["findings"] == "Clear lungs & pleura."
    assert "findings" not in found[2].sections


def test_dataset_from_pngs(tmp_path, reports, pngs):
    dataset = prepare(tmp_path, images=pngs, reports=reports, size=128)
    assert [row.study_id for row in dataset.rows] == ["CXR1", "CXR2"]
    first = dataset.rows[0]
    assert first.images == ("images/CXR1-0.png", "images/CXR1-1.png")
    assert first.views == ("unknown", "unknown")
    assert (first.findings, first.impression) == (
        "The heart is normal in size.",
        "No acute disease.",
    )
    assert (first.indication, first.comparison) == ("Cough", "None.")
    assert first.patient_id == "CXR1"
    assert dataset.image(first).shape == (128, 115)
    assert dataset.card.skipped == {
        "no text for the target findings": 1,
        "image files missing": 1,
        "no image in the report": 1,
    }
    assert dataset.card.licence == "CC BY-NC-ND 4.0"


def test_target_decides_which_studies_are_usable(tmp_path, reports, pngs):
    dataset = prepare(tmp_path, images=pngs, reports=reports, target="findings+impression")
    assert [row.study_id for row in dataset.rows] == ["CXR1", "CXR2", "CXR3"]
    with pytest.raises(InputError, match=r"target must be findings or findings\+impression, got"):
        prepare(tmp_path, images=pngs, reports=reports, target="impressions")


def test_dicom_names_and_views(tmp_path, reports, make_dicom, chest):
    stored = (chest * 4095).astype(np.uint16)
    (tmp_path / "dcm" / "1").mkdir(parents=True)
    for name, view in (("1_IM-0001-3001", "LL"), ("1_IM-0001-4001", "PA")):
        path = make_dicom(stored, ViewPosition=view, PixelSpacing=[0.2, 0.2])
        path.rename(tmp_path / "dcm" / "1" / f"{name}.dcm")
    dataset = prepare(tmp_path, images=tmp_path / "dcm", reports=reports, size=160)
    (row,) = dataset.rows
    assert row.views == ("PA", "lateral")
    image = dataset.image(row)
    assert image.view is View.PA
    assert image.spacing_mm == (0.4, 0.4)


def split_file(path, groups):
    path.write_text(json.dumps(groups))
    return path


def test_r2gen_split_is_taken_from_each_entry(tmp_path, reports, film):
    names = {}
    for study, split in (("CXR2_IM-0652", "val"), ("CXR3_IM-1384", "test")):
        folder = tmp_path / "r2gen" / study
        folder.mkdir(parents=True)
        film.rotate(len(names)).save(folder / "0.png")
        names[study] = {"id": study, "split": split, "image_path": [f"{study}/0.png"]}
    groups = {"train": [], "val": [names["CXR2_IM-0652"]], "    ": [names["CXR3_IM-1384"]]}
    split = split_file(tmp_path / "annotation.json", groups)
    dataset = prepare(
        tmp_path, images=tmp_path / "r2gen", reports=reports, split=split,
        target="findings+impression",
    )  # fmt: skip
    assert {row.study_id: row.split for row in dataset.rows} == {"CXR2": "validate", "CXR3": "test"}
    assert dataset.card.skipped == {"not in the split file": 3}


def test_mistakes_of_the_split_file(tmp_path, reports, pngs):
    path = tmp_path / "annotation.json"
    with pytest.raises(DatasetError, match=r"annotation.json: cannot be read as JSON"):
        read_r2gen_split(path)
    split_file(path, ["CXR1"])
    with pytest.raises(DatasetError, match="expected R2Gen's layout, an object of lists"):
        read_r2gen_split(path)
    one = {"id": "CXR1_IM-0001", "split": "train"}
    split_file(path, {"train": [one, one, {"id": "CXR2_IM-1"}]})
    with pytest.raises(DatasetError, match=r"CXR1 stands in it twice; entry .* needs an id and"):
        read_r2gen_split(path)
    split_file(path, {"train": [one | {"id": "CXR99_IM-1"}]})
    with pytest.raises(DatasetError, match=r"CXR99 has no report in NLMCXR_reports.tgz"):
        prepare(tmp_path, images=pngs, reports=reports, split=path)


def test_a_damaged_archive_is_one_line(tmp_path, reports):
    whole, path = reports.read_bytes(), tmp_path / "damaged.tgz"
    messages = []
    for place in range(0, len(whole), max(1, len(whole) // 60)):
        turned = bytearray(whole)
        turned[place] ^= 0x5A
        for content in (whole[:place], bytes(turned)):
            path.write_bytes(content)
            try:
                read_reports(path)
            except DatasetError as error:
                messages.append(str(error))
    assert len(messages) > 60
    assert not any("\n" in message for message in messages)


def test_mistakes_of_the_sources(tmp_path, reports, pngs, film):
    with pytest.raises(DatasetError, match=r"gone.tgz: cannot be read .*NLMCXR_reports.tgz"):
        read_reports(tmp_path / "gone.tgz")
    (tmp_path / "text.tgz").write_text("no archive")
    with pytest.raises(DatasetError, match=r"text.tgz: cannot be read"):
        read_reports(tmp_path / "text.tgz")
    with pytest.raises(DatasetError, match=r"holds no .xml report"):
        read_reports(archive(tmp_path / "empty.tgz", {}))
    with pytest.raises(DatasetError, match=r"radiology/7.xml is no well-formed XML"):
        read_reports(archive(tmp_path / "bad.tgz", {7: "<eCitation>"}))
    bomb = '<!DOCTYPE x [<!ENTITY a "b">]><eCitation><uId id="CXR1"/>&a;</eCitation>'
    with pytest.raises(DatasetError, match=r"is no well-formed XML .*EntitiesForbidden"):
        read_reports(archive(tmp_path / "bomb.tgz", {1: bomb}))
    with pytest.raises(DatasetError, match="has no uId such as CXR1"):
        read_reports(archive(tmp_path / "other.tgz", {1: "<other/>"}))
    with pytest.raises(DatasetError, match="is no folder; expected the folder with IU X-ray"):
        prepare(tmp_path, images=tmp_path / "gone", reports=reports)
    (tmp_path / "none").mkdir()
    with pytest.raises(DatasetError, match="none of its 0 image files belongs to a report"):
        prepare(tmp_path, images=tmp_path / "none", reports=reports)
    film.save(pngs / "2_IM-0652-1001.dcm.png")
    with pytest.raises(DatasetError, match=r"CXR2_IM-0652-1001.png are one film: keep one"):
        prepare(tmp_path, images=pngs, reports=reports)


def test_command(tmp_path, reports, pngs):
    out = tmp_path / "iu"
    arguments = ["iu-xray", str(out), "--images", str(pngs), "--reports", str(reports)]
    result = CliRunner().invoke(data_app, [*arguments, "--workers", "1", "--size", "64"])
    assert result.exit_code == 0, result.output
    assert "fingerprint" in result.output
    assert "left out: 1 (image files missing)" in result.output


def members(path, *entries):
    with tarfile.open(path, "w:gz") as tar:
        for name, content, more in entries:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in more.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(content))
    return path


def one(number=1, findings="Clear."):
    return XML.format(number=number, findings=findings, images="", indication="").encode()


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([("1.xml", one().replace(b"utf-8", b"utf-9"), {})], r"1\.xml is no well-formed XML"),
        ([("1.xml", b"<a>" * 50_000, {})], r"1\.xml is no well-formed XML"),
        (
            [("1.xml", one(), {}), ("2.xml", one(findings="Other."), {})],
            "2.xml has the id CXR1, as",
        ),
        ([("1.xml", one(findings="a " * 2**19), {})], "a report has at most 1048576"),
        (
            [("1.xml", b"", {"type": tarfile.SYMTYPE, "linkname": "1.xml"})],
            r"holds no \.xml report",
        ),
        ([("1.xml", b"", {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"})], "holds no"),
        ([("1.xml", one(number="9" * 5000), {})], "has no uId such as CXR1"),
    ],
)
def test_hostile_archives(tmp_path, entries, message):
    with pytest.raises(DatasetError, match=message) as caught:
        read_reports(members(tmp_path / "r.tgz", *entries))
    assert "\n" not in str(caught.value)


def test_links_beside_reports_are_passed_over(tmp_path):
    link = {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}
    path = members(tmp_path / "r.tgz", ("1.xml", one(), {}), ("2.xml", b"", link))
    assert [report.study_id for report in read_reports(path)] == ["CXR1"]


def test_what_an_archive_unpacks_to_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr("plainfilm.data.sources.iu_xray._LARGEST_ARCHIVE", 2**16)
    with pytest.raises(DatasetError, match="unpacks to more than 0 MiB"):
        read_reports(members(tmp_path / "r.tgz", ("a.txt", b"x" * 2**20, {}), ("1.xml", one(), {})))


@pytest.mark.parametrize("image", ["../a.png", "/etc/passwd", "a/../../b.png", "a\0.png", "", 7])
def test_films_of_the_split_file_lie_in_their_folder(tmp_path, image):
    groups = {"train": [{"id": "CXR1", "split": "train", "image_path": [image]}]}
    with pytest.raises(DatasetError, match="CXR1: image_path must list files inside"):
        read_r2gen_split(split_file(tmp_path / "annotation.json", groups))


def test_a_split_file_nested_without_end(tmp_path):
    (tmp_path / "annotation.json").write_text("[" * 100_000)
    with pytest.raises(DatasetError, match="cannot be read as JSON"):
        read_r2gen_split(tmp_path / "annotation.json")


def test_a_film_that_cannot_be_read_costs_one_study(tmp_path, reports, pngs):
    film = pngs / "CXR2_IM-0652-1001.png"
    film.write_bytes(film.read_bytes()[:500])
    dataset = prepare(tmp_path, images=pngs, reports=reports, target="findings+impression")
    assert [row.study_id for row in dataset.rows] == ["CXR1", "CXR3"]
    assert dataset.card.skipped["a film cannot be read"] == 1
