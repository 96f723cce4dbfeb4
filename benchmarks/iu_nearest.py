"""Reports retrieved without a film, on the split of real reports that the literature scores.

    python benchmarks/iu_nearest.py --reports NLMCXR_reports.tgz --split r2gen_split.json \
        --output docs/results/iu-nearest.md

Each test study is answered with a training report: the one whose indication is most alike (cosine
of TF-IDF vectors, words and pairs of words), one drawn at random (five seeds), or the most common.
No row looks at a film, so what they score is what a model has to beat. The same texts go through
``pycocoevalcap`` 1.2, tokenizer included, in the same run, and the greatest difference is printed.

The references are the texts of the split file (R2Gen's: findings), the indications Open-i's. Only
numbers are written: no report is quoted.
"""

import argparse
import json
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.meteor.meteor import Meteor
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer
from reader_iu import read_sections
from sklearn.feature_extraction.text import TfidfVectorizer

from plainfilm.core import OBSERVATIONS, Score, write_atomically
from plainfilm.metrics import align, score
from plainfilm.metrics.error_table import ROWS, error_table
from plainfilm.metrics.outputs import MOST_COMMON, output_profile, template_answers

LEXICAL = ["bleu-1", "bleu-2", "bleu-3", "bleu-4", "rouge-l", "cider-d", "meteor"]
CLINICAL = [
    "micro-f1-14", "macro-f1-14", "micro-f1-5", "macro-f1-5", "example-f1-14",
    "finding-f1", "finding-f1-side", "finding-f1-place", "finding-f1-severity", "finding-f1-change",
]  # fmt: skip
COMMAND = (
    "python benchmarks/iu_nearest.py --reports NLMCXR_reports.tgz --split r2gen_split.json "
    "--output docs/results/iu-nearest.md"
)
NEAREST = "nearest by indication"
SEEDS = range(5)
AGREE = 1e-9

Texts = dict[str, str]


def read_indications(path: Path) -> Texts:
    """Return study → indication of Open-i's archive."""
    return {id: sections.get("INDICATION", "") for id, sections, _ in read_sections(path)}


def read_split(path: Path) -> tuple[Texts, Texts]:
    """Return the training and the test reports by id; each entry says which it is."""
    entries = [e for part in json.loads(path.read_text(encoding="utf-8")).values() for e in part]
    train, test = (
        {e["id"]: e["report"] for e in entries if e["split"] == name} for name in ("train", "test")
    )
    return train, test


def nearest(train: Texts, test: Texts, indications: Texts) -> Texts:
    """Return for each test study the report of the training study with the nearest indication."""
    known, asked = (
        [indications.get(key.split("_")[0], "") for key in part] for part in (train, test)
    )
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    vectors = vectorizer.fit_transform(known)
    found = (vectorizer.transform(asked) @ vectors.T).argmax(axis=1)
    reports = list(train.values())
    return {key: reports[index] for key, index in zip(test, found.A1, strict=True)}


def drawn(train: Texts, test: Texts, seed: int) -> Texts:
    chance = random.Random(seed)  # noqa: S311
    reports = list(train.values())
    return {key: chance.choice(reports) for key in test}


def by_coco(references: Texts, predictions: Texts) -> dict[str, float]:
    """Return what pycocoevalcap gives, its own tokenizer first."""
    gts, res = (
        PTBTokenizer().tokenize({key: [{"caption": text}] for key, text in side.items()})
        for side in (references, predictions)
    )
    bleus, _ = Bleu(4).compute_score(gts, res, verbose=0)
    others = [made().compute_score(gts, res)[0] for made in (Rouge, Cider, Meteor)]
    return dict(zip(LEXICAL, map(float, [*bleus, *others]), strict=True))


def number(value: float) -> str:
    return "undefined" if value != value else f"{value:.4f}"


def with_interval(found: Score) -> str:
    low, high = found.interval or (found.value, found.value)
    return f"{number(found.value)} [{number(low)}, {number(high)}]"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]


