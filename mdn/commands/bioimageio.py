"""A model as a package of the BioImage Model Zoo: for Fiji (deepImageJ), ilastik and others.

The package holds the whole way of a picture of counted light as one ONNX graph with one input, the
picture as the microscope wrote it: see `pipeline.counts_graph`.
"""

import dataclasses
import io
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import tomli_w
import torch
import torch.nn.functional as F

from mdn import __version__
from mdn.errors import MdnError, UsageError
from mdn.io.atomic import write_bytes
from mdn.nets import UNet
from mdn.nets.counts_reader import SIDE
from mdn.pipeline.counts_graph import CountsGraph
from mdn.registry import export as onnx
from mdn.registry.cards import Card
from mdn.registry.model import line, load

NEEDED = (*onnx.NEEDED, "bioimageio.spec")
SHAPES = ((256, 256), (192, 215))  # of the pictures that the graph is checked on; first: the tests
SPDX = {"CC BY-SA 4.0": "CC-BY-SA-4.0", "CC BY 4.0": "CC-BY-4.0", "MIT": "MIT"}
CITE = {
    "10.48550/arXiv.2303.13132": "Chen et al., Masked Image Training, CVPR 2023",
    "10.48550/arXiv.1906.05478": "Mohan et al., Robust and interpretable blind image denoising,"
    " ICLR 2020",
    "10.1109/TIP.2012.2202675": "Makitalo, Foi, Optimal inversion of the generalized Anscombe"
    " transformation for Poisson-Gaussian noise, IEEE TIP 2013",
}


def export(card: Card, target: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Write a model for counts as a .zip of the format 0.5, after its parts were checked.

    Returns, and raises: as `registry.export.export`; a UsageError also for other models, and an
    MdnError where the package would not be valid.
    """
    onnx.check(target, NEEDED, "bioimageio", overwrite=overwrite)
    net = load(card, torch.device("cpu"))
    if not isinstance(net, UNet) or card.domain != "counts" or not net.config.noise_conditioned:
        raise UsageError(f"{card.name}: --bioimageio is for models of microscopy, such as cells")
    graph = CountsGraph(onnx.any_size(net)).eval()
    white, other = (torch.from_numpy(_cells(size)) for size in SHAPES)
    shared = F.avg_pool2d(other, 3, 1)  # neighbours share their noise
    examples = [[white], [shared]]
    data, difference = onnx.onnx_of(graph, card, examples, [onnx.IMAGE], [onnx.OUTPUT])
    with torch.inference_mode():
        planes = {onnx.IMAGE: examples[0][0].numpy(), onnx.OUTPUT: graph(*examples[0]).numpy()}
    with tempfile.TemporaryDirectory() as work:
        try:
            package = _package(card, data, planes, Path(work))
        except ValueError as error:
            raise MdnError(f"{card.name}: bioimageio.spec refuses it: {line(error)}") from error
    write_bytes(target, package, overwrite=overwrite)
    shape = ["1", "1", "height", "width"]
    facts = {"bytes": target.stat().st_size, "difference": difference}
    return {"inputs": {onnx.IMAGE: shape}, "outputs": {onnx.OUTPUT: shape}} | facts


def _cells(size: tuple[int, int]) -> np.ndarray:
    """(1, 1, *size) float32: discs that glow, counted with a gain of 4 above a pedestal of 100."""
    rng = np.random.default_rng(0)
    row, column = np.mgrid[: size[0], : size[1]]
    light = np.full(size, 2.0)
    for top, left, radius, glow in rng.uniform((0, 0, 6, 5), (*size, 30, 40), (24, 4)):
        light += glow / (1 + np.exp(np.hypot(row - top, column - left) - radius))
    counts = 100 + 4 * rng.poisson(light) + rng.normal(0, 2, size)
    return counts.astype(np.float32)[None, None]


def _package(card: Card, graph: bytes, planes: dict[str, np.ndarray], work: Path) -> bytes:
    """The bytes of the .zip; work: an empty folder."""
    from bioimageio.spec import save_bioimageio_package
    from bioimageio.spec.model import v0_5 as spec

    def file(name: str, content: bytes) -> Any:
        (work / name).write_bytes(content)
        return spec.FileDescr(source=work / name)

    def tensor(name: str) -> Any:
        stream = io.BytesIO()
        np.save(stream, planes[name])
        return file(f"test_{name}.npy", stream.getvalue())

    def axes(space: type, sizes: Callable[[str], Any], **more: Any) -> list[Any]:
        channel = spec.ChannelAxis(channel_names=[spec.Identifier("intensity")])
        both = (space(id=spec.AxisId(axis), size=sizes(axis), **more) for axis in "yx")
        return [spec.BatchAxis(size=1), channel, *both]

    def reference(axis: str) -> Any:
        return spec.SizeReference(tensor_id=spec.TensorId(onnx.IMAGE), axis_id=spec.AxisId(axis))

    about = dataclasses.asdict(card) | {"noise": ", ".join(card.noise_seen), "mdn": __version__}
    words = Path(__file__).with_suffix(".md").read_text(encoding="utf-8")
    readme = words.format_map(about | {"scores": tomli_w.dumps(card.scores)})
    pair = np.concatenate([plane[0, 0] for plane in planes.values()], 1)
    low, high = np.percentile(pair, (1, 99.9))
    shades = (((pair - low) / (high - low)).clip(0, 1) * 255).astype(np.uint8)
    least = spec.ParameterizedSize(min=2 * card.context + SIDE, step=1)
    source = spec.InputTensorDescr(
        id=spec.TensorId(onnx.IMAGE),
        description="a gray plane as the microscope wrote it",
        axes=axes(spec.SpaceInputAxis, lambda axis: least),
        test_tensor=tensor(onnx.IMAGE),
        preprocessing=[spec.EnsureDtypeDescr(kwargs=spec.EnsureDtypeKwargs(dtype="float32"))],
    )
    result = spec.OutputTensorDescr(
        id=spec.TensorId(onnx.OUTPUT),
        description="the plane without noise, in the same unit",
        axes=axes(spec.SpaceOutputAxisWithHalo, reference, halo=card.context),
        test_tensor=tensor(onnx.OUTPUT),
    )
    weights = file(f"{card.name}.onnx", graph).source
    licence: Any = SPDX.get(card.licence) or file("LICENSE.md", f"{card.licence}\n".encode())
    version: Any = __version__
    model = spec.ModelDescr(
        name=re.sub(r"[^A-Za-z0-9_+() -]", "-", f"mdn {card.name}"),
        description=f"{card.title}. {card.summary}",
        authors=[spec.Author(name="the mdn authors")],
        cite=[spec.CiteEntry(text=text, doi=spec.Doi(doi)) for doi, text in CITE.items()],
        license=licence,
        documentation=file("README.md", readme.encode()),
        covers=[file("cover.png", iio.imwrite("<bytes>", shades, extension=".png"))],
        tags=["denoising", "image-restoration", "fluorescence-light-microscopy", "2d", "unet"],
        version=version,
        inputs=[source],
        outputs=[result],
        weights=spec.WeightsDescr(
            onnx=spec.OnnxWeightsDescr(source=weights, opset_version=onnx.OPSET)
        ),
    )
    save_bioimageio_package(model, output_path=work / "package.zip", local_files_only=True)
    return (work / "package.zip").read_bytes()
