"""The 212 classes of anatomy, pathology and foreign objects of ASaRG's segmentation maps.

Numbers, order and spelling are those of the table at the end of the ASaRG paper (an extended CXAS;
its spellings such as *trunc* and *Stiches* are kept, since names are keys). The paper says that
20 superclasses worked as well as the 212, but not which: the grouping here is plainfilm's own, 18
anatomical groups in the table's order, no two of which cover the same area, then two of findings.
Opacity and edema have no class in the table; plainfilm adds them, with names that say so. The lead
letter, *Letters*, belongs to no superclass: it is on most films and is not an object in the
patient.
"""

from dataclasses import dataclass

SUPERCLASSES = (
    "spine", "sternum and cartilage", "clavicles", "scapulae", "posterior ribs", "anterior ribs",
    "diaphragm", "abdomen", "mediastinum", "heart", "aorta", "other great vessels", "lungs",
    "upper lung zones", "lower lung zones", "less obstructed lungs", "airways", "breasts",
    "finding: pathology", "finding: foreign object",
)  # fmt: skip
"""Names of the 20 superclasses, in the order of the models' maps. Anatomical ones have a map on
every film; those that begin with ``finding:`` are empty without a finding, so that a non-empty map
alone reveals one."""

ORDINALS = (
    "1st", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th", "9th", "10th", "11th", "12th",
)  # fmt: skip
VERTEBRAE = (
    *(f"C{n}" for n in range(1, 8)), *(f"T{n}" for n in range(1, 13)),
    *(f"L{n}" for n in range(1, 6)),
)  # fmt: skip
ZONES = (
    "lung", "right lung", "left lung", "lung base", "mid zone lung", "upper zone lung",
    "apical zone lung", "right upper zone lung", "right mid zone lung", "right lung base",
    "right apical zone lung", "left upper zone lung", "left mid zone lung", "left lung base",
    "left apical zone lung",
)  # fmt: skip
"""The lungs, whole and by zone; the table lists each a second time as *less obstructed*."""


@dataclass(frozen=True)
class AnatomyClass:
    """One class of the table, or one that plainfilm adds."""

    index: int
    """Row of the table, 0 to 211; the added classes follow."""
    name: str
    superclass: str | None
    """None for the lead letter."""


def _zone(name: str) -> str:
    """Return the superclass of one of :data:`ZONES`; middle zones belong to the whole lungs."""
    if "upper" in name or "apical" in name:
        return "upper lung zones"
    return "lower lung zones" if name.endswith("base") else "lungs"


def _ribs() -> list[tuple[str, str]]:
    """Return (name, superclass) of the ribs in the table's order: by side, then both sides."""
    single, both = [], [("12th rib", "posterior ribs")]
    for ordinal in reversed(ORDINALS):
        parts = ("posterior",) if ordinal == "12th" else ("anterior", "posterior")
        single += [
            (f"{part} {ordinal} rib {side}", f"{part} ribs")
            for side in ("right", "left")
            for part in parts
        ]
        if ordinal != "12th":
            both += [(f"{part} {ordinal} rib", f"{part} ribs") for part in reversed(parts)]
    return single + both


def _table() -> tuple[AnatomyClass, ...]:
    groups: list[tuple[str, tuple[str, ...]]] = [
        ("spine", ("spine", "cervical spine", "thoracic spine", "lumbar spine",
                   *(f"vertebrae {name}" for name in VERTEBRAE))),
        ("sternum and cartilage", ("rib_cartilage", "sternum")),
        ("clavicles", ("clavicles", "clavicle left", "clavicle right")),
        ("scapulae", ("scapulas", "scapula left", "scapula right")),
        ("ribs", ()),
        ("diaphragm", ("diaphragm", "left hemidiaphragm", "right hemidiaphragm")),
        ("abdomen", ("stomach", "small bowel", "duodenum", "liver", "pancreas", "kidney left",
                     "kidney right")),
        ("mediastinum", ("cardiomediastinum", "upper mediastinum", "lower mediastinum",
                         "anterior mediastinum", "middle mediastinum", "posterior mediastinum")),
        ("heart", ("heart", "heart atrium left", "heart atrium right", "heart myocardium",
                   "heart ventricle left", "heart ventricle right")),
        ("aorta", ("aorta", "ascending aorta", "descending aorta", "aortic arch")),
        ("other great vessels", ("pulmonary artery", "pulmonary trunc", "left pulmonary artery",
                                 "right pulmonary artery", "inferior vena cava")),
        ("mediastinum", ("esophagus",)),
        ("zones", ()),
        ("lungs", ("lung lower lobe left", "lung upper lobe left", "lung lower lobe right",
                        "lung middle lobe right", "lung upper lobe right")),
        ("less obstructed lungs", ("less obstructed lung", *(f"l. obs. {z}" for z in ZONES[1:]))),
        ("airways", ("trachea", "tracheal bifurcation")),
        ("breasts", ("breast", "breast left", "breast right")),
        ("finding: pathology", ("Atelectasis", "Calcification", "Cardiomegaly", "Consolidation",
                       "Diffuse Nodule", "Effusion", "Emphysema", "Fibrosis", "Fracture", "Mass",
                       "Nodule", "Pleural Thickening", "Pneumothorax")),
        ("finding: foreign object", ("CVC - Normal", "CVC - Borderline", "NGT - Normal",
                            "ETT - Normal",
                            "NGT - Incompletely Imaged", "CVC - Abnormal", "ETT - Borderline",
                            "Swan Ganz Catheter Present", "NGT - Borderline", "NGT - Abnormal",
                            "ETT - Abnormal", "Fremdkörper", "Cable", "Clamp", "electronics",
                            "Throat Pipe", "Pipe", "Letters", "Stiches", "Sensors", "Implant",
                            "Foreign Object")),
    ]  # fmt: skip
    named: list[tuple[str, str]] = []
    for superclass, names in groups:
        if superclass == "ribs":
            named += _ribs()
        elif superclass == "zones":
            named += [(name, _zone(name)) for name in ZONES]
        else:
            named += [(name, superclass) for name in names]
    return tuple(
        AnatomyClass(index, name, None if name == "Letters" else superclass)
        for index, (name, superclass) in enumerate(named)
    )


CLASSES = _table()
"""All 212 classes by index."""
ADDED = tuple(
    AnatomyClass(len(CLASSES) + index, f"plainfilm: {name}", "finding: pathology")
    for index, name in enumerate(("Lung Opacity", "Edema"))
)
"""Classes that plainfilm adds to the table."""
