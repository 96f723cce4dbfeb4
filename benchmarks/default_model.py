"""Write docs/results/plainfilm-small.md from an evaluation of the shipped model.

    plainfilm train recipes/radscribe/plainfilm-small.yaml -o RUN
    plainfilm evaluate RUN RUN/data -o RUN/scores
    python benchmarks/default_model.py RUN

It only lays out what `evaluate` measured: the scores of the model and of the two template rows, F1
and the rates of errors by observation, and twenty reports, drawn with a fixed seed, beside their
truth.
"""

import json
import random
import sys
from pathlib import Path

from plainfilm.core import OBSERVATIONS, Score
from plainfilm.data import Dataset
from plainfilm.metrics import score

SEED = 2026
SHOWN = 20
RATES = ("hallucination-rate-14", "omission-rate-14")
GOAL = 0.05
"""What each rate should stay below."""
OUT = Path(__file__).parents[1] / "docs" / "results" / "plainfilm-small.md"

Rows = dict[str, dict[str, Score]]


def main(run: Path) -> None:
    lines = (run / "scores" / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    studies = [json.loads(line) for line in lines]
    names = [name for name in studies[0] if name not in ("study_id", "reference")]
    stored = json.loads((run / "scores" / "scores.json").read_text(encoding="utf-8"))
    rows = {
        row: {metric: Score.from_dict(value) for metric, value in scores.items()}
        for row, scores in stored.items()
    }
    references = {study["study_id"]: study["reference"] for study in studies}
    levels = ["finding-f1", "finding-f1-side", "finding-f1-place", "finding-f1-severity"]
    added = [*levels, "weighted-f1-14", *RATES]
    for name in names:
        said = {study["study_id"]: study[name] for study in studies}
        rows[name] |= score(references, said, added, intervals=True, split="test")
    card = Dataset(run / "data").card
    text = "\n".join(
        [
            "# plainfilm-small on held-out simulated studies",
            "",
            f"{len(studies)} studies of the test split that the recipe makes (patients apart from "
            f"the {card.studies['train']} that it trains on; data fingerprint "
            f"`{card.fingerprint[:16]}`).",
            "**Simulated films: no claim about real ones may rest on these numbers.** Made by",
            "",
            "```",
            "plainfilm train recipes/radscribe/plainfilm-small.yaml -o RUN",
            "plainfilm evaluate RUN RUN/data -o RUN/scores",
            "python benchmarks/default_model.py RUN",
            "```",
            "",
            "## Scores",
            "",
            "95 % bootstrap intervals in brackets.",
            "",
            *table(rows),
            "",
            "## F1 by observation",
            "",
            *by_observation(rows, references),
            "",
            "An observation with no positive in reference and prediction is undefined.",
            "",
            "## What is invented, what is left out",
            "",
            "Hallucinated: of the studies without it, the share whose draft states it. Omitted: of "
            "the studies with it, the share whose draft does not (docs/metrics/error-rates.md).",
            "",
            *error_rates(rows, names[0]),
            "",
            "## Twenty reports beside their truth",
            "",
            f"Drawn with `random.Random({SEED}).sample`.",
            "",
            *twenty(studies, names[0]),
            "",
            "## Signatures",
            "",
            "```",
            *(str(value.signature) for value in rows[names[0]].values()),
            "```",
            "",
        ]
    )
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(text, encoding="utf-8")
    print(f"wrote {OUT}")


def number(value: float) -> str:
    return "undefined" if value != value else f"{value:.3f}"


def table(rows: Rows) -> list[str]:
    lines = ["| metric | " + " | ".join(rows) + " |", "|---|" + "---|" * len(rows)]
    for metric in next(iter(rows.values())):
        cells = []
        for scores in rows.values():
            value = scores[metric]
            interval = value.interval
            shown = f" [{number(interval[0])}, {number(interval[1])}]" if interval else ""
            cells.append(number(value.value) + shown)
        lines.append(f"| `{metric}` | " + " | ".join(cells) + " |")
    return lines


def by_observation(rows: Rows, references: dict[str, str]) -> list[str]:
    from plainfilm.core import UncertaintyPolicy, binarize
    from plainfilm.text import labels

    truth = [binarize(labels(text), UncertaintyPolicy.POSITIVE) for text in references.values()]
    lines = ["| observation | in the truth | " + " | ".join(rows) + " |"]
    lines.append("|---|---|" + "---|" * len(rows))
    for index, observation in enumerate(OBSERVATIONS):
        cells = [
            number(scores["micro-f1-14"].parts.get(str(observation), float("nan")))
            for scores in rows.values()
        ]
        count = sum(row[index] for row in truth)
        lines.append(f"| {observation} | {count} | " + " | ".join(cells) + " |")
    return lines


def error_rates(rows: Rows, model: str) -> list[str]:
    """Return both rates by observation, bold below the goal, beside the nearest report's."""
    nearest = list(rows)[-1]
    columns = [(row, rate) for row in (model, nearest) for rate in RATES]
    words = dict(zip(RATES, ("hallucinated", "omitted"), strict=True))
    heads = [f"{words[rate]}, {row}" for row, rate in columns]
    lines = ["| observation | " + " | ".join(heads) + " |", "|---|" + "---|" * len(columns)]
    for name in (*map(str, OBSERVATIONS), "mean"):
        cells = []
        for row, rate in columns:
            score = rows[row][rate]
            value = score.value if name == "mean" else score.parts.get(name, float("nan"))
            shown = number(value)
            cells.append(f"**{shown}**" if value < GOAL else shown)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def twenty(studies: list[dict[str, str]], model: str) -> list[str]:
    lines = ["| study | drafted | truth |", "|---|---|---|"]
    drawn = random.Random(SEED).sample(studies, SHOWN)  # noqa: S311
    for study in drawn:
        drafted, truth = (study[key].replace("\n", "<br>") for key in (model, "reference"))
        lines.append(f"| {study['study_id']} | {drafted} | {truth} |")
    return lines


if __name__ == "__main__":
    main(Path(sys.argv[1]))
