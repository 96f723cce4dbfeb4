"""Prevalence: how often each disease is drawn, with requested shares and realistic correlations.

A patient is sick or normal; a sick one has at least one of the diseases of :data:`RISKS`. The
probability of each is a probit: its intercept, plus the effects of age, sex and bedside, plus the
loadings of three latent factors (heart failure, infection, injury), which correlate diseases. The
intercepts are solved so that over all patients each disease has the requested share, whatever the
correlations. The effects are set by eye: their signs follow common knowledge.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from numbers import Real
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from plainfilm.core import InputError
from plainfilm.phantom.anatomy.patient import FEMALE

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Risk:
    """Effects on a disease's probability, on the probit scale; for age, per standard deviation."""

    share: float
    """Default share of all studies."""
    age: float = 0.0
    male: float = 0.0
    bedside: float = 0.0
    heart: float = 0.0
    infection: float = 0.0
    injury: float = 0.0


RISKS: Mapping[str, Risk] = MappingProxyType({
    "heart failure": Risk(0.19, age=0.4, bedside=0.4, heart=1.6),
    "cardiomegaly": Risk(0.22, age=0.3, bedside=0.2, heart=1.4),
    "wide mediastinum": Risk(0.08, age=0.3, bedside=0.1, injury=0.2),
    "effusion": Risk(0.21, age=0.25, bedside=0.3, heart=1.0, infection=0.2),
    "pneumothorax": Risk(0.095, age=-0.25, male=0.4, heart=-0.4, injury=0.7),
    "consolidation": Risk(0.135, age=0.1, bedside=0.1, infection=0.4),
    "opacity": Risk(0.125, age=0.1, bedside=0.15, infection=0.4),
    "lesion": Risk(0.13, age=0.35, male=0.1),
    "atelectasis": Risk(0.155, age=0.15, bedside=0.2, heart=0.2, infection=0.2),
    "fracture": Risk(0.11, age=-0.1, male=0.3, injury=0.7),
    "pleural thickening": Risk(0.08, age=0.35, male=0.2),
    "lobar collapse": Risk(0.035, bedside=0.3, infection=0.3),
    "emphysema": Risk(0.06, age=0.4, male=0.2),
    "hiatal hernia": Risk(0.045, age=0.5, male=-0.2),
    "scoliosis": Risk(0.05, age=0.15, male=-0.3),
    "aortic calcification": Risk(0.09, age=1.0),
    "healed fracture": Risk(0.05, age=0.3, male=0.3),
})  # fmt: skip

NORMAL, DEVICES = 0.28, 0.25
"""Shares of studies with none of these diseases, and with lines, tubes or other devices."""

PREVALENCE: Mapping[str, float] = MappingProxyType(
    {"normal": NORMAL, **{name: risk.share for name, risk in RISKS.items()}, "devices": DEVICES}
)
"""Share of all studies with each disease. ``normal`` has no disease, but may have devices."""

BEDSIDE = 0.25
"""Share of films taken at the bedside."""
SICK = Risk(1 - NORMAL, age=0.25, bedside=0.75)
WITH_DEVICES = Risk(DEVICES, age=0.1, bedside=0.75)
SICK_WITH_DEVICES = 0.5
"""Effect of being sick on the probability of devices, on the probit scale."""

RAREST = -12.0
"""Lowest intercept; below it probabilities lose precision."""

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(5)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
_FACTORS = np.stack(np.meshgrid(_NODES, _NODES, _NODES, indexing="ij")).reshape(3, -1)
"""All values of the three discrete latent factors, ``(3, states)``."""
_FACTOR_WEIGHTS = np.einsum("i,j,k->ijk", _WEIGHTS, _WEIGHTS, _WEIGHTS).ravel()


@dataclass(frozen=True)
class Chances:
    """The solved model from which patients' diseases are drawn."""

    names: tuple[str, ...]
    bases: Floats
    sick: float
    devices: float

    def draw(
        self, rng: np.random.Generator, age: float, female: bool, bedside: bool
    ) -> tuple[frozenset[str], bool]:
        """Return the diseases of a patient of ``age`` (in standard deviations), and whether there
        are devices. Every call consumes the same number of random numbers."""
        draws = rng.random(len(self.names) + 3)
        context = np.array([age, 0.0 if female else 1.0, float(bedside)])
        sick = draws[0] < _probit(self.sick + _effects([SICK]) @ context)[0]
        base = self.devices + sick * SICK_WITH_DEVICES
        devices = draws[1] < _probit(base + _effects([WITH_DEVICES]) @ context)[0]
        if not sick:
            return frozenset(), bool(devices)
        chances = _disease_chances(self.names, self.bases, context[None])[0]
        states = np.cumsum(_FACTOR_WEIGHTS * _any(chances, 0))
        state = int(np.searchsorted(states, draws[2] * states[-1], side="right"))
        own = chances[:, min(state, len(states) - 1)]
        found: set[str] = set()
        for place, name in enumerate(self.names):
            # a sick patient has at least one disease: condition on the remaining ones until then
            rest = 1.0 if found else float(_any(own[place:], 0))
            if draws[3 + place] * rest < own[place]:
                found.add(name)
        return frozenset(found), bool(devices)


