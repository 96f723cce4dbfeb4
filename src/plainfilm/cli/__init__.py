"""The command line: one file per command, each a thin layer over the rooms below.

Command files import their rooms inside the command, so that ``plainfilm --help`` stays quick.
"""

import io
import logging
import os
import sys
import warnings

import typer

import plainfilm
from plainfilm.cli.compare import compare
from plainfilm.cli.data import data_app
from plainfilm.cli.demo import demo
from plainfilm.cli.derived import features, maps, values
from plainfilm.cli.doctor import doctor
from plainfilm.cli.evaluate import evaluate
from plainfilm.cli.extras import extra_of
from plainfilm.cli.grounding import counterfactual, grounding
from plainfilm.cli.merge import merge
from plainfilm.cli.metrics import metrics
from plainfilm.cli.read import read
from plainfilm.cli.report import report
from plainfilm.cli.rexrank import rexrank
from plainfilm.cli.score import score
from plainfilm.cli.serve import serve
from plainfilm.cli.table import table
from plainfilm.cli.train import train
from plainfilm.core import (
    MissingDependencyError,
    PlainfilmError,
    PlainfilmWarning,
    printable,
)

app = typer.Typer(
    name="plainfilm",
    help="Train, run and honestly score chest X-ray report generators. "
    "Reports are drafts for a radiologist, never a diagnosis.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"plainfilm {plainfilm.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    pass


for command in (
    report,
    read,
    train,
    evaluate,
    table,
    score,
    compare,
    maps,
    features,
    grounding,
    counterfactual,
    values,
    merge,
    serve,
    rexrank,
    demo,
    doctor,
):
    app.command()(command)
app.add_typer(metrics, name="metrics")
app.add_typer(data_app)


def main() -> None:
    """Run the command line; a mistake of the user's is one line on standard error and status 1.

    So is a package that the command needs and that is not installed: the line names its extra.
    """
    _prepare_streams()
    try:
        app(prog_name="plainfilm")
    except PlainfilmError as error:
        typer.echo(f"plainfilm: {error}", err=True)
        sys.exit(1)
    except ModuleNotFoundError as error:
        missing = extra_of(error.name)
        if missing is None:
            raise
        typer.echo(f"plainfilm: {MissingDependencyError.of(*missing)}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        _discard_output()
        sys.exit(141)
    except OSError as error:  # what no room foresaw: a full disk, a folder that went away
        _discard_output()
        where = f"{printable(str(error.filename))}: " if error.filename else ""
        typer.echo(f"plainfilm: {where}{error.strerror or error}", err=True)
        sys.exit(1)


def _prepare_streams() -> None:
    """Keep libraries' warnings from the screen; plainfilm's own are shown, and any file's name."""
    warnings.simplefilter("ignore")
    warnings.simplefilter("default", PlainfilmWarning)
    # Nor what they log where nobody set up logging.
    logging.lastResort = logging.NullHandler()
    for stream in (sys.stdout, sys.stderr):  # a file's name may be no UTF-8
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    for name in ("pydicom", "PIL", "transformers", "matplotlib"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _discard_output() -> None:
    """Let what standard output still holds go nowhere, so that Python's end doesn't complain."""
    sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - lives as long as the process
