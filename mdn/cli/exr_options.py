"""The options of `mdn denoise` that are about renders."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from mdn.cli import options

if TYPE_CHECKING:
    from mdn.renders import RenderOptions

renders = partial(options.option, rich_help_panel="Renders (OpenEXR)")


@dataclass(frozen=True)
class Renders:
    """The options of `mdn denoise` for OpenEXR files."""

    layer: Annotated[
        str | None,
        renders(
            "Layers to denoise, such as diffuse,specular; auto takes all layers of light. By"
            " default the beauty. All others are copied bit for bit.",
            "--layer --layers",
            "NAMES",
        ),
    ] = None
    keep: Annotated[
        str | None,
        renders(
            "Layers to leave as they are, such as emission,mist, even if --layer includes them.",
            metavar="NAMES",
        ),
    ] = None
    keep_sums: Annotated[
        bool,
        renders(
            "Also denoise the lights that add up to the beauty, so that they still add up to it.",
            "--keep-sums",
        ),
    ] = False
    albedo: Annotated[
        str,
        renders(
            "Guide layer: auto finds it by its name; or none, a layer's name, or an EXR file.",
            metavar="LAYER",
        ),
    ] = "auto"
    normal: Annotated[str, renders("Guide layer, as --albedo.", metavar="LAYER")] = "auto"
    clamp_fireflies: Annotated[
        float | None,
        renders(
            "Allow no pixel to be brighter than TIMES the median of its neighbours.",
            metavar="TIMES",
            min=1.0,
        ),
    ] = None
    tonemap: Annotated[
        Literal["hdr", "srgb"],
        renders("hdr keeps the whole range of light. srgb clips to 0..1, as tables in papers do."),
    ] = "hdr"
    frames: Annotated[
        str | None,
        renders(
            "Frames of a sequence frame.####.exr: 1-240, 1-240x2 or 1-9,12. By default all that"
            " exist.",
            metavar="RANGE",
        ),
    ] = None
    motion: Annotated[
        bool,
        renders(
            "For a sequence: blend each frame with the previous one, along its motion vectors.",
            "--motion",
        ),
    ] = False
    explain: Annotated[
        bool, renders("Print each layer's role, and what became of it.", "--explain")
    ] = False

    def request(self, *, sequence: bool) -> RenderOptions:
        """The same as the pipeline takes them. sequence: the files are frames of one sequence."""
        from mdn.renders import RenderOptions

        same = {key: value for key, value in vars(self).items() if key not in ("layer", "frames")}
        same |= {"layers": names(self.layer), "keep": names(self.keep)}
        return RenderOptions(**same, sequence=sequence)


def names(text: str | None) -> tuple[str, ...]:
    """ "diffuse, mist" as its names."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())
