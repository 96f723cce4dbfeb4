"""Published collections, each on a small tree of its layout with its quirks."""

import json

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from layouts import picture, save, save_csv

from plainfilm.core import OBSERVATIONS, DatasetError, InputError
from plainfilm.data.sources.brax import prepare_brax
from plainfilm.data.sources.candid_ptx import prepare_candid_ptx
from plainfilm.data.sources.chexpert_plus import prepare_chexpert_plus
from plainfilm.data.sources.collection import Options
from plainfilm.data.sources.files import age_of, statuses, view_of
from plainfilm.data.sources.huggingface import prepare_huggingface
from plainfilm.data.sources.iu_kaggle import prepare_iu_kaggle
from plainfilm.data.sources.llava_rad import prepare_llava_rad
from plainfilm.data.sources.nih import prepare_nih
from plainfilm.data.sources.padchest import prepare_padchest
from plainfilm.data.sources.padchest_gr import prepare_padchest_gr
from plainfilm.data.sources.r2gen import prepare_r2gen
from plainfilm.data.sources.registry import SOURCES
from plainfilm.data.sources.rexgradient import prepare_rexgradient
from plainfilm.data.sources.rexrank import prepare_rexrank
from plainfilm.data.sources.vindr_cxr import prepare_vindr_cxr
from plainfilm.data.splits import split_of

NAMES = sorted(map(str, OBSERVATIONS))


def options(**given):
    return Options(**({"size": 64, "workers": 1, "progress": False} | given))


def dicom(make_dicom, path, number):
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = picture(number).astype(np.uint16) * 16
    make_dicom(stored, name=f"{number}.dcm").rename(path)


# ---- CheXpert Plus ------------------------------------------------------------------------------
CHEXPERT = (
    "path_to_image,path_to_dcm,frontal_lateral,ap_pa,deid_patient_id,patient_report_date_order,"
    "report,section_narrative,section_clinical_history,section_history,section_comparison,"
    "section_technique,section_procedure_comments,section_findings,section_impression,"
    "section_end_of_impression,section_summary,section_accession_number,age,sex,race,ethnicity,"
    "interpreter_needed,insurance_type,recent_bmi,deceased,split"
)


def chexpert_line(path, view, patient, order, split="train", **sections):
    told = {
        "path_to_image": path,
        "path_to_dcm": path.replace(".jpg", ".dcm"),
        "frontal_lateral": view[0],
        "ap_pa": view[1],
        "deid_patient_id": patient,
        "patient_report_date_order": order,
        "age": "61.0",
        "sex": "Female",
        "split": split,
    } | sections
    return [told.get(name, "") for name in CHEXPERT.split(",")]


@pytest.fixture
def chexpert(tmp_path):
    root = tmp_path / "chexpertplus"
    front, side = ("Frontal", "AP"), ("Lateral", "")
    first = {
        "section_findings": "Normal heart.\nClear\nlungs.",
        "section_impression": "1. Normal.",
        "section_clinical_history": "nan",
        "section_history": "Cough",
    }
    save_csv(
        root / "df_chexpert_plus_240401.csv",
        CHEXPERT,
        [
            chexpert_line(
                "train/patient00002/study2/view1_frontal.jpg",
                front,
                "patient00002",
                2,
                section_impression="Worse edema.",
            ),
            chexpert_line(
                "train/patient00002/study1/view2_lateral.jpg", side, "patient00002", 1, **first
            ),
            chexpert_line(
                "train/patient00002/study1/view1_frontal.jpg", front, "patient00002", 1, **first
            ),
            chexpert_line(
                "valid/patient00003/study1/view1_frontal.jpg",
                front,
                "patient00003",
                1,
                "valid",
                report="NARRATIVE: CHEST. FINDINGS: Small effusion.\nIMPRESSION: Effusion.",
            ),
        ],
    )
    for number, name in enumerate(
        [
            "train/patient00002/study1/view1_frontal",
            "train/patient00002/study1/view2_lateral",
            "train/patient00002/study2/view1_frontal",
            "valid/patient00003/study1/view1_frontal",
        ]
    ):
        save(root / "PNG" / "PNG" / f"{name}.png", number)
    labels = {
        "path_to_image": "train/patient00002/study2/view1_frontal.jpg",
        "Edema": 1.0,
        "Pneumonia": -1.0,
        "Fracture": None,
    }
    (root / "chexbert_labels").mkdir()
    (root / "chexbert_labels" / "impression_fixed.json").write_text(json.dumps(labels) + "\n")
    return root


