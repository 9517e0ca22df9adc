"""`benchmarks.teachers`: what it adds to rendered scenes is read by a training."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import teachers
from benchmarks.scenes import rendering
from mdn.bench.renders import Render, read
from mdn.training.renders import load_scenes

SIDE = 48


def test_guides_without_noise_and_a_teachers_light(tmp_path: Path) -> None:
    pytest.importorskip("pyoidn")
    random = np.random.default_rng(0)
    flat = np.full((SIDE, SIDE, 3), 0.4, np.float32)
    files, out = tmp_path / "files", tmp_path / "data" / "train"
    files.mkdir()
    for name, spp in (("4", 4), ("reference", 64)):
        light = (flat * random.gamma(spp, 1 / spp, flat.shape)).astype(np.float32)
        albedo = (flat + random.normal(0, 0.1, flat.shape)).astype(np.float32)
        if spp == 4:
            light[20, 20] = 1000
        render = Render(light, albedo, np.zeros_like(flat) + np.float32([0, 0, 1]))
        rendering.write(files / f"s_{name}.exr", render, {"samplesPerPixel": spp})
    teachers.main(files, out)
    (scene,) = load_scenes(("train",), tmp_path / "data").values()
    assert scene.spp == (4, 64)
    light, guides = scene.planes[:, :3], scene.planes[:, 3:6]
    assert float(light.max()) < 10  # the firefly is taken out, as in use
    assert float(scene.teacher.std()) < 0.3 * float(light[-1].std())
    assert float(scene.teacher.mean() / light[-1].mean()) == pytest.approx(1, abs=0.02)
    assert float(scene.prefiltered[:, :3].std()) < 0.3 * float(guides.std())
    before = read(out / "s_4.exr", "s").beauty
    teachers.main(files, out)  # what is there already stays
    np.testing.assert_array_equal(read(out / "s_4.exr", "s").beauty, before)
