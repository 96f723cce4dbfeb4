"""Each kind of checkpoint is asked, trained, drafted, saved: tiny ones of transformers' classes."""

import re

import pytest
import torch
from conftest_vlm import KINDS, film

from plainfilm.core import InputError, Report, Study, View
from plainfilm.models.family import whole_loss
from plainfilm.models.vlm.family import family
from plainfilm.models.vlm.settings import VlmSettings, VlmStage
from plainfilm.text.targets import IGNORED

STAGE = VlmStage()
EACH_KIND = pytest.mark.parametrize("kind", KINDS)


def build(checkpoint, kind, views=2, **more):
    values = {"max_report_tokens": 16, **more}
    if kind == "paligemma":
        values["chat_template"] = "plain"
    settings = VlmSettings(family="vlm", checkpoint=checkpoint(kind), **values)
    return family.build(settings, stages=(), views=views, training=None, seed=0)


def train(built, batch, steps=6, rate=3e-3):
    """Return the losses of a few steps of AdamW."""
    weights = [weight for weight in built.model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, rate)
    built.model.train()
    losses = []
    for _ in range(steps):
        loss = whole_loss(family.losses(built.model, batch, STAGE))
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    built.model.eval()
    return losses


@EACH_KIND
def test_a_checkpoint_learns_drafts_and_comes_back(kind, checkpoint, studies, reports, tmp_path):
    built = build(checkpoint, kind)
    batch = built.processor(studies, reports=reports)
    losses = train(built, batch)
    assert losses[-1] < losses[0] - 0.3

    drafts = family.draft(built.model, built.processor, studies)
    assert [draft.images for draft in drafts] == [(0, 1), (0,), (0,)]
    texts = [draft.report for draft in drafts]
    uncached = family.draft(built.model, built.processor, studies, use_cache=False)
    assert [draft.report for draft in uncached] == texts
    alone = [family.draft(built.model, built.processor, [study])[0].report for study in studies]
    assert alone == texts

    family.save(tmp_path / "model", built)
    again = family.load(tmp_path / "model")
    again.model.eval()
    assert [d.report for d in family.draft(again.model, again.processor, studies)] == texts
    with torch.no_grad():
        before, after = (family.losses(one.model, batch, STAGE)["report"] for one in (built, again))
    assert torch.equal(before.total, after.total)


@EACH_KIND
def test_labels_are_the_answer_after_the_very_prompt_that_drafting_gives(
    kind, checkpoint, studies, reports
):
    processor = build(checkpoint, kind, max_report_tokens=200).processor
    learned, asked = processor(studies, reports=reports), processor(studies)
    for row, report in enumerate(reports):
        prompt = asked["input_ids"][row][asked["attention_mask"][row].bool()].tolist()
        whole = learned["input_ids"][row][learned["attention_mask"][row].bool()].tolist()
        labels = learned["labels"][row]
        answer = labels[labels != IGNORED].tolist()
        assert whole == prompt + answer
        assert answer[-1] in processor.stops
        said = processor.decode(torch.tensor([answer]))[0][0]
        assert said == report
    assert family.counts(learned, STAGE)["report"] == (learned["labels"] != IGNORED).sum()


@EACH_KIND
def test_every_weight_belongs_to_a_part(kind, checkpoint):
    model = build(checkpoint, kind).model
    patterns = family.parts(model)
    found = {}
    for name, _ in model.named_parameters():
        ends = {part: m.end() for part, p in patterns.items() if (m := re.match(p, name))}
        assert ends, name
        found.setdefault(max(ends, key=ends.__getitem__), []).append(name)
    assert set(found) == {"vision", "projector", "language"}


def test_the_loss_of_pieces_sums_to_that_of_the_batch(checkpoint, studies, reports):
    built = build(checkpoint, "llava")
    built.model.eval()
    with torch.no_grad():
        whole = family.losses(built.model, built.processor(studies, reports=reports), STAGE)
        pieces = [
            family.losses(built.model, built.processor([study], reports=[report]), STAGE)
            for study, report in zip(studies, reports, strict=True)
        ]
    assert whole["report"].items == sum(piece["report"].items for piece in pieces)
    total = sum(piece["report"].total for piece in pieces)
    assert whole["report"].total.item() == pytest.approx(total.item(), rel=1e-5)


def test_long_reports_are_cut_and_do_not_learn_to_end_there(checkpoint, studies, reports):
    processor = build(checkpoint, "llava", max_report_tokens=8).processor
    labels = processor(studies[:1], reports=reports[:1])["labels"][0]
    answer = labels[labels != IGNORED]
    assert len(answer) == 8
    assert answer[-1] not in processor.stops


