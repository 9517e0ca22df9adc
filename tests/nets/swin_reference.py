"""A slow SwinIR, written from the papers: NCHW convolutions, rolls, a region mask, plain loops.

It takes the state dict under the released names, and the masks as tensors, and serves to prove the
fast net equal to it.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

RGB_MEAN = torch.tensor([0.4488, 0.4371, 0.4040])
# The attention mask of a layer: (B, H, W), 1 where a token is kept.
Masks = Callable[[int], Tensor | None]


def official_state(
    depths: tuple[int, ...] = (6, 6, 6, 6),
    dim: int = 60,
    heads: int = 6,
    window: int = 8,
    training_size: int = 64,
) -> dict[str, Tensor]:
    """Random weights under the names and in the shapes of the release."""
    state: dict[str, Tensor] = {}

    def put(name: str, *shape: int, gain: float = 1.0) -> None:
        state[name] = torch.randn(shape) * gain

    def linear(name: str, outputs: int, inputs: int, *kernel: int) -> None:
        fan = inputs * (kernel[0] * kernel[1] if kernel else 1)
        put(f"{name}.weight", outputs, inputs, *kernel, gain=fan**-0.5)
        put(f"{name}.bias", outputs, gain=0.2)

    def norm(name: str) -> None:
        put(f"{name}.weight", dim, gain=0.2)
        state[f"{name}.weight"] += 1
        put(f"{name}.bias", dim, gain=0.2)

    def bottleneck(name: str) -> None:
        linear(f"{name}.0", dim // 4, dim, 3, 3)
        linear(f"{name}.2", dim // 4, dim // 4, 1, 1)
        linear(f"{name}.4", dim, dim // 4, 3, 3)

    linear("conv_first", dim, 3, 1, 1)
    norm("patch_embed.norm")
    for group, depth in enumerate(depths):
        for block in range(depth):
            name = f"layers.{group}.residual_group.blocks.{block}"
            if block % 2:
                state[f"{name}.attn_mask"] = region_mask(training_size, training_size, window)
            norm(f"{name}.norm1")
            put(f"{name}.attn.relative_position_bias_table", (2 * window - 1) ** 2, heads)
            state[f"{name}.attn.relative_position_index"] = torch.zeros(window**2, window**2).long()
            linear(f"{name}.attn.qkv", 3 * dim, dim)
            linear(f"{name}.attn.proj", dim, dim)
            norm(f"{name}.norm2")
            linear(f"{name}.mlp.fc1", 2 * dim, dim)
            linear(f"{name}.mlp.fc2", dim, 2 * dim)
        bottleneck(f"layers.{group}.conv")
    norm("norm")
    bottleneck("conv_after_body")
    linear("conv_last", 3, dim, 3, 3)
    return state


def region_mask(height: int, width: int, window: int) -> Tensor:
    """(windows, tokens, tokens): -100 between tokens that were not neighbours before the roll."""
    regions = torch.zeros(height, width)
    cut = (slice(0, -window), slice(-window, -window // 2), slice(-window // 2, None))
    for i, rows in enumerate(cut):
        for j, columns in enumerate(cut):
            regions[rows, columns] = 3 * i + j
    tiles = regions.view(height // window, window, width // window, window).transpose(1, 2)
    flat = tiles.reshape(-1, window * window)
    return torch.where(flat[:, :, None] == flat[:, None, :], 0.0, -100.0)


def denoise(state: dict[str, Tensor], x: Tensor, masks: Masks, heads: int, window: int) -> Tensor:
    """The forward pass at test; x is (B, 3, H, W), H and W multiples of the window."""
    mean = RGB_MEAN[None, :, None, None]
    y = conv(state, "conv_first", x - mean)
    y = norm(state, "patch_embed.norm", y.permute(0, 2, 3, 1))
    layer, group = 0, 0
    while f"layers.{group}.conv.0.weight" in state:
        start, block = y, 0
        while (name := f"layers.{group}.residual_group.blocks.{block}") + ".norm1.weight" in state:
            y = swin_block(state, name, y, masks(layer), heads, window, shifted=block % 2 == 1)
            layer, block = layer + 1, block + 1
        y = bottleneck(state, f"layers.{group}.conv", y) + start
        group += 1
    y = bottleneck(state, "conv_after_body", norm(state, "norm", y))
    return conv(state, "conv_last", y.permute(0, 3, 1, 2)) + mean


def swin_block(
    state: dict[str, Tensor],
    name: str,
    x: Tensor,
    mask: Tensor | None,
    heads: int,
    window: int,
    shifted: bool,
) -> Tensor:
    batch, height, width, dim = x.shape
    shift = window // 2 if shifted else 0
    y = norm(state, f"{name}.norm1", x)
    if mask is not None:
        y = y * mask[..., None]
    y = torch.roll(y, (-shift, -shift), (1, 2))
    regions = region_mask(height, width, window)
    bias = position_bias(state, f"{name}.attn", heads, window)
    out = torch.zeros_like(y)
    for sample in range(batch):
        for place in range(regions.shape[0]):
            top = place // (width // window) * window
            left = place % (width // window) * window
            here = (sample, slice(top, top + window), slice(left, left + window))
            tokens = y[here].reshape(window * window, dim)
            added = bias + regions[place] if shifted else bias
            mixed = attention(state, f"{name}.attn", tokens, added)
            out[here] = mixed.view(window, window, dim)
    x = x + torch.roll(out, (shift, shift), (1, 2))
    hidden = F.gelu(linear(state, f"{name}.mlp.fc1", norm(state, f"{name}.norm2", x)))
    return x + linear(state, f"{name}.mlp.fc2", hidden)


def position_bias(state: dict[str, Tensor], name: str, heads: int, window: int) -> Tensor:
    table = state[f"{name}.relative_position_bias_table"]
    bias = torch.zeros(heads, window**2, window**2)
    for i in range(window**2):
        for j in range(window**2):
            dy, dx = i // window - j // window, i % window - j % window
            bias[:, i, j] = table[(dy + window - 1) * (2 * window - 1) + dx + window - 1]
    return bias


def attention(state: dict[str, Tensor], name: str, tokens: Tensor, added: Tensor) -> Tensor:
    query, key, value = linear(state, f"{name}.qkv", tokens).chunk(3, dim=-1)
    heads = added.shape[0]
    size, outs = tokens.shape[1] // heads, []
    for head in range(heads):
        own = slice(head * size, (head + 1) * size)
        scores = query[:, own] @ key[:, own].T / size**0.5 + added[head]
        outs.append(scores.softmax(-1) @ value[:, own])
    return linear(state, f"{name}.proj", torch.cat(outs, -1))


def linear(state: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def norm(state: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    mean, var = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, unbiased=False)
    return (x - mean) / (var + 1e-5).sqrt() * state[f"{name}.weight"] + state[f"{name}.bias"]


def conv(state: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    weight = state[f"{name}.weight"]
    return F.conv2d(x, weight, state[f"{name}.bias"], padding=weight.shape[-1] // 2)


def bottleneck(state: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    y = x.permute(0, 3, 1, 2)
    y = F.leaky_relu(conv(state, f"{name}.0", y), 0.2)
    y = F.leaky_relu(conv(state, f"{name}.2", y), 0.2)
    return conv(state, f"{name}.4", y).permute(0, 2, 3, 1)
