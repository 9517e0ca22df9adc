"""Models as ONNX files: any size, the same as PyTorch, the noise as an input or judged inside."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mdn import nets
from mdn.errors import FileError, UsageError
from mdn.registry import export, store

SHAPE: dict[str, Any] = {"widths": [4, 8], "blocks": [1, 1], "per_channel_mask": True}


def some_net(**more: bool) -> nets.UNet:
    torch.manual_seed(0)
    net = nets.build("unet", SHAPE | more)
    for weight in net.tail.parameters():  # else it changes nothing
        torch.nn.init.normal_(weight, std=0.2)
    return net.eval()


@pytest.mark.parametrize(
    "kinds", [{"noise_conditioned": True}, {"judge": True}, {"judge": True, "kernels": 2}], ids=str
)
def test_the_file_gives_what_the_net_gives(
    kinds: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    net, card = some_net(**kinds), store.find("unittest")
    takes_sigma = "noise_conditioned" in kinds
    monkeypatch.setattr(export, "load", lambda card, device: net)
    target = tmp_path / "a.onnx"
    facts = export.export(card, target)
    assert facts["difference"] <= 1e-4
    assert list(facts["inputs"]) == (["image", "sigma"] if takes_sigma else ["image"])
    about = {each.key: each.value for each in onnx.load(target).metadata_props}
    assert (about["model"], about["sha256"]) == (card.name, card.sha256)
    session = runtime.InferenceSession(target)
    x, sigma = torch.rand(1, 3, 71, 53), torch.full((1, 1, 71, 53), 0.1)
    given = {"image": x.numpy()} | ({"sigma": sigma.numpy()} if takes_sigma else {})
    found = session.run(None, given)
    with torch.inference_mode():
        expected = export.AnySize(net)(x, sigma if takes_sigma else None)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other.numpy(), atol=1e-4)
    assert np.abs(found[0] - x.numpy()).max() > 1e-2
    if "judge" in kinds:
        assert list(facts["outputs"]) == ["denoised", "sigma", "left_at_half_size"]
        assert found[1].shape == x.shape
    with pytest.raises(FileError, match="exists"):
        export.export(card, target)


def test_what_cannot_be_exported_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"mpi-real .* photo"):
        export.export(store.find("mpi-real"), tmp_path / "a.onnx")
    monkeypatch.setattr(export, "find_spec", lambda name: None if name == "onnx" else 1)
    with pytest.raises(UsageError, match=r"needs onnx: pip install 'mdn\[onnx\]'"):
        export.export(store.find("unittest"), tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_found_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(export, "find_spec", lambda name: 1)
    monkeypatch.setattr(export, "load", lambda card, device: pytest.fail("it was loaded"))
    with pytest.raises(FileError, match="not there"):
        export.export(store.find("unittest"), tmp_path / "nowhere" / "a.onnx")


def test_a_wrong_answer_is_not_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(export, "find_spec", lambda name: 1)
    monkeypatch.setattr(export, "_exported", lambda *given: b"graph")
    monkeypatch.setattr(export, "_difference", lambda *given: float("nan"))
    with pytest.raises(Exception, match="off what PyTorch gives"):
        export.export(store.find("unittest"), tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []
