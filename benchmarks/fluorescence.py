"""What counts encoding is worth on real fluorescence, beside VST+BM3D measured in the same run.

    python -m benchmarks.fluorescence FOLDER [--crop 256] [--model photo] [--sheets OUT]
    python -m benchmarks.fluorescence FOLDER --crop 0 --package cells.zip

FOLDER has noisy/ and gt/, gray, files of the same names; --crop 0 takes them whole. PSNR in dB, 8
bits, as it is and after the least-squares affine fit of CARE and N2V; below the means the gain of
the picture that gains least. "by default" is what `mdn denoise` makes of such a file. "truth" is
gt/ as bright as noisy/ is, what the best denoiser would score: frames bleach and lamps flicker.
VST+BM3D is told the level that mdn estimated; it needs the package bm3d, whose licence keeps it
from being a dependency, and is left out without it. --package adds the graph of a package that
`mdn models export cells --bioimageio` wrote.
"""

import argparse
import zipfile
from collections.abc import Callable
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import torch

from benchmarks import folders
from mdn.metrics import psnr, psnr_fit
from mdn.pipeline.calibration import calibrate
from mdn.pipeline.in_memory import Picture, restore_counts, restore_page, treatment
from mdn.pipeline.models import Models
from mdn.pipeline.options import Options
from mdn.registry.model import Model

DEFAULT = Models(device="cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=folders.with_parts("noisy", "gt"))
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--model", default="photo")
    parser.add_argument("--sheets", type=Path)
    parser.add_argument("--package", type=Path)
    given = parser.parse_args()
    model = Models(given.model).load()
    graph = None if given.package is None else graph_of(given.package)
    rows = []
    for path in sorted((given.folder / "noisy").iterdir()):
        noisy, clean = (middle(p, given.crop) for p in (path, given.folder / "gt" / path.name))
        results = {"raw": noisy, "truth": as_bright(clean, noisy)} | methods(model, noisy)
        if graph is not None:
            results["package"] = graph(noisy)
        rows.append({name: scores(result, clean) for name, result in results.items()})
        print(path.stem.ljust(22), line(rows[-1]), flush=True)
        if given.sheets:
            given.sheets.mkdir(parents=True, exist_ok=True)
            sheet = np.concatenate([*results.values(), clean], axis=1)
            iio.imwrite(given.sheets / f"{path.stem}.png", sheet)
    means = {name: np.mean([row[name] for row in rows], 0) for name in rows[0]}
    print("mean".ljust(22), line(means))
    gains = {name: [row[name][0] - row["raw"][0] for row in rows] for name in rows[0]}
    print("least gain".ljust(22), "  ".join(f"{name} {min(v):+.2f}" for name, v in gains.items()))


def middle(path: Path, size: int) -> np.ndarray:
    """The middle of a picture, gray (H, W) uint8; all of it, if the size is 0."""
    pixels = iio.imread(path)
    pixels = pixels[..., 0] if pixels.ndim == 3 else pixels
    size = size or max(pixels.shape)
    top, left = (max(0, length - size) // 2 for length in pixels.shape)
    return pixels[top : top + size, left : left + size]


def as_bright(clean: np.ndarray, noisy: np.ndarray) -> np.ndarray:
    """The clean picture with the gain and offset that bring it nearest to the noisy one."""
    gain, offset = np.polyfit(clean.ravel().astype(np.float64), noisy.ravel(), 1)
    return np.rint(gain * clean + offset).clip(0, 255).astype(np.uint8)


def methods(model: Model, noisy: np.ndarray) -> dict[str, np.ndarray]:
    """Every way of denoising one picture."""
    pages = noisy[None, ..., None]
    default, _ = treatment(Picture(pages), DEFAULT).restore()
    results = {
        "by default": default[0, ..., 0],
        f"{model.name} as shown": restore_page(pages[0], model, Options()).pixels[..., 0],
        f"{model.name} as counts": restore_counts(Picture(pages), model, Options())[0, ..., 0],
    }
    try:
        import bm3d
    except ImportError:
        return results
    region = lambda top, bottom, left, right: noisy[top:bottom, left:right]  # noqa: E731
    coding = calibrate([(noisy.shape, region)], noisy.dtype).coding
    values = bm3d.bm3d(coding.encode(noisy).astype(np.float64), coding.level or 0.0)
    return results | {"VST+BM3D": coding.decode(values.astype(np.float32), noisy)}


def graph_of(package: Path) -> Callable[[np.ndarray], np.ndarray]:
    """What runs the graph of a package on a picture (H, W) uint8."""
    import onnxruntime

    with zipfile.ZipFile(package) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".onnx"))
        session = onnxruntime.InferenceSession(archive.read(name))
    (source,) = session.get_inputs()

    def run(noisy: np.ndarray) -> np.ndarray:
        (result,) = session.run(None, {source.name: noisy[None, None].astype(np.float32)})
        return np.rint(result[0, 0]).clip(0, 255).astype(np.uint8)

    return run


def scores(result: np.ndarray, clean: np.ndarray) -> tuple[float, float]:
    """PSNR, and PSNR after the fit, dB."""
    x, truth = (torch.from_numpy(p.astype(np.float32) / 255)[None] for p in (result, clean))
    return psnr(x, truth), psnr_fit(x, truth)


def line(row: dict[str, tuple[float, float]]) -> str:
    return "  ".join(f"{name} {plain:.2f}/{fitted:.2f}" for name, (plain, fitted) in row.items())


if __name__ == "__main__":
    main()
