"""MIMIC-CXR and MIMIC-IV, on small trees of the published layouts."""

import json
import shutil
import zipfile

import pytest
from layouts import save, save_csv
from typer.testing import CliRunner

from plainfilm.cli.data import data_app
from plainfilm.core import OBSERVATIONS, DatasetError, InputError
from plainfilm.data import Dataset
from plainfilm.data.merge import merge
from plainfilm.data.sources.collection import Options
from plainfilm.data.sources.mimic_cxr import prepare_mimic_cxr, report_texts

METADATA = (
    "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,"
    "StudyDate,StudyTime,ProcedureCodeSequence_CodeMeaning,ViewCodeSequence_CodeMeaning,"
    "PatientOrientationCodeSequence_CodeMeaning"
)
FILMS = [  # dicom, subject, study, view, date, time, split
    ("aa-1", 10000032, 50000001, "LATERAL", 21800506, 213014.531, "train"),
    ("aa-2", 10000032, 50000001, "PA", 21800506, 213014.531, "train"),
    ("bb-1", 10000032, 50000002, "AP", 21800507, 83045.5, "train"),
    ("cc-1", 10000032, 50000003, "", 21800507, 120000.0, "train"),
    ("dd-1", 11000011, 50000004, "PA", 21500101, 10.0, "validate"),
    ("ee-1", 12000013, 50000005, "LL", 21600101, 235959.0, "test"),
    ("ee-2", 12000013, 50000005, "SWIMMERS", 21600101, 235959.0, "test"),
    ("ee-3", 12000013, 50000005, "AP AXIAL", 21600101, 235959.0, "test"),
]
REPORTS = {
    50000001: (
        "                                 FINAL REPORT\n EXAMINATION:  CHEST (PA AND LAT)\n\n"
        " INDICATION:  ___F with cough\n\n COMPARISON:  None.\n\n FINDINGS: \n \n"
        " The heart is normal in\n size.  No effusion.\n\n IMPRESSION: \n\n No acute disease."
    ),
    50000002: " FINAL REPORT\n IMPRESSION:  Edema is new.\n",
    50000003: (
        "                                 FINAL REPORT\n HISTORY:  Line placement.\n\n"
        " FINDINGS:  A line ends in the ___.\n"
    ),
    50000004: (
        "                                 FINAL REPORT\n CHEST RADIOGRAPH\n\n"
        " There is no pneumothorax.  The lungs are clear.\n"
    ),
    50000005: (
        " WET READ: ___ 4:52 PM\n  Small effusion.\n ______\n                FINAL REPORT\n"
        " INDICATION:  Fever.\n TECHNIQUE:  Three views.\n FINDINGS:  Small left effusion.\n"
        " IMPRESSION:  Effusion."
    ),
}


def folder_of(subject, study):
    return f"files/p{str(subject)[:2]}/p{subject}/s{study}"


@pytest.fixture
def jpg(tmp_path):
    """The JPG release: films and tables."""
    root = tmp_path / "mimic-cxr-jpg"
    for number, (dicom, subject, study, *_) in enumerate(FILMS):
        save(root / folder_of(subject, study) / f"{dicom}.jpg", number)
    rows = [
        [d, s, t, "CHEST", v, 96, 96, day, clock, "", "", ""] for d, s, t, v, day, clock, _ in FILMS
    ]
    save_csv(root / "mimic-cxr-2.0.0-metadata.csv.gz", METADATA, rows[::-1])
    split = [[d, t, s, name] for d, s, t, *_, name in FILMS]
    save_csv(root / "mimic-cxr-2.0.0-split.csv.gz", "dicom_id,study_id,subject_id,split", split)
    names = sorted(map(str, OBSERVATIONS))
    labels = [
        [10000032, 50000001, *("1.0" if n == "No Finding" else "" for n in names)],
        [
            12000013,
            50000005,
            *(
                {"Pleural Effusion": "1.0", "Edema": "-1.0", "Pneumonia": "0.0"}.get(n, "")
                for n in names
            ),
        ],
    ]
    for labeller in ("chexpert", "negbio"):
        columns = ",".join(["subject_id", "study_id", *names])
        save_csv(root / f"mimic-cxr-2.0.0-{labeller}.csv.gz", columns, labels)
    save_csv(
        root / "mimic-cxr-2.1.0-test-set-labeled.csv",
        "study_id,Airspace Opacity",
        [[50000005, "1.0"]],
    )
    return root


