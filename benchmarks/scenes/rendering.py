"""Renders with ground truth, by Mitsuba 3: to measure, and to train on.

Mitsuba is an extra, and nothing of mdn needs it. A scene is a function of its seed; see `build`.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.scenes.build import build
from mdn.bench.renders import Render
from mdn.errors import FileError, UsageError

GRAY = 0.18  # what a scene is exposed to, as photographers do
PASS = 256  # samples per pixel at once: memory, and a sign of life between two


@dataclass(frozen=True)
class Settings:
    """Scenes to render."""

    out: Path  # the folder; SCENE_SPP.exr and SCENE_reference.exr go there
    count: int = 3
    first: int = 0  # seed of the first; the next count up
    width: int = 128
    height: int = 128
    spp: tuple[int, ...] = (16, 64, 128)  # samples per pixel of the noisy renders
    reference: int = 1024  # samples per pixel of the reference
    # of Mitsuba. scalar_rgb runs everywhere; llvm_ad_rgb is faster where LLVM is.
    variant: str = "scalar_rgb"
    hard: bool = False  # see `build`
    furnished: bool = False


Tell = Callable[[str], None]


def missing() -> str:
    """Why nothing can be rendered here, in one line, or nothing."""
    if find_spec("mitsuba") is None:
        return "not installed: needs mitsuba; pip install 'mdn[renders]'"
    return ""


def run(settings: Settings, tell: Tell) -> list[Path]:
    """Renders what is not in the folder yet; the files of all scenes.

    Raises:
        UsageError: Mitsuba or its variant is not here, or a number makes no sense.
        FileError: a file cannot be written.
    """
    _check(settings)
    try:
        settings.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(settings.out, f"cannot be made: {error.strerror}") from error
    paths = []
    for seed in range(settings.first, settings.first + settings.count):
        files = _files(settings, seed)
        paths += list(files.values())
        if not all(path.exists() for path in files.values()):
            tell(f"rendering scene {seed - settings.first + 1} of {settings.count}")
            _render_scene(settings, seed, files)
    return paths


def _check(settings: Settings) -> None:
    if settings.count < 1 or min(settings.width, settings.height) < 16:
        raise UsageError("render at least one scene of at least 16 x 16 pixels")
    if not settings.spp or not 0 < min(settings.spp) <= max(settings.spp) < settings.reference:
        raise UsageError("the reference needs more samples per pixel than the noisy renders")


def _files(settings: Settings, seed: int) -> dict[int, Path]:
    """Samples per pixel -> file; the reference last."""
    names = {spp: f"scene{seed:07d}_{spp}.exr" for spp in sorted(set(settings.spp))}
    names[settings.reference] = f"scene{seed:07d}_reference.exr"
    return {spp: settings.out / name for spp, name in names.items()}


def _render_scene(settings: Settings, seed: int, files: dict[int, Path]) -> None:
    """All files of a scene. Its exposure comes from the reference, which is rendered first."""
    mi = _mitsuba(settings.variant)
    with tempfile.TemporaryDirectory(prefix="mdn-") as folder:
        size = (settings.width, settings.height)
        parts, places = build(
            mi, seed, size, Path(folder), hard=settings.hard, furnished=settings.furnished
        )
        scene = mi.load_dict(parts)
        sensors = [mi.load_dict(_placed(parts, place)) for place in places] or scene.sensors()
    scale = 1.0
    for spp, path in sorted(files.items(), reverse=True):
        layers = _samples(mi, scene, sensors, spp, seed)
        if spp == settings.reference:
            scale = _exposure(layers[..., :3])
        albedo = layers[..., 3:6].clip(0, 1)  # rough metal's estimate can pass 1
        render = Render(layers[..., :3] * np.float32(scale), albedo, layers[..., 6:9])
        about = {"samplesPerPixel": spp, "renderer": f"mitsuba {version('mitsuba')}", "seed": seed}
        write(path, render, about)


Layers = dict[str, tuple[str, np.ndarray | None]]
"""By what their names begin with: the letters of their channels, and (H, W, C)."""


def write(path: Path, render: Render, about: dict[str, Any], more: Layers | None = None) -> None:
    """A render and more layers as EXR, half floats, ZIP; whole or not at all. Raises FileError."""
    import OpenEXR

    layers: Layers = {"": ("RGB", render.beauty), "albedo.": ("RGB", render.albedo)}
    layers |= {"normal.": ("XYZ", render.normal)} | (more or {})
    channels = {
        f"{prefix}{letter}": np.ascontiguousarray(values[..., at].clip(-65504, 65504), np.float16)
        for prefix, (letters, values) in layers.items()
        if values is not None
        for at, letter in enumerate(letters)
    }
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage} | about
    temporary = path.with_name(f".{path.name}.part")
    try:
        OpenEXR.File(header, channels).write(str(temporary))
        temporary.replace(path)
    except Exception as error:
        temporary.unlink(missing_ok=True)
        raise FileError(
            path, f"cannot be written ({' '.join(str(error).split())[:100]})"
        ) from error


def _placed(parts: dict[str, Any], place: Any) -> dict[str, Any]:
    """The camera of a scene at another place."""
    sensor = {key: value for key, value in parts["sensor"].items() if key != "medium"}
    if "fog" in parts:
        sensor["medium"] = parts["fog"]
    return sensor | {"to_world": place}


def _samples(mi: Any, scene: Any, sensors: list[Any], spp: int, seed: int) -> np.ndarray:
    """(H, W, 9) float32: beauty, albedo, normal; every number of samples draws its own.

    Of a moving camera each pixel takes moments of its own, as a renderer's shutter does.
    """
    if len(sensors) == 1:
        return _rendered(mi, scene, sensors[0], spp, (seed, spp))
    each = -(-spp // len(sensors))
    images = np.stack(
        [_rendered(mi, scene, at, each, (seed, spp, n)) for n, at in enumerate(sensors)]
    )
    if spp < len(sensors):
        order = np.random.default_rng([seed, spp]).random(images.shape[:3]).argsort(0)[:spp]
        images = np.take_along_axis(images, order[..., None], 0)
    return images.mean(0)


def _rendered(mi: Any, scene: Any, sensor: Any, spp: int, key: tuple[int, ...]) -> np.ndarray:
    total: Any = 0.0
    done = 0
    while done < spp:
        part = min(PASS, spp - done)
        number = int(np.random.SeedSequence([*key, done]).generate_state(1)[0] % 2**31)
        image = np.array(mi.render(scene, sensor=sensor, spp=part, seed=number), np.float32)
        total, done = total + part * np.nan_to_num(image, posinf=0, neginf=0), done + part
    return (total / spp).astype(np.float32)


def _exposure(beauty: np.ndarray) -> float:
    """What brings the scene's usual brightness to middle gray; lamps themselves do not count."""
    luma = beauty @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    return GRAY / max(float(np.exp(np.mean(np.log(luma.clip(1e-3, 10))))), 1e-3)


def _mitsuba(variant: str) -> Any:
    """The module with its variant set. Raises UsageError where either is not there."""
    if absent := missing():
        raise UsageError(f"Mitsuba is {absent}")
    import mitsuba as mi

    if variant not in mi.variants():
        raise UsageError(f"Mitsuba has no variant {variant!r}; it has {', '.join(mi.variants())}")
    try:
        mi.set_variant(variant)
    except ImportError as error:  # LLVM is looked for now, and may be absent or too old
        reason = " ".join(str(error).split())
        raise UsageError(f"Mitsuba's {variant} does not work here: {reason}") from error
    mi.set_log_level(mi.LogLevel.Error)
    return mi
