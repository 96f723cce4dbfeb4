"""Seeded damage to everything that comes from outside: an error of ours, or a result.

The usual suite takes a few hundred steps. ``make fuzz`` goes on for an hour with ever new seeds,
``PLAINFILM_FUZZ_SECONDS=120 pytest tests/fuzz`` for two minutes; ``PLAINFILM_FUZZ_SEED`` begins
elsewhere. A failure names its seed.
"""

import gc
import json
import os
import random
import shutil
import sys
import tarfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from seeds import chest, damaged, damaged_text, films

from plainfilm.core import PlainfilmError
from plainfilm.data import Dataset, load_study
from plainfilm.data.sources.folder import prepare_folder
from plainfilm.data.sources.iu_xray import read_r2gen_split, read_reports
from plainfilm.pipeline import SHIPPED, load_model
from plainfilm.text import read
from plainfilm.training.recipe import load_recipe
from plainfilm.training.table_plan import recipes_folder

SECONDS = float(os.environ.get("PLAINFILM_FUZZ_SECONDS", "0"))
FIRST = int(os.environ.get("PLAINFILM_FUZZ_SEED", "0"))
SHARES = {"films": 0.5, "tables": 0.1, "datasets": 0.1, "recipes": 0.1, "archives": 0.05,
          "models": 0.1, "texts": 0.05}  # fmt: skip
"""Of the seconds, by what is fuzzed."""
MOST_CPU = 60.0  # seconds of this process for one step
MOST_MEMORY = 6 * 2**30


def steps(kind: str, few: int) -> Iterator[tuple[int, random.Random]]:
    """Yield seeds with their random numbers: ``few``, or as many as fit into the kind's seconds."""
    end = time.monotonic() + SECONDS * SHARES[kind]
    number = 0
    while number < few or time.monotonic() < end:
        seed = FIRST + number
        yield seed, random.Random(f"{kind} {seed}")
        number += 1


def survives(seed: int, step: Callable[[], object]) -> object:
    """Return what a step returns, None where it raises an error of ours; all else is a fault."""
    began = time.process_time()
    result = None
    try:
        result = step()
    except PlainfilmError as error:
        if "\n" in str(error):
            pytest.fail(f"seed {seed}: {error!r} has several lines")
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        told = "".join(traceback.format_exception(error)[-4:])
        pytest.fail(f"seed {seed}: {told}")
    took = time.process_time() - began
    assert took < MOST_CPU, f"seed {seed} took {took:.0f} s"
    return result


@pytest.fixture(autouse=True)
def _memory() -> Iterator[None]:
    yield
    gc.collect()
    if sys.platform == "linux":
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        assert used < MOST_MEMORY, f"{used / 2**30:.1f} GiB"


def test_films(tmp_path: Path) -> None:
    bases, truth = films(), chest().ravel()
    names = sorted(bases)
    silent, read_wrong, refused, count = [], 0, 0, 0
    path = tmp_path / "film"
    for seed, chance in steps("films", 20 * len(names)):
        name = names[seed % len(names)]
        path.write_bytes(damaged(bases[name], chance))
        study = survives(seed, lambda: load_study(path))
        count += 1
        if study is None:
            refused += 1
            continue
        image = study.images[0]  # type: ignore[attr-defined]
        right = image.pixels.size == truth.size
        if right and np.corrcoef(image.pixels.ravel(), truth)[0, 1] >= 0.8:
            continue
        read_wrong += 1
        if all(warning.startswith("only ") for warning in image.warnings):
            silent.append((seed, name))
    print(
        f"{count} damaged films: {refused} refused, {count - refused - read_wrong} read right, "
        f"{read_wrong - len(silent)} wrong and said, {len(silent)} wrong without a word"
    )
    assert len(silent) < 0.01 * count, f"wrong without a word: {silent} of {count}"
    assert read_wrong < 0.05 * count


def test_undamaged_films_are_read_without_a_word(tmp_path: Path) -> None:
    for name, content in films().items():
        (tmp_path / "film").write_bytes(content)
        image = load_study(tmp_path / "film").images[0]
        assert [w for w in image.warnings if not w.startswith("only ")] == [], name
        assert np.corrcoef(image.pixels.ravel(), chest().ravel())[0, 1] > 0.99, name


TABLE = (
    "image,patient_id,study_id,view,split,findings,prior_study_id,table.crp_mg_per_l\n"
    "a.png , p , x , PA , train , Clear lungs. , , 3.5\n"
    "b.png , p , y , AP , train , No effusion. , x , \n"
)


@pytest.fixture
def two_films(tmp_path: Path) -> Path:
    for number, name in enumerate("ab"):
        values = np.round(chest(64, 64) * (255 - number)).astype(np.uint8)
        PIL.Image.fromarray(values).save(tmp_path / f"{name}.png")
    return tmp_path


