"""A paper's table from its recipes: every row trained with several seeds, scored and compared.

The table's folder:

    plan.json                the request; a folder belongs to one table, size and dataset
    runs/ROW/seed-0/         the run folder of each row and seed
    runs/ROW/seed-0/test/    its reports on the test split, and their scores
    runs/ROW/seed-0/NAME/    the same on the test split of another dataset
    references/              the reports of the baseline rows; references-NAME/ likewise
    frozen/                  cached outputs of frozen parts, for all rows and seeds
    table.json               the results, from which the Markdown and the plots are made

If it is interrupted, the same command resumes.
"""

import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from math import prod
from pathlib import Path
from statistics import fmean
from types import MappingProxyType
from typing import Any, NamedTuple

from safetensors import safe_open

from plainfilm.core import MissingDependencyError, TrainingError, write_atomically
from plainfilm.data import Dataset, Row
from plainfilm.data.examples import frontal_index, target_report, teachable
from plainfilm.evaluation.baselines import INDICATION, TABLE, VISION, VISION_ELSEWHERE
from plainfilm.evaluation.conditions import CONDITIONS
from plainfilm.evaluation.evaluate import evaluate, save_predictions
from plainfilm.evaluation.references import NEAREST, reference_rows
from plainfilm.metrics import align, score
from plainfilm.metrics.breakdown import groups_of, score_by
from plainfilm.metrics.files import RUN_FILE, SCORES_FILE, read_run, read_systems
from plainfilm.metrics.outputs import MOST_COMMON
from plainfilm.metrics.registry import resolve
from plainfilm.metrics.runs import Runs, difference, over_runs
from plainfilm.metrics.significance import holm
from plainfilm.pipeline import DOMAIN_FILE, load_card, load_model
from plainfilm.training.best_of import BEST, CONSENSUS, best_of
from plainfilm.training.recipe import Data, Recipe, parse_recipe
from plainfilm.training.run import train
from plainfilm.training.supervised import HISTORY
from plainfilm.training.table_beside import beside, logged
from plainfilm.training.table_plan import AGREED, BEST_OF, Plan, Question
from plainfilm.training.variety import template_sentences, variety

RESULTS = "table.json"
TEST = "test"
"""The test split of the data set that is trained on."""
REFERENCES = {
    "most-common": MOST_COMMON,
    "nearest": NEAREST,
    "indication-only": INDICATION,
    "table-only": TABLE,
    "perfect-vision": VISION,
    "perfect-vision-elsewhere": VISION_ELSEWHERE,
}
"""Baseline rows, and the columns of their predictions."""
LEVEL = 0.05
"""Significance level of the answers."""
ROUNDING = 1e-9
"""Differences up to this size are rounding errors."""


class Scored(NamedTuple):
    """Studies that every row answers."""

    dataset: Dataset
    split: str = "test"
    """Or ``all``: all its studies, since nothing is learned from them."""


