"""The target: the part of a report that is learned and scored."""

from plainfilm.core import Report
from plainfilm.data.dataset import Row

TARGETS = ("findings", "impression", "findings+impression")
"""Parts of a report that can be learned and scored."""


def target_report(row: Row, target: str) -> Report:
    """Return the part of a row's report that is learned and scored.

    Args:
        row: a row of a dataset.
        target: one of :data:`TARGETS`.
    """
    return Report(
        findings=row.findings if "findings" in target else "",
        impression=row.impression if "impression" in target else "",
    )
