"""A collection of MIMIC-CXR's size, prepared and opened: time and memory.

    python benchmarks/data_scale.py 227835 /tmp/scale
    python benchmarks/data_scale.py 20000 /tmp/scale-20k --size 64

Makes a tree in MIMIC-CXR-JPG's layout, with tiny films and reports of its own (*simulated*, no
patient), and prepares it by the public function: by reference (the default), or re-encoded with
``--size``, in one go or in shards that are merged. Then it opens the dataset in a fresh process,
selects the training split, reads rows in random order, and with them films. Memory is the highest
resident set of the process (of the largest worker besides); CPU time is of all processes, so that
it holds on a machine that has other work.
"""

import argparse
import gzip
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import PIL.Image

from plainfilm.core import OBSERVATIONS

STUDIES, FILMS, PATIENTS = 227_835, 377_110, 65_379
"""MIMIC-CXR's."""
SIDE = 64
WORDS = (
    "The heart is normal in size.",
    "The lungs are clear.",
    "There is no pleural effusion or pneumothorax.",
    "A small left pleural effusion is unchanged.",
    "Bibasilar atelectasis is mild.",
    "An endotracheal tube ends 4 cm above the carina.",
    "No acute osseous abnormality.",
    "Mild pulmonary edema has improved since the prior study.",
)
REPORT = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  ___ year old patient with cough

 TECHNIQUE:  Chest PA and lateral

 COMPARISON:  ___

 FINDINGS:

 {findings}

 IMPRESSION:

 {impression}
"""


def base_picture() -> np.ndarray:
    """Return a drawn chest, uint8 (SIDE, SIDE)."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    lungs = ((x - 0.3) / 0.14) ** 2 + ((y - 0.45) / 0.32) ** 2 < 1
    lungs |= ((x - 0.7) / 0.14) ** 2 + ((y - 0.45) / 0.32) ** 2 < 1
    film = 150.0 - 90 * lungs + 10 * np.sin(y * 40) * lungs
    film[:4], film[:, :3], film[:, -3:] = 8, 8, 8
    return film.clip(0, 255).astype(np.uint8)


