"""Options that several commands share, each spelled once."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

import typer

from mdn.errors import MdnError, UsageError

DEFAULT_MODEL = "photo"

# Known here by name only, since mdn.noise brings torch along; a test holds the two together.
NOISE_NAMES = (
    "gaussian",
    "gaussian-gray",
    "poisson",
    "speckle",
    "speckle-normal",
    "spatial",
    "correlated",
    "salt-pepper",
    "isp",
    "camera",
    "poisson-gaussian",
    "banding-rows",
    "banding-columns",
    "grain",
    "gaussian-jpeg",
    "jpeg",
    "mixture",
    "fireflies",
    "rician",
    "speckle-gamma",
    "electron",
    "laplace",
    "uniform",
    "stripes",
    "colour-blotches",
    "impulse-blotches",
    "raw-mosaic",
    "dither",
)

DEBUG_KEY = "mdn.debug"


class Precision(StrEnum):
    """Number formats that a net can compute in."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


class QualityName(StrEnum):
    """Which model to take, where none is named."""

    fast = "fast"
    balanced = "balanced"
    best = "best"


class EncodingName(StrEnum):
    """How stored samples become what a net sees."""

    auto = "auto"
    display = "display"
    counts = "counts"


def _check_device(value: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", value):
        raise typer.BadParameter(f"{value!r} is none of auto, cpu, cuda, cuda:N and mps.")
    return value


def check_share(value: float) -> float:
    if value != value:  # NaN passes every comparison of a range check
        raise typer.BadParameter("nan is not in the range 0<=x<=1.")
    return value


def _remember_debug(context: typer.Context, value: bool) -> bool:
    if value:
        context.meta[DEBUG_KEY] = True
    return value


def model_names(incomplete: str) -> list[str]:
    """Completion of --model; a damaged card must not break the shell's Tab key."""
    from mdn.registry import store

    try:
        names = [card.name for card in store.list_cards()]
    except MdnError:
        names = store.names()
    return [name for name in names if name.startswith(incomplete)]


def noise_names(incomplete: str) -> list[str]:
    """Completion of --type."""
    return [name for name in NOISE_NAMES if name.startswith(incomplete)]


def chosen_quality(quality: QualityName | None, model: str | None) -> str:
    """What --quality asks for. Raises UsageError where --model asks for something else."""
    if quality is not None and model is not None:
        raise UsageError(
            f"--quality {quality.value} chooses the model, and --model {model} names one: "
            "leave one of them out"
        )
    return QualityName.balanced.value if quality is None else quality.value


def _choices(*values: str) -> Callable[[str], list[str]]:
    return lambda incomplete: [value for value in values if value.startswith(incomplete)]


FILES, STACKS, WORK, TALK = "Files", "Stacks", "Computation", "Messages"


def share(help: str) -> Any:
    """An option that takes 0 to 1."""
    return typer.Option(
        min=0.0, max=1.0, metavar="SHARE", callback=check_share, rich_help_panel=WORK, help=help
    )


def model(help: str) -> Any:
    """--model of a command for files."""
    return typer.Option(
        "-m",
        "--model",
        metavar="NAME",
        rich_help_panel=WORK,
        autocompletion=model_names,
        show_default="photo, or cells for counts",
        help=help,
    )


Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="INPUTS",
        show_default=False,
        help="Images, folders, quoted patterns such as 'photos/**/*.jpg', or - for standard input.",
    ),
]
Strength = Annotated[
    float, share("1 removes all noise, 0 none. In between, the result is mixed with the original.")
]
MaxMemory = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        rich_help_panel=WORK,
        show_default=False,
        help="Memory limit, such as 512M or 2G. Large pictures are then denoised in smaller tiles.",
    ),
]

