"""What `mdn` makes of small synthetic files, as hashes, before and after a change.

    python benchmarks/same_output.py --record before.json
    python benchmarks/same_output.py --check before.json [--only WORD]

Every format, shipped model and option that changes pixels is run once. Hashes are those of one
machine and one version of PyTorch: record them and check them on the same one.
"""

import argparse
import hashlib
import json
import os
import re
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import OpenEXR
import tifffile
from PIL import Image
from typer.testing import CliRunner

from mdn.cli.app import app

SIDE = (72, 104)
DENOISE = {
    "png": "denoise rgb8.png",
    "gray": "denoise gray8.png",
    "gray16": "denoise gray16.png",
    "rgb16": "denoise rgb16.png",
    "alpha": "denoise alpha.png",
    "palette": "denoise palette.png",
    "jpeg": "denoise photo.jpg --jpeg-quality 90",
    "webp": "denoise photo.webp",
    "bmp": "denoise photo.bmp",
    "tiff8": "denoise rgb8.tif",
    "tiff16": "denoise rgb16.tif",
    "tiff-float": "denoise float.tif --encoding display",
    "shared": "denoise smooth.png",
    "banded": "denoise banded.png",
    "impulses": "denoise salt.png",
    "clean": "denoise clean.png",
    "poisson": "denoise poisson.png",
    "strength": "denoise rgb8.png --strength 0.6",
    "strength-banded": "denoise banded.png --strength 0.5 -m generalist-s15",
    "detail": "denoise rgb8.png --detail 0.3",
    "passes": "denoise rgb8.png --passes 3",
    "std": "denoise rgb8.png --passes 2 --save-std std.tif",
    "std-gray": "denoise gray16.png --passes 2 --save-std std.png",
    "fast": "denoise rgb8.png --quality fast",
    "best": "denoise gray8.png --quality best",
    "fine": "denoise rgb8.png -m photo-fast --detail 0.2 --strength 0.9",
    "tiles": "denoise large.png --tile 128 -m photo-fast",
    "generalist": "denoise rgb8.png -m generalist-s15",
    "generalist-sigma": "denoise rgb8.png -m generalist-s15 --sigma 20",
    "generalist-shared": "denoise smooth.png -m generalist-s15",
    "generalist-shared-strength": "denoise smooth.png -m generalist-s15 --strength 0.7",
    "generalist-salt": "denoise salt.png -m generalist-s15",
    "generalist-poisson": "denoise poisson.png -m generalist-s15",
    "generalist-gray-std": "denoise gray8.png -m generalist-s15 --passes 2 --save-std std.tif",
    "swinir": "denoise tiny.png -m swinir-masked-s15 --seed 3",
    "swinir-passes": "denoise tiny.png -m swinir-masked-s15 --passes 2 --save-std std.tif",
    "swinir-base": "denoise tiny.png -m swinir-baseline-s15",
    "counts": "denoise gray16.tif",
    "counts-passes": "denoise gray16.tif --passes 2 --save-std std.tif --strength 0.8",
    "counts-float": "denoise counts-float.tif",
    "counts-sigma": "denoise gray16.tif -m generalist-s15 --sigma 12",
    "counts-photo": "denoise gray16.tif -m photo",
    "stack": "denoise stack.tif",
    "stack-planes": "denoise stack.tif --channels 1 --z 1-2",
    "ome": "denoise ome.tif --encoding counts",
    "stack-display": "denoise stack.tif --encoding display --axes ZCYX",
    "exr": "denoise render.exr",
    "exr-layers": "denoise render.exr --layers auto --keep-sums",
    "exr-fireflies": "denoise render.exr --clamp-fireflies 4 --albedo none --strength 0.7",
    "exr-photo": "denoise render.exr -m photo-fast",
    "exr-srgb": "denoise render.exr --tonemap srgb",
    "shot": "denoise shot.####.exr --frames 1-2 --motion",
    "convert": "denoise rgb16.png --format jpeg",
    "zeroshot": "zeroshot gray8.png --iters 3 --seed 1",
    "zeroshot-colour": "zeroshot rgb8.png -m photo-fast --iters 2 --seed 1",
    "zeroshot-plain": "zeroshot rgb8.png",
    "zeroshot-mpi": "zeroshot rgb8.png -m mpi-synthetic --iters 2",
    "zeroshot-counts": "zeroshot gray16.tif --iters 2",
    "zeroshot-shared": "zeroshot smooth.png -m mpi-real --iters 2",
    "zeroshot-swinir": "zeroshot tiny.png -m swinir-masked-s15 --iters 2",
    "noise-estimate": "noise --estimate rgb8.png gray16.tif smooth.png banded.png --json",
    "json": "denoise rgb8.png gray16.tif smooth.png banded.png salt.png -o there/ --json",
}
NOISES = (
    "gaussian", "poisson", "poisson-gaussian", "speckle", "salt-pepper", "spatial", "isp", "mixture"
)  # fmt: skip
COMMANDS = DENOISE | {f"noise-{kind}": f"noise clean.png --type {kind}" for kind in NOISES}


