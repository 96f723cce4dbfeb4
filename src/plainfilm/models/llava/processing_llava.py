"""A study's films, words, specialist feature and maps to tensors."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import PIL.Image
import torch
from transformers import (
    BatchFeature,
    LlavaOnevisionProcessor,
    LlavaProcessor,
    PreTrainedConfig,
)

from plainfilm.core import Image, InputError, Report, Study
from plainfilm.core.files import write_atomically
from plainfilm.core.model_folder import OFFLINE, read_json
from plainfilm.core.study import Maps
from plainfilm.models.conversation.processor import (
    CONTEXT_FILE,
    ConversationProcessor,
    without_video,
)
from plainfilm.models.llava.settings import Classification, FusionSettings, MapInput
from plainfilm.vision.segmenter import SHIPPED, shipped

_SHUFFLE_SEED = 212
_NO_PICTURE = PIL.Image.new("L", (1, 1))


class Kept(Protocol):
    """The tower's tokens of films, computed before."""

    tokens: int
    """How many a film has."""

    def __call__(self, study_id: str, film: int) -> torch.Tensor:
        """Return the tokens ``(tokens, width)`` of a study's film, by its place in the study."""


class _AppendsTokens:
    """A processor with placeholders for the tokens that are appended to a film's; first of the
    bases."""

    added_image_tokens: int
    image_token: str

    def replace_image_token(
        self, image_inputs: dict[str, Any], image_idx: int, **kwargs: Any
    ) -> str:
        """Return a film's placeholders."""
        own: str = super().replace_image_token(  # type: ignore[misc]
            image_inputs, image_idx, **kwargs
        )
        return own + self.image_token * self.added_image_tokens


class FusedLlavaProcessor(_AppendsTokens, LlavaProcessor):
    """LLaVA's, with placeholders for the appended tokens.

    Args:
        image_processor: as in transformers.
        tokenizer: as in transformers.
        added_image_tokens: how many tokens a film has beside the tower's.
        kwargs: as in transformers.
    """

    def __init__(
        self,
        image_processor: Any = None,
        tokenizer: Any = None,
        patch_size: int | None = None,
        vision_feature_select_strategy: str | None = None,
        chat_template: str | None = None,
        image_token: str = "<image>",  # noqa: S107
        num_additional_image_tokens: int = 0,
        added_image_tokens: int = 0,
        **kwargs: Any,
    ) -> None:
        self.added_image_tokens = added_image_tokens
        super().__init__(
            image_processor,
            tokenizer,
            patch_size=patch_size,
            vision_feature_select_strategy=vision_feature_select_strategy,
            chat_template=chat_template,
            image_token=image_token,
            num_additional_image_tokens=num_additional_image_tokens,
            **kwargs,
        )


class FusedOnevisionProcessor(_AppendsTokens, LlavaOnevisionProcessor):
    """LLaVA-OneVision's, with placeholders for the appended tokens; arguments as there."""

    def __init__(
        self,
        image_processor: Any = None,
        tokenizer: Any = None,
        video_processor: Any = None,
        num_image_tokens: int | None = None,
        vision_feature_select_strategy: str | None = None,
        chat_template: str | None = None,
        image_token: str = "<image>",  # noqa: S107
        video_token: str = "<video>",  # noqa: S107
        vision_aspect_ratio: str = "anyres_max_9",
        added_image_tokens: int = 0,
        **kwargs: Any,
    ) -> None:
        self.added_image_tokens = added_image_tokens
        super().__init__(
            image_processor,
            tokenizer,
            video_processor,
            num_image_tokens=num_image_tokens,
            vision_feature_select_strategy=vision_feature_select_strategy,
            chat_template=chat_template,
            image_token=image_token,
            video_token=video_token,
            vision_aspect_ratio=vision_aspect_ratio,
            **kwargs,
        )


