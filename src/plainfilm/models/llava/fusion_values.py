"""What a configuration says of a fusion."""

from typing import Any, Literal

from plainfilm.core import InputError

Kind = Literal["replace", "mixing", "addition", "concatenation"]
KINDS: tuple[Kind, ...] = ("replace", "mixing", "addition", "concatenation")

_DEFAULTS: dict[str, Any] = {
    "kind": "concatenation",
    "feature_size": 0,
    "map_classes": (),
    "map_side": 16,
    "pool_side": None,
    "embeddings": 256,
    "weight": 0.01,
}


def fusion_values(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a fusion, defaults filled in.

    Args:
        values: ``kind``; ``feature_size``, the length of the specialist's feature, 0 without one;
            ``map_classes``, names of the segmentation maps in the model's order; ``map_side``, the
            maps' own cells along each side; ``pool_side``, the cells after pooling (the square root
            of the tower's width where left out: 32 × 32 = 1024 at the paper's size);
            ``embeddings``, the rows of the class embedding E (256 in the paper); ``weight``, where
            λ of the weighted addition starts.

    Raises:
        InputError: a key is unknown, or nothing is fused.
    """
    unknown = sorted(set(values) - set(_DEFAULTS))
    if unknown:
        raise InputError(f"fusion: unknown {', '.join(unknown)}; known: {', '.join(_DEFAULTS)}")
    found = _DEFAULTS | values
    found["map_classes"] = list(found["map_classes"])
    if found["kind"] not in KINDS:
        raise InputError(f"fusion.kind: expected one of {', '.join(KINDS)}, got {found['kind']!r}")
    if not found["feature_size"] and not found["map_classes"]:
        raise InputError("fusion: give a specialist's feature, maps, or both")
    return found
