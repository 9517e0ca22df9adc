"""Options as commands declare them, those that several share among them.

A parameter has a type and a default in the code; its words are in help.toml.
"""

from __future__ import annotations

import inspect
import re
import textwrap
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_type_hints

import typer

from mdn.errors import MdnError, UsageError

if TYPE_CHECKING:
    from mdn.renders import RenderOptions

DEFAULT_MODEL = "photo"
DEBUG_KEY = "mdn.debug"
FORMATS = ("png", "jpeg", "tiff", "webp", "bmp", "jxl", "avif", "heic", "pgm", "ppm", "pfm")


def rules(**named: Any) -> dict[str, Any]:
    """What typer.Option takes beside words: in the annotation of a parameter."""
    return named


def command(function: Callable[..., Any]) -> Callable[..., Any]:
    """A command as Typer takes it: with --debug, and with parameters that are dataclasses spread.

    Each field of such a dataclass becomes an option.
    """
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, Any] = {name: kind for name, kind in hints.items() if is_dataclass(kind)}
    words = _words(function.__name__)
    shown: list[inspect.Parameter] = []

    def show(name: str, default: Any, annotation: Any) -> None:
        if name in words:
            annotation = _described(name, annotation, *words[name])
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

    if examples := _help()["examples"].get(function.__name__):
        shown_as = textwrap.indent(examples, "  ")
        call.__doc__ = f"{inspect.getdoc(function)}\n\n[bold]Examples[/bold]\n\n{shown_as}"
    call.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    call.__annotations__ = {each.name: each.annotation for each in shown}
    return call


def _words(name: str) -> dict[str, tuple[str, str]]:
    """Panel and words of the parameters of a command."""
    tables = [_help().get(each, {}) for each in ("shared", name)]
    return {
        key: (panel, text)
        for table in tables
        for panel, entries in table.items()
        for key, text in entries.items()
    }


@cache
def _help() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("help.toml").read_text(encoding="utf-8"))


def _described(name: str, annotation: Any, panel: str, text: str) -> Any:
    """An annotation as Typer reads it: type and rules of the code, words of help.toml."""
    kind, more = get_args(annotation) if hasattr(annotation, "__metadata__") else (annotation, {})
    head, _, help = text.rpartition(" | ")
    flags = [word for word in head.split() if word.startswith("-")]
    shown = {"metavar": head.removeprefix(" ".join(flags)).strip() or None, "help": help}
    if panel == "Arguments":
        return Annotated[kind, typer.Argument(**shown | {"show_default": False} | more)]
    if not any(flag.startswith("--") for flag in flags):
        flags.append(f"--{name.replace('_', '-')}")
    return Annotated[kind, typer.Option(*flags, rich_help_panel=panel, **shown | more)]


# --- values --------------------------------------------------------------------------------------


def _remember_debug(context: typer.Context, value: bool) -> None:
    if value:
        context.meta[DEBUG_KEY] = True


def debugging(context: typer.Context) -> bool:
    """Whether --debug was given."""
    return bool(context.meta.get(DEBUG_KEY))


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
    from mdn.noise import NOISES

    return one_of(*(noise.name for noise in NOISES))(incomplete)


def chosen_quality(quality: str | None, model: str | None) -> str:
    """What --quality asks for. Raises UsageError where --model asks for something else."""
    if quality is not None and model is not None:
        raise UsageError(
            f"--quality {quality} chooses the model, and --model {model} names one: "
            "leave one of them out"
        )
    return quality or "balanced"


def names(text: str | None) -> tuple[str, ...]:
    """The parts of "diffuse, mist"; empty ones are left out."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


# --- types ---------------------------------------------------------------------------------------

Natural = Annotated[int, rules(min=0)]
Limit = Annotated[int | None, rules(min=1)]
Share = Annotated[float, rules(min=0.0, max=1.0, callback=_check_share)]
AnyModel = Annotated[str, rules(autocompletion=model_names)]
Model = Annotated[
    str | None,
    rules(autocompletion=model_names, show_default="photo; cells for counts; render for EXR"),
]
Quality = Annotated[Literal["fast", "balanced", "best"] | None, rules(show_default="balanced")]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Device = Annotated[
    str,
    rules(callback=_check_device, autocompletion=one_of("auto", "cpu", "cuda", "mps")),
]
Debug = Annotated[bool, rules(is_eager=True, callback=_remember_debug)]


# --- options that go together --------------------------------------------------------------------


@dataclass(frozen=True)
class Files:
    """The options of all commands that make files of files."""

    recursive: bool = False
    overwrite: bool = False
    skip_existing: bool = False
    from_file: str | None = None
    shard: str | None = None
    dask: str | None = None
    format: Annotated[str | None, rules(autocompletion=one_of(*FORMATS))] = None
    jpeg_quality: Annotated[int | None, rules(min=1, max=100)] = None
    max_pixels: Limit = None
    fail_fast: bool = False
    dry_run: bool = False
    quiet: bool = False
    as_json: bool = False

    @property
    def lossy_quality(self) -> int:
        """Of JPEG and other lossy formats, where they are written."""
        return 95 if self.jpeg_quality is None else self.jpeg_quality


@dataclass(frozen=True)
class Stacks:
    """The options of `mdn denoise` for stacks."""

    encoding: Literal["auto", "display", "counts"] = "auto"
    axes: str | None = None
    channels: str | None = None
    z: str | None = None
    t: str | None = None


@dataclass(frozen=True)
class Renders:
    """The options of `mdn denoise` for OpenEXR files."""

    layer: str | None = None
    keep: str | None = None
    keep_sums: bool = False
    albedo: str = "auto"
    normal: str = "auto"
    clamp_fireflies: float | None = None
    tonemap: Literal["hdr", "srgb"] = "hdr"
    frames: str | None = None
    motion: bool = False
    explain: bool = False

    def request(self, *, sequence: bool) -> RenderOptions:
        """The same as the pipeline takes them. sequence: the files are frames of one sequence."""
        from mdn.renders import RenderOptions

        same = {key: value for key, value in vars(self).items() if key not in ("layer", "frames")}
        same |= {"layers": names(self.layer), "keep": names(self.keep)}
        return RenderOptions(**same, sequence=sequence)
