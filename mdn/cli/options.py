"""Values, types and groups of options that several commands share."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mdn.cli.help import rules
from mdn.errors import MdnError, UsageError

if TYPE_CHECKING:
    from mdn.encoding import Detector
    from mdn.renders import RenderOptions

DEFAULT_MODEL = "photo"


# --- values --------------------------------------------------------------------------------------


def _check_device(value: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", value):
        raise typer.BadParameter(f"{value!r} is none of auto, cpu, cuda, cuda:N and mps.")
    return value


def _check_share(value: float) -> float:
    if value != value:  # NaN passes every comparison of a range check
        raise typer.BadParameter("nan is no number.")
    return value


def one_of(*values: str) -> Callable[[str], list[str]]:
    """Completion of an option that takes one of these values."""
    return lambda incomplete: [value for value in values if value.startswith(incomplete)]


def format_names(incomplete: str) -> list[str]:
    """Completion of --format."""
    from mdn.io import FORMATS

    return one_of(*FORMATS)(incomplete)


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


def assignments(texts: Iterable[str], option: str = "--set") -> dict[str, Any]:
    """`optim.lr=1e-4` as {"optim": {"lr": 1e-4}}, for all texts together.

    A value is read as TOML writes it: a number, true, [1, 2], "text"; what is none of these is
    text as it stands, so that no quotes need protection from the shell.

    Raises UsageError: one has no key, or no =.
    """
    result: dict[str, Any] = {}
    for text in texts:
        key, sign, value = text.partition("=")
        parts = [part.strip() for part in key.split(".")]
        if not sign or not all(parts):
            raise UsageError(f"{option} {text!r}: write KEY=VALUE, such as optim.lr=1e-4")
        at = result
        for part in parts[:-1]:
            at = at.setdefault(part, {})
            if not isinstance(at, dict):
                raise UsageError(f"{option} {text!r}: {part} has a value already")
        at[parts[-1]] = _toml_value(value.strip())
    return result


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


# --- types ---------------------------------------------------------------------------------------

Natural = Annotated[int, rules(min=0)]
Limit = Annotated[int | None, rules(min=1)]
Share = Annotated[float, rules(min=0.0, max=1.0, callback=_check_share)]
Strength = Annotated[float, rules(min=0.0, max=2.0, callback=_check_share)]
AnyModel = Annotated[str, rules(autocompletion=model_names)]
Model = Annotated[
    str | None,
    rules(
        autocompletion=model_names, show_default="photo; cells for counted light; render for EXR"
    ),
]
Quality = Annotated[Literal["fast", "balanced", "best"] | None, rules(show_default="balanced")]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Device = Annotated[
    str,
    rules(callback=_check_device, autocompletion=one_of("auto", "cpu", "cuda", "mps")),
]


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
    format: Annotated[str | None, rules(autocompletion=format_names)] = None
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
    neighbours: Annotated[int | None, rules(min=0, max=3, show_default="3 in time")] = None


@dataclass(frozen=True)
class Light:
    """The options of commands that may be told what counted the light."""

    gain: float | None = None
    offset: float | None = None
    read_noise: float | None = None

    def detector(self) -> Detector | None:
        """What they describe; None where none is given. Raises UsageError: one is missing."""
        from mdn.encoding import detector_of

        return detector_of(self.gain, self.offset, self.read_noise)


@dataclass(frozen=True)
class Renders:
    """The options of `mdn denoise` for OpenEXR files."""

    layer: str | None = None
    keep: str | None = None
    keep_sums: bool = False
    albedo: str = "auto"
    normal: str = "auto"
    prefilter: Literal["auto", "off"] = "auto"
    clamp_fireflies: float | None = None
    tonemap: Literal["hdr", "srgb"] = "hdr"
    frames: str | None = None
    motion: bool = False
    explain: bool = False
    view: Literal["srgb", "filmic"] = "srgb"

    def request(self, *, sequence: bool) -> RenderOptions:
        """The same as the pipeline takes them. sequence: the files are frames of one sequence."""
        from mdn.renders import RenderOptions

        same = {key: value for key, value in vars(self).items() if key not in ("layer", "frames")}
        same |= {"layers": names(self.layer), "keep": names(self.keep)}
        return RenderOptions(**same, sequence=sequence)
