"""What nets take on this machine, beside what it could do."""

import json

import pytest
import torch
from torch import nn

from benchmarks import model_speed as speed

CPU = torch.device("cpu")


def test_a_table_of_models(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(speed, "MATRIX", 64)
    monkeypatch.setattr(speed, "COPIED", 2**10)
    words = ["-m", "unittest", "--side", "64", "--count", "2", "--precision", "fp32"]
    speed.main([*words, "--json"])
    result = json.loads(capsys.readouterr().out)
    assert result["machine"]["precision"] == "fp32"
    (model,) = result["models"]
    assert model["model"] == "unittest"
    assert min(model["flop"] - 100, model["net"], model["rest"]) > 0
    speed.main(words)
    lines = capsys.readouterr().out.splitlines()[2:]
    assert [line.split(" | ")[0] for line in lines] == ["| model", "| ---", "| unittest"]
    with pytest.raises(SystemExit, match="6"):
        speed.main(["-m", "nowhere"])


def test_operations_and_bytes_are_those_of_the_convolution() -> None:
    net = nn.Conv2d(3, 8, 3, padding=1, bias=False)
    flop, touched = speed.work(net, (torch.zeros(2, 3, 16, 24),), {}, size=2)
    assert flop == 2 * 3 * 8 * 9
    weights = 3 * 8 * 9 / (2 * 16 * 24)
    assert touched == pytest.approx(2 * (3 + 8 + weights))
    assert next(net.parameters()).device == CPU


@pytest.mark.parametrize("name", ["unittest", "photo-fast", "generalist-s15", "swinir-masked-s15"])
def test_every_kind_of_net_can_be_counted(name: str) -> None:
    """Calls as the pipeline makes them; counting needs no arithmetic."""
    from mdn.pipeline.in_memory import restore_page
    from mdn.pipeline.models import Models

    model = Models(name, device="cpu").load()
    page = torch.randint(0, 255, (48, 48, 3), dtype=torch.uint8).numpy()
    clock = speed.NetClock(CPU)
    with clock.running():
        restore_page(page, model, speed.Options(precision="fp32", tile=64))
    assert clock.pixels >= 48 * 48
    assert clock.seconds > 0
    flop, touched = speed.work(*clock.call, 4)
    parameters = sum(each.numel() for each in clock.call[0].parameters())
    assert flop > parameters / 100
    assert touched > 2 * 3 * 4
