"""The plan of a table: ``table.yaml``, its rows' recipes, and its sizes.

A ``table.yaml`` lies beside its recipes. It lists the rows in order (recipe → printed name), the
metrics, the questions that pairs of rows answer, and the sizes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError, field_validator, model_validator

import plainfilm
from plainfilm.core import RecipeError, Word, describe
from plainfilm.evaluation.conditions import CONDITIONS
from plainfilm.metrics.registry import resolve
from plainfilm.training.best_of import BestOf
from plainfilm.training.recipe import Recipe, load_recipe, read_yaml

TABLE = "table.yaml"
BEST_OF, AGREED = "-best", "-consensus"
"""Behind a row's name: the draft chosen from several (:mod:`.best_of`)."""


class Question(Word):
    """A question answered by comparing pairs of rows: is the second better?"""

    question: str
    metrics: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    one_sided: bool = False
    """Whether the test asks only if the second is better, not if they differ."""


class Size(Word):
    """One size of a table's recipes."""

    folder: Path
    """Folder of the recipes, beside ``table.yaml``."""
    without: tuple[str, ...] = ()
    """Rows that this size doesn't have."""
    starts: dict[str, str] = Field(default_factory=dict)
    """Row → the row whose first stage yields the weights it starts from, seed for seed."""
    start_key: str = ""
    """The recipe's key that is set to the folder of those weights (``model.initial.backbone``)."""

    @model_validator(mode="after")
    def _a_key_for_what_is_started_from(self) -> Self:
        if self.starts and not self.start_key:
            raise ValueError("starts needs start_key: the recipe's key that gets the folder")
        return self