def test_chexpert_plus(tmp_path, chexpert):
    dataset = prepare_chexpert_plus(
        chexpert, tmp_path / "out", options=options(target="findings+impression")
    )
    rows = {row.study_id: row for row in dataset.rows}
    one, two = rows["patient00002-study1"], rows["patient00002-study2"]
    assert one.views == ("AP", "lateral")
    assert (one.findings, one.indication) == ("Normal heart. Clear lungs.", "Cough")
    assert dict(one.table) == {"age_years": 61.0, "sex": "F"}
    assert (two.prior_study_id, two.findings, two.impression) == (one.study_id, "", "Worse edema.")
    assert two.labels == {"chexbert-impression": {"Edema": "present", "Pneumonia": "uncertain"}}
    assert one.split == two.split
    last = rows["patient00003-study1"]
    assert (last.split, last.findings, last.impression) == ("test", "Small effusion.", "Effusion.")
    assert "Stanford" in dataset.card.licence


def test_chexpert_plus_of_another_version(tmp_path, chexpert):
    path = chexpert / "df_chexpert_plus_240401.csv"
    path.write_text(path.read_text().replace("ap_pa", "view"))
    with pytest.raises(DatasetError, match=r"lacks the columns ap_pa \(it has path_to_image,"):
        prepare_chexpert_plus(chexpert, tmp_path / "out", options=options())


# ---- ReXGradient --------------------------------------------------------------------------------
@pytest.fixture
def rexgradient(tmp_path):
    root = tmp_path / "ReXGradient-160K"

    def study(patient, date, films, views, **more):
        told = {
            "PatientID": patient,
            "StudyInstanceUid": f"1.2.{date}",
            "PatientSex": "M",
            "PatientAge": "045Y",
            "StudyDate": date,
            "Indication": "Cough",
            "Comparison": "None",
            "Findings": "Lungs clear.",
            "Impression": "Normal.",
            "ImagePath": [f"../deid_png/{film}" for film in films],
            "ImageViewPosition": views,
        }
        return told | more

    studies = {
        "train": {
            "P1_A1_b": study("P1", 20150102, ["P1/b/1.png"], ["POSTERO_ANTERIOR"]),
            "P1_A0_a": study("P1", 20140102, ["P1/a/1.png", "P1/a/2.png"], ["LL", None]),
            "P2_A2": study("P2", 20150101, [], []),
        },
        "valid": {"P3_A3": study("P3", 20150101, ["P3/c/1.png"], ["N/A"], PatientAge="006M")},
        "test": {"P4_A4": study("P4", 20150101, ["P4/d/1.png"], ["AP"], Findings=None)},
    }
    (root / "metadata").mkdir(parents=True)
    number = 0
    for split, told in studies.items():
        path = root / "metadata" / f"{split}_metadata_view_position.json"
        path.write_text(json.dumps(told, indent=2))
        for one in told.values():
            for film in one["ImagePath"]:
                number += 1
                save(root / film.removeprefix("../"), number)
    return root


def test_rexgradient(tmp_path, rexgradient):
    dataset = prepare_rexgradient(rexgradient, tmp_path / "out", options=options())
    rows = {row.study_id: row for row in dataset.rows}
    assert list(rows) == ["P1_A0_a", "P1_A1_b", "P3_A3"]
    assert rows["P1_A1_b"].prior_study_id == "P1_A0_a"
    assert rows["P1_A0_a"].views == ("unknown", "lateral")
    assert rows["P1_A1_b"].views == ("PA",)
    assert rows["P1_A0_a"].comparison is None
    assert dict(rows["P1_A0_a"].table) == {"age_years": 45.0, "sex": "M"}
    assert (rows["P3_A3"].split, rows["P3_A3"].table["age_years"]) == ("validate", 0.5)
    assert dataset.card.skipped == {
        "no film in the metadata": 1,
        "no text for the target findings": 1,
    }