def chances_of(prevalence: Mapping[str, float] | None = None, bedside: float = BEDSIDE) -> Chances:
    """Return the model for :data:`PREVALENCE` with entries overridden by ``prevalence``.

    By default ``normal`` keeps its share as far as the others leave room for it. ``bedside`` is the
    share of films taken at the bedside, where patients are sicker.

    Raises:
        InputError: an entry is unknown or not a share, or the shares exclude one another.
    """
    if not isinstance(prevalence or {}, Mapping):
        raise InputError(
            f"prevalence must map diseases to shares, like {{'lesion': 0.3}}, got {prevalence!r}"
        )
    given = dict(prevalence or {})
    if unknown := sorted(set(given) - set(PREVALENCE), key=str):
        raise InputError(f"no such diseases: {unknown}; choose from {', '.join(PREVALENCE)}")
    for name, share in given.items():
        if isinstance(share, bool) or not isinstance(share, Real) or not 0 <= float(share) <= 1:
            raise InputError(f"the prevalence of {name} must lie in [0, 1], got {share!r}")
    shares = {name: float(given.get(name, risk.share)) for name, risk in RISKS.items()}
    most, total = max(shares.values()), sum(shares.values())
    normal = given.get("normal", min(max(NORMAL, 1 - total), 1 - most))
    if normal > 1 - most + 1e-9 or normal < 1 - total - 1e-9:
        low, high = max(0.0, 1 - total), 1 - most
        raise InputError(
            f"with these prevalences {low:.3g} to {high:.3g} of all studies are normal, got "
            f"normal={normal:.3g}: change it or leave it out"
        )
    return _solve(
        tuple(shares.items()), float(normal), float(given.get("devices", DEVICES)), bedside
    )


@lru_cache(maxsize=64)
def _solve(
    shares: tuple[tuple[str, float], ...], normal: float, devices: float, bedside: float
) -> Chances:
    """Return the model whose intercepts yield the shares, by fixed-point iteration."""
    contexts, weights = _contexts(bedside)
    sick_base = _base(SICK, 1 - normal, contexts, weights)
    sick = _probit(sick_base + _effects([SICK]) @ contexts.T)[0]
    offsets = _effects([WITH_DEVICES]) @ contexts.T
    offsets = np.concatenate([offsets[0], offsets[0] + SICK_WITH_DEVICES])
    both = np.concatenate([weights * (1 - sick), weights * sick])
    device_base = _level(devices, offsets, both)
    wanted = {name: min(share / max(1 - normal, 1e-12), 1.0) for name, share in shares if share}
    names, targets = tuple(wanted), np.array(list(wanted.values()))
    if not names:
        return Chances((), np.zeros(0), -np.inf, device_base)
    among = weights * sick / (weights * sick).sum()
    loads = np.array([[r.heart, r.infection, r.injury] for r in (RISKS[n] for n in names)])
    step = np.sqrt(1 + np.square(loads).sum(axis=1))
    certain = targets >= 1
    goals = np.where(certain, 0.0, _quantile(np.where(certain, 0.5, targets)))
    bases = np.where(certain, np.inf, goals * step)
    for _ in range(500):
        chances = _disease_chances(names, bases, contexts)
        some = _any(chances, 1) @ _FACTOR_WEIGHTS
        reached = among @ (chances @ _FACTOR_WEIGHTS / some[:, None])
        error = np.abs(reached - targets).max()
        if error < 1e-5:
            break
        # the quantile of 0 or 1 is infinite, and infinite intercepts would stay infinite
        inside = np.clip(np.where(certain, 0.5, reached), 1e-300, 1 - 1e-16)
        move = np.where(certain, 0.0, goals - _quantile(inside))
        bases = bases + move * step
        bases = bases + max(RAREST - bases.min(), 0)
    if not error < 2e-3:
        raise InputError(
            f"prevalences that leave no room for one another, with normal={normal:.3g}: make "
            "normal larger or leave it out"
        )
    return Chances(names, bases, sick_base, device_base)


def _contexts(bedside: float) -> tuple[Floats, Floats]:
    """Return all contexts (age, male, bedside), ``(n, 3)``, and their weights."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(9)
    rows = [
        (age, male, at_bed, weight * sex * place)
        for age, weight in zip(nodes, weights / weights.sum(), strict=True)
        for male, sex in ((0.0, FEMALE), (1.0, 1 - FEMALE))
        for at_bed, place in ((0.0, 1 - bedside), (1.0, bedside))
    ]
    table = np.array(rows)
    return table[:, :3], table[:, 3]


def _effects(risks: Sequence[Risk]) -> Floats:
    return np.array([[risk.age, risk.male, risk.bedside] for risk in risks])


def _disease_chances(names: tuple[str, ...], bases: Floats, contexts: Floats) -> Floats:
    """Return the probability of each disease, ``(contexts, diseases, states of the factors)``."""
    risks = [RISKS[name] for name in names]
    loads = np.array([[risk.heart, risk.infection, risk.injury] for risk in risks])
    known = bases[:, None] + _effects(risks) @ contexts.T
    return _probit(known.T[:, :, None] + (loads @ _FACTORS)[None])


def _base(risk: Risk, share: float, contexts: Floats, weights: Floats) -> float:
    return _level(share, (_effects([risk]) @ contexts.T)[0], weights)


def _level(share: float, offsets: Floats, weights: Floats) -> float:
    """Return the intercept for which Φ(intercept + offset) averages ``share``, by bisection."""
    if share in (0.0, 1.0):
        return -np.inf if share == 0.0 else np.inf
    low, high = -12.0, 12.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        too_low = float(weights @ _probit(middle + offsets)) < share
        low, high = (middle, high) if too_low else (low, middle)
    return 0.5 * (low + high)


def _any(chances: Floats, axis: int) -> Floats:
    """Return the probability of at least one, accurate even if all are tiny."""
    with np.errstate(divide="ignore"):  # log 0 if one is certain
        result: Floats = -np.expm1(np.log1p(-chances).sum(axis=axis))
    return result


def _probit(values: Floats) -> Floats:
    from scipy.special import ndtr

    result: Floats = ndtr(values)
    return result


def _quantile(chances: Floats) -> Floats:
    from scipy.special import ndtri

    result: Floats = ndtri(chances)
    return result
