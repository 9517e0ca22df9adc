"""A model for counts as a package of the BioImage Model Zoo, for Fiji, ilastik and deepImageJ.

The graph takes one plane in the unit of the file, reads its noise as `mdn denoise` does, stabilises
it, denoises it, and gives the plane back in that unit. What `mdn denoise` does beside that is not
in it: padding, outliers, stripes, flat areas, neighbours, noise that neighbours share.
"""

import hashlib
import io
import json
import logging
import tempfile
import warnings
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mdn import __version__
from mdn.encoding.counts import SIGMAS
from mdn.errors import FileError, MdnError, UsageError
from mdn.io.atomic import write_bytes
from mdn.nets import UNet
from mdn.nets.counts_reader import SIDE, CountsReader, Scale
from mdn.pipeline.counts_noise import reader
from mdn.registry.cards import Card
from mdn.registry.export import NEEDED
from mdn.registry.model import load

OPSET = 18
TOLERANCE = 1e-3  # between ONNX Runtime and PyTorch, of the noise
STEP, LEAST = 8, 2 * SIDE  # pixels: sides are LEAST and any number of STEPs more
CHECKED = ((256, 320), (200, 136))  # heights and widths; the first is the example of the package
LEAST_VARIANCE = 1e-6  # of that in the middle: what a variance is at least
FLAT = 1e-3  # gain in units of the noise, below which the noise is the same everywhere
ROOT = 1.5**0.5


CITED = (
    (
        "Chen et al., Masked Image Training for Generalizable Deep Image Denoising, CVPR 2023",
        "10.1109/CVPR52729.2023.00169",
    ),
    (
        "Makitalo, Foi, A closed-form approximation of the exact unbiased inverse of the Anscombe"
        " variance-stabilizing transformation, IEEE TIP 2011",
        "10.1109/TIP.2011.2121085",
    ),
)


class CountsPlane(nn.Module):
    """A plane (1, 1, H, W) of counts in any unit, to the same without its noise."""

    def __init__(self, net: UNet, reader: CountsReader) -> None:
        super().__init__()
        self.net, self.reader = net, reader

    def forward(self, raw: Tensor) -> Tensor:
        middle = _quantile(raw.flatten(1), 0.5)[:, None, None, None]
        windows = F.unfold(raw - middle, SIDE, stride=SIDE).transpose(1, 2)
        scale = _scale(windows.unflatten(2, (SIDE, SIDE)))
        numbers = self.reader(windows.unflatten(2, (SIDE, SIDE)), scale)[0]
        dark, bright = 2 ** numbers[:, 0], 2 ** numbers[:, 1]
        span = ((scale.high - scale.low) / scale.unit).clamp(min=1e-3)
        # In units of the noise of the middle, x = (raw - middle) / unit has the variance
        # gain x + constant.
        gain = ((bright - dark) / span).clamp(min=FLAT)
        constant = (dark + bright) / 2 - gain * (
            (scale.low + scale.high) / 2 - scale.middle
        ) / scale.unit
        row = (slice(None), None, None, None)
        x = (raw - middle - scale.middle[row]) / scale.unit[row]
        gain, constant = gain[row], constant[row]
        y = 2 / gain * (gain * x + 0.375 * gain**2 + constant).clamp(min=LEAST_VARIANCE).sqrt()
        centre = 2 / gain * (0.375 * gain**2 + constant).clamp(min=LEAST_VARIANCE).sqrt()
        coded = (y - centre) / SIGMAS + 0.5
        down, right = (-side % self.net.multiple for side in raw.shape[2:])
        padded = F.pad(coded, (0, right, 0, down), mode="reflect")
        clean = self.net(padded, level=torch.tensor(1 / SIGMAS))
        clean = (clean[..., : raw.shape[2], : raw.shape[3]] - 0.5) * SIGMAS + centre
        # The exact unbiased inverse in closed form (Makitalo, Foi, IEEE TIP 2011, equation 10).
        root = (gain / 2 * clean).clamp(min=1e-6)
        share = (gain / (2 * root)).clamp(max=1 / ROOT)
        bias = 0.25 + ROOT / 4 * share - 11 / 8 * share**2 + 5 / 8 * ROOT * share**3
        light = root**2 / gain - 0.375 * gain - constant / gain + gain * bias
        return light * scale.unit[row] + scale.middle[row] + middle