@pytest.fixture
def reports(tmp_path):
    """The reports, which come with the DICOM release."""
    root = tmp_path / "mimic-cxr"
    for subject, study in {(subject, study) for _, subject, study, *_ in FILMS}:
        path = root / f"{folder_of(subject, study)}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(REPORTS[study])
    return root


def prepared(jpg, out, **given):
    options = Options(**({"workers": 1, "progress": False} | given.pop("options", {})))
    return prepare_mimic_cxr(jpg, out, options=options, **given)


def test_films_reports_splits_views_labels_and_priors(tmp_path, jpg, reports):
    dataset = prepared(jpg, tmp_path / "out", reports=reports, options={"size": 64})
    rows = {row.study_id: row for row in dataset.rows}
    assert list(rows) == ["s50000001", "s50000003", "s50000004", "s50000005"]
    assert dataset.card.skipped == {"no text for the target findings": 1}
    first = rows["s50000001"]
    assert (first.patient_id, first.split) == ("p10000032", "train")
    assert first.views == ("PA", "lateral")
    assert first.findings == "The heart is normal in size. No effusion."
    assert first.impression == "No acute disease."
    assert (first.indication, first.comparison) == ("___F with cough", "None.")
    assert first.institution == "Beth Israel Deaconess Medical Center"
    assert first.labels == {
        "chexpert": {"No Finding": "present"},
        "negbio": {"No Finding": "present"},
    }
    assert first.prior_study_id is None
    # 50000002, 08:30:45, has no findings; the one before it takes its place
    assert rows["s50000003"].prior_study_id == "s50000001"
    assert rows["s50000003"].indication == "Line placement."
    assert rows["s50000004"].findings == "There is no pneumothorax. The lungs are clear."
    last = rows["s50000005"]
    assert (last.split, last.findings) == ("test", "Small left effusion.")
    assert last.views == ("AP", "unknown", "lateral")
    assert last.technique == "Three views."
    assert last.labels["chexpert"] == {
        "Edema": "uncertain",
        "Pleural Effusion": "present",
        "Pneumonia": "absent",
    }
    assert last.labels["radiologist"] == {"Lung Opacity": "present"}
    assert dataset.image(last).shape == (64, 64)
    assert "PhysioNet" in dataset.card.licence


def test_targets_decide_who_stays(tmp_path, jpg, reports):
    dataset = prepared(
        jpg, tmp_path / "out", reports=reports, options={"target": "findings+impression"}
    )
    rows = {row.study_id: row for row in dataset.rows}
    assert len(rows) == 5
    assert rows["s50000002"].impression == "Edema is new."
    assert rows["s50000003"].prior_study_id == "s50000002"
    with pytest.raises(InputError, match="target must be findings, findings"):
        prepared(jpg, tmp_path / "other", reports=reports, options={"target": "impressions"})


def test_reports_in_their_archive_and_a_folder_named_files(tmp_path, jpg, reports):
    packed = tmp_path / "mimic-cxr-reports.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(reports.rglob("*.txt")):
            archive.write(path, path.relative_to(reports).as_posix())
    one = prepared(jpg, tmp_path / "one", reports=packed)
    two = prepared(jpg / "files", tmp_path / "two", tables=jpg, reports=reports / "files")
    assert list(one.rows) == list(two.rows)


def test_by_reference_nothing_is_copied(tmp_path, jpg, reports):
    dataset = prepared(jpg, tmp_path / "out", reports=reports, options={"link": True})
    assert sorted(path.name for path in dataset.path.iterdir()) == [
        "card.json",
        "manifest.parquet",
        "refused.jsonl",
    ]
    row = dataset.rows[0]
    assert row.images[0] == "files/p10/p10000032/s50000001/aa-2.jpg"
    image = dataset.image(row)
    assert (image.view, image.shape) == ("PA", (96, 96))
    moved = tmp_path / "elsewhere"
    jpg.rename(moved)
    with pytest.raises(DatasetError, match=r"its films lie in .*mimic-cxr-jpg, which is no folder"):
        Dataset(dataset.path)
    assert Dataset(dataset.path, films=moved).image(row) == image


