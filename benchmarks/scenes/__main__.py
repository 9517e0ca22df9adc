"""`python -m benchmarks.scenes`: pairs of noisy and clean renders, to measure and to train on."""

import time
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.scenes import rendering
from mdn.errors import MdnError


def main(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Gets SCENE_SPP.exr, by scene.")],
    count: Annotated[int, typer.Option(min=1, help="Scenes.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Of the first scene; the next count up.")] = 0,
    size: Annotated[int, typer.Option(min=16, help="Pixels a side.")] = 128,
    spp: Annotated[str, typer.Option(metavar="N,N", help="Samples per pixel.")] = "4,16,64",
    reference: Annotated[int, typer.Option(min=2, help="Samples of the reference.")] = 512,
    variant: Annotated[
        str,
        typer.Option(
            help="Mitsuba's; llvm_ad_rgb needs LLVM 16 (DRJIT_LIBLLVM_PATH) and is 8 times as fast."
        ),
    ] = "scalar_rgb",
    hard: Annotated[
        bool, typer.Option(help="With fog, leaves, glass, small lamps, a moving camera.")
    ] = False,
    furnished: Annotated[
        bool,
        typer.Option(help="Rooms with furniture, ribs, blinds, a window; with or without --hard."),
    ] = False,
) -> None:
    """Renders scenes at several numbers of samples per pixel, with albedo, normal and a reference.

    A scene follows from its seed. What is in the folder already is not rendered again, so that a
    run that was stopped goes on.
    """
    begun = time.monotonic()

    def tell(line: str) -> None:
        typer.echo(f"{line}, after {time.monotonic() - begun:.0f} s", err=True)

    try:
        numbers = tuple(int(part) for part in spp.split(","))
    except ValueError:
        raise typer.BadParameter(f"{spp}: write numbers, such as 4,16,64") from None
    asked = rendering.Settings(
        out, count, seed, size, size, numbers, reference, variant, hard, furnished
    )
    try:
        files = rendering.run(asked, tell)
    except MdnError as error:
        typer.echo(f"mdn: error: {error}", err=True)
        raise typer.Exit(error.exit_code) from error
    typer.echo(f"{len(files)} files in {out}")


if __name__ == "__main__":
    typer.run(main)
