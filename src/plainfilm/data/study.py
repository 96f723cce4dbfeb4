"""Loading a Study from image files."""

import os
from collections.abc import Iterable
from pathlib import Path

from plainfilm.core import Image, ImageError, Study, View, errors_as, printable
from plainfilm.data.films.reader import identity, read_image, sniff


def load_study(
    *paths: str | os.PathLike[str],
    indication: str | None = None,
    comparison: str | None = None,
    technique: str | None = None,
    table: dict[str, float | str | None] | None = None,
    prior: Study | None = None,
    id: str | None = None,
    identified: bool = False,
    view: View | None = None,
    modality: str | None = None,
    force: bool = False,
    lenient: bool = False,
) -> Study:
    """Return a study from one or several image files, or from a folder of images.

    Frontal films come first; otherwise the order is kept (in a folder: by name). The default id is
    the name of the first file, or of the folder, and never identifies the patient; ``identified``
    also reads the patient's identity from DICOM headers, for exports (``Image.reference``).

    Args:
        paths: the files, or the folder.
        indication: why the films were taken.
        comparison: what they were compared with.
        technique: how they were taken.
        table: clinical values by name.
        prior: the earlier study.
        id: in place of the name.
        identified: see above.
        view: of all films, whatever their headers say.
        modality: of all DICOM objects, likewise.
        force: whether films are taken that the film gate refuses.
        lenient: whether a file that can't be read is named in ``Study.unread``, as long as another
            of the study can.

    Raises:
        ImageError: a file is missing, unreadable or not a chest film, the folder has no images, or
            the DICOM files belong to several studies.
    """
    if not paths:
        raise ImageError("no image was given: give image files, or one folder of a study's images")
    given = [Path(path) for path in paths]
    with errors_as(ImageError, f"{given[0]}: cannot be opened", "check the path"):
        files = [file for path in given for file in _files(path, alone=len(given) == 1)]
        studies = {uid for file in files if (uid := identity(file)) is not None}
    if len(studies) > 1:
        raise ImageError(
            f"{given[0]}{' …' if len(given) > 1 else ''}: the DICOM files belong to "
            f"{len(studies)} different studies; give the images of one study"
        )
    images, unread = [], []
    for file in files:
        try:
            image = read_image(file, identified=identified, view=view, modality=modality)
            if image.refusal is not None and not force:
                raise ImageError(f"{file}: {image.refusal}")
        except ImageError as error:
            if not lenient or len(files) == 1:
                raise
            unread.append((file, error))
        else:
            images.append(image)
    if not images:
        raise unread[0][1]
    return Study(
        id=id if id is not None else _name(given[0]),
        images=tuple(frontal_first(images)),
        unread=tuple(_why(file, error) for file, error in unread),
        indication=indication,
        comparison=comparison,
        technique=technique,
        table=table or {},
        prior=prior,
    )


def _files(path: Path, alone: bool) -> list[Path]:
    if not path.is_dir():
        return [path]
    if not alone:
        raise ImageError(f"{path}: is a folder; give either image files or one folder")
    files = sorted(
        file for file in path.iterdir() if file.is_file() and not file.name.startswith(".")
    )
    images = [file for file in files if sniff(file) is not None]
    if not images:
        what = "is empty" if not files else f"holds {len(files)} file(s), none of them an image"
        raise ImageError(f"{path}: {what}; expected a study's DICOM, PNG, JPEG or TIFF files")
    return images


def _why(file: Path, error: ImageError) -> str:
    """Return why a file was not read, without its folder."""
    name = printable(file.name)
    return str(error).replace(str(file), name, 1)


def _name(path: Path) -> str:
    path = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links to other names
    return printable(path.name if path.is_dir() else path.stem)


def frontal_first(images: Iterable[Image]) -> list[Image]:
    """Return ``images`` in their order, but frontal views first, then unknown ones."""
    return sorted(images, key=_rank)


def _rank(film: Image) -> int:
    if film.view.frontal:
        return 0
    return 1 if film.view is View.UNKNOWN else 2