@pytest.mark.parametrize("text", ["{", "[]", '{"a": {"PatientID": "x"}}', '{"a": 1', ""])
def test_rexgradient_damaged(tmp_path, rexgradient, text):
    path = rexgradient / "metadata" / "valid_metadata_view_position.json"
    path.write_text(text)
    with pytest.raises(DatasetError, match=r"valid_metadata_view_position\.json: cannot be read"):
        prepare_rexgradient(rexgradient, tmp_path / "out", options=options())


# ---- PadChest -----------------------------------------------------------------------------------
PADCHEST = (
    ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,"
    "ViewPosition_DICOM,Projection,MethodProjection,Pediatric,ReportID,Report,MethodLabel,Labels,"
    "Localizations,LabelsLocalizationsBySentence,labelCUIS,LocalizationsCUIS"
)


def padchest_line(image, folder, date, study, patient, projection, labels, method="Physician"):
    return [
        1,
        image,
        folder,
        date,
        study,
        patient,
        "1950.0",
        "F",
        "POSTEROANTERIOR",
        projection,
        "Manual",
        "No",
        "r",
        "sin hallazg patolog",
        method,
        labels,
        "['loc right', ' loc basal']",
        "[]",
        "[]",
        "[]",
    ]


def test_padchest(tmp_path):
    root = tmp_path / "PadChest"
    films = [
        ("a.png", 0, 20130102, "s2", "p1", "PA", "['normal']", "RNN_model"),
        ("b.png", 0, 20120102, "s1", "p1", "L", "[' cardiomegaly', 'pleural effusion']"),
        ("c.png", 54, 20140102, "s1", "p1", "PA", "['cardiomegaly', 'pleural effusion']"),
        ("d.png", 54, 20120102, "s3", "p2", "EXCLUDE", "['exclude']"),
        ("e.png", 54, 20120102, "s4", "p3", "AP_horizontal", ""),
    ]
    for number, (image, folder, *_) in enumerate(films):
        save(root / "images" / str(folder) / image, number)
    table = root / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz"
    save_csv(table, PADCHEST, [padchest_line(*film) for film in films])
    dataset = prepare_padchest(root, tmp_path / "out", options=options())
    rows = {row.study_id: row for row in dataset.rows}
    assert list(rows) == ["s1", "s2"]
    assert rows["s1"].views == ("PA", "lateral")
    assert rows["s1"].labels == {
        "padchest-physician": {"cardiomegaly": "present", "pleural effusion": "present"},
        "padchest-locations": {"loc basal": "present", "loc right": "present"},
    }
    assert rows["s2"].labels["padchest-model"] == {"normal": "present"}
    assert (rows["s2"].prior_study_id, rows["s2"].findings) == ("s1", "sin hallazg patolog")
    assert dict(rows["s1"].table) == {"age_years": 62.0, "sex": "F"}
    assert dataset.card.language == "es"
    assert dataset.card.skipped == {"labelled exclude": 1, "no labels": 1}
    assert rows["s1"].split == split_of("p1")


