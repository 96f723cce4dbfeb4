"""The peer of ``reader_speed.py``: negspacy's pipeline, in its own interpreter.

    VENV/bin/python spacy_peer.py < phrases_and_reports.json

Reads ``{"phrases": [...], "reports": [...]}`` and prints, as JSON, its versions and the best of
three CPU times in ms per report. The pipeline is spaCy's blank English with its sentencizer, an
EntityRuler that knows the phrases, and negspacy with its own English cues.
"""

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import spacy
from negspacy.negation import Negex  # noqa: F401 (registers the component)


def build(phrases: list[str]) -> Callable[[str], Any]:
    pipeline = spacy.blank("en")
    pipeline.add_pipe("sentencizer")
    ruler = pipeline.add_pipe("entity_ruler", config={"phrase_matcher_attr": "LOWER"})
    ruler.add_patterns([{"label": "FINDING", "pattern": phrase} for phrase in phrases])
    pipeline.add_pipe("negex", config={"ent_types": ["FINDING"]})
    return pipeline


def main() -> None:
    given = json.load(sys.stdin)
    pipeline = build(given["phrases"])
    times = []
    for _ in range(3):
        start = time.process_time()
        entities = sum(len(pipeline(report).ents) for report in given["reports"])
        times.append(time.process_time() - start)
    result = {
        "name": f"negspacy {version('negspacy')} on spaCy {version('spacy')}",
        "ms_per_report": 1000 * min(times) / len(given["reports"]),
        "entities": entities,
    }
    print("\n" + json.dumps(result))


if __name__ == "__main__":
    main()
