"""A second language through writer, phantom, reader, training and scoring: Spanish."""

import json
from pathlib import Path

import pytest
import yaml

import plainfilm
from plainfilm.cli.pages import write_pages
from plainfilm.core import InputError, MetricError
from plainfilm.data import Dataset
from plainfilm.data.sources.phantom import prepare_phantom
from plainfilm.evaluation.evaluate import evaluate
from plainfilm.metrics.files import read_scores
from plainfilm.text import labels, read
from plainfilm.training.recipe import parse_recipe
from plainfilm.training.run import train

TINY = Path(__file__).parents[2] / "recipes" / "radscribe" / "tiny.yaml"


@pytest.fixture(scope="module")
def spanish(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data") / "es"
    return prepare_phantom(50, folder, seed=1, size=48, priors=0.3, language="es", progress=False)


def test_the_same_studies_told_in_another_language(spanish: Dataset, tmp_path: Path) -> None:
    english = prepare_phantom(50, tmp_path / "en", seed=1, size=48, priors=0.3, progress=False)
    assert (english.card.language, spanish.card.language) == ("en", "es")
    assert spanish.fingerprint != english.fingerprint
    for ours, theirs in zip(spanish.rows, english.rows, strict=True):
        assert ours.study_id == theirs.study_id
        told = [{f.statement for f in row.statements or ()} for row in (ours, theirs)]
        assert told[0] == told[1]
        assert labels(f"{ours.findings}\n{ours.impression}", language="es") == labels(
            f"{theirs.findings}\n{theirs.impression}"
        )
        assert (ours.indication is None) == (theirs.indication is None)
        film = [(data.path / row.images[0]).read_bytes() for data, row in
                ((spanish, ours), (english, theirs))]  # fmt: skip
        assert film[0] == film[1]
    around = {text for row in spanish.rows for text in (row.indication, row.technique,
              row.comparison) if text}  # fmt: skip
    assert not any(word in text for text in around for word in (" the ", "view", "film", "pain"))


def test_a_model_learns_drafts_and_is_scored_in_spanish(spanish: Dataset, tmp_path: Path) -> None:
    values = yaml.safe_load(TINY.read_text())
    values["data"] = {"dataset": str(spanish.path)}
    run = tmp_path / "run"
    train(parse_recipe(values), run, progress=False, say=lambda _: None)
    assert json.loads((run / "model" / "card.json").read_text())["language"] == "es"
    model = plainfilm.load_model(run)
    result = evaluate(model, spanish, output=run / "test", limit=4, progress=False)
    for key, report in result.reports.items():
        assert list(report.statements) == read(report.text, language="es"), key
    found = result.scores[model.card.name]["micro-f1-14"]
    assert found.signature.language == "es"
    truth = [result.references, result.references]
    names = ["micro-f1-14", "finding-f1"]
    read_as = {language: plainfilm.score(*truth, names, language=language)
               for language in ("en", "es")}  # fmt: skip
    assert read_as["es"]["finding-f1"].value == 1
    counted = [sum(map(len, map(lambda t, lang=lang: read(t, language=lang), truth[0].values())))
               for lang in ("en", "es")]  # fmt: skip
    assert counted[0] < counted[1] / 4  # an English reader would have seen next to nothing
    differences = found.signature.differences(read_as["en"]["micro-f1-14"].signature)
    assert any(difference.startswith("language: es") for difference in differences)
    assert read_scores(run / "test")[model.card.name]["micro-f1-14"].signature.language == "es"
    write_pages(run / "test")


def test_a_language_that_is_not_known() -> None:
    with pytest.raises(InputError, match="no language 'fr': the phantom reports in en, es"):
        prepare_phantom(10, Path("never"), language="fr", progress=False)
    with pytest.raises(InputError, match="no rules for language 'fr'; there are: en, es"):
        plainfilm.score(["a"], ["a"], ["bleu-1"], language="fr")
    with pytest.raises(MetricError, match="CheXbert reads English, not 'es'"):
        plainfilm.score(["a"], ["a"], ["bleu-1"], language="es", models={"chexbert": object()})