def page(
    rows: Mapping[str, Texts], draws: Sequence[Texts], references: Texts, train: int
) -> tuple[list[str], float]:
    """Return the lines of the page, and the greatest difference from pycocoevalcap."""
    options = {"section": "findings", "split": "test"}
    scores = {
        name: score(references, said, [*LEXICAL, *CLINICAL], intervals=True, **options)
        for name, said in rows.items()
    }
    spread = [score(references, said, [*LEXICAL, *CLINICAL]) for said in draws]
    theirs = {name: by_coco(references, said) for name, said in rows.items()}
    worst = max(
        abs(scores[name][metric].value - theirs[name][metric])
        for name in rows
        for metric in LEXICAL
    )
    pairs = {name: align(references, said) for name, said in rows.items()}
    shares = {name: error_table(one).scores(one, **options) for name, one in pairs.items()}
    head = ["metric", *rows, f"random, mean ± s.d. of {len(draws)} draws"]
    values = [
        [
            f"`{metric}`",
            *(with_interval(found[metric]) for found in scores.values()),
            f"{fmean(v := [one[metric].value for one in spread]):.4f} ± {stdev(v):.4f}",
        ]
        for metric in (*LEXICAL, *CLINICAL)
    ]
    classes = [
        [str(name), *(number(found["macro-f1-14"].parts[str(name)]) for found in scores.values())]
        for name in OBSERVATIONS
    ]
    errors = [
        [row, *(f"{100 * found[row].value:.1f} % [{100 * found[row].interval[0]:.1f}, "
                f"{100 * found[row].interval[1]:.1f}]" for found in shares.values())]
        for row in ROWS
    ]  # fmt: skip
    coco = [
        [f"`{metric}`", *(f"{abs(scores[n][metric].value - theirs[n][metric]):.1e}" for n in rows)]
        for metric in LEXICAL
    ]
    first = scores[NEAREST]
    lines = [
        "# What a report scores that no film was looked at for",
        "",
        f"{len(references)} test studies of R2Gen's split of the Indiana University collection, "
        f"each answered with one of its {train} training reports. Made by",
        "",
        "```",
        COMMAND,
        "```",
        "",
        "**nearest by indication**: the report whose indication is most alike (cosine of TF-IDF); "
        "**random**: a report drawn with `random.Random(0)`, in the last column with seeds 0 to 4; "
        f"**{MOST_COMMON}**: the same for all. A model that does no better has learned to write, "
        "not to see. A third of these studies is kept out of the reader's development; here they "
        "enter sums only.",
        "",
        "## Scores",
        "",
        f"In brackets: {first['bleu-1'].interval_method}.",
        "",
        *table(head, values),
        "",
        *(f"- {name}: {output_profile(one)}" for name, one in pairs.items()),
        "",
        "## Against pycocoevalcap 1.2",
        "",
        "The same texts through its own tokenizer and scorers, in the same run. Greatest "
        f"difference {worst:.1e}.",
        "",
        *table(["metric", *rows], coco),
        "",
        "## F1 by observation",
        "",
        *table(["observation", *rows], classes),
        "",
        "## Errors",
        "",
        "Share of reports, with its interval ([what the rows mean](../metrics/error-table.md)).",
        "",
        *table(["", *rows], errors),
        "",
        "## Signatures",
        "",
        "```",
        *(str(found.signature) for found in first.values()),
        str(shares[NEAREST][ROWS[0]].signature),
        "```",
        "",
    ]
    return lines, worst


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--reports", type=Path, required=True, help="Open-i's archive")
    parser.add_argument("--split", type=Path, required=True, help="R2Gen's annotation of it")
    parser.add_argument("--output", type=Path, help="write the page here")
    arguments = parser.parse_args()
    train, test = read_split(arguments.split)
    draws = [drawn(train, test, seed) for seed in SEEDS]
    common = template_answers(list(train.values()), len(test))[MOST_COMMON]
    rows = {
        NEAREST: nearest(train, test, read_indications(arguments.reports)),
        "random": draws[0],
        MOST_COMMON: dict(zip(test, common, strict=True)),
    }
    lines, worst = page(rows, draws, test, len(train))
    if arguments.output:
        write_atomically(arguments.output, "\n".join(lines))
    else:
        print("\n".join(lines))
    print(f"greatest difference from pycocoevalcap: {worst:.1e}", file=sys.stderr)
    assert worst <= AGREE


if __name__ == "__main__":
    main()
