"""The models that ship: small, safe, carded, and better than a template."""

import json
from pathlib import Path

import pytest

import plainfilm
from plainfilm.core import Observation
from plainfilm.data.sources.phantom import prepare_phantom
from plainfilm.evaluation.evaluate import MOST_COMMON, NEAREST, evaluate
from plainfilm.pipeline import SHIPPED

ROOT = Path(__file__).parents[1]
FOLDERS = sorted(path.parent for path in SHIPPED.glob("*/config.json"))
TRAINED_BY = {"plainfilm-segmenter": "benchmarks/phantom_segmenter.py"}
"""What trains a model that drafts no report; the others have a recipe."""


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_the_default_model_ships() -> None:
    assert "plainfilm-small" in [folder.name for folder in FOLDERS]
    assert size(SHIPPED) <= 40_000_000


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_small_safe_and_carded(folder: Path) -> None:
    assert size(folder) <= 20_000_000
    suffixes = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert suffixes <= {".safetensors", ".json", ".md"}
    card = (folder / "README.md").read_text(encoding="utf-8")
    for heading in ("Data", "Recipe", "Scores", "Limits", "Licence"):
        assert f"## {heading}" in card
    trained_by = TRAINED_BY.get(folder.name, f"recipes/radscribe/{folder.name}.yaml")
    assert (ROOT / trained_by).exists()
    assert trained_by in card
    facts = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    assert facts["name"] == folder.name
    assert facts["domain"] == "simulated"


def test_the_default_model_sees(tmp_path: Path) -> None:
    """On films of a series that it never saw it is far ahead of both template rows."""
    dataset = prepare_phantom(420, tmp_path / "films", seed=31_000_000, size=192, progress=False)
    model = plainfilm.load_model("plainfilm-small")
    result = evaluate(model, dataset, metrics=["micro-f1-14"], progress=False)
    ours, common, nearest = (
        result.scores[row]["micro-f1-14"].value for row in (model.card.name, MOST_COMMON, NEAREST)
    )
    assert ours > max(common, nearest) + 0.2
    edema = result.scores[model.card.name]["micro-f1-14"].parts[str(Observation.EDEMA)]
    assert edema > 0.8