def studies(count: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield patient, study, number of films, and place among the patient's."""
    random = np.random.default_rng(0)
    patients = max(1, round(count * PATIENTS / STUDIES))
    owners = np.sort(random.integers(0, patients, count))
    films = 1 + random.binomial(3, (FILMS / STUDIES - 1) / 3, count)
    seen, order = -1, 0
    for number, (owner, several) in enumerate(zip(owners.tolist(), films.tolist(), strict=True)):
        order = order + 1 if owner == seen else 0
        seen = owner
        yield 10_000_000 + owner * 150, 50_000_000 + number, several, order


def make_films(task: tuple[Path, list[tuple[int, int, int, int]]]) -> int:
    """Write the films and reports of some studies."""
    root, some = task
    base = base_picture()
    made = 0
    for subject, study, several, _ in some:
        folder = root / f"files/p{str(subject)[:2]}/p{subject}/s{study}"
        folder.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng(study)
        chosen = random.choice(len(WORDS), 4, replace=False)
        findings = "\n ".join(WORDS[place] for place in chosen)
        text = REPORT.format(findings=findings, impression=WORDS[chosen[0]])
        folder.with_suffix(".txt").write_text(text)
        for number in range(several):
            film = base.copy()
            bits = np.unpackbits(np.frombuffer(f"{study}{number}".encode(), np.uint8))
            film[40:60, 20:44].flat[: bits.size * 3 : 3] = 60 + 120 * bits  # each film another
            PIL.Image.fromarray(film).save(folder / f"{study:08x}-{number}.jpg", quality=92)
            made += 1
    return made


def make_tree(root: Path, count: int) -> int:
    """Make the collection in ``root``; return the number of films."""
    root.mkdir(parents=True)
    every = list(studies(count))
    names = sorted(map(str, OBSERVATIONS))
    with (
        gzip.open(root / "mimic-cxr-2.0.0-metadata.csv.gz", "wt", compresslevel=1) as metadata,
        gzip.open(root / "mimic-cxr-2.0.0-split.csv.gz", "wt", compresslevel=1) as split,
        gzip.open(root / "mimic-cxr-2.0.0-chexpert.csv.gz", "wt", compresslevel=1) as labels,
    ):
        metadata.write(
            "dicom_id,subject_id,study_id,ViewPosition,Rows,Columns,StudyDate,StudyTime\n"
        )
        split.write("dicom_id,study_id,subject_id,split\n")
        labels.write(",".join(["subject_id", "study_id", *names]) + "\n")
        for subject, study, several, order in every:
            part = ("train",) * 8 + ("validate", "test")
            date = f"21{order % 90 + 10}0{order % 9 + 1}11"
            for number in range(several):
                view = ("PA", "LATERAL", "AP")[number % 3]
                dicom = f"{study:08x}-{number}"
                metadata.write(
                    f"{dicom},{subject},{study},{view},{SIDE},{SIDE},{date},{order}00.5\n"
                )
                split.write(f"{dicom},{study},{subject},{part[subject // 150 % 10]}\n")
            values = ["1.0" if (study + at) % 9 == 0 else "" for at in range(len(names))]
            labels.write(",".join([str(subject), str(study), *values]) + "\n")
    chunks = [(root, every[at : at + 500]) for at in range(0, count, 500)]
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        return sum(pool.imap_unordered(make_films, chunks))


def memory() -> str:
    """Return the highest resident set of this process and of its largest child, in MiB."""
    own, child = (
        resource.getrusage(who).ru_maxrss / 1024
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return f"{own:.0f} MiB, largest worker {child:.0f} MiB"


def timed(what: str, work: Callable[[], object]) -> object:
    """Do some work and print how long it took."""
    start, before = time.perf_counter(), os.times()
    result = work()
    spent = sum(os.times()[:4]) - sum(before[:4])
    print(f"{what}: {time.perf_counter() - start:.1f} s ({spent:.1f} s of CPU)", flush=True)
    return result


def prepare(root: Path, out: Path, size: int | None, shard: str | None) -> None:
    """Prepare, in this process."""
    from plainfilm.data.sources.collection import Options
    from plainfilm.data.sources.mimic_cxr import prepare_mimic_cxr

    options = Options(size=size or 512, link=size is None, shard=shard, progress=False)
    dataset = prepare_mimic_cxr(root, out, options=options)
    print(f"  {len(dataset.rows)} studies; {memory()}", flush=True)


def open_and_read(out: Path) -> None:
    """Open, select, and read in random order, in this process."""
    from plainfilm.data import Dataset

    dataset = timed("open", lambda: Dataset(out))
    assert isinstance(dataset, Dataset)
    print(f"  {len(dataset.rows)} studies; {memory()}")
    rows = timed("training split", lambda: dataset.split("train"))
    order = np.random.default_rng(0).permutation(len(rows))[:5000].tolist()  # type: ignore[arg-type]
    some = timed("5,000 rows in random order", lambda: [rows[at] for at in order])  # type: ignore[index]
    timed("1,000 films of them, read and decoded",
          lambda: [dataset.image(row) for row in some[:1000]])  # type: ignore[index]  # fmt: skip
    timed("every row once", lambda: sum(1 for _ in dataset.rows))
    print(f"  {memory()}")


def repeat(out: Path, copies: Path, times: int) -> None:
    """Write the rows of a linked dataset ``times`` over, with other ids, as one larger dataset."""
    from dataclasses import replace

    from plainfilm.data import Dataset
    from plainfilm.data.dataset import CARD, ManifestWriter, files_of

    dataset = Dataset(out)
    copies.mkdir()
    writer = ManifestWriter(copies)
    for number in range(times):
        for row in dataset.rows:
            prior = row.prior_study_id and f"{row.prior_study_id}-{number}"
            copy = replace(row, study_id=f"{row.study_id}-{number}", prior_study_id=prior,
                           patient_id=f"{row.patient_id}-{number}",
                           images=tuple(f"{number}/{name}" for name in row.images))  # fmt: skip
            writer.add(copy, dict.fromkeys(files_of(copy), "00"))
    writer.close()
    (copies / CARD).write_bytes((out / CARD).read_bytes())


def open_alone(copies: Path) -> None:
    """Open a dataset and start an epoch, in this process."""
    from plainfilm.data import Dataset

    dataset = timed("open", lambda: Dataset(copies))
    assert isinstance(dataset, Dataset)
    print(f"  {len(dataset.rows)} studies; {memory()}")
    rows = timed("training split", lambda: dataset.split("train"))

    def first_rows() -> list[object]:
        order = np.random.default_rng(0).permutation(len(rows))  # type: ignore[arg-type]
        return [rows[at] for at in order[:256].tolist()]  # type: ignore[index]

    timed("shuffle it and make 256 rows", first_rows)
    timed("every row once", lambda: sum(1 for _ in dataset.rows))
    print(f"  {memory()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("studies", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument(
        "--times", type=int, default=1, help="open the rows so many times over, too"
    )
    parser.add_argument("--step")
    given = parser.parse_args()
    root, out = given.folder / "tree", given.folder / f"out-{given.size or 'link'}-{given.shards}"
    if given.step:
        step, _, shard = given.step.partition(" ")
        if step == "prepare":
            prepare(
                root, out if not shard else Path(f"{out}-{shard[0]}"), given.size, shard or None
            )
        elif step == "larger":
            open_alone(given.folder / "copies")
        else:
            open_and_read(out)
        return
    if not root.exists():
        print(f"{timed('make the tree', lambda: make_tree(root, given.studies))} films")

    def fresh(step: str) -> None:
        size = ["--size", str(given.size)] if given.size else []
        command = [sys.executable, __file__, str(given.studies), str(given.folder), *size,
                   "--shards", str(given.shards), "--step", step]  # fmt: skip
        timed(step, lambda: subprocess.run(command, check=True))  # noqa: S603 - this very script

    if given.shards == 1:
        fresh("prepare")
    else:
        from plainfilm.data.merge import merge

        names = [f"{number}/{given.shards}" for number in range(1, given.shards + 1)]
        for name in names:
            fresh(f"prepare {name}")
        timed(
            "merge",
            lambda: merge(out, [Path(f"{out}-{name[0]}") for name in names], progress=False),
        )
        print(f"  {memory()}")
    fresh("open")
    if given.times > 1:
        timed("repeat the rows", lambda: repeat(out, given.folder / "copies", given.times))
        fresh("larger")
    size = sum(path.stat().st_size for path in out.iterdir() if path.is_file())
    card = json.loads((out / "card.json").read_bytes())
    print(f"{size / 2**20:.0f} MiB beside the films; {card['studies']}; {card['skipped']}")


if __name__ == "__main__":
    main()
