"""Counted light from .1 to 1,000 photons a pixel: what mdn reads by itself, against the truth.

    python -m benchmarks.photons FOLDER [FILE ...] [--photons 0.1,1,10] [--crop 512] [--spots]

FOLDER has clean pictures, gray, such as gt/ of FMD; of these the FILEs are taken, or the first
three. A simulated cell is beside them. Each is scaled to so many photons on the mean, counted, and
stored in 16 bits by a detector of gain 2, read noise 3 and offset 100. PSNR in dB, of the largest
value that the truth has: the counts, what `mdn denoise` makes of them, what it makes where the
three are given by option, the same net told the truth in code, with nothing else around it, and
VST + BM3D told the truth, where the package bm3d is. Last what mdn read: the standard deviation of
the noise over the true one, at the 1st and the 99th percentile of the truth.

--smooth S: the pictures through a Gaussian of S pixels first. The truth of FMD, a mean of 50
frames, has noise of its own, which at 100 photons is as strong as that of the counts.

--spots: instead, how much of their light spots of a given size and strength keep, and how many are
recalled at a precision of 95 %, before and after. --stripes: the cell with offsets of its rows.
"""

import argparse
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import torch
from scipy import ndimage

from mdn.encoding import Counts, Detector
from mdn.metrics import psnr
from mdn.pipeline.calibration import calibrate
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.denoise_tiles import denoise_tiles
from mdn.pipeline.in_memory import Picture, planes_of, treatment
from mdn.pipeline.models import Models
from mdn.pipeline.options import Options

DETECTOR = Detector(gain=2.0, offset=100.0, read_noise=3.0)
PHOTONS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)
BACKGROUND, COUNT = 50.0, 300  # photons under the spots; spots
PRECISION = 0.95
NEAR = 1  # pixels by which a spot may be found beside its place


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("files", nargs="*")
    parser.add_argument("--photons", default=",".join(map(str, PHOTONS)))
    parser.add_argument("--crop", type=int, default=512)
    parser.add_argument("--smooth", type=float, default=0.0)
    parser.add_argument("--spots", action="store_true")
    parser.add_argument("--stripes", action="store_true")
    given = parser.parse_args()
    if given.spots or given.stripes:
        spots() if given.spots else stripes()
        return
    names = given.files or sorted(path.name for path in given.folder.iterdir())[:3]
    scenes = {"cell": cell(np.random.default_rng(1))}
    scenes |= {
        name: ndimage.gaussian_filter(
            middle(iio.imread(given.folder / name), given.crop), given.smooth
        )
        for name in names
    }
    print(f"{'scene, photons':32}  noisy    mdn   told  truth  BM3D    sigma read / true")
    for name, scene in scenes.items():
        for photons in map(float, given.photons.split(",")):
            light = scene * (photons / scene.mean())
            row, ratios = scores(light, np.random.default_rng(7))
            figures = " ".join(f"{figure:6.2f}" for figure in row)
            print(f"{name[:22]:22} {photons:9g}  {figures}  {ratios}", flush=True)


