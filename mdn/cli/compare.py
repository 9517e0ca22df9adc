"""`mdn compare`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mdn.cli.help import command, rules
from mdn.cli.render import print_json, print_table
from mdn.errors import UsageError


@command
def compare(
    before: str,
    after: str,
    truth: str | None = None,
    output: Annotated[Path | None, rules(show_default="AFTER_compare.html")] = None,
    overwrite: bool = False,
    plane: Annotated[int | None, rules(min=0, show_default="the middle one")] = None,
    crop: str | None = None,
    quiet: bool = False,
    as_json: bool = False,
) -> None:
    """Shows two pictures as one page: a slider, zoom, their difference, and numbers.

    The page is one file that opens in any browser, offline. With the true
    picture it also says how near each of the two is to it.
    """
    from mdn.compare import compare as task
    from mdn.compare.compare import rows
    from mdn.compare.pictures import ROLES

    shown: dict[str, Any] = {"plane": plane, "crop": _crop(crop), "overwrite": overwrite}
    facts = task.run(before, after, truth, output, **shown)
    if as_json:
        print_json({"command": "compare", **facts, "exit_code": 0})
        return
    if quiet:
        return
    roles = [role for role in ROLES if role in facts]
    print_table(("", *roles), ([title, *cells] for title, cells in rows(roles, facts)), roles)
    for line in facts["notes"]:
        typer.echo(line)
    typer.echo(f"page: {facts['output']}")


def _crop(text: str | None) -> tuple[int, int, int, int] | None:
    """The four numbers of --crop."""
    if text is None:
        return None
    try:
        left, top, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--crop {text}: write four whole numbers, such as 0,0,640,480") from None
    return left, top, width, height
