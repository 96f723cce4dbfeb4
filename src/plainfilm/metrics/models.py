"""Models that metrics use: a registry of names, loaders and descriptions.

None of them ships with plainfilm. The user gives the path of each (``score(…, models={…})``, or
``--model NAME=PATH`` on the command line), and the signature names the checkpoint that was used.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from pydantic import ConfigDict, ValidationError, validate_call

from plainfilm.core import MetricError
from plainfilm.core.word import describe


@dataclass(frozen=True)
class Model:
    """How to load a model that metrics use."""

    loader: str
    """``module:function``, whose first argument is the path."""
    example: str
    """Example of the value of ``--model``."""
    what: str
    """What the model is, and where to get it."""


MODELS: dict[str, Model] = {
    "chexbert": Model(
        "plainfilm.text.chexbert:load_chexbert",
        "chexbert=chexbert.pth,vocabulary=vocab.txt",
        "CheXbert's checkpoint and the vocabulary of bert-base-uncased",
    ),
    "bertscore": Model(
        "plainfilm.metrics.bertscore:load_bertscore",
        "bertscore=distilroberta-base,layer=5",
        "the folder of an encoder, weights as safetensors, and the layer to compare",
    ),
    **{
        name: Model(
            f"plainfilm.metrics.external.bridge:load_{name}",
            f"{name}=FOLDER",
            f"{title} in an environment of its own, which plainfilm metrics install {name} FOLDER "
            "makes",
        )
        for name, title in (
            ("radgraph", "RadGraph"),
            ("ratescore", "RaTEScore"),
            ("green", "GREEN"),
        )
    },
}


def require(models: Mapping[str, Any], name: str, metric: str) -> Any:
    """Return ``models[name]``, which ``metric`` uses.

    Raises:
        MetricError: the model was not given; the message says how to give it.
    """
    if name in models:
        return models[name]
    model = MODELS[name]
    function = model.loader.split(":")[1]
    raise MetricError(
        f"{metric} needs {model.what}: give --model {model.example} "
        f"(in Python: models={{{name!r}: {function}(…)}})"
    )


def check_names(models: Mapping[str, Any]) -> None:
    """Raise MetricError if ``models`` has a name that no metric uses."""
    if unknown := [name for name in models if name not in MODELS]:
        raise MetricError(f"no metric uses a model {unknown[0]!r}: choose from {', '.join(MODELS)}")


def load_models(descriptions: Iterable[str]) -> dict[str, Any]:
    """Return the models described as ``NAME=PATH`` or ``NAME=PATH,OPTION=VALUE,…``, by name.

    Raises:
        MetricError: a description is malformed, or names an unknown model or option.
        ModelError: a file is missing or malformed.
    """
    models = {}
    for description in descriptions:
        parts = [part.partition("=") for part in description.split(",")]
        (name, _, path), *options = ((key.strip(), sign, value) for key, sign, value in parts)
        if not all(sign and value for _, sign, value in parts):
            raise MetricError(
                f"a model is given as NAME=PATH or NAME=PATH,OPTION=VALUE, got {description!r}"
            )
        check_names({name: path})
        if name in models:
            raise MetricError(f"--model names {name} more than once: name each once")
        module, function = MODELS[name].loader.split(":")
        loader = getattr(import_module(module), function)
        checked = validate_call(config=ConfigDict(arbitrary_types_allowed=True))(loader)
        try:
            models[name] = checked(path, **{key: value for key, _, value in options})
        except ValidationError as error:
            raise MetricError(
                f"{description!r} is no model: {describe(error)}; expected {MODELS[name].example}"
            ) from error
    return models
