"""The REST API: what it takes, what it gives, whom it lets in, and what it never tells."""

import io
import json
import logging
import zipfile

import numpy as np
import pytest

from plainfilm.core import Report

pytest.importorskip("fastapi", reason="extra 'hospital'")
pytest.importorskip("huey", reason="extra 'hospital'")

from toy_service import SENTENCE, film, until_ended

from plainfilm.export.formats import FORMS
from plainfilm.serve.access import Rate, make_token
from plainfilm.serve.uploads import Limits, clean_name

SCRIPT = "<script>alert('x')</script>"
HOSTILE_NAMES = [
    "../../etc/passwd",
    "..\\..\\x.png",
    "/abs.png",
    f"{SCRIPT}.png",
    "a\0b\n.png",
    "..",
]


def send(client, content=None, name="film.png", **options):
    files = [("files", (name, film() if content is None else content))]
    return client.post("/v1/studies", files=files, **options)


def drafted(client, **options):
    answer = send(client, **options)
    assert answer.status_code == 202, answer.text
    return until_ended(client, answer.json()["id"])


def test_a_film_becomes_a_draft_in_every_form(client):
    about = drafted(client, data={"indication": "Cough."})
    assert (about["state"], about["model"]) == ("done", "toy")
    assert about["badges"] == ["a badge"]
    for name in FORMS:
        answer = client.get(f"/v1/studies/{about['id']}/report", params={"form": name})
        if name.startswith("dicom"):
            assert answer.status_code in (422, 501)
            continue
        if answer.status_code == 501:
            continue
        assert answer.status_code == 200, (name, answer.text)
        assert answer.headers["content-disposition"].startswith("attachment;")
        assert answer.headers["x-content-type-options"] == "nosniff"
    draft = client.get(f"/v1/studies/{about['id']}/report").json()
    assert draft["statements"][0]["side"] == "right"
    assert client.get(f"/v1/studies/{about['id']}/report?form=docx").status_code == 422


ASKED = [
    ("POST", "/v1/studies"), ("POST", "/v1/batches"), ("GET", "/v1/studies"),
    ("GET", "/v1/studies/x"), ("GET", "/v1/studies/x/report"), ("GET", "/v1/studies/x/room"),
    ("GET", "/v1/studies/x/films/0"), ("PUT", "/v1/studies/x/review"),
    ("DELETE", "/v1/studies/x"), ("GET", "/v1/batches/x"),
]  # fmt: skip


def test_nothing_without_a_token(client):
    for header in ("", "Bearer", "Bearer no", "Basic dGVzdGVyOng="):
        for method, path in ASKED:
            answer = client.request(method, path, headers={"Authorization": header})
            assert answer.status_code == 401, (header, method, path)


def test_every_path_that_there_is_was_asked(client):
    paths = client.get("/v1/openapi.json").json()["paths"]
    known = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    asked = {(method, path.replace("/x", "/{id}").replace("/0", "/{number}"))
             for method, path in ASKED}  # fmt: skip
    assert known == asked


def test_other_host_names_are_refused(client):
    answer = client.get("/v1/studies", headers={"Host": "evil.example"})
    assert answer.status_code == 421


def test_the_page_lets_no_other_script_in(client):
    page = client.get("/", headers={"Authorization": ""})
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "<script>" not in page.text
    assert " on" not in page.text.replace(" on ", " ").lower().split("<body", 1)[0]


def test_what_is_no_film_is_refused_with_its_reason(client, service):
    for content in (b"MZ\x90\0 not a film", b"%PDF-1.7 <script>", b"", b"<html><script>x</script>"):
        about = drafted(client, content=content)
        assert about["state"] == "refused"
        assert str(service.folder) not in about["reason"]
        answer = client.get(f"/v1/studies/{about['id']}/report")
        assert answer.status_code == 409


def test_a_file_name_is_never_a_path(client, service):
    for name in HOSTILE_NAMES:
        before = {path for path in service.folder.parent.rglob("*") if path.is_file()}
        about = drafted(client, name=name)
        after = {path for path in service.folder.parent.rglob("*") if path.is_file()}
        for path in after - before:
            assert service.folder in path.parents
            assert "passwd" not in path.name
        assert all("/" not in kept and "\n" not in kept for kept in about["files"])


