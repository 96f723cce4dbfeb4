"""The reader's time per report, beside negspacy with the same vocabulary, and its growth in length.

    python benchmarks/reader_speed.py --reports NLMCXR_reports.tgz [--peer VENV/bin/python]

Best of three runs over the same reports, in CPU time of one process (wall clock would measure the
machine's other work). The peer, negspacy, knows every phrase that the reader's rules know, and runs
in an environment of its own (``python -m venv VENV && VENV/bin/pip install spacy negspacy``).
The growth is measured on text of 10 kB to 10 MB: reports end to end, one word
without spaces, nested parentheses, one endless sentence, and nothing but negations.
"""

import argparse
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from reader_iu import read_archive

from plainfilm.text import read
from plainfilm.text.reader.lexicon import load_lexicon
from plainfilm.text.reader.phrases import _END, Trie

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)


def phrases(trie: Trie, words: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield every phrase that names a finding."""
    for word, node in trie.items():
        if word != _END:
            yield from phrases(node, (*words, word))
        elif "rules" in node:
            yield " ".join(words)


def best_of_three(work: Callable[[], object]) -> float:
    times = []
    for _ in range(3):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def filled(unit: str, size: int) -> str:
    return (unit * (size // len(unit) + 1))[:size]


def long_texts(reports: list[str]) -> dict[str, Callable[[int], str]]:
    return {
        "reports end to end": lambda size: filled("\n".join(reports) + "\n", size),
        "one word, no spaces": lambda size: filled("opacity", size),
        "nested parentheses": lambda size: filled("(", size // 2) + filled(")", size // 2),
        "one endless sentence": lambda size: filled("no effusion or left opacity, ", size),
        "only negations": lambda size: filled("no ", size),
    }


def run_peer(python: Path, reports: list[str]) -> dict:
    given = {"phrases": sorted(phrases(load_lexicon().terms)), "reports": reports}
    peer = Path(__file__).with_name("spacy_peer.py")
    done = subprocess.run(  # noqa: S603 (the user's own interpreter)
        [python, peer], input=json.dumps(given), stdout=subprocess.PIPE, text=True, check=True
    )
    return {**json.loads(done.stdout.splitlines()[-1]), "phrases": len(given["phrases"])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reports", type=Path, required=True, help="NLMCXR_reports.tgz")
    parser.add_argument("--reserved", type=Path, help="file of reserved study ids")
    parser.add_argument("--peer", type=Path, help="interpreter with spacy and negspacy")
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="characters, default 10 MB")
    given = parser.parse_args()
    reserved = given.reserved or given.reports.with_name("reserved.txt")
    ids = set(reserved.read_text(encoding="utf-8").split())
    reports = [one.text for one in read_archive(given.reports) if one.id not in ids]
    read(reports[0])  # the rules are compiled on first use
    ours = best_of_three(lambda: [read(text) for text in reports])
    print(f"{len(reports)} reports, {sum(map(len, reports)) / len(reports):.0f} characters each")
    print(f"plainfilm  {1000 * ours / len(reports):.3f} ms per report")
    if given.peer:
        peer = run_peer(given.peer, reports)
        print(
            f"{peer['name']}  {peer['ms_per_report']:.3f} ms per report "
            f"({peer['entities']} entities of {peer['phrases']} phrases)"
        )
    for name, make in long_texts(reports).items():
        for size in (size for size in SIZES if size <= given.largest):
            text = make(size)
            start = time.process_time()
            read(text)
            seconds = time.process_time() - start
            each = 1e9 * seconds / size
            print(f"{name}, {size:,} characters: {seconds:.3f} s, {each:.0f} ns each")


if __name__ == "__main__":
    main()
