"""METEOR by nltk: another program than METEOR 1.5, with other numbers, under its own name.

nltk matches exact words, stems (Porter) and WordNet synonyms, weighs all words alike, and takes the
parameters of Banerjee and Lavie (2005). It knows no paraphrases and has no corpus
value: the mean over reports is taken. WordNet 3.0 is read from a local folder. Debian's package
lacks ``lexnames``, the names of WordNet's sections, which METEOR does not use: numbers stand in.
"""

import hashlib
import io
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from plainfilm.core import MissingDependencyError, ModelError
from plainfilm.metrics.pairs import Pairs
from plainfilm.metrics.statistics import Statistics, mean_of
from plainfilm.metrics.tokenizer import TOKENIZER, tokenize

FILES = tuple(
    name.format(part)
    for part in ("adj", "adv", "noun", "verb")
    for name in ("index.{}", "data.{}", "{}.exc")
)
"""What is read of WordNet's dictionary."""

_SECTIONS = 45


@dataclass(frozen=True)
class WordNet:
    """WordNet as nltk reads it."""

    name: str
    """For signatures: nltk's version, and a digest of the dictionary."""
    reader: Any


def meteor_nltk(pairs: Pairs) -> Statistics:
    """Return the mean over reports of nltk's METEOR, on COCO-caption's tokens.

    Raises:
        MetricError: no ``wordnet`` was given.
    """
    wordnet: WordNet = pairs.model("wordnet", "meteor-nltk")
    from nltk.translate.meteor_score import single_meteor_score

    def values(both: Sequence[tuple[str, str]]) -> list[float]:
        tokens = [(tokenize(reference), tokenize(prediction)) for reference, prediction in both]
        return [
            single_meteor_score(*sides, wordnet=wordnet.reader) if any(sides) else math.nan
            for sides in tokens
        ]

    return mean_of(
        np.array(pairs.each_pair(values, "nltk's METEOR")),
        tokenizer=TOKENIZER,
        case="lower",
        checkpoint=wordnet.name,
        undefined="left-out",
    )


def load_wordnet(dictionary: str | Path) -> WordNet:
    """Return WordNet from the folder of its dictionary.

    Raises:
        ModelError: a file is missing or damaged.
        MissingDependencyError: nltk is missing.
    """
    folder = Path(dictionary)
    if missing := [name for name in FILES if not (folder / name).is_file()]:
        raise ModelError(
            f"{folder} lacks {', '.join(missing[:3])}: give the folder of WordNet 3.0's "
            "dictionary, nltk_data/corpora/wordnet or /usr/share/wordnet of Debian's wordnet-base"
        )
    try:
        import nltk
        from nltk.corpus import WordNetCorpusReader
        from nltk.corpus.reader.wordnet import WordNetError
    except ImportError as error:
        raise MissingDependencyError.of("nltk", "nltk") from error

    class Reader(WordNetCorpusReader):  # type: ignore[misc]
        """One that does without what METEOR does not ask: names of sections, other versions."""

        def open(self, file: str) -> Any:
            if file == "lexnames" and not (folder / file).is_file():
                return io.StringIO("".join(f"{i} {i} 0\n" for i in range(_SECTIONS)))
            return super().open(file)

        def map_wn(self, version: str = "wordnet") -> None:
            return None

    nltk.data.path.append(str(folder.resolve()))  # nltk opens files in registered folders only
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The multilingual functions")
            reader = Reader(str(folder), None)
    except (WordNetError, ValueError, IndexError, OSError) as error:
        raise ModelError(f"{folder} is no dictionary of WordNet: {error}") from error
    digest = hashlib.sha256()
    for name in FILES:
        digest.update((folder / name).read_bytes())
    return WordNet(f"nltk-{nltk.__version__},wordnet:{digest.hexdigest()[:8]}", reader)
