"""Checkpoints of others become models of the user's own; what does not fit is named."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from mdn.cli.models import ARCHITECTURES
from mdn.errors import FileError, MdnError, ModelError, UsageError
from mdn.nets.masking import MaskField, MaskKey
from mdn.nets.unet import UNet, UNetConfig
from mdn.pipeline.restore import in_range
from mdn.registry import store
from mdn.registry.add import CONVERTERS, add, remove
from mdn.registry.cards import Card
from mdn.registry.model import load, pack, write_card
from tests.nets import swin_reference as reference
from tests.nets.test_official import dip_state, tiny
from tests.pipeline.tools import denoised

CPU = torch.device("cpu")
Save = Callable[..., Path]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's models are below here."""
    monkeypatch.setenv("MDN_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


@pytest.fixture
def saved(tmp_path: Path) -> Save:
    """Writes a checkpoint as torch.save does."""

    def write(content: Any, name: str = "official.pth") -> Path:
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return write


def weights(card: Card) -> dict[str, Tensor]:
    return load(card, CPU).state_dict()


def test_the_command_line_knows_what_the_registry_converts() -> None:
    assert tuple(CONVERTERS) == ARCHITECTURES


def test_the_published_net_denoises_as_the_slow_reference(saved: Save) -> None:
    """Released names and shapes in, `mdn denoise --model` out: the picture of the reference."""
    torch.manual_seed(2)
    state = reference.official_state((6, 6, 6, 6))
    raw = {key: torch.zeros_like(value) for key, value in state.items()}  # averages go before
    card = add(saved({"params_ema": state, "params": raw}), "official", "swinir-masked")
    assert (card.parameters, card.origin, card.multiple) == (824_118, "user", 8)
    page = np.random.default_rng(0).random((16, 24, 3), np.float32)
    result = denoised(page, "official", seed=5)
    field = MaskField(MaskKey(seed=5), 1, 16, 24)
    x = torch.from_numpy(page).permute(2, 0, 1)[None]
    expected = reference.denoise(
        state, x, lambda layer: field.keep(layer, (0.75, 0.75)).float(), heads=6, window=8
    )
    scale = float(expected.abs().max())
    expected = in_range(expected, x, torch.zeros_like(x, dtype=torch.bool))
    np.testing.assert_allclose(
        result / scale, expected[0].permute(1, 2, 0).numpy() / scale, atol=1e-4
    )


@pytest.mark.parametrize("nest", [None, "params", "params_ema", "state_dict"])
def test_nested_checkpoints_give_the_same_model(nest: str | None, saved: Save) -> None:
    state = tiny()
    parallel = {f"module.{key}": value for key, value in state.items()}
    card = add(saved({nest: parallel, "iter": 3} if nest else state), "mine")
    assert card.arch == "swinir-masked"
    assert torch.equal(weights(card)["last.weight"], state["conv_last.weight"])
    assert "Added from official.pth" in card.summary
    store.verify(card)


def test_how_it_was_trained_can_be_said(saved: Save) -> None:
    options = {"input_mask": "none", "attention_ratio": [0, 0]}
    net = load(add(saved(tiny()), "plain", options=options), CPU)
    assert not net.masked
    assert net.config.input_mask == "none"
    with pytest.raises(UsageError, match=r"--set ratio: .* it takes input_mask"):
        add(saved(tiny()), "other", options={"ratio": 1})
    with pytest.raises(UsageError, match="--set input_mask: unet has no such setting"):
        add(saved(tiny()), "other", "unet", options={"input_mask": "none"})
    with pytest.raises(ModelError, match="attention_ratio must be two numbers"):
        add(saved(tiny()), "other", options={"attention_ratio": [0.9, 0.1]})


@pytest.mark.parametrize(("inputs", "masks"), [(6, True), (4, False)])
def test_skip_nets_of_mpi(inputs: int, masks: bool, saved: Save) -> None:
    card = add(saved({"state_dict": dip_state(inputs, 8, 3)}), "mpi", "mpi-skip")
    assert load(card, CPU).config.mask_per_channel == masks


@pytest.mark.parametrize(
    "config",
    [
        UNetConfig((4, 8), (1, 2)),
        UNetConfig((4, 8, 12), (2, 1, 1), noise_conditioned=True),
        UNetConfig((4, 8), (1, 1), per_channel_mask=True),
        UNetConfig((4, 8), (1, 1), per_channel_mask=True, noise_conditioned=True),
        UNetConfig((4,), (2,), channels=1, noise_conditioned=True),
    ],
)
def test_unets_are_read_off_their_shapes(config: UNetConfig, saved: Save) -> None:
    card = add(saved(UNet(config).state_dict()), "unet")
    assert load(card, CPU).config == config


def test_safetensors_with_and_without_a_config(tmp_path: Path) -> None:
    save_file(tiny(), tmp_path / "bare.safetensors")
    assert add(tmp_path / "bare.safetensors").name == "bare"
    ours = store.find("unittest").weights_path
    card = add(ours, "copy")
    assert (card.arch, card.parameters) == ("unet", 2992)
    with pytest.raises(UsageError, match="is of architecture unet"):
        add(ours, "other", "swinir-masked")


def test_a_folder_comes_whole_without_its_checkpoint(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "mine"
    shutil.copytree(store.find("unittest").folder, run)
    (run / "training.csv").write_text("step\n")
    (run / "checkpoint.pt").write_bytes(b"large")
    card = add(run, about={"title": "My own"})
    assert (card.name, card.title, card.origin) == ("mine", "My own", "user")
    assert sorted(os.listdir(card.folder)) == ["card.toml", "training.csv", "weights.safetensors"]


FIRST, BLOCK = (f"layers.{n}.residual_group.blocks.{m}" for n, m in ((0, 0), (1, 2)))
TABLE = f"{FIRST}.attn.relative_position_bias_table"
SWIN: list[tuple[dict[str, Tensor | None], str]] = [
    ({"upsample.0.weight": torch.rand(3)}, r"1 unknown \(upsample.0.weight\)"),
    ({f"{BLOCK}.attn.qkv.bias": None}, r"1 missing \(groups.1.blocks.2.attention.qkv.bias\)"),
    ({"conv_first.weight": None}, "no conv_first.weight"),
    ({"conv_last.weight": torch.rand(3, 9, 3, 3)}, "3x9x3x3 instead of 3x12x3x3"),
    ({"conv_first.weight": torch.rand(12, 3, 3, 3)}, "plain SwinIR"),
    ({TABLE: torch.rand(50, 3)}, "no window size"),
    ({TABLE: torch.rand(49, 5)}, "multiple of heads"),
    ({f"{FIRST}.mlp.fc1.weight": None}, "fc1.weight is missing"),
    ({"conv_first.weight": torch.rand(12)}, "conv_first.weight of 12 has wrong axes"),
]


def with_changes(state: dict[str, Tensor], **changes: Tensor | None) -> dict[str, Tensor]:
    return {key: value for key, value in (state | changes).items() if value is not None}


@pytest.mark.parametrize(
    ("content", "arch", "complaint"),
    [
        *((with_changes(tiny(), **changes), "swinir-masked", told) for changes, told in SWIN),
        ({**tiny(), "conv_last.bias": torch.full((3,), torch.nan)}, None, "NaN or infinite"),
        ({**UNet(UNetConfig((4,), (1,))).state_dict(), "extra": torch.rand(2)}, "unet", "extra"),
        (tiny(), "unet", "no head.weight"),
        (tiny(), "mpi-skip", "not a"),
        (dip_state(5, 8, 2), "mpi-skip", "5 input planes for 3 colour channels"),
        (with_changes(dip_state(6, 8, 2), **{"4.bias": None}), "mpi-skip", "45 parameter tensors"),
        (dip_state(6, 8, 2) | {"2.weight": torch.rand(8)}, "mpi-skip", "2.weight of 8 should be"),
        ({"a": torch.rand(2)}, None, "none of the nets that mdn knows; swinir-masked: .*; unet: "),
        ({}, None, "no tensors"),
        ([torch.rand(2)], None, "holds a list"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_left(
    content: Any, arch: str | None, complaint: str, saved: Save, home: Path
) -> None:
    with pytest.raises(ModelError, match=complaint) as caught:
        add(saved(content), "bad", arch)
    assert "\n" not in str(caught.value)
    assert list(home.iterdir()) == []


class Trap:
    """Unpickling it would call a function."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("trapped",)


def test_a_file_with_code_in_it_runs_none(
    saved: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="holds more than weights, which could be code"):
        add(saved({"state_dict": tiny(), "extra": Trap()}), "trap")
    assert not (tmp_path / "trapped").exists()


@pytest.mark.parametrize(
    ("name", "data", "complaint"),
    [
        ("cut.pth", b"PK\x03\x04 and no more", "damaged"),
        ("text.pth", b"hello", "damaged"),
        ("empty.pth", b"", "damaged, or no checkpoint"),
        ("cut.safetensors", b"\x08\0\0\0\0\0\0\0{", "not readable as safetensors"),
        ("photo.png", b"\x89PNG", "holds no weights"),
        ("gone.pth", None, "does not exist"),
    ],
)
def test_files_that_are_no_checkpoints(
    name: str, data: bytes | None, complaint: str, tmp_path: Path
) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(MdnError, match=complaint) as caught:
        add(tmp_path / name, "bad")
    assert isinstance(caught.value, ModelError | FileError)


def test_the_checkpoint_of_a_run_names_its_folder(saved: Save) -> None:
    with pytest.raises(UsageError, match="add its folder"):
        add(saved({"net_config": ["unet", ""], "net": tiny()}, "checkpoint.pt"), "run")


def test_names(saved: Save, home: Path) -> None:
    path = saved(tiny(), "masked.v2.pth")
    assert add(path).name == "masked"
    for taken, whose in (("masked", "of your own"), ("photo", "that came with mdn")):
        with pytest.raises(UsageError, match=f"{taken} is a model {whose}.*--force"):
            add(path, taken)
    with pytest.raises(UsageError, match="is made of letters"):
        add(path, "../evil")
    with pytest.raises(UsageError, match="--arch swinir: unknown; did you mean swinir-masked"):
        add(path, "x", "swinir")
    assert add(path, "photo", force=True).arch == "swinir-masked"
    remove("photo")
    assert store.find("photo").origin == "shipped"
    with pytest.raises(UsageError, match="none of your own"):
        remove("photo")
    assert os.listdir(home) == ["masked"]


def test_force_replaces_and_a_failure_keeps_what_was_there(saved: Save, home: Path) -> None:
    first = add(saved(tiny()), "mine").sha256
    with pytest.raises(ModelError):
        add(saved({"a": torch.rand(2)}), "mine", force=True)
    assert store.find("mine").sha256 == first
    assert add(saved(tiny()), "mine", force=True).sha256 != first
    assert os.listdir(home) == ["mine"]


@pytest.mark.parametrize(
    "config",
    [
        {"judge": True},
        {"noise_conditioned": True},
        {"guides": 6, "noise_conditioned": True},
        {"per_channel_mask": True},
    ],
    ids=str,
)
def test_what_a_run_leaves_becomes_a_model(tmp_path: Path, config: dict[str, Any]) -> None:
    torch.manual_seed(0)
    net = UNet(UNetConfig(widths=(8, 8, 8), blocks=(1, 1, 1), **config))
    run_folder = tmp_path / "run"
    run_folder.mkdir()
    state = {key: value.contiguous() for key, value in net.state_dict().items()}
    (run_folder / "weights.safetensors").write_bytes(pack(net, "unet", state))
    about = {"name": "mine", "training_data": "none"}
    write_card(run_folder, net, "unet", "weights.safetensors", about)
    assert add(run_folder, "mine").name == "mine"
    page = np.random.default_rng(0).random((40, 48, 3), np.float32)
    assert denoised(page, "mine").shape == page.shape
