"""Options that several commands share, each spelled once."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import partial, wraps
from typing import Annotated, Any, Literal, get_type_hints

import typer

from mdn.errors import MdnError, UsageError

DEFAULT_MODEL = "photo"
DEBUG_KEY = "mdn.debug"
FORMATS = ("png", "jpeg", "tiff", "webp", "bmp", "jxl", "avif", "heic")


def option(help: str, flags: str = "", metavar: str | None = None, **more: Any) -> Any:
    """An option by what help says of it, and its flags ("-o --output") where its name is not one.

    more: what typer.Option takes.
    """
    return typer.Option(*flags.split(), metavar=metavar, help=help, **more)


files = partial(option, rich_help_panel="Files")
stacks = partial(option, rich_help_panel="Stacks")
work = partial(option, rich_help_panel="Computation")
talk = partial(option, rich_help_panel="Messages")


def _remember_debug(context: typer.Context, value: bool) -> None:
    if value:
        context.meta[DEBUG_KEY] = True


def debugging(context: typer.Context) -> bool:
    """Whether --debug was given."""
    return bool(context.meta.get(DEBUG_KEY))


Debug = Annotated[
    bool,
    talk("Show the traceback of an error.", "--debug", is_eager=True, callback=_remember_debug),
]


def command(function: Callable[..., Any]) -> Callable[..., Any]:
    """A command as Typer takes it: with --debug, and with parameters that are dataclasses spread.

    Each field of such a dataclass becomes an option.
    """
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, Any] = {name: kind for name, kind in hints.items() if is_dataclass(kind)}
    shown: list[inspect.Parameter] = []

    def show(name: str, default: Any, annotation: Any) -> None:
        kind = inspect.Parameter.KEYWORD_ONLY
        shown.append(inspect.Parameter(name, kind, default=default, annotation=annotation))

    for name, parameter in inspect.signature(function).parameters.items():
        if name not in groups:
            show(name, parameter.default, hints[name])
            continue
        inner = get_type_hints(groups[name], include_extras=True)
        for each in fields(groups[name]):
            show(each.name, each.default, inner[each.name])
    show("debug", False, Debug)

    @wraps(function)
    def call(*, debug: bool, **values: Any) -> Any:
        for name, kind in groups.items():
            values[name] = kind(**{each.name: values.pop(each.name) for each in fields(kind)})
        return function(**values)

    call.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    call.__annotations__ = {each.name: each.annotation for each in shown}
    return call


# --- values --------------------------------------------------------------------------------------


def _check_device(value: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", value):
        raise typer.BadParameter(f"{value!r} is none of auto, cpu, cuda, cuda:N and mps.")
    return value


def _check_share(value: float) -> float:
    if value != value:  # NaN passes every comparison of a range check
        raise typer.BadParameter("nan is not in the range 0<=x<=1.")
    return value


def one_of(*values: str) -> Callable[[str], list[str]]:
    """Completion of an option that takes one of these values."""
    return lambda incomplete: [value for value in values if value.startswith(incomplete)]


def model_names(incomplete: str) -> list[str]:
    """Completion of --model; a damaged card must not break the shell's Tab key."""
    from mdn.registry import store

    try:
        names = [card.name for card in store.list_cards()]
    except MdnError:
        names = store.names()
    return one_of(*names)(incomplete)


def noise_names(incomplete: str) -> list[str]:
    """Completion of a type of noise."""
    from mdn.noise.kinds import described

    return one_of(*described())(incomplete)


def model_name(help: str) -> Any:
    """An argument that names a model."""
    return typer.Argument(metavar="NAME", autocompletion=model_names, show_default=False, help=help)


def chosen_quality(quality: str | None, model: str | None) -> str:
    """What --quality asks for. Raises UsageError where --model asks for something else."""
    if quality is not None and model is not None:
        raise UsageError(
            f"--quality {quality} chooses the model, and --model {model} names one: "
            "leave one of them out"
        )
    return quality or "balanced"


def root(panel: Callable[..., Any]) -> Any:
    """--root of a command that looks data up, in its panel of the help."""
    where = "by default test/ in $MDN_TEST_DATA"
    return panel(f"Folder where short names of data are looked up; {where}.", metavar="DIR")


def share(help: str) -> Any:
    """An option that takes 0 to 1."""
    return work(help, "", "SHARE", min=0.0, max=1.0, callback=_check_share)


def models(panel: Callable[..., Any], help: str) -> Any:
    """--model of a command that takes several, in its panel of the help."""
    return panel(help, "-m --model", "NAME[,NAME]", autocompletion=model_names)


def model(help: str) -> Any:
    """--model of a command for files."""
    default = "photo, or cells for counts"
    return work(help, "-m --model", "NAME", autocompletion=model_names, show_default=default)


