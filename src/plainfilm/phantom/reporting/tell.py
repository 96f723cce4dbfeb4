"""An institution's report of a film's truth, and a description of an institution's style."""

import random
from functools import cache

import numpy as np

from plainfilm.core import Finding, Observation, Report
from plainfilm.phantom.reporting.change import Seen
from plainfilm.phantom.reporting.institutions import ALWAYS, INSTITUTIONS, Institution
from plainfilm.phantom.reporting.mention import Earlier, absence, mention
from plainfilm.phantom.reporting.table import Table
from plainfilm.text.writer import write
from plainfilm.text.writer.phrasebook import load_phrasebook


def tell(
    rng: np.random.Generator,
    seen: Seen,
    table: Table,
    institution: Institution,
    *,
    language: str = "en",
    before: Earlier | None = None,
) -> Report:
    """Return an institution's report on a film, as written by someone with perfect vision.

    Args:
        rng: random generator for what is left out, hedged and denied, the radiologist, and the
            words.
        seen: truth and measures of the film.
        table: the clinical table.
        institution: the reporting institution.
        language: language of the report.
        before: the earlier film and its report, if there is one.
    """
    said = mention(rng, seen, table, institution, before)
    radiologist = int(rng.integers(institution.radiologists))
    words = random.Random(int(rng.integers(2**63)))  # noqa: S311
    known = load_phrasebook(language).remarks
    return write(
        said.findings,
        words,
        institution.style_in(language, radiologist),
        remarks=[name for name in said.remarks if name in known],
        template=said.template,
    )


LIMITS_IN_WORDS = {
    "effusion_ml": "pleural effusions below {:.0f} ml",
    "pneumothorax_rim_mm": "pneumothoraces narrower than {:.0f} mm",
    "lesion_diameter_mm": "nodules below {:.0f} mm",
    "pleural_thickness_mm": "pleural thickening below {:.0f} mm",
    "cobb_angle_deg": "scoliosis below {:.0f} degrees",
    "hernia_diameter_mm": "hiatal hernias below {:.0f} mm",
}
OFTEN = 0.3
"""Share of reports above which an omitted finer term is listed in the description of the style."""


def describe_style(institution: Institution, language: str = "en") -> str:
    """Return a description of an institution's style for a prompt: layout, length, omissions,
    hedging, and the report of a normal film from its template."""
    style = institution.style_in(language)
    parts = [
        "Findings under headings" if style.layout == "structured" else "Findings in prose",
        "short phrases" if style.wording == "terse" else "whole sentences",
        "with an impression" if style.impression else "without an impression",
    ]
    sentences = [", ".join(parts) + "."]
    if not institution.compares:
        sentences.append("Earlier films are not compared.")
    elif institution.compares != ALWAYS:
        sentences.append("Of earlier films only what has changed is told.")
    left_out = [
        words.format(institution.limits[name])
        for name, words in LIMITS_IN_WORDS.items()
        if institution.limits.get(name, 0) > 0
    ]
    left_out += [f"{name} (often)" for name, share in institution.omits.items() if share > OFTEN]
    if left_out:
        sentences.append(f"Not mentioned: {', '.join(left_out)}.")
    amount = "rarely" if institution.hedges < 0.3 else "often" if institution.hedges > 0.6 else ""
    sentences.append(f"What is doubtful is {amount or 'sometimes'} called possible.")
    normal = normal_report(institution, language)
    sentences.append(f"A normal film: {' '.join(normal.text.split())}")
    return " ".join(sentences)


@cache
def style_in_words(name: str, language: str = "en") -> str:
    """Return :func:`describe_style` of the institution called ``name``."""
    return describe_style(INSTITUTIONS[name], language)


def normal_report(institution: Institution, language: str = "en", radiologist: int = 0) -> Report:
    """Return the report of a normal film from an institution's template."""
    absent = [absence(name) for name in institution.denies]
    normal = Finding(observation=Observation.NO_FINDING)
    remarks = [name for name in institution.remarks if name in load_phrasebook(language).remarks]
    style = institution.style_in(language, radiologist)
    return write([*absent, normal], random.Random(0), style, remarks=remarks, template=True)  # noqa: S311
