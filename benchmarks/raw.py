"""Raw files: is it better to denoise the developed picture, or the linear DNG before it?

    python -m benchmarks.raw PICTURES [--iso 1600,6400] [--count 4]

Pictures are made raw (sRGB's curve taken back, a white balance of 2, 1 and 1.6, a Bayer mosaic of
14 bits), get a sensor's noise of variance shot x + read by ISO (the median camera of
`mdn.noise.synthesis.camera.profiles`), and are developed by LibRaw. PSNR in dB against the
same without noise.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from mdn import io
from mdn.image import Image
from mdn.noise.synthesis.camera.profiles import quantiles
from mdn.pipeline import photo
from mdn.pipeline.models import Models
from mdn.pipeline.options import Options
from tests.io.raw.mosaic import mosaic, write_dng

SIDE = 256
# From XYZ to linear sRGB: a camera whose colours are those of the screen.
TO_SRGB = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.204, 1.057]])


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Of two pictures of 16 bits."""
    return float(-10 * np.log10(((a.astype(float) - b) ** 2).mean() / 65535**2))


def main() -> None:
    """Prints a line for each picture and ISO, and the means."""
    parser = argparse.ArgumentParser()
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--iso", default="1600,6400")
    parser.add_argument("--count", type=int, default=4)
    asked = parser.parse_args()
    model = Models(None, device="cpu").load()

    def denoised(image: Image) -> Image:
        return replace(image, pixels=photo.restore(image.pixels[0], model, Options()).pixels[None])

    print("picture  ISO   noisy  developed, then denoised  denoised as DNG, then developed")
    rows = []
    with tempfile.TemporaryDirectory() as place:
        dng, clean = Path(place) / "a.dng", Path(place) / "clean.dng"
        for path in sorted(asked.pictures.glob("*.png"))[: asked.count]:
            shown = io.read_image(path).pixels[0, :SIDE, :SIDE] / 255
            light = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
            raw = mosaic(light)
            write_dng(clean, raw, white=16383, matrix=TO_SRGB)
            truth = io.read_image(clean).pixels
            for iso in map(int, asked.iso.split(",")):
                (_, shot, _), (read, _) = quantiles(iso)
                noise = np.random.default_rng(iso).standard_normal(raw.shape)
                noisy = raw + np.sqrt(shot * raw + read) * noise
                write_dng(dng, noisy, white=16383, matrix=TO_SRGB)
                before = io.read_image(dng)
                after = denoised(before)
                out = Path(place) / "b.dng"
                io.write_image(denoised(io.read_image(dng, linear=True)), out)
                pixels = (before.pixels, after.pixels, io.read_image(out).pixels)
                rows.append([psnr(each, truth) for each in pixels])
                print(path.stem, iso, *(f"{value:.2f}" for value in rows[-1]), flush=True)
    print("mean", *(f"{value:.2f}" for value in np.mean(rows, 0)))


if __name__ == "__main__":
    main()