def scene(height: int = SIDE[0], width: int = SIDE[1]) -> np.ndarray:
    """(H, W, 3), 0..1: ramps, discs and a fine pattern."""
    y, x = np.mgrid[0:height, 0:width] / 100.0
    base = np.stack([0.3 + 0.4 * x, 0.6 - 0.3 * y, 0.3 + 0.2 * np.sin(9 * x + 4 * y)], -1)
    for cy, cx, radius, light in ((0.3, 0.3, 0.2, 0.3), (0.45, 0.8, 0.15, -0.25)):
        base[(y - cy) ** 2 + (x - cx) ** 2 < radius**2] += light
    base += 0.05 * np.sin(120 * x)[..., None] * (y > 0.5)[..., None]
    return base.clip(0.02, 0.98)


def stored(picture: np.ndarray, dtype: type = np.uint8) -> np.ndarray:
    """0..1 to whole numbers."""
    top = np.iinfo(dtype).max
    return np.rint(picture.clip(0, 1) * top).astype(dtype)


def make(folder: Path) -> None:
    """Writes all inputs."""
    random = np.random.default_rng(5)
    clean = scene()
    grain = random.normal(0, 1, clean.shape)
    noisy = clean + 20 / 255 * grain
    gray = noisy.mean(-1) + 10 / 255 * grain[..., 0]

    def save(array: np.ndarray, name: str, **more: object) -> None:
        Image.fromarray(array).save(folder / name, **more)

    save(stored(clean), "clean.png")
    save(stored(noisy), "rgb8.png")
    save(stored(noisy[:40, :48]), "tiny.png")
    save(stored(scene(300, 260) + 0.08 * random.normal(0, 1, (300, 260, 3))), "large.png")
    save(stored(gray), "gray8.png")
    save(stored(gray, np.uint16), "gray16.png")
    opacity = stored(clean[..., :1])
    save(np.concatenate([stored(noisy), opacity], -1), "alpha.png")
    Image.fromarray(stored(noisy)).quantize(32).save(folder / "palette.png")
    save(stored(noisy), "photo.jpg", quality=92)
    save(stored(noisy), "photo.webp", quality=90)
    save(stored(noisy), "photo.bmp")
    import imagecodecs

    (folder / "rgb16.png").write_bytes(imagecodecs.png_encode(stored(noisy, np.uint16)))
    wide = np.pad(grain, ((1, 1), (1, 1), (0, 0)), mode="wrap")
    h, w = clean.shape[:2]
    blurred = sum(wide[i : i + h, j : j + w] for i in range(3) for j in range(3)) / 3
    save(stored(clean + 20 / 255 * blurred), "smooth.png")
    save(stored(noisy + 0.04 * random.normal(0, 1, (h, 1, 1))), "banded.png")
    salt = stored(clean + 5 / 255 * grain)
    hit = random.random(salt.shape) < 0.02
    save(np.where(hit, 255 * random.integers(0, 2, salt.shape), salt).astype(np.uint8), "salt.png")
    save(stored(random.poisson(clean * 60) / 60), "poisson.png")

    tifffile.imwrite(folder / "rgb8.tif", stored(noisy), photometric="rgb", compression="zlib")
    tifffile.imwrite(folder / "rgb16.tif", stored(noisy, np.uint16), photometric="rgb")
    tifffile.imwrite(folder / "float.tif", noisy.astype(np.float32), photometric="rgb")
    light = clean.mean(-1)
    counts = lambda scale: (100 + 3 * random.poisson(light * scale)).astype(np.uint16)  # noqa: E731
    spotted = counts(80)
    spotted[10, 10] = spotted[40, 70] = 60000  # hot pixels
    tifffile.imwrite(folder / "gray16.tif", spotted)
    tifffile.imwrite(folder / "counts-float.tif", counts(40).astype(np.float32) / 3)
    stack = np.stack([[counts(30 * (c + 1)) for c in range(2)] for _ in range(3)])
    tifffile.imwrite(folder / "stack.tif", stack, imagej=True, metadata={"axes": "ZCYX"})
    tifffile.imwrite(folder / "ome.tif", stack, ome=True, metadata={"axes": "ZCYX"})
    ome = (folder / "ome.tif").read_bytes()  # whose id is drawn anew each time
    (folder / "ome.tif").write_bytes(re.sub(rb"(?<=uuid:)[0-9a-f-]{36}", b"0" * 36, ome))
    render(folder / "render.exr", random, 0)
    for frame in (1, 2):
        render(folder / f"shot.{frame:04d}.exr", random, frame)