def test_padchest_gr(tmp_path):
    root = tmp_path / "gr"
    for number, name in enumerate("ab"):
        save(root / "Padchest_GR_files" / "PadChest_GR" / f"{name}.png", number)

    def finding(en, es, abnormal, labels, boxes=(), extra=()):
        return {
            "sentence_en": en,
            "sentence_es": es,
            "abnormal": abnormal,
            "boxes": list(boxes),
            "extra_boxes": list(extra),
            "labels": labels,
            "locations": [],
            "progression": None,
        }

    studies = [
        {
            "StudyID": "1",
            "ImageID": "a.png",
            "PreviousStudyID": "2",
            "PreviousImageID": "b.png",
            "findings": [
                finding(
                    "Small nodule.",
                    "Pequeño nódulo.",
                    True,
                    ["nodule"],
                    [[0.1, 0.2, 0.3, 0.4]],
                    [[0.1, 0.2, 1.3, 0.4]],
                ),
                finding("No effusion.", "Sin derrame.", False, ["pleural effusion"]),
            ],
        },
        {
            "StudyID": "2",
            "ImageID": "b.png",
            "PreviousStudyID": "9",
            "PreviousImageID": None,
            "findings": [finding("Normal.", "Normal.", False, ["Normal"])],
        },
    ]
    (root / "grounded_reports_20240819.json").write_text(json.dumps(studies))
    save_csv(
        root / "master_table.csv",
        "StudyID,PatientID,split,PatientAge,PatientSex_DICOM",
        [["1", "p1", "validation", 70, "M"], ["2", "p1", "validation", 69, "M"]],
    )
    dataset = prepare_padchest_gr(root, tmp_path / "out", options=options())
    one, two = dataset.rows
    assert (one.findings, one.split, one.prior_study_id) == (
        "Pequeño nódulo. Sin derrame.",
        "validate",
        "2",
    )
    assert two.prior_study_id is None
    assert [(box.name, box.phrase, box.reader) for box in one.boxes] == [
        ("nodule", "Pequeño nódulo.", "first"),
        ("nodule", "Pequeño nódulo.", "second"),
    ]
    assert (one.boxes[0].left, one.boxes[0].bottom, one.boxes[1].right) == (0.1, 0.4, 1.0)
    assert one.labels == {"padchest-gr": {"nodule": "present", "pleural effusion": "absent"}}
    english = prepare_padchest_gr(root, tmp_path / "en", language="en", options=options(link=True))
    assert english.rows[0].findings == "Small nodule. No effusion."
    assert (english.card.language, dataset.card.language) == ("en", "es")
    with pytest.raises(InputError, match="language must be es or en"):
        prepare_padchest_gr(root, tmp_path / "fr", language="fr", options=options())


# ---- labels without reports ---------------------------------------------------------------------
def test_brax(tmp_path):
    root = tmp_path / "brax"
    columns = (
        "DicomPath,PngPath,PatientID,PatientSex,PatientAge,AccessionNumber,StudyDate,"
        + ",".join(NAMES)
        + ",ViewPosition,Rows,Columns,Manufacturer"
    )
    rows = []
    for number, (study, date, view) in enumerate(
        [("a1", 20100102, "L"), ("a1", 20100102, "PA"), ("a2", 20110102, "")]
    ):
        png = f"images/id_p/Study_{study}/Series_1/image-{number}.png"
        save(root / png, number)
        labels = ["-1" if name == "Edema" else "1" if name == "Fracture" else "" for name in NAMES]
        rows.append([png, png, "p1", "F", 45, study, date, *labels, view, 9, 9, "x"])
    save_csv(root / "master_spreadsheet_update.csv", columns, rows)
    dataset = prepare_brax(root, tmp_path / "out", options=options())
    one, two = dataset.rows
    assert (one.study_id, one.views, two.prior_study_id) == ("a1", ("PA", "lateral"), "a1")
    assert one.labels == {"chexpert": {"Edema": "uncertain", "Fracture": "present"}}
    assert (one.findings, one.table["age_years"]) == ("", 45.0)


