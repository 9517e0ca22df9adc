"""A model as an ONNX file, for programs that run nets without PyTorch.

The graph takes pictures of any size and holds all that the net needs: nets that must know
how strong the noise is take a map of it as a second input; nets with a judge estimate it, and
give the map beside the picture.
"""

import io
import logging
import os
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mdn import __version__
from mdn.errors import FileError, MdnError, UsageError
from mdn.io.atomic import write_bytes
from mdn.nets import UNet
from mdn.registry.cards import Card
from mdn.registry.model import load

IMAGE, OUTPUT, HALF = "image", "denoised", "left_at_half_size"
NUMBERS = {HALF: ["1"]}  # shapes of outputs that are no planes
NEEDED = ("onnx", "onnxscript", "onnxruntime")
OPSET, IR_VERSION = 18, 8  # the oldest that PyTorch writes, and what goes with it
TOLERANCE = 1e-4  # between ONNX Runtime and PyTorch, nominal range 0..1
CHECKED = ((96, 80), (67, 131))  # heights and widths; odd ones are padded in the graph


class AnySize(nn.Module):
    """A U-Net whose forward pads its planes to what the net needs, and cuts the result.

    image: (1, C, H, W), nominally 0..1. more: for noise-conditioned nets sigma, (1, 1, H, W), on
    the same scale; for nets with guides albedo and normals, (1, 6, H, W). Gives the denoised image;
    for nets with a judge also sigma (1, C, H, W), and the share of it left at half the size (1,).
    """

    def __init__(self, net: UNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor, more: Tensor | None = None) -> tuple[Tensor, ...]:
        x, size = self._padded(image), (..., slice(image.shape[2]), slice(image.shape[3]))
        if self.net.config.judge:
            noise = self.net.judge(image)
            sigma = F.interpolate(self.net.sigma_map(x, noise), scale_factor=2.0)
            half = 2 ** self.net.judge.facts(noise)[:, 0]
            return self.net(x, noise=noise)[size], sigma[size], half.clamp(max=1)
        if more is None:
            return (self.net(x)[size],)
        key = "level" if self.net.config.noise_conditioned else "guide"
        return (self.net(x, **{key: self._padded(more)})[size],)

    def _padded(self, planes: Tensor) -> Tensor:
        down, right = (-size % self.net.multiple for size in planes.shape[2:])
        return F.pad(planes, (0, right, 0, down), mode="reflect")