def fill_table(
    plan: Plan,
    dataset: Dataset,
    out: Path,
    *,
    elsewhere: Mapping[str, Scored] = MappingProxyType({}),
    progress: bool = True,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Train and score the rows of ``plan`` in the folder ``out``, and return the results.

    Existing results are kept. Test reports are drafted once, by the finished model.

    Args:
        plan: what to train.
        dataset: to train and test on.
        out: the folder to fill.
        elsewhere: name → other studies that every row answers as well: other institutions.
        progress: whether to show progress.
        say: told what is being done.

    Raises:
        TrainingError: ``out`` belongs to another table, size or dataset; a run failed; or several
            processes were started.
        DatasetError: the dataset lacks a split.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise TrainingError(
            "a table is filled by one process: leave out torchrun, or train a row by itself with it"
        )
    taken = {"test", "best-of", "stages", "model", "start", "frozen", "data"}
    if wrong := [name for name in elsewhere if name in taken or not name]:
        raise TrainingError(f"{', '.join(wrong)}: choose another name for a test set elsewhere")
    asked = _claim(plan, dataset, out) | {
        "elsewhere": {name: [one.dataset.fingerprint, one.split] for name, one in elsewhere.items()}
    }
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
    sets = {TEST: Scored(dataset), **elsewhere}
    learned = [row for row in dataset.split("train") if row.institution not in _left_out(plan)]
    learned = teachable(learned, target)
    for name, one in sets.items():
        _write_references(one, dataset, learned, target, out / _references(name), progress)
    templates = [target_report(row, target).text for row in learned]
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
            for name, one in sets.items():
                if not (run / name / SCORES_FILE).is_file():
                    evaluate(
                        load_model(run), one.dataset, split=one.split, metrics=metrics,
                        templates=False, conditions=plan.table.conditions_of(row),
                        output=run / name, progress=progress,
                    )  # fmt: skip
                settings, folder = plan.table.best_of, run / "best-of" / name
                if settings and row in settings.rows and not (folder / RUN_FILE).is_file():
                    model = load_model(run)
                    found = best_of(
                        settings,
                        model,
                        one.dataset,
                        templates,
                        split=one.split,
                        seed=seed,
                        progress=progress,
                    )
                    save_predictions(folder, *found)
    results = {"asked": asked, "notes": notes}
    results |= _results(plan, sets, out, metrics, target, template_sentences(templates))
    write_atomically(done, json.dumps(results, indent=1, ensure_ascii=False))
    return results


def run_folder(out: Path, row: str, seed: int) -> Path:
    """Return the run folder of a row and seed."""
    return out / "runs" / row / f"seed-{seed}"


def _claim(plan: Plan, dataset: Dataset, out: Path) -> dict[str, Any]:
    """Create ``out`` as this table's folder, or refuse another table's; return the request."""
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
    elif out.exists() and any(one.name not in ("runs", "frozen") for one in out.iterdir()):
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


def _references(name: str) -> str:
    return "references" if name == TEST else f"references-{name}"


def _left_out(plan: Plan) -> tuple[str, ...]:
    """Return the institutions that the rows learn nothing from; the start may know them."""
    data: Data = list(plan.recipes.values())[-1].data
    return data.leave_out


def _write_references(
    asked: Scored, source: Dataset, training: list[Row], target: str, folder: Path,
    progress: bool,
) -> None:  # fmt: skip
    if (folder / RUN_FILE).is_file():
        return
    dataset = asked.dataset
    rows = teachable(dataset.split(asked.split), target)
    if not rows or not training:
        raise TrainingError(
            f"{source.path} has {len(training)} training and {dataset.path} {len(rows)} test "
            "studies; at least one of each is needed"
        )
    references = {row.study_id: target_report(row, target).text for row in rows}
    texts = reference_rows(dataset, rows, source, training, target, progress=progress)
    save_predictions(folder, references, texts)


def _seeded(plan: Plan, row: str, recipe: Recipe, seed: int, out: Path) -> Recipe:
    """Return the recipe with its seed, and with the other row's weights that it starts from."""
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
    plan: Plan,
    sets: Mapping[str, Scored],
    out: Path,
    metrics: Sequence[str],
    target: str,
    template: Collection[str],
) -> dict[str, Any]:
    """Return the table's results, from the reports in ``out``."""
    dataset = sets[TEST].dataset
    whole = _scores(plan, sets[TEST], out, TEST, metrics, target, template)
    parts = []
    left_out = _left_out(plan)
    if left_out:
        rows = teachable(dataset.split("test"), target)
        for name, inside in (("institutions learned from", False), ("left out", True)):
            ids = {row.study_id for row in rows if (row.institution in left_out) is inside}
            if not ids:
                continue
            found = _scores(plan, sets[TEST], out, TEST, metrics, target, template, ids)
            parts.append({"name": name, **found})
    for name, one in sets.items():
        if name != TEST:
            found = _scores(plan, one, out, name, metrics, target, template)
            parts.append({"name": name, **found})
    return {
        "studies": {
            split: len(teachable(dataset.split(split), target))
            for split in ("train", "validate", "test")
        },
        "simulated": dataset.card.simulated,
        **whole,
        "parts": parts,
    }


def _answered(
    plan: Plan, out: Path, name: str
) -> dict[str, tuple[str, Mapping[str, str], list[Mapping[str, str]]]]:
    """Return, of every row, its printed name, the references and what each run wrote."""
    found: dict[str, tuple[str, Mapping[str, str], list[Mapping[str, str]]]] = {}
    for row, printed in plan.table.rows.items():
        if row not in plan.recipes:
            continue
        runs = [run_folder(out, row, seed) for seed in plan.seeds]
        cards = [load_card(run).name for run in runs]

        def column(
            folder: str, names: Sequence[str], runs: Sequence[Path] = runs
        ) -> tuple[Mapping[str, str], list[Mapping[str, str]]]:
            read = [read_run(run / folder, one) for run, one in zip(runs, names, strict=True)]
            return read[0][0], [said for _, said in read]

        found[row] = (printed, *column(name, cards))
        for condition in plan.table.conditions_of(row):
            words = CONDITIONS[condition]
            names = [f"{card}, {words}" for card in cards]
            found[f"{row}-{condition}"] = (f"{printed}, {words}", *column(name, names))
        best = plan.table.best_of
        if best and row in best.rows:
            for suffix, which in ((BEST_OF, BEST), (AGREED, CONSENSUS)):
                printed_too = f"{printed}, {best.number} drafts, {which}"
                found[row + suffix] = (printed_too, *column(f"best-of/{name}", [which] * len(runs)))
    folder = out / _references(name)
    _, answered = read_systems(folder)
    for row, written in REFERENCES.items():
        if written in answered:  # else it does not apply to this data set
            references, said = read_run(folder, written)
            found[row] = (written, references, [said])
    return found


