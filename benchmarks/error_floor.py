"""What the error table calls fully accurate where nothing was looked at, or nothing was said.

    python benchmarks/error_floor.py reports.jsonl

Each of the reports (``benchmarks/iu_reports.py`` writes them) is answered with nothing, with
another report drawn at random, with the most common one, and with what no radiologist would sign:
its own words in another order, its first sentence twelve times, Spanish, words of no language.
"""

import argparse
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from plainfilm.metrics import Scoring, align
from plainfilm.metrics.error_table import ACCURATE, ErrorKind, error_table
from plainfilm.metrics.files import read_reports

SPANISH = "Pulmones claros. No se observa derrame pleural ni neumotórax. Silueta cardíaca normal."
ROWS = (ACCURATE, ErrorKind.UNREADABLE)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("reports", type=Path)
    read = read_reports(parser.parse_args().reports, "references")
    texts = read if isinstance(read, list) else list(read.values())
    chance = random.Random(0)  # noqa: S311
    common = Counter(texts).most_common(1)[0][0]

    def shuffled(text: str) -> str:
        words = text.split()
        return " ".join(chance.sample(words, len(words)))

    def gibberish(text: str) -> str:
        letters = [*text.replace(" ", "").lower()]
        chance.shuffle(letters)
        mixed = "".join(letters)
        return " ".join(mixed[i : i + 6] for i in range(0, len(mixed), 6))

    answers: dict[str, Callable[[str], str]] = {
        "nothing": lambda text: "",
        "another report, at random": lambda text: chance.choice(texts),
        "the most common report": lambda text: common,
        "its own words, in another order": shuffled,
        "its first sentence, twelve times": lambda text: " ".join([text.split(". ")[0] + "."] * 12),
        "a normal report in Spanish": lambda text: SPANISH,
        "its letters, in another order": gibberish,
        "itself": lambda text: text,
    }
    print(f"{len(texts)} reports\n\n| prediction | {' | '.join(map(str, ROWS))} |\n|---|---|---|")
    kept: dict[str, dict[object, object]] = {}
    signature = None
    for name, answer in answers.items():
        pairs = align(texts, list(map(answer, texts)), scoring=Scoring(workers=2))
        pairs.read.update(kept)  # the references are read once
        scores = error_table(pairs).scores(pairs)
        cells = []
        for row in ROWS:
            low, high = scores[row].interval
            cells.append(f"{scores[row].value:.1%} [{low:.1%}, {high:.1%}]".replace("%", " %"))
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
        kept = pairs.read
        signature = scores[ACCURATE].signature
    print(f"\n{signature}")


if __name__ == "__main__":
    main()
