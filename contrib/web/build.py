"""Makes the page work by itself: `python contrib/web/build.py` fills contrib/web/dist.

The model is written as two ONNX graphs, so that all tiles of a picture take the noise of the whole:
one reads the noise, the other removes it. onnxruntime-web comes from npm.

Needs: pip install 'mdn[onnx]', and npm.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from mdn.nets import UNet
from mdn.nets.judge import Cells
from mdn.registry.model import load
from mdn.registry.store import find

HERE = Path(__file__).parent
RUNTIME = "onnxruntime-web@1.30.0"
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
SIDE = 256  # pixels, of the example that the graphs are traced with
STEPS = 256.0  # in 1 of the numbers that describe noise, as in mdn.pipeline.reading


class Reader(nn.Module):
    """Cells of a window (1, 3, H, W) to what is pooled: windows of a picture are read together."""

    def __init__(self, net: UNet) -> None:
        super().__init__()
        self.judge = net.judge

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        cells = self.judge.cells(image)
        return cells.brightness, cells.level, cells.trust, cells.seen


class Pool(nn.Module):
    """Cells of all windows, side by side, to the descriptor (1, size) of the noise."""

    def __init__(self, net: UNet) -> None:
        super().__init__()
        self.judge = net.judge

    def forward(self, brightness: Tensor, level: Tensor, trust: Tensor, seen: Tensor) -> Tensor:
        return (self.judge.pool(Cells(brightness, level, trust, seen)) * STEPS).round() / STEPS


class Remover(nn.Module):
    """A tile (1, 3, H, W), sides multiples of the net's, without the noise that is described.

    Also gives the mean square of its sigma map: how much noise there is.
    """

    def __init__(self, net: UNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        power = self.net.sigma_map(image, noise).square().mean()
        return self.net(image, noise=noise), power.reshape(1)


def exported(
    graph: nn.Module, given: tuple[Tensor, ...], names: list[str], results: list[str],
    free: tuple[dict[int, object], ...], target: Path,
) -> None:  # fmt: skip
    """Write a graph as ONNX, and compare what ONNX Runtime makes of the same tensors."""
    import onnxruntime

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph, given, input_names=names, output_names=results,
            dynamic_shapes=free, dynamo=True, verbose=False,
        )  # fmt: skip
    program.save(target)
    session = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"])
    found = session.run(None, {n: g.numpy() for n, g in zip(names, given, strict=True)})
    with torch.inference_mode():
        expected = graph(*given)
    expected = expected if isinstance(expected, tuple) else (expected,)
    worst = max(
        float((torch.from_numpy(a) - b).abs().max()) for a, b in zip(found, expected, strict=True)
    )
    if worst > 1e-2:
        sys.exit(f"{target.name}: ONNX Runtime is {worst:.2g} off what PyTorch gives")
    print(f"{target.name}: {target.stat().st_size / 1e6:.1f} MB, {worst:.1g} off PyTorch")


def graphs(name: str, folder: Path) -> None:
    """The three graphs of a model that reads the noise itself."""
    net = load(find(name), torch.device("cpu")).to(memory_format=torch.contiguous_format)
    if not isinstance(net, UNet) or not net.config.judge:
        sys.exit(f"{name} does not read the noise itself; photo and photo-fast do")
    picture = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    auto = torch.export.Dim.AUTO
    size = {2: auto, 3: auto}
    with torch.inference_mode():
        cells = Reader(net)(picture)
        noise = Pool(net)(*cells)
    parts = ["brightness", "level", "trust", "seen"]
    exported(Reader(net).eval(), (picture,), ["image"], parts, (size,), folder / "reader.onnx")
    many = tuple({2: auto} for _ in parts)
    exported(Pool(net).eval(), cells, parts, ["noise"], many, folder / "pool.onnx")
    exported(
        Remover(net).eval(), (picture, noise), ["image", "noise"], ["denoised", "power"],
        (size, {}), folder / "remover.onnx",
    )  # fmt: skip


def runtime(folder: Path) -> None:
    """onnxruntime-web's files, from npm."""
    with tempfile.TemporaryDirectory() as work:
        command = ["npm", "install", "--silent", "--no-save", "--ignore-scripts", RUNTIME]
        subprocess.run(command, cwd=work, check=True)
        source = Path(work) / "node_modules" / "onnxruntime-web"
        for name in FILES:
            shutil.copy(source / "dist" / name, folder / name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-m", "--model", default="photo-fast")
    parser.add_argument("-o", "--out", type=Path, default=HERE / "dist")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    graphs(options.model, options.out)
    runtime(options.out)
    for name in ("index.html", "page.mjs"):
        shutil.copy(HERE / name, options.out / name)
    print(f"done: python contrib/web/serve.py {options.out}")


if __name__ == "__main__":
    main()
