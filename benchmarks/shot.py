"""`python -m benchmarks.shot DIR`: a sequence denoised frame by frame and with --motion.

Renders two shots by Mitsuba (`pip install 'mdn[renders]'`) into DIR, where they are not there yet:
`still`, in which nothing moves, and `move`, in which the camera goes sideways. Frames have motion
vectors to the frame before and the one after, as Cycles writes them. Then for each model, without
and with --motion: PSNR behind clip and gamma, of the mean and of the worst frame, and flicker, the
deviation over time of a pixel's error, on the 0-255 scale, of all pixels and of the calmer half. Of
`move` the flicker holds that of the references, each of which has noise of its own.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.scenes import rendering
from benchmarks.scenes.build import build
from mdn.bench.renders import Render
from mdn.io import exr
from mdn.io.exr.layers import layers

SHOTS = {"still": 0.0, "move": 0.02}  # how far the camera goes in a frame, scene units
AOVS = ",position:position"


def render(out: Path, seed: int, frames: int, size: tuple[int, int], spp: int, many: int) -> None:
    """FRAMES of both shots at `spp` samples a pixel, and references at `many`."""
    mi = rendering._mitsuba("scalar_rgb")
    for shot, step in SHOTS.items():
        if (out / shot / f"frame.{frames:04d}.exr").exists():
            continue
        (out / shot).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            parts, _ = build(mi, seed, size, Path(folder))
            parts["integrator"]["aovs"] += AOVS
            scene = mi.load_dict(parts)
            first = np.array(parts["sensor"]["to_world"].matrix)
            places = [first.copy() for _ in range(frames + 2)]  # and one before, one after
            for number, place in enumerate(places):
                place[:3, 3] += step * (number - 1) * first[:3, 0]
            scale = 0.0
            for number in range(1, frames + 1):
                sensor = mi.load_dict(
                    parts["sensor"] | {"to_world": mi.ScalarTransform4f(places[number])}
                )
                for samples in (many, spp):
                    name = "reference" if samples == many else "frame"
                    path = out / shot / f"{name}.{number:04d}.exr"
                    if name == "reference" and not step and number > 1:
                        shutil.copy(path.with_name("reference.0001.exr"), path)
                        continue
                    planes = rendering._rendered(mi, scene, sensor, samples, (seed, number))
                    scale = scale or rendering._exposure(planes[..., :3])
                    beauty = planes[..., :3] * np.float32(scale)
                    vectors = np.concatenate(
                        [
                            _shift(planes[..., 9:12], places, number, near, parts["sensor"]["fov"])
                            for near in (number - 1, number + 1)
                        ],
                        -1,
                    )
                    image = Render(beauty, planes[..., 3:6].clip(0, 1), planes[..., 6:9])
                    rendering.write(path, image, {}, {"Vector.": ("XYZW", vectors)})


def _shift(
    points: np.ndarray, places: list[np.ndarray], here: int, there: int, fov: float
) -> np.ndarray:
    """(H, W, 2) pixels from where a point is seen to where it is seen in the other frame."""
    width = points.shape[1]
    focus = width / 2 / np.tan(np.radians(fov) / 2)

    def seen(place: np.ndarray) -> np.ndarray:
        local = (points - place[:3, 3]) @ place[:3, :3]
        deep = np.maximum(local[..., 2:], 1e-3)
        return focus * np.concatenate([-local[..., :1], -local[..., 1:2]], -1) / deep

    lit = np.abs(points).sum(-1, keepdims=True) > 0  # nothing was hit elsewhere
    return np.where(lit, seen(places[there]) - seen(places[here]), 0).clip(-width, width)


def shown(path: Path) -> np.ndarray:
    """(H, W, 3) of a file's beauty behind clip and gamma, 0..255."""
    file = exr.read(path)
    beauty = next(layer for layer in layers(file) if layer.role == "beauty")
    return 255 * beauty.pixels(file).astype(np.float32).clip(0, 1) ** (1 / 2.2)


def measure(results: Path, truth: Path) -> dict[str, float]:
    """PSNR and flicker of the frames of a folder."""
    pairs = [(shown(path), shown(truth / path.name.replace("frame", "reference")))
             for path in sorted(results.glob("frame.*.exr"))]  # fmt: skip
    wrong = np.stack([frame - true for frame, true in pairs])
    psnr = 10 * np.log10(255**2 / np.square(wrong).mean((1, 2, 3)))
    time = wrong.std(0).mean(-1)
    calm = np.stack([true for _, true in pairs]).mean((0, 3))
    slope = sum(np.abs(np.gradient(calm, axis=axis)) for axis in (0, 1))
    return {
        "psnr": float(psnr.mean()),
        "worst": float(psnr.min()),
        "flicker": float(time.mean()),
        "calm": float(time[slope <= np.median(slope)].mean()),
    }


def main(
    out: Path,
    models: Annotated[str, typer.Option("--models")] = "render,oidn,render+oidn",
    seed: int = 8001,
    frames: int = 8,
    spp: int = 8,
    reference: int = 256,
    width: int = 192,
    height: int = 108,
) -> None:
    """Renders and measures."""
    out = out / f"seed{seed}-{spp}spp"
    render(out, seed, frames, (width, height), spp, reference)
    print("| shot | model | PSNR | worst frame | flicker | of the calmer half |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")

    def row(shot: str, name: str, folder: Path) -> None:
        facts = measure(folder, out / shot)
        cells = " | ".join(f"{value:.2f}" for value in facts.values())
        print(f"| {shot} | {name} | {cells} |", flush=True)

    for shot in SHOTS:
        row(shot, "noisy", out / shot)
        for model in models.split(","):
            for more in ([], ["--motion"]):
                with tempfile.TemporaryDirectory() as folder:
                    command: list[Any] = [sys.executable, "-m", "mdn", "denoise", "-q", "-m", model]
                    command += [out / shot / "frame.####.exr", "-o", f"{folder}/", *more]
                    subprocess.run(command, check=True)
                    row(shot, " ".join([model, *more]), Path(folder))


if __name__ == "__main__":
    typer.run(main)
