"""The reader's time per report, beside negspacy with the same vocabulary, and its growth in length.

    python benchmarks/reader_speed.py --reports NLMCXR_reports.tgz [--peer negspacy=VENV/bin/python]

Best of three runs over the same reports, in CPU time of one process (wall clock would measure the
machine's other work). The peers know every phrase that the reader's rules know, and run in
environments of their own (``python -m venv VENV && VENV/bin/pip install spacy negspacy``, another
for ``medspacy``). The growth is measured on text of 10 kB to 10 MB: reports end to end, one word
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
from plainfilm.text.lexicon import load_lexicon
from plainfilm.text.phrases import _END, Trie

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


def run_peer(name: str, python: Path, reports: list[str]) -> dict:
    given = {"phrases": sorted(phrases(load_lexicon().terms)), "reports": reports}
    peer = Path(__file__).with_name("spacy_peer.py")
    done = subprocess.run(  # noqa: S603 (the user's own interpreter)
        [python, peer, name], input=json.dumps(given), stdout=subprocess.PIPE, text=True, check=True
    )
    return {**json.loads(done.stdout.splitlines()[-1]), "phrases": len(given["phrases"])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reports", type=Path, required=True, help="NLMCXR_reports.tgz")
    parser.add_argument("--reserved", type=Path, help="file of reserved study ids")
    parser.add_argument(
        "--peer", action="append", default=[], metavar="NAME=PYTHON", help="negspacy or medspacy"
    )
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="characters, default 10 MB")
    given = parser.parse_args()
    reserved = given.reserved or given.reports.with_name("reserved.txt")
    ids = set(reserved.read_text(encoding="utf-8").split())
    reports = [one.text for one in read_archive(given.reports) if one.id not in ids]
    read(reports[0])  # the rules are compiled on first use
    ours = best_of_three(lambda: [read(text) for text in reports])
    print(f"{len(reports)} reports, {sum(map(len, reports)) / len(reports):.0f} characters each")
    print(f"plainfilm  {1000 * ours / len(reports):.3f} ms per report")
    for peer in given.peer:
        name, _, python = peer.partition("=")
        result = run_peer(name, Path(python), reports)
        print(
            f"{result['name']}  {result['ms_per_report']:.3f} ms per report "
            f"({result['entities']} entities of {result['phrases']} phrases)"
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
