"""Find how PTBTokenizer 3.4.1 treats each character outside ASCII, and hold ours against it.

    python benchmarks/ptb_characters.py

Needs Java and ``pycocoevalcap``. Each character of the Basic Multilingual Plane is given to both
tokenizers in six surroundings; characters that differ in any are listed. The lists in
``src/plainfilm/metrics/ptb_characters.txt`` were made from the Java program's answers.
"""

import re
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from plainfilm.metrics.tokenizer import PUNCTUATION, tokenize

SURROUNDINGS = ("a {} b", "a{}b", "a{}", "{}b", "1{}2", "a{}{}b")
SENTINEL = "zqs{}zq"  # opens each line, so that characters that break lines shift nothing


def java_tokens(texts: Sequence[str]) -> list[list[str]]:
    """Return the tokens of each text as pycocoevalcap makes them."""
    (package,) = find_spec("pycocoevalcap").submodule_search_locations  # type: ignore[union-attr]
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="\n", suffix=".txt") as file:
        file.writelines(f"{SENTINEL.format(i)} {text}\n" for i, text in enumerate(texts))
        file.flush()
        done = subprocess.run(  # noqa: S603
            ["java", "-cp", "stanford-corenlp-3.4.1.jar",  # noqa: S607
             "edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase", file.name],
            cwd=Path(package) / "tokenizer", capture_output=True, check=True,
        )  # fmt: skip
    pieces = re.split(SENTINEL.format(r"(\d+)"), done.stdout.decode())
    found = dict(zip(map(int, pieces[1::2]), pieces[2::2], strict=True))
    return [
        [
            token
            for token in re.split(r"[ \n]", found.get(i, ""))
            if token and token not in PUNCTUATION
        ]
        for i in range(len(texts))
    ]


def main() -> None:
    characters = [chr(n) for n in range(0x80, 0x10000) if not 0xD800 <= n <= 0xDFFF]
    texts = [form.replace("{}", one) for one in characters for form in SURROUNDINGS]
    differing = defaultdict(list)
    for number, (text, theirs) in enumerate(zip(texts, java_tokens(texts), strict=True)):
        if tokenize(text) != theirs:
            form = SURROUNDINGS[number % len(SURROUNDINGS)]
            differing[form].append(f"U+{ord(characters[number // len(SURROUNDINGS)]):04X}")
    print(f"{len(characters)} characters in {len(SURROUNDINGS)} surroundings")
    for form in SURROUNDINGS:
        print(f"{form!r}: {len(differing[form])} differ: {', '.join(differing[form])}")


if __name__ == "__main__":
    main()
