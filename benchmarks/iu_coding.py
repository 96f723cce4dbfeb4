"""Open-i's human MeSH coding as the 14 observations: the mapping, as data.

A code is a heading and its qualifiers (``Opacity/lung/base/left/focal``). The coders wrote down
what a report says is there, hedged or not, so a code means "present or uncertain"; what a report
denies has no code. Doubtful entries carry a comment.
"""

from collections.abc import Iterable
from typing import NamedTuple

from plainfilm.core import Observation as O  # noqa: N817 (a table)

BONES = frozenset(
    [
        "ribs",
        "clavicle",
        "sternum",
        "humerus",
        "shoulder",
        "spine",
        "thoracic vertebrae",
        "lumbar vertebrae",
        "cervical vertebrae",
    ]
)
OUTSIDE_THE_LUNG = BONES | frozenset(
    ["mediastinum", "abdomen", "breast", "lymph nodes", "neck", "heart", "pericardium", "aorta"]
)
NONE: frozenset[str] = frozenset()


class Rule(NamedTuple):
    """A heading means ``observations`` when a qualifier is in ``any_of`` and none in ``none_of``.

    An empty ``any_of`` asks for nothing.
    """

    heading: str
    observations: tuple[O, ...]
    any_of: frozenset[str] = NONE
    none_of: frozenset[str] = NONE

    def holds(self, heading: str, qualifiers: frozenset[str]) -> bool:
        wanted = not self.any_of or bool(self.any_of & qualifiers)
        return heading == self.heading and wanted and not self.none_of & qualifiers


ROUND = frozenset({"round", "nodular"})
VIA_LUNG = {"none_of": OUTSIDE_THE_LUNG}

RULES = (
    Rule("cardiomegaly", (O.CARDIOMEGALY,)),
    Rule("cardiac shadow", (O.CARDIOMEGALY,), any_of=frozenset({"enlarged", "borderline"})),
    Rule("heart", (O.CARDIOMEGALY,), any_of=frozenset({"enlarged"})),
    Rule("heart ventricles", (O.CARDIOMEGALY,), any_of=frozenset({"enlarged", "prominent"})),
    Rule("mediastinum", (O.ENLARGED_CARDIOMEDIASTINUM,), frozenset({"enlarged", "prominent"})),
    # Which part of the aorta is not coded; an aneurysm of the arch counts here by mistake.
    Rule("aortic aneurysm", (O.ENLARGED_CARDIOMEDIASTINUM,)),
    Rule("opacity", (O.LUNG_OPACITY,), **VIA_LUNG),
    # Doubtful: "round" is size and outline of any opacity, rarely a nodule.
    Rule("opacity", (O.LUNG_LESION,), any_of=ROUND, **VIA_LUNG),
    Rule("density", (O.LUNG_OPACITY,), **VIA_LUNG),
    Rule("density", (O.LUNG_LESION,), any_of=ROUND, **VIA_LUNG),
    Rule("infiltrate", (O.LUNG_OPACITY,)),
    Rule("airspace disease", (O.LUNG_OPACITY,)),
    Rule("lung diseases, interstitial", (O.LUNG_OPACITY,)),
    # "Bronchovascular" markings are crowded vessels; interstitial ones are an opacity.
    Rule(
        "markings", (O.LUNG_OPACITY,), any_of=frozenset({"interstitial", "reticular", "prominent"})
    ),
    Rule("lung", (O.LUNG_OPACITY,), any_of=frozenset({"interstitial"})),
    Rule("consolidation", (O.CONSOLIDATION,)),
    Rule("nodule", (O.LUNG_LESION,), **VIA_LUNG),
    Rule("mass", (O.LUNG_LESION,), **VIA_LUNG),
    Rule("granuloma", (O.LUNG_LESION,), none_of=OUTSIDE_THE_LUNG),
    Rule("calcified granuloma", (O.LUNG_LESION,), none_of=OUTSIDE_THE_LUNG),
    Rule("cavitation", (O.LUNG_LESION,)),
    Rule("lung neoplasms", (O.LUNG_LESION,)),
    Rule("neoplasm metastasis", (O.LUNG_LESION,), **VIA_LUNG),
    Rule("pulmonary edema", (O.EDEMA,)),
    Rule("heart failure", (O.EDEMA,)),
    # Vascular congestion alone is an uncertain Edema here; uncertain counts as positive.
    Rule("pulmonary congestion", (O.EDEMA,)),
    Rule("pneumonia", (O.PNEUMONIA,)),
    Rule("infection", (O.PNEUMONIA,)),
    Rule("pneumonitis", (O.PNEUMONIA,)),
    Rule("pulmonary atelectasis", (O.ATELECTASIS,)),
    Rule("pneumothorax", (O.PNEUMOTHORAX,)),
    Rule("hydropneumothorax", (O.PNEUMOTHORAX, O.PLEURAL_EFFUSION)),
    Rule("pleural effusion", (O.PLEURAL_EFFUSION,)),
    Rule("hemothorax", (O.PLEURAL_EFFUSION,)),
    Rule("costophrenic angle", (O.PLEURAL_EFFUSION,), any_of=frozenset({"blunted"})),
    Rule("sulcus", (O.PLEURAL_EFFUSION,), any_of=frozenset({"blunted"})),
    Rule("pleura", (O.PLEURAL_EFFUSION,), any_of=frozenset({"blunted"})),
    Rule("thickening", (O.PLEURAL_OTHER,), any_of=frozenset({"pleura"})),
    Rule("cicatrix", (O.PLEURAL_OTHER,), any_of=frozenset({"pleura"})),
    Rule("pleural diseases", (O.PLEURAL_OTHER,)),
    Rule("fractures, bone", (O.FRACTURE,)),
    # Doubtful: a deformity need not be an old fracture; the conventions call it uncertain.
    Rule("deformity", (O.FRACTURE,), any_of=BONES),
    Rule("catheters, indwelling", (O.SUPPORT_DEVICES,)),
    Rule("tube, inserted", (O.SUPPORT_DEVICES,)),
    Rule("implanted medical device", (O.SUPPORT_DEVICES,)),
    Rule("medical device", (O.SUPPORT_DEVICES,)),
    Rule("surgical instruments", (O.SUPPORT_DEVICES,)),
    Rule("stents", (O.SUPPORT_DEVICES,)),
    Rule("sutures", (O.SUPPORT_DEVICES,)),
    # Doubtful: a fusion coded without hardware is left out by the conventions.
    Rule("spinal fusion", (O.SUPPORT_DEVICES,)),
)

