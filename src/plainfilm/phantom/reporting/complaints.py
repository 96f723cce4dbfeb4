"""Complaints: the group of a study's indication, drawn given the patient's conditions.

Each group of complaints has a weight, raised or lowered by conditions and signs. Every group also
occurs in patients without its finding, and every finding under other groups, with the likelihood
ratios of real indications if Open-i's reports provide them (``docs/phantom.md``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from plainfilm.phantom.reporting.background import Background


@dataclass(frozen=True)
class Complaint:
    """Weight of a group of complaints, and factors that make it likelier or rarer."""

    weight: float
    factors: Mapping[str, float] = field(default_factory=dict)
    """Condition or sign → factor on the weight at full strength."""


COMPLAINTS: Mapping[str, Complaint] = MappingProxyType({
    "chest pain": Complaint(2.2, {"coronary syndrome": 4, "embolism": 2, "pneumothorax": 0.8,
                                  "injury": 0.4, "operation": 0.4, "bedside": 0.6}),
    "pleuritic": Complaint(0.12, {"embolism": 6, "lung infection": 2, "pneumothorax": 2}),
    "dyspnea": Complaint(1.3, {"heart failure": 4.5, "lung infection": 1.4, "lung disease": 1.6,
                               "pneumothorax": 1.3, "effusion": 1.3, "embolism": 4,
                               "heart disease": 1.3}),
    "heart": Complaint(0.10, {"heart failure": 7, "heart disease": 3.5, "effusion": 2}),
    "infection": Complaint(0.35, {"lung infection": 13, "airway infection": 4,
                                  "other infection": 3.5}),
    "cough": Complaint(0.9, {"lung infection": 1.8, "airway infection": 6, "smoking": 1.4,
                             "lung disease": 1.5, "bedside": 0.5}),
    "injury": Complaint(0.10, {"injury": 30}),
    "tumour": Complaint(0.22, {"smoking": 3, "cancer": 1.0}),
    "cancer": Complaint(0.12, {"cancer": 16}),
    "lung disease": Complaint(0.08, {"lung disease": 14}),
    "preoperative": Complaint(0.8, {"bedside": 0.25, "injury": 0.4, "heart failure": 0.3,
                                    "lung infection": 0.25, "other infection": 0.4}),
    "postoperative": Complaint(0.05, {"operation": 25, "bedside": 1.5}),
    "devices": Complaint(0.07, {"bedside": 6, "devices": 2.5}),
    "intensive": Complaint(0.02, {"bedside": 16, "endotracheal tube": 1.5, "heart failure": 1.5,
                                  "lung infection": 1.5}),
    "follow-up pneumothorax": Complaint(0.012, {"pneumothorax": 8, "operation": 2, "injury": 2}),
    "follow-up effusion": Complaint(0.03, {"effusion": 4, "cancer": 1.5}),
    "follow-up pneumonia": Complaint(0.06, {"consolidation": 3.5, "opacity": 2.5,
                                            "lung infection": 2}),
    "nodule": Complaint(0.07, {"lesion": 2.2, "cancer": 1.5}),
    "syncope": Complaint(0.5, {"heart disease": 1.3, "injury": 0.5}),
    "abdominal": Complaint(0.5, {"other infection": 1.5}),
    "weakness": Complaint(0.5, {"other infection": 2, "heart failure": 1.2, "cancer": 1.3}),
    "screening": Complaint(0.55, {"bedside": 0.03, "heart failure": 0.1, "lung infection": 0.2,
                                  "injury": 0.1, "other infection": 0.2, "operation": 0.1}),
})  # fmt: skip
"""Groups with weights and factors that yield the likelihood ratios; see ``benchmarks``."""


def draw_complaint(
    rng: np.random.Generator,
    background: Background,
    asks: Mapping[str, float] = MappingProxyType({}),
) -> str:
    """Return a film's group of complaints; ``asks`` has an institution's factors on the weights."""
    strength = dict(background.signs) | dict.fromkeys(background.conditions, 1.0)
    weights = []
    for name, complaint in COMPLAINTS.items():
        weight = complaint.weight * asks.get(name, 1.0)
        for sign, factor in complaint.factors.items():
            weight *= factor ** strength.get(sign, 0.0)
        weights.append(weight)
    edges = np.cumsum(weights)
    drawn = int(np.searchsorted(edges, rng.random() * edges[-1], side="right"))
    return list(COMPLAINTS)[min(drawn, len(COMPLAINTS) - 1)]