Output = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="OUT",
        rich_help_panel=FILES,
        show_default=False,
        help="A file, a folder (existing, or ending in /), a template with {stem} {suffix} {name}"
        " {parent}, or - for standard output.",
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        metavar="FORMAT",
        rich_help_panel=FILES,
        show_default=False,
        autocompletion=_choices("png", "jpeg", "tiff", "webp", "bmp", "jxl", "avif", "heic"),
        help="png, jpeg, tiff, webp, bmp, jxl, avif or heic, whatever the name of the output says.",
    ),
]
Recursive = Annotated[
    bool,
    typer.Option(
        "-r", "--recursive", metavar="", rich_help_panel=FILES, help="Include subfolders."
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite", metavar="", rich_help_panel=FILES, help="Replace existing outputs."
    ),
]
SkipExisting = Annotated[
    bool,
    typer.Option(
        "--skip-existing",
        metavar="",
        rich_help_panel=FILES,
        help="Skip inputs whose output exists.",
    ),
]


Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        metavar="",
        rich_help_panel=FILES,
        help="Skip what an earlier run did with the same input, options and weights.",
    ),
]
FromFile = Annotated[
    str | None,
    typer.Option(
        "--from-file",
        metavar="LIST",
        rich_help_panel=FILES,
        show_default=False,
        help="Take the inputs from a file: one name a line, or ended by NUL; - for standard input.",
    ),
]
Watch = Annotated[
    str | None,
    typer.Option(
        "--watch",
        metavar="DIR",
        rich_help_panel=FILES,
        show_default=False,
        help="Denoise what comes into this folder until Ctrl-C.",
    ),
]
ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="N/OF",
        rich_help_panel=FILES,
        show_default=False,
        help="Do one of several shares of the files, such as 3/16; auto inside a job array.",
    ),
]


MaxPixels = Annotated[
    int | None,
    typer.Option(
        "--max-pixels",
        min=1,
        metavar="N",
        rich_help_panel=WORK,
        show_default=False,
        help="Refuse pictures of more pixels before they are decoded.",
    ),
]


def _plane_option(help: str) -> object:
    return typer.Option(metavar="NUMBERS", rich_help_panel=STACKS, show_default=False, help=help)


Encoding = Annotated[
    EncodingName,
    typer.Option(
        "--encoding",
        rich_help_panel=STACKS,
        help="display: pictures to look at. counts: measured light, as from a microscope. auto: "
        "counts for gray TIFF of 16 bits, of floats, or from a microscope.",
    ),
]
Axes = Annotated[
    str | None,
    typer.Option(
        metavar="LETTERS",
        rich_help_panel=STACKS,
        show_default=False,
        help="Axes of a TIFF stack, such as TZCYX, if the file names them wrongly.",
    ),
]
Channels = Annotated[
    str | None,
    _plane_option("Channels to denoise, counted from 0, such as 0,2. The others are copied."),
]
ZPlanes = Annotated[
    str | None, _plane_option("Slices to denoise, such as 3-7. The others are copied.")
]
TPlanes = Annotated[
    str | None, _plane_option("Times to denoise, such as 0-9. The others are copied.")
]
Quality = Annotated[
    QualityName | None,
    typer.Option(
        "--quality",
        rich_help_panel=WORK,
        show_default="balanced",
        help="fast: a smaller model. balanced: the usual one. best: the largest model, averaged "
        "over 8 flips and rotations, about 15 times slower. Not together with --model.",
    ),
]
JpegQuality = Annotated[
    int,
    typer.Option(
        min=1,
        max=100,
        metavar="N",
        rich_help_panel=FILES,
        help="Quality of JPEG, and of lossy WebP, AVIF, HEIC and JPEG XL.",
    ),
]
Device = Annotated[
    str,
    typer.Option(
        metavar="DEVICE",
        callback=_check_device,
        rich_help_panel=WORK,
        autocompletion=_choices("auto", "cpu", "cuda", "mps"),
        help="auto (a GPU if there is one), cpu, cuda, cuda:N or mps.",
    ),
]
PrecisionOption = Annotated[
    Precision,
    typer.Option(
        "--precision",
        rich_help_panel=WORK,
        help="Number format to compute in. auto takes the fastest that keeps the quality.",
    ),
]
FailFast = Annotated[
    bool,
    typer.Option(
        "--fail-fast", metavar="", rich_help_panel=WORK, help="Stop at the first file that fails."
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", metavar="", rich_help_panel=WORK, help="Only print what would be done."
    ),
]
Quiet = Annotated[
    bool, typer.Option("-q", "--quiet", metavar="", rich_help_panel=TALK, help="Print errors only.")
]
AsJson = Annotated[
    bool,
    typer.Option(
        "--json", metavar="", rich_help_panel=TALK, help="One JSON document on standard output."
    ),
]
Debug = Annotated[
    bool,
    typer.Option(
        "--debug",
        metavar="",
        is_eager=True,
        callback=_remember_debug,
        rich_help_panel=TALK,
        help="Show the traceback of an error.",
    ),
]
