"""A package of the BioImage Model Zoo, as its own library reads it."""

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mdn import nets
from mdn.commands import bioimageio
from mdn.errors import FileError, UsageError
from mdn.registry import export, store
from mdn.registry.cards import Card

CARD = replace(store.find("cells"), name="mine.1", context=24)


def small_net() -> nets.UNet:
    torch.manual_seed(0)
    shape = {"widths": [4, 8], "blocks": [1, 1], "channels": 1, "noise_conditioned": True}
    net = nets.build("unet", shape)
    torch.nn.init.normal_(net.tail.weight, std=0.02)
    return net.eval()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for needed in ("onnx", "onnxscript", "onnxruntime", "bioimageio.spec"):
        pytest.importorskip(needed)
    target = tmp_path_factory.mktemp("zoo") / "mine.zip"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bioimageio, "load", lambda card, device: small_net())
        facts = bioimageio.export(CARD, target)
    assert facts["difference"] < 1e-4
    assert facts["bytes"] == target.stat().st_size
    return target


def test_the_package_is_valid_and_says_what_the_card_says(package: Path) -> None:
    from bioimageio.spec import load_description
    from bioimageio.spec.model.v0_5 import ModelDescr

    model = load_description(package, format_version="latest", perform_io_checks=True)
    assert isinstance(model, ModelDescr), model.validation_summary.format()
    assert len(model.cite) == 3
    (source,), (result,) = model.inputs, model.outputs
    assert (source.id, result.id) == (export.IMAGE, export.OUTPUT)
    assert [axis.halo for axis in result.axes[2:]] == [CARD.context] * 2
    with zipfile.ZipFile(package) as archive:
        assert CARD.licence in archive.read("LICENSE.md").decode()
        text = archive.read("README.md").decode()
    assert all(words in text for words in (CARD.training_data, CARD.sha256, *CARD.noise_seen))


def test_the_graph_gives_the_test_arrays_that_lie_beside_it(package: Path, tmp_path: Path) -> None:
    import onnxruntime

    with zipfile.ZipFile(package) as archive:
        archive.extractall(tmp_path)
    image, denoised = (np.load(tmp_path / f"test_{name}.npy") for name in ("image", "denoised"))
    session = onnxruntime.InferenceSession(tmp_path / "mine.1.onnx")
    (result,) = session.run(None, {"image": image})
    np.testing.assert_allclose(result, denoised, atol=1e-2)
    assert np.abs(denoised - image).max() > 1
    larger = np.pad(image, ((0, 0), (0, 0), (0, 37), (0, 5)), mode="reflect")
    assert session.run(None, {"image": larger})[0].shape == larger.shape


def test_the_zoo_reproduces_it(package: Path) -> None:
    core = pytest.importorskip("bioimageio.core")
    summary = core.test_description(package)
    assert summary.status == "passed", summary.format()


@pytest.mark.parametrize("card", [store.find("photo-fast"), store.find("unittest")])
def test_only_models_of_counts_go_there(card: Card, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(export, "find_spec", lambda name: 1)
    with pytest.raises(UsageError, match="such as cells"):
        bioimageio.export(card, tmp_path / "a.zip")
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_is_said_with_its_extra(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(export, "find_spec", lambda name: None if name == "bioimageio" else 1)
    with pytest.raises(UsageError, match=r"bioimageio.spec: pip install 'mdn\[bioimageio\]'"):
        bioimageio.export(CARD, tmp_path / "a.zip")
    (tmp_path / "b.zip").write_text("mine")
    monkeypatch.setattr(export, "find_spec", lambda name: 1)
    with pytest.raises(FileError, match="exists"):
        bioimageio.export(CARD, tmp_path / "b.zip")
