"""ASaRG's fusion: a specialist's feature h and its maps g join the tower's tokens V (eqs. 2 to 12).

With E the class embedding, learnable, ``(256, width)``, and ``width`` that of the tower's tokens:

    e = Linear(h), repeated 256 times                             section 3.3
    s = Linear([e, Conv1d(AdaptiveAvgPool(g))])                   eq. 11; s = e without maps
    m = Linear([E, s]) along the width                            eqs. 6 and 10

    replace        Conv1d(AdaIN(E, s)) in place of V              eq. 5
    mixing         Linear([V, m]) along the width                 eq. 7
    addition       V + λ m                                        eq. 8
    concatenation  V, then m, along the tokens                    eqs. 9 and 12

All of it goes into LLaVA's own projector. The formulas themselves are lost in the paper's text that
we have; these follow its words, shapes and parameter counts (+0.06 % with h, +0.09 % with g, too).

What the paper leaves open, and what is chosen here:

- g is pooled to 32 × 32 = 1024 cells, so that its rows are as wide as e; the 1-D convolution runs
  over the cells with the classes as its channels, kernel 1, and gives 256 rows.
- V has 576 rows and m 256. Where both must have as many (eqs. 7 and 8), a 1-D convolution with
  kernel 1 takes m's rows to V's, as eq. 5 does.
- AdaIN (Huang and Belongie 2017) normalises each row of its content E over the width and gives it
  the mean and deviation of the style's row. All rows of e are the same, so only two numbers of h
  come through; were it normalised over the rows, only e itself would. Either may be why *replace*
  did not converge in the paper.
- A study without h or g has zeros for them.
"""

from typing import Any

import torch
from torch import nn

from plainfilm.core import InputError


