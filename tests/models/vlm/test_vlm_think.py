"""A model that thinks and answers: what it learns, and how its answer is understood."""

import torch

from plainfilm.core import Observation
from plainfilm.models.conversation.settings import Context
from plainfilm.models.family import find_family
from plainfilm.text.targets import IGNORED
from plainfilm.training.rewards import answer_of


def test_the_answer_is_learned_and_read(checkpoint, studies, reports):
    family = find_family("vlm")
    built = family.open_checkpoint(
        checkpoint("qwen3_vl"), Context(think=True, image_size=28), 1, torch.float32
    )
    batch = built.processor(studies[:1], reports=reports[:1])
    learned = batch["labels"][0]
    (text,) = built.processor.texts(learned[learned != IGNORED][None])
    assert text.strip().startswith("<think>")
    assert text.strip().endswith("<answer>Cardiomegaly</answer>")
    report, warnings = built.processor.to_report(text)
    assert report.text == reports[0].text
    assert (answer_of(report), warnings) == (frozenset({Observation.CARDIOMEGALY}), ())
    (draft,) = family.draft(built.model, built.processor, studies[:1], max_new_tokens=4)
    assert answer_of(draft.report) is None
    assert draft.probabilities == {}
