"""The options of `mdn denoise` that are about renders."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

RENDERS = "Renders (OpenEXR)"


class Tonemap(StrEnum):
    """What a net sees of linear light."""

    hdr = "hdr"
    srgb = "srgb"


Layer = Annotated[
    str | None,
    typer.Option(
        "--layer",
        "--layers",
        metavar="NAMES",
        rich_help_panel=RENDERS,
        show_default=False,
        help="Layers to denoise, as in diffuse,specular, or auto: the beauty and all that is "
        "light. Otherwise the beauty. The rest leaves bit for bit.",
    ),
]
Keep = Annotated[
    str | None,
    typer.Option(
        "--keep",
        metavar="NAMES",
        rich_help_panel=RENDERS,
        show_default=False,
        help="Layers to leave as they are, whatever --layer says, as in emission,mist.",
    ),
]
KeepSums = Annotated[
    bool,
    typer.Option(
        "--keep-sums",
        metavar="",
        rich_help_panel=RENDERS,
        help="Denoise the lights that add up to the beauty, too, and let them still add up.",
    ),
]
Albedo = Annotated[
    str,
    typer.Option(
        metavar="LAYER",
        rich_help_panel=RENDERS,
        help="Guide: auto (by the usual names), none, a layer's name, or an EXR file.",
    ),
]
Normal = Annotated[
    str, typer.Option(metavar="LAYER", rich_help_panel=RENDERS, help="Guide: as --albedo.")
]
ClampFireflies = Annotated[
    float | None,
    typer.Option(
        min=1.0,
        metavar="TIMES",
        rich_help_panel=RENDERS,
        show_default=False,
        help="Let no pixel be brighter than TIMES the median of its neighbours.",
    ),
]
TonemapOption = Annotated[
    Tonemap,
    typer.Option(
        "--tonemap",
        rich_help_panel=RENDERS,
        help="hdr keeps the whole range. srgb clips to 0..1 as papers do, for their tables.",
    ),
]
Frames = Annotated[
    str | None,
    typer.Option(
        metavar="RANGE",
        rich_help_panel=RENDERS,
        show_default=False,
        help="Of a shot frame.####.exr: 1-240, 1-240x2 or 1-9,12; all that are there otherwise.",
    ),
]
Motion = Annotated[
    bool,
    typer.Option(
        "--motion",
        metavar="",
        rich_help_panel=RENDERS,
        help="Of a shot: blend with the frame before, along its motion vectors.",
    ),
]
Explain = Annotated[
    bool,
    typer.Option(
        "--explain",
        metavar="",
        rich_help_panel=RENDERS,
        help="Tell each layer's role, and what became of it.",
    ),
]


def names(text: str | None) -> tuple[str, ...]:
    """ "diffuse, mist" as its names."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())
