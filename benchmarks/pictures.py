"""Makes the before / after pictures of the README and of docs/, by mdn itself.

    python -m benchmarks.pictures PICTURES docs/images

PICTURES/test holds kodak24/, render/ and tiff/. kodim23 is one of the pictures that Kodak released
for unrestricted use; spaceship is a scene by thecali, CC0; the nuclei are a training picture of
NEUBIAS, CC BY 4.0. Left is before, right after.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import folders

GAP = 4  # white columns between before and after


def photo(pictures: Path, scratch: Path) -> Image.Image:
    """A photograph under the noise of a sensor at 30 photons."""
    noisy, clean = scratch / "photo.png", scratch / "photo_clean.png"
    source = pictures / "kodak24" / "kodim23.png"
    mdn("noise", source, "-o", noisy, "--type", "poisson-gaussian", "--level", "30")
    mdn("denoise", noisy, "-o", clean)
    box = (20, 90, 480, 400)
    return side_by_side(Image.open(noisy).crop(box), Image.open(clean).crop(box))


def render(pictures: Path, scratch: Path) -> Image.Image:
    """A path tracer's frame of 16 samples a pixel, shown with gamma 2.2."""
    noisy, clean = pictures / "render" / "spaceship_16.exr", scratch / "render.exr"
    mdn("denoise", noisy, "-o", clean)
    return side_by_side(*(doubled(developed(path)) for path in (noisy, clean)))


def nuclei(pictures: Path, scratch: Path) -> Image.Image:
    """Nuclei under a fluorescence microscope, both with the same stretch of contrast."""
    noisy, clean = pictures / "tiff" / "xy_8bit__nuclei_very_noisy_close.tif", scratch / "cells.tif"
    mdn("denoise", noisy, "--encoding", "counts", "-o", clean)
    planes = [np.asarray(Image.open(path)).astype(float) for path in (noisy, clean)]
    low, high = np.percentile(planes[0], (0.5, 99.8))
    shown = [np.clip((plane - low) / (high - low), 0, 1) * 255 for plane in planes]
    return side_by_side(*(doubled(Image.fromarray(plane.astype(np.uint8))) for plane in shown))


def preview(pictures: Path, scratch: Path) -> Image.Image:
    """The preview of the same photograph under Gaussian noise."""
    noisy, sheet = scratch / "noisy.png", scratch / "sheet.png"
    source = pictures / "kodak24" / "kodim23.png"
    mdn("noise", source, "-o", noisy, "--type", "gaussian", "--level", "40")
    mdn("denoise", noisy, "--preview", "-o", sheet)
    return Image.open(sheet)


def developed(path: Path) -> Image.Image:
    """The beauty of an EXR file as a picture to look at."""
    import OpenEXR

    channels = OpenEXR.File(str(path)).channels()
    light = channels["RGB"].pixels
    return Image.fromarray(np.uint8(255 * np.clip(light, 0, 1) ** (1 / 2.2) + 0.5))


def doubled(picture: Image.Image) -> Image.Image:
    """Each pixel as two by two."""
    return picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.NEAREST)


def side_by_side(before: Image.Image, after: Image.Image) -> Image.Image:
    """Both in one picture, before on the left."""
    sheet = Image.new("RGB", (2 * before.width + GAP, before.height), "white")
    sheet.paste(before, (0, 0))
    sheet.paste(after, (before.width + GAP, 0))
    return sheet


def mdn(*words: object) -> None:
    """Runs a command as a person would, and shows it."""
    print("$ mdn", *words, flush=True)
    subprocess.run([sys.executable, "-m", "mdn", *map(str, words)], check=True)


def main(pictures: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for make in (photo, render, nuclei, preview):
            make(pictures, Path(scratch)).save(folder / f"{make.__name__}.jpg", quality=88)


if __name__ == "__main__":
    main(folders.with_parts("kodak24", "render", "tiff")(sys.argv[1]), Path(sys.argv[2]))
