"""``plainfilm data``: any source into one layout on disk."""

import json
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plainfilm.core import printable

if TYPE_CHECKING:
    from plainfilm.data import Dataset

_SHOWN = 10
"""Refused studies whose reason is printed; all are in the dataset directory."""

data_app = typer.Typer(
    name="data",
    help="Prepare a data set: a published collection, the phantom, or films of your own.\n\n"
    "Each source becomes a dataset directory: manifest.parquet, images/, card.json. Splits are by "
    "patient. An interrupted preparation goes on where it stopped.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

Out = Annotated[
    Path, typer.Argument(metavar="OUT", help="Dataset directory to make.", show_default=False)
]
Size = Annotated[
    int, typer.Option(min=64, max=4096, help="Longest side of the prepared films in pixels.")
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes; as many as cores if left out.")
]
Source = Annotated[
    Path, typer.Argument(metavar="SOURCE", help="The collection's folder.", show_default=False)
]
Films = Annotated[
    Path | None, typer.Option(help="Where the films lie, if not in SOURCE.", show_default=False)
]
Target = Annotated[
    str,
    typer.Option(help="findings, findings+impression or any: studies without it are left out."),
]
Link = Annotated[
    bool, typer.Option("--link", help="Leave the films where they are; nothing is copied.")
]
Shard = Annotated[
    str | None,
    typer.Option(
        metavar="3/16",
        help="Prepare the third of sixteen parts; plainfilm data merge ends them.",
        show_default=False,
    ),
]


@data_app.command()
def phantom(
    studies: Annotated[
        int, typer.Argument(metavar="N", min=1, help="How many patients.", show_default=False)
    ],
    out: Out,
    seed: Annotated[int, typer.Option(min=0, help="The series; another seed, other patients.")] = 0,
    size: Annotated[int, typer.Option(min=32, max=4096, help="Side of the films in pixels.")] = 256,
    prevalence: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=SHARE",
            help="Share of the studies with a disease, like pneumothorax=.3; give it once for "
            "each. An unknown name lists all.",
            show_default=False,
        ),
    ] = None,
    institution: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Who films and reports: an institution, or a group: named, seen, held-out, all "
            "(seen:8 for its first eight). Give it several times for several; one is drawn for "
            "each study. All that are seen if left out; an unknown name lists all.",
            show_default=False,
        ),
    ] = None,
    film_format: Annotated[
        str, typer.Option("--format", help="png (8 bits), or dicom (12 bits with a full header).")
    ] = "png",
    structures: Annotated[
        bool, typer.Option("--structures", help="Keep masks of anatomical classes, too.")
    ] = False,
    views: Annotated[
        str, typer.Option(help="frontal, or frontal,lateral: one film a study, or two.")
    ] = "frontal",
    priors: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of the patients with an earlier study, too."),
    ] = 0.0,
    language: Annotated[str, typer.Option(help="Of the reports: en or es.")] = "en",
    split: Annotated[
        str | None,
        typer.Option(
            help="One split for all studies: test for a set that nothing is learned from. By "
            "patient, 80, 10 and 10 %, if left out.",
            show_default=False,
        ),
    ] = None,
    workers: Workers = None,
) -> None:
    """Simulate chest films whose truth is known exactly.

    plainfilm data phantom 500 phantom/ --prevalence pneumothorax=.3
    """
    import plainfilm.phantom  # noqa: F401 - first, so that a core install is told the extra
    from plainfilm.data.sources.phantom import prepare_phantom

    dataset = prepare_phantom(
        studies,
        out,
        seed=seed,
        size=size,
        prevalence=_shares(prevalence or ()),
        institution=institution,
        film_format=film_format,
        structures=structures,
        views=tuple(view.strip() for view in views.split(",")),
        priors=priors,
        language=language,
        split=split,
        workers=workers,
    )
    _done(dataset)


