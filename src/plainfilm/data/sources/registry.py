"""The published collections that plainfilm reads: where to get them, and under which terms.

The facts are from the publishers' pages, where users agree to the terms when they download.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Source(NamedTuple):
    """A published collection."""

    title: str
    url: str
    licence: str
    access: str
    """Requirements for access."""
    credentialed: bool = False
    """Whether its terms forbid sharing any of it."""


_PHYSIONET = "PhysioNet Credentialed Health Data License 1.5.0"
_CREDENTIALED = "credentialed PhysioNet account, CITI training and a signed data use agreement"

_BIMCV = "registration with BIMCV and its research use agreement"

SOURCES: Mapping[str, Source] = {
    "mimic-cxr": Source(
        "MIMIC-CXR", "https://physionet.org/content/mimic-cxr-jpg/", _PHYSIONET, _CREDENTIALED, True
    ),
    "chexpert-plus": Source(
        "CheXpert Plus",
        "https://aimi.stanford.edu/datasets/chexpert-plus",
        "Stanford University Dataset Research Use Agreement (research, not commercial)",
        "registration with Stanford AIMI and its agreement",
        True,
    ),
    "rexgradient": Source(
        "ReXGradient-160K",
        "https://huggingface.co/datasets/rajpurkarlab/ReXGradient-160K",
        "ReXGradient-160K Non-Commercial Data Access and Use Agreement",
        "a Hugging Face account and that agreement",
        True,
    ),
    "padchest": Source(
        "PadChest",
        "https://bimcv.cipf.es/bimcv-projects/padchest/",
        "PadChest Dataset Research Use Agreement",
        _BIMCV,
        True,
    ),
    "padchest-gr": Source(
        "PadChest-GR",
        "https://bimcv.cipf.es/bimcv-projects/padchest-gr/",
        "PadChest-GR Research Use Agreement",
        _BIMCV,
        True,
    ),
    "brax": Source("BRAX", "https://physionet.org/content/brax/", _PHYSIONET, _CREDENTIALED, True),
    "iu-kaggle": Source(
        "IU X-ray (Kaggle)",
        "https://www.kaggle.com/datasets/raddar/chest-xrays-indiana-university",
        "CC BY-NC-ND 4.0",
        "open (a Kaggle account)",
    ),
    "r2gen": Source(
        "R2Gen's distribution",
        "https://github.com/zhjohnchan/R2Gen",
        "that of its films: IU X-ray CC BY-NC-ND 4.0, MIMIC-CXR PhysioNet's",
        "as of its films: open for IU X-ray, credentialed for MIMIC-CXR",
    ),
    "vindr-cxr": Source(
        "VinDr-CXR", "https://physionet.org/content/vindr-cxr/", _PHYSIONET, _CREDENTIALED, True
    ),
    "nih": Source(
        "NIH ChestX-ray14",
        "https://nihcc.app.box.com/v/ChestXray-NIHCC",
        "unrestricted use, with acknowledgement of the NIH Clinical Center",
        "open",
    ),
    "candid-ptx": Source(
        "CANDID-PTX",
        "https://figshare.com/articles/dataset/CANDID-PTX/14173982",
        "CANDID-PTX data use agreement",
        "an ethics course and a signed data use agreement",
        True,
    ),
    "llava-rad": Source(
        "LLaVA-Rad's annotations of MIMIC-CXR",
        "https://physionet.org/content/llava-rad-mimic-cxr-annotation/",
        _PHYSIONET,
        _CREDENTIALED,
        True,
    ),
    "rexrank": Source(
        "ReXrank's evaluation sets",
        "https://github.com/rajpurkarlab/ReXrank",
        "that of its films' collection",
        "as of its films' collection",
        True,
    ),
    "huggingface": Source(
        "a folder of Hugging Face datasets",
        "https://huggingface.co/docs/datasets",
        "not said",
        "as its owner says",
    ),
}
"""Name of the command that reads the collection → the collection."""
