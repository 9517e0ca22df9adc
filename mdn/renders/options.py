"""What was asked of renders."""

import math
import re
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path

import numpy as np

from mdn.errors import FileError, UsageError
from mdn.io import exr
from mdn.io.exr.layers import Layer, beauty, find, guide, layers, serves
from mdn.renders.fireflies import Rule

AUTO, NONE = "auto", "none"
NOISY_IMAGE = "noisyimage"  # a pass of Cycles


@dataclass(frozen=True)
class RenderOptions:
    """The options of `mdn denoise` that are about renders, by their names.

    `layers`: ("auto",) for the beauty and all that is light; empty: the beauty alone. `sequence`:
    the files are frames of one sequence, with one exposure for all. `view`: the curve by which a
    preview shows light, of `compare.pictures.CURVES`.
    """

    layers: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    keep_sums: bool = False
    clamp_fireflies: float | None = None
    tonemap: str = "hdr"
    albedo: str = AUTO
    normal: str = AUTO
    prefilter: str = AUTO
    view: str = "srgb"
    motion: bool = False
    explain: bool = False
    sequence: bool = False

    @property
    def given(self) -> str:
        """The first of its options that was given, or nothing."""
        given = (f.name for f in fields(self) if getattr(self, f.name) != f.default)
        name = next((name for name in given if name != "sequence"), "")
        return name and f"--{name.replace('_', '-')}"

    @property
    def fireflies(self) -> Rule | None:
        """What is one: by default with exceptions, or as the user says; None leaves them."""
        if self.clamp_fireflies is None:
            return Rule()
        return Rule(self.clamp_fireflies, exceptions=False) if self.clamp_fireflies else None

    def check(self) -> None:
        """Raises UsageError for a value that no file could satisfy."""
        if self.tonemap not in ("hdr", "srgb"):
            raise UsageError(f"--tonemap {self.tonemap}: choose hdr or srgb")
        if self.prefilter not in (AUTO, "off"):
            raise UsageError(f"--prefilter {self.prefilter}: choose auto or off")
        times = self.clamp_fireflies
        if times not in (None, 0) and not (times is not None and 1 <= times < math.inf):
            raise UsageError("--clamp-fireflies: choose 1 or more, or 0 to leave fireflies")
        if self.motion and not self.sequence:
            raise UsageError("--motion needs a sequence of frames: frame.####.exr --frames 1-24")


def chosen(file: exr.Exr, found: list[Layer], asked: RenderOptions) -> list[Layer]:
    """The layers to denoise, in the file's order.

    Raises FileError: no beauty, no such layer, one that holds no light, or all are kept.
    """
    keep = kept(file, found, asked)
    if not asked.layers:
        picked = beauty(found)
    elif asked.layers == (AUTO,):
        picked = [layer for layer in found if layer.role in ("beauty", "light")]
    else:
        picked = [layer for name in asked.layers for layer in _present(file, found, name)]
    if not picked:
        known = ", ".join(layer.name for layer in found)
        raise FileError(file.name, "has no beauty layer", f"name a layer with --layer: {known}")
    if ids := [layer.name for layer in picked if layer.role in ("id", "cryptomatte")]:
        problem = f"layer {ids[0]} holds ids, which cannot be denoised"
        raise FileError(file.name, problem, "name another layer")
    if not set(picked) - set(keep):
        raise FileError(file.name, f"--keep {','.join(asked.keep)} leaves nothing to denoise")
    twins = twice(file, found) if asked.layers in ((), (AUTO,)) else {}
    rest = [layer for layer in picked if layer not in keep and layer not in twins]
    return [layer for layer in found if layer in (rest or picked) and layer not in keep]