@data_app.command("iu-xray")
def iu_xray(
    out: Out,
    images: Annotated[
        Path, typer.Option(help="Folder with the films: PNG or DICOM.", show_default=False)
    ],
    reports: Annotated[Path, typer.Option(help="NLMCXR_reports.tgz.", show_default=False)],
    split: Annotated[
        Path | None, typer.Option(help="R2Gen's annotation.json; else 80, 10, 10 % at random.")
    ] = None,
    target: Annotated[
        str, typer.Option(help="findings or findings+impression: studies without it are left out.")
    ] = "findings",
    size: Size = 512,
    workers: Workers = None,
) -> None:
    """Prepare IU X-ray from Open-i's films and reports.

    plainfilm data iu-xray --images NLMCXR_png --reports NLMCXR_reports.tgz iu/
    """
    from plainfilm.data.sources.iu_xray import prepare_iu_xray

    dataset = prepare_iu_xray(
        out, images=images, reports=reports, split=split, target=target, size=size, workers=workers
    )
    _done(dataset)


@data_app.command("mimic-cxr")
def mimic_cxr(
    source: Source,
    out: Out,
    films: Annotated[
        Path | None, typer.Option(help="Folder with files/ of the films.", show_default=False)
    ] = None,
    tables: Annotated[
        Path | None, typer.Option(help="Folder with MIMIC-CXR-JPG's CSV files.", show_default=False)
    ] = None,
    reports: Annotated[
        Path | None,
        typer.Option(
            help="Folder with files/ of the reports, or mimic-cxr-reports.zip.", show_default=False
        ),
    ] = None,
    ed: Annotated[
        Path | None, typer.Option(help="MIMIC-IV-ED: triage becomes a table.", show_default=False)
    ] = None,
    hosp: Annotated[
        Path | None,
        typer.Option(help="MIMIC-IV: age, sex, laboratory join the table.", show_default=False),
    ] = None,
    ms_cxr: Annotated[
        Path | None, typer.Option(help="MS-CXR: its boxes join the rows.", show_default=False)
    ] = None,
    imagenome: Annotated[
        Path | None,
        typer.Option(help="Chest ImaGenome: its boxes join the rows.", show_default=False),
    ] = None,
    film_format: Annotated[
        str | None, typer.Option("--format", help="jpg or dicom; what is there if left out.")
    ] = None,
    target: Target = "findings",
    size: Size = 512,
    link: Link = False,
    shard: Shard = None,
    workers: Workers = None,
) -> None:
    """Prepare MIMIC-CXR or MIMIC-CXR-JPG, with the official split.

    plainfilm data mimic-cxr mimic-cxr-jpg/2.1.0 mimic/ --reports mimic-cxr/2.1.0 --link
    """
    from plainfilm.data.sources.collection import Options
    from plainfilm.data.sources.mimic_cxr import prepare_mimic_cxr

    _terms("mimic-cxr")
    dataset = prepare_mimic_cxr(
        source,
        out,
        films=films,
        tables=tables,
        reports=reports,
        ed=ed,
        hosp=hosp,
        ms_cxr=ms_cxr,
        imagenome=imagenome,
        film_format=film_format,
        options=Options(target, size, link, shard, workers),
    )
    _done(dataset)


def _collection(name: str, place: str, about: str, *, texts: bool = True) -> None:
    """Add the command of a collection that needs no more than its folder."""

    def command(
        source: Source,
        out: Out,
        films: Films = None,
        target: Target = "findings" if texts else "any",
        size: Size = 512,
        link: Link = False,
        shard: Shard = None,
        workers: Workers = None,
    ) -> None:
        from plainfilm.data.sources.collection import Options

        module, function = place.split(":")
        prepare = getattr(import_module(f"plainfilm.data.sources.{module}"), function)
        _terms(name)
        options = Options(target, size, link, shard, workers)
        _done(prepare(source, out, films=films, options=options))

    command.__doc__ = f"{about}\n\nplainfilm data {name} SOURCE OUT"
    data_app.command(name)(command)