def render(path: Path, random: np.random.Generator, shift: int) -> None:
    """An EXR with two lights that add up, albedo, normal, depth, ids and motion."""
    albedo = np.roll(scene(48, 64), -shift, 1)
    sets: dict[str, np.ndarray] = {}
    for name, share in (("RGBA_key.", 0.7), ("RGBA_fill.", 0.3)):
        light = share * albedo * 1.7 * random.gamma(3, 1 / 3, (48, 64, 1))
        sets |= {name + c: light[..., i].astype(np.float16) for i, c in enumerate("RGB")}
    for c in "RGB":
        sets[c] = sets[f"RGBA_key.{c}"] + sets[f"RGBA_fill.{c}"]
    sets["A"] = np.ones((48, 64), np.float16)
    sets |= {f"albedo.{c}": albedo[..., i].astype(np.float16) for i, c in enumerate("RGB")}
    sets |= {f"N.{c}": np.full((48, 64), c == "Z", np.float16) for c in "XYZ"}
    sets["Z"] = (3 + np.mgrid[0:48, 0:64][1] / 7).astype(np.float32)
    sets["id"] = random.integers(0, 2**32, (48, 64), dtype=np.uint32)
    sets |= {f"motionvector.{c}": np.full((48, 64), -(c == "X"), np.float16) for c in "XY"}
    head = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with OpenEXR.File(head, sets) as file:
        file.write(str(path))


def digests(name: str, folder: Path, inputs: dict[str, bytes]) -> dict[str, str]:
    """Runs one command in a folder of its own; hashes of all it wrote, and of what it said."""
    here = folder / name
    here.mkdir()
    for file, data in inputs.items():
        (here / file).write_bytes(data)
    os.chdir(here)
    result = CliRunner().invoke(app, [*COMMANDS[name].split(), *runtime(name)], prog_name="mdn")
    made = {
        str(path.relative_to(here)): hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        for path in sorted(here.rglob("*"))
        if path.is_file() and path.name not in inputs and not path.name.startswith("mdn-manifest")
    }
    said = facts(result.stdout) if "json" in COMMANDS[name] else ""
    return made | {"exit": str(result.exit_code), "said": said}


def runtime(name: str) -> list[str]:
    if COMMANDS[name].startswith("noise"):
        return []
    return ["--device", "cpu", "--precision", "fp32"]


def facts(text: str) -> str:
    """A JSON document without what differs from run to run."""
    return json.dumps(_timeless(json.loads(text)), sort_keys=True)


def _timeless(document: object) -> object:
    if isinstance(document, list):
        return [_timeless(each) for each in document]
    if not isinstance(document, dict):
        return document
    timed = ("seconds", "version")
    return {key: _timeless(each) for key, each in document.items() if key not in timed}


def main() -> None:
    """Records, or checks and tells what differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--record", type=Path)
    parser.add_argument("--check", type=Path)
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    record, check = (path and path.resolve() for path in (asked.record, asked.check))
    before = json.loads(check.read_text()) if check else {}
    found, failed = {}, 0
    with tempfile.TemporaryDirectory() as place:
        source = Path(place) / "inputs"
        source.mkdir()
        make(source)
        inputs = {path.name: path.read_bytes() for path in sorted(source.iterdir())}
        found["inputs"] = {n: hashlib.sha256(d).hexdigest()[:16] for n, d in inputs.items()}
        os.environ |= {"MDN_HOME": str(Path(place) / "home"), "COLUMNS": "200", "NO_COLOR": "1"}
        for name in COMMANDS:
            if asked.only not in name:
                continue
            found[name] = digests(name, Path(place), inputs)
            same = not check or found[name] == before.get(name)
            failed += not same
            print(f"{'same' if same else 'DIFFERS'}  {name}: mdn {COMMANDS[name]}", flush=True)
            if not same:
                print(f"    was {before.get(name)}\n    is  {found[name]}")
            elif record:
                print(f"    {found[name]}")
        os.chdir(Path(place).parent)
    if record:
        record.write_text(json.dumps(found, indent=1))
    print(f"{len(found) - 1} commands, {failed} differ")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
