import base64
import hashlib
import io
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from plainfilm.core import (
    Evidence,
    Finding,
    Image,
    InputError,
    Observation,
    Report,
    Score,
    Signature,
    Study,
)
from plainfilm.core.study import Maps
from plainfilm.export import DISCLAIMER, Entry, report_page
from plainfilm.export.plain import report_text, report_values
from plainfilm.grounding.maps import ground

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;{{ 7 * 7 }}"


class Page(HTMLParser):
    """What the tests ask of a page: its elements, and the text that a person reads."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.code: dict[str, str] = {}
        self._inside = ""
        self.feed(source)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in ("style", "script"):
            self.code[self._inside] = data
        else:
            self.text += data

    def having(self, name: str, value: str | None = None) -> list[dict[str, str | None]]:
        return [a for _, a in self.elements if name in a and value in (None, a[name])]

    def tagged(self, tag: str) -> list[dict[str, str | None]]:
        return [a for t, a in self.elements if t == tag]

    def classed(self, name: str) -> list[dict[str, str | None]]:
        return [a for _, a in self.elements if name in (a.get("class") or "").split()]


def page(*entries: Entry, **options: object) -> Page:
    return Page(report_page(entries, **{"title": "A title", **options}))


def picture(uri: str | None) -> Picture.Image:
    return Picture.open(io.BytesIO(base64.b64decode((uri or "").partition(",")[2])))


@pytest.fixture
def entry(study: Study, report: Report) -> Entry:
    return Entry(study=study, report=report)


def score(value: float, **options: object) -> Score:
    return Score(
        value=value,
        signature=Signature(metric="micro-f1-14", version="plainfilm-0.1.0", count=20),
        **options,
    )


def test_the_page_says_what_it_is(entry: Entry) -> None:
    shown = page(entry, title="Two films", notes=["A note."])
    for words in (
        DISCLAIMER, "Two films", "A note.", "Simulated film", "film.png", "PA view",
        "2 mm per pixel", "This model was trained on simulated films only.",
        "Drafted by plainfilm-small", "The trachea is midline.", "0.91",
    ):  # fmt: skip
        assert words in shown.text


def test_the_page_names_no_folder(entry: Entry) -> None:
    source = report_page([entry], title="A title")
    assert "secret folder" not in source


def test_the_page_says_first_what_the_model_does_not_know(entry: Entry) -> None:
    report = entry.report.model_copy(
        update={"badges": ("outside its domain",), "images_read": (0,), "hangs_on_indication": (2,)}
    )
    film = entry.study.images[0].model_copy(update={"source": "second.png"})
    study = entry.study.model_copy(update={"images": (*entry.study.images, film)})
    shown = page(Entry(study=study, report=report), entry)
    assert shown.text.index("outside its domain") < shown.text.rindex("A title")
    assert shown.text.count("outside its domain") == 3  # the page, its index card, the study
    assert "Mr Nobody coughs" in shown.text
    assert shown.text.count("Not read by the model") == 1
    assert shown.text.count("only with this indication") == 1


def test_the_page_loads_nothing(entry: Entry) -> None:
    shown = page(entry)
    links = [a[name] for name in ("src", "href") for a in shown.having(name)]
    assert links
    assert all(link.startswith(("data:image/", "#")) for link in links)
    assert not shown.tagged("link")
    assert "url(" not in shown.code["style"]
    assert "@import" not in shown.code["style"]


def test_the_policy_admits_only_the_pages_own_code(entry: Entry) -> None:
    shown = page(entry)
    (meta,) = shown.having("http-equiv", "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in meta["content"].split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for tag in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(shown.code[tag].encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{digest}'"
    assert not shown.having("style")  # the policy would refuse it
    assert not [name for _, a in shown.elements for name in a if name.startswith("on")]


def test_hostile_text_stays_text(study: Study) -> None:
    finding = Finding(
        observation=Observation.OTHER, detail=HOSTILE, location=HOSTILE, sentence=HOSTILE
    )
    image = Image.model_validate(
        {**dict(study.images[0]), "source": HOSTILE.replace("/", ""), "warnings": (HOSTILE,)}
    )
    report = Report(
        findings=HOSTILE,
        impression=HOSTILE,
        statements=(finding,),
        evidence=(Evidence(observation="Other", heatmap=((1.0,),), method=HOSTILE),),
        warnings=(HOSTILE + "!",),
        model=HOSTILE,
    )
    entry = Entry(
        study=Study(id=HOSTILE, images=(image,)),
        report=report,
        reference=report,
        notes=[HOSTILE],
        scores={HOSTILE: score(0.5)},
    )
    table = {HOSTILE: {HOSTILE: score(0.5, parts={HOSTILE: 0.5})}}
    shown = page(entry, entry, title=HOSTILE, notes=[HOSTILE], scores=table)
    assert len(shown.tagged("script")) == 1
    assert not [a for a in shown.tagged("img") if not a["src"].startswith("data:image/")]
    assert not shown.having("onerror")
    assert " ".join(HOSTILE.split()) in shown.text
    assert "49" not in shown.text


def test_ids_are_unique_and_every_heatmap_exists(entry: Entry) -> None:
    shown = page(entry, entry)
    ids = [a["id"] for a in shown.having("id")]
    assert len(ids) == len(set(ids))
    wanted = {h for a in shown.having("data-heats") for h in (a["data-heats"] or "").split()}
    assert wanted == {a["id"] for a in shown.classed("heat")}


def test_a_sentence_and_its_statement_share_a_key_and_a_heatmap(entry: Entry) -> None:
    shown = page(entry)
    sentences = {a["data-keys"]: a for a in shown.classed("sentence")}
    rows = {a["data-keys"]: a for a in shown.tagged("button")}
    assert set(sentences) < set(rows)
    effusion = sentences["s1d0"]
    assert effusion["data-heats"] == rows["s1d0"]["data-heats"] != ""
    assert effusion["data-looked"] == "Pleural Effusion (cross-attention)"
    assert effusion["tabindex"] == "0"
    assert effusion["role"] == "button"
    assert sentences["s1d1"]["data-looked"] == "Pneumothorax: no map"


def test_a_statement_made_twice_is_one_row(study: Study) -> None:
    edema = Finding(observation=Observation.EDEMA, sentence="Edema.")
    report = Report(findings="Edema.", statements=(edema, edema))
    (row,) = page(Entry(study=study, report=report)).tagged("button")
    assert row["data-keys"] == "s1d0 s1d1"


def test_a_sentence_of_two_statements_shows_the_greater_weight_of_both(study: Study) -> None:
    statements = tuple(
        Finding(
            observation=observation,
            sentence="Edema and effusion.",
            evidence=(Evidence(observation=observation, heatmap=heatmap),),
        )
        for observation, heatmap in (("Edema", ((1.0, 0.0),)), ("Pleural Effusion", ((0.0, 1.0),)))
    )
    report = Report(findings="Edema and effusion.", statements=statements)
    shown = page(Entry(study=study, report=report))
    (sentence,) = shown.classed("sentence")
    (heat,) = shown.having("id", sentence["data-heats"])
    opacity = np.asarray(picture(heat["src"]).convert("RGBA"))[..., 3]
    assert opacity[:, 0].min() > 100
    assert opacity[:, -1].min() > 100


def test_the_classifiers_other_observations_are_listed(entry: Entry) -> None:
    shown = page(entry)
    assert "Looked for, not mentioned" in shown.text
    assert "Edema" in shown.text


def test_film_and_heatmap_have_one_shape_and_stay_upright(entry: Entry) -> None:
    shown = page(entry)
    (ray,), heat = shown.classed("ray"), shown.classed("heat")[0]
    film = picture(ray["src"])
    assert film.size == (48, 64)
    np.testing.assert_allclose(
        np.asarray(film, dtype=float) / 255, entry.study.images[0].pixels, atol=0.03
    )
    opacity = np.asarray(picture(heat["src"]).convert("RGBA"))[..., 3]
    assert opacity.shape == (96, 72)
    peak = np.unravel_index(opacity.argmax(), opacity.shape)
    assert peak[0] > 48  # the weights' greatest is at the bottom left
    assert peak[1] < 36


def test_a_large_film_is_scaled_down_to_1024(report: Report) -> None:
    image = Image(pixels=np.zeros((1500, 3000), dtype=np.float32))
    (ray,) = page(Entry(study=Study(images=(image,)), report=Report())).classed("ray")
    assert picture(ray["src"]).size == (1024, 512)


@pytest.mark.parametrize(
    ("view", "letters", "caption"),
    [
        ("PA", ["letter known", "letter known"], "PA view"),
        ("AP", ["letter known", "letter known"], "AP view"),
        ("unknown", ["letter assumed", "letter assumed"], "sides shown as on a frontal film"),
        ("lateral", [], "Lateral view"),
    ],
)
def test_letters_name_the_sides_of_a_frontal_film(
    view: str, letters: list[str], caption: str
) -> None:
    image = Image(pixels=np.zeros((8, 8), dtype=np.float32), view=view)
    source = report_page([Entry(study=Study(images=(image,)), report=Report())], title="A title")
    shown = Page(source)
    assert [a["class"] for a in shown.classed("letter")] == letters
    assert caption in shown.text
    assert re.findall(r"letter[^>]*patient's (right|left)\">(.)<", source) == (
        [("right", "R"), ("left", "L")] if letters else []
    )


def test_a_real_film_is_not_called_simulated(study: Study) -> None:
    image = Image(pixels=study.images[0].pixels)
    assert "Simulated" not in page(Entry(study=Study(images=(image,)), report=Report())).text


def test_a_truth_is_held_against_the_draft(entry: Entry) -> None:
    truth = Report(
        findings="Small left effusion. Rib fracture.",
        statements=(
            Finding(observation="Pleural Effusion", side="left", sentence="Small left effusion."),
            Finding(observation="Fracture", sentence="Rib fracture."),
        ),
    )
    shown = page(Entry(study=entry.study, report=entry.report, reference=truth))
    assert "Report drafted" in shown.text
    assert "Truth" in shown.text
    assert "hallucinated 1 differs 1" in shown.text
    assert "omitted 1 differs 1" in shown.text
    assert "differs truth: left" in shown.text
    assert "differs draft: right" in shown.text
    assert "sentence present omitted" in [a.get("class") for a in shown.classed("sentence")]


def test_a_truth_that_nobody_read_is_not_compared(entry: Entry) -> None:
    unread = Report(findings="Rib fracture.")
    shown = page(Entry(study=entry.study, report=entry.report, reference=unread))
    assert "statements were not read" in shown.text
    assert not [a for a in shown.classed("sentence") if "hallucinated" in (a["class"] or "")]


def test_scores_stand_with_their_signatures(entry: Entry) -> None:
    scores = {
        "plainfilm-small": {
            "micro-f1-14": score(0.81234, interval=(0.7, 0.9), parts={"Edema": 0.5}),
        },
        "most common report": {
            "micro-f1-14": score(math.nan, undefined=1),
            "bleu-4": score(0.1),
        },
    }
    shown = page(entry, scores=scores)
    assert "0.812 [0.700, 0.900]" in shown.text
    assert "undefined" in shown.text
    assert "micro-f1-14|version:plainfilm-0.1.0|count:20" in shown.text
    assert "micro-f1-14, part by part" in shown.text
    assert "bleu-4, part by part" not in shown.text


def test_several_studies_have_an_index(entry: Entry) -> None:
    assert not page(entry).tagged("nav")
    shown = page(entry, entry)
    assert [a["href"] for a in shown.tagged("a")] == ["#study-1", "#study-2"]
    assert {a["id"] for a in shown.tagged("article")} == {"study-1", "study-2"}
    assert "Pleural Effusion, possible Pneumonia" in shown.text


def test_sixteen_studies_stay_under_four_megabytes(report: Report) -> None:
    noise = np.random.default_rng(0)
    y, x = np.mgrid[:1024, :1024] / 1024
    smooth = 0.5 + 0.4 * np.sin(9 * x) * np.cos(7 * y)
    pixels = np.clip(smooth + noise.normal(0, 0.01, smooth.shape), 0, 1).astype(np.float32)
    entry = Entry(study=Study(images=(Image(pixels=pixels),)), report=report)
    assert len(report_page([entry] * 16, title="A title")) < 4_000_000


def test_no_study_is_refused() -> None:
    with pytest.raises(InputError, match="a page needs at least one study, got none"):
        report_page([], title="A title")


def test_evidence_on_an_image_that_is_not_there_is_refused(study: Study) -> None:
    report = Report(evidence=(Evidence(observation="Edema", image=1),))
    with pytest.raises(InputError, match="Edema points to image 1, but the study has 1"):
        report_page([Entry(study=study, report=report)], title="A title")


def test_statements_stand_beside_what_maps_say_of_them(study: Study, report: Report) -> None:
    weights = np.zeros((3, 8, 8), np.float32)
    weights[0, 5:7, 1:3] = weights[2, 1, 6] = 1.0
    maps = Maps(classes=("Effusion", "Pneumothorax", "Nodule"), values=weights, source="truth")
    grounded = ground(report, maps, shape=study.images[0].shape)
    page = report_page([Entry(study=study, report=grounded)], title="Maps")
    assert "<b>supported</b> Effusion on the right" in page
    assert "<b>supported</b> the map of Pneumothorax shows nothing" in page
    assert "Possibly missed" in page
    layers = dict(re.findall(r'data-layer="(\w+)"> (\w+)</label>', page))
    assert sorted(layers.values()) == ["Effusion", "Nodule"]
    assert all(f'class="heat" id="{layer}"' in page for layer in layers)
    values = report_values(study, grounded)
    assert [one["grounding"]["verdict"] for one in values["statements"]] == [
        "supported", "supported", "not checkable",
    ]  # fmt: skip
    assert values["possibly_missed"][0]["map_class"] == "Nodule"
    assert "possibly missed: Nodule on the left" in report_text(study, grounded)
    jsonschema = pytest.importorskip("jsonschema", reason="the dev extra brings it")
    schema = Path(__file__).parents[2] / "docs" / "report.schema.json"
    jsonschema.validate(json.loads(json.dumps(values)), json.loads(schema.read_text("utf-8")))
