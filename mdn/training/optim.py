"""Optimisers and schedules by name."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from mdn.training.recipe import OptimRecipe

# First and last layers, and tables that are looked up, stay with Adam, as Muon's authors advise; so
# does what judges the noise, whose small layers are all first or last.
FOR_ADAM = (
    "head.", "tail.", "embed.", "last.", "judge.", "local.", "gains.", "texture.", "conditions.",
)  # fmt: skip
CONDITIONED = ".gain.", ".shift."  # of convolutions that follow a descriptor
SLOW = 0.1  # of the rate of Adam: parts that have learnt, and should follow the others only
TABLES = ("bias_table", "mask_token")


class FlatMuon(torch.optim.Optimizer):
    """torch's Muon for matrices and convolutions: a kernel is one matrix, a row an output.

    Muon (Jordan et al. 2024) orthogonalises the momentum of a matrix, which for short runs of these
    nets is worth about half the steps of Adam; torch's own takes nothing but two-dimensional
    parameters, so it is given views that share the kernels' memory.
    """

    def __init__(self, kernels: list[nn.Parameter], lr: float, weight_decay: float) -> None:
        super().__init__(kernels, {"lr": lr})
        # Channels-last kernels are dense in this order of axes, so that the view costs no copy.
        self.flat = [nn.Parameter(_matrix(p.data)) for p in kernels]
        for kernel, flat in zip(kernels, self.flat, strict=True):
            if flat.data_ptr() != kernel.data_ptr():
                raise ValueError("Muon needs kernels in channels-last memory")
        self.inner = torch.optim.Muon(self.flat, lr=lr, weight_decay=weight_decay)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        kernels = self.param_groups[0]["params"]
        for kernel, flat in zip(kernels, self.flat, strict=True):
            flat.grad = None if kernel.grad is None else _matrix(kernel.grad)
        self.inner.param_groups[0]["lr"] = self.param_groups[0]["lr"]
        self.inner.step()

    def state_dict(self) -> dict:
        return self.inner.state_dict()

    def load_state_dict(self, state_dict: dict) -> None:
        self.inner.load_state_dict(state_dict)


def _matrix(kernel: Tensor) -> Tensor:
    if kernel.ndim == 2:
        return kernel
    return kernel.permute(0, 2, 3, 1).reshape(kernel.shape[0], -1)


def make_optimisers(net: nn.Module, recipe: OptimRecipe) -> list[torch.optim.Optimizer]:
    """The optimisers of a recipe; together they own every parameter of the net once."""
    parameters = [(n, p) for n, p in net.named_parameters() if p.requires_grad]
    if recipe.name == "muon":
        inner = [p for n, p in parameters if _is_inner(n, p)]
        ids = {id(p) for p in inner}
        outer = [(n, p) for n, p in parameters if id(p) not in ids]
        slow = [p for n, p in outer if n.startswith(recipe.slow)]
        usual = [p for n, p in outer if not n.startswith(recipe.slow)]
        groups: list[dict[str, Any]] = [{"params": usual}]
        if slow:
            groups.append({"params": slow, "lr": recipe.adam_lr * SLOW})
        muon = FlatMuon(inner, recipe.lr, recipe.weight_decay)
        return [muon, torch.optim.Adam(groups, lr=recipe.adam_lr, betas=recipe.betas)]
    kind = torch.optim.AdamW if recipe.name == "adamw" else torch.optim.Adam
    weights = [p for _, p in parameters]
    return [kind(weights, lr=recipe.lr, betas=recipe.betas, weight_decay=recipe.weight_decay)]


def _is_inner(name: str, parameter: nn.Parameter) -> bool:
    outer = name.startswith(FOR_ADAM) or name.endswith(TABLES)
    outer = outer or any(part in name for part in CONDITIONED)
    return parameter.ndim in (2, 4) and not outer


def restore(optimiser: torch.optim.Optimizer, saved: dict) -> None:
    """Take up the moments of a checkpoint; rates, betas and decay stay those of the recipe.

    Raises ValueError, KeyError: it is the state of another optimiser.
    """
    inner = getattr(optimiser, "inner", optimiser)
    settings_now = [{k: v for k, v in g.items() if k != "params"} for g in inner.param_groups]
    inner.load_state_dict(saved)
    for group, settings in zip(inner.param_groups, settings_now, strict=True):
        if group.keys() != settings.keys() | {"params"}:
            raise ValueError("the state of another optimiser")
        group.update(settings)


def lr_scale(recipe: OptimRecipe, step: int) -> float:
    """Share of the peak learning rate at a step, 0 < it <= 1."""
    rising = min(1.0, (step + 1) / max(1, recipe.warmup))
    if recipe.schedule == "cosine":
        share = max(0, step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
        return rising * max(1e-3, 0.5 * (1 + math.cos(math.pi * min(1.0, share))))
    if recipe.schedule == "halving":
        return rising * 0.5 ** sum(step >= at for at in recipe.halvings)
    left = (recipe.steps - step) / max(1, recipe.cooldown)
    return rising * min(1.0, max(1e-3, left))


class Average:
    """Exponential moving average of a net's parameters; its early steps weigh by their number."""

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values = {k: v.detach().clone() for k, v in net.state_dict().items()}

    @torch.no_grad()
    def update(self, net: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step)) if self.decay else 0.0
        for key, value in net.state_dict().items():
            if value.is_floating_point():
                self.values[key].lerp_(value, 1 - decay)
            else:
                self.values[key].copy_(value)
