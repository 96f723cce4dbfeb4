"""The reading room in a real browser: read, edit, reject, keep, export, print."""

import json
import os
import shutil
import threading
import time
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="extra 'hospital'")
pytest.importorskip("huey", reason="extra 'hospital'")
browsers = pytest.importorskip("playwright.sync_api", reason="PyPI's playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    pytest.skip("no chromium: apt-get install chromium", allow_module_level=True)

from toy_service import film  # noqa: E402

from plainfilm.serve.access import make_token  # noqa: E402

SCRIPT = "<img src=x onerror=window.bad=1><script>window.bad=1</script>"
LIT = """() => {
    const canvas = document.querySelector("canvas.heat"), pen = canvas.getContext("2d");
    return pen.getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value);
}"""
GREY = """() => {
    const pen = document.querySelector("#stage canvas").getContext("2d");
    return pen.getImageData(9, 9, 1, 1).data[0];
}"""
PICTURES = os.environ.get("PLAINFILM_PICTURES")
"""A folder for screenshots, where somebody wants to look at them."""


@pytest.fixture
def address(service):
    import uvicorn

    from plainfilm.serve.app import make_app

    service.hosts = ("127.0.0.1",)
    server = uvicorn.Server(uvicorn.Config(make_app(service), port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(timeout=20)


@pytest.fixture
def page():
    with browsers.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        made = browser.new_page(viewport={"width": 1500, "height": 900})
        made.set_default_timeout(60_000)
        yield made
        browser.close()


def ask(address, token, path, content=None, kind="application/json"):
    headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
    request = urllib.request.Request(address + path, content, headers)  # noqa: S310
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return json.loads(answer.read())


def shoot(page, name):
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png")


def test_a_draft_is_read_edited_and_exported(service, address, page):
    token = make_token(service.folder, "dr-grey")
    wrong = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else 0)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    name = SCRIPT.replace("/", "").replace('"', "")
    body = (
        f'--b\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
        + film()
        + b"\r\n--b--\r\n"
    )
    id = ask(address, token, "/v1/studies", body, "multipart/form-data; boundary=b")["id"]
    while ask(address, token, f"/v1/studies/{id}")["state"] != "done":
        time.sleep(0.05)

    page.goto(address)
    page.fill("#token", token)
    page.keyboard.press("Enter")
    page.wait_for_selector(".statement")
    page.wait_for_selector("#stage canvas")
    assert page.inner_text(".badge") == "a badge"
    assert "<img" in page.inner_text("#report h1")  # shown as text
    shoot(page, "room")

    page.click(".passage[data-statements='0']")  # from the text to its statement and its map
    assert "linked" in page.get_attribute(".statement >> nth=0", "class")
    assert page.evaluate(LIT)
    shoot(page, "room-map")
    page.keyboard.press("h")
    assert not page.evaluate(LIT)

    before = page.evaluate(GREY)
    page.keyboard.press("i")
    assert page.evaluate(GREY) == 255 - before
    page.keyboard.press("+")
    assert "scale(1.25)" in page.get_attribute(".turn", "style")
    page.keyboard.press("0")

    page.keyboard.press("x")  # rejects the statement that is lit
    page.fill(".statement.rejected input", SCRIPT)
    page.keyboard.press("Escape")
    page.keyboard.press("e")
    page.fill("#impression", f"Effusion on the right. {SCRIPT}")
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    page.wait_for_selector("#status:text-is('Saved')")
    shoot(page, "room-edited")
    entry = service.store.get(id)
    assert entry.review["verdict"] == "accepted"
    assert entry.review["by"] == "dr-grey"
    assert entry.review["decisions"][0]["reason"] == SCRIPT
    assert entry.review["impression"].startswith("Effusion on the right.")

    page.reload()
    page.wait_for_selector("#impression")
    assert page.input_value("#impression").startswith("Effusion on the right.")
    page.select_option("#form", "json")
    with page.expect_download() as download:
        page.click("#export")
    report = json.loads(Path(download.value.path()).read_text())
    assert report["impression"].startswith("Effusion on the right.")
    pdf = page.pdf(prefer_css_page_size=True)
    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type/Page/") <= 1 or b"/Count 1" in pdf
    if PICTURES:
        (Path(PICTURES) / "room.pdf").write_bytes(pdf)
    assert page.evaluate("window.bad") is None
    assert not wrong, wrong
