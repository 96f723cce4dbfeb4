"""``plainfilm doctor``: what is installed, what this machine can do, what is missing."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import NamedTuple

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import plainfilm
from plainfilm.cli.extras import packages_by_extra


class Check(NamedTuple):
    """One line of the doctor's table."""

    what: str
    found: str
    good: bool
    remedy: str = ""


def doctor() -> None:
    """Say what is installed, what this machine can do, and how to get what is missing.

    The exit status is 1 where something that plainfilm needs is missing or broken.
    """
    table = Table("", "what", "found", "to mend it", title=f"plainfilm {plainfilm.__version__}")
    checks = [*_machine(), *_packages(), *_torch(), *_syntaxes(), *_models()]
    for check in checks:
        mark = "[green]ok[/green]" if check.good else "[red]missing[/red]"
        # Brackets in a name or a path are no markup: "[data]" is an extra.
        table.add_row(mark, *map(escape, (check.what, check.found, check.remedy)))
    Console().print(table)
    if not all(check.good for check in checks):
        raise typer.Exit(1)


def _machine() -> Iterator[Check]:
    good = sys.version_info >= (3, 11)
    yield Check("Python", platform.python_version(), good, "" if good else "Python 3.11 or later")
    yield Check("processor", f"{os.cpu_count()} cores, {platform.machine()}", True)
    free = shutil.disk_usage(".").free / 2**30
    yield Check("free disk here", f"{free:.0f} GiB", free > 1, "" if free > 1 else "free 1 GiB")


def _packages() -> Iterator[Check]:
    for extra, package in packages_by_extra():
        try:
            yield Check(package, version(package), True)
        except PackageNotFoundError:
            # A hospital's side is for who needs it; without it plainfilm is whole.
            spare = extra == "hospital"
            found = "not installed: for serve and DICOM results" if spare else "not installed"
            yield Check(package, found, spare, f"pip install 'plainfilm[{extra}]'")


def _torch() -> Iterator[Check]:
    if find_spec("torch") is None:
        return
    import torch

    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        yield Check("GPU", f"{name}, {memory:.0f} GiB", True)
    else:
        yield Check("GPU", "none: models run on the processor", True)
    if find_spec("torchvision") is not None:
        try:
            import torchvision  # noqa: F401
        except (ImportError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            yield Check("torchvision", f"broken: {reason}", False, "pip uninstall torchvision")


def _syntaxes() -> Iterator[Check]:
    if find_spec("pydicom") is None:
        return
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import (
        JPEG2000Lossless,
        JPEGBaseline8Bit,
        JPEGLosslessSV1,
        JPEGLSLossless,
        RLELossless,
    )

    for uid in (JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, RLELossless):
        good = get_decoder(uid).is_available
        remedy = "" if good else "pip install 'plainfilm[data]'"
        yield Check(f"DICOM {uid.name}", "decodes" if good else "no decoder", good, remedy)


def _models() -> Iterator[Check]:
    if find_spec("torch") is None or find_spec("transformers") is None:
        return
    from plainfilm.pipeline import SHIPPED, load_model

    for folder in sorted(SHIPPED.glob("*/processor_config.json")):
        name = folder.parent.name
        size = sum(file.stat().st_size for file in folder.parent.rglob("*") if file.is_file())
        load_model(name)
        yield Check(f"model {name}", f"loads, {size / 2**20:.0f} MB", True)