class Table(Word):
    """The contents of a ``table.yaml``."""

    title: str
    rows: dict[str, str]
    """File name of a recipe, without suffix → printed name of the row."""
    metrics: tuple[str, ...]
    questions: tuple[Question, ...] = ()
    conditions: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Pattern of rows (``*-table``) → what each of their models also answers under
    (:data:`plainfilm.evaluation.conditions.CONDITIONS`), as rows of their own, which a question
    calls ``ROW-CONDITION``."""
    best_of: BestOf | None = None
    """Rows that also answer with the best of several drafts, as rows of their own."""
    by: str | None = None
    """What scores are broken down by: ``institution``, ``view``, ``prior``, or a name of the
    studies' tables."""
    by_metrics: tuple[str, ...] = ()
    """Of the breakdown."""
    sizes: dict[str, Size]

    @field_validator("conditions")
    @classmethod
    def _conditions_are_known(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        unknown = [name for names in value.values() for name in names if name not in CONDITIONS]
        if unknown:
            raise ValueError(f"unknown {', '.join(unknown)}: choose from {', '.join(CONDITIONS)}")
        return value

    def conditions_of(self, row: str) -> list[str]:
        """Return the conditions of a row, in their order."""
        asked = {
            name
            for pattern, names in self.conditions.items()
            if fnmatchcase(row, pattern)
            for name in names
        }
        return [name for name in CONDITIONS if name in asked]


@dataclass(frozen=True)
class Plan:
    """The trainings that one filling of a table needs."""

    table: Table
    size: str
    recipes: Mapping[str, Recipe]
    """Row → recipe, in order of training; seed and starting weights are set later."""
    starts: Mapping[str, str]
    """Row → the row whose first stage it starts from."""
    seeds: tuple[int, ...]


def recipes_folder() -> Path:
    """Return the folder of the shipped recipes, in the package or in the repository."""
    package = Path(plainfilm.__file__).parent
    installed = package / "recipes"
    return installed if installed.is_dir() else package.parents[1] / "recipes"


def table_path(name: str) -> Path:
    """Return the ``table.yaml`` called ``name``: the name of a shipped table, or a path.

    Raises:
        RecipeError: there is no such table.
    """
    shipped = recipes_folder() / name / TABLE
    given = Path(name)
    for path in (shipped, given / TABLE, given):
        if path.is_file():
            return path
    known = sorted(path.parent.name for path in recipes_folder().glob(f"*/{TABLE}"))
    raise RecipeError(
        f"no table {name!r}: expected one of {', '.join(known) or 'none here'}, or a {TABLE}"
    )


def make_plan(
    path: Path,
    dataset: Path,
    *,
    size: str = "small",
    seeds: int = 3,
    rows: Sequence[str] | None = None,
    changes: Sequence[str] = (),
) -> Plan:
    """Read a table and all its recipes, and return the plan.

    Args:
        path: a ``table.yaml``.
        dataset: the dataset of every row.
        size: one of the table's sizes.
        seeds: number of seeds, counted from 0.
        rows: selected rows; default: all. Rows that they start from are included.
        changes: ``KEY=VALUE`` as for ``plainfilm train --set``, for all rows, or ``ROW:KEY=VALUE``
            for those whose name matches the pattern ROW (``vit*``).

    Raises:
        RecipeError: the table or a recipe is invalid; or the size, a row or a row's pattern is
            unknown.
    """
    try:
        table = Table.model_validate(read_yaml(path, "table"))
    except ValidationError as error:
        raise RecipeError(f"{path}: {describe(error)}") from error
    if size not in table.sizes:
        raise RecipeError(f"no size {size!r}: choose from {', '.join(table.sizes)}")
    if seeds < 1:
        raise RecipeError(f"seeds must be at least 1, got {seeds}")
    resolve(table.metrics)
    if table.by is not None:
        resolve(table.by_metrics)
    starts = table.sizes[size].starts
    there = [row for row in table.rows if row not in table.sizes[size].without]
    wanted = there if rows is None else list(rows)
    chosen = table.best_of.rows if table.best_of else ()
    derived = [row + suffix for row in chosen for suffix in (BEST_OF, AGREED)]
    derived += [f"{row}-{one}" for row in table.rows for one in table.conditions_of(row)]
    named = [*wanted, *starts, *starts.values(), *chosen]
    unknown = dict.fromkeys(row for row in named if row not in there)
    unknown |= dict.fromkeys(row for row in _asked(table) if row not in (*table.rows, *derived))
    if unknown:
        raise RecipeError(f"no row {', '.join(unknown)}: choose from {', '.join(there)}")
    chains = {row: _chain(row, starts) for row in wanted}
    needed = {row for chain in chains.values() for row in chain}
    places = list(table.rows)
    order = sorted(needed, key=lambda row: (len(_chain(row, starts)), places.index(row)))
    folder = path.parent / table.sizes[size].folder
    recipes = {
        row: load_recipe(
            folder / f"{row}.yaml",
            (f"data={{dataset: {json.dumps(str(dataset.resolve()))}}}", *own),
        )
        for row, own in _changes_by_row(order, changes).items()
    }
    used = {row: starts[row] for row in order if row in starts}
    return Plan(table, size, recipes, used, tuple(range(seeds)))


def _chain(row: str, starts: Mapping[str, str]) -> list[str]:
    """Return a row, the row that it starts from, the row that this one starts from, and so on.

    Raises:
        RecipeError: the rows form a cycle.
    """
    chain = [row]
    while chain[-1] in starts:
        if starts[chain[-1]] in chain:
            raise RecipeError(f"row {row} starts from itself: {' ← '.join(chain)}")
        chain.append(starts[chain[-1]])
    return chain


def _asked(table: Table) -> list[str]:
    return [row for question in table.questions for pair in question.pairs for row in pair]


def _changes_by_row(rows: Sequence[str], changes: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {row: [] for row in rows}
    for change in changes:
        key = change.partition("=")[0]
        pattern, _, rest = change.partition(":") if ":" in key else ("*", "", change)
        fitting = [row for row in rows if fnmatchcase(row, pattern)]
        if not fitting:
            raise RecipeError(f"{change!r} fits no row: choose from {', '.join(rows)}")
        for row in fitting:
            found[row].append(rest)
    return found
