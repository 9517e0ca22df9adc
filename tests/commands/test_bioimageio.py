"""A package of the BioImage Model Zoo holds all that is needed to denoise a plane of counts."""

import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

import mdn
from mdn.commands import bioimageio
from mdn.errors import FileError, UsageError
from mdn.registry import store

for needed in bioimageio.NEEDED:
    pytest.importorskip(needed)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("zoo") / "cells.zip"
    facts = bioimageio.export(store.find("cells"), target)
    assert facts["bytes"] == target.stat().st_size
    return target


def plane(height: int, width: int, gain: float) -> tuple[np.ndarray, np.ndarray]:
    """Cells as they are, and as counted: (H, W), pedestal 100."""
    y, x = np.mgrid[:height, :width]
    light = 8 + 60 * np.exp(-(((x % 90 - 45) / 18) ** 2) - ((y % 70 - 35) / 14) ** 2)
    random = np.random.default_rng(1)
    raw = 100 + gain * random.poisson(light) + random.normal(0, 4, light.shape)
    return 100 + gain * light, raw.round()


@pytest.mark.slow
@pytest.mark.parametrize(("height", "width", "gain"), [(128, 200, 3.0), (256, 160, 20.0)])
def test_its_graph_does_what_mdn_does(package: Path, height: int, width: int, gain: float) -> None:
    import onnxruntime

    light, raw = plane(height, width, gain)
    with zipfile.ZipFile(package) as archive:
        session = onnxruntime.InferenceSession(archive.read("weights.onnx"))
    (clean,) = session.run(None, {"raw": raw[None, None].astype(np.float32)})
    error = lambda result: float(np.sqrt(np.mean((result - light) ** 2)))  # noqa: E731
    ours = error(mdn.denoise(raw.astype(np.uint16), "cells", device="cpu").astype(float))
    assert error(clean[0, 0]) < 0.3 * error(raw)
    assert error(clean[0, 0]) < 1.15 * ours


@pytest.mark.slow
def test_what_it_says_of_itself_is_true(package: Path) -> None:
    with zipfile.ZipFile(package) as archive:
        about = json.loads(archive.read("bioimageio.yaml"))
        tensors = [*about["inputs"], *about["outputs"]]
        sources = [*(tensor["test_tensor"] for tensor in tensors), about["weights"]["onnx"]]
        for each in sources:
            data = archive.read(each["source"])
            assert hashlib.sha256(data).hexdigest() == each["sha256"]
        shapes = [np.load(io.BytesIO(archive.read(f"{t['id']}.npy"))).shape for t in tensors]
        assert archive.read(about["documentation"]).startswith(b"# ")
    least, step = (about["inputs"][0]["axes"][2]["size"][key] for key in ("min", "step"))
    assert shapes[0] == shapes[1]
    assert all((side - least) % step == 0 and side >= least for side in shapes[0][2:])


def test_what_cannot_be_a_package(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cells is"):
        bioimageio.export(store.find("photo"), tmp_path / "a.zip")
    (tmp_path / "a.zip").touch()
    with pytest.raises(FileError, match="exists already"):
        bioimageio.export(store.find("cells"), tmp_path / "a.zip")