@pytest.mark.parametrize("link", [False, True])
def test_merged_shards_are_what_one_machine_makes(tmp_path, jpg, reports, link):
    options = {"size": 64, "link": link}
    whole = prepared(jpg, tmp_path / "whole", reports=reports, options=options)
    paths = []
    for number in (2, 1):
        shard = {**options, "shard": f"{number}/2"}
        paths.append(prepared(jpg, tmp_path / f"{number}", reports=reports, options=shard).path)
    assert sum(len(Dataset(path).rows) for path in paths) == len(whole.rows)
    result = CliRunner().invoke(data_app, ["merge", str(tmp_path / "all"), *map(str, paths)])
    assert result.exit_code == 0, result.output
    merged = Dataset(tmp_path / "all")
    assert (merged.path / "card.json").read_bytes() == (whole.path / "card.json").read_bytes()
    assert list(merged.rows) == list(whole.rows)
    again = prepared(jpg, tmp_path / "all", reports=reports, options=options)
    assert again.fingerprint == whole.fingerprint
    with pytest.raises(DatasetError, match=r"expected each of 2 shards once: missing 1/2"):
        merge(tmp_path / "some", paths[:1])
    with pytest.raises(DatasetError, match="expected each of 2 shards once: 1/2 twice"):
        merge(tmp_path / "some", [*paths, paths[1]])
    with pytest.raises(DatasetError, match=r"is no shard: shard\.json is missing"):
        merge(tmp_path / "some", [whole.path])
    with pytest.raises(InputError, match="a shard is written like 3/16"):
        prepared(jpg, tmp_path / "some", reports=reports, options={"shard": "3 of 16"})


@pytest.fixture
def ed(tmp_path):
    root = tmp_path / "mimic-iv-ed" / "ed"
    save_csv(
        root / "edstays.csv.gz",
        "subject_id,hadm_id,stay_id,intime,outtime,gender,race,arrival_transport,disposition",
        [
            [10000032, "", 31, "2180-05-06 19:17:00", "2180-05-06 23:30:00", "F", "", "", ""],
            [10000032, "", 32, "2180-05-07 11:00:00", "2180-05-07 11:59:00", "F", "", "", ""],
            [11000011, "", 33, "2150-01-01 00:00:10", "2150-01-02 00:00:00", "M", "", "", ""],
        ],
    )
    save_csv(
        root / "triage.csv.gz",
        "subject_id,stay_id,temperature,heartrate,resprate,o2sat,sbp,dbp,pain,acuity,"
        "chiefcomplaint",
        [
            [10000032, 31, 98.4, 70.0, 16.0, 97.0, 106.0, 63.0, 0, 3.0, "Abd pain,\nCough"],
            [11000011, 33, 37.0, "", 18, 970, 120, 80, "ua", 2, "Dyspnea"],
        ],
    )
    return root.parent


@pytest.fixture
def hosp(tmp_path):
    root = tmp_path / "mimiciv" / "hosp"
    save_csv(
        root / "patients.csv.gz",
        "subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod",
        [[10000032, "F", 52, 2178, "2014 - 2016", ""], [12000013, "M", 60, 2165, "", ""]],
    )
    save_csv(
        root / "d_labitems.csv.gz",
        "itemid,label,fluid,category",
        [
            [51301, "White Blood Cells", "Blood", "Hematology"],
            [51516, "White Blood Cells", "Urine", "Hematology"],
            [50813, "Lactate", "Blood", "Blood Gas"],
        ],
    )
    columns = (
        "labevent_id,subject_id,hadm_id,specimen_id,itemid,order_provider_id,charttime,"
        "storetime,value,valuenum,valueuom,ref_range_lower,ref_range_upper,flag,priority,"
        "comments"
    )

    def event(subject, item, time, value, unit, low="", high=""):
        return [1, subject, "", 1, item, "", time, "", value, value, unit, low, high, "", "", ""]

    save_csv(
        root / "labevents.csv.gz",
        columns,
        [
            event(10000032, 51301, "2180-05-06 20:00:00", 12.5, "K/uL", 4.0, 11.0),
            event(10000032, 51301, "2180-05-06 18:00:00", 8.0, "K/uL", 4.0, 11.0),
            event(10000032, 51301, "2180-05-06 21:31:00", 99.0, "K/uL", 4.0, 11.0),
            event(10000032, 51516, "2180-05-06 20:30:00", 3.0, "K/uL"),
            event(10000032, 50813, "2180-05-05 21:00:00", 5.0, "mmol/L", 0.5, 2.0),
            event(10000032, 50813, "2180-05-06 21:00:00", 50.0, "mg/dL"),
            event(10000032, 50813, "2180-05-06 12:00:00", "", "mmol/L"),
            event(99999999, 51301, "2180-05-06 20:00:00", 1.0, "K/uL"),
        ],
    )
    return root


