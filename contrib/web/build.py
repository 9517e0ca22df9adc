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
WINDOW, TILE = 256, 640  # pixels a side of what is read, and of a tile with what is around it
STEPS = 256.0  # in 1 of the numbers that describe noise, as in mdn.pipeline.reading


class Reader(nn.Module):
    """A window (1, 3, WINDOW, WINDOW) to its cells; those of all windows are pooled together."""

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
    """A tile (1, 3, TILE, TILE) without the noise that is described.

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
    free: tuple[dict[int, object], ...] | None, target: Path,
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
    random = torch.Generator().manual_seed(0)
    window, tile = (torch.rand(1, 3, side, side, generator=random) for side in (WINDOW, TILE))
    with torch.no_grad():
        cells = Reader(net)(window)
        noise = Pool(net)(*cells)
    parts = ["brightness", "level", "trust", "seen"]
    many = tuple({2: torch.export.Dim.AUTO} for _ in parts)
    exported(Reader(net).eval(), (window,), ["image"], parts, None, folder / "reader.onnx")
    exported(Pool(net).eval(), cells, parts, ["noise"], many, folder / "pool.onnx")
    names, results = ["image", "noise"], ["denoised", "power"]
    exported(Remover(net).eval(), (tile, noise), names, results, None, folder / "remover.onnx")


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
