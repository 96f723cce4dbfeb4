"""Saliency: which regions of a film support a finding, according to the trained network.

Two methods besides the classifier's own attention, each computing one map for each score:

- **grad-cam** (Selvaraju et al., ICCV 2017, equations 1 and 2) on the backbone's last feature map:
  channels are weighted by the mean gradient of the score and summed, and negative values set to 0.
  It applies to every backbone; for ViT, DINOv2 and Mamba the map is the grid of patch tokens.
- **attention-rollout** (Abnar and Zuidema, ACL 2020, section 3) for backbones with attention:
  attention averaged over heads, mixed half and half with the identity for the residual connection,
  and multiplied through the layers. Rollout itself is the same for every finding: it only maps the
  last layer's tokens to the patches. So the last tokens are weighted for the finding by Grad-CAM,
  and rollout propagates the weights back (a departure: the paper starts from the class token,
  which no part of these models reads). It does not apply to a Mamba encoder.

The score of an observation is the classifier's logit. Without a classifier, the score of a sentence
is the log-probability of its tokens given the report up to there.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PreTrainedModel

from plainfilm.core import InputError
from plainfilm.vision.backbones import feature_map, has_attention, last_features

METHODS = ("classifier", "grad-cam", "attention-rollout")
"""``classifier`` is the label classifier's own pooling weights, which cost nothing."""


def check_method(method: str) -> None:
    """Check that a saliency method exists.

    Raises:
        InputError: the method is unknown; the known ones are listed.
    """
    if method not in METHODS:
        raise InputError(f"unknown saliency {method!r}: expected one of {', '.join(METHODS)}")


def saliency_maps(
    backbone: PreTrainedModel, score: Callable[[], torch.Tensor], method: str
) -> torch.Tensor:
    """Return a map for each score, ``(scores, rows, columns)``, on the backbone's own grid.

    If several views of a study go through the backbone, the maps are those of the first view.

    Args:
        backbone: the network whose features are explained.
        score: runs the model on one study, through ``backbone``, and returns ``(scores,)``.
        method: ``grad-cam`` or ``attention-rollout``.

    Raises:
        InputError: rollout was requested, but the backbone has no attention.
    """
    rollout = method == "attention-rollout"
    if rollout and not has_attention(backbone):
        raise InputError(
            "attention-rollout needs a backbone with attention; this model's is "
            f"{backbone.config.model_type}: use grad-cam"
        )
    with torch.enable_grad(), _watched(backbone, attention=rollout) as seen:
        scores = score()
        (output,) = seen
        hidden = last_features(output)
        maps = torch.stack([grad_cam(hidden, each)[0] for each in scores])
    if rollout:
        maps = carry_back(maps, attention_rollout(output.attentions))
    return maps


def grad_cam(hidden: torch.Tensor, score: torch.Tensor) -> torch.Tensor:
    """Return the Grad-CAM map of a score, ``(batch, rows, columns)``, non-negative.

    Args:
        hidden: a backbone's last hidden state, in a form that :func:`feature_map` accepts.
        score: a scalar computed from ``hidden``.
    """
    (gradient,) = torch.autograd.grad(score, hidden, retain_graph=True)
    weights = feature_map(gradient).mean(dim=(2, 3), keepdim=True)
    return (weights * feature_map(hidden)).sum(dim=1).relu().detach()


def attention_rollout(attentions: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the share of each input token in each output token, ``(batch, tokens, tokens)``.

    Each row sums to 1.

    Args:
        attentions: attention of each layer, first layer first, ``(batch, heads, tokens, tokens)``.
    """
    identity = torch.eye(attentions[0].shape[-1], device=attentions[0].device)
    rolled = identity.expand(len(attentions[0]), -1, -1)
    for attention in attentions:
        mixed = (attention.detach().float().mean(dim=1) + identity) / 2
        rolled = mixed / mixed.sum(dim=-1, keepdim=True) @ rolled
    return rolled


def carry_back(maps: torch.Tensor, rollout: torch.Tensor) -> torch.Tensor:
    """Propagate maps over the last layer's tokens back to the input patches.

    Args:
        maps: ``(maps, rows, columns)`` over the last layer's tokens.
        rollout: ``(1, tokens, tokens)``; a leading class token is dropped.
    """
    count = maps[0].numel()
    return (maps.flatten(1) @ rollout[0, -count:, -count:]).reshape(maps.shape)


@contextmanager
def _watched(backbone: PreTrainedModel, *, attention: bool) -> Iterator[list[Any]]:
    """Record the backbone's output, detached, so that gradients stop there."""
    seen: list[Any] = []

    def note(_module: Any, _inputs: Any, output: Any) -> Any:
        cut = last_features(output).detach().requires_grad_()
        if getattr(output, "last_hidden_state", None) is None:
            output.feature_maps = (*output.feature_maps[:-1], cut)
        else:
            output.last_hidden_state = cut
        seen.append(output)
        return output

    config = backbone.config
    before = config._attn_implementation
    hook = backbone.register_forward_hook(note)
    try:
        if attention:
            backbone.set_attn_implementation("eager")  # the others return no attention weights
            config.output_attentions = True
        yield seen
    finally:
        hook.remove()
        if attention:
            config.output_attentions = False
            backbone.set_attn_implementation(before)