def test_triage_and_laboratory_around_the_film(tmp_path, jpg, reports, ed, hosp):
    dataset = prepared(
        jpg, tmp_path / "out", reports=reports, ed=ed, hosp=hosp, options={"target": "any"}
    )
    tables = {row.study_id: dict(row.table) for row in dataset.rows}
    first = tables["s50000001"]  # 2180-05-06 21:30:14
    assert (first["age_years"], first["sex"]) == (54.0, "F")
    assert (first["temperature_f"], first["acuity_esi"], first["pain_0_to_10"]) == (98.4, 3.0, 0.0)
    assert first["chief_complaint"] == "Abd pain, Cough"
    assert first["white_blood_cells_k_per_ul"] == 12.5  # the latest before the film, not after
    assert first["white_blood_cells_k_per_ul_reference"] == "4-11"
    assert first["lactate_mmol_per_l"] is None  # 24 hours and 30 minutes old; another unit; blank
    second = tables["s50000002"]  # 2180-05-07 08:30:45: no stay
    assert "temperature_f" not in second
    assert second["white_blood_cells_k_per_ul"] == 99.0
    other = tables["s50000004"]  # 00:00:10, the moment of arrival
    assert (other["temperature_f"], other["oxygen_saturation_percent"]) == (None, None)
    assert (other["respiratory_rate_per_min"], other["pain_0_to_10"]) == (18.0, None)
    assert other["age_years"] is None
    assert tables["s50000005"]["age_years"] == 55.0
    assert not any("2180" in str(value) for value in first.values())


def test_what_is_missing_is_named(tmp_path, jpg, reports):
    out = tmp_path / "out"
    with pytest.raises(
        DatasetError, match=r"no reports; expected files/p10/p10000032/s50000001\.txt"
    ):
        prepared(jpg, out)
    with pytest.raises(
        DatasetError, match="nowhere: is no folder; expected MIMIC-CXR-JPG's folder"
    ):
        prepared(tmp_path / "nowhere", out, reports=reports)
    with pytest.raises(DatasetError, match="has no folder files"):
        prepared(tmp_path, out, tables=jpg, reports=reports)
    save_csv(jpg / "mimic-cxr-2.0.0-metadata.csv.gz", "dicom_id,subject_id", [["aa", 1]])
    with pytest.raises(
        DatasetError, match="lacks the columns study_id, ViewPosition, StudyDate, St"
    ):
        prepared(jpg, out, reports=reports)
    (jpg / "mimic-cxr-2.0.0-metadata.csv.gz").unlink()
    with pytest.raises(
        DatasetError, match=r"no mimic-cxr-\*-metadata\.csv \(or \.gz\); expected MIM"
    ):
        prepared(jpg, out, reports=reports)
    assert not out.exists()


def test_half_a_download(tmp_path, jpg, reports):
    shutil.rmtree(jpg / "files" / "p12")
    (reports / "files/p11/p11000011/s50000004.txt").unlink()
    command = ["mimic-cxr", str(jpg), str(tmp_path / "out"), "--reports", str(reports)]
    result = CliRunner().invoke(data_app, command)
    assert result.exit_code == 0, result.output
    assert "left out: 1 (a film is missing)" in result.output
    assert "left out: 1 (the report is missing)" in result.output
    assert "expected" in result.output
    assert "files/p12/p12000013/s50000005" in result.output.replace("\n", "")
    assert "signed data use agreement" in result.output
    shutil.rmtree(jpg / "files" / "p10")
    shutil.rmtree(jpg / "files" / "p11")
    with pytest.raises(
        DatasetError, match=r"none of the first 8 films is there; expected .*aa-1\.jpg"
    ):
        prepared(jpg, tmp_path / "other", reports=reports)