class FilmProcessor(ConversationProcessor):
    """Asks in words, and gives each film its feature and its maps.

    Args:
        inner: the checkpoint's processor.
        context: what is said.
        fusion: what a film has beside its pixels; None for LLaVA itself.
        classification: what the head on the language model's states learns; None without a head,
            or with one whose defaults hold.
        agreement: what agreement with the head counts when beams are ranked.
        more: as :class:`ConversationProcessor` takes it.
    """

    def __init__(
        self,
        inner: Any,
        context: Any,
        *,
        fusion: FusionSettings | Mapping[str, Any] | None = None,
        classification: Classification | Mapping[str, Any] | None = None,
        agreement: float = 0.0,
        **more: Any,
    ) -> None:
        super().__init__(inner, context, **more)
        if isinstance(fusion, Mapping):
            fusion = FusionSettings.model_validate(dict(fusion))
        self.fusion = fusion
        if isinstance(classification, Mapping):
            classification = Classification.model_validate(dict(classification))
        self.classification = classification
        self.agreement = agreement
        self.kept: Kept | None = None
        """Where the tower's tokens are found, while a stage trains without it; no pixels then."""

    def __call__(
        self,
        studies: Sequence[Study],
        reports: Sequence[Report] | None = None,
        rngs: Sequence[np.random.Generator] | None = None,
    ) -> BatchFeature:
        """Return the tensors of a batch; see :class:`ConversationProcessor`.

        Beside those: ``specialist_features`` ``(films, feature size)`` and ``segmentation_maps``
        ``(films, classes, side, side)``, where the model reads them; zeros for a film without.
        Where the tower's tokens are kept, ``image_features`` ``(films, tokens, width)`` instead of
        pixels.

        Raises:
            InputError: a feature or maps are of another size, or lack a class; or a whole batch has
                no feature or no maps of the kind that is read.
        """
        studies = [self._described(study) for study in studies]
        batch = super().__call__(studies, reports, rngs)
        films = [film for study in studies for film in self.placed(study)]
        fusion = self.fusion
        if fusion is not None and fusion.features is not None:
            found = [film_feature(study, index, fusion.features.name, fusion.features.size)
                     for study, index in films]  # fmt: skip
            batch["specialist_features"] = torch.stack(found)
        if fusion is not None and fusion.maps is not None:
            shuffled = reports is None and fusion.maps.shuffled
            maps = [film_maps(study, index, fusion.maps) for study, index in films]
            stacked = torch.stack(maps)
            if shuffled:
                order = np.random.default_rng(_SHUFFLE_SEED).permutation(stacked.shape[1])
                stacked = stacked[:, torch.from_numpy(order)]
            batch["segmentation_maps"] = stacked
        if self.kept is not None:
            tokens = [self.kept(study.id, index) for study, index in films]
            batch["image_features"] = torch.stack(tokens)
        return batch

    def pixels(self, studies: Sequence[Study]) -> torch.Tensor:
        """Return the films of studies as the tower takes them, one after the other."""
        return super().__call__(studies)["pixel_values"]  # type: ignore[no-any-return]

    def _picture(self, film: Image) -> PIL.Image.Image:
        return _NO_PICTURE if self.kept is not None else super()._picture(film)

    def _encode(
        self, prompts: Sequence[str], films: Sequence[Sequence[PIL.Image.Image]], side: str
    ) -> BatchFeature:
        if self.kept is None:
            return super()._encode(prompts, films, side)
        film = self.image_token * (self.kept.tokens + self.inner.added_image_tokens)
        encoded = self.tokenizer(
            [prompt.replace(self.image_token, film) for prompt in prompts],
            padding=True,
            padding_side=side,
            add_special_tokens=self._adds_special(prompts[0]),
            return_tensors="pt",
        )
        return BatchFeature(dict(encoded))

    def _described(self, study: Study) -> Study:
        """Return a study with what the shipped segmenter gives, if that is read and not there."""
        fusion = self.fusion
        if fusion is None or self.kept is not None:  # no film is read then
            return study
        name = SHIPPED.name
        feature = fusion.features is not None and fusion.features.name == name
        maps = fusion.maps is not None and fusion.maps.source == name
        known = any(one.source == name for one in study.maps)
        if (feature and name not in study.features) or (maps and not known):
            return shipped().describe(study)
        return study

    def placed(self, study: Study) -> list[tuple[Study, int]]:
        """Return the films that are read of a study, in order: whose, and which of its images."""
        # Not the table: that of another source may not have been read yet.
        _, films = self._ask(study.model_copy(update={"table": {}}))
        owners = [study] if study.prior is None else [study, study.prior]
        return [_owner(film, owners) for film in films]

    def save_pretrained(self, folder: Path) -> None:
        """Write the checkpoint's processor, the context, fusion and head into a folder."""
        super().save_pretrained(folder)
        own = {"fusion": self.fusion, "classification": self.classification}
        told: dict[str, Any] = {
            name: value.to_dict() for name, value in own.items() if value is not None
        }
        if self.agreement:
            told["agreement"] = self.agreement
        if told:
            values = read_json(folder / CONTEXT_FILE) | told
            write_atomically(
                folder / CONTEXT_FILE, json.dumps(values, indent=1, ensure_ascii=False)
            )