def export(card: Card, target: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Write a model as ONNX, after ONNX Runtime gave what PyTorch gives.

    Returns:
        What the file holds: its inputs and output with their shapes, the largest difference.

    Raises:
        UsageError: the packages are missing, or the net is of a kind that does not go into ONNX.
        ModelError: the weights are damaged.
        FileError: the target exists, or cannot be written.
        MdnError: ONNX Runtime gives something else.
    """
    check(target, NEEDED, "onnx", overwrite=overwrite)
    net = load(card, torch.device("cpu"))
    if not isinstance(net, UNet):
        raise UsageError(
            f"{card.name} draws masks or needs the picture whole, which ONNX cannot hold; photo,"
            " cells and render can be exported"
        )
    if net.config.noise_conditioned and net.config.guides:
        raise UsageError(f"{card.name} takes noise and guides at once, which no export knows")
    graph = any_size(net)
    sizes = [sample(net, size) for size in CHECKED]
    data, difference = onnx_of(graph, card, sizes, list(inputs(net)), outputs(net))
    write_bytes(target, data, overwrite=overwrite)
    shapes = {name: ["1", str(count), "height", "width"] for name, count in inputs(net).items()}
    given = {name: NUMBERS.get(name, shapes[IMAGE]) for name in outputs(net)}
    return {"inputs": shapes, "outputs": given, "bytes": len(data), "difference": difference}


def inputs(net: UNet) -> dict[str, int]:
    """The inputs of the graph by name, and the planes of each."""
    planes = {IMAGE: net.config.channels}
    if net.config.noise_conditioned:
        planes["sigma"] = 1
    if net.config.guides:
        planes["guides"] = net.config.guides
    return planes


def outputs(net: UNet) -> list[str]:
    """The outputs of the graph by name."""
    if not net.config.judge:
        return [OUTPUT]
    return [OUTPUT, "sigma", HALF]


def check(target: Path, needed: Sequence[str], extra: str, *, overwrite: bool) -> None:
    """Raises what `export` says of packages and of the target, before the minute that it takes."""
    if missing := [name for name in needed if find_spec(name.partition(".")[0]) is None]:
        raise UsageError(f"export needs {', '.join(missing)}: pip install 'mdn[{extra}]'")
    if target.exists() and not overwrite:
        raise FileError(target, "exists already", "give --overwrite, or another name with -o")
    if not os.access(target.parent, os.W_OK):
        raise FileError(target, "its folder is not there or cannot be written to")


def any_size(net: UNet) -> AnySize:
    """A net as the graph that is exported."""
    plain = net.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return AnySize(plain).eval()


def sample(net: UNet, size: tuple[int, int]) -> list[Tensor]:
    """Something for each input."""
    random = torch.Generator().manual_seed(0)
    given = [torch.rand(1, count, *size, generator=random) for count in inputs(net).values()]
    return [given[0], *(0.2 * planes for planes in given[1:])]


def onnx_of(
    graph: nn.Module,
    card: Card,
    examples: Sequence[Sequence[Tensor]],
    names: Sequence[str],
    results: Sequence[str],
) -> tuple[bytes, float]:
    """A graph as the bytes of an ONNX file, and how far ONNX Runtime is off what PyTorch gives.

    Args:
        examples: planes (1, C, H, W) for each of its inputs, of several sizes.
        names, results: of its inputs and outputs.

    Raises MdnError: they differ by more than TOLERANCE, of what the example spans.
    """
    data = _exported(graph, card, examples[0], names, results)
    difference = _difference(graph, data, examples, names)
    if not difference <= TOLERANCE:
        raise MdnError(f"{card.name}: ONNX Runtime is {difference:.2g} off what PyTorch gives")
    return data, difference


def _exported(
    graph: nn.Module,
    card: Card,
    example: Sequence[Tensor],
    names: Sequence[str],
    results: Sequence[str],
) -> bytes:
    import onnx

    free = {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph,
            tuple(example),
            input_names=names,
            output_names=results,
            dynamic_shapes=tuple(free for _ in example),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
        )
    assert program is not None
    model = program.model_proto
    model.ir_version = IR_VERSION
    for value in (*model.graph.input, *model.graph.output):
        if value.name in NUMBERS:
            continue
        for axis, name in ((2, "height"), (3, "width")):
            value.type.tensor_type.shape.dim[axis].dim_param = name
    about = {"model": card.name, "licence": card.licence, "sha256": card.sha256}
    onnx.helper.set_model_props(model, about | {"made_by": f"mdn {__version__}"})
    stream = io.BytesIO()
    onnx.save_model(model, stream)
    return stream.getvalue()


def _difference(
    graph: nn.Module, data: bytes, examples: Sequence[Sequence[Tensor]], names: Sequence[str]
) -> float:
    """The largest difference between what ONNX Runtime and PyTorch give, of what is put in."""
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    worst = 0.0
    for example in examples:
        with torch.inference_mode():
            expected = graph(*example)
        expected = [expected] if isinstance(expected, Tensor) else expected
        named = {name: planes.numpy() for name, planes in zip(names, example, strict=True)}
        span = max(1.0, float(example[0].amax() - example[0].amin()))
        for got, right in zip(session.run(None, named), expected, strict=True):
            worst = max(worst, float(np.abs(got - right.numpy()).max()) / span)
    return worst