def middle(pixels: np.ndarray, size: int) -> np.ndarray:
    """The middle of a gray picture, (H, W) float64."""
    pixels = pixels[..., 0] if pixels.ndim == 3 else pixels
    top, left = (max(0, length - size) // 2 for length in pixels.shape)
    return pixels[top : top + size, left : left + size].astype(np.float64)


def cell(generator: np.random.Generator, size: int = 512) -> np.ndarray:
    """A cell with a nucleus, puncta and filaments on a dark ground, through a PSF of 1.2 pixels."""
    y, x = np.mgrid[:size, :size] / size
    body = np.clip(1.3 - np.hypot((x - 0.5) * 2.2, (y - 0.52) * 2.8), 0, 0.5)
    light = 0.02 + body + 0.5 * (np.hypot((x - 0.45) * 6, (y - 0.5) * 5) < 1)
    for _ in range(60):
        start, angle = generator.uniform(0.2, 0.8, 2), generator.uniform(0, 2 * np.pi)
        for _ in range(220):
            angle += generator.normal(0, 0.06)
            start = start + 0.001 * np.array([np.sin(angle), np.cos(angle)])
            row, column = (np.clip(start, 0, 0.999) * size).astype(int)
            light[row, column] += 1.5 * (body[row, column] > 0)
    inside = np.argwhere(body > 0.1)
    for row, column in inside[generator.integers(len(inside), size=150)]:
        light[row, column] += generator.uniform(4, 20)
    return np.asarray(ndimage.gaussian_filter(light, 1.2))


def counted(light: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Photons a pixel, (H, W) -> counts of DETECTOR, uint16."""
    electrons = generator.poisson(light) * DETECTOR.gain + DETECTOR.offset
    noisy = electrons + generator.normal(0, DETECTOR.read_noise, light.shape)
    return np.rint(noisy).clip(0, 65535).astype(np.uint16)


def scores(light: np.ndarray, generator: np.random.Generator) -> tuple[list[float], str]:
    """PSNR of the counts and of each method; what was read of their noise, in words."""
    noisy = counted(light, generator)
    truth = torch.from_numpy(light)
    methods = [noisy, by_default(noisy), by_default(noisy, DETECTOR), net_alone(noisy), bm3d(noisy)]
    row = [float("nan") if result is None else score(result, truth) for result in methods]
    curve = calibrate(planes_of(noisy[None, ..., None], 0), noisy.dtype).coding.curve
    ratios = []
    for brightness in np.percentile(light, [1, 99]) * DETECTOR.gain + DETECTOR.offset:
        true = DETECTOR.anscombe.gain * brightness + DETECTOR.anscombe.offset
        read = 0.0 if curve is None else max(0.0, curve.gain * brightness + curve.offset)
        ratios.append(f"{(read / true) ** 0.5:.2f}")
    return row, " ".join(ratios)


def score(result: np.ndarray, truth: torch.Tensor) -> float:
    """PSNR of counts (H, W), dB, of the largest value of the truth in photons."""
    photons = torch.from_numpy((result.astype(np.float64) - DETECTOR.offset) / DETECTOR.gain)
    return psnr((photons / truth.max())[None], (truth / truth.max())[None])


def stripes() -> None:
    """The cell with an offset for each row, of normal distribution."""
    print("photons   deviation of the rows, stored values   noisy    mdn")
    scene = cell(np.random.default_rng(1))
    for photons in (3, 30):
        light = scene * (photons / scene.mean())
        for deviation in (0, 1, 3, 8):
            generator = np.random.default_rng(7)
            rows = deviation * generator.standard_normal((len(light), 1))
            noisy = np.rint(counted(light, generator) + rows).clip(0, 65535).astype(np.uint16)
            truth = torch.from_numpy(light)
            figures = f"{score(noisy, truth):8.2f} {score(by_default(noisy), truth):6.2f}"
            print(f"{photons:7} {deviation:39} {figures}", flush=True)


def by_default(noisy: np.ndarray, detector: Detector | None = None) -> np.ndarray:
    """What `mdn denoise` makes of counts (H, W)."""
    models = Models(device="cpu", options=Options(detector=detector))
    return treatment(Picture(noisy[None, ..., None]), models).restore()[0][0, ..., 0]


def net_alone(noisy: np.ndarray) -> np.ndarray:
    """What the net makes of counts (H, W) that are stabilised by the true numbers."""
    model = Models(device="cpu").load("counts")
    low, high = np.percentile(noisy, [0.1, 99.9])
    centre = float(np.median(noisy))
    coding = Counts(noisy.dtype, float(low), float(high) + 1, DETECTOR.anscombe, centre)
    x = torch.from_numpy(coding.encode(noisy))[None, None]
    noise = NoiseConditioning(coding.level or 0.0)
    options = Options(precision="fp32")
    with torch.inference_mode():
        y = denoise_tiles(x, [(0, 0)], noise, model, options)[0, 0].numpy()
    return coding.decode(y, noisy)


def bm3d(noisy: np.ndarray) -> np.ndarray | None:
    """VST + BM3D told the truth; None without the package, whose licence keeps it out of mdn."""
    try:
        import bm3d as package
    except ImportError:
        return None
    curve = DETECTOR.anscombe
    return curve.inverse(package.bm3d(curve.forward(noisy.astype(np.float64)), 1.0))


# --- spots ---------------------------------------------------------------------------------------


def spots() -> None:
    """The table of spots on even ground, each as strong as SNR times the noise of its peak."""
    print("PSF, pixels   SNR   light kept   recall before   after")
    for width in (0.0, 0.8, 1.2):
        for snr in (3, 5, 8):
            kept, before, after = one_kind(width, snr, np.random.default_rng(3))
            name = "one pixel" if width == 0 else f"{width}"
            print(f"{name:11} {snr:5} {kept:12.2f} {before:15.2f} {after:7.2f}", flush=True)


def one_kind(width: float, snr: float, generator: np.random.Generator) -> tuple[float, ...]:
    """Share of light kept, recall before, recall after."""
    side, margin = 512, 12
    grid = np.arange(margin, side - margin, 24)
    rows, columns = (places.ravel() for places in np.meshgrid(grid, grid, indexing="ij"))
    rows, columns = (p + generator.integers(-3, 4, p.size) for p in (rows, columns))
    peaks = np.zeros((side, side))
    peaks[rows, columns] = 1
    shape = ndimage.gaussian_filter(peaks, width) if width else peaks
    read = (DETECTOR.read_noise / DETECTOR.gain) ** 2
    peak = snr * np.sqrt(BACKGROUND + read)
    light = BACKGROUND + peak * shape / shape.max()
    noisy = counted(light, generator)
    clean = by_default(noisy)
    photons = [(p.astype(np.float64) - DETECTOR.offset) / DETECTOR.gain for p in (noisy, clean)]
    reach = 4
    excess = [
        sum(
            (p[r - reach : r + reach + 1, c - reach : c + reach + 1] - BACKGROUND).sum()
            for r, c in zip(rows, columns, strict=True)
        )
        for p in (light, photons[1])
    ]
    places = np.stack([rows, columns], 1)
    return excess[1] / excess[0], *(recall(p, places, width) for p in photons)


def recall(picture: np.ndarray, places: np.ndarray, width: float) -> float:
    """Share of the places among the local maxima above the threshold of PRECISION.

    The picture is filtered by the spot's own shape less its surroundings, as detectors do.
    """
    matched = ndimage.gaussian_filter(picture, max(width, 0.5))
    matched = matched - ndimage.gaussian_filter(picture, 3 * max(width, 0.5))
    maxima = np.argwhere(ndimage.maximum_filter(matched, 3) == matched)
    heights = matched[maxima[:, 0], maxima[:, 1]]
    true = np.zeros(picture.shape, bool)
    true[places[:, 0], places[:, 1]] = True
    near = ndimage.maximum_filter(true, 2 * NEAR + 1)
    order = np.argsort(-heights)
    hits = near[maxima[order, 0], maxima[order, 1]].cumsum()
    precise = hits / np.arange(1, len(hits) + 1) >= PRECISION
    return float(hits[precise].max() / len(places)) if precise.any() else 0.0


if __name__ == "__main__":
    main()
