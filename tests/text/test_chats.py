"""Chats that are written from findings, and the ways to ask for a report."""

import random

import pytest

from plainfilm.text import read
from plainfilm.text.chats import REQUESTS, phrase, write_chat


def turns(text, seed=0, count=50):
    return dict(write_chat(read(text), random.Random(seed), count))


def test_there_are_enough_requests_and_each_once():
    assert len(REQUESTS) >= 33
    assert len(set(REQUESTS)) == len(REQUESTS)
    assert not any(brace in one for one in REQUESTS for brace in "{}<>")


TEXT = (
    "There is a small left pleural effusion at the base, larger than on the prior study. "
    "Possible right upper lobe pneumonia. No pneumothorax. The heart is moderately enlarged."
)


@pytest.mark.parametrize(("asked", "answer"), [
    ("pneumothorax", "No, there is no pneumothorax."),
    ("pleural effusion changed", "It is worse than before."),
    ("left base", "Small pleural effusion."),
    ("right upper lobe", "Possible pneumonia."),
    ("normal", "There is no pneumothorax."),
])  # fmt: skip
def test_answers_say_what_the_findings_say(asked, answer):
    questions = {}
    for seed in range(12):  # wordings differ
        questions |= turns(TEXT, seed)
    said = [given for question, given in questions.items() if asked in question]
    assert answer in said, questions


def test_presence_side_and_severity():
    questions = {}
    for seed in range(12):
        questions |= turns(TEXT, seed)
    told = set(questions.values())
    assert "Yes, small left base pleural effusion." in told
    assert "It is on the left." in told
    assert "It is small." in told
    assert "It is moderate." in told
    assert "It is possible: right upper lobe pneumonia." in told


def test_both_sides_are_told():
    for text in ("Bilateral pleural effusions.", "A left effusion. A small right effusion."):
        said = {answer for seed in range(9) for answer in turns(text, seed).values()}
        assert "It is on both sides." in said


def test_nothing_is_said_of_nothing():
    assert write_chat([], random.Random(0)) == []
    assert turns("The trachea is midline.") == {}


def test_a_seed_decides_and_turns_are_bounded():
    findings = read(TEXT)
    first, again, other = (write_chat(findings, random.Random(seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert len(first) == 5
    assert phrase(findings[0]) == "small left base pleural effusion"
