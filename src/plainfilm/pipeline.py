"""One Study in, one Report out: the whole diagram, as code.

    study → its frontal film → tensors → the model's draft → the reader → Report

The report's statements are what the reader finds in the model's own words; its evidence is where
the model's classifier looked; its warnings say what a radiologist must know before reading it.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Self

import torch
import transformers
from transformers import PreTrainedModel, ProcessorMixin

from plainfilm.core import (
    Evidence,
    Finding,
    Image,
    InputError,
    ModelError,
    Observation,
    Provenance,
    Report,
    Status,
    Study,
    View,
    Word,
    errors_as,
)
from plainfilm.core.model_folder import OFFLINE, loading, read_json
from plainfilm.grounding.saliency import check_method, observation_maps, sentence_maps
from plainfilm.models import FAMILIES, load_family
from plainfilm.text import read
from plainfilm.text.targets import sentence_spans
from plainfilm.vision.familiarity import Domain
from plainfilm.vision.preparation import maps_on_film, views_to_read

SHIPPED = Path(__file__).parent / "models" / "weights"
"""Where the models that come with the package lie, a folder each."""

_SURE = 0.75
"""The probability from which the classifier's word against the text's is worth a warning."""

DOMAIN_FILE = "domain.safetensors"
"""In a model folder: how the films look that it was trained on."""


class Card(Word):
    """What a model folder's ``card.json`` says of the model, as far as running it needs."""

    model_config = Word.model_config | {"extra": "ignore"}

    name: str
    domain: Provenance
    """The kind of films it was trained on."""
    target: str
    """The part of the report that it writes: ``findings`` or ``findings+impression``."""
    language: str = "en"
    """That it writes in."""


class ReportModel:
    """A trained model, ready to draft reports; made by :func:`load_model`."""

    def __init__(
        self,
        model: PreTrainedModel,
        processor: ProcessorMixin,
        card: Card,
        domain: Domain | None = None,
    ) -> None:
        self.model = model.eval()
        self.processor = processor
        self.card = card
        self.domain = domain

    @classmethod
    def load(cls, folder: Path, *, device: str | None = None) -> Self:
        """Open a model folder (see :func:`load_model`)."""
        config = _read_json(folder / "config.json")
        family = config.get("model_type")
        if family not in FAMILIES:
            raise ModelError(
                f"{folder} holds a {family!r} model; expected one of {', '.join(FAMILIES)}"
            )
        with errors_as(ModelError, f"cannot read {folder / 'card.json'}", "train the model again"):
            card = Card.model_validate(_read_json(folder / "card.json"))
        _, model_class, processor_class = load_family(family)
        transformers.utils.logging.disable_progress_bar()
        with loading(folder):
            model = model_class.from_pretrained(
                folder, use_safetensors=True, dtype=torch.float32, **OFFLINE
            )
            processor = processor_class.from_pretrained(folder, **OFFLINE)
            films = folder / DOMAIN_FILE
            domain = Domain.load(films) if films.exists() else None
        chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
        return cls(model.to(chosen), processor, card, domain)

    def report(self, study: Study, *, saliency: str = "classifier", **generation: Any) -> Report:
        """Draft the report of one study.

        Args:
            study: with at least one film that is, or may be, a frontal one.
            saliency: how the maps of the evidence are made, one of
                :data:`plainfilm.grounding.saliency.METHODS`.
            generation: passed to ``generate()`` (``num_beams`` and the like).

        Raises:
            InputError: the study has no film that the model can read, or the saliency does not
                apply to this model.
        """
        return next(self.reports([study], saliency=saliency, **generation))

    def reports(
        self,
        studies: Iterable[Study],
        *,
        batch_size: int = 16,
        saliency: str = "classifier",
        **generation: Any,
    ) -> Iterator[Report]:
        """Draft the reports of several studies, in their order, ``batch_size`` at a time."""
        check_method(self.model, saliency)
        waiting = iter(studies)
        while batch := list(islice(waiting, batch_size)):
            yield from self._batch(batch, saliency, generation)

    def _batch(
        self, studies: Sequence[Study], saliency: str, generation: dict[str, Any]
    ) -> Iterator[Report]:
        count = getattr(self.processor, "max_views", 1)
        read_views = [_views(study, count) for study in studies]
        chosen = [views[0] for views in read_views]
        films = [study.images[index] for study, index in zip(studies, chosen, strict=True)]
        all_read = [
            [study.images[index] for index in views]
            for study, views in zip(studies, read_views, strict=True)
        ]
        inputs = self.processor(
            films if count == 1 else all_read, [study.indication for study in studies]
        )
        inputs = {name: tensor.to(self.model.device) for name, tensor in inputs.items()}
        tokens, labels = self.model.draft(**inputs, **generation)
        drafts = self.processor.decode_reports(tokens)
        for row, (draft, film, index) in enumerate(zip(drafts, films, chosen, strict=True)):
            statements = tuple(read(draft.text, language=self.card.language))
            evidence: tuple[Evidence, ...] = ()
            one = {name: tensor[row : row + 1] for name, tensor in inputs.items()}
            if labels is not None:
                grid = self.model.config.image_token_grid
                maps = labels.attention[row, :, : grid**2].reshape(-1, grid, grid)
                method = "attention of the model's classifier"
                if saliency != "classifier":
                    maps = observation_maps(self.model, one, saliency)
                    method = f"{saliency} of the classifier's logit"
                names = [Observation(name) for name in self.model.config.observations]
                probabilities = labels.logits[row].sigmoid().tolist()
                evidence = _evidence(names, probabilities, maps, film, index, method)
            elif saliency != "classifier":
                statements = self._explain(draft, statements, one, film, index, saliency)
            yield draft.model_copy(
                update={
                    "statements": statements,
                    "evidence": evidence,
                    "warnings": (
                        *self._domain_warnings(all_read[row]),
                        *_doubts(statements, evidence),
                    ),
                    "model": self.card.name,
                }
            )

    def _explain(
        self,
        draft: Report,
        statements: tuple[Finding, ...],
        inputs: dict[str, torch.Tensor],
        film: Image,
        index: int,
        saliency: str,
    ) -> tuple[Finding, ...]:
        """Return the statements with a map for the sentence that says each, where it is found."""
        sentences = [finding.sentence or "" for finding in statements]
        tokens, spans = sentence_spans(
            draft, sentences, self.processor.tokenizer, self.processor.max_report_tokens
        )
        said = [(finding, span) for finding, span in zip(statements, spans, strict=True)
                if any(span)]  # fmt: skip
        if not said:
            return statements
        maps = sentence_maps(self.model, inputs, tokens, [span for _, span in said], saliency)
        method = f"{saliency} of the sentence's log-probability"
        names = [finding.observation for finding, _ in said]
        evidence = iter(_evidence(names, [None] * len(said), maps, film, index, method))
        return tuple(
            finding.model_copy(update={"evidence": (next(evidence),)}) if any(span) else finding
            for finding, span in zip(statements, spans, strict=True)
        )

    def _domain_warnings(self, films: Sequence[Image]) -> tuple[str, ...]:
        """Return what must be known of the films that were read; the first is the frontal one."""
        warnings = []
        given = next((f.provenance for f in films if f.provenance is not self.card.domain), None)
        if given is not None:
            known = self.card.domain
            warnings.append(
                f"outside this model's domain: {self.card.name} was trained on {known} films only "
                f"and this film is {given}, so nothing that it writes here can be relied on"
            )
        frontal = films[0]
        if self.domain is not None and not self.domain.holds(frontal.pixels):
            warnings.append(
                f"this film does not look like those that {self.card.name} was trained on "
                f"(distance {self.domain.distance(frontal.pixels):.0f}, limit "
                f"{self.domain.limit:.0f}): it is outside this model's domain"
            )
        if frontal.view is View.UNKNOWN:
            warnings.append("the view is not known; the film was read as a frontal one")
        told = (warning for film in films for warning in film.warnings)
        return tuple(dict.fromkeys((*warnings, *told)))