@pytest.mark.parametrize("link", [False, True])
def test_vindr_cxr(tmp_path, make_dicom, link):
    root = tmp_path / "vindr-cxr"
    for number, name in enumerate(["train/aa", "train/bb", "test/cc"]):
        dicom(make_dicom, root / f"{name}.dicom", number)
    labels = "Cardiomegaly,Nodule/Mass"
    readers = [["aa", f"R{n}", int(n < 2), int(n == 0), 0, 0] for n in range(3)]
    readers += [["bb", f"R{n}", 0, 0, 0, 1] for n in range(3)]
    save_csv(
        root / "annotations" / "image_labels_train.csv",
        f"image_id,rad_id,{labels},Other diseases,No finding",
        readers,
    )
    save_csv(
        root / "annotations" / "image_labels_test.csv",
        f"image_id,{labels},Other disease,No finding",
        [["cc", 0, 1, 0, 0]],
    )
    save_csv(
        root / "annotations" / "annotations_train.csv",
        "image_id,rad_id,class_name,x_min,y_min,x_max,y_max",
        [
            ["aa", "R0", "Cardiomegaly", 24, 48, 72, 96.5],
            ["bb", "R0", "No finding", "", "", "", ""],
        ],
    )
    save_csv(
        root / "annotations" / "annotations_test.csv",
        "image_id,class_name,x_min,y_min,x_max,y_max",
        [["cc", "Nodule/Mass", 0, 0, 48, 24]],
    )
    dataset = prepare_vindr_cxr(root, tmp_path / "out", options=options(link=link))
    rows = {row.study_id: row for row in dataset.rows}
    assert rows["aa"].labels["radiologists"] == {
        "Cardiomegaly": "present",
        "Nodule/Mass": "uncertain",
        "Other disease": "absent",
        "No finding": "absent",
    }
    (box,) = rows["aa"].boxes
    assert (box.left, box.top, box.right, box.bottom) == (0.25, 0.5, 0.75, 1.0)
    assert (box.name, box.reader) == ("Cardiomegaly", "R0")
    assert not rows["bb"].boxes
    assert (rows["cc"].split, rows["cc"].boxes[0].reader) == ("test", None)
    assert rows["aa"].split in ("train", "validate")


def test_nih(tmp_path):
    root = tmp_path / "nih"
    for number, name in enumerate(["00000001_000", "00000001_001", "00000002_000"]):
        save(root / f"images_00{number + 1}" / "images" / f"{name}.png", number)
    (root / "Data_Entry_2017.csv").write_text(
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,"
        "View Position,OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],\n"
        "00000001_001.png,Cardiomegaly|Effusion,1,1,58,M,PA,2500,2048,0.1,0.1,\n"
        "00000001_000.png,No Finding,0,1,57,M,AP,2500,2048,0.1,0.1,\n"
        "00000002_000.png,Hernia,0,2,414,F,PA,2500,2048,0.1,0.1,\n"
    )
    (root / "BBox_List_2017.csv").write_text(
        "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"
        "00000001_001.png,Cardiomegaly,256,512,512,256,,,\n"
    )
    (root / "test_list.txt").write_text("00000002_000.png\n")
    dataset = prepare_nih(root, tmp_path / "out", options=options())
    rows = {row.study_id: row for row in dataset.rows}
    assert rows["00000001_001"].prior_study_id == "00000001_000"
    assert rows["00000001_001"].labels == {
        "nih": {"Cardiomegaly": "present", "Effusion": "present"}
    }
    (box,) = rows["00000001_001"].boxes
    assert (box.left, box.top, box.right, box.bottom) == (0.25, 0.5, 0.75, 0.75)
    assert rows["00000001_000"].views == ("AP",)
    assert (rows["00000002_000"].split, rows["00000002_000"].table["age_years"]) == ("test", None)
    assert rows["00000001_000"].split == split_of("nih-00001", {"train": 0.9, "validate": 0.1})
    (root / "test_list.txt").unlink()
    with pytest.raises(
        DatasetError, match=r"no test_list\.txt \(or \.gz\); expected ChestX-ray14's"
    ):
        prepare_nih(root, tmp_path / "other", options=options())


