"""Truths of simulated studies, kept in a file: what ``phantom_reports.py`` and
``phantom_blind.py`` measure, so that the films are simulated once.

    python benchmarks/phantom_truths.py TRUTHS.jsonl [--studies 4000] [--processes 2]

One study a line: what its film shows, the clinical table, the indication, the institution, and for
one in five of them the same of an earlier study. Films are 32 × 32 pixels, of 8 bits.
One study in six is of a held-out institution, the others are of the seen ones by their shares.
"""

import argparse
import base64
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from plainfilm.core import Finding, Report, View
from plainfilm.phantom import simulate
from plainfilm.phantom.film.case import has_prior
from plainfilm.phantom.reporting.change import Seen
from plainfilm.phantom.reporting.institutions import INSTITUTIONS
from plainfilm.phantom.reporting.mention import Earlier
from plainfilm.phantom.reporting.table import Table
from plainfilm.phantom.reporting.tell import tell
from plainfilm.phantom.simulate import PhantomStudy

SEED, PRIORS, SIZE = 2027, 0.2, 32


@dataclass(frozen=True)
class Truth:
    """What is known of one study, its report left out."""

    index: int
    institution: str
    seen: Seen
    table: Table
    indication: str
    film: npt.NDArray[np.uint8]
    """``(32, 32)``."""
    before: "Truth | None" = None


def tell_all(truth: Truth, again: int = 0) -> tuple[Report, Report | None]:
    """Return the report of a study and, where there is one, that of the earlier study; another
    number ``again`` draws other words."""
    institution = INSTITUTIONS[truth.institution]
    earlier, then = None, None
    if before := truth.before:
        rng = np.random.default_rng([SEED, truth.index, 1, again])
        then = tell(rng, before.seen, before.table, institution)
        earlier = Earlier(before.seen, then.statements)
    rng = np.random.default_rng([SEED, truth.index, 0, again])
    return tell(rng, truth.seen, truth.table, institution, before=earlier), then


def draw(index: int) -> str:
    held_out = index % 6 == 0
    phantom = simulate(
        SEED,
        index,
        SIZE,
        institution="held-out" if held_out else "seen",
        prior=has_prior(SEED, index, PRIORS),
    )
    return json.dumps({"index": index, **_known(phantom)})


def _known(phantom: PhantomStudy) -> dict[str, object]:
    film = np.round(255 * phantom.study.images[0].pixels)
    return {
        "institution": phantom.institution,
        "view": str(phantom.seen.view),
        "measures": phantom.measures,
        "truth": [
            finding.model_dump(mode="json", exclude_defaults=True) for finding in phantom.truth
        ],
        "table": phantom.study.table,
        "indication": phantom.study.indication or "",
        "film": base64.b64encode(film.astype(np.uint8).tobytes()).decode(),
        "before": _known(phantom.prior) if phantom.prior else None,
    }


def load(path: Path) -> Iterator[Truth]:
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        yield _truth(row["index"], row)


def _truth(index: int, row: dict) -> Truth:
    findings = tuple(Finding.model_validate(finding) for finding in row["truth"])
    before = _truth(index, row["before"]) if row["before"] else None
    seen = Seen(findings, row["measures"], View(row["view"]))
    film = np.frombuffer(base64.b64decode(row["film"]), np.uint8).reshape(SIZE, SIZE)
    return Truth(index, row["institution"], seen, row["table"], row["indication"], film, before)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("output", type=Path)
    parser.add_argument("--studies", type=int, default=4000)
    parser.add_argument("--first", type=int, default=0, help="index of the first study")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    first = arguments.first
    with (
        ProcessPoolExecutor(arguments.processes) as pool,
        arguments.output.open("w", encoding="utf-8") as file,
    ):
        for line in pool.map(draw, range(first, first + arguments.studies), chunksize=20):
            print(line, file=file, flush=True)


if __name__ == "__main__":
    main()