def load_model(
    name_or_path: str | Path = "plainfilm-small", *, device: str | None = None
) -> ReportModel:
    """Return a model that drafts reports.

    Args:
        name_or_path: the name of a shipped model, a run folder, or a checkpoint directory with
            ``config.json``, ``model.safetensors``, its processor and ``card.json``.
        device: where to run it; a GPU where torch sees one, else the CPU.

    Raises:
        ModelError: there is no such model, or its files cannot be loaded. Nothing is downloaded.
    """
    path = Path(name_or_path)
    for folder in (path, path / "model", SHIPPED / path.name):
        if (folder / "config.json").is_file():
            return ReportModel.load(folder, device=device)
    shipped = ", ".join(sorted(found.parent.name for found in SHIPPED.glob("*/config.json")))
    raise ModelError(
        f"no model {str(name_or_path)!r}: expected a shipped name ({shipped or 'none here'}), a "
        "finished run folder, or a checkpoint directory with config.json"
    )


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ModelError(f"{path} is missing: the folder is no model that plainfilm wrote")
    values = read_json(path)
    if not isinstance(values, dict):
        raise ModelError(f"{path} must hold a JSON object, got {type(values).__name__}")
    return values


def _views(study: Study, count: int) -> list[int]:
    """Return which of a study's films are read, at most ``count``; the first is a frontal one."""
    chosen = views_to_read([image.view for image in study.images], count)
    if not chosen:
        views = ", ".join(image.view for image in study.images)
        raise InputError(
            f"study {study.id!r} has no frontal film (views: {views}); this model reads one"
        )
    return chosen


def _evidence(
    observations: Sequence[Observation],
    probabilities: Sequence[float | None],
    maps: torch.Tensor,
    film: Image,
    image: int,
    method: str,
) -> tuple[Evidence, ...]:
    """Return observations with their maps on the film itself, each scaled to a maximum of 1.

    Args:
        observations: what each map shows.
        probabilities: the classifier's, where there is one.
        maps: ``(observations, grid, grid)`` on the letterboxed square.
        film: the film, for its shape.
        image: its index in the study.
        method: how the maps were made.
    """
    found = []
    for name, probability, weights in zip(
        observations, probabilities, maps_on_film(maps, film.shape), strict=True
    ):
        # Where no place speaks for it, there is no map.
        heatmap = (weights / weights.max()).tolist() if weights.max() > 0 else []
        found.append(
            Evidence(
                observation=name,
                probability=probability,
                image=image,
                heatmap=tuple(tuple(round(value, 4) for value in row) for row in heatmap),
                method=method,
            )
        )
    return tuple(found)


def _doubts(statements: Sequence[Finding], evidence: Sequence[Evidence]) -> tuple[str, ...]:
    """Return where the text and the classifier contradict each other."""
    said = {
        status: {finding.observation for finding in statements if finding.status is status}
        for status in Status
    }
    doubts = []
    for item in evidence:
        if item.probability is None or item.observation is Observation.NO_FINDING:
            continue
        if item.observation in said[Status.PRESENT] and item.probability < 1 - _SURE:
            doubts.append(
                f"{item.observation} is written as present, but the classifier gives it "
                f"{item.probability:.0%}"
            )
        if item.observation not in said[Status.PRESENT] | said[Status.UNCERTAIN] and (
            item.probability >= _SURE
        ):
            doubts.append(
                f"{item.observation} is not written as present, but the classifier gives it "
                f"{item.probability:.0%}"
            )
    return tuple(doubts)
