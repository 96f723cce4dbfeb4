"""Attenuation of tissues."""

SOFT, LUNG = 0.0195, 0.0052
"""Attenuation of soft tissue and of inflated lung, 1/mm, at the effective energy of a 110 kV beam
(about 60 keV; NIST XCOM: soft tissue 0.0205/mm; lung at a density of 0.26 g/cm³)."""