class Fusion(nn.Module):
    """Joins a specialist's feature and maps with the tower's tokens.

    Args:
        values: from :func:`plainfilm.models.llava.fusion_values.fusion_values`.
        width: of the tower's tokens.
        tokens: how many tokens the tower gives for a film.
    """

    def __init__(self, values: dict[str, Any], width: int, tokens: int) -> None:
        super().__init__()
        self.kind = values["kind"]
        self.feature_size = values["feature_size"]
        self.map_classes = len(values["map_classes"])
        self.map_side = values["map_side"]
        rows = values["embeddings"]
        side = values["pool_side"] or int(width**0.5)
        self.class_embedding = nn.Parameter(torch.empty(rows, width))
        if self.feature_size:
            self.feature_to_token = nn.Linear(self.feature_size, width)
        if self.map_classes:
            self.pool = nn.AdaptiveAvgPool2d(side)
            self.maps_to_rows = nn.Conv1d(self.map_classes, rows, 1)
            known = width if self.feature_size else 0
            self.mix_maps = nn.Linear(known + side * side, width)
        if self.kind != "replace":
            self.mix = nn.Linear(2 * width, width)
        if self.kind != "concatenation":
            self.to_tower_rows = nn.Conv1d(rows, tokens, 1)
        if self.kind == "mixing":
            self.mix_tower = nn.Linear(2 * width, width)
        if self.kind == "addition":
            self.weight = nn.Parameter(torch.tensor(float(values["weight"])))
            self.first_weight = float(values["weight"])

    @property
    def added_tokens(self) -> int:
        """How many tokens a film has beside the tower's."""
        return len(self.class_embedding) if self.kind == "concatenation" else 0

    def reset_parameters(self) -> None:
        """Draw weights as torch does, E as an embedding, and set λ to where it starts.

        transformers' own small weights (.02) would let h and g arrive as next to nothing.
        """
        for layer in self.children():
            if isinstance(layer, nn.Linear | nn.Conv1d):
                layer.reset_parameters()
        nn.init.normal_(self.class_embedding)
        if self.kind == "addition":
            nn.init.constant_(self.weight, self.first_weight)

    def check(self, films: int, features: torch.Tensor | None, maps: torch.Tensor | None) -> None:
        """Check the additional inputs of so many films.

        Raises:
            InputError: one is missing, or of another size.
        """
        wanted: list[tuple[str, tuple[int, ...], torch.Tensor | None]] = []
        if self.feature_size:
            wanted.append(("specialist_features", (films, self.feature_size), features))
        if self.map_classes:
            shape = (films, self.map_classes, self.map_side, self.map_side)
            wanted.append(("segmentation_maps", shape, maps))
        for name, expected, given in wanted:
            if given is None:
                raise InputError(
                    f"this model reads {name}, and got none: expected a tensor of {expected}"
                )
            if tuple(given.shape) != expected:
                raise InputError(
                    f"{name} must be of shape {expected} for {films} films, got "
                    f"{tuple(given.shape)}"
                )

    def style(self, features: torch.Tensor | None, maps: torch.Tensor | None) -> torch.Tensor:
        """Return s ``(films, 256, width)`` (eq. 11); e where there are no maps.

        Args:
            features: h, ``(films, feature size)``.
            maps: g, ``(films, classes, side, side)``, in [0, 1].
        """
        rows, dtype = len(self.class_embedding), self.class_embedding.dtype
        parts: list[torch.Tensor] = []
        if self.feature_size and features is not None:
            token = self.feature_to_token(features.to(dtype))
            parts.append(token[:, None].expand(-1, rows, -1))
        if self.map_classes and maps is not None:
            cells = self.pool(maps.to(dtype)).flatten(2)
            parts.append(self.maps_to_rows(cells))
            style: torch.Tensor = self.mix_maps(torch.cat(parts, dim=-1))
            return style
        return parts[0]

    def mixed(self, style: torch.Tensor) -> torch.Tensor:
        """Return m ``(films, 256, width)`` (eqs. 6 and 10)."""
        embedding = self.class_embedding.expand(len(style), -1, -1)
        return self.mix(torch.cat([embedding, style], dim=-1))  # type: ignore[no-any-return]

    def forward(
        self,
        tower: torch.Tensor | None,
        features: torch.Tensor | None = None,
        maps: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return what goes into LLaVA's projector, ``(films, tokens, width)``.

        Args:
            tower: V, ``(films, tokens, width)``; not read by ``replace``.
            features: h, ``(films, feature size)``.
            maps: g, ``(films, classes, side, side)``.
        """
        style = self.style(features, maps)
        if self.kind == "replace":  # eq. 5
            normal = adaptive_instance_norm(self.class_embedding.expand(len(style), -1, -1), style)
            return self.to_tower_rows(normal)  # type: ignore[no-any-return]
        assert tower is not None  # noqa: S101 - only replace does without it
        mixed = self.mixed(style).to(tower.dtype)
        if self.kind == "concatenation":  # eqs. 9 and 12
            return torch.cat([tower, mixed], dim=1)
        mixed = self.to_tower_rows(mixed)
        if self.kind == "addition":  # eq. 8
            summed: torch.Tensor = tower + self.weight * mixed
            return summed
        joined: torch.Tensor = self.mix_tower(torch.cat([tower, mixed], dim=-1))  # eq. 7
        return joined


def adaptive_instance_norm(
    content: torch.Tensor, style: torch.Tensor, epsilon: float = 1e-5
) -> torch.Tensor:
    """Return ``content`` with the style's mean and deviation (Huang and Belongie 2017, eq. 8).

    Args:
        content: ``(batch, channels, places)``.
        style: the same shape, or another number of places.
        epsilon: keeps the deviations from 0.
    """
    found = []
    for values in (content, style):
        mean = values.mean(dim=-1, keepdim=True)
        deviation = (values.var(dim=-1, unbiased=False, keepdim=True) + epsilon).sqrt()
        found.append((mean, deviation))
    (mean, deviation), (wanted_mean, wanted_deviation) = found
    return (content - mean) / deviation * wanted_deviation + wanted_mean
