"""What becomes of files that were once destroyed: `python -m benchmarks.faults FAULTS [RENDERS]`.

FAULTS is the folder test/faults of the pictures; RENDERS holds SCENE_SPP.exr, as test/render does:
its renders of 16 samples are denoised with negative samples and fireflies put into them.
A line for each file: what is measured of it, before and after `mdn denoise FILE` in this process,
and what the command said. Errors are root mean squares in stored values, against the _truth file
where there is one; in test/faults the plain file is counts.tif. Files without noise have no error
but what was changed of them.
"""

import argparse
import itertools
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import tifffile
from typer.testing import CliRunner

from benchmarks import folders
from mdn.bench.renders import find_pairs
from mdn.cli.app import app
from mdn.io import exr
from mdn.metrics import PROTOCOLS, score

Measure = Callable[[Path, np.ndarray, np.ndarray], tuple[str, str]]  # folder, before, after
NO_DATA = 1e19
SAMPLES = 16  # a pixel, of the renders


@dataclass(frozen=True)
class Fault:
    """A file, and what is to be measured of what comes back."""

    name: str
    what: str
    measure: Measure
    options: tuple[str, ...] = ()


@cache
def read(path: Path) -> np.ndarray:
    pixels = tifffile.imread(path) if path.suffix == ".tif" else iio.imread(path)
    return np.asarray(pixels).astype(float)


def rms(difference: np.ndarray) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.sqrt(np.mean(np.square(difference))))


def error(folder: Path, before: np.ndarray, after: np.ndarray, *, truth: str) -> tuple[str, str]:
    """Against the truth."""
    clean = read(folder / truth)
    return f"{rms(before - clean):.1f}", f"{rms(after - clean):.1f}"


def beside_outliers(folder: Path, before: np.ndarray, after: np.ndarray) -> tuple[str, str]:
    """The error but for the samples that differ from counts.tif, and what became of these."""
    clean, plain = read(folder / "counts_truth.tif"), read(folder / "counts.tif")
    outlier = np.abs(before - plain) > 1
    lost = int(np.sum(before[outlier] != after[outlier]))
    errors = (f"{rms((pixels - clean)[~outlier]):.1f}" for pixels in (before, after))
    first, second = errors
    return first, f"{second}, {lost} of {outlier.sum()} outliers changed"


