"""A filled table (``table.json``) as Markdown: scores by row, comparisons of rows, protocol."""

from collections.abc import Mapping
from statistics import fmean, stdev
from typing import Any

from plainfilm.evaluation.conditions import CONDITIONS, largest_changes

Results = Mapping[str, Any]


def table_markdown(results: Results, command: str) -> str:
    """Return the Markdown page of a table.

    Args:
        results: content of ``table.json``.
        command: the command that made the table.
    """
    asked, rows = results["asked"], results["rows"]
    seeds, studies = len(asked["seeds"]), results["studies"]
    lines = [f"# {asked['title']}, {asked['size']} size", "", "```", command, "```", ""]
    films = "*simulated* studies" if results["simulated"] else "studies"
    lines.append(
        f"{studies['test']} {films} of the test split; {studies['train']} to train on, "
        f"{studies['validate']} to validate on. {_spread_note(seeds)} In brackets the 95 % "
        "interval of the mean, from resampling the test studies."
    )
    metrics = list(next(iter(rows.values()))["metrics"])
    for group in (metrics[:4], *(metrics[i : i + 5] for i in range(4, len(metrics), 5))):
        lines += ["", *_score_lines(rows, group)]
    for note in results["notes"]:
        lines += ["", f"*{note}*"]
    for answer in results["answers"]:
        lines += ["", *_answer_lines(answer, rows, seeds)]
    if all("variety" in row for row in rows.values()):
        lines += ["", *_variety_lines(rows)]
    if "groups" in results:
        lines += ["", *_group_lines(results["groups"], rows)]
    for part in results.get("parts", ()):
        lines += ["", f"# On {part['studies']} studies: {part['name']}"]
        for group in (metrics[:4], *(metrics[i : i + 5] for i in range(4, len(metrics), 5))):
            lines += ["", *_score_lines(part["rows"], group)]
        for answer in part["answers"]:
            lines += ["", *_answer_lines(answer, part["rows"], seeds)]
        lines += ["", *_variety_lines(part["rows"])]
        if "groups" in part:
            lines += ["", *_group_lines(part["groups"], part["rows"])]
    for section in (_classifier_lines, _condition_lines, _gradient_lines):
        if found := section(rows):
            lines += ["", *found]
    lines += ["", "## Signatures", ""]
    lines += [f"- `{one['signature']}`" for one in next(iter(rows.values()))["metrics"].values()]
    return "\n".join(lines) + "\n"


def _spread_note(seeds: int) -> str:
    if seeds == 1:
        return "One seed a row, so what another training would give is not known."
    return f"Mean ± standard deviation over {seeds} seeds."


def _score_lines(rows: Results, metrics: list[str]) -> list[str]:
    lines = [f"| | parameters | {' | '.join(metrics)} |", "|---" * (len(metrics) + 2) + "|"]
    for row in rows.values():
        cells = [_cell(row["metrics"][name]) for name in metrics]
        size = f"{row['parameters'] / 1e6:.1f} M" if row["parameters"] else "–"
        lines.append(f"| {row['name']} | {size} | {' | '.join(cells)} |")
    return lines


def _variety_lines(rows: Results) -> list[str]:
    """Return how long, varied and guarded the rows' reports are."""
    names = list(next(iter(rows.values()))["variety"])
    lines = ["## Length, variety and faults", ""]
    lines += [f"| | minutes of training | {' | '.join(names)} |", "|---" * (len(names) + 2) + "|"]
    for row in rows.values():
        values = [row["variety"][name] for name in names]
        cells = ["undefined" if one is None else f"{one:.3g}" for one in values]
        minutes = f"{row['minutes']:.1f}" if row.get("minutes") else "–"
        lines.append(f"| {row['name']} | {minutes} | {' | '.join(cells)} |")
    note = "Means over the seeds; template-sentences: share of sentences that stand in 1 % of the "
    return [*lines, "", note + "training reports or more."]


def _group_lines(groups: Results, rows: Results) -> list[str]:
    """Return a table for each metric of the breakdown."""
    lines = []
    names = list(groups["studies"])
    measured = next(iter(next(iter(groups["rows"].values())).values()))
    for metric in measured:
        heads = [f"{name} ({groups['studies'][name]})" for name in names]
        lines += [f"## {metric} by {groups['by']} (studies)", ""]
        lines += [f"| | {' | '.join(heads)} |", "|---" * (len(names) + 1) + "|"]
        for row, found in groups["rows"].items():
            values = [found[name][metric] for name in names]
            cells = ["–" if one is None else f"{one:.3f}" for one in values]
            lines.append(f"| {rows[row]['name']} | {' | '.join(cells)} |")
        lines.append("")
    return lines[:-1]


def _cell(score: Results) -> str:
    low, high = score["interval"]
    deviation = "" if score["deviation"] is None else f" ± {score['deviation']:.3f}"
    bounds = "" if low is None else f" [{low:.3f}, {high:.3f}]"
    return "undefined" if score["mean"] is None else f"{score['mean']:.3f}{deviation}{bounds}"


