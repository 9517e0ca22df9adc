"""SwinIR with masked training: the network of Chen et al., "Masked Image Training for Generalizable
Deep Image Denoising" (CVPR 2023).

What sets it apart from plain SwinIR (Liang et al., 2021):
    - the first convolution is 1x1, so that pixels do not mix before the input mask;
    - no long skip, neither around the body nor around the net: a skip would leak the noise;
    - an input mask while it trains, and an attention mask that stays on at test (without it the
      output gets brighter).

How it is laid out for speed: tokens are (B, H, W, dim), contiguous, from the first layer to the
last; the cyclic shift of SwinIR and its region mask are replaced by their exact equivalent, clipped
windows (`window_attention`); only tokens that are not masked are multiplied; and at test a block
works in place, in strips that stay in the processor's cache.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mdn.nets.masking import MaskField, MaskKey, check_ratio
from mdn.nets.window_attention import WindowAttention, cuts, strips, to_windows

_RGB_MEAN = (0.4488, 0.4371, 0.4040)
_MASKED_PIXEL = -0.1
_INPUT_STREAM = 1 << 16
# Tokens a block handles at a time at test: the widest intermediate, 180 floats a token, then stays
# near a processor's L2 cache.
_STRIP_TOKENS = 4096


@dataclass(frozen=True)
class SwinIRConfig:
    """Shape and masks of one network; the defaults are the paper's."""

    channels: int = 3  # of the picture
    depths: tuple[int, ...] = (6, 6, 6, 6)  # attention blocks in each residual group
    dim: int = 60  # channels of a token
    heads: int = 6  # attention heads
    window: int = 8  # side of an attention window, in pixels
    mlp_ratio: float = 2.0  # hidden channels of the MLP over `dim`
    # convolution that ends a group: "3conv" is the bottleneck of three, "1conv" a single 3x3
    residual: Literal["3conv", "1conv"] = "3conv"
    drop_path: float = 0.1  # stochastic depth of the last block, growing linearly from 0
    # "none"; "token": masked tokens become a learnt one; "zero": they become 0; "pixel": masked
    # pixels become -0.1
    input_mask: Literal["none", "token", "zero", "pixel"] = "zero"
    # smallest and largest share of masked pixels, drawn per patch (paper: .75 to .85, release: .80
    # to .90)
    input_ratio: tuple[float, float] = (0.75, 0.85)
    # smallest and largest share of masked tokens, drawn per patch and block (paper: .75); (0, 0)
    # turns the attention mask off
    attention_ratio: tuple[float, float] = (0.75, 0.75)

    def __post_init__(self) -> None:
        # A config read from a file brings lists.
        object.__setattr__(self, "depths", tuple(int(depth) for depth in self.depths))
        object.__setattr__(self, "input_ratio", check_ratio(self.input_ratio, "input_ratio"))
        object.__setattr__(
            self, "attention_ratio", check_ratio(self.attention_ratio, "attention_ratio")
        )
        if self.input_mask not in ("none", "token", "zero", "pixel"):
            problem = f"input_mask must be none, token, zero or pixel, not {self.input_mask!r}"
            raise ValueError(problem)
        if self.residual not in ("3conv", "1conv"):
            raise ValueError(f"residual must be 3conv or 1conv, not {self.residual!r}")
        if self.dim % self.heads or self.dim % 4:
            problem = f"dim ({self.dim}) must be a multiple of heads ({self.heads}) and of 4"
            raise ValueError(problem)
        if self.window % 2 or min(self.depths, default=0) < 1:
            raise ValueError("window must be even, and depths at least 1 each")