def test_candid_ptx(tmp_path, make_dicom):
    root = tmp_path / "candid"
    for number, uid in enumerate(["1.2.3", "1.2.4", "1.2.5"]):
        dicom(make_dicom, root / "dataset" / uid, number)
    report = "CHEST:\nFINDINGS: Left pneumothorax.\nIMPRESSION: Pneumothorax."
    save_csv(
        root / "Pneumothorax_reports.csv",
        "SOPInstanceUID,EncodedPixels,Report,filename",
        [
            ["1.2.3", "10 5", report, "P00001_a"],
            ["1.2.3", "20 5", report, "P00001_a"],
            ["1.2.4", "-1", "FINDINGS: Clear.", "P00002_b"],
            ["1.2.5", "-1", "FINDINGS: Clear.", "P00002_c"],
            ["1.2.5", "-1", "Other.", "P00003_c"],
        ],
    )
    save_csv(root / "chest_tube.csv", "anon_SOPUID,annotation_ref,mask_rle", [["1.2.3", 1, "1 2"]])
    dataset = prepare_candid_ptx(root, tmp_path / "out", options=options())
    one, two = dataset.rows
    assert one.labels == {"candid-ptx": {"Pneumothorax": "present", "Chest Tube": "present"}}
    assert (one.findings, one.impression) == ("Left pneumothorax.", "Pneumothorax.")
    assert (two.patient_id, two.labels["candid-ptx"]["Pneumothorax"]) == ("P00002", "absent")
    assert dataset.card.skipped == {"its film is another patient's too": 1}


# ---- other layouts of IU X-ray and MIMIC-CXR ----------------------------------------------------
def test_iu_kaggle(tmp_path):
    root = tmp_path / "kaggle"
    names = ["1_IM-0001-4001.dcm.png", "1_IM-0001-3001.dcm.png", "2_IM-0652-1001.dcm.png"]
    for number, name in enumerate(names):
        save(root / "images" / "images_normalized" / name, number)
    save_csv(
        root / "indiana_projections.csv",
        "uid,filename,projection",
        [[1, names[0], "Lateral"], [1, names[1], "Frontal"], [2, names[2], "Frontal"]],
    )
    save_csv(
        root / "indiana_reports.csv",
        "uid,MeSH,Problems,image,indication,comparison,findings,impression",
        [
            [1, "normal", "normal", "Xray", "Cough", "None", "Clear lungs,\nXXXX.", "Normal."],
            [2, "x", "Opacity;Effusion", "Xray", "", "", "Opacity.", ""],
            [3, "x", "normal", "Xray", "", "", "No film.", ""],
        ],
    )
    dataset = prepare_iu_kaggle(root, tmp_path / "out", options=options())
    one, two = dataset.rows
    assert (one.study_id, one.findings, one.comparison) == ("CXR1", "Clear lungs, XXXX.", None)
    assert one.views == ("unknown", "lateral")
    assert two.labels == {"mesh": {"Opacity": "present", "Effusion": "present"}}
    assert dataset.card.skipped == {"no film in the projections": 1}
    split = tmp_path / "annotation.json"
    split.write_text(
        json.dumps({"train": [{"id": "CXR2_IM-0652", "split": "val", "image_path": []}]})
    )
    chosen = prepare_iu_kaggle(root, tmp_path / "chosen", split=split, options=options())
    assert [(row.study_id, row.split) for row in chosen.rows] == [("CXR2", "validate")]


def test_r2gen(tmp_path):
    root = tmp_path / "mimic_cxr"
    entries = []
    for number, (study, film) in enumerate([(5, "a"), (5, "b"), (6, "c")]):
        path = f"p10/p10000032/s{study}/{film}.jpg"
        save(root / "images" / path, number)
        entries.append(
            {
                "id": film,
                "study_id": study,
                "subject_id": 10000032,
                "report": "Clear .",
                "image_path": [path],
                "split": "train",
            }
        )
    (root / "annotation.json").write_text(json.dumps({"train": entries, "": []}))
    dataset = prepare_r2gen(root, tmp_path / "out", options=options())
    assert [(row.study_id, row.patient_id, len(row.images)) for row in dataset.rows] == [
        ("s5", "p10000032", 2),
        ("s6", "p10000032", 1),
    ]
    (root / "annotation.json").write_text(json.dumps({"train": [{"id": "a"}]}))
    with pytest.raises(DatasetError, match="an entry needs id, report, image_path"):
        prepare_r2gen(root, tmp_path / "other", options=options())