def _answer_lines(answer: Results, rows: Results, seeds: int) -> list[str]:
    lines = [f"## {answer['question']} ({answer['metric']})", "", _sentence(answer["pairs"]), ""]
    lines += ["| second | against first | difference | 95 % interval | p | the second is |"]
    lines += ["|---|---|---|---|---|---|"]
    for pair in answer["pairs"]:
        low, high = (_signed(bound) for bound in pair["interval"])
        p_value = "–" if pair["p_value"] is None else f"{pair['p_value']:.4f}"
        names = (rows[pair[side]]["name"] for side in ("second", "first"))
        cells = [*names, _signed(pair["difference"]), f"{low} to {high}", p_value, pair["verdict"]]
        lines.append(f"| {' | '.join(cells)} |")
    sided = "one-sided" if answer.get("one_sided") else "two-sided"
    p_note = (
        f"p: Welch's t-test between the seeds, {sided}, Holm's correction over these pairs."
        if seeds > 1
        else "With one seed there is no test between trainings; the interval alone decides."
    )
    return [*lines, "", f"Interval: bootstrap over the test studies. {p_note}"]


def _sentence(pairs: list[Results]) -> str:
    """Return a sentence that answers a question from the comparisons of its pairs."""
    counts = {
        verdict: sum(pair["verdict"] == verdict for pair in pairs)
        for verdict in ("better", "worse", "not shown")
    }
    of = f"of {len(pairs)} pair{'s' if len(pairs) > 1 else ''}"
    if counts["better"] == len(pairs):
        return f"Yes: shown in {counts['better']} {of}."
    if counts["better"] and not counts["worse"]:
        return f"In part: shown in {counts['better']} {of}, not shown in the rest."
    if counts["better"]:
        return f"It depends: better in {counts['better']} {of}, worse in {counts['worse']}."
    if counts["worse"]:
        return f"No: worse in {counts['worse']} {of}, no gain shown in any."
    return f"Not shown in any {of}."


def _classifier_lines(rows: Results) -> list[str]:
    """Return how each row's classifier and text agree, and what is known by observation."""
    told = {key: row for key, row in rows.items() if "classifier" in row}
    if not told:
        return []
    names = list(next(iter(told.values()))["classifier"])
    lines = ["## What the classifier knows, and the text says", ""]
    lines += [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for row in told.values():
        cells = [_mean(row["classifier"][name]) for name in names]
        lines.append(f"| {row['name']} | {' | '.join(cells)} |")
    return lines


def _condition_lines(rows: Results) -> list[str]:
    """Return what conditions changed in the share of reports that state each observation."""
    found = {key: row for key, row in rows.items() if "conditions" in row}
    lines: list[str] = []
    for row in found.values():
        seeds = row["conditions"]
        names = list(seeds[0])
        observations = list(seeds[0][names[0]]["observations"])
        words = [CONDITIONS[name] for name in names]
        lines += ["", f"## What changes what is written: {row['name']}", ""]
        lines += ["Share of reports in which an observation comes or goes.", ""]
        lines += [f"| | {' | '.join(words)} |", "|---" * (len(names) + 1) + "|"]
        for observation in observations:
            cells = []
            for name in names:
                each = [one[name]["observations"][observation] for one in seeds]
                cells.append(_mean([one["added"] + one["removed"] for one in each]))
            lines.append(f"| {observation} | {' | '.join(cells)} |")
        if "moved-value" in names:
            lines += ["", *_moved_lines([one["moved-value"]["values"] for one in seeds])]
    return lines[1:]


def _moved_lines(seeds: list[list[Results]]) -> list[str]:
    """Return which observations each moved value adds or takes away, mean over the seeds."""
    lines = ["| value | moved to | studies | change in the share of reports that state it |"]
    lines.append("|---|---|---|---|")
    for place, one in enumerate(seeds[0]):
        each = [found[place]["observations"] for found in seeds]
        means = {
            name: {
                side: sum(found[name][side] for found in each) / len(each)
                for side in ("before", "after")
            }
            for name in each[0]
        }
        said = ", ".join(f"{name} {by:+.3f}" for name, by in largest_changes(means))
        lines.append(f"| {one['value']} | {one['to']} | {one['studies']} | {said or 'none'} |")
    return lines


def _gradient_lines(rows: Results) -> list[str]:
    """Return what was measured of the losses' gradients while the rows trained."""
    found = {key: row for key, row in rows.items() if "logged" in row}
    if not found:
        return []
    names = sorted({name for row in found.values() for name in row["logged"]})
    lines = ["## The losses' gradients and learned weights, mean over training", ""]
    lines += [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for row in found.values():
        cells = [_mean(row["logged"].get(name, [])) for name in names]
        lines.append(f"| {row['name']} | {' | '.join(cells)} |")
    return lines


def _mean(values: list[float | None]) -> str:
    """Return mean ± standard deviation over the seeds."""
    defined = [value for value in values if value is not None]
    if not defined:
        return "–"
    spread = f" ± {stdev(defined):.3f}" if len(defined) > 1 else ""
    return f"{fmean(defined):.3f}{spread}"


def _signed(value: float | None) -> str:
    return "undefined" if value is None else f"{value:+.3f}"