def psnr(folder: Path, before: np.ndarray, after: np.ndarray, *, truth: str) -> tuple[str, str]:
    """In dB of 255, where the noisy file differs from the truth; and what was changed elsewhere."""
    clean = read(folder / truth)
    page = np.ones(clean.shape[:2], bool)
    rows, columns = np.nonzero((before != clean).any(-1))
    page[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = False
    noisy, result = (20 * np.log10(255 / rms((p - clean)[~page])) for p in (before, after))
    changed = int((before != after).any(-1)[page].sum())
    around = f", {changed} of {page.sum()} pixels around changed" if page.any() else ""
    return f"{noisy:.1f} dB", f"{result:.1f} dB{around}"


def light(folder: Path, before: np.ndarray, after: np.ndarray, *, truth: str) -> tuple[str, str]:
    """The error, and the mean."""
    errors = error(folder, before, after, truth=truth)
    mean, other = (
        f"{e}, mean {p.mean():.3f}" for e, p in zip(errors, (before, after), strict=True)
    )
    return mean, other


def changes(folder: Path, before: np.ndarray, after: np.ndarray) -> tuple[str, str]:
    """How many samples changed, and how far."""
    differ = before != after
    far = float(np.abs(after - before).max())
    return (
        "",
        f"{100 * differ.mean():.1f} % changed, by up to {far:.3g}" if differ.any() else "same",
    )


def constant_planes(folder: Path, before: np.ndarray, after: np.ndarray) -> tuple[str, str]:
    """The range of the planes of one value."""
    even = [index for index, plane in enumerate(before) if np.ptp(plane) == 0]
    ranges = (f"{p[even].min():g}..{p[even].max():g}" for p in (before, after))
    first, second = ranges
    return first, second


def hidden(folder: Path, before: np.ndarray, after: np.ndarray) -> tuple[str, str]:
    """The largest colour where alpha is 0."""
    first, second = (f"{p[p[..., 3] == 0][:, :3].max():g}" for p in (before, after))
    return first, second


def apart(folder: Path, before: np.ndarray, after: np.ndarray) -> tuple[str, str]:
    """How far the channels of a pixel differ at most."""
    first, second = (f"{np.ptp(p, axis=-1).max():g}" for p in (before, after))
    return first, second


def as_nominal(folder: Path, before: np.ndarray, after: np.ndarray) -> tuple[str, str]:
    """Against the result of the same picture stored as 0..1."""
    with tempfile.TemporaryDirectory() as place:
        source, target = Path(place) / "in.tif", Path(place) / "out.tif"
        tifffile.imwrite(source, (before / 255).astype(np.float32), photometric="rgb")
        denoise(source, target)
        reference = 255 * read(target)
    return f"{rms(before - reference):.1f}", f"{rms(after - reference):.1f}"


COUNTS = "counts_truth.tif"
FAULTS = (
    Fault("counts.tif", "error", partial(error, truth=COUNTS)),
    Fault("counts_stamp.tif", "error beside the stamp", beside_outliers),
    Fault("counts_scalebar.tif", "error beside the bar", beside_outliers),
    Fault("counts_saturated.tif", "error beside the clusters", beside_outliers),
    Fault("counts_nodata.tif", "error beside no-data", beside_outliers),
    Fault("stars.tif", "error", partial(error, truth="stars_truth.tif")),
    Fault("few_photons.tif", "error, mean", partial(light, truth="few_photons_truth.tif")),
    Fault("bright_counts.tif", "error, mean", partial(light, truth="bright_counts_truth.tif")),
    Fault("line_scan.tif", "changes", changes),
    Fault("line_float.tif", "changes", changes),
    Fault("tiny.tif", "changes", changes),
    Fault("blurred_float.tif", "changes", changes),
    Fault("ramp_float.tif", "changes", changes),
    Fault("labels.tif", "changes", changes),
    Fault("probability.tif", "changes", changes),
    Fault("constant_plane.tif", "range of the constant plane", constant_planes),
    Fault("premultiplied.tif", "largest colour where alpha is 0", hidden),
    Fault("rgb_float_255.tif", "apart from the same as 0..1", as_nominal),
    Fault("gray_in_rgb.png", "channels apart", apart),
    Fault("photo_on_page.png", "PSNR", partial(psnr, truth="photo_on_page_truth.png")),
    Fault("weave_sigma15.png", "PSNR", partial(psnr, truth="weave_truth.png")),
    Fault("weave_sigma15.png", "PSNR", partial(psnr, truth="weave_truth.png"), ("--sigma", "15")),
    Fault("hot_pixels_spread.jpg", "PSNR", partial(psnr, truth="hot_pixels_truth.png")),
)


def denoise(source: Path, target: Path, *options: str) -> list[str]:
    """`mdn denoise` in this process: what it said, or why nothing came back."""
    words = ["denoise", str(source), "-o", str(target), "--json", *options]
    run = CliRunner().invoke(app, words, prog_name="mdn")
    if run.exit_code:
        return [f"exit {run.exit_code}", *run.stderr.strip().splitlines()[-1:]]
    facts = json.loads(run.stdout)["files"][0]
    return [*facts.get("summary", ()), *facts["warnings"]]


def rows(folder: Path) -> Iterator[tuple[str, str, str, str, str]]:
    """File, what is measured, before, now, and what was said."""
    for fault in FAULTS:
        source = folder / fault.name
        with tempfile.TemporaryDirectory() as place:
            target = Path(place) / source.name
            lines = denoise(source, target, *fault.options)
            before, now = "", "no result"
            if target.exists():
                before, now = fault.measure(folder, read(source), read(target))
        yield " ".join((fault.name, *fault.options)), fault.what, before, now, "; ".join(lines)


def render_rows(folder: Path) -> Iterator[tuple[str, str, str, str, str]]:
    """As `rows`, of renders of 16 samples a pixel: as they are, and with odd samples."""
    pairs = [pair for pair in find_pairs(folder.glob("*.exr"))[0] if pair.spp == SAMPLES]
    odd = {
        "as it is": lambda light, random: light,
        "2 % of samples -.05": lambda light, random: np.where(
            random.random(light.shape) < 0.02, -0.05, light
        ),
        ".2 % of pixels 1000": lambda light, random: np.where(
            random.random((*light.shape[:2], 1)) < 0.002, 1000.0, light
        ),
    }
    for pair, (name, spoil) in itertools.product(pairs, odd.items()):
        file, truth = exr.read(pair.noisy), beauty(exr.read(pair.reference))
        light = spoil(beauty(file), np.random.default_rng(0))
        for index, key in enumerate("RGB"):
            file.parts[0][key] = light[..., index].astype(file.parts[0][key].dtype)
        with tempfile.TemporaryDirectory() as place:
            source, target = Path(place) / "in.exr", Path(place) / "out.exr"
            exr.write(file, source)
            lines = denoise(source, target)
            before, now = (render_psnr(path, truth) for path in (source, target))
        yield f"{pair.noisy.name}, {name}", "PSNR", before, now, "; ".join(lines)


def beauty(file: exr.Exr) -> np.ndarray:
    """(H, W, 3) float32, linear light."""
    return np.stack([file.parts[0][key] for key in "RGB"], -1).astype(np.float32)


def render_psnr(path: Path, truth: np.ndarray) -> str:
    """After the tone map; and the negative samples, where there are any."""
    if not path.exists():
        return "no result"
    light = beauty(exr.read(path))
    psnr_db = score(light, truth, ("psnr",), PROTOCOLS["paper"], linear=True)["psnr"]
    negative = int((light < 0).sum())
    return f"{psnr_db:.1f} dB" + (f", {negative} samples below 0" if negative else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=folders.of_files)
    parser.add_argument("renders", type=Path, nargs="?")
    given = parser.parse_args()
    print("| file | measured | before | now | said |\n| --- | --- | ---: | ---: | --- |")
    renders = render_rows(given.renders) if given.renders else ()
    for row in itertools.chain(rows(given.folder), renders):
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
