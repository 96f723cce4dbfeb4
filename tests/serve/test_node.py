"""The DICOM node: what it takes, what it turns away, and that results come back."""

import io
import json
import os
import shutil
import socket
import subprocess
import urllib.request

import pydicom
import pytest

from plainfilm.core import InputError

pytest.importorskip("fastapi", reason="extra 'hospital'")
pytest.importorskip("huey", reason="extra 'hospital'")
pytest.importorskip("highdicom.sr", reason="extra 'hospital'")
net = pytest.importorskip("pynetdicom", reason="extra 'hospital'")

from toy_service import dicom_film, until  # noqa: E402

from plainfilm.serve.node import Node, Peer  # noqa: E402

DX = "1.2.840.10008.5.1.4.1.1.1.1"
SR = "1.2.840.10008.5.1.4.1.1.88.33"
CT = "1.2.840.10008.5.1.4.1.1.2"
ECHO = "1.2.840.10008.1.1"


@pytest.fixture
def start(service):
    """Return a function that starts the service and a node of it."""
    nodes = []

    def started(settle=0.1, **options):
        node = Node(service, port=0, settle=settle, **options)
        service.start()
        node.start()
        nodes.append(node)
        return node

    yield started
    for node in nodes:
        node.stop()
        service.stop()


def call(node, *datasets, calling="SENDER", called="PLAINFILM"):
    entity = net.AE(ae_title=calling)
    entity.add_requested_context(ECHO)
    for kind in {DX, *(one.SOPClassUID for one in datasets)}:
        entity.add_requested_context(kind, ["1.2.840.10008.1.2.1"])
    link = entity.associate("127.0.0.1", node.port, ae_title=called)
    if not link.is_established:
        return None
    try:
        answers = [link.send_c_echo().Status]
        accepted = {context.abstract_syntax for context in link.accepted_contexts}
        for one in datasets:
            known = one.SOPClassUID in accepted
            answers.append(link.send_c_store(one).Status if known else None)
        return answers
    finally:
        link.release()


class Archive:
    """A node that keeps what it gets."""

    def __init__(self, status=0):
        self.got, self.status = [], status
        entity = net.AE(ae_title="ARCHIVE")
        for kind in (SR, "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.7"):
            entity.add_supported_context(kind)
        self.server = entity.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=[(net.evt.EVT_C_STORE, self.keep)]
        )
        self.port = self.server.socket.getsockname()[1]

    def keep(self, event):
        path = event.dataset_path  # chunks go to the disk, as the node asks for
        self.got.append(pydicom.dcmread(path))
        return self.status


def test_a_study_is_drafted_and_its_report_comes_back(start, service):
    archive = Archive()
    try:
        node = start(
            peer=Peer("ARCHIVE", "127.0.0.1", archive.port),
            forms=("dicom-sr", "dicom-sc"),
            settle=3600,
        )
        assert call(node, dicom_film(0), dicom_film(1)) == [0, 0, 0]
        node.settle = 0  # however slowly they came
        (entry,) = until(lambda: [one for one in service.store.listed() if one.sent])
        assert len(entry.files) == 2
        assert service.model.drafted == 1
        until(lambda: len(archive.got) == 2)
    finally:
        archive.server.shutdown()
    report, picture = archive.got
    for one in (report, picture):
        assert one.StudyInstanceUID == "1.2.3.4"
        assert (one.PatientID, one.PatientName) == ("4711", "Doe^Jane")
    assert report.VerificationFlag == "UNVERIFIED"
    (evidence,) = report.CurrentRequestedProcedureEvidenceSequence  # the study's films, both
    names = {
        one.ReferencedSOPInstanceUID
        for one in evidence.ReferencedSeriesSequence[0].ReferencedSOPSequence
    }
    assert names == {"1.2.3.4.9.1", "1.2.3.4.9.2"}
    # The same study once more is known.
    node.settle = 3600
    assert call(node, dicom_film(0), dicom_film(1)) == [0, 0, 0]
    node.settle = 0
    until(lambda: not list((service.folder / "incoming").iterdir()))
    assert len(service.store.listed()) == 1
    assert "Jane" not in service.audit.path.read_text()


def test_who_is_not_known_is_not_let_in(start):
    node = start(calling=("MODALITY",))
    assert call(node, calling="STRANGER") is None
    assert call(node, calling="MODALITY", called="OTHER") is None
    assert call(node, calling="MODALITY") == [0]


