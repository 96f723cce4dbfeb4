"""The peers of ``reader_speed.py``: negspacy's or medspacy's pipeline, in its own interpreter.

    VENV/bin/python spacy_peer.py negspacy|medspacy < phrases_and_reports.json

Reads ``{"phrases": [...], "reports": [...]}`` and prints, as JSON, its versions and the best of
three CPU times in ms per report. Both find the phrases and mark the negated ones by their own
English cues: negspacy is spaCy's blank English with its sentencizer, an EntityRuler and negspacy;
medspacy is PyRuSH sentences, the target matcher and ConText (uncertainty and history as well).
"""

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any


def build_negspacy(phrases: list[str]) -> Callable[[str], Any]:
    import spacy
    from negspacy.negation import Negex  # noqa: F401 (registers the component)

    pipeline = spacy.blank("en")
    pipeline.add_pipe("sentencizer")
    ruler = pipeline.add_pipe("entity_ruler", config={"phrase_matcher_attr": "LOWER"})
    ruler.add_patterns([{"label": "FINDING", "pattern": phrase} for phrase in phrases])
    pipeline.add_pipe("negex", config={"ent_types": ["FINDING"]})
    return pipeline


def build_medspacy(phrases: list[str]) -> Callable[[str], Any]:
    import medspacy
    from medspacy.ner import TargetRule

    pipeline = medspacy.load()
    matcher = pipeline.get_pipe("medspacy_target_matcher")
    matcher.add([TargetRule(phrase, "FINDING") for phrase in phrases])
    return pipeline


PIPELINES = {"negspacy": build_negspacy, "medspacy": build_medspacy}


def main() -> None:
    name = sys.argv[1]
    given = json.load(sys.stdin)
    pipeline = PIPELINES[name](given["phrases"])
    times = []
    for _ in range(3):
        start = time.process_time()
        entities = sum(len(pipeline(report).ents) for report in given["reports"])
        times.append(time.process_time() - start)
    result = {
        "name": f"{name} {version(name)} on spaCy {version('spacy')}",
        "ms_per_report": 1000 * min(times) / len(given["reports"]),
        "entities": entities,
    }
    print("\n" + json.dumps(result))


if __name__ == "__main__":
    main()