def export(card: Card, target: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Write a model for counts as a package (.zip) with an example, checked by ONNX Runtime.

    Returns what `registry.export.export` does.

    Raises:
        UsageError: packages are missing, or the model is not one of gray counts.
        ModelError: the weights are damaged.
        FileError: the target exists, or cannot be written.
        MdnError: ONNX Runtime gives something else.
    """
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise UsageError(f"--bioimageio needs {', '.join(missing)}: pip install 'mdn[onnx]'")
    if target.exists() and not overwrite:
        raise FileError(target, "exists already", "give --overwrite, or another name with -o")
    net = load(card, torch.device("cpu"))
    if not (isinstance(net, UNet) and card.domain == "counts" and net.config.noise_conditioned):
        raise UsageError(f"--bioimageio: {card.name} is not for counted light; cells is")
    plain = net.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    graph = CountsPlane(plain, reader()).eval()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_graph(graph, folder / "weights.onnx")
        difference = _difference(graph, folder)
        if not difference <= TOLERANCE:
            raise MdnError(f"{card.name}: ONNX Runtime is {difference:.2g} off what PyTorch gives")
        (folder / "README.md").write_text(_words(card), encoding="utf-8")
        data = _package(card, folder)
    write_bytes(target, data, overwrite=overwrite)
    shapes = ["1", "1", "height", "width"]
    return {"inputs": {"raw": shapes}, "outputs": {"clean": shapes}, "bytes": len(data),
            "difference": difference}  # fmt: skip


def _example(size: tuple[int, int]) -> Tensor:
    """Cells as a camera counts them: gain 3, pedestal 100."""
    y, x = np.mgrid[: size[0], : size[1]]
    light = 8 + 60 * np.exp(-(((x % 90 - 45) / 18) ** 2) - ((y % 70 - 35) / 14) ** 2)
    random = np.random.default_rng(0)
    raw = 100 + 3 * random.poisson(light) + random.normal(0, 4, light.shape)
    return torch.from_numpy(raw.round().astype(np.float32))[None, None]


def _write_graph(graph: CountsPlane, target: Path) -> None:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    sides = {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph, (_example(CHECKED[0]),), input_names=["raw"], output_names=["clean"],
            dynamic_shapes=(sides,), dynamo=True, verbose=False, opset_version=OPSET,
        )  # fmt: skip
    assert program is not None
    program.save(target, external_data=False)


def _difference(graph: CountsPlane, folder: Path) -> float:
    """The largest between PyTorch and ONNX Runtime, in deviations of the noise; writes examples."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        folder / "weights.onnx", providers=["CPUExecutionProvider"]
    )
    worst = 0.0
    for size in CHECKED:
        raw = _example(size)
        (clean,) = session.run(None, {"raw": raw.numpy()})
        with torch.inference_mode():
            expected = graph(raw)
        noise = float((raw - expected).std())
        worst = max(worst, float((torch.from_numpy(clean) - expected).abs().max()) / noise)
        if size == CHECKED[0]:
            np.save(folder / "raw.npy", raw.numpy())
            np.save(folder / "clean.npy", clean)
    return worst


def _words(card: Card) -> str:
    return f"""# {card.title}

{card.summary} Written by mdn {__version__} (model {card.name}).

One plane of counts in any unit, float32. The noise is read off the plane: gain, offset and read
noise need not be given. The result is in the unit of the plane. Meant for noise that is independent
from pixel to pixel, as of scientific cameras, confocal and two-photon microscopes; not for noise
that neighbours share, such as of pictures that were resampled. `mdn denoise` does more: padding,
outliers, stripes, times and slices that help each other, noise that neighbours share.

Licence: {card.licence}. Trained on: {card.training_data}.

# Validation

Compare the difference of input and result with the noise that the detector should have; no
structure should be seen in it. Do not measure single pixels or spots near the noise on the result.
"""


def _package(card: Card, folder: Path) -> bytes:
    """The zip of the folder's files, with what the zoo asks to know.

    bioimageio.yaml is of format 0.5, https://bioimage-io.github.io/spec-bioimage-io; JSON is YAML.
    """
    space = [{"type": "space", "id": name} for name in "yx"]
    front = [
        {"type": "batch", "size": 1},
        {"type": "channel", "id": "channel", "channel_names": ["counts"]},
    ]
    free = [axis | {"size": {"min": LEAST, "step": STEP}} for axis in space]
    same = [axis | {"size": {"tensor_id": "raw", "axis_id": axis["id"]}} for axis in space]

    def source(name: str) -> dict[str, str]:
        return {"source": name, "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest()}

    def tensor(name: str, sides: list[dict[str, Any]]) -> dict[str, Any]:
        values = {"type": "float32", "offset": 0.0, "scale": 1.0, "unit": "arbitrary unit"}
        example = source(f"{name}.npy")
        return {"id": name, "axes": [*front, *sides], "data": values, "test_tensor": example}

    about = {
        "type": "model",
        "format_version": "0.5.4",
        "name": f"mdn {card.name}",
        "description": card.summary,
        "authors": [{"name": "The authors of mdn"}],
        "cite": [{"text": text, "doi": doi} for text, doi in CITED],
        "license": "CC-BY-SA-4.0",
        "documentation": "README.md",
        "tags": ["denoising", "fluorescence", "2d", "unet"],
        "version": __version__,
        "inputs": [tensor("raw", free)],
        "outputs": [tensor("clean", same)],
        "weights": {"onnx": source("weights.onnx") | {"opset_version": OPSET}},
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bioimageio.yaml", json.dumps(about, indent=1))
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    return stream.getvalue()


def _scale(windows: Tensor) -> Scale:
    """As nets.counts_reader.scale_of, in operations that ONNX has."""
    fine = windows[..., 1:, 1:] + windows[..., :-1, :-1]
    fine = (fine - windows[..., 1:, :-1] - windows[..., :-1, 1:]) / 2
    power = F.avg_pool2d(fine.square(), 8).flatten(1)
    mean = F.avg_pool2d(windows, 8).flatten(1)
    unit = _quantile(power, 0.5).sqrt().clamp(min=1e-12)
    low, middle, high = (_quantile(mean, share) for share in (0.02, 0.5, 0.98))
    return Scale(middle, unit, low, high, unit <= 1e-12)


def _quantile(x: Tensor, share: float) -> Tensor:
    """Of (B, n), whatever n is where the graph runs: torch.quantile takes that of the example."""
    ordered = x.sort(1).values
    place = (torch.ones_like(x).sum(1, keepdim=True) - 1) * share
    below, above = (ordered.gather(1, end.long()) for end in (place.floor(), place.ceil()))
    return (below + (place - place.floor()) * (above - below))[:, 0]
