"""The error classes: one for each kind of problem that a user can fix.

Every message is one line that says what was given, what was expected and what to do. The command
line prints it as it is and exits with a non-zero status; from Python, ``except PlainfilmError``
catches all of them.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager


class PlainfilmError(Exception):
    """Base of every error that plainfilm raises on purpose."""


class InputError(PlainfilmError, ValueError):
    """A value, file or text is not what was expected."""


class ImageError(InputError):
    """A file cannot be read as an image, or the image is not a chest film."""


class OutputError(PlainfilmError, OSError):
    """A file or folder cannot be written; ``strerror`` is the system's reason."""


class DatasetError(InputError):
    """A dataset directory, or the source it is prepared from, is missing or malformed."""


class RecipeError(InputError):
    """A recipe is wrong; the message lists all its mistakes, not only the first."""


class ModelError(PlainfilmError):
    """A model name or checkpoint cannot be resolved or loaded."""


class TrainingError(PlainfilmError):
    """Training cannot continue (a NaN loss, a run folder of another recipe)."""


class MetricError(InputError):
    """A metric is unknown, or references and predictions do not fit together."""


class MissingDependencyError(PlainfilmError, ImportError):
    """An optional dependency is not installed; the message names the extra that installs it."""

    @classmethod
    def of(cls, package: str, extra: str) -> "MissingDependencyError":
        """Return the error for ``package``, which the extra ``extra`` installs."""
        return cls(
            f"this needs {package}, which is not installed: pip install 'plainfilm[{extra}]'"
        )


class PlainfilmWarning(UserWarning):
    """Something works, but not as well as the caller may expect."""


def one_line(error: BaseException) -> str:
    """Return an exception's message in one line of at most 160 characters."""
    return " ".join(str(error).split())[:160] or type(error).__name__


@contextmanager
def errors_as(kind: type[PlainfilmError], what: str, then: str) -> Iterator[None]:
    """Convert whatever a library raises in the block into the error ``WHAT (its message); THEN``.

    Meant for libraries that read external files. Compiled ones can also raise exceptions that are
    not an ``Exception`` (a panic in Rust code), so everything is converted except the program's
    own exit.
    """
    try:
        yield
    except (PlainfilmError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except MemoryError as error:
        raise kind(f"{what} (it asks for more memory than there is); {then}") from error
    except BaseException as error:
        raise kind(f"{what} ({one_line(error)}); {then}") from error


def printable(name: str) -> str:
    """Return a file name as valid text; bytes that are not UTF-8 become ``\\xfc``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
