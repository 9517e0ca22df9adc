"""`mdn bench analyze`."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from mdn import plots
from mdn.cli import options as opt
from mdn.cli.render import Lines, print_json


@opt.command
def analyze(
    data: str,
    out: Path,
    model: opt.AnyModel = opt.DEFAULT_MODEL,
    noise: str = "gaussian:15,gaussian:50,poisson:3,speckle:0.04,spatial:50,salt-pepper:0.02",
    patches: Annotated[int, opt.rules(min=4)] = 32,
    side: Annotated[int, opt.rules(min=16, max=512)] = 64,
    seed: opt.Natural = 0,
    root: Path | None = None,
    device: opt.Device = "auto",
    quiet: bool = False,
    as_json: bool = False,
) -> None:
    """Analyses what noise does to the features inside a model.

    CKA compares stages within and across models and noises; SRGA says how
    differently a model treats two noises; histograms show its deepest features.
    """
    from mdn.bench.features import analysis

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
