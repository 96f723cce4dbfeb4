"""Which studies lie in what is given: files, folders, archives, DICOMDIRs."""

import zipfile
from pathlib import Path

import numpy as np
import PIL.Image
import pydicom
import pytest

from plainfilm.core import InputError
from plainfilm.data.inbox import Found, find_studies


def png(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(path)
    return path


def named(found: list[Found]) -> dict[str, list[str]]:
    return {one.id: [entry.name for entry in one.entries] for one in found if not one.skipped}


@pytest.fixture
def export(tmp_path, make_dicom, chest) -> Path:
    """A nested export: two DICOM studies, a picture, a text, a hidden file and an archive."""
    stored = (chest * 4000).astype(np.uint16)
    root = tmp_path / "export"
    for name, study in (
        ("a/one/pa.dcm", "1.2.1"),
        ("a/one/lat.dcm", "1.2.1"),
        ("b/x.dcm", "1.2.2"),
    ):
        path = make_dicom(stored, StudyInstanceUID=study)
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        path.rename(root / name)
    png(root / "b/film.png")
    (root / "b/notes.txt").write_text("notes")
    (root / ".hidden").write_text("x")
    with zipfile.ZipFile(root / "more.zip", "w") as archive:
        archive.write(root / "b/film.png", "c/film.png")
        archive.write(root / "b/x.dcm", "c/again.dcm")
        archive.write(root / "b/film.png", "../../escaped.png")
    return root


def test_a_folder_is_searched_to_the_bottom(export):
    found = find_studies([export])
    assert [(one.id, [entry.place for entry in one.entries]) for one in found] == [
        ("one", ["a/one/lat.dcm", "a/one/pa.dcm"]),
        ("film", ["b/film.png"]),
        ("x", ["b/x.dcm", "more.zip/c/again.dcm"]),
        ("film", ["more.zip/c/film.png"]),
        ("notes", ["b/notes.txt"]),
    ]
    assert [one.skipped for one in found] == [None] * 4 + ["no image"]


def test_pictures_are_studies_of_their_own_unless_together(export):
    films = [png(export / "p/1.png"), png(export / "p/2.png")]
    assert named(find_studies(films)) == {"1": ["1.png"], "2": ["2.png"]}
    assert named(find_studies([export / "p"])) == {"1": ["1.png"], "2": ["2.png"]}
    assert named(find_studies([export / "p"], together=True)) == {"p": ["1.png", "2.png"]}
    assert named(find_studies(films, together=True)) == {"1": ["1.png", "2.png"]}


def test_members_of_an_archive_are_there_while_they_are_read(export):
    found = find_studies([export / "more.zip"])
    assert sorted(named(found)) == ["again", "film"]
    film = next(one for one in found if one.id == "film")
    with film.opened() as (path,):
        assert path.name == "film.png"
        assert path.read_bytes() == (export / "b/film.png").read_bytes()
    assert not path.exists()
    assert not (export.parent / "escaped.png").exists()


def test_a_key_changes_with_the_file(export):
    (one,) = find_studies([export / "b/film.png"])
    before = one.key()
    assert before == one.key()
    (export / "b/film.png").write_bytes(b"other")
    assert before != one.key()


def test_a_dicomdir_names_its_films_and_none_outside(tmp_path, make_dicom, chest):
    film = make_dicom((chest * 4000).astype(np.uint16), StudyInstanceUID="1.2.3")
    (tmp_path / "DISC/IMG").mkdir(parents=True)
    film.rename(tmp_path / "DISC/IMG/F1")
    png(tmp_path / "outside.png").rename(tmp_path / "OUTSIDE")
    records = []
    for parts in (["IMG", "F1"], ["..", "OUTSIDE"]):
        record = pydicom.Dataset()
        record.DirectoryRecordType = "IMAGE"
        record.ReferencedFileID = parts
        records.append(record)
    directory = pydicom.Dataset()
    directory.DirectoryRecordSequence = records
    directory.file_meta = pydicom.dataset.FileMetaDataset()
    directory.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    directory.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    directory.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    directory.save_as(tmp_path / "DISC/DICOMDIR", enforce_file_format=True)
    (by_name,) = find_studies([tmp_path / "DISC/DICOMDIR"])
    assert [entry.path for entry in by_name.entries] == [tmp_path / "DISC/IMG/F1"]
    (by_folder,) = find_studies([tmp_path / "DISC"])
    assert [entry.place for entry in by_folder.entries] == ["IMG/F1"]


def test_what_is_empty_or_damaged_is_said(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="is empty"):
        find_studies([tmp_path / "empty"])
    (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(InputError, match=r"bad\.zip: is a zip archive that cannot be read"):
        find_studies([tmp_path / "bad.zip"])
    (skipped,) = find_studies([tmp_path])
    assert skipped.skipped == "an archive that cannot be read"
