"""BLEU, ROUGE-L and CIDEr-D beside ``pycocoevalcap`` 1.2, in one run: speed and agreement.

    python benchmarks/lexical_speed.py [--pairs 3858] [--reports NLMCXR_reports.tgz]

Processor time throughout, so that other work on the machine does not decide: both sides score the
same tokens in the same process, best of three runs each; of the tokenizers, theirs is another
program whose time is its own, and ours starts with an empty memory. Without ``--reports``
(Open-i's archive) the reports are drawn from a few hundred invented sentences with the length and
repetition of real ones.
"""

import argparse
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer
from reader_iu import read_archive

from plainfilm.metrics import lexical, tokenizer
from plainfilm.metrics.pairs import Pairs

METRICS = {
    **{f"bleu-{n}": (lexical.bleu, {"order": n}) for n in (1, 2, 3, 4)},
    "rouge-l": (lexical.rouge_l, {}),
    "cider-d": (lexical.cider_d, {}),
}


def invent_reports(count: int, random_: random.Random) -> list[str]:
    words = [f"word{i}" for i in range(1500)]
    weights = [1 / (i + 1) for i in range(1500)]
    sentences = [
        " ".join(random_.choices(words, weights, k=random_.randint(4, 12))) for _ in range(400)
    ]
    return [". ".join(random_.choices(sentences, k=random_.randint(3, 8))) for _ in range(count)]


def processor_time() -> float:
    """Return the seconds that this process and its ended children have worked."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def best_of_three(work: Callable[[], object]) -> float:
    times = []
    for _ in range(3):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=3858)
    parser.add_argument("--reports", type=Path)
    arguments = parser.parse_args()
    random_ = random.Random(0)  # noqa: S311
    texts = (
        [report.text for report in read_archive(arguments.reports, coded=False)]
        if arguments.reports
        else invent_reports(arguments.pairs, random_)
    )
    references = random_.choices(texts, k=arguments.pairs)
    predictions = random_.choices(texts, k=arguments.pairs)

    start = processor_time()
    reference_tokens = [tokenizer.tokenize(text) for text in references]
    prediction_tokens = [tokenizer.tokenize(text) for text in predictions]
    our_tokenizer = processor_time() - start
    start = processor_time()
    theirs_tokens = [
        PTBTokenizer().tokenize({str(i): [{"caption": t}] for i, t in enumerate(side)})
        for side in (references, predictions)
    ]
    their_tokenizer = processor_time() - start
    gts = {i: [" ".join(tokens)] for i, tokens in enumerate(reference_tokens)}
    res = {i: [" ".join(tokens)] for i, tokens in enumerate(prediction_tokens)}
    same_tokens = all(
        ours[i] == theirs[str(i)]
        for ours, theirs in zip((gts, res), theirs_tokens, strict=True)
        for i in ours
    )

    def ours() -> dict[str, float]:
        pairs = Pairs(tuple(map(str, gts)), tuple(references), tuple(predictions))
        pairs.__dict__["tokens"] = (reference_tokens, prediction_tokens)  # given, as to theirs
        measured = {name: work(pairs, **options) for name, (work, options) in METRICS.items()}
        return {name: float(found.value(found.totals)) for name, found in measured.items()}

    def theirs() -> dict[str, float]:
        bleus, _ = Bleu(4).compute_score(gts, res, verbose=0)
        values = [*bleus, Rouge().compute_score(gts, res)[0], Cider().compute_score(gts, res)[0]]
        return dict(zip(METRICS, map(float, values), strict=True))

    our_time, their_time = best_of_three(ours), best_of_three(theirs)
    our_values, their_values = ours(), theirs()
    difference = max(abs(our_values[name] - their_values[name]) for name in METRICS)
    words = sum(map(len, reference_tokens + prediction_tokens)) / (2 * len(references))
    print(f"Python {sys.version.split()[0]}, {len(references)} pairs, {words:.1f} words a report")
    print("values    ", {name: round(value, 4) for name, value in our_values.items()})
    print(f"greatest difference {difference:.1e}; tokens {'equal' if same_tokens else 'DIFFER'}")
    print(f"scorers    plainfilm {our_time:.3f} s, pycocoevalcap {their_time:.3f} s: "
          f"{their_time / our_time:.1f} times as fast")  # fmt: skip
    print(f"tokenizers plainfilm {our_tokenizer:.3f} s, pycocoevalcap {their_tokenizer:.3f} s: "
          f"{their_tokenizer / our_tokenizer:.1f} times as fast")  # fmt: skip
    ours_all, theirs_all = our_time + our_tokenizer, their_time + their_tokenizer
    print(f"together   plainfilm {ours_all:.3f} s, pycocoevalcap {theirs_all:.3f} s: "
          f"{theirs_all / ours_all:.1f} times as fast")  # fmt: skip


if __name__ == "__main__":
    main()
