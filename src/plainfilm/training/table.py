"""A table of a paper from its recipes: every row trained with several seeds, scored, compared.

The folder that is filled:

    plan.json                what was asked for; a folder belongs to one table, size and data set
    runs/ROW/seed-0/         the run folder of each row and seed
    runs/ROW/seed-0/test/    its reports on the test split, and their scores
    references/              the reports of the rows that need no model
    frozen/                  what frozen parts give, for all rows and seeds
    table.json               the results: what the Markdown and the plots are made from

Stopped at any moment, the same command goes on where it stood.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

from safetensors import safe_open

from plainfilm.core import MissingDependencyError, TrainingError, write_atomically
from plainfilm.data import Dataset
from plainfilm.data.examples import target_report, teachable
from plainfilm.evaluation.baselines import INDICATION, TABLE, VISION, VISION_ELSEWHERE
from plainfilm.evaluation.evaluate import OTHER_CONTEXT, evaluate, save_predictions
from plainfilm.evaluation.references import NEAREST, reference_rows
from plainfilm.metrics import score
from plainfilm.metrics.files import RUN_FILE, SCORES_FILE, read_run, read_systems
from plainfilm.metrics.outputs import MOST_COMMON
from plainfilm.metrics.runs import Runs, difference, over_runs
from plainfilm.metrics.significance import holm
from plainfilm.pipeline import load_card, load_model
from plainfilm.training.recipe import Recipe, parse_recipe
from plainfilm.training.run import train
from plainfilm.training.table_plan import Plan, Question

RESULTS = "table.json"
REFERENCES = {
    "most-common": MOST_COMMON,
    "nearest": NEAREST,
    "indication-only": INDICATION,
    "table-only": TABLE,
    "perfect-vision": VISION,
    "perfect-vision-elsewhere": VISION_ELSEWHERE,
}
"""The rows that need no model, and the columns of their predictions."""
CONTEXT = "-other-context"
"""Behind a row's name: the same models, told another patient's context."""
LEVEL = 0.05
"""Of significance, for the answers."""
ROUNDING = 1e-9
"""A difference that is no larger comes from the order of a sum."""


def fill_table(
    plan: Plan,
    dataset: Dataset,
    out: Path,
    *,
    progress: bool = True,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Train and score what ``plan`` asks for in the folder ``out``, and return the results.

    What is there already is not made again. Every test report is drafted once, by the finished
    model.

    Raises:
        TrainingError: ``out`` belongs to another table, size or data set; a run failed; or several
            processes were started.
        DatasetError: the data set lacks a split.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise TrainingError(
            "a table is filled by one process: leave out torchrun, or train a row by itself with it"
        )
    asked = _claim(plan, dataset, out)
    done = out / RESULTS
    if done.is_file():
        stored: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
        if stored["asked"] == asked:
            say(f"{out} is filled already")
            return stored
    metrics, notes = _computable(plan.table.metrics)
    targets = {recipe.data.target for recipe in plan.recipes.values()}
    if len(targets) > 1:
        raise TrainingError(f"the rows write different parts of a report: {', '.join(targets)}")
    target = targets.pop()
    _write_references(dataset, target, out / "references", progress)
    count, total = 0, len(plan.seeds) * len(plan.recipes)
    for seed in plan.seeds:
        for row, recipe in plan.recipes.items():
            count += 1
            say(f"{count} of {total}: {plan.table.rows[row]}, seed {seed}")
            run = run_folder(out, row, seed)
            train(
                _seeded(plan, row, recipe, seed, out), run, frozen=out / "frozen",
                progress=progress, say=say,
            )  # fmt: skip
            if not (run / "test" / SCORES_FILE).is_file():
                evaluate(
                    load_model(run), dataset, metrics=metrics, templates=False,
                    other_context=plan.table.other_context, output=run / "test",
                    progress=progress,
                )  # fmt: skip
    results = {"asked": asked, "notes": notes, **_results(plan, dataset, out, metrics, target)}
    write_atomically(done, json.dumps(results, indent=1, ensure_ascii=False))
    return results


def run_folder(out: Path, row: str, seed: int) -> Path:
    """Return the run folder of a row's seed."""
    return out / "runs" / row / f"seed-{seed}"


def _claim(plan: Plan, dataset: Dataset, out: Path) -> dict[str, Any]:
    """Make ``out`` this table's folder, or refuse; return what is asked of it."""
    plan_file = out / "plan.json"
    claim = {
        "title": plan.table.title,
        "size": plan.size,
        "data_fingerprint": dataset.fingerprint,
    }
    if plan_file.exists():
        theirs = json.loads(plan_file.read_text(encoding="utf-8"))
        differing = [key for key in claim if theirs.get(key) != claim[key]]
        if differing:
            raise TrainingError(
                f"{out} holds another table (they differ in {', '.join(differing)}): "
                "choose another --output, or remove that folder"
            )
    elif out.exists() and any(out.iterdir()):
        raise TrainingError(f"{out} is not empty and holds no table: choose another --output")
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(plan_file, json.dumps(claim, indent=1))
    return claim | {
        "table": plan.table.to_dict(),
        "recipes": {row: recipe.to_dict() for row, recipe in plan.recipes.items()},
        "seeds": list(plan.seeds),
    }


