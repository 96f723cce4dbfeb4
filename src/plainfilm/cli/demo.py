"""``plainfilm demo``: the whole path on a machine that has nothing but this package."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plainfilm.core import MissingDependencyError, check_folder, write_atomically

if TYPE_CHECKING:
    from plainfilm.core import Study

_SEED = 20_000_000
"""Of the demo's films; no recipe trains on it."""

_SHOWN = 12
"""How many simulated studies the page shows."""


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the films and the page.")
    ] = Path("demo-output"),
    studies: Annotated[
        int, typer.Option(min=50, help="How many studies to simulate; a fifth is reported on.")
    ] = 160,
) -> None:
    """Simulate films, draft and score their reports, read a real film, show it all on a page."""
    from plainfilm.data import Dataset
    from plainfilm.data.sources.phantom import prepare_phantom
    from plainfilm.evaluation.evaluate import evaluate
    from plainfilm.export import Entry, report_page
    from plainfilm.pipeline import load_model

    started = time.monotonic()
    check_folder(output)
    films = output / "phantom"
    prepare_phantom(studies, films, seed=_SEED)
    dataset = Dataset(films)
    typer.echo(f"1. simulated {studies} studies that the model has never seen: {films}")

    model = load_model("plainfilm-small")
    result = evaluate(model, dataset)
    result.save(output / "scores")
    test = dataset.split("test")
    typer.echo(f"2. {model.card.name} drafted reports for the {len(test)} of the test split")
    for name, scores in result.scores.items():
        shown = "  ".join(f"{metric} {score.value:.3f}" for metric, score in scores.items())
        typer.echo(f"   {name}: {shown}")

    real = real_film()
    draft = model.report(real)
    typer.echo(f"3. {model.card.name} also looked at a real film, {real.images[0].source}:")
    typer.echo(f"   warning: {draft.warnings[0]}")

    entries = [
        Entry(
            study=(study := dataset.study(row)),
            report=result.reports[row.study_id],
            reference=study.report,
        )
        for row in test[:_SHOWN]
    ]
    page = output / "index.html"
    write_atomically(
        page,
        report_page(
            [*entries, Entry(study=real, report=draft)],
            title="plainfilm: what the demo drafted",
            notes=[
                f"{_SHOWN} simulated studies out of the {len(test)} that were scored, each draft "
                "beside the truth that its film was made from, and one real film, which lies "
                "outside what the model knows.",
            ],
            scores=result.scores,
        ),
    )
    typer.echo(f"4. open {page.resolve()} to read the drafts beside their films")
    typer.echo(f"done in {time.monotonic() - started:.0f} s")


def real_film() -> "Study":
    """Return the real chest film that the package ``pydicom-data`` carries.

    Raises:
        MissingDependencyError: that package is not installed.
    """
    from pydicom.data import get_testdata_file

    from plainfilm.data import load_study

    path = get_testdata_file("RG1_UNCR.dcm", download=False)
    if path is None:
        raise MissingDependencyError.of("pydicom-data", "demo")
    return load_study(path)
