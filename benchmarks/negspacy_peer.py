"""The peer of ``reader_speed.py``: negspacy's pipeline on one core, in its own interpreter.

Reads ``{"phrases": [...], "reports": [...]}`` from standard input and prints, as JSON, its versions
and the best of three CPU times in ms per report. The pipeline is spaCy's blank English with its
sentencizer, an EntityRuler that knows the phrases, and negspacy with its own English cues.
"""

import json
import sys
import time
from importlib.metadata import version

import spacy
from negspacy.negation import Negex  # noqa: F401 (registers the component)


def build(phrases: list[str]) -> spacy.language.Language:
    pipeline = spacy.blank("en")
    pipeline.add_pipe("sentencizer")
    ruler = pipeline.add_pipe("entity_ruler", config={"phrase_matcher_attr": "LOWER"})
    ruler.add_patterns([{"label": "FINDING", "pattern": phrase} for phrase in phrases])
    pipeline.add_pipe("negex", config={"ent_types": ["FINDING"]})
    return pipeline


def main() -> None:
    given = json.load(sys.stdin)
    start = time.process_time()
    pipeline = build(given["phrases"])
    built = time.process_time() - start
    times = []
    for _ in range(3):
        start = time.process_time()
        entities = sum(len(pipeline(report).ents) for report in given["reports"])
        times.append(time.process_time() - start)
    result = {
        "name": f"negspacy {version('negspacy')} on spaCy {version('spacy')}",
        "ms_per_report": 1000 * min(times) / len(given["reports"]),
        "build_s": built,
        "entities": entities,
    }
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