def fused_processor(folder: Path, config: PreTrainedConfig) -> Any:
    """Return a LLaVA checkpoint's processor, with placeholders for appended tokens."""
    llava = config.model_type == "plainfilm_llava"
    kind = FusedLlavaProcessor if llava else without_video(FusedOnevisionProcessor)
    return kind.from_pretrained(folder, **OFFLINE)


def _owner(film: Image, studies: Sequence[Study]) -> tuple[Study, int]:
    return next(
        (study, index)
        for study in studies
        for index, image in enumerate(study.images)
        if image is film
    )


def film_feature(study: Study, index: int, name: str, size: int) -> torch.Tensor:
    """Return a film's specialist feature ``(size,)``; zeros for all films but the frontal one.

    Raises:
        InputError: the study has none of this name, or it has another length.
    """
    if index != study.frontal:
        return torch.zeros(size)
    found = study.features.get(name)
    if found is None:
        known = ", ".join(study.features) or "none"
        raise InputError(
            f"study {study.id!r} has no feature {name!r} (it has: {known}): make it with "
            f"plainfilm features DATASET --source {name}"
        )
    if found.shape != (size,):
        raise InputError(
            f"study {study.id!r}: the feature {name!r} has the shape {found.shape}, the model "
            f"reads ({size},): it comes from another specialist"
        )
    return torch.from_numpy(np.array(found))


def film_maps(study: Study, index: int, wanted: MapInput) -> torch.Tensor:
    """Return a film's maps ``(classes, side, side)`` in the model's order; zeros without any.

    Raises:
        InputError: the study's maps lack a class, have another number of cells, or its frontal film
            has none.
    """
    names, side = wanted.names, wanted.side
    found = next((one for one in study.maps if one.image == index and _is(one, wanted)), None)
    if found is None:
        if index == study.frontal:
            sources = ", ".join(dict.fromkeys(one.source for one in study.maps)) or "none"
            raise InputError(
                f"study {study.id!r} has no maps from {wanted.source!r} (it has: {sources}): make "
                f"them with plainfilm maps DATASET --source {wanted.source}"
            )
        return torch.zeros(len(names), side, side)
    if found.study and study.id and found.study != study.id:
        raise InputError(
            f"study {study.id!r}: its maps from {found.source!r} are of another study, "
            f"{found.study!r}: give each study its own"
        )
    places = {name: place for place, name in enumerate(found.classes)}
    missing = [name for name in names if name not in places]
    if missing:
        raise InputError(
            f"study {study.id!r}: its maps from {found.source!r} lack {len(missing)} of the "
            f"{len(names)} classes that the model reads ({', '.join(missing[:3])}, …): make them "
            "again in the classes of the recipe's model.fusion.maps"
        )
    if found.values.shape[1:] != (side, side):
        raise InputError(
            f"study {study.id!r}: its maps have {found.values.shape[1]} × {found.values.shape[2]} "
            f"cells, the model reads {side} × {side}: pool them to that"
        )
    return torch.from_numpy(found.values[[places[name] for name in names]])


def _is(maps: Maps, wanted: MapInput) -> bool:
    return maps.source == wanted.source