def test_reports_that_defeat_a_parser(tmp_path):
    text = "x" * 59 + "The lungs are clear." + "y" * 300
    assert report_texts("s56579911", text)["findings"].startswith("The lungs are clear.")
    assert not report_texts("s58235663", "FINDINGS: nothing")["findings"]
    told = "INDICATION: The heart is large.\nRECOMMENDATION(S): The lungs are clear."
    assert report_texts("s50058765", told) == {"findings": "The heart is large."}
    assert report_texts("s50913680", told) == {"findings": "The lungs are clear."}


def test_addenda_and_several_studies_in_one_text():
    text = (
        "COMPARISON: None\nFINDINGS: First.\nIMPRESSION: One.\n\n"
        "INDICATION: Again\nFINDINGS: Second.\nIMPRESSION: Two.\nADDENDUM: More."
    )
    texts = report_texts("s1", text)
    assert (texts["findings"], texts["impression"]) == ("Second.", "Two.")
    assert texts["comparison"] == "None"  # which says that there was no earlier film


@pytest.mark.parametrize("packed", [False, True])
def test_boxes_of_ms_cxr_and_chest_imagenome(tmp_path, jpg, reports, packed):
    ms_cxr = tmp_path / "ms-cxr"
    columns = "dicom_id,category_name,label_text,path,x,y,w,h,image_width,image_height,split"
    save_csv(
        ms_cxr / "MS_CXR_Local_Alignment_v1.1.0.csv",
        columns,
        [["aa-2", "Edema", "mild\nedema", "files/x.jpg", 24, 0, 48, 48, 96, 96, "test"]],
    )
    silver = tmp_path / "imagenome" / "silver_dataset"
    graph = {
        "image_id": "aa-2",
        "objects": [
            {
                "bbox_name": "right lung",
                "original_x1": 0,
                "original_y1": 0,
                "original_x2": 48,
                "original_y2": 96,
            },
            {
                "bbox_name": "trachea",
                "original_x1": 5,
                "original_y1": 5,
                "original_x2": 5,
                "original_y2": 9,
            },
        ],
        "attributes": [
            {
                "bbox_name": "right lung",
                "phrases": ["Clear lung.", "Clear lung."],
                "attributes": [["anatomicalfinding|no|lung opacity"]],
            }
        ],
    }
    path = silver / "scene_graph" / "aa-2_SceneGraph.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(graph))
    if packed:
        with zipfile.ZipFile(silver / "scene_graph.zip", "w") as archive:
            archive.write(path, "scene_graph/aa-2_SceneGraph.json")
        shutil.rmtree(path.parent)
    save_csv(silver / "splits" / "images_to_avoid.csv", "dicom_id", [["cc-1"], ["ee-1"]])
    dataset = prepared(
        jpg,
        tmp_path / "out",
        reports=reports,
        ms_cxr=ms_cxr,
        imagenome=silver.parent,
        options={"link": True},
    )
    rows = {row.study_id: row for row in dataset.rows}
    one, two = rows["s50000001"].boxes
    assert rows["s50000001"].images[0].endswith("aa-2.jpg")
    assert (one.name, one.phrase, one.image, one.left, one.right) == (
        "Edema",
        "mild edema",
        0,
        0.25,
        0.75,
    )
    assert (two.name, two.phrase, two.right, two.reader) == (
        "right lung",
        "Clear lung.",
        0.5,
        "chest-imagenome",
    )
    assert "s50000003" not in rows  # in training, and to be avoided
    assert "s50000005" in rows  # in test
    with pytest.raises(DatasetError, match=r"no silver_dataset/scene_graph\.zip, nor unpacked"):
        prepared(jpg, tmp_path / "x", reports=reports, imagenome=tmp_path)