def twice(file: exr.Exr, found: list[Layer]) -> dict[Layer, str]:
    """Of a beauty and its "Noisy Image", as Cycles writes both, the one to leave, and why.

    They are the same where Cycles has not denoised, otherwise the noisy one is the light to read.
    """
    heads = [layer for layer in beauty(found) if layer.role == "beauty"]
    left: dict[Layer, str] = {}
    for noisy, layer in product(heads, heads):
        (front, name), own = noisy.words, (noisy.part, noisy.view)
        if layer is noisy or (layer.words[0], layer.part, layer.view) != (front, *own):
            continue
        if re.sub("[^a-z]", "", name.lower()) != NOISY_IMAGE:
            continue
        same = np.allclose(layer.pixels(file), noisy.pixels(file), rtol=2**-8, equal_nan=True)
        if same:
            left[noisy] = f"{noisy.name} is {layer.name} once more, and stays as it came"
        else:
            left[layer] = f"{layer.name} is without noise already: {noisy.name} is denoised"
    return left


def kept(file: exr.Exr, found: list[Layer], asked: RenderOptions) -> list[Layer]:
    """The layers that --keep names. Raises FileError where one is not there."""
    return [layer for name in asked.keep for layer in _present(file, found, name)]


def _present(file: exr.Exr, found: list[Layer], name: str) -> list[Layer]:
    if fit := find(found, name):
        return fit
    known = ", ".join(layer.name for layer in found)
    raise FileError(file.name, f"has no layer {name}", f"it has {known}")


@dataclass(frozen=True)
class Source:
    """A guide, the file that it is in, and what it is to be taken for: albedo, normal or depth."""

    file: exr.Exr
    layer: Layer
    role: str


def guides_for(
    file: exr.Exr, found: list[Layer], beside: Layer, asked: RenderOptions
) -> list[Source]:
    """Albedo, normal and depth for one layer: those that there are, of its size.

    Raises FileError: one that was named is not there, or covers other pixels.
    """
    window = file.headers.parts[beside.part].data_window
    sources: list[Source] = []
    for role, asked_for in (("albedo", asked.albedo), ("normal", asked.normal), ("depth", AUTO)):
        if asked_for == NONE or (role == "depth" and NONE == asked.albedo == asked.normal):
            continue
        if asked_for == AUTO:
            layer = guide(found, role, beside)
            source = None if layer is None else Source(file, layer, role)
        else:
            source = _asked(file, found, role, asked_for, beside)
        if source is None:
            continue
        if source.file.headers.parts[source.layer.part].data_window == window:
            sources.append(source)
        elif asked_for != AUTO:
            problem = f"--{role} {asked_for} does not cover the same pixels as {beside.name}"
            raise FileError(file.name, problem)
    return sources


def _asked(file: exr.Exr, found: list[Layer], role: str, name: str, beside: Layer) -> Source | None:
    """A guide by the name of a layer, or out of another file.

    Of several layers that the name fits that of the same view, or of none, and rather the one that
    serves `beside`. Raises FileError: there is no such layer, and no such file.
    """
    if fit := [layer for layer in find(found, name) if len(layer.channels) in (1, 3)]:
        of_view = [layer for layer in found if layer.view == beside.view]
        own = [layer for layer in find(of_view, name) if len(layer.channels) in (1, 3)]
        own = own or [layer for layer in fit if not layer.view]
        own.sort(key=lambda layer: not serves(found, layer, beside))
        return Source(file, own[0], role) if own else None
    path = Path(name)
    if not path.is_file():
        raise FileError(file.name, f"--{role} {name}: there is no such layer, and no such file")
    other = exr.read(path)
    inside = layers(other)
    fit = [layer for layer in inside if layer.role == role] or [
        layer for layer in inside if layer.role in ("beauty", "light") and role == "albedo"
    ]
    fit = fit or [layer for layer in inside if len(layer.channels) == 3][:1]
    if not fit:
        raise FileError(path, f"has no layer that could be the {role}")
    if len({layer.view for layer in fit}) > 1:  # a guide for each eye
        fit = [layer for layer in fit if layer.view == beside.view]
    return Source(other, fit[0], role) if fit else None
