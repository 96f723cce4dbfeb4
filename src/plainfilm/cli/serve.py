"""``plainfilm serve``: the service, its reading room and its DICOM node."""

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plainfilm.cli.options import DeviceOption, PresetOption, ThreadsOption, use_threads
from plainfilm.core import InputError, check_folder

if TYPE_CHECKING:
    from plainfilm.pipeline import ReportModel

_HERE = ("localhost", "127.0.0.1", "::1")


def serve(
    folder: Annotated[
        Path, typer.Option(help="Where films, drafts, tokens and logs lie; backed up as one.")
    ] = Path("plainfilm-service"),
    model: Annotated[
        str, typer.Option(help="A shipped model, a run folder or a checkpoint directory.")
    ] = "plainfilm-small",
    host: Annotated[
        str, typer.Option(help="Address to listen on; this machine alone where left out.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8420,
    name: Annotated[
        list[str] | None,
        typer.Option(help="A further name under which the service is asked (behind a proxy)."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(help="Make a token of this name, print it, and end.", show_default=False),
    ] = None,
    most_waiting: Annotated[
        int, typer.Option(min=1, help="Studies that may wait; more are answered by 429.")
    ] = 1000,
    per_minute: Annotated[
        int, typer.Option(min=1, help="Requests of one token; more are answered by 429.")
    ] = 1200,
    most_mib: Annotated[int, typer.Option(min=1, help="Of one request.")] = 512,
    dicom_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Also be a DICOM node there (docs/serving.md)."),
    ] = None,
    aet: Annotated[str, typer.Option(help="Application entity title of the node.")] = "PLAINFILM",
    calling: Annotated[
        list[str] | None,
        typer.Option(help="AE title that may send films; any where none is given."),
    ] = None,
    send_to: Annotated[
        str | None,
        typer.Option(metavar="AET@HOST:PORT", help="Node that gets the results of what it sent."),
    ] = None,
    send: Annotated[
        str, typer.Option(help="Forms of DICOM that are sent, separated by commas.")
    ] = "dicom-sr",
    preset: PresetOption = None,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Draft what is uploaded or sent, and show it in a reading room.

    Listens on this machine alone; every request carries a token, and the first start prints one.
    What was accepted is drafted, whatever stops the program in between.

        plainfilm serve
        plainfilm serve --token dr-grey
        plainfilm serve --dicom-port 11112 --send-to ORTHANC@localhost:4242
    """
    check_folder(folder)
    from plainfilm.serve.access import has_tokens, make_token

    folder.mkdir(parents=True, exist_ok=True)
    if token is not None:
        typer.echo(make_token(folder, token))
        return
    import uvicorn

    from plainfilm.serve.app import Service, make_app
    from plainfilm.serve.uploads import Limits

    def opened() -> "ReportModel":
        from plainfilm.pipeline import load_model

        loaded = load_model(model, preset=preset, device=device)
        use_threads(loaded.model, threads)
        return loaded

    hosts = ("localhost", "127.0.0.1", "[::1]", *([] if host in _HERE else [host]), *(name or []))
    service = Service(
        folder,
        opened,
        limits=Limits(most_bytes=most_mib << 20),
        most_waiting=most_waiting,
        per_minute=per_minute,
        hosts=hosts,
    )
    service.drafter.open()
    if not has_tokens(folder):
        typer.echo(f"token of 'admin', told this once: {make_token(folder, 'admin')}", err=True)
    node = None
    if dicom_port is not None:
        from plainfilm.serve.node import Node, Peer

        node = Node(
            service, aet=aet, port=dicom_port, host=host, calling=tuple(calling or ()),
            peer=Peer.of(send_to) if send_to else None,
            forms=tuple(one.strip() for one in send.split(",")),
        )  # fmt: skip
        node.start()
        typer.echo(f"DICOM node {aet} on {host}:{node.port}", err=True)
    elif send_to is not None:
        raise InputError("--send-to is for a DICOM node: give --dicom-port too")
    with socket.create_server((host, port)) as listening:
        typer.echo(f"reading room: http://{host}:{listening.getsockname()[1]}/", err=True)
        config = uvicorn.Config(
            make_app(service), log_level="warning", access_log=False, server_header=False,
            timeout_graceful_shutdown=30,
        )  # fmt: skip
        uvicorn.Server(config).run(sockets=[listening])
    if node is not None:
        node.stop()
