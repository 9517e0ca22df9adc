"""Raw files: is it better to denoise before the mosaic is filled in, or after?

    python -m benchmarks.raw FOLDER [--count 6] [--side 256]

A scene (a picture at half its size, blurred by a lens) goes through a simulated camera: its colour
matrix, white balance, Bayer mosaic, shot and read noise of variance shot * x + read by ISO
(`noise.synthesis.camera.profiles`), 14 bits. PSNR in dB of the developed picture against the scene,
which has all three colours at every pixel, and against LibRaw's development (AHD) of the mosaic
without noise.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor

from benchmarks import folders
from mdn import io
from mdn.io.raw import decode_light, encode_light
from mdn.noise.analysis.brightness import stabiliser
from mdn.noise.synthesis import development, isp
from mdn.noise.synthesis.camera import SensorNoise, record
from mdn.pipeline.in_memory import restore_page
from mdn.pipeline.models import Models
from mdn.pipeline.options import Options
from tests.io.raw.mosaic import mosaic, write_dng

EDGE = 8  # pixels that are not measured
LENS = 0.5  # sigma of its blur, pixels
# The median camera, and one of the noisiest twentieth.
NOISES = {"ISO 3200": SensorNoise(7.1e-5, 2.3e-7), "ISO 25600": SensorNoise(8.2e-4, 2.1e-5)}
MODEL = Models(None, device="cpu").load()


def denoised(shown: np.ndarray) -> np.ndarray:
    """(H, W, 3) as shown, float32 -> the same by `photo`."""
    return restore_page(np.ascontiguousarray(shown, np.float32), MODEL, Options()).pixels


def developed(dng: Path, values: np.ndarray | None = None, method: str = "AHD") -> np.ndarray:
    """(H, W, 3), 0..1, by LibRaw. values: (H, W), 0..1, in place of what the sensor recorded."""
    import rawpy

    with rawpy.imread(str(dng)) as raw:
        if values is not None:
            black, white = raw.black_level_per_channel[0], raw.white_level
            raw.raw_image[:] = np.rint(values * (white - black) + black).clip(0, white)
        found = raw.postprocess(
            use_camera_wb=True, no_auto_bright=True, output_bps=16, gamma=(2.4, 12.92),
            adjust_maximum_thr=0.0, demosaic_algorithm=rawpy.DemosaicAlgorithm[method],
        )  # fmt: skip
    return (found / 65535).astype(np.float32)


def recorded(dng: Path) -> tuple[np.ndarray, np.ndarray]:
    """(H, W) what the sensor recorded, 0..1, and (3,) the factors of white balance."""
    import rawpy

    with rawpy.imread(str(dng)) as raw:
        black, white = raw.black_level_per_channel[0], raw.white_level
        values = (raw.raw_image.astype(np.float32) - black) / (white - black)
        return values, np.array(raw.camera_whitebalance[:3])


def as_dng(dng: Path) -> np.ndarray:
    """What `mdn denoise photo.dng -o out.dng` writes, developed."""
    image = io.read_image(dng, linear=True)
    image.pixels[0] = denoised(image.pixels[0])
    io.write_image(image, dng.with_name("out.dng"))
    return developed(dng.with_name("out.dng"))


def half_size_planes(values: np.ndarray, noise: SensorNoise) -> np.ndarray:
    """The mosaic itself denoised: variance stabilised, as two pictures of red, green and blue."""
    even = stabiliser(noise.read, noise.shot, 0)
    x = even.forward(torch.from_numpy(values.astype(np.float32))).numpy()
    red, blue = x[0::2, 0::2], x[1::2, 1::2]
    first, second = (
        denoised(np.stack([red, green, blue], -1)) for green in (x[0::2, 1::2], x[1::2, 0::2])
    )
    x[0::2, 0::2], x[1::2, 1::2] = (
        (first[..., 0] + second[..., 0]) / 2,
        (first + second)[..., 2] / 2,
    )
    x[0::2, 1::2], x[1::2, 0::2] = first[..., 1], second[..., 1]
    return even.inverse(torch.from_numpy(x)).numpy()


def quick_demosaic(values: np.ndarray, balance: np.ndarray) -> np.ndarray:
    """The mosaic filled in by a quick demosaic, denoised, and only the sensor's cells kept."""
    cells = development.bayer_masks(*values.shape).permute(1, 2, 0).numpy()
    scale = balance / balance.max()
    balanced = encode_light((values * (cells * scale).sum(-1)).astype(np.float32))
    filled = development.edge_directed(torch.from_numpy(balanced)[None, None])
    clean = decode_light(denoised(filled[0].permute(1, 2, 0).numpy())) / scale
    return (clean * cells).sum(-1)