# --- options -------------------------------------------------------------------------------------

Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="INPUTS",
        show_default=False,
        help="Images, folders, quoted patterns such as 'photos/**/*.jpg', or - for standard input.",
    ),
]
Output = Annotated[
    str | None,
    files(
        "A file, a folder (existing, or ending in /), a template with {stem} {suffix} {name}"
        " {parent}, or - for standard output.",
        "-o --output",
        "OUT",
    ),
]
ModelName = Annotated[str, model_name("A model's name.")]
Overwrite = Annotated[bool, files("Replace existing outputs.", "--overwrite")]
Quiet = Annotated[bool, talk("Print errors only.", "-q --quiet")]
AsJson = Annotated[bool, talk("One JSON document on standard output.", "--json")]


@dataclass(frozen=True)
class Files:
    """The options of all commands that make files of files."""

    recursive: Annotated[bool, files("Include subfolders.", "-r --recursive")] = False
    overwrite: Overwrite = False
    skip_existing: Annotated[bool, files("Skip inputs whose output exists.", "--skip-existing")] = (
        False
    )
    from_file: Annotated[
        str | None,
        files(
            "Take the inputs from a file: one name a line, or ended by NUL; - for standard input.",
            "--from-file",
            "LIST",
        ),
    ] = None
    shard: Annotated[
        str | None,
        files(
            "Do one of several shares of the files, such as 3/16; auto inside a job array.",
            "--shard",
            "N/OF",
        ),
    ] = None
    dask: Annotated[
        str | None,
        files(
            "Share the work among the workers of a Dask cluster: local, tcp://SCHEDULER:8786, or a"
            " YAML file that describes one (docs/clusters.md).",
            "--dask",
            "WHERE",
        ),
    ] = None
    format: Annotated[
        str | None,
        files(
            f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}, whatever the name of the output says.",
            metavar="FORMAT",
            autocompletion=one_of(*FORMATS),
        ),
    ] = None
    jpeg_quality: Annotated[
        int,
        files(
            "Quality of JPEG, and of lossy WebP, AVIF, HEIC and JPEG XL.",
            metavar="N",
            min=1,
            max=100,
        ),
    ] = 95
    max_pixels: Annotated[
        int | None,
        work("Refuse pictures of more pixels before they are decoded.", "", "N", min=1),
    ] = None
    fail_fast: Annotated[bool, work("Stop at the first file that fails.", "--fail-fast")] = False
    dry_run: Annotated[bool, work("Only print what would be done.", "--dry-run")] = False
    quiet: Quiet = False
    as_json: AsJson = False


Resume = Annotated[
    bool,
    files("Skip what an earlier run did with the same input, options and weights.", "--resume"),
]
Watch = Annotated[
    str | None, files("Denoise what comes into this folder until Ctrl-C.", "--watch", "DIR")
]
Quality = Annotated[
    Literal["fast", "balanced", "best"] | None,
    work(
        "fast: a smaller model. balanced: the usual one. best: the largest model, averaged over 8"
        " flips and rotations, about 15 times slower. Not together with --model.",
        show_default="balanced",
    ),
]
Strength = Annotated[
    float, share("1 removes all noise, 0 none. In between, the result is mixed with the original.")
]
MaxMemory = Annotated[
    str | None,
    work(
        "Memory limit, such as 512M or 2G. Large pictures are then denoised in smaller tiles.",
        metavar="SIZE",
    ),
]
Device = Annotated[
    str,
    work(
        "auto (a GPU if there is one), cpu, cuda, cuda:N or mps.",
        metavar="DEVICE",
        callback=_check_device,
        autocompletion=one_of("auto", "cpu", "cuda", "mps"),
    ),
]
Precision = Annotated[
    Literal["auto", "fp32", "bf16", "fp16"],
    work("Number format to compute in. auto takes the fastest that keeps the quality."),
]
Threads = Annotated[int | None, work("Processor threads to use; all by default.", "", "N", min=1)]
planes = partial(stacks, metavar="NUMBERS")


@dataclass(frozen=True)
class Stacks:
    """The options of `mdn denoise` for stacks."""

    encoding: Annotated[
        Literal["auto", "display", "counts"],
        stacks(
            "display: pictures to look at. counts: measured light, as from a microscope. auto:"
            " counts for gray TIFF of 16 bits, of floats, or from a microscope."
        ),
    ] = "auto"
    axes: Annotated[
        str | None,
        stacks(
            "Axes of a TIFF stack, such as TZCYX, if the file names them wrongly.",
            metavar="LETTERS",
        ),
    ] = None
    channels: Annotated[
        str | None,
        planes("Channels to denoise, counted from 0, such as 0,2. The others are copied."),
    ] = None
    z: Annotated[str | None, planes("Slices to denoise, such as 3-7. The others are copied.")] = (
        None
    )
    t: Annotated[str | None, planes("Times to denoise, such as 0-9. The others are copied.")] = None