for _name, _place, _about, _texts in (
    ("chexpert-plus", "chexpert_plus:prepare_chexpert_plus", "Prepare CheXpert Plus.", True),
    ("rexgradient", "rexgradient:prepare_rexgradient", "Prepare ReXGradient-160K.", True),
    ("padchest", "padchest:prepare_padchest", "Prepare PadChest: Spanish reports.", True),
    ("r2gen", "r2gen:prepare_r2gen", "Prepare R2Gen's copy of IU X-ray or MIMIC-CXR.", True),
    ("candid-ptx", "candid_ptx:prepare_candid_ptx", "Prepare CANDID-PTX.", True),
    ("llava-rad", "llava_rad:prepare_llava_rad", "Prepare LLaVA-Rad's MIMIC-CXR.", True),
    ("rexrank", "rexrank:prepare_rexrank", "Prepare an evaluation set of ReXrank's.", True),
    ("brax", "brax:prepare_brax", "Prepare BRAX: labels, no reports.", False),
    ("vindr-cxr", "vindr_cxr:prepare_vindr_cxr", "Prepare VinDr-CXR: labels and boxes.", False),
    ("nih", "nih:prepare_nih", "Prepare NIH ChestX-ray14: labels and boxes.", False),
):
    _collection(_name, _place, _about, texts=_texts)


@data_app.command("padchest-gr")
def padchest_gr(
    source: Source,
    out: Out,
    films: Films = None,
    language: Annotated[str, typer.Option(help="Of the reports: es, as written, or en.")] = "es",
    size: Size = 512,
    link: Link = False,
    shard: Shard = None,
    workers: Workers = None,
) -> None:
    """Prepare PadChest-GR: sentences in Spanish or English, with boxes.

    plainfilm data padchest-gr SOURCE OUT --language en
    """
    from plainfilm.data.sources.collection import Options
    from plainfilm.data.sources.padchest_gr import prepare_padchest_gr

    _terms("padchest-gr")
    options = Options("findings", size, link, shard, workers)
    _done(prepare_padchest_gr(source, out, films=films, language=language, options=options))


@data_app.command("iu-kaggle")
def iu_kaggle(
    source: Source,
    out: Out,
    films: Films = None,
    split: Annotated[
        Path | None, typer.Option(help="R2Gen's annotation.json; else 80, 10, 10 % at random.")
    ] = None,
    target: Target = "findings",
    size: Size = 512,
    link: Link = False,
    shard: Shard = None,
    workers: Workers = None,
) -> None:
    """Prepare IU X-ray from Kaggle's two CSV files and its films.

    plainfilm data iu-kaggle SOURCE OUT --split annotation.json
    """
    from plainfilm.data.sources.collection import Options
    from plainfilm.data.sources.iu_kaggle import prepare_iu_kaggle

    _terms("iu-kaggle")
    options = Options(target, size, link, shard, workers)
    _done(prepare_iu_kaggle(source, out, films=films, split=split, options=options))


@data_app.command()
def huggingface(
    source: Source,
    out: Out,
    column: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=COLUMN",
            help="What a column is, like image=film or findings=report; once for each. Names: "
            "image, report, findings, impression, indication, comparison, technique, patient_id, "
            "study_id, view, institution, table.NAME.",
            show_default=False,
        ),
    ],
    licence: Annotated[str, typer.Option(help="Of the films and reports.")] = "not said",
    language: Annotated[str, typer.Option(help="Of the reports: en or es.")] = "en",
    target: Target = "findings",
    size: Size = 512,
    link: Link = False,
    shard: Shard = None,
    workers: Workers = None,
) -> None:
    """Prepare a folder of Hugging Face datasets: save_to_disk's, or Parquet files.

    plainfilm data huggingface SOURCE OUT --column image=image --column report=text
    """
    from plainfilm.core import InputError
    from plainfilm.data.sources.collection import Options
    from plainfilm.data.sources.huggingface import prepare_huggingface

    columns = {}
    for text in column:
        name, mark, value = text.partition("=")
        if not mark or not value:
            raise InputError(f"--column must look like findings=report, got {text!r}")
        columns[name.strip()] = value.strip()
    options = Options(target, size, link, shard, workers)
    _done(
        prepare_huggingface(
            source, out, columns=columns, licence=licence, language=language, options=options
        )
    )


