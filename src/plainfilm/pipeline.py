"""One Study in, one Report out: the whole diagram, as code.

    study → the model's draft → the reader → Report, with evidence and warnings

The report's statements are what the reader finds in the model's own words; its evidence is where
the model's classifier looked; its warnings say what a radiologist must know before reading it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, Self

import torch
import transformers

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
from plainfilm.core.model_folder import loading, read_json
from plainfilm.data.films.prepared import file_digest
from plainfilm.grounding.saliency import check_method, saliency_maps
from plainfilm.models.family import (
    Built,
    Candidate,
    Draft,
    Explainable,
    Family,
    families,
    family_of,
    find_family,
)
from plainfilm.text import labels, read
from plainfilm.text.agreement import agreement
from plainfilm.text.readability import unreadable
from plainfilm.vision.familiarity import Domain
from plainfilm.vision.preparation import maps_on_film

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
    """The part of the report that it writes: one of ``plainfilm.data.examples.TARGETS``."""
    language: str = "en"
    """That it writes in."""
    family: str | None = None
    """The model family, where the configuration alone does not tell."""
    warnings: tuple[str, ...] = ()
    """What every draft must carry along."""


class ReportModel:
    """A trained model, ready to draft reports; made by :func:`load_model`."""

    def __init__(
        self,
        family: Family[Any, Any],
        built: Built,
        card: Card,
        domain: Domain | None = None,
        folder: Path | None = None,
    ) -> None:
        self.family = family
        self.model = built.model.eval()
        self.processor = built.processor
        self.card = card
        self.domain = domain
        self.folder = folder

    @cached_property
    def weights(self) -> str | None:
        """SHA-256 of the files of weights; None for a model that was not opened from a folder."""
        files = sorted(self.folder.glob("*.safetensors")) if self.folder is not None else []
        files = [file for file in files if file.name != DOMAIN_FILE]
        if not files:
            return None
        digests = [file_digest(file) for file in files]
        return digests[0] if len(files) == 1 else sha256("".join(digests).encode()).hexdigest()

    @property
    def own_maps(self) -> str | None:
        """The source of the segmentation maps that the model reads; None where it reads none."""
        reads = sorted(self.family.reads(self.processor))
        return next((one.removeprefix("maps/") for one in reads if one.startswith("maps/")), None)

    @classmethod
    def load(
        cls, folder: Path, *, device: str | None = None, dtype: torch.dtype | None = None
    ) -> Self:
        """Open a model folder (see :func:`load_model`)."""
        card = load_card(folder)
        family = _family(folder, card)
        transformers.utils.logging.disable_progress_bar()
        with loading(folder):
            built = family.load(
                folder, dtype=dtype, device_map="auto" if device == "auto" else None
            )
            films = folder / DOMAIN_FILE
            domain = Domain.load(films) if films.exists() else None
        return cls(family, _on_device(built, device), card, domain, folder)

    def report(
        self,
        study: Study,
        *,
        saliency: str = "classifier",
        blank_indication: bool = True,
        ground: str | None = None,
        **generation: Any,
    ) -> Report:
        """Draft the report of one study.

        Args:
            study: with at least one film that is, or may be, a frontal one.
            saliency: how the maps of the evidence are made, one of
                :data:`plainfilm.grounding.saliency.METHODS`.
            blank_indication: see :meth:`reports`.
            ground: see :meth:`reports`.
            generation: passed to ``generate()`` (``num_beams`` and the like).

        Raises:
            InputError: the study has no film that the model can read, or the saliency does not
                apply to this model.
        """
        drafts = self.reports(
            [study], saliency=saliency, blank_indication=blank_indication, ground=ground,
            **generation,
        )  # fmt: skip
        return next(drafts)

    def reports(
        self,
        studies: Iterable[Study],
        *,
        batch_size: int = 16,
        saliency: str = "classifier",
        blank_indication: bool = False,
        ground: str | None = None,
        **generation: Any,
    ) -> Iterator[Report]:
        """Draft the reports of several studies, in their order, ``batch_size`` at a time.

        Args:
            studies: each with at least one film that is, or may be, a frontal one.
            batch_size: how many are drafted together.
            saliency: see :meth:`report`.
            blank_indication: whether each study that has an indication is drafted without it too,
                so that the report says which of its statements hang on it.
            ground: the source of the maps that its statements are held against (``segmenter`` for
                the shipped one's, which are made where a study has none); None holds them against
                none. :attr:`own_maps` are those that the model reads itself.
            generation: passed to ``generate()``.
        """
        check_method(saliency)
        waiting = iter(studies)
        while batch := list(islice(waiting, batch_size)):
            drafts = self._drafts(batch, **generation)
            blank: dict[int, Draft] = {}
            told = [place for place, study in enumerate(batch) if study.indication]
            if told and blank_indication:
                again = [batch[at].model_copy(update={"indication": None}) for at in told]
                found = self._drafts(again, **generation)
                blank = dict(zip(told, found, strict=True))
            for place, (study, draft) in enumerate(zip(batch, drafts, strict=True)):
                report = self._report(study, draft, saliency)
                if ground is not None:
                    report = _grounded(report, study, ground)
                yield self._against_blank(report, blank[place]) if place in blank else report

    def _drafts(self, studies: Sequence[Study], **generation: Any) -> list[Draft]:
        drafts = self.family.draft(self.model, self.processor, studies, **generation)
        return [_chosen(draft, self.card.language) for draft in drafts]

    def _against_blank(self, report: Report, blank: Draft) -> Report:
        """Return the report with what changes in it when the indication is left out."""
        language = self.card.language
        without = read(blank.report.text, language=language)
        with_it = {_claim(finding) for finding in report.statements}
        left = {_claim(finding) for finding in without}
        hangs = tuple(
            index for index, finding in enumerate(report.statements) if _claim(finding) not in left
        )
        lost = [finding for finding in without if _claim(finding) not in with_it]
        if not hangs and not lost:
            return report
        parts = []
        if hangs:
            said = _listed(report.statements[index] for index in hangs)
            parts.append(f"only with the indication it says: {said}")
        if lost:
            parts.append(f"without the indication it would say: {_listed(lost)}")
        warning = f"the indication changes this draft of the same film; {'; '.join(parts)}"
        return report.model_copy(
            update={"hangs_on_indication": hangs, "warnings": (*report.warnings, warning)}
        )

    def _report(self, study: Study, draft: Draft, saliency: str) -> Report:
        """Return a draft as a report: with what it states, rests on, and must be known of it."""
        statements = tuple(read(draft.report.text, language=self.card.language))
        film, index = study.images[draft.images[0]], draft.images[0]
        maps, method = draft.maps, draft.method
        evidence: tuple[Evidence, ...] = ()
        if saliency != "classifier":
            ways = self.family.explain(self.model, self.processor, study)
            if ways is None:
                raise InputError(
                    f"{self.card.name} can't be explained by {saliency}: leave --saliency out"
                )
            if ways.observations is None:
                statements = _explain(ways, draft.report, statements, film, index, saliency)
            else:
                maps = saliency_maps(ways.backbone, ways.observations, saliency)
                method = f"{saliency} of the classifier's logit"
        if draft.probabilities:
            names = list(draft.probabilities)
            chances = list(draft.probabilities.values())
            evidence = _evidence(names, chances, maps, film, index, method)
        films = [study.images[number] for number in draft.images]
        warnings = (
            *self.card.warnings,
            *self._domain_warnings(films),
            *draft.warnings,
            *_unreadable(draft.report.text, statements, self.card.language),
            *_doubts(statements, evidence),
        )
        return draft.report.model_copy(
            update={
                "statements": statements,
                "evidence": evidence,
                "warnings": warnings,
                "badges": self._badges(films),
                "images_read": draft.images,
                "model": self.card.name,
                "weights": self.weights,
            }
        )

    def _badges(self, films: Sequence[Image]) -> tuple[str, ...]:
        """Return what must come first: the model or the gate does not know this kind of film."""
        known, badges = self.card.domain, []
        if any(film.refusal is not None for film in films):
            badges.append("refused by the film gate and drafted by force")
        if any(film.provenance is not known for film in films):
            badges.append(f"outside the model's domain: it knows {known} films only")
        return tuple(badges)

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
        warnings += [f"the film gate refused this film: {film.refusal}" for film in films
                     if film.refusal is not None]  # fmt: skip
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


def _grounded(report: Report, study: Study, source: str) -> Report:
    """Return a report whose statements were held against maps of the film that was read."""
    from plainfilm.grounding.maps import choose_maps, ground
    from plainfilm.vision.segmenter import SHIPPED as SEGMENTER
    from plainfilm.vision.segmenter import shipped

    source = SEGMENTER.name if source == "segmenter" else source
    if source == SEGMENTER.name and all(one.source != source for one in study.maps):
        study = shipped().describe(study)
    maps = choose_maps(study, source, next(iter(report.images_read), None))
    return ground(report, maps, shape=study.images[maps.image].shape)


def _claim(finding: Finding) -> tuple[str | None, ...]:
    """Return what a statement claims, so that two wordings of it are one."""
    return finding.observation, finding.status, finding.side


def _listed(findings: Iterable[Finding]) -> str:
    """Return statements in words, each once: ``Edema (absent), left Pneumothorax``."""
    said = (
        f"{f'{finding.side} ' if finding.side else ''}{finding.observation}"
        f"{'' if finding.status is Status.PRESENT else f' ({finding.status})'}"
        for finding in findings
    )
    return ", ".join(dict.fromkeys(said))


def _chosen(draft: Draft, language: str) -> Draft:
    """Return a draft with the one of its candidates whose score and agreement are highest."""
    if not draft.candidates:
        return draft

    def worth(one: Candidate) -> float:
        said = labels(one.report.text, language=language)
        return one.score + draft.agreement * agreement(said, draft.probabilities)

    best = max(draft.candidates, key=worth)
    return replace(draft, report=best.report, warnings=best.warnings)


def _unreadable(text: str, statements: Sequence[Finding], language: str) -> Iterator[str]:
    """Yield a warning where a draft is empty, loops, or can't be read for another reason."""
    if why := unreadable(text, statements, language=language):
        yield f"this draft is not a usable report: {why}"


def load_model(
    name_or_path: str | Path = "plainfilm-small",
    *,
    preset: str | None = None,
    device: str | None = None,
    dtype: torch.dtype | None = None,
) -> ReportModel:
    """Return a model that drafts reports.

    Args:
        name_or_path: the name of a shipped model, a run folder, or a checkpoint directory with
            ``config.json``, ``model.safetensors``, its processor and ``card.json``.
        preset: for a published checkpoint that plainfilm did not write: how it is asked, and what
            is known of it (docs/vlm.md).
        device: where to run it; a GPU where torch sees one, else the CPU; ``auto`` spreads a large
            one over all.
        dtype: of the weights in memory; as the family chooses where left out.

    Raises:
        ModelError: there is no such model, or its files cannot be loaded. Nothing is downloaded.
    """
    path = Path(name_or_path)
    if preset is not None:
        return _open_published(path, preset, device, dtype)
    for folder in (path, path / "model", SHIPPED / path.name):
        if (folder / "card.json").is_file() or (folder / "config.json").is_file():
            return ReportModel.load(folder, device=device, dtype=dtype)
    reporting = SHIPPED.glob("*/processor_config.json")  # the segmenter has none
    shipped = ", ".join(sorted(found.parent.name for found in reporting))
    raise ModelError(
        f"no model {str(name_or_path)!r}: expected a shipped name ({shipped or 'none here'}), a "
        "finished run folder, or a checkpoint directory with config.json"
    )


def merge_adapter(folder: Path, out: Path) -> None:
    """Write the model of a folder with an adapter, merged into its base, into the folder ``out``.

    Raises:
        ModelError: the base is not there, or another.
        InputError: the folder holds no adapter.
    """
    family = _family(folder, load_card(folder))
    transformers.utils.logging.disable_progress_bar()
    with loading(folder):
        built = family.merge(folder)
    family.save(out, built)


def load_card(folder: Path) -> Card:
    """Return the card of a run folder or model folder.

    Raises:
        ModelError: there is none, or it is damaged.
    """
    place = folder if (folder / "card.json").is_file() else folder / "model"
    with errors_as(ModelError, f"cannot read {place / 'card.json'}", "train the model again"):
        return Card.model_validate(_read_json(place / "card.json"))


def _open_published(
    folder: Path, preset: str, device: str | None, dtype: torch.dtype | None
) -> ReportModel:
    """Open a checkpoint that plainfilm did not write, by a family's preset."""
    presets = {name: family for family in families() for name in family.presets()}
    if preset not in presets:
        raise ModelError(
            f"no preset {preset!r}: expected one of {', '.join(presets) or 'none here'}"
        )
    if not folder.is_dir():
        raise ModelError(f"no checkpoint at {folder}: expected a folder that was downloaded")
    family = presets[preset]
    with loading(folder):
        built, values = family.open_published(
            folder, preset, dtype=dtype, device_map="auto" if device == "auto" else None
        )
    return ReportModel(family, _on_device(built, device), Card.model_validate(values), None, folder)


def _on_device(built: Built, device: str | None) -> Built:
    """Move a model to where it is to run, unless it is spread or lies where it must."""
    if device == "auto" or getattr(built.model, "hf_device_map", None):
        return built
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return built._replace(model=built.model.to(chosen))


def _family(folder: Path, card: Card) -> Family[Any, Any]:
    """Return the family of a model folder."""
    if card.family is not None:
        try:
            return find_family(card.family)
        except InputError as error:
            raise ModelError(f"{folder / 'card.json'}: {error}") from error
    model_type = _read_json(folder / "config.json").get("model_type")
    family = family_of(model_type)
    if family is None:
        known = [one for each in families() for one in each.model_types]
        raise ModelError(
            f"{folder} holds a {model_type!r} model; expected one of {', '.join(known)}"
        )
    return family


def _explain(
    ways: Explainable,
    report: Report,
    statements: tuple[Finding, ...],
    film: Image,
    index: int,
    saliency: str,
) -> tuple[Finding, ...]:
    """Return the statements with a map for the sentence that says each, where it is found."""
    tokens, spans = ways.tokens(report, [finding.sentence or "" for finding in statements])
    said = [bool(span.any()) for span in spans]
    if not any(said):
        return statements
    masks = spans[torch.tensor(said, device=spans.device)]

    def score() -> torch.Tensor:
        return torch.where(masks, ways.log_probabilities(tokens), 0.0).sum(dim=1)

    maps = saliency_maps(ways.backbone, score, saliency)
    method = f"{saliency} of the sentence's log-probability"
    names = [finding.observation for finding, shown in zip(statements, said, strict=True) if shown]
    evidence = iter(_evidence(names, [None] * len(names), maps, film, index, method))
    return tuple(
        finding.model_copy(update={"evidence": (next(evidence),)}) if shown else finding
        for finding, shown in zip(statements, said, strict=True)
    )


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ModelError(f"{path} is missing: the folder is no model that plainfilm wrote")
    values = read_json(path)
    if not isinstance(values, dict):
        raise ModelError(f"{path} must hold a JSON object, got {type(values).__name__}")
    return values


def _evidence(
    observations: Sequence[Observation],
    probabilities: Sequence[float | None],
    maps: torch.Tensor | None,
    film: Image,
    image: int,
    method: str,
) -> tuple[Evidence, ...]:
    """Return observations with their maps on the film itself, each scaled to a maximum of 1.

    Args:
        observations: what each map shows.
        probabilities: the classifier's, where there is one.
        maps: ``(observations, grid, grid)`` on the letterboxed square; None where there are none.
        film: the film, for its shape.
        image: its index in the study.
        method: how the maps were made.
    """
    found = []
    shown = [None] * len(observations) if maps is None else maps_on_film(maps, film.shape)
    for name, probability, weights in zip(observations, probabilities, shown, strict=True):
        # Where no place speaks for it, there is no map.
        some = weights is not None and weights.max() > 0
        heatmap = (weights / weights.max()).tolist() if some else []
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
