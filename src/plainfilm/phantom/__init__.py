"""Simulated chest films with exactly known ground truth: a measuring instrument, not real data."""

from plainfilm.core import MissingDependencyError
from plainfilm.phantom.disease.prevalence import PREVALENCE
from plainfilm.phantom.reporting.institutions import INSTITUTIONS

try:
    from plainfilm.phantom.simulate import PhantomStudy, simulate
except ModuleNotFoundError as error:
    if error.name is None or error.name.split(".")[0] != "scipy":
        raise
    raise MissingDependencyError.of("scipy", "data") from error

__all__ = ["INSTITUTIONS", "PREVALENCE", "PhantomStudy", "simulate"]
