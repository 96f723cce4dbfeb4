"""A worker that runs a metric inside another package's environment.

``python worker.py radgraph [CHECKPOINT]`` loads the package and prints a header line
(``{"metric", "version", "checkpoint"}``, or ``{"error", "wanted"}`` on failure). Then it reads
batches of lines, each ended by an empty line, and prints one answer per line: ``{"value": …}``.
plainfilm is not installed in the environment, and the worker imports nothing from it. The
packages' own output goes to standard error.
"""

import hashlib
import json
import os
import sys
import tarfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

Answer = Callable[[list[dict[str, str]]], list[Any]]

asked: list[str] = []
"""Files requested from the model hub, the latest one last."""


def radgraph(checkpoint: Path | None) -> tuple[str, str, Answer]:
    """Annotate texts: ``{"text"}`` → RadGraph's entities by number."""
    from radgraph import RadGraph

    kind, options = "radgraph-xl", {}
    if checkpoint is not None:
        folder = _unpacked(checkpoint) if checkpoint.is_file() else checkpoint
        kind, options = folder.name, {"model_cache_dir": str(folder.parent)}
    annotator = RadGraph(model_type=kind, **options)

    def answer(items: list[dict[str, str]]) -> list[Any]:
        annotated = annotator([item["text"] for item in items])
        return [annotated[str(position)]["entities"] for position in range(len(items))]

    return version("radgraph"), kind + _digest(checkpoint), answer


def ratescore(checkpoint: Path | None, synonyms: Path | None = None) -> tuple[str, str, Answer]:
    """Score pairs: ``{"reference", "prediction"}`` → RaTEScore."""
    import torch
    from RaTEScore import RaTEScore

    given = {"bert_model": checkpoint, "eval_model": synonyms}
    paths = {name: str(path) for name, path in given.items() if path is not None}
    scorer = RaTEScore(use_gpu=torch.cuda.is_available(), **paths)

    def answer(items: list[dict[str, str]]) -> list[Any]:
        predictions = [item["prediction"] for item in items]
        references = [item["reference"] for item in items]
        return [float(value) for value in scorer.compute_score(predictions, references)]

    names = f"RaTE-NER-Deberta{_digest(checkpoint)},BioLORD-2023-C{_digest(synonyms)},long"
    return version("RaTEScore"), names, answer


def green(checkpoint: Path | None) -> tuple[str, str, Answer]:
    """Score pairs: ``{"reference", "prediction"}`` → GREEN."""
    import torch
    from green_score import GREEN

    name = "GREEN-radllama2-7b"
    source = f"StanfordAIMI/{name}" if checkpoint is None else str(checkpoint)
    scorer = GREEN(source, cpu=not torch.cuda.is_available())

    def answer(items: list[dict[str, str]]) -> list[Any]:
        found = scorer(
            [item["reference"] for item in items], [item["prediction"] for item in items]
        )
        return [None if value is None else float(value) for value in found[2]]

    return version("green_score"), name + _digest(checkpoint), answer


def _digest(checkpoint: Path | None) -> str:
    """Return a digest that identifies a user's checkpoint: names and sizes of its files."""
    if checkpoint is None:
        return ""
    files = sorted(checkpoint.rglob("*")) if checkpoint.is_dir() else [checkpoint]
    told = [
        f"{path.relative_to(checkpoint.parent)}:{path.stat().st_size}"
        for path in files
        if path.is_file()
    ]
    return f":{hashlib.sha256(chr(10).join(told).encode()).hexdigest()[:8]}"


def _unpacked(archive: Path) -> Path:
    """Unpack a RadGraph archive next to it, once, and return its folder."""
    folder = archive.with_name(archive.name.removesuffix(".gz").removesuffix(".tar"))
    if not folder.is_dir():
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
    return folder


def _watch_the_hub() -> None:
    """Record which files are requested from the model hub, so that a failure can name one."""
    try:
        import huggingface_hub
    except ImportError:
        return
    download = huggingface_hub.hf_hub_download

    def noted(repo_id: str, filename: str, **options: Any) -> Any:
        asked.append(f"{filename} of huggingface.co/{repo_id}")
        return download(repo_id, filename, **options)

    huggingface_hub.hf_hub_download = noted


METRICS: dict[str, Callable[..., tuple[str, str, Answer]]] = {
    "radgraph": radgraph,
    "ratescore": ratescore,
    "green": green,
}


def main(metric: str, *checkpoints: str) -> None:
    """Print the header, then answer batches until the input ends."""
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(**line: Any) -> None:
        output.write(json.dumps(line) + "\n")

    _watch_the_hub()
    given = [Path(path) if path else None for path in checkpoints] or [None]
    try:
        package_version, checkpoint, answer = METRICS[metric](*given)
    except Exception as error:  # the package may raise anything; the user is told why
        send(error=f"{type(error).__name__}: {error}", wanted=asked[-1] if asked else None)
        output.flush()
        raise SystemExit(1) from error
    send(metric=metric, version=package_version, checkpoint=checkpoint)
    output.flush()
    batch = []
    for line in sys.stdin.buffer:
        if line.strip():
            batch.append(json.loads(line))
            continue
        for value in answer(batch):
            send(value=value)
        output.flush()
        batch = []


if __name__ == "__main__":
    main(*sys.argv[1:])