class SwinIR(nn.Module):
    """Masked SwinIR: (B, C, H, W), nominally in [0, 1], to the same.

    Attributes:
        multiple: H and W are padded to multiples of it inside; tiles must start on multiples of it.
        masked: whether the output depends on seed, pass and origin outside of training.
        receptive_field: radius, in pixels, within which an input pixel can change an output pixel.
    """

    mean: Tensor

    def __init__(self, config: SwinIRConfig) -> None:
        super().__init__()
        self.config = config
        self.multiple = config.window
        self.masked = config.attention_ratio[1] > 0
        self.receptive_field = _receptive_field(config)
        self.embed = nn.Linear(config.channels, config.dim)
        self.embed_norm = nn.LayerNorm(config.dim)
        last = max(1, sum(config.depths) - 1)
        drops = [config.drop_path * layer / last for layer in range(sum(config.depths))]
        starts = [sum(config.depths[:group]) for group in range(len(config.depths))]
        self.groups = nn.ModuleList(
            Group(config, range(start, start + depth), drops[start : start + depth])
            for start, depth in zip(starts, config.depths, strict=True)
        )
        self.norm = nn.LayerNorm(config.dim)
        self.after_body = _residual_conv(config)
        self.last = nn.Conv2d(config.dim, config.channels, 3, padding=1)
        if config.input_mask == "token":
            self.mask_token = nn.Parameter(torch.zeros(config.dim))
        mean = _RGB_MEAN if config.channels == 3 else (0.0,) * config.channels
        self.register_buffer("mean", torch.tensor(mean), persistent=False)
        self.apply(_init_weights)

    @property
    def bytes_per_pixel(self) -> float:
        """Peak memory of a float32 call by pixel of its input, without gradients."""
        # Stream, group's skip, and both sides of a convolution; the rest is strips and masks.
        return 4 * (6 * self.config.dim + 4 * self.config.channels) + 24

    def forward(
        self,
        x: Tensor,
        *,
        seed: int | Tensor = 0,
        pass_index: int | Tensor = 0,
        origin: tuple[int, int] | Tensor = (0, 0),
        mask_input: bool | None = None,
    ) -> Tensor:
        """Denoise.

        Args:
            x: (B, C, H, W), nominally in [0, 1]; any size.
            seed, pass_index, origin: see `MaskKey`; each may differ per sample.
            mask_input: apply the input mask; by default only while training.

        Returns:
            (B, C, H, W), not clipped.
        """
        height, width = x.shape[-2:]
        x = _pad_to_multiple(x, self.multiple)
        batch, _, rows, columns = x.shape
        field = MaskField(MaskKey(seed, pass_index, origin), batch, rows, columns, x.device)
        tokens = self._embed(x, field, self.training if mask_input is None else mask_input)
        for group in self.groups:
            tokens = group(tokens, field)
        tokens = _convolve(self.after_body, self.norm(tokens))
        out = self.last(tokens.permute(0, 3, 1, 2)) + self.mean[:, None, None]
        return out[..., :height, :width]

    def _embed(self, x: Tensor, field: MaskField, mask_input: bool) -> Tensor:
        kind = self.config.input_mask if mask_input else "none"
        keep = None if kind == "none" else field.keep(_INPUT_STREAM, self.config.input_ratio)
        if keep is not None and kind == "pixel":
            x = torch.where(keep[:, None], x, _MASKED_PIXEL)
        tokens = self.embed(x.permute(0, 2, 3, 1) - self.mean)
        if keep is not None and kind != "pixel":
            token = self.mask_token.to(tokens.dtype) if kind == "token" else tokens.new_zeros(())
            tokens = torch.where(keep[..., None], tokens, token)
        # The residual stream keeps the picture's precision under autocast: it is summed 48 times.
        return self.embed_norm(tokens).to(x.dtype).contiguous()


class Group(nn.Module):
    """Residual Swin Transformer block: attention blocks, every second one shifted, and a fusion."""

    def __init__(self, config: SwinIRConfig, layers: range, drops: list[float]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(config, layer, shifted=bool(place % 2), drop=drop)
            for place, (layer, drop) in enumerate(zip(layers, drops, strict=True))
        )
        self.fuse = _residual_conv(config)

    def forward(self, x: Tensor, field: MaskField) -> Tensor:
        """(B, H, W, dim) to the same."""
        tokens = x.clone() if _in_place(self) else x
        for block in self.blocks:
            tokens = block(tokens, field)
        return _convolve(self.fuse, tokens) + x


