"""`mdn bench speed`."""

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from mdn.cli import options as opt
from mdn.cli.render import print_json, print_table

MODELS = "photo-fast,photo,photo-fine,generalist-s15"


@opt.command
def speed(
    model: opt.AnyModel = MODELS,
    side: Annotated[int, opt.rules(min=64, max=8192)] = 1024,
    count: Annotated[int, opt.rules(min=2)] = 4,
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    threads: opt.Limit = None,
    as_json: bool = False,
) -> None:
    """Measures how fast models are, beside what this machine could do.

    Noisy pictures go from JPEG to JPEG, as mdn denoise does it. Shown are the
    work of the net for a pixel, its time, how much of the machine's rate it
    reaches, the time outside the net as a share of that in it, and the share
    of the time in which the processor waited for files. The table is
    Markdown unless it goes to a terminal.
    """
    import torch

    from mdn.bench import speed as task
    from mdn.bench.tables import table
    from mdn.engine.device import choose_device

    if threads is not None:
        torch.set_num_threads(threads)
    rates = task.rates(choose_device(device), precision)
    found = [
        task.measure(task.request(name.strip(), device, precision), side, count, rates)
        for name in (task.every_model() if model == "all" else model.split(","))
    ]
    if as_json:
        print_json({"machine": asdict(rates), "models": [asdict(each) for each in found]})
        return
    rate = f"{rates.flop / 1e9:.0f} GFLOP/s in {rates.precision}, {rates.bytes / 1e9:.1f} GB/s"
    typer.echo(f"machine: {rate}, {torch.get_num_threads()} threads\n")
    header = ("model", "kFLOP/pixel", "bytes/pixel", "net", "of the rate", "outside", "idle")
    rows = [
        (
            each.model,
            f"{each.flop / 1e3:.0f}",
            f"{each.bytes:.0f}",
            f"{1e6 * each.net:.2f} us/pixel",
            f"{each.share:.0%}",
            f"{each.rest:.0%}",
            f"{each.idle:.0%}",
        )
        for each in found
    ]
    if sys.stdout.isatty():
        print_table(header, rows, header[1:])
    else:
        typer.echo("\n".join(table(header, rows, 1)))