def _scores(
    plan: Plan,
    asked: Scored,
    out: Path,
    name: str,
    metrics: Sequence[str],
    target: str,
    template: Collection[str],
    only: Collection[str] | None = None,
) -> dict[str, Any]:
    """Return rows, answers and breakdown on one test split, or on some of its studies."""
    dataset = asked.dataset
    protocol: dict[str, Any] = {
        "metrics": list(metrics),
        "section": target,
        "split": asked.split,
        "language": dataset.card.language,
    }
    studies = {row.study_id: row for row in teachable(dataset.split(asked.split), target)}
    scored: dict[str, dict[str, Runs]] = {}
    rows: dict[str, dict[str, Any]] = {}
    groups: dict[str, dict[str, dict[str, float | None]]] = {}
    texts: dict[str, str] = {}
    for row, (printed, references, runs) in _answered(plan, out, name).items():
        keys = [key for key in references if only is None or key in only]
        texts = {key: references[key] for key in keys}
        written = [{key: said[key] for key in keys} for said in runs]
        scored[row] = over_runs(texts, written, **protocol)
        rows[row] = {"name": printed, "parameters": 0}
        if row in plan.recipes:
            folders = [run_folder(out, row, seed) for seed in plan.seeds]
            rows[row] |= {
                "parameters": _parameters(folders[0]),
                "minutes": fmean(_minutes(folder) for folder in folders),
            }
            if only is None:
                rows[row] |= beside([folder / name for folder in folders])
                rows[row] |= logged(folders)
        rows[row]["metrics"] = {key: _entry(one) for key, one in scored[row].items()}
        earlier = [studies[key].prior_study_id is not None for key in keys]
        pairs = [align(texts, said, language=dataset.card.language) for said in written]
        rows[row]["variety"] = _mean([variety(one, earlier, template) for one in pairs])
        if plan.table.by is not None and only is None:
            values = [_column(studies[key], plan.table.by) for key in keys]
            chosen = resolve(plan.table.by_metrics)
            each = [score_by(one, chosen, values) for one in pairs]
            groups[row] = {
                group: _mean(
                    [{key: one.value for key, one in found[group].items()} for found in each]
                )
                for group in each[0]
            }
    found: dict[str, Any] = {
        "rows": rows,
        "answers": [
            answer
            for question in plan.table.questions
            for metric in question.metrics
            if metric in metrics and (answer := _answer(question, metric, scored))
        ],
    }
    if only is not None or name != TEST:
        found["studies"] = len(texts)
    if groups:
        values = [_column(studies[key], plan.table.by or "") for key in texts]
        counts = {key: len(places) for key, places in groups_of(values, len(values)).items()}
        found["groups"] = {"by": plan.table.by, "studies": counts, "rows": groups}
    return found


def _column(row: Row, by: str) -> Any:
    if by == "prior":
        return "with an earlier study" if row.prior_study_id else "without"
    if by == "view":
        return row.views[frontal_index(row)]
    return row.institution if by == "institution" else row.table.get(by)


def _mean(found: Sequence[Mapping[str, float]]) -> dict[str, float | None]:
    return {name: _defined(fmean(one[name] for one in found)) for name in found[0]}


def _minutes(run: Path) -> float:
    """Return how long a run's stages trained, each since its last start."""
    logs = [
        json.loads(path.read_text(encoding="utf-8")) for path in run.glob(f"stages/*/{HISTORY}")
    ]
    return float(sum(entry.get("train_runtime", 0.0) for log in logs for entry in log)) / 60


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
    """Return the differences of a question's pairs with corrected p-values; {} without pairs.

    A difference counts as shown if its interval over studies excludes 0 and, with several seeds,
    Welch's test over them stays below :data:`LEVEL` after Holm's correction.
    """
    pairs = [pair for pair in question.pairs if all(row in scored for row in pair)]
    found = {
        " ".join(pair): difference(
            *(scored[row][metric] for row in pair), one_sided=question.one_sided
        )
        for pair in pairs
    }
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
    told = {"question": question.question, "metric": metric, "one_sided": question.one_sided}
    return {**told, "pairs": answers} if pairs else {}


def _defined(value: float) -> float | None:
    return None if value != value else value


def _parameters(run: Path) -> int:
    """Return how many parameters a run's model has; beside a base, its adapter."""
    total = 0
    for path in sorted((run / "model").glob("*.safetensors")):
        if path.name != DOMAIN_FILE:
            with safe_open(path, framework="pt") as weights:
                total += sum(prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
    return total