def test_tables(two_films: Path) -> None:
    table, out = two_films / "t.csv", two_films / "out"
    for seed, chance in steps("tables", 60):
        text = damaged_text(TABLE, chance).encode("utf-8", "surrogatepass")
        table.write_bytes(damaged(text, chance) if chance.random() < 0.3 else text)
        survives(seed, lambda: prepare_folder(table, out, progress=False, workers=1))
        for folder in (out, two_films / ".out.part"):
            if seed % 5 or folder == out:  # an unfinished one stays for the next
                shutil.rmtree(folder, ignore_errors=True)


def test_datasets(two_films: Path) -> None:
    (two_films / "t.csv").write_text(TABLE.replace(" ,", ",").replace(", ", ","))
    kept = prepare_folder(two_films / "t.csv", two_films / "kept", progress=False).path
    files = sorted(path.relative_to(kept) for path in kept.rglob("*") if path.is_file())
    for seed, chance in steps("datasets", 60):
        copy = two_films / "copy"
        shutil.copytree(kept, copy)
        changed = copy / files[seed % len(files)]
        content = changed.read_bytes()
        if changed.suffix == ".json" and chance.random() < 0.7:
            changed.write_text(damaged_text(content.decode(), chance), errors="replace")
        else:
            changed.write_bytes(damaged(content, chance, head=len(content)))

        def open_all(copy: Path = copy) -> None:
            dataset = Dataset(copy)
            for row in dataset.rows:
                dataset.study(row)
                dataset.masks(row)

        survives(seed, open_all)
        shutil.rmtree(copy)


def test_recipes(tmp_path: Path) -> None:
    text = (recipes_folder() / "radscribe/tiny.yaml").read_text()
    for seed, chance in steps("recipes", 40):
        (tmp_path / "r.yaml").write_text(damaged_text(text, chance), errors="surrogatepass")
        survives(seed, lambda: load_recipe(tmp_path / "r.yaml"))


XML = (
    '<?xml version="1.0" encoding="utf-8"?><eCitation><uId id="CXR1"/><AbstractText '
    'Label="FINDINGS">Normal heart.</AbstractText><parentImage id="CXR1_IM-1"/></eCitation>'
)


def test_archives(tmp_path: Path) -> None:
    for seed, chance in steps("archives", 60):
        (tmp_path / "1.xml").write_bytes(damaged_text(XML, chance).encode())
        with tarfile.open(tmp_path / "r.tgz", "w:gz") as archive:
            archive.add(tmp_path / "1.xml", "1.xml")
        if chance.random() < 0.6:
            content = (tmp_path / "r.tgz").read_bytes()
            (tmp_path / "r.tgz").write_bytes(damaged(content, chance))
        survives(seed, lambda: read_reports(tmp_path / "r.tgz"))
        split = json.dumps({"train": [{"id": "CXR1_IM-1", "split": "train", "image_path": ["a"]}]})
        (tmp_path / "s.json").write_text(damaged_text(split, chance), errors="replace")
        survives(seed, lambda: read_r2gen_split(tmp_path / "s.json"))


def test_model_folders(tmp_path: Path) -> None:
    kept = SHIPPED / "plainfilm-small"
    files = sorted(path.name for path in kept.iterdir() if path.is_file())
    folder = tmp_path / "model"
    shutil.copytree(kept, folder)
    for seed, chance in steps("models", 12):
        name = files[seed % len(files)]
        content = (kept / name).read_bytes()
        if name.endswith(".json") and len(content) < 10**5 and chance.random() < 0.7:
            content = damaged_text(content.decode(), chance).encode("utf-8", "replace")
        else:
            content = damaged(content, chance)
        (folder / name).write_bytes(content)
        survives(seed, lambda: load_model(folder, device="cpu"))
        (folder / name).write_bytes((kept / name).read_bytes())


PIECES = (
    ".", "!?", "-", " ", "\n", "1. ", "(", "[", '"', "'", ":", "no ", "effusion, ", "left ", "_",
    "FINDINGS: ", "<b>", "&amp;", "\u200b", "é", "A.", "of the ", "1.1 ", "|", "\t",
)  # fmt: skip


def test_texts() -> None:
    read("No effusion.")
    for seed, chance in steps("texts", len(PIECES)):
        pieces = [PIECES[seed % len(PIECES)], *chance.sample(PIECES, seed % 3)]
        text = ("".join(pieces) * 20_000)[:20_000] + "x"
        began = time.process_time()
        survives(seed, lambda text=text: read(text))
        took = time.process_time() - began
        assert took < 20, f"seed {seed}: {took:.0f} s for 20,000 characters of {pieces}"
