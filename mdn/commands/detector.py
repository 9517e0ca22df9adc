"""Gain, offset and read noise of what counted the light: measured where frames allow, or read."""

from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from mdn.encoding import Detector
from mdn.io.tiff.stack import is_tiff, open_stack
from mdn.noise.analysis.photon_transfer import BLOCK, PhotonTransfer, is_still, photon_transfer
from mdn.pipeline.calibration import calibrate
from mdn.pipeline.channels import Planes
from mdn.stacks.stack_job import planes_by_channel

SIDE = 512  # pixels a side of the middle, which is looked at
FRAMES = 33  # of a series, at most
FEWEST = 4 * BLOCK  # pixels a side, to measure by differences
DARK = ("dark", "bias")  # in the names of files that were taken without light
UNKNOWN = "offset not known, so that of the darkest place; the three belong together"


@dataclass(frozen=True)
class DetectorReading:
    """The three numbers, and where they come from."""

    detector: Detector
    source: str  # in words

    def in_words(self) -> str:
        """As options are written, and how they came about."""
        return f"{self.detector.in_words()} ({self.source})"

    def facts(self) -> dict[str, object]:
        """JSON-able."""
        return {**asdict(self.detector), "source": self.source}


def of_file(
    path: Path | None, pages: np.ndarray, offset: float | None
) -> dict[str, DetectorReading]:
    """By channel, what each plane of a gray file says together; empty where no light was counted.

    Args:
        path: of the file; None for standard input.
        pages: (P, H, W, C), what was read of it, where it is no stack.
        offset: where it is known; None: it is read, or the darkest place is taken for it.

    Raises FileError: the file cannot be read.
    """
    if path is not None and is_tiff(path):
        with open_stack(path, None, str(path)) as stack:
            channels = planes_by_channel(stack, stack.planes)
            detectors = {
                str(key[1]): of_planes(p, stack.dtype, offset) for key, p in channels.items()
            }
    elif pages.shape[-1] == 1:
        planes = [(page.shape[:2], _region(page[..., 0])) for page in pages]
        detectors = {"0": of_planes(planes, pages.dtype, offset)}
    else:
        detectors = {}
    return {key: reading for key, reading in detectors.items() if reading is not None}


def _region(page: np.ndarray):  # type: ignore[no-untyped-def]
    return lambda top, bottom, left, right: page[top:bottom, left:right]


def of_planes(planes: Planes, dtype: np.dtype, offset: float | None) -> DetectorReading | None:
    """By the photon-transfer curve where the planes show the same thing, or as a net reads them."""
    frames = _middles(planes)
    if len(frames) > 1 and min(frames[0].shape) >= FEWEST and is_still(frames):
        curve = photon_transfer(list(pairwise(frames)))
        if curve is not None:
            return _measured(curve, offset, f"photon transfer of {curve.pairs} pairs of planes")
    calibration = calibrate(planes, dtype)
    reading = calibration.reading
    if calibration.coding.curve is None or reading is None or not reading.gain:
        return None
    if not reading.surely_counted:
        return None
    place = reading.offset if offset is None else offset
    read = max(0.0, reading.constant + reading.gain * place) ** 0.5
    how = f"read, the noise to within {100 * reading.spread:.0f} %"
    return DetectorReading(Detector(reading.gain, place, read), how)


def of_series(frames: dict[str, np.ndarray], offset: float | None) -> DetectorReading | None:
    """By pairs of files (H, W) of the same thing, such as flats; None without any.

    Args:
        frames: by name. Those with a word of DARK in their name were taken without light.
        offset: where it is known; else the mean of the dark frames.
    """
    dark = {n: f for n, f in frames.items() if any(word in Path(n).stem.lower() for word in DARK)}
    if offset is None and dark:
        offset = float(np.mean([frame.mean() for frame in dark.values()]))
    ordered = sorted(frames.values(), key=lambda frame: float(frame.mean()))
    pairs = [pair for pair in pairwise(ordered) if is_still(pair)]
    curve = photon_transfer(pairs) if pairs else None
    if curve is None:
        return None
    return _measured(curve, offset, f"photon transfer of {len(pairs)} pairs of {len(frames)} files")


def middle_of(page: np.ndarray) -> np.ndarray:
    """The part (h, w) of a page (H, W) that is looked at."""
    top, left = (max(0, side - SIDE) // 2 for side in page.shape)
    return page[top : top + SIDE, left : left + SIDE]


def _middles(planes: Planes) -> list[np.ndarray]:
    """The middle of planes in a row, from the middle of the series."""
    first = max(0, len(planes) - FRAMES) // 2
    frames = []
    for (height, width), read in planes[first : first + FRAMES]:
        top, left = max(0, height - SIDE) // 2, max(0, width - SIDE) // 2
        frames.append(read(top, min(height, top + SIDE), left, min(width, left + SIDE)))
    alike = len({frame.shape for frame in frames}) == 1
    finite = all(bool(np.isfinite(frame).all()) for frame in frames)
    return frames if alike and finite else []


def _measured(curve: PhotonTransfer, offset: float | None, how: str) -> DetectorReading:
    place = curve.darkest if offset is None else offset
    how += f", the gain to within {100 * curve.gain_error / curve.gain:.1f} %"
    how += f"; {UNKNOWN}" if offset is None else ""
    return DetectorReading(Detector(curve.gain, place, curve.read_noise(place)), how)