def test_the_request_says_what_the_study_holds(checkpoint, studies):
    processor = build(checkpoint, "qwen2_5_vl", system="Be exact.", prior=True).processor
    ids = processor(studies)["input_ids"]
    one, two, three = processor.tokenizer.batch_decode(ids)
    assert "<|im_start|>system\nBe exact.<|im_end|>" in one
    assert "Indication: cough" in one
    assert "Clinical values" not in one
    assert "| temperature | 38.5 | °C |" in two
    assert "| SpO2 | not measured | % |" in two
    assert "Report of the earlier film: Clear lungs." in three
    assert one.count("<|vision_start|>") == 2
    assert three.count("<|vision_start|>") == 2  # its own film and the prior one
    assert family.reads(processor) == {"prior"}


def test_films_stand_where_the_request_places_them(checkpoint, studies):
    request = "Now {frontal}, and {lateral}\nbefore: {prior_frontal}\nReport."
    processor = build(checkpoint, "qwen2_5_vl", request=request, prior=True).processor
    one, _, three = processor.tokenizer.batch_decode(processor(studies)["input_ids"])
    film_text = "<|vision_start|><|image_pad|><|vision_end|>"
    assert f"user\nNow {film_text}, and {film_text}\nReport." in one
    # Without a lateral film the line is left out, but never the film that it would have shown.
    assert f"user\n{film_text}before: {film_text}\nReport." in three


def test_a_study_cannot_utter_control_words(checkpoint, reports):
    study = Study(
        images=(film(1),), indication="<image> </s> cough", table={"sex <image>": "F"}
    )  # fmt: skip
    built = build(checkpoint, "llava")
    batch = built.processor([study], reports=[Report(findings="Clear <image>.</s>")])
    image, stop = built.model.config.image_token_id, built.processor.tokenizer.eos_token_id
    assert (batch["input_ids"] == image).sum() == 4
    assert (batch["labels"] == image).sum() == 0
    assert (batch["labels"] == stop).sum() == 1
    family.losses(built.model, batch, STAGE)


def test_an_answer_never_holds_an_image_token(checkpoint, studies):
    built = build(checkpoint, "llava")
    image = built.model.config.image_token_id
    with torch.no_grad():
        built.model.lm_head.weight.zero_()
        built.model.lm_head.weight[image] = built.model.model.language_model.norm.weight * 9
    batch = built.processor(studies)
    tokens = built.model.generate(**batch)[:, batch["input_ids"].shape[1] :]
    assert (tokens != image).all()


def test_films_are_padded_to_squares_of_the_wanted_size(checkpoint):
    processor = build(checkpoint, "llava", image_size=56).processor
    assert family.film_size(processor) == 56
    assert processor._picture(film(1, (40, 20))).size == (56, 56)
    kept = build(checkpoint, "llava", image_size=56, square=False).processor
    assert kept._picture(film(1, (400, 200))).size == (28, 56)
    assert family.film_size(kept) is None
    assert build(checkpoint, "llava").processor._picture(film(1, (40, 20))).size == (40, 40)


def test_a_study_without_a_frontal_film_is_refused(checkpoint):
    processor = build(checkpoint, "llava").processor
    with pytest.raises(InputError, match="no frontal film"):
        processor([Study(id="x", images=(film(1, view=View.LATERAL),))])


@pytest.mark.parametrize(
    ("values", "answer", "findings", "impression"),
    [
        ({}, "Findings: A. Impression: B.", "A.", "B."),
        ({"sections": "report"}, "**FINDINGS:**\nA.\n\n**IMPRESSION:**\nB.", "A.", "B."),
        ({"sections": "findings"}, " A. ", "A.", ""),
        ({"sections": "impression", "drop": "<think>.*?</think>"}, "<think>x</think>B.", "", "B."),
        ({"sections": "findings", "keep": r"\\boxed\{(.*)\}"}, r"so: \boxed{A.}", "A.", ""),
    ],
)  # fmt: skip
def test_answers_become_sections(checkpoint, values, answer, findings, impression):
    processor = build(checkpoint, "llava", **values).processor
    report, warnings = processor.to_report(answer)
    assert (report.findings, report.impression, warnings) == (findings, impression, ())


def test_an_answer_without_its_expected_form_is_shown_whole_and_says_so(checkpoint):
    processor = build(checkpoint, "llava", sections="findings", keep=r"\[(.*)\]").processor
    report, warnings = processor.to_report("A, and then")
    assert report.findings == "A, and then"
    assert "cut off" in warnings[0]
