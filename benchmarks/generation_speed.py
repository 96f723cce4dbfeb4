"""How much faster reports are written 32 at a time than one at a time, both with their cache.

    python benchmarks/generation_speed.py [--model plainfilm-small] [--reports 32] [--repeats 3]

Processor time of one thread, the best of so many runs, both ways in turn: reading (film and
indication through the encoder, which a batch cannot speed up on a processor) and writing
(``generate()`` from there) apart. It also says whether the words are the same, token for token, and
what the cache saves.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch

import plainfilm
from plainfilm.phantom import simulate
from plainfilm.pipeline import ReportModel

Tensors = dict[str, torch.Tensor]


def inputs(model: ReportModel, count: int) -> tuple[list[Tensors], Tensors]:
    """Return the tensors of simulated studies: each on its own, and all in one batch."""
    size = model.processor.image_processor.size
    studies = [simulate(31_000_000, index, size).study for index in range(count)]
    films = [study.images[study.frontal or 0] for study in studies]
    told = [study.indication for study in studies]
    alone = [dict(model.processor([film], [text])) for film, text in zip(films, told, strict=True)]
    return alone, dict(model.processor(films, told))


def best(repeats: int, *ways: Callable[[], object]) -> list[float]:
    """Return the least processor time of each way, in seconds; they take turns."""
    times: list[list[float]] = [[] for _ in ways]
    for _ in range(repeats):
        for way, taken in zip(ways, times, strict=True):
            start = time.process_time()
            way()
            taken.append(time.process_time() - start)
    return [min(taken) for taken in times]


def words(model: Any, outputs: list[torch.Tensor]) -> list[list[int]]:
    """Return the tokens of each report, up to its end."""
    end = model.generation_config.eos_token_id
    rows = [row.tolist()[1:] for output in outputs for row in output]
    return [row[: row.index(end)] if end in row else row for row in rows]


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="plainfilm-small")
    parser.add_argument("--reports", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--no-repeat",
        type=int,
        help="Never write so many tokens twice; the model's own if left out.",
    )
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    opened = plainfilm.load_model(chosen.model, device="cpu")
    model = opened.model
    if chosen.no_repeat is not None:
        model.generation_config.no_repeat_ngram_size = chosen.no_repeat
    alone, batch = inputs(opened, chosen.reports)
    slow, fast = best(
        chosen.repeats,
        lambda: [model.encoder(**one) for one in alone],
        lambda: model.encoder(**batch),
    )
    print(f"{chosen.reports} reports by {opened.card.name}; s of processor time, one thread")
    print(f"reading: one at a time {slow:.2f}, together {fast:.2f} ({slow / fast:.1f}x)")
    read_alone, read = [model.encoder(**one) for one in alone], model.encoder(**batch)
    shipped = model.generation_config
    ways: dict[str, dict[str, Any]] = {
        "greedy": {"num_beams": 1},
        f"{shipped.num_beams} beams": {},
    }
    for name, options in ways.items():

        def one_by_one(options: Any = options) -> list[torch.Tensor]:
            return [model.generate(encoder_outputs=one, **options) for one in read_alone]

        def together(options: Any = options) -> list[torch.Tensor]:
            return [model.generate(encoder_outputs=read, **options)]

        ours, theirs = words(model, one_by_one()), words(model, together())
        same = sum(a == b for a, b in zip(ours, theirs, strict=True))
        slow, fast = best(chosen.repeats, one_by_one, together)
        print(
            f"writing, {name}: one at a time {slow:.2f}, together {fast:.2f} "
            f"({slow / fast:.1f}x); {same} of {len(theirs)} reports the same token for token, "
            f"{min(map(len, theirs))} to {max(map(len, theirs))} tokens"
        )
    options = ways["greedy"]
    cached, uncached = best(
        chosen.repeats,
        lambda: model.generate(encoder_outputs=read, **options),
        lambda: model.generate(encoder_outputs=read, use_cache=False, **options),
    )
    print(f"the cache, greedy, together: without {uncached:.2f} ({uncached / cached:.1f}x)")


if __name__ == "__main__":
    main()
