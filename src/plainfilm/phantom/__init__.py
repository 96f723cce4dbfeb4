"""Simulated chest films whose truth is known exactly: a measuring instrument, not real data."""

from plainfilm.phantom.prevalence import PREVALENCE
from plainfilm.phantom.simulate import PhantomStudy, simulate

__all__ = ["PREVALENCE", "PhantomStudy", "simulate"]
