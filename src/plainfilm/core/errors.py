"""The error tree: one class per kind of trouble a user can mend.

Every message is one line that says what was given, what was expected and what to do. The command
line prints it as it is and exits with a non-zero status; from Python, ``except PlainfilmError``
catches all of them.
"""


class PlainfilmError(Exception):
    """Base of every error that plainfilm raises on purpose."""


class InputError(PlainfilmError, ValueError):
    """A value, file or text is not what was asked for."""


class ImageError(InputError):
    """A file cannot be read as an image, or what it shows is not a chest film."""


class DatasetError(InputError):
    """A dataset directory, or a source it is prepared from, is missing or malformed."""


class RecipeError(InputError):
    """A recipe is wrong; the message lists all its mistakes, not only the first."""


class ModelError(PlainfilmError):
    """A model name or checkpoint cannot be resolved or loaded."""


class TrainingError(PlainfilmError):
    """Training cannot go on (a NaN loss, a run folder of another recipe)."""


class MetricError(InputError):
    """A metric is unknown, or references and predictions do not fit together."""


class MissingDependencyError(PlainfilmError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""

    @classmethod
    def of(cls, package: str, extra: str) -> "MissingDependencyError":
        """Return the error for ``package``, which the extra ``extra`` installs."""
        return cls(
            f"this needs {package}, which is not installed: pip install 'plainfilm[{extra}]'"
        )


class PlainfilmWarning(UserWarning):
    """Something works, but not as well as the caller may believe."""
