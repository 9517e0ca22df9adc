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
        help="Layers to denoise, such as diffuse,specular; auto takes all layers of light. By "
        "default the beauty. All others are copied bit for bit.",
    ),
]
Keep = Annotated[
    str | None,
    typer.Option(
        "--keep",
        metavar="NAMES",
        rich_help_panel=RENDERS,
        show_default=False,
        help="Layers to leave as they are, such as emission,mist, even if --layer includes them.",
    ),
]
KeepSums = Annotated[
    bool,
    typer.Option(
        "--keep-sums",
        metavar="",
        rich_help_panel=RENDERS,
        help="Also denoise the lights that add up to the beauty, so that they still add up to it.",
    ),
]
Albedo = Annotated[
    str,
    typer.Option(
        metavar="LAYER",
        rich_help_panel=RENDERS,
        help="Guide layer: auto finds it by its name; or none, a layer's name, or an EXR file.",
    ),
]
Normal = Annotated[
    str, typer.Option(metavar="LAYER", rich_help_panel=RENDERS, help="Guide layer, as --albedo.")
]
ClampFireflies = Annotated[
    float | None,
    typer.Option(
        min=1.0,
        metavar="TIMES",
        rich_help_panel=RENDERS,
        show_default=False,
        help="Allow no pixel to be brighter than TIMES the median of its neighbours.",
    ),
]
TonemapOption = Annotated[
    Tonemap,
    typer.Option(
        "--tonemap",
        rich_help_panel=RENDERS,
        help="hdr keeps the whole range of light. srgb clips to 0..1, as tables in papers do.",
    ),
]
Frames = Annotated[
    str | None,
    typer.Option(
        metavar="RANGE",
        rich_help_panel=RENDERS,
        show_default=False,
        help="Frames of a sequence frame.####.exr: 1-240, 1-240x2 or 1-9,12. By default all that "
        "exist.",
    ),
]
Motion = Annotated[
    bool,
    typer.Option(
        "--motion",
        metavar="",
        rich_help_panel=RENDERS,
        help="For a sequence: blend each frame with the previous one, along its motion vectors.",
    ),
]
Explain = Annotated[
    bool,
    typer.Option(
        "--explain",
        metavar="",
        rich_help_panel=RENDERS,
        help="Print each layer's role, and what became of it.",
    ),
]


def names(text: str | None) -> tuple[str, ...]:
    """ "diffuse, mist" as its names."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())