def scene_of(path: Path, side: int) -> Tensor:
    """(1, 3, side, side) linear light from the middle of a picture at half its size."""
    with Pillow.open(path) as picture:
        small = picture.convert("RGB").reduce(2)
    left, top = (small.width - side) // 2, (small.height - side) // 2
    shown = np.asarray(small.crop((left, top, left + side, top + side)), np.float32) / 255
    light = torch.from_numpy(decode_light(shown)).permute(2, 0, 1)[None]
    return development.blur(light, LENS)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Of two pictures of 0..1, without their edges."""
    inner = np.s_[EDGE:-EDGE, EDGE:-EDGE]
    return float(-10 * np.log10(np.square(a[inner].astype(float) - b[inner]).mean()))


def taken(scene: Tensor, number: int, folder: Path) -> None:
    """A scene as the camera of that number records it: DNGs `clean`, and one for each noise."""
    chance = np.random.default_rng(number)
    matrix = np.array(isp.XYZ_TO_CAMERA[number % len(isp.XYZ_TO_CAMERA)])
    balance = (chance.uniform(1.9, 2.4), 1.0, chance.uniform(1.5, 1.9))
    to_camera = matrix @ np.array(isp.RGB_TO_XYZ)
    to_camera /= to_camera.sum(1, keepdims=True)
    clean = mosaic((scene[0].permute(1, 2, 0).numpy() @ to_camera.T).clip(0, 1), balance=balance)
    for name, noise in (("clean", SensorNoise(0, 0)), *NOISES.items()):
        draws = torch.Generator().manual_seed(number)
        values = record(torch.from_numpy(clean)[None, None], noise, draws)[0, 0].numpy()
        write_dng(
            folder / f"{name}.dng", values, black=1024, white=16383, balance=balance, matrix=matrix
        )


def ways(dng: Path, noise: SensorNoise) -> dict[str, np.ndarray]:
    """What becomes of a noisy raw file, (H, W, 3), 0..1, by the name of the way."""
    values, balance = recorded(dng)
    found = {"noisy": developed(dng)}
    for method in ("AHD", "AAHD", "DHT"):
        found[f"developed ({method}), denoised"] = denoised(developed(dng, method=method))
    found["the same as linear DNG, developed"] = as_dng(dng)
    found["mosaic denoised, developed (AHD)"] = developed(dng, half_size_planes(values, noise))
    found["quick demosaic denoised, developed (AHD)"] = developed(
        dng, quick_demosaic(values, balance)
    )
    return found


def main() -> None:
    """Prints a row for each way: the means over the pictures so far, after each of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("pictures", type=folders.of_files)
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--side", type=int, default=256)
    asked = parser.parse_args()
    found: dict[str, list[list[float]]] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for number, path in enumerate(sorted(asked.pictures.glob("*.*"))[: asked.count]):
            scene = scene_of(path, asked.side)
            taken(scene, number, folder)
            truths = (
                encode_light(scene[0].permute(1, 2, 0).numpy()),
                developed(folder / "clean.dng"),
            )
            rows: dict[str, list[float]] = {}
            for name, noise in NOISES.items():
                for way, result in ways(folder / f"{name}.dng", noise).items():
                    rows.setdefault(way, []).extend(psnr(result, truth) for truth in truths)
            for way, row in rows.items():
                found.setdefault(way, []).append(row)
            print(
                f"{path.name}: means of {number + 1}; scene and LibRaw's, for {', '.join(NOISES)}"
            )
            for way, values in found.items():
                print(f"{way:42}", *(f"{value:6.2f}" for value in np.mean(values, 0)), flush=True)


if __name__ == "__main__":
    main()
