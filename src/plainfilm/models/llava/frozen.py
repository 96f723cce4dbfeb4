"""The outputs of a tower that does not train, computed once and kept on disk.

    frozen/HASH.bin    tokens of the films, float16, one film after the other
    frozen/HASH.json   how many tokens of what width, and the place of each film

HASH is that of the tower's weights and of how a film is prepared.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from plainfilm.core.files import write_atomically
from plainfilm.data.examples import Examples
from plainfilm.models.llava.processing_llava import FilmProcessor

_BATCH = 16


class KeptTokens:
    """The tower's tokens of the films of some examples.

    Args:
        index: the JSON file.
    """

    def __init__(self, index: Path) -> None:
        values = json.loads(index.read_text("utf-8"))
        self._places: dict[str, int] = values["places"]
        self._tokens = np.memmap(
            index.with_suffix(".bin"), np.float16, "r",
            shape=(len(self._places), values["tokens"], values["width"]),
        )  # fmt: skip

    def __call__(self, study_id: str, film: int) -> torch.Tensor:
        """Return the tokens ``(tokens, width)`` of a study's film, float16."""
        return torch.from_numpy(np.array(self._tokens[self._places[_key(study_id, film)]]))

    def holds(self, keys: Sequence[str]) -> bool:
        """Return whether all these films are among them."""
        return all(key in self._places for key in keys)


@torch.no_grad()
def keep_tokens(
    model: Any, processor: FilmProcessor, examples: Sequence[Examples], folder: Path
) -> KeptTokens:
    """Return the tower's tokens of every film that is read, from ``folder`` if they lie there.

    Args:
        model: a fused LLaVA, without an adapter around it.
        processor: its processor.
        examples: whose films.
        folder: where they are kept; is made.
    """
    index = folder / f"{_hash(model, processor)}.json"
    # Some rows may have come since.
    wanted = [_key(row.study_id, 0) for some in examples for row in some.rows]
    if index.is_file() and (kept := KeptTokens(index)).holds(wanted):
        return kept
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{index.stem}.part"
    places: dict[str, int] = {}
    shape = (0, 0)
    device = next(model.parameters()).device
    model.eval()
    with part.open("wb") as file:
        for some in examples:
            for first in range(0, len(some), _BATCH):
                last = min(first + _BATCH, len(some))
                studies = [some.study(place) for place in range(first, last)]
                films = [film for study in studies for film in processor.placed(study)]
                pixels = processor(studies)["pixel_values"].to(device, model.dtype)
                tokens = model.model.see(pixels).to(torch.float16).cpu().numpy()
                shape = tokens.shape[1:]
                for (study, film), one in zip(films, tokens, strict=True):
                    key = _key(study.id, film)
                    if key not in places:
                        places[key] = len(places)
                        file.write(np.ascontiguousarray(one).tobytes())
    part.replace(index.with_suffix(".bin"))
    values = {"tokens": shape[0], "width": shape[1], "places": places}
    write_atomically(index, json.dumps(values))
    return KeptTokens(index)


def _key(study_id: str, film: int) -> str:
    return f"{study_id}/{film}"


def _hash(model: Any, processor: FilmProcessor) -> str:
    """Return the hash of all that the tokens depend on, but the films."""
    digest = hashlib.sha256()
    for name, value in sorted(model.model.vision_tower.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
                      if value.ndim else str(value.item()).encode())  # fmt: skip
    config = model.config
    told = (config.vision_feature_layer, config.vision_feature_select_strategy, processor.views,
            processor.context.image_size, processor.context.square)  # fmt: skip
    digest.update(repr(told).encode())
    return digest.hexdigest()[:16]
