"""transformers' Auto classes know the models once plainfilm is imported, whichever comes first."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import plainfilm

FOLDER = Path(plainfilm.__file__).parent / "models" / "weights" / "plainfilm-small"
NAMES = (
    "AutoConfig", "AutoProcessor", "AutoImageProcessor", "AutoTokenizer", "AutoModelForSeq2SeqLM",
)  # fmt: skip
OURS = "import plainfilm"
THEIRS = f"from transformers import {', '.join(NAMES)}"
HEAVY = "import sys; assert not {'torch', 'transformers', 'numpy'} & set(sys.modules), 'heavy'"


@pytest.mark.parametrize("lines", [(OURS, HEAVY, THEIRS), (THEIRS, OURS)])
def test_a_model_folder_opens_by_the_auto_classes(lines: tuple[str, ...]) -> None:
    """In a fresh process that has imported no family."""
    opened = [f"{name}.from_pretrained({str(FOLDER)!r})" for name in NAMES]
    code = [*lines, "import json", f"found = [{', '.join(opened)}]",
            "print(json.dumps([type(one).__name__ for one in found]))"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(code)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    config, processor, images, tokenizer, model = json.loads(done.stdout.splitlines()[-1])
    assert (config, processor, images, model) == (
        "RadScribeConfig", "RadScribeProcessor", "FilmImageProcessor",
        "RadScribeForConditionalGeneration",
    )  # fmt: skip
    assert "Token" in tokenizer


def test_transformers_is_one_that_the_tables_are_known_of() -> None:
    """The tables' own names are transformers' inner matter: a new version must be tried."""
    from transformers.models.auto import configuration_auto, processing_auto

    for table in (configuration_auto.CONFIG_MAPPING, processing_auto.PROCESSOR_MAPPING):
        assert type(table._extra_content).__module__ == "plainfilm.auto", version("transformers")