def test_clean_names():
    assert clean_name("a/b/c.dcm") == "c.dcm"
    assert clean_name("..") == clean_name("") == clean_name(None) == "film"
    assert len(clean_name("x" * 5000)) == 100


def zipped(*members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def test_a_batch_is_many_studies(client):
    archive = zipped(("a/film.png", film(1)), ("../../b/film.png", film(2)), ("notes.txt", b"hi"))
    answer = client.post(
        "/v1/batches", files=[("files", ("all.zip", archive)), ("files", ("c.png", film(3)))]
    )
    assert answer.status_code == 202
    batch = answer.json()
    ended = [until_ended(client, one["id"]) for one in batch["studies"]]
    assert [one["state"] for one in ended] == ["done", "done", "refused", "done"]
    assert len(client.get(f"/v1/batches/{batch['id']}").json()["studies"]) == 4
    assert client.get("/v1/batches/none").status_code == 404


def test_a_bomb_does_nothing(client, service):
    bomb = zipped(("zeros", b"\0" * 50_000_000))
    answer = client.post("/v1/batches", files=[("files", ("bomb.zip", bomb))])
    assert answer.status_code == 422
    assert "swells" in answer.json()["detail"]
    assert not list((service.folder / "uploads").glob("*"))
    for broken in (b"PK\x03\x04rubbish", zipped(("a", film()))[:-30]):
        answer = client.post("/v1/batches", files=[("files", ("x.zip", broken))])
        assert answer.status_code == 422


def test_many_files_and_many_bytes_are_turned_away(client, service):
    service.limits = Limits(most_bytes=1 << 20, most_files=3)
    many = zipped(*((str(n), b"x") for n in range(4)))
    assert client.post("/v1/batches", files=[("files", ("m.zip", many))]).status_code == 422
    assert send(client, content=b"x" * (3 << 20)).status_code == 413

    def chunks():
        for _ in range(40):
            yield b"y" * 100_000

    answer = client.post("/v1/studies", content=chunks(),
                         headers={"Content-Type": "multipart/form-data; boundary=b"})  # fmt: skip
    assert answer.status_code in (400, 413)
    assert not list((service.folder / "uploads").glob("*/*"))


def test_a_full_service_says_429_and_keeps_nothing(client, service):
    service.store.most_waiting = 0
    answer = send(client)
    assert answer.status_code == 429
    assert answer.headers["retry-after"]
    assert not list((service.folder / "uploads").glob("*"))


def test_too_many_requests_are_turned_away(client, service):
    service.rate.per_minute = 3
    service.rate._left.clear()
    codes = [client.get("/v1/studies").status_code for _ in range(6)]
    assert codes.count(200) == 3
    assert codes[-1] == 429


def test_the_bucket_fills_again(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("plainfilm.serve.access.time.monotonic", lambda: now[0])
    rate = Rate(60)
    assert [rate.wait("a") for _ in range(60)] == [0] * 60
    assert rate.wait("a") == pytest.approx(1)
    assert rate.wait("b") == 0
    now[0] += 1
    assert rate.wait("a") == 0


def test_the_same_key_is_the_same_study(client, service):
    headers = {"Idempotency-Key": "k-1"}
    first, again = (send(client, headers=headers).json() for _ in range(2))
    assert first["id"] == again["id"]
    assert until_ended(client, first["id"])["state"] == "done"
    assert service.model.drafted == 1
    assert send(client, headers={"Idempotency-Key": "%"}).status_code == 422


def test_a_review_is_kept_and_changes_what_leaves(client):
    id = drafted(client)["id"]
    room = client.get(f"/v1/studies/{id}/room").json()
    assert room["passages"]["Findings"][0]["text"] == SENTENCE
    assert room["statements"][0]["heats"][0]["film"] == 0
    review = {
        "revision": 0,
        "findings": room["findings"],
        "impression": room["impression"],
        "decisions": [{"statement": 0, "verdict": "rejected", "reason": SCRIPT}],
    }
    assert client.put(f"/v1/studies/{id}/review", json=review).json() == {"revision": 1}
    assert client.put(f"/v1/studies/{id}/review", json=review).status_code == 409
    left = client.get(f"/v1/studies/{id}/report").json()["statements"]
    assert [one["observation"] for one in left] == ["Pneumothorax"]
    edited = review | {
        "revision": 1, "findings": "Large left pneumothorax.", "impression": "", "decisions": [],
        "verdict": "accepted",
    }  # fmt: skip
    assert client.put(f"/v1/studies/{id}/review", json=edited).status_code == 200
    report = client.get(f"/v1/studies/{id}/report").json()
    assert report["findings"] == "Large left pneumothorax."
    assert (report["statements"][0]["side"], report["statements"][0]["status"]) == (
        "left", "present",
    )  # fmt: skip
    assert any("edited by a reader" in warning for warning in report["warnings"])
    assert client.get(f"/v1/studies/{id}").json()["verdict"] == "accepted"
    nonsense = edited | {"revision": 2, "verdict": "maybe"}
    assert client.put(f"/v1/studies/{id}/review", json=nonsense).status_code == 422


def test_the_room_gets_the_film_in_16_bits(client):
    id = drafted(client)["id"]
    answer = client.get(f"/v1/studies/{id}/films/0")
    shape = int(answer.headers["x-rows"]), int(answer.headers["x-columns"])
    assert shape == (320, 288)
    assert np.frombuffer(answer.content, "<u2").reshape(shape).std() > 1000
    assert client.get(f"/v1/studies/{id}/films/9").status_code == 404


def test_what_is_deleted_is_gone(client, service):
    id = drafted(client)["id"]
    assert client.delete(f"/v1/studies/{id}").status_code == 204
    assert client.get(f"/v1/studies/{id}").status_code == 404
    assert not list((service.folder / "uploads").glob("*"))


def test_logs_name_nobody(client, service, caplog):
    with caplog.at_level(logging.DEBUG):
        about = drafted(client, name="Doe^Jane.png", data={"indication": "Jane Doe, 4711"})
        client.get(f"/v1/studies/{about['id']}/report", params={"form": "fhir"})
        drafted(client, content=b"Jane Doe", name="Jane Doe.png")
    audit = service.audit.path.read_text()
    for text in (audit, caplog.text, client.get("/metrics").text):
        assert "Jane" not in text
        assert "4711" not in text
    lines = [json.loads(line) for line in audit.splitlines()]
    assert {"accepted", "ended", "report"} <= {line["action"] for line in lines}
    ended = next(line for line in lines if line["action"] == "ended")
    assert ended["model"] == "toy"
    told = next(line for line in lines if line["action"] == "report")
    assert (told["who"], told["form"]) == ("tester", "fhir")


def test_health_and_metrics_need_no_token(client):
    drafted(client)
    bare = {"Authorization": ""}
    assert client.get("/health", headers=bare).json()["status"] == "ok"
    assert client.get("/ready", headers=bare).status_code == 200
    text = client.get("/metrics", headers=bare).text
    assert "plainfilm_studies_accepted_total 1.0" in text
    assert 'plainfilm_studies{state="done"} 1.0' in text
    assert client.get("/v1/openapi.json", headers=bare).json()["openapi"].startswith("3.")


def test_a_new_token_of_a_name_ends_the_old_one(client, service):
    assert client.get("/v1/studies").status_code == 200
    token = make_token(service.folder, "tester")
    assert client.get("/v1/studies").status_code == 401
    assert (
        client.get("/v1/studies", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    )
    assert token not in (service.folder / "tokens.json").read_text()


def test_a_model_that_breaks_is_no_refusal(client, service):
    def report(study):
        raise RuntimeError("Jane Doe")

    service.model.report = report
    about = drafted(client)
    assert (about["state"], about["reason"]) == ("failed", "drafting broke (RuntimeError)")


def test_a_study_that_stops_the_service_each_time_is_given_up(service):
    study = {"id": "x", "files": []}
    service.store.accept([study], owner="a")
    for _ in range(3):
        assert service.store.claim("x") is not None
        assert service.store.recover() == ["x"]
    assert service.store.claim("x") is None
    assert service.store.get("x").state == "failed"


def test_a_draft_is_recorded_once(service):
    service.store.accept([{"id": "x", "files": []}], owner="a")
    assert service.store.claim("x") is not None
    assert service.store.claim("x") is None
    service.store.finish("x", Report(findings="One."), seconds=1, patient=None)
    service.store.finish("x", Report(findings="Two."), seconds=1, patient=None)
    assert service.store.get("x").report.findings == "One."