def test_llava_rad(tmp_path):
    root, films = tmp_path / "llava", tmp_path / "jpg"
    root.mkdir()

    def entry(study, film, text, method, **more):
        path = f"p10/p100000{study}/s{study}/{film}.jpg"
        if not (films / "files" / path).exists():
            save(films / "files" / path, study)
        said = [{"from": "human", "value": "<image>\nDescribe."}, {"from": "gpt", "value": text}]
        return {
            "id": film,
            "image": f"mimic/{path}",
            "generate_method": method,
            "reason": "Cough",
            "conversations": said,
        } | more

    train = [
        entry(50, "a-1", "By rules.", "rule-based", chexpert_labels={"Edema": 1.0}),
        entry(50, "a-1", "By a model.", "gpt4"),
    ]
    test = [entry(51, "b-1", "Tested.", "rule-based", chexpert_labels={"Edema": float("nan")})]
    name = "chat_{}_MIMIC_CXR_all_gpt4extract_rulebased_v1.json"
    (root / name.format("train")).write_text(json.dumps(train))
    (root / name.format("test")).write_text(json.dumps(test))
    dataset = prepare_llava_rad(root, tmp_path / "out", films=films, options=options())
    one, two = dataset.rows
    assert (one.findings, one.indication, one.split) == ("By a model.", "Cough", "train")
    assert one.labels == {"chexpert": {"Edema": "present"}}
    assert (two.study_id, two.split, two.labels) == ("s51", "test", {})
    with pytest.raises(DatasetError, match=r"none of the first 2 films is there.*--films"):
        prepare_llava_rad(root, tmp_path / "other", options=options())


def test_rexrank(tmp_path):
    root = tmp_path / "PNG"
    names = [f"valid/patient64545/study1/view{n}.png" for n in (1, 2)]
    for number, name in enumerate(names):
        save(root / name, number)
    file = tmp_path / "ReXRank_CheXpertPlus.json"
    study = {
        "image_path": names,
        "key_image_path": names[1],
        "frontal_lateral": ["Lateral", "Frontal"],
        "context": "Age:82.0.Gender:F.Indication:nanComparison: None.",
        "section_findings": "Low volumes.",
        "section_impression": "Edema.",
    }
    file.write_text(json.dumps({"patient64545_study1": study}))
    (row,) = prepare_rexrank(file, tmp_path / "out", films=root, options=options()).rows
    assert (row.patient_id, row.split, row.views) == (
        "patient64545",
        "test",
        ("unknown", "lateral"),
    )
    assert dict(row.table) == {"age_years": 82.0, "sex": "F"}
    assert (row.indication, row.findings) == (None, "Low volumes.")


# ---- Hugging Face -------------------------------------------------------------------------------
def embedded(tmp_path, number):
    return {
        "bytes": save(tmp_path / "hf-films" / f"{number}.png", number).read_bytes(),
        "path": None,
    }


def hf_table(tmp_path, *numbers):
    return pa.table(
        {
            "film": [[embedded(tmp_path, n), embedded(tmp_path, n + 50)] for n in numbers],
            "text": [f"FINDINGS: Finding {n}. IMPRESSION: Normal." for n in numbers],
            "who": [f"p{n}" for n in numbers],
            "crp": [None if n == 1 else float(n) for n in numbers],
        }
    )


