"""Simulated chest films whose truth is known exactly: a measuring instrument, not real data."""

from plainfilm.phantom.institutions import INSTITUTIONS
from plainfilm.phantom.prevalence import PREVALENCE
from plainfilm.phantom.simulate import PhantomStudy, simulate

__all__ = ["INSTITUTIONS", "PREVALENCE", "PhantomStudy", "simulate"]
