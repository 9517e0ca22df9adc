"""`mdn bench analyze`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from mdn import plots
from mdn.cli import options as opt

ABOUT = "What is looked at"


def analyze(
    data: Annotated[
        str,
        typer.Option(
            metavar="DIR",
            rich_help_panel=ABOUT,
            show_default=False,
            help="A folder of clean pictures; short names are looked up in --root.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            metavar="DIR",
            rich_help_panel=opt.FILES,
            show_default=False,
            help="Folder for analysis.json, .csv, .md and the figures.",
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            "-m",
            "--model",
            metavar="NAME[,NAME]",
            rich_help_panel=ABOUT,
            autocompletion=opt.model_names,
            help="Models to analyse.",
        ),
    ] = opt.DEFAULT_MODEL,
    noise: Annotated[
        str,
        typer.Option(
            metavar="NOISE,NOISE",
            rich_help_panel=ABOUT,
            help="Types of noise, as for mdn bench. The others are compared with the first.",
        ),
    ] = "gaussian:15,gaussian:50,poisson:3,speckle:0.04,spatial:50,salt-pepper:0.02",
    patches: Annotated[
        int, typer.Option(min=4, metavar="N", rich_help_panel=ABOUT, help="Number of patches.")
    ] = 32,
    side: Annotated[
        int,
        typer.Option(
            min=16, max=512, metavar="N", rich_help_panel=ABOUT, help="Their side in pixels."
        ),
    ] = 64,
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", rich_help_panel=ABOUT, help="Random seed.")
    ] = 0,
    root: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            rich_help_panel=ABOUT,
            show_default=False,
            help="Folder where short names of data are looked up; by default test/ in "
            "$MDN_TEST_DATA.",
        ),
    ] = None,
    device: opt.Device = "auto",
    quiet: opt.Quiet = False,
    as_json: opt.AsJson = False,
    debug: opt.Debug = False,
) -> None:
    """Analyses what noise does to the features inside a model.

    CKA compares stages within and across models and noises; SRGA says how
    differently a model treats two noises; histograms show its deepest features.

    [bold]Example[/bold]

      mdn bench analyze --model photo,swinir-masked-s15 --data cbsd68 -o inside/
    """
    from mdn.bench.features import analysis
    from mdn.cli.render import Lines, print_json

    settings = analysis.Settings(
        models=tuple(part.strip() for part in model.split(",")),
        data=data,
        noise=noise,
        out=out,
        patches=patches,
        side=side,
        seed=seed,
        root=root,
        device=device,
        command=shlex.join(["mdn", *sys.argv[1:]]),
    )
    with Lines(quiet=quiet) as view:
        bar = view.add_bar("patches", 1)

        def tell(what: str, share: float) -> None:
            if share:
                view.move_bar(bar, share)

        document = analysis.run(settings, tell)
        if plots.missing():
            view.say(f"mdn: note: {plots.missing()}", "yellow")
    if as_json:
        print_json(document)
    else:
        typer.echo(analysis.markdown(document), nl=False)