COLUMNS = {"image": "film", "report": "text", "patient_id": "who", "table.crp_mg_per_l": "crp"}


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_huggingface_folders(tmp_path, kind):
    root = tmp_path / "hf"
    tables = {"train": hf_table(tmp_path, 0, 1, 2), "validation": hf_table(tmp_path, 3)}
    for split, table in tables.items():
        if kind == "parquet":
            (root / "data").mkdir(parents=True, exist_ok=True)
            file = root / "data" / f"{split}-00000-of-00001.parquet"
            pq.write_table(table, file, row_group_size=2)
        else:
            (root / split).mkdir(parents=True)
            file = root / split / "data-00000-of-00001.arrow"
            with pa.ipc.new_stream(str(file), table.schema) as writer:
                writer.write_table(table)
    dataset = prepare_huggingface(
        root, tmp_path / "out", columns=COLUMNS, licence="CC0", options=options()
    )
    rows = list(dataset.rows)
    assert [row.split for row in rows] == ["train", "train", "train", "validate"]
    assert [row.findings for row in rows] == [f"Finding {n}." for n in range(4)]
    assert [row.table["crp_mg_per_l"] for row in rows] == [0.0, None, 2.0, 3.0]
    for number, row in enumerate(rows):
        film = dataset.image(row, 0).pixels
        other = PIL.Image.fromarray(picture(number)).resize((64, 64), PIL.Image.Resampling.BICUBIC)
        assert np.abs(film - np.asarray(other) / 255).max() < 0.05
        assert len(row.images) == 2
    assert dataset.card.licence == "CC0"
    with pytest.raises(InputError, match="no files of their own: --link can't be had"):
        prepare_huggingface(root, tmp_path / "x", columns=COLUMNS, options=options(link=True))


def test_huggingface_paths_and_mistakes(tmp_path):
    root = tmp_path / "hf"
    save(root / "films" / "a.png", 1)
    pq.write_table(
        pa.table({"film": ["films/a.png"], "text": ["FINDINGS: Clear."]}), root / "train.parquet"
    )
    columns = {"image": "film", "report": "text"}
    (row,) = prepare_huggingface(
        root, tmp_path / "out", columns=columns, options=options(link=True)
    ).rows
    assert (row.images, row.findings, row.split) == (("films/a.png",), "Clear.", "train")
    with pytest.raises(DatasetError, match="has no column texts; it has film, text"):
        prepare_huggingface(
            root,
            tmp_path / "other",
            columns={"image": "film", "report": "texts"},
            options=options(),
        )
    with pytest.raises(InputError, match="columns must be named as some of image, report"):
        prepare_huggingface(root, tmp_path / "other", columns={"film": "film"}, options=options())
    with pytest.raises(DatasetError, match=r"holds no \.arrow and no \.parquet file"):
        prepare_huggingface(root / "films", tmp_path / "other", columns=columns, options=options())


# ---- what all share -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    "prepare",
    [
        prepare_brax,
        prepare_candid_ptx,
        prepare_chexpert_plus,
        prepare_iu_kaggle,
        prepare_llava_rad,
        prepare_nih,
        prepare_padchest,
        prepare_padchest_gr,
        prepare_r2gen,
        prepare_rexgradient,
        prepare_rexrank,
        prepare_vindr_cxr,
    ],
)
def test_a_wrong_folder_is_one_line_that_says_what_was_expected(tmp_path, prepare):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "nowhere"):
        with pytest.raises(DatasetError) as caught:
            prepare(folder, tmp_path / "out", options=options())
        message = str(caught.value)
        assert str(folder) in message
        assert "expected" in message
        assert "\n" not in message
    assert not (tmp_path / "out").exists()


def test_words_of_many_publishers():
    assert [
        view_of(word)
        for word in (
            "POSTERO_ANTERIOR",
            "AP_horizontal",
            "xtable lateral",
            "RAO",
            "SWIMMERS",
            "",
            None,
        )
    ] == [
        "PA",
        "AP",
        "lateral",
        "oblique",
        None,
        None,
        None,
    ]
    assert [age_of(text) for text in ("045Y", "61.0", "414", "", "006M")] == [
        45,
        61,
        None,
        None,
        0.5,
    ]
    with pytest.raises(DatasetError, match="label Edema must be 1, 0, -1 or blank, got '2'"):
        statuses({"Edema": "2"}, ["Edema"])
    assert all(source.url.startswith("https://") and source.access for source in SOURCES.values())
