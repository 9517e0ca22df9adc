"""What is chosen on machines that are not at hand: Apple, ARM, GPUs. Their flags are set."""

import platform
from pathlib import Path

import pytest
import torch

from mdn.engine import device as devices
from mdn.engine.device import choose_device, choose_precision
from mdn.errors import UsageError

ARM = "processor : 0\nCPU implementer : 0x41\nCPU part : {part}\n"
ALL = ("fp32", "bf16", "fp16")


@pytest.fixture
def flags(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Sets what the machine says of itself; a convolution takes 1 s in fp32, `measured` in bf16."""

    def set_flags(
        *, cuda: int = 0, capability: int = 0, mps: bool = False, amx: bool = False, measured=2.0
    ) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (capability, 0))
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
        times = {torch.float32: 1.0, torch.bfloat16: measured}
        monkeypatch.setattr(devices, "_time_of", times.__getitem__)
        monkeypatch.setattr(devices, "CACHE", tmp_path / f"{len(list(tmp_path.iterdir()))}.json")

    return set_flags


def test_an_apple_computer_takes_its_gpu_in_half_precision(flags) -> None:
    flags(mps=True)
    device = choose_device("auto")
    assert (device.type, choose_device("mps")) == ("mps", device)
    assert choose_precision("auto", device, ALL) is torch.float16
    assert choose_precision("auto", device, ("fp32", "bf16")) is None
    with pytest.raises(UsageError, match="NVIDIA"):
        choose_device("cuda")


@pytest.mark.parametrize(("measured", "chosen"), [(0.4, torch.bfloat16), (2.5, None)])
def test_an_arm_server_takes_bf16_where_it_is_fast(
    flags, monkeypatch: pytest.MonkeyPatch, measured: float, chosen: torch.dtype | None
) -> None:
    flags(measured=measured)
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(platform, "processor", lambda: "")
    assert choose_device("auto").type == "cpu"
    assert choose_precision("auto", torch.device("cpu"), ALL) is chosen


def test_matrix_units_need_no_measurement(flags, monkeypatch: pytest.MonkeyPatch) -> None:
    flags(amx=True)
    monkeypatch.setattr(devices, "bf16_is_fast", lambda: pytest.fail("measured"))
    assert choose_precision("auto", torch.device("cpu"), ALL) is torch.bfloat16


@pytest.mark.parametrize(("capability", "chosen"), [(9, torch.bfloat16), (7, None)])
def test_a_gpu_goes_before_all_and_takes_bf16_where_it_has_it(
    flags, capability: int, chosen: torch.dtype | None
) -> None:
    flags(cuda=2, capability=capability, mps=True)
    device = choose_device("auto")
    assert device.type == "cuda"
    assert choose_precision("auto", device, ALL) is chosen
    assert choose_device("cuda:1").index == 1
    with pytest.raises(UsageError, match="cuda:0 to cuda:1"):
        choose_device("cuda:2")
