"""The outputs of a tower that does not train, computed once and kept on disk.

    frozen/TOWER/DATA/SHARD.safetensors    ``tokens`` (films, tokens, width), float16

TOWER is the hash of the tower's weights and of how a film is prepared, DATA the data set's
fingerprint, SHARD the hash of the films in it, whose names stand in the file's metadata. So the
same folder serves all rows and seeds of a table, films that are added later join those that are
there, and work that was stopped goes on at the shard where it stopped. Each file appears whole or
not at all. Where space ends, the towers that were not used for longest go first.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from plainfilm.core import DatasetError, Image, InputError, Study, View
from plainfilm.data.dataset import Dataset, Row
from plainfilm.data.examples import Examples, Films
from plainfilm.models.llava.modeling_llava import tower_tokens, tower_width
from plainfilm.models.llava.processing_llava import FilmProcessor

_BATCH = 16
_SHARD = 256
"""Films in a file: what is computed again after an interruption, at most."""
_METADATA = "films"


class KeptTokens:
    """The tower's tokens of the films of one data set.

    Args:
        folder: with the shards.
    """

    def __init__(self, folder: Path) -> None:
        self.tokens = 0
        """How many a film has."""
        self._places: dict[str, tuple[Any, int]] = {}
        for path in sorted(folder.glob("*.safetensors")):
            try:
                shard: Any = safe_open(path, framework="pt")
                films = json.loads(shard.metadata()[_METADATA])
                tokens = shard.get_slice("tokens")
            except (SafetensorError, OSError, TypeError, KeyError, ValueError) as error:
                raise DatasetError(
                    f"{path} is damaged: remove it, and it is computed again"
                ) from error
            self.tokens = tokens.get_shape()[1]
            self._places |= {film: (tokens, place) for place, film in enumerate(films)}

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def __call__(self, study_id: str, film: int) -> torch.Tensor:
        """Return the tokens ``(tokens, width)`` of a study's film, float16."""
        tokens, place = self._places[_key(study_id, film)]
        return tokens[place]  # type: ignore[no-any-return]


class UnreadFilms(Films):
    """Stands in for films whose tokens are kept: their views, and no pixels.

    Args:
        dataset: the data set.
    """

    def __init__(self, dataset: Dataset) -> None:
        super().__init__(dataset, None, kept_bytes=0)
        self._nothing = np.zeros((1, 1), np.float32)

    def film(self, row: Row, index: int) -> Image:
        """Return a film of one black pixel."""
        return Image(pixels=self._nothing, view=View(row.views[index]))


def keep_tokens(
    model: Any,
    processor: FilmProcessor,
    examples: Sequence[Examples],
    folder: Path,
    limit: int,
) -> KeptTokens:
    """Return the tower's tokens of every film that is read, from ``folder`` where they lie there.

    From then on the examples' films are not read from disk any more.

    Args:
        model: a fused LLaVA, without an adapter around it.
        processor: its processor.
        examples: whose films, all of one data set.
        folder: where they are kept; is made.
        limit: the most that the folder may hold, in bytes.

    Raises:
        InputError: they need more space than that, or than the disk has.
    """
    tower = folder / _hash(model, processor)
    place = tower / examples[0].dataset.fingerprint[:16]
    place.mkdir(parents=True, exist_ok=True)
    os.utime(tower)  # used now
    kept = KeptTokens(place)
    missing: list[tuple[Examples, int]] = []
    films = 0
    for some in examples:
        for index in range(len(some)):
            wanted = [key for key in _keys(processor, _unseen(some, index)) if key not in kept]
            if wanted:
                missing.append((some, index))
                films += len(wanted)
    if missing:
        config = model.config
        _make_room(folder, tower, films * tower_tokens(config) * tower_width(config) * 2, limit)
        model.eval()
        for first in range(0, len(missing), _SHARD):
            _write_shard(place, model, processor, missing[first : first + _SHARD], kept)
        kept = KeptTokens(place)
    for some in examples:
        some.films = UnreadFilms(some.dataset)
    return kept


def _unseen(some: Examples, index: int) -> Study:
    """Return a study as it is read, without its films' pixels and what is derived from them."""
    return some.dataset.study(
        some.rows[index],
        film=UnreadFilms(some.dataset).film,
        views=some.views,
        prior="prior" in some.reads,
    )


def _keys(processor: FilmProcessor, study: Study) -> list[str]:
    return [_key(owner.id, index) for owner, index in processor.placed(study)]


@torch.no_grad()
def _write_shard(
    place: Path,
    model: Any,
    processor: FilmProcessor,
    missing: Sequence[tuple[Examples, int]],
    kept: KeptTokens,
) -> None:
    """Compute and write the tokens of some studies' films, but for those that are kept already."""
    device = next(model.parameters()).device
    found: dict[str, torch.Tensor] = {}
    for first in range(0, len(missing), _BATCH):
        batch = missing[first : first + _BATCH]
        studies = [
            some.dataset.study(
                some.rows[index], film=Films(some.dataset, some.films.size, kept_bytes=0).film,
                views=some.views, prior="prior" in some.reads,
            )
            for some, index in batch
        ]  # fmt: skip
        keys = [key for study in studies for key in _keys(processor, study)]
        tokens = model.model.see(processor.pixels(studies).to(device, model.dtype))
        for key, one in zip(keys, tokens.to(torch.float16).cpu(), strict=True):
            if key not in kept:
                found[key] = one
    films = list(found)
    name = hashlib.sha256("\n".join(films).encode()).hexdigest()[:16]
    part = place / f".{name}.{os.getpid()}.part"
    save_file({"tokens": torch.stack(list(found.values()))}, part, {_METADATA: json.dumps(films)})
    part.replace(place / f"{name}.safetensors")


def _make_room(folder: Path, tower: Path, needed: int, limit: int) -> None:
    """Remove what towers gave that were not used for longest, until so many bytes fit.

    Raises:
        InputError: they do not fit even alone.
    """
    towers = sorted(
        (one for one in folder.iterdir() if one.is_dir()), key=lambda one: one.stat().st_mtime
    )
    held = {one: sum(file.stat().st_size for file in one.rglob("*.safetensors")) for one in towers}
    others = sum(held.values()) - held[tower]
    room = min(limit - held[tower], shutil.disk_usage(folder).free + others)
    if room < needed:
        raise InputError(
            f"keep_frozen: the tower's tokens of these films take {needed / 2**30:.2f} GiB, and "
            f"there is room for {max(room, 0) / 2**30:.2f} GiB in {folder}: raise the stage's "
            "frozen_gib, make room on the disk, or leave keep_frozen out"
        )
    for one in towers:
        if room - others < needed and one != tower:
            shutil.rmtree(one, ignore_errors=True)
            others -= held[one]


def _key(study_id: str, film: int) -> str:
    return f"{study_id}/{film}"


def _hash(model: Any, processor: FilmProcessor) -> str:
    """Return the hash of all that the tokens depend on, but the films."""
    digest = hashlib.sha256()
    for name, value in sorted(model.model.vision_tower.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
                      if value.ndim else str(value.item()).encode())  # fmt: skip
    config, pictures = model.config, processor.inner.image_processor
    told = (config.vision_feature_layer, config.vision_feature_select_strategy,
            config.vision_config.to_json_string(), processor.context.image_size,
            processor.context.square,
            json.dumps(pictures.to_dict(), sort_keys=True, default=str))  # fmt: skip
    digest.update(repr(told).encode())
    return digest.hexdigest()[:16]
