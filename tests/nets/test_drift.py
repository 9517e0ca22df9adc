"""The net for drifting lines: strips of columns, and a Gaussian chain."""

from __future__ import annotations

import torch
from torch import Tensor

from mdn.nets.drift import STRIP, DriftNet, profile, solve

ROWS = 40


def picture(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.5 + 0.1 * torch.randn(2, 3, ROWS, 8 * STRIP, generator=generator)


def test_the_chain_is_the_gaussian_of_its_energy() -> None:
    generator = torch.Generator().manual_seed(0)
    steps, *weights = torch.randn(4, 1, ROWS - 1, generator=generator).double()
    sure, calm, level = (each.exp() for each in weights)
    found = solve(steps, sure, calm, level)
    jump = torch.eye(ROWS).double().diff(dim=0)
    inverse = jump.T @ torch.diag((sure + calm)[0]) @ jump
    inverse += torch.diag(torch.cat([level[0], level[0, -1:]]))
    mean = torch.linalg.solve(inverse, jump.T @ (sure * steps)[0])
    torch.testing.assert_close(found.mean[0], mean)
    torch.testing.assert_close(found.log_variance[0].exp(), inverse.inverse().diagonal())
    torch.testing.assert_close(found.pivots.log().sum(), torch.logdet(inverse))
    torch.testing.assert_close(found.diagonal[0], inverse.diagonal())
    torch.testing.assert_close(found.side[0], inverse.diagonal(1))


def test_strips_of_one_side_that_change_places_say_the_same() -> None:
    net = DriftNet().eval()
    torch.nn.init.normal_(net.last.weight, std=0.1)
    x = picture()
    mixed = x.unflatten(3, (8, STRIP))[:, :, :, [2, 1, 0, 3, 6, 5, 4, 7]].flatten(3)
    assert not torch.equal(mixed, x)
    torch.testing.assert_close(net(mixed).mean, net(x).mean, atol=1e-5, rtol=1e-4)


def test_an_untrained_net_follows_the_steps_that_strips_share() -> None:
    offsets = 0.03 * torch.randn(1, 1, ROWS, 1, generator=torch.Generator().manual_seed(2))
    flat = torch.full((1, 1, ROWS, 8 * STRIP), 0.5) + offsets
    found = DriftNet()(flat).mean[0].float()
    assert torch.corrcoef(torch.stack([found, offsets.flatten()]))[0, 1] > 0.9


def test_samples_that_were_cut_off_say_nothing() -> None:
    x = picture()
    x[:, :, :, :STRIP] = 0.0
    x[0, :, 3] = 1.0
    steps, features, scale = profile(x)
    assert (steps[:, :, 0] == 0).all()
    assert (steps[0, 2:4] == 0).all()
    assert (features[:, 5, :, 0] == 0).all()
    assert features.isfinite().all()
    assert (scale > 0).all()
