"""Which columns of a report file hold the references, and which the predictions.

This is decided once for a whole file, by the names of its columns, and never entry by entry: an
entry without its prediction lacks one, whatever else it holds.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from plainfilm.core import InputError
from plainfilm.metrics.formats import ID_NAMES, Entry, read_entries, read_lines, whole_characters
from plainfilm.metrics.sections import SECTION_NAMES

_REFERENCE_NAMES = ("reference", "text", "report")
PREDICTION_NAMES = ("prediction", "model_prediction")
_EITHER_NAMES = ("text", "report")
"""Possible column names of a text, in order of preference; the last two are taken as predictions
only if no other column can be."""
_SECTION_COLUMNS = frozenset(name for names in SECTION_NAMES.values() for name in names)

Column = tuple[str, ...]
"""Possible names of the column of a text: one, or all names in use for a section."""


@dataclass(frozen=True)
class Source:
    """The content of a report file: lines in order, or entries with their columns."""

    path: Path
    lines: list[str] | None
    entries: list[Entry]

    @classmethod
    def read(cls, path: Path) -> "Source":
        """Return the content of a file.

        Raises:
            InputError: the file cannot be read, or has no column of ids.
        """
        if path.suffix.lower() == ".txt":
            return cls(path, read_lines(path), [])
        source = cls(path, None, read_entries(path))
        if not source._first(ID_NAMES):
            source._lacks("an id", ID_NAMES)
        return source

    @property
    def names(self) -> list[str]:
        """Names of the columns that occur in any entry."""
        return list(dict.fromkeys(name for entry in self.entries for name in entry.cells))

    def reference_columns(self, section: str | None) -> list[Column]:
        """Return the columns that form a reference: one, or those of the sections."""
        if self.lines is not None:
            return []
        found = self._sections(section) if section else []
        found = found or self._first(_REFERENCE_NAMES)
        if not found and section is not None:
            wanted = [name for part in section.split("+") for name in SECTION_NAMES[part]]
            self._lacks(f"the section {section}", (*_REFERENCE_NAMES, *wanted))
        found = found or self._sections(None)
        if not found:
            self._lacks("a text", (*_REFERENCE_NAMES, "findings", "impression"))
        return found

    def prediction_columns(
        self,
        row: str | None = None,
        section: str | None = None,
        *,
        beside: Sequence[str] = (),
        references: Sequence[Column] | None = None,
    ) -> dict[str, list[Column]]:
        """Return the columns that form a prediction, for each system by its name.

        Args:
            row: the requested column.
            section: the requested section of the report.
            beside: columns that are not reports.
            references: the columns of the references, if this file holds both.
        """
        if self.lines is not None:
            if row is not None:
                raise InputError(
                    f"{self.path}: a .txt file has no row {row!r}: it holds one report a line"
                )
            return {"predictions": []}
        taken = {name for column in references or () for name in column}
        offered = [
            name
            for name in self.names
            if name and name not in (*ID_NAMES, *beside, *taken, "reference")
        ]
        if row is not None:
            if row not in offered:
                raise InputError(
                    f"{self.path}: no row {row!r}: choose from {', '.join(offered) or 'none'}"
                )
            return {row: [(row,)]}
        found = self._first(PREDICTION_NAMES)
        if not found and (references is None or references == [("reference",)]):
            found = self._first(name for name in _EITHER_NAMES if name in offered)
        if not found and "reference" in self.names and offered:
            return {name: [(name,)] for name in offered}  # in a run's file each column is a system
        if not found and references is None:
            found = self._sections(section) if section else self._sections(None)
        if not found and references is not None and references != [("reference",)]:
            raise InputError(
                f"{self.path}: holds one side only: found {', '.join(self.names)}, expected the "
                f"predictions under {' or '.join(PREDICTION_NAMES)} beside the references: give "
                "the predictions' file as well, or name their column (--row)"
            )
        if not found:
            self._lacks("a text", (*PREDICTION_NAMES, *_EITHER_NAMES))
        return {"predictions": found}

    def _first(self, wanted: Iterable[str]) -> list[Column]:
        """Return a list with the first of the wanted columns that the file has, or an empty one."""
        names = self.names
        return next(([(name,)] for name in wanted if name in names), [])

    def _sections(self, section: str | None) -> list[Column]:
        """Return the columns of a section, or by default of all sections in the file."""
        wanted = SECTION_NAMES if section is None else section.split("+")
        names = self.names
        found = [tuple(name for name in SECTION_NAMES[part] if name in names) for part in wanted]
        if section is not None and not all(found):
            return []
        return [column for column in found if column]

    def _lacks(self, what: str, wanted: Sequence[str], place: int = 0, more: str = "") -> NoReturn:
        entry = self.entries[place]
        had = ", ".join(entry.cells) or "nothing"
        raise InputError(
            f"{self.path}: {entry.place} lacks {what}: expected one of {', '.join(wanted)}, "
            f"found {had}{more}"
        )

    def described(self, systems: Iterable[Sequence[Column]]) -> str:
        """Return a description of the columns that texts are taken from."""
        if self.lines is not None:
            return f"the lines of {self.path.name}"
        names = (repr(name) for columns in systems for column in columns for name in column)
        return f"{', '.join(names)} of {self.path.name}"

    def texts(self, columns: Sequence[Column]) -> Iterator[tuple[str, str, str | None]]:
        """Yield position, id and text of each entry; the text is None if missing."""
        seen = set()
        [(name,)] = self._first(ID_NAMES)
        for number, (place, cells) in enumerate(self.entries):
            key = cells.get(name)
            if isinstance(key, bool) or not isinstance(key, str | int | float) or key == "":
                self._lacks("an id", (name,), number)
            key = whole_characters(str(key))
            if key in seen:
                raise InputError(f"{self.path}: {place} repeats the id {key!r}: give each id once")
            seen.add(key)
            yield place, key, self._text(number, cells, columns)

    def _text(self, number: int, cells: Mapping[str, Any], columns: Sequence[Column]) -> str | None:
        if not columns:
            return None
        values = []
        for column in columns:
            name = next((name for name in column if name in cells), column[0])
            value = cells.get(name)
            if value is not None and not isinstance(value, str):
                wanted = dict.fromkeys((*column, *PREDICTION_NAMES, *_EITHER_NAMES))
                got = f" ({name!r} holds {type(value).__name__} {str(value)[:40]})"
                self._lacks("a text", list(wanted), number, got)
            values.append(value)
        if not are_sections(columns):
            return None if values[0] is None else whole_characters(values[0])
        if not any(name in cells for column in columns for name in column):
            return None
        if len(columns) == 1:
            return whole_characters(values[0] or "")
        written = (
            f"{column[0].removeprefix('section_').capitalize()}: {value}"
            for column, value in zip(columns, values, strict=True)
            if value and value.strip()
        )
        return whole_characters(" ".join(written))

    def others(self, used: set[str]) -> dict[str, list[Any]]:
        """Return the columns that are not reports, each with a value for each entry."""
        return {
            name: [entry.cells.get(name) for entry in self.entries]
            for name in self.names
            if name and name not in used
        }


def are_sections(columns: Sequence[Column], section: str | None = None) -> bool:
    """Return whether the columns' names are those of sections, or of ``section``."""
    names = [set(column) for column in columns]
    if section is None:
        return bool(names) and set.union(*names) <= _SECTION_COLUMNS
    parts = [set(SECTION_NAMES[part]) for part in section.split("+")]
    return len(names) == len(parts) and all(map(set.issubset, names, parts))