@data_app.command()
def check(
    dataset: Annotated[
        Path, typer.Argument(metavar="DATASET", help="Dataset directory.", show_default=False)
    ],
    page: Annotated[
        Path | None,
        typer.Option(
            help="HTML file to write: the counts, and films with their reports and what the reader "
            "found. It holds films and reports: keep it where the dataset may be.",
            show_default=False,
        ),
    ] = None,
    films: Annotated[int, typer.Option(min=0, help="Studies on the page.")] = 20,
    read: Annotated[int, typer.Option(min=0, help="Reports that the reader labels.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Which are drawn.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look a dataset over before training: counts, lengths, duplicates, what is missing.

    plainfilm data check iu/ --page iu.html
    """
    from plainfilm.core import write_atomically
    from plainfilm.data import Dataset
    from plainfilm.data.overview import draw, look_over

    opened = Dataset(dataset)
    overview = look_over(opened, read=read, seed=seed)
    if as_json:
        typer.echo(json.dumps(overview.to_dict(), ensure_ascii=False, indent=1))
    else:
        typer.echo(overview.to_text())
    if page is not None:
        from plainfilm.export.dataset_page import dataset_page

        title = printable(dataset.resolve().name)
        rows = draw(opened, films, seed)
        write_atomically(page, dataset_page(opened, overview, rows, title=title))
        typer.echo(f"\n{printable(str(page))}: {len(rows)} studies", err=True)


@data_app.command()
def merge(
    out: Out,
    shards: Annotated[
        list[Path], typer.Argument(metavar="SHARD...", help="All of them.", show_default=False)
    ],
) -> None:
    """Merge the shards that several machines prepared into one dataset.

    plainfilm data merge mimic/ mimic-*-of-16/
    """
    from plainfilm.data.merge import merge as merge_shards

    _done(merge_shards(out, shards))


@data_app.command()
def folder(
    table: Annotated[
        Path, typer.Argument(metavar="CSV", help="A line for each film.", show_default=False)
    ],
    out: Out,
    licence: Annotated[str, typer.Option(help="Of the films and reports.")] = "not said",
    description: Annotated[str | None, typer.Option(help="One line for the card.")] = None,
    language: Annotated[str, typer.Option(help="Of the reports: en or es.")] = "en",
    size: Size = 512,
    workers: Workers = None,
) -> None:
    """Prepare films of your own, described by a CSV file.

    Columns: image and patient_id; and as you have them study_id, view, split, findings,
    impression, indication, comparison, technique, institution, prior_study_id, and table.NAME for
    each clinical value. All mistakes of the CSV are shown at once. A study whose film can't be read
    is left out and named.

    plainfilm data folder films.csv films/
    """
    from plainfilm.data.sources.folder import prepare_folder

    dataset = prepare_folder(
        table,
        out,
        description=description,
        licence=licence,
        language=language,
        size=size,
        workers=workers,
    )
    _done(dataset)


def _shares(texts: Iterable[str]) -> dict[str, float]:
    """Return name → share of texts such as ``pneumothorax=.3``."""
    from plainfilm.core import InputError

    shares = {}
    for text in texts:
        name, _, share = text.partition("=")
        try:
            shares[name.strip()] = float(share)
        except ValueError:
            raise InputError(f"--prevalence must look like pneumothorax=.3, got {text!r}") from None
    return shares


def _terms(name: str) -> None:
    """Print under which conditions a collection comes."""
    from plainfilm.data.sources.registry import SOURCES

    source = SOURCES[name]
    typer.echo(f"{source.title}: {source.url}", err=True)
    typer.echo(f"  licence: {source.licence}; access: {source.access}", err=True)
    if source.credentialed:
        typer.echo("  its terms forbid passing films, reports or what holds them on", err=True)


def _done(dataset: "Dataset") -> None:
    from plainfilm.data.dataset import REFUSED

    card = dataset.card
    counts = ", ".join(f"{count} {split}" for split, count in card.studies.items())
    path = printable(str(dataset.path))
    typer.echo(f"{path}: {counts}; fingerprint {card.fingerprint[:12]}")
    for reason, count in card.skipped.items():
        typer.echo(f"  left out: {count} ({reason})")
    refused = dataset.path / REFUSED
    if refused.is_file():
        lines = refused.read_text(encoding="utf-8").splitlines()
        for line in lines[:_SHOWN]:
            values = json.loads(line)
            typer.echo(f"  study {values['study_id']}: {values['reason']}", err=True)
        if len(lines) > _SHOWN:
            typer.echo(f"  … and {len(lines) - _SHOWN} more in {path}/{REFUSED}", err=True)
