"""Write Open-i's reports as JSON lines (id, text), for ``plainfilm metrics probe`` and the like.

    python benchmarks/iu_reports.py --reports NLMCXR_reports.tgz --leave-out reserved.txt OUT.jsonl

The text is findings, newline, impression, of every study that has a report and a coding; studies
named in ``--leave-out`` (the third kept out of the reader's development) are skipped.
"""

import argparse
from pathlib import Path

from reader_iu import read_archive

from plainfilm.metrics.files import write_rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--reports", type=Path, required=True, help="Open-i's archive")
    parser.add_argument("--leave-out", type=Path, help="a file with an id a line")
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    left_out = set(arguments.leave_out.read_text().split()) if arguments.leave_out else set()
    reports = [one for one in read_archive(arguments.reports) if one.id not in left_out]
    write_rows(arguments.output, [{"id": one.id, "text": one.text} for one in reports])
    print(f"wrote {len(reports)} reports into {arguments.output}")


if __name__ == "__main__":
    main()
