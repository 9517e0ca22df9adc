"""What `make demo` runs: a real photo, made noisy by `mdn noise`, cleaned by `mdn denoise`.

    python -m benchmarks.demo FOLDER

writes photo.png, noisy.png, denoised.png and sheet.png (all three side by side) into FOLDER.
"""

import subprocess
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np

GAP = 8  # white pixels between the pictures of the sheet


def main(folder: Path) -> None:
    from skimage.data import coffee

    folder.mkdir(parents=True, exist_ok=True)
    photo, noisy, clean = (folder / f"{name}.png" for name in ("photo", "noisy", "denoised"))
    iio.imwrite(photo, coffee())
    mdn("noise", photo, "-o", noisy, "--type", "gaussian", "--level", "25", "--overwrite")
    mdn("denoise", noisy, "-o", clean, "--overwrite")
    pictures = [iio.imread(path) for path in (photo, noisy, clean)]
    print(f"PSNR before {psnr(pictures[1], pictures[0]):.2f} dB")
    print(f"PSNR after  {psnr(pictures[2], pictures[0]):.2f} dB")
    gap = np.full((pictures[0].shape[0], GAP, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (picture, gap)][:-1]
    iio.imwrite(folder / "sheet.png", np.concatenate(parts, axis=1))
    print(f"see {folder / 'sheet.png'}: the photo, with noise, denoised")


def mdn(*words: object) -> None:
    """Run a command as a person would, and show it."""
    command = ["mdn", *map(str, words)]
    print("$", " ".join(command), flush=True)
    subprocess.run([sys.executable, "-m", *command], check=True)


def psnr(picture: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two uint8 pictures, dB."""
    error = np.mean((picture.astype(np.float64) - truth.astype(np.float64)) ** 2)
    return float(10 * np.log10(255**2 / error))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
