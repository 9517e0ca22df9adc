"""What neighbouring planes are worth: simulated time series of cells, denoised by the command.

    python -m benchmarks.neighbours FOLDER [--neighbours 2 3] [--cells 3] [--frames 11] [--side 256]

FOLDER has clean fluorescence pictures, gray. Half of one moves as a round cell over another that
rests; both are photons, counted with gain 2, read noise 3 and an offset of 100, as floats. Rows:

    rest, 1 px, 3 px, 1.5 px   how far the cell moves from frame to frame; 1.5 between pixels
    unrelated                  each frame is another picture
    bleaching                  6 % less light in each frame; nothing moves
    blinking                   one point in three is dark in a frame, at random; nothing moves

PSNR of the range in dB, the mean of all frames and, after the bar, the worst. Then for each number
of planes on each side the gain over plane by plane, of the mean and of the frame that gains least;
where the truth changes from frame to frame, the gain there; the deviation over time where it does
not change, plane by plane being 1; and the time, likewise. Means over the cells.
"""

import argparse
import tempfile
import time
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import tifffile
from scipy import ndimage

from mdn.commands.denoise import run
from mdn.commands.request import Request
from mdn.jobs.job import Job, Unheard

GAIN, READ_NOISE, OFFSET = 2.0, 3.0, 100.0
PHOTONS = {"dim": 10.0, "bright": 200.0}  # of the brightest pixel
DARK = 0.02  # of that, everywhere
DIRECTION = 0.6  # of the motion, in radians
BLEACHED = 0.94  # of the light, that the next frame has
POINTS, BLINKS = 60, 1 / 3
CHANGES = 0.5  # standard deviations of the noise, from which on a pixel counts as changing
SCENES = ("rest", "1 px", "3 px", "1.5 px", "unrelated", "bleaching", "blinking")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--neighbours", type=int, nargs="+", default=[2, 3])
    parser.add_argument("--cells", type=int, default=3)
    parser.add_argument("--frames", type=int, default=11)
    parser.add_argument("--side", type=int, default=256)
    given = parser.parse_args()
    paths = sorted(given.folder.iterdir())
    for scene in SCENES:
        for name, photons in PHOTONS.items():
            found = [
                one_cell(paths[2 * cell :] + paths[: 2 * cell], scene, photons, cell, given)
                for cell in range(given.cells)
            ]
            print(
                f"{scene} {name}".ljust(18), line(np.mean(found, 0), given.neighbours), flush=True
            )


def one_cell(
    paths: list[Path], scene: str, photons: float, seed: int, given: argparse.Namespace
) -> list[list[float]]:
    """For plane by plane, and each number of neighbours: what `scores` says, and seconds."""
    clean = frames_of(paths, scene, given.frames, given.side, seed)
    light = photons * ((1 - DARK) * clean + DARK)
    rng = np.random.default_rng(seed)
    noisy = GAIN * rng.poisson(light) + OFFSET + READ_NOISE * rng.standard_normal(light.shape)
    truth = GAIN * light + OFFSET
    deviation = np.sqrt(GAIN**2 * light + READ_NOISE**2)
    moves = (np.ptp(truth, 0) > CHANGES * deviation.mean(0))[None].repeat(len(truth), 0)
    return [
        [*scores(result, truth, moves), seconds]
        for result, seconds in (denoised(noisy, n) for n in (0, *given.neighbours))
    ]


def frames_of(paths: list[Path], scene: str, count: int, side: int, seed: int) -> np.ndarray:
    """(count, side, side), 0..1."""
    if scene == "unrelated":
        return np.stack([picture(paths[i % len(paths)], side) for i in range(count)])
    still, cell = 0.5 * picture(paths[0], side), picture(paths[1], side)
    rows, columns = np.mgrid[:side, :side] - side / 2
    mask = 1 / (1 + np.exp((np.hypot(rows, columns) - 0.27 * side) / 2))
    speed = float(scene.split()[0]) if scene.endswith("px") else 0.0
    frames = []
    for number in range(count):
        way = speed * (number - count // 2) * np.array([np.sin(DIRECTION), np.cos(DIRECTION)])
        way = way if speed % 1 else np.rint(way)
        there = moved(mask, way)
        frames.append(still * (1 - there) + moved(cell, way) * there)
    series = np.stack(frames)
    if scene == "bleaching":
        series *= (BLEACHED ** np.arange(count))[:, None, None]
    if scene == "blinking":
        rng = np.random.default_rng(seed + 100)
        points = np.zeros_like(series)
        for y, x in rng.integers(0, side, (POINTS, 2)):
            points[:, y, x] = 8 * (rng.random(count) > BLINKS)
        series = series + ndimage.gaussian_filter(points, (0, 1.2, 1.2))
    return series.clip(0, 1)


def picture(path: Path, side: int) -> np.ndarray:
    """The middle of a picture, 0..1."""
    pixels = iio.imread(path).astype(np.float64)
    pixels = pixels[..., 0] if pixels.ndim == 3 else pixels
    top, left = ((length - side) // 2 for length in pixels.shape)
    pixels = pixels[top : top + side, left : left + side]
    return np.asarray((pixels - pixels.min()) / np.ptp(pixels))


def moved(x: np.ndarray, way: np.ndarray) -> np.ndarray:
    """x, which goes round."""
    if not (way % 1).any():
        return np.roll(x, way.astype(int), (0, 1))
    return np.asarray(ndimage.shift(x, way, order=3, mode="grid-wrap"))


def denoised(noisy: np.ndarray, neighbours: int) -> tuple[np.ndarray, float]:
    """A series as `mdn denoise --encoding counts --neighbours N` leaves it, and the seconds."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "a.ome.tif"), Path(folder, "b.ome.tif")
        tifffile.imwrite(source, noisy.astype(np.float32), metadata={"axes": "TYX"})
        request = Request(device="cpu", encoding="counts", neighbours=neighbours)
        start = time.perf_counter()
        result = run([Job(source, target, source.name)], request, Unheard(), fail_fast=True)
        seconds = time.perf_counter() - start
        assert result.exit_code == 0, result.outcomes[0].error
        return tifffile.imread(target).astype(np.float64), seconds


def scores(result: np.ndarray, truth: np.ndarray, moves: np.ndarray) -> list[float]:
    """PSNR where the truth changes, flicker where it does not, and PSNR of each frame."""
    span = np.ptp(truth)
    error = (result - truth) ** 2
    frames = 10 * np.log10(span**2 / error.mean((1, 2)))
    there = 10 * np.log10(span**2 / error[moves].mean()) if moves.any() else np.nan
    rest = (result - truth).std(0)[~moves[0]]
    flicker = np.sqrt((rest**2).mean()) if rest.size else np.nan
    return [float(there), float(flicker), *frames.tolist()]


def line(rows: np.ndarray, neighbours: list[int]) -> str:
    there, flicker, frames, seconds = rows[:, 0], rows[:, 1], rows[:, 2:-1], rows[:, -1]
    parts = [f"{frames[0].mean():.2f} | {frames[0].min():.2f}"]
    for place, number in enumerate(neighbours, start=1):
        gain, changing = frames[place] - frames[0], there[place] - there[0]
        parts.append(f"{number}: {gain.mean():+.2f} | {gain.min():+.2f}  changing {changing:+.2f}")
        parts.append(f"flicker {flicker[place] / flicker[0]:.2f}")
        parts.append(f"time {seconds[place] / seconds[0]:.2f}")
    return "  ".join(parts)


if __name__ == "__main__":
    main()