class Block(nn.Module):
    """One window attention and one MLP, each behind a LayerNorm and around a skip."""

    def __init__(self, config: SwinIRConfig, layer: int, shifted: bool, drop: float) -> None:
        super().__init__()
        self.layer, self.drop, self.ratio = layer, drop, config.attention_ratio
        self.window, self.shift = config.window, config.window // 2 if shifted else 0
        hidden = int(config.dim * config.mlp_ratio)
        self.attention = WindowAttention(config.dim, config.heads, config.window)
        self.norm = nn.LayerNorm(config.dim)
        self.fc1 = nn.Linear(config.dim, hidden)
        self.fc2 = nn.Linear(hidden, config.dim)

    def forward(self, x: Tensor, field: MaskField) -> Tensor:
        """(B, H, W, dim) to the same; at test x itself is overwritten."""
        keep = field.keep(self.layer, self.ratio) if self.ratio[1] > 0 else None
        if _in_place(self):
            return self._overwrite(x, keep)
        scales = self._scales(field)
        x = x + _scaled(self._attended(x, keep), scales, 0)
        return x + _scaled(self._mlp(x), scales, 1)

    def _overwrite(self, x: Tensor, keep: Tensor | None) -> Tensor:
        batch, height, width, _ = x.shape
        bias = self.attention.bias()
        # Nothing in a block crosses a row of windows, so it can work strip by strip; an accelerator
        # has no such cache to keep to, and a compiler would unroll the strips.
        striped = x.device.type == "cpu" and not torch.compiler.is_compiling()
        rows = _STRIP_TOKENS // (batch * width) if striped else height
        for top, bottom, down in strips(height, self.window, self.shift, rows):
            strip = x[:, top:bottom]
            mask = None if keep is None else keep[:, top:bottom]
            self._attend_strip(strip, mask, down, bias)
            strip.add_(self._mlp(strip))
        return x

    def _attend_strip(self, x: Tensor, keep: Tensor | None, down: int, bias: Tensor) -> None:
        for left, right, across in cuts(x.shape[2], self.window, self.shift):
            part = x[:, :, left:right]
            mask = None if keep is None else keep[:, :, left:right]
            to_windows(part, (down, across)).add_(self.attention(part, mask, (down, across), bias))

    def _attended(self, x: Tensor, keep: Tensor | None) -> Tensor:
        bias, rows = self.attention.bias(), []
        for top, bottom, down in cuts(x.shape[1], self.window, self.shift):
            parts = []
            for left, right, across in cuts(x.shape[2], self.window, self.shift):
                part = x[:, top:bottom, left:right]
                mask = None if keep is None else keep[:, top:bottom, left:right]
                out = self.attention(part, mask, (down, across), bias)
                parts.append(out.transpose(2, 3).reshape(part.shape))
            rows.append(torch.cat(parts, 2))
        return torch.cat(rows, 1)

    def _scales(self, field: MaskField) -> Tensor | None:
        """Stochastic depth, (2, B): a dropped branch is scaled by 0, a kept one by what preserves
        the mean; None if all are kept.
        """
        if not self.training or self.drop == 0:
            return None
        dropped = [field.chance(2 * self.layer + place, self.drop) for place in range(2)]
        return (~torch.stack(dropped)).float() / (1 - self.drop)

    def _mlp(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(self.norm(x))))


def _scaled(branch: Tensor, scales: Tensor | None, place: int) -> Tensor:
    if scales is None:
        return branch
    return branch * scales[place, :, None, None, None].to(branch.dtype)


def _in_place(module: nn.Module) -> bool:
    """Whether nothing needs the values that a block would overwrite."""
    return not (module.training or torch.is_grad_enabled())


def _convolve(conv: nn.Module, tokens: Tensor) -> Tensor:
    """Run a convolution on (B, H, W, dim): as (B, dim, H, W) that is channels-last, so no copy."""
    return conv(tokens.permute(0, 3, 1, 2)).permute(0, 2, 3, 1).contiguous()


def _residual_conv(config: SwinIRConfig) -> nn.Module:
    dim, slim = config.dim, config.dim // 4
    if config.residual == "1conv":
        return nn.Conv2d(dim, dim, 3, padding=1)
    return nn.Sequential(
        nn.Conv2d(dim, slim, 3, padding=1),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(slim, slim, 1),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(slim, dim, 3, padding=1),
    )


def _init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, WindowAttention):
        nn.init.trunc_normal_(module.bias_table, std=0.02)


def _pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Reflect at the bottom and the right; a picture too small for that repeats its last pixels."""
    down, across = -x.shape[-2] % multiple, -x.shape[-1] % multiple
    if across:
        x = F.pad(x, (0, across, 0, 0), mode="reflect" if across < x.shape[-1] else "replicate")
    if down:
        x = F.pad(x, (0, 0, 0, down), mode="reflect" if down < x.shape[-2] else "replicate")
    return x


def _receptive_field(config: SwinIRConfig) -> int:
    """Follow how far one pixel can spread to the right, for each place it can have in a window."""
    window, reach = config.window, 0
    fuse = 2 if config.residual == "3conv" else 1
    for start in range(window):
        end = start
        for depth in config.depths:
            for place in range(depth):
                shift = window // 2 if place % 2 else 0
                end = (end - shift) // window * window + window - 1 + shift
            end += fuse
        reach = max(reach, end - start)
    return reach + fuse + 1
