"""Uploads by many clients while the service is killed: is every accepted study drafted once?

    python benchmarks/serve_load.py --studies 1000 --clients 50

Starts ``plainfilm serve`` on a free port, uploads simulated films, kills the service (SIGKILL) when
a third is accepted, starts it again, and waits. A client repeats a request that broke, under the
same Idempotency-Key. ``--toy`` drafts with a model that writes one sentence.
"""

import argparse
import http.client
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

TOY = """
import sys, time, types
sys.path.insert(0, sys.argv[1])
from toy_service import Model
class Slow(Model):
    model = None
    def report(self, study):
        time.sleep(0.02)
        return super().report(study)
# In place of the pipeline, which takes seconds to import.
sys.modules["plainfilm.pipeline"] = types.ModuleType("plainfilm.pipeline")
sys.modules["plainfilm.pipeline"].load_model = lambda *_, **__: Slow()
import plainfilm.cli.serve
plainfilm.cli.serve.use_threads = lambda *_: None
sys.argv = ["plainfilm", *sys.argv[2:]]
from plainfilm.cli import main
main()
"""
TESTS = Path(__file__).resolve().parents[1] / "tests" / "serve"


class Server:
    """``plainfilm serve`` in a process of its own."""

    def __init__(self, folder: Path, toy: bool) -> None:
        self.folder, self.toy, self.port = folder, toy, 0
        self.token = ""
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        arguments = ["serve", "--folder", str(self.folder), "--port", str(self.port),
                     "--most-waiting", "100000", "--per-minute", "1000000"]  # fmt: skip
        start = [sys.executable, "-m", "plainfilm", *arguments]
        if self.toy:
            start = [sys.executable, "-c", TOY, str(TESTS), *arguments]
        self.process = subprocess.Popen(start, stderr=subprocess.PIPE, text=True)  # noqa: S603
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if found := re.search(r"told this once: (\S+)", line):
                self.token = found[1]
            if found := re.search(r"http://[\d.]+:(\d+)/", line):
                self.port = int(found[1])
                return
        raise SystemExit("the service did not start")

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=60)


def upload(server: Server, key: str, film: bytes) -> tuple[int, str]:
    """Return status and id of one upload."""
    body = (
        b'--b\r\nContent-Disposition: form-data; name="files"; filename="film.png"\r\n\r\n'
        + film + b"\r\n--b--\r\n"
    )  # fmt: skip
    link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    try:
        link.request("POST", "/v1/studies", body, {
            "Authorization": f"Bearer {server.token}", "Idempotency-Key": key,
            "Content-Type": "multipart/form-data; boundary=b",
        })  # fmt: skip
        answer = link.getresponse()
        content = answer.read()
        return answer.status, json.loads(content).get("id", "") if answer.status == 202 else ""
    finally:
        link.close()


def run(studies: int, clients: int, toy: bool) -> dict[str, object]:
    sys.path.insert(0, str(TESTS))
    from toy_service import film

    films = [film(seed) for seed in range(8)]
    with tempfile.TemporaryDirectory() as place:
        server = Server(Path(place), toy)
        server.start()
        accepted: dict[str, str] = {}
        twice: list[str] = []
        seconds: list[float] = []
        repeats = [0]
        keys = [f"study-{number}" for number in range(studies)]
        waiting = list(keys)
        lock = threading.Lock()

        def client() -> None:
            while True:
                with lock:
                    if not waiting:
                        return
                    key = waiting.pop()
                started = time.monotonic()
                while True:
                    try:
                        status, id = upload(server, key, random.choice(films))  # noqa: S311
                    except (OSError, http.client.HTTPException, ValueError):
                        status, id = 0, ""
                    if status == 202:
                        break
                    repeats[0] += 1
                    time.sleep(0.2)
                with lock:
                    seconds.append(time.monotonic() - started)
                    if accepted.setdefault(key, id) != id:
                        twice.append(key)

        began = time.monotonic()
        threads = [threading.Thread(target=client) for _ in range(clients)]
        for thread in threads:
            thread.start()
        while len(accepted) < studies // 3:
            time.sleep(0.01)
        server.kill()
        at_kill = dict(accepted)
        server.start()
        for thread in threads:
            thread.join()
        uploaded = time.monotonic() - began
        database = Path(place) / "studies.db"

        def rows(what: str) -> list[tuple[object, ...]]:
            with sqlite3.connect(database) as connection:
                return connection.execute(what).fetchall()

        while rows("SELECT count(*) FROM studies WHERE state IN ('waiting', 'drafting')")[0][0]:
            time.sleep(0.1)
        took = time.monotonic() - began
        server.stop()
        kept = {id: (state, attempts) for id, state, attempts in rows(
            "SELECT id, state, attempts FROM studies")}  # fmt: skip
        ended = [line["study"] for line in map(json.loads, (Path(place) / "audit.jsonl").open())
                 if line["action"] == "ended"]  # fmt: skip
        seconds.sort()
        return {
            "studies": studies,
            "clients": clients,
            "accepted": len(accepted),
            "accepted_before_kill": len(at_kill),
            "in_store": len(kept),
            "lost": sorted(key for key, id in accepted.items() if id not in kept),
            "twice": twice + sorted({one for one in ended if ended.count(one) > 1}),
            "not_done": sorted(id for id, (state, _) in kept.items() if state != "done"),
            "drafted_again_after_kill": sum(1 for _, tries in kept.values() if tries > 1),
            "requests_repeated": repeats[0],
            "upload_seconds": round(uploaded, 1),
            "all_drafted_seconds": round(took, 1),
            "upload_median_seconds": round(seconds[len(seconds) // 2], 2),
            "upload_p99_seconds": round(seconds[int(len(seconds) * 0.99) - 1], 2),
        }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--toy", action="store_true")
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    found = run(given.studies, given.clients, given.toy)
    print(json.dumps(found, indent=2))
    whole = found["in_store"] == found["accepted"] == found["studies"]
    sys.exit(0 if whole and not (found["lost"] or found["twice"] or found["not_done"]) else 1)