NOT_BLOCKING = (
    ("normal", NONE),
    ("technical quality of image unsatisfactory", NONE),
    ("lung", frozenset({"hypoinflation", "azygos lobe"})),
    ("markings", frozenset({"bronchovascular"})),
    ("nipple shadow", NONE),
    ("mastectomy", NONE),
    ("breast implants", NONE),
    ("contrast media", NONE),
    # Doubtful: fat beside the heart is taken for a normal variant.
    ("epicardial fat", NONE),
)
"""Headings (with one of the qualifiers) that leave No Finding standing; so do devices."""


def blocks(heading: str, qualifiers: frozenset[str]) -> bool:
    return not any(
        heading == name and (not any_of or any_of & qualifiers) for name, any_of in NOT_BLOCKING
    )


def observations(codes: Iterable[str]) -> frozenset[O]:
    """Return which of the 14 a study's codes name, present or uncertain."""
    found: set[O] = set()
    blocked = False
    for code in codes:
        heading, *rest = (part.strip().lower() for part in code.split("/"))
        qualifiers = frozenset(rest)
        named = {o for rule in RULES if rule.holds(heading, qualifiers) for o in rule.observations}
        found |= named
        blocked |= named != {O.SUPPORT_DEVICES} and blocks(heading, qualifiers)
    if not blocked:
        found.add(O.NO_FINDING)
    return frozenset(found)


WORDS = {
    "side": ("left", "right", "bilateral"),
    "severity": ("small", "mild", "moderate", "large", "severe"),
}


def attributes(codes: Iterable[str], name: str) -> frozenset[tuple[O, str]]:
    """Return (observation, word) for every code that names an observation and a word.

    ``name`` is ``side`` or ``severity``. Bilateral is given as left and right.
    """
    found = set()
    for code in codes:
        _, *rest = (part.strip().lower() for part in code.split("/"))
        for observation in observations([code]) - {O.NO_FINDING}:
            found |= {(observation, word) for word in WORDS[name] if word in rest}
    return merged(found)


def merged(pairs: Iterable[tuple[O, str]]) -> frozenset[tuple[O, str]]:
    """Return ``pairs`` with bilateral split into left and right, so that both spellings agree."""
    found = set(pairs)
    for observation, word in list(found):
        if word == "bilateral":
            found.discard((observation, word))
            found |= {(observation, "left"), (observation, "right")}
    return frozenset(found)
