"""Answers plainfilm about reports from inside another package's environment.

``python worker.py radgraph`` loads the package, prints a line that says what answers
(``{"metric", "version", "checkpoint"}``), and then, for each batch of lines that ends with an empty
one, an answer for each: ``{"value": …}``. It runs where plainfilm is not installed and imports
nothing of it. What the packages themselves print goes to standard error.
"""

import json
import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

Answer = Callable[[list[dict[str, str]]], list[Any]]


def radgraph() -> tuple[str, str, Answer]:
    """Annotate texts: ``{"text"}`` to RadGraph's entities, by number."""
    from radgraph import RadGraph

    checkpoint = "radgraph-xl"
    annotator = RadGraph(model_type=checkpoint)

    def answer(items: list[dict[str, str]]) -> list[Any]:
        annotated = annotator([item["text"] for item in items])
        return [annotated[str(position)]["entities"] for position in range(len(items))]

    return version("radgraph"), checkpoint, answer


def ratescore() -> tuple[str, str, Answer]:
    """Score pairs: ``{"reference", "prediction"}`` to RaTEScore."""
    import torch
    from RaTEScore import RaTEScore

    scorer = RaTEScore(use_gpu=torch.cuda.is_available())

    def answer(items: list[dict[str, str]]) -> list[Any]:
        predictions = [item["prediction"] for item in items]
        references = [item["reference"] for item in items]
        return [float(value) for value in scorer.compute_score(predictions, references)]

    return version("RaTEScore"), "RaTE-NER-Deberta,BioLORD-2023-C,long", answer


def green() -> tuple[str, str, Answer]:
    """Score pairs: ``{"reference", "prediction"}`` to GREEN."""
    import torch
    from green_score import GREEN

    checkpoint = "GREEN-radllama2-7b"
    scorer = GREEN(f"StanfordAIMI/{checkpoint}", cpu=not torch.cuda.is_available())

    def answer(items: list[dict[str, str]]) -> list[Any]:
        found = scorer(
            [item["reference"] for item in items], [item["prediction"] for item in items]
        )
        return [None if value is None else float(value) for value in found[2]]

    return version("green_score"), checkpoint, answer


METRICS = {"radgraph": radgraph, "ratescore": ratescore, "green": green}


def main(metric: str) -> None:
    """Say what answers, then answer batches until the input ends."""
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    package_version, checkpoint, answer = METRICS[metric]()

    def send(**line: Any) -> None:
        output.write(json.dumps(line) + "\n")

    send(metric=metric, version=package_version, checkpoint=checkpoint)
    output.flush()
    batch = []
    for line in sys.stdin.buffer:
        if line.strip():
            batch.append(json.loads(line))
            continue
        for value in answer(batch):
            send(value=value)
        output.flush()
        batch = []


if __name__ == "__main__":
    main(sys.argv[1])
