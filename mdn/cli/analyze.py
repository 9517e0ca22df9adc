"""`mdn bench analyze`."""

import shlex
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from mdn import plots
from mdn.cli import options as opt

about = partial(opt.option, rich_help_panel="What is looked at")


@opt.command
def analyze(
    data: Annotated[
        str,
        about("A folder of clean pictures; short names are looked up in --root.", metavar="DIR"),
    ],
    out: Annotated[
        Path, opt.files("Folder for analysis.json, .csv, .md and the figures.", "-o --out", "DIR")
    ],
    model: Annotated[str, opt.models(about, "Models to analyse.")] = opt.DEFAULT_MODEL,
    noise: Annotated[
        str,
        about(
            "Types of noise, as for mdn bench. The others are compared with the first.",
            metavar="NOISE,NOISE",
        ),
    ] = "gaussian:15,gaussian:50,poisson:3,speckle:0.04,spatial:50,salt-pepper:0.02",
    patches: Annotated[int, about("Number of patches.", metavar="N", min=4)] = 32,
    side: Annotated[int, about("Their side in pixels.", metavar="N", min=16, max=512)] = 64,
    seed: Annotated[int, about("Random seed.", metavar="N", min=0)] = 0,
    root: Annotated[Path | None, opt.root(about)] = None,
    device: opt.Device = "auto",
    quiet: opt.Quiet = False,
    as_json: opt.AsJson = False,
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
        document = analysis.run(settings, lambda share: view.move_bar(bar, share))
        if plots.missing():
            view.say(f"mdn: note: {plots.missing()}", "yellow")
    if as_json:
        print_json(document)
    else:
        typer.echo(analysis.markdown(document), nl=False)
