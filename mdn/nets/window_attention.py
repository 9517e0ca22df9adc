"""Window attention of Swin (Liu et al., ICCV 2021), laid out for speed.

Two exact rewritings of the published layer:
    - the cyclic shift and its region mask become windows that start half a window off the corner
      and are clipped at the edge;
    - a token hidden by the attention mask is 0 before q, k and v, so its q, k and v are their
      biases: only kept tokens are multiplied.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class WindowAttention(nn.Module):
    """Multi-head attention inside windows, with a learnt bias for each relative position."""

    index: Tensor

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.register_buffer("index", relative_index(window), persistent=False)

    def bias(self) -> Tensor:
        """(heads, window, window, window, window): row, column of the query, then of the key."""
        gathered = self.bias_table[self.index.flatten()].T
        return gathered.reshape(self.heads, *(self.window,) * 4)

    def forward(
        self, x: Tensor, keep: Tensor | None, cell: tuple[int, int], bias: Tensor
    ) -> Tensor:
        """Normalise, mask, and attend inside windows of `cell` rows and columns.

        Args:
            x: (B, H, W, dim), H and W multiples of the window's.
            keep: attention mask, bool (B, H, W), True where a token is kept.
            bias: of `self.bias()`; a clipped window keeps the relative positions of a whole one, so
                its bias is a corner of it.

        Returns:
            (B, H / rows, W / columns, rows, columns, dim), as `to_windows` would give it.
        """
        batch, height, width, dim = x.shape
        rows, columns = cell
        area = rows * columns
        qkv = self._qkv(x, keep, cell).view(-1, area, 3, self.heads, dim // self.heads)
        corner = bias[:, :rows, :columns, :rows, :columns].reshape(self.heads, area, area)
        out = self.proj(attend(qkv, corner.to(qkv.dtype)))
        return out.view(batch, height // rows, width // columns, rows, columns, dim)

    def _qkv(self, x: Tensor, keep: Tensor | None, cell: tuple[int, int]) -> Tensor:
        """(tokens in window order, 3 dim)."""
        dim = x.shape[-1]
        if keep is None or x.device.type != "cpu" or torch.compiler.is_compiling():
            # On an accelerator the arithmetic saved is not worth the wait for the number of tokens.
            y = self.norm(x) if keep is None else self.norm(x) * keep[..., None]
            return self.qkv(to_windows(y, cell).reshape(-1, dim))
        visible = to_windows(keep, cell).reshape(-1).nonzero().squeeze(1)
        places = torch.arange(keep.numel(), device=x.device).view(keep.shape)
        source = to_windows(places, cell).reshape(-1).index_select(0, visible)
        computed = self.qkv(self.norm(x.reshape(-1, dim).index_select(0, source)))
        filled = self.qkv.bias.to(computed.dtype).expand(keep.numel(), -1)
        return filled.index_copy(0, visible, computed)


def to_windows(x: Tensor, cell: tuple[int, int]) -> Tensor:
    """View (B, H, W, ...) as (B, H / rows, W / columns, rows, columns, ...)."""
    return x.unflatten(2, (-1, cell[1])).unflatten(1, (-1, cell[0])).transpose(2, 3)


def attend(qkv: Tensor, bias: Tensor) -> Tensor:
    """Softmax attention.

    Args:
        qkv: (windows, tokens, 3, heads, d).
        bias: (heads, tokens, tokens), added to the scores.

    Returns:
        (windows, tokens, heads * d).
    """
    query, key, value = qkv.permute(2, 0, 3, 1, 4)
    out = F.scaled_dot_product_attention(query, key, value, attn_mask=bias[None])
    return out.transpose(1, 2).flatten(2)


def relative_index(window: int) -> Tensor:
    """Row of the bias table for each query and key, (window^2, window^2): (dy, dx) raster order."""
    y, x = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
    y, x = y.flatten(), x.flatten()
    down, across = y[:, None] - y[None, :], x[:, None] - x[None, :]
    return (down + window - 1) * (2 * window - 1) + across + window - 1


def cuts(size: int, window: int, shift: int) -> list[tuple[int, int, int]]:
    """Where windows of one size lie along an axis: (start, stop, window).

    A shift leaves half a window at either end.
    """
    if not shift:
        return [(0, size, window)]
    spans = [(0, shift, shift), (shift, size - shift, window), (size - shift, size, shift)]
    return [span for span in spans if span[0] < span[1]]


def strips(size: int, window: int, shift: int, rows: int) -> Iterator[tuple[int, int, int]]:
    """The cuts along the rows, divided into strips of whole windows and about `rows` rows."""
    for start, stop, cell in cuts(size, window, shift):
        step = max(1, rows // cell) * cell
        for top in range(start, stop, step):
            yield top, min(top + step, stop), cell
