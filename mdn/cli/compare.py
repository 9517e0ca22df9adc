"""`mdn compare`."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from mdn.cli import options as opt
from mdn.errors import UsageError

shown = partial(opt.option, rich_help_panel="What is shown")


@opt.command
def compare(
    before: Annotated[str, typer.Argument(metavar="BEFORE", help="The noisy picture.")],
    after: Annotated[str, typer.Argument(metavar="AFTER", help="The denoised picture.")],
    truth: Annotated[
        str | None,
        typer.Argument(
            metavar="TRUTH", show_default=False, help="The true picture, where there is one."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        opt.files("The page.", "-o --output", "FILE.html", show_default="AFTER_compare.html"),
    ] = None,
    overwrite: opt.Overwrite = False,
    plane: Annotated[
        int | None,
        shown(
            "Which picture of a stack, counted from 0.",
            metavar="N",
            min=0,
            show_default="the middle one",
        ),
    ] = None,
    crop: Annotated[
        str | None,
        shown(
            "The part to show: its left and top edge, width and height in pixels.",
            metavar="X,Y,W,H",
        ),
    ] = None,
    quiet: opt.Quiet = False,
    as_json: opt.AsJson = False,
) -> None:
    """Shows two pictures as one page: a slider, zoom, their difference, and numbers.

    The page is one file that opens in any browser, offline. With the true
    picture it also says how near each of the two is to it.

    [bold]Examples[/bold]

      mdn compare photo.jpg photo_denoised.jpg
      mdn compare noisy.png clean.png truth.png -o page.html
      mdn compare cells.tif cells_denoised.tif --plane 12
      mdn compare render.exr clean.exr --crop 400,300,640,480
    """
    from mdn.cli.render import print_json, print_table
    from mdn.compare import compare as task
    from mdn.compare.page import rows
    from mdn.compare.pictures import ROLES

    shown: dict[str, Any] = {"plane": plane, "crop": _crop(crop), "overwrite": overwrite}
    found = task.run(before, after, truth, output, **shown)
    if as_json:
        print_json({"command": "compare", **found, "exit_code": 0})
        return
    if quiet:
        return
    roles = [role for role in ROLES if role in found]
    print_table(("", *roles), ([title, *cells] for title, cells in rows(roles, found)), roles)
    for line in found["notes"]:
        typer.echo(line)
    typer.echo(f"page: {found['output']}")


def _crop(text: str | None) -> tuple[int, int, int, int] | None:
    """The four numbers of --crop."""
    if text is None:
        return None
    try:
        left, top, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--crop {text}: write four whole numbers, such as 0,0,640,480") from None
    return left, top, width, height