def _computable(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the metrics that this machine can compute, and a note for each that it cannot."""
    found, notes = [], []
    for name in names:
        try:
            score(["No effusion."], ["No effusion."], [name])
            found.append(name)
        except MissingDependencyError as error:
            notes.append(f"{name} is left out: {error}")
    return found, notes


def _write_references(dataset: Dataset, target: str, folder: Path, progress: bool) -> None:
    if (folder / RUN_FILE).is_file():
        return
    rows, training = (teachable(dataset.split(split), target) for split in ("test", "train"))
    if not rows or not training:
        raise TrainingError(
            f"{dataset.path} has {len(training)} training and {len(rows)} test studies; at least "
            "one of each is needed"
        )
    references = {row.study_id: target_report(row, target).text for row in rows}
    texts = reference_rows(dataset, rows, dataset, training, target, progress=progress)
    save_predictions(folder, references, texts)


def _seeded(plan: Plan, row: str, recipe: Recipe, seed: int, out: Path) -> Recipe:
    """Return the recipe with its seed, and with what it starts from of another row."""
    changes: dict[str, Any] = {"seed": seed}
    if row not in plan.starts:
        return recipe.model_copy(update=changes)
    source, key = plan.starts[row], plan.table.sizes[plan.size].start_key
    run = run_folder(out.resolve(), source, seed)
    stage = plan.recipes[source].stages[0].name
    values = recipe.to_dict() | changes
    *parents, last = key.split(".")
    place = values
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = str(run / "stages" / f"1-{stage}" / "model")
    return parse_recipe(values)


def _results(
    plan: Plan, dataset: Dataset, out: Path, metrics: Sequence[str], target: str
) -> dict[str, Any]:
    """Return the numbers of the table, from the reports in ``out``."""
    protocol: dict[str, Any] = {
        "metrics": list(metrics),
        "section": target,
        "split": "test",
        "language": dataset.card.language,
    }
    scored: dict[str, dict[str, Runs]] = {}
    rows: dict[str, dict[str, Any]] = {}
    for row in plan.table.rows:
        if row not in plan.recipes:
            continue
        runs = [run_folder(out, row, seed) for seed in plan.seeds]
        read = [read_run(run / "test", load_card(run).name) for run in runs]
        scored[row] = over_runs(read[0][0], [said for _, said in read], **protocol)
        rows[row] = {"name": plan.table.rows[row], "parameters": _parameters(runs[0])}
        if plan.table.other_context:
            columns = [f"{load_card(run).name}, {OTHER_CONTEXT}" for run in runs]
            confused = [
                read_run(run / "test", column)[1] for run, column in zip(runs, columns, strict=True)
            ]
            scored[row + CONTEXT] = over_runs(read[0][0], confused, **protocol)
            rows[row + CONTEXT] = rows[row] | {"name": f"{plan.table.rows[row]}, {OTHER_CONTEXT}"}
    _, answered = read_systems(out / "references")
    for row, column in REFERENCES.items():
        if column not in answered:
            continue  # it does not apply to this data set
        references, said = read_run(out / "references", column)
        scored[row] = over_runs(references, [said], **protocol)
        rows[row] = {"name": column, "parameters": 0}
    for row, found in scored.items():
        rows[row]["metrics"] = {name: _entry(one) for name, one in found.items()}
    return {
        "studies": {
            split: len(teachable(dataset.split(split), target))
            for split in ("train", "validate", "test")
        },
        "simulated": dataset.card.simulated,
        "rows": rows,
        "answers": [
            answer
            for question in plan.table.questions
            for metric in question.metrics
            if metric in metrics and (answer := _answer(question, metric, scored))
        ],
    }


def _entry(runs: Runs) -> dict[str, Any]:
    return {
        "mean": _defined(runs.mean),
        "deviation": _defined(runs.deviation),
        "values": [_defined(value) for value in runs.values],
        "interval": [_defined(bound) for bound in runs.interval],
        "parts": {name: [_defined(v) for v in values] for name, values in runs.parts.items()},
        "signature": str(runs.signature),
    }


def _answer(
    question: Question, metric: str, scored: Mapping[str, Mapping[str, Runs]]
) -> dict[str, Any]:
    """Return the differences of a question's pairs, p-values corrected over them; {} without any.

    A difference counts as shown where its interval over studies leaves out 0 and, with several
    seeds, Welch's test over them stays below :data:`LEVEL` after Holm's correction.
    """
    pairs = [pair for pair in question.pairs if all(row in scored for row in pair)]
    found = {" ".join(pair): difference(*(scored[row][metric] for row in pair)) for pair in pairs}
    corrected = holm({name: one.p_value for name, one in found.items()})
    answers = []
    for pair, (name, one) in zip(pairs, found.items(), strict=True):
        low, high = one.interval
        p_value = corrected[name]
        clear = (low > 0 or high < 0) and not p_value >= LEVEL  # NaN: a single seed
        clear = clear and abs(one.value) > ROUNDING
        verdict = ("better" if one.value > 0 else "worse") if clear else "not shown"
        answers.append(
            {
                "first": pair[0],
                "second": pair[1],
                "difference": _defined(one.value),
                "interval": [_defined(low), _defined(high)],
                "p_value": _defined(p_value),
                "verdict": verdict,
            }
        )
    return {"question": question.question, "metric": metric, "pairs": answers} if pairs else {}


def _defined(value: float) -> float | None:
    return None if value != value else value


def _parameters(run: Path) -> int:
    """Return how many parameters a run's model has."""
    with safe_open(run / "model" / "model.safetensors", framework="pt") as weights:
        return sum(prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