def test_what_is_no_film_is_not_taken(start, service):
    node = start()
    slice_ = dicom_film(0, SOPClassUID=CT)
    slice_.file_meta.MediaStorageSOPClassUID = CT
    nameless = dicom_film(1)
    del nameless.StudyInstanceUID
    hostile = dicom_film(2)
    hostile.StudyInstanceUID = "../../etc"
    answers = call(node, slice_, nameless, hostile)
    assert answers[0] == 0
    assert answers[1] is None
    assert answers[2] == answers[3] == 0xC000
    assert not list((service.folder / "incoming").iterdir())


def test_what_came_before_a_stop_is_taken_after_it(service):
    place = service.folder / "incoming" / "ab"
    place.mkdir(parents=True)
    dicom_film(0).save_as(place / "0", enforce_file_format=True)
    (place / ".part").write_bytes(b"half")
    node = Node(service, port=0, settle=0.1)
    service.start()
    node.start()
    try:
        until(lambda: [one for one in service.store.listed() if one.state == "done"])
    finally:
        node.stop()
        service.stop()


def test_results_wait_for_an_archive_that_is_away(start, service, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    node = start(peer=Peer("ARCHIVE", "127.0.0.1", port))
    call(node, dicom_film(0))
    (entry,) = until(lambda: [one for one in service.store.listed() if one.state == "done"])
    assert not node._send(entry)
    assert service.store.get(entry.id).sent is None


def test_a_peer_is_a_title_and_a_place():
    assert Peer.of("ORTHANC@pacs.example:4242") == Peer("ORTHANC", "pacs.example", 4242)
    for wrong in ("ORTHANC", "ORTHANC@host", "@host:1", "A" * 17 + "@host:1"):
        with pytest.raises(InputError, match="AET@HOST:PORT"):
            Peer.of(wrong)


def test_only_dicom_is_sent(service):
    with pytest.raises(InputError, match="no form of DICOM"):
        Node(service, port=0, forms=("fhir",))


ORTHANC = """{"Name": "test", "StorageDirectory": "%(place)s", "IndexDirectory": "%(place)s",
"HttpPort": %(http)d, "DicomPort": %(dicom)d, "DicomAet": "ORTHANC", "AuthenticationEnabled": false,
"RemoteAccessAllowed": false, "Plugins": [], "DicomAlwaysAllowStore": true,
"DicomModalities": {"plainfilm": ["PLAINFILM", "127.0.0.1", %(node)d]}}"""


def test_a_study_in_a_real_pacs_gets_its_report(start, service, tmp_path):
    """`make test-pacs` installs Orthanc and runs this with the shipped model's own command."""
    orthanc = shutil.which("Orthanc") or "/usr/sbin/Orthanc"
    if not os.access(orthanc, os.X_OK):
        pytest.skip("Orthanc is not installed: make test-pacs")
    ports = []
    for _ in range(2):
        with socket.create_server(("127.0.0.1", 0)) as free:
            ports.append(free.getsockname()[1])
    http, dicom = ports
    node = start(peer=Peer("ORTHANC", "127.0.0.1", dicom), forms=("dicom-sr", "dicom-seg"))
    place = tmp_path / "orthanc"
    place.mkdir()
    settings = {"place": place, "http": http, "dicom": dicom, "node": node.port}
    (tmp_path / "orthanc.json").write_text(ORTHANC % settings)
    pacs = subprocess.Popen([orthanc, tmp_path / "orthanc.json"], stderr=subprocess.DEVNULL)

    def ask(path, content=None):
        request = urllib.request.Request(f"http://127.0.0.1:{http}{path}", content)
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.loads(answer.read())

    def up():
        try:
            return ask("/system")
        except OSError:
            return None

    try:
        until(up)
        file = io.BytesIO()
        dicom_film(0).save_as(file, enforce_file_format=True)
        stored = ask("/instances", file.getvalue())
        ask("/modalities/plainfilm/store", stored["ID"].encode())
        until(lambda: len(ask("/series")) == 3)
        assert len(ask("/studies")) == 1
        assert len(ask("/patients")) == 1
        series = [ask(f"/series/{one}")["MainDicomTags"]["Modality"] for one in ask("/series")]
        assert sorted(series) == ["DX", "SEG", "SR"]
    finally:
        pacs.terminate()
        pacs.wait(timeout=30)
