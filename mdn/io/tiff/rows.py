"""Rows of one TIFF page, read a few at a time: what lies in memory is a band, not the picture.

A page's samples come in segments, strips or tiles, each compressed on its own. Whatever the file
says of them is left to tifffile to decode (TIFF 6.0, sections 3 and 15); here it is decided which.
"""

from typing import Any

import imagecodecs
import numpy as np
from tifffile import TIFF, TiffFrame, TiffPage

from mdn.errors import FileError
from mdn.io.base import DAMAGED, guarded
from mdn.io.stack import PlaneRows
from mdn.io.tiff.layout import JPEG

_OWN_CODECS = frozenset({22610, 33003, 33004, 33005, 34712, 34887, 34933, 34934, 50001, 50002})
_OWN_CODECS |= {52546}  # they store pictures, not bytes, and predict by themselves
_LOSSLESS: dict[int, dict[str, Any]] = {
    50001: {"lossless": True},
    50002: {"lossless": True},
    52546: {"lossless": 1},
}
_REVERSED = 2  # fill order: the lowest bit first


class Rows(PlaneRows):
    """One picture of a TIFF.

    offset: where its samples begin if the page stands for many pictures, one behind the other and
    not compressed; else None.
    """

    def __init__(self, page: TiffPage | TiffFrame, offset: int | None, name: str) -> None:
        assert page.keyframe is not None
        self.key: TiffPage = page.keyframe
        self.name = name
        self.virtual = offset is not None  # whether its page stands for many pictures
        self.offsets, self.counts = page.dataoffsets, page.databytecounts
        self._planes, _, self.height, self.width, inner = self.key.shaped
        self.samples = self._planes * inner
        self.stored = np.dtype(self.key.dtype).newbyteorder(self.key.parent.byteorder)
        self.dtype = np.dtype(self.key.dtype)
        self.raw_offset = self._find_raw_offset(offset)
        tall, wide = min(self.key.rowsperstrip, self.height), self.width
        if self.key.is_tiled:
            tall, wide = self.key.tilelength, self.key.tilewidth
        self.block_height, self.block_width = tall, wide
        self.columns, self.lines = -(-self.width // wide), -(-self.height // tall)
        self.release()

    def read(self, start: int, stop: int, left: int = 0, right: int | None = None) -> np.ndarray:
        with guarded(self.name, "TIFF"):
            return self._read(start, stop, left, right)

    def _read(self, start: int, stop: int, left: int, right: int | None) -> np.ndarray:
        right = self.width if right is None else right
        if self.raw_offset is not None:
            return self._read_raw(start, stop)[:, left:right]
        first, last = left // self.block_width, -(-right // self.block_width)
        parts = []
        for line in range(start // self.block_height, -(-stop // self.block_height)):
            top = line * self.block_height
            block = self._line(line, first, last)
            parts.append(block[max(0, start - top) : stop - top])
        joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return joined[:, left - first * self.block_width : right - first * self.block_width]

    def _find_raw_offset(self, offset: int | None) -> int | None:
        """Where the samples begin, if they lie in the file as they do in memory."""
        if offset is not None:
            return offset
        page = self.key
        plain = page.compression == 1 and page.fillorder != _REVERSED and self._planes == 1
        if not plain or page.is_tiled or not self.offsets:
            return None
        ends = [o + c for o, c in zip(self.offsets, self.counts, strict=True)]
        whole = sum(self.counts) == self.height * self.row_bytes and self.offsets[0] > 0
        return self.offsets[0] if whole and ends[:-1] == list(self.offsets[1:]) else None

    def _read_raw(self, start: int, stop: int) -> np.ndarray:
        handle, count = self.key.parent.filehandle, (stop - start) * self.row_bytes
        handle.seek((self.raw_offset or 0) + start * self.row_bytes)
        data = handle.read(count)
        if len(data) != count:
            raise FileError(self.name, "is a TIFF that ends before its pixels do", DAMAGED)
        rows = np.frombuffer(data, self.stored).reshape(stop - start, self.width, self.samples)
        return rows.astype(self.dtype)

    def _line(self, line: int, first: int, last: int) -> np.ndarray:
        """One line of segments, those of columns first..last, as (rows, columns, samples)."""
        if self._cached is not None and self._cached[0] == (line, first, last):
            return self._cached[1]
        top, left = line * self.block_height, first * self.block_width
        height = min(self.block_height, self.height - top)
        width = min(last * self.block_width, self.width) - left
        inner = self.samples // self._planes
        block = np.zeros((height, width, self.samples), self.dtype)
        for plane in range(self._planes):
            for column in range(first, last):
                index = (plane * self.lines + line) * self.columns + column
                if self.counts[index]:  # else the file left it out
                    segment = self.segment(index)[1]
                    at = (column - first) * self.block_width
                    part = block[:, at : at + self.block_width, plane * inner : (plane + 1) * inner]
                    part[...] = segment[: part.shape[0], : part.shape[1]]
        self._cached = (line, first, last), block
        return block

    def segment(self, index: int) -> tuple[bytes, np.ndarray]:
        """The bytes of a segment that the file has, and its samples as (rows, columns, ...)."""
        handle = self.key.parent.filehandle
        handle.seek(self.offsets[index])
        data = handle.read(self.counts[index])
        options = {"jpegtables": self.key.jpegtables} if self.key.jpegtables else {}
        decoded = self.key.decode(data, index, **options)[0]
        array = np.asarray(decoded)
        return data, array.reshape(array.shape[-3:])

    def encode(self, block: np.ndarray, quality: int) -> bytes:
        """A segment (rows, columns, samples in it) in the compression of the page.

        quality: 1 to 100, for JPEG. Other codecs are set to lose nothing.
        """
        page, code = self.key, int(self.key.compression)
        codec: Any = TIFF.COMPRESSORS[code]
        if page.is_tiled and block.shape[:2] != (page.tilelength, page.tilewidth):
            grown = [(0, page.tilelength - block.shape[0]), (0, page.tilewidth - block.shape[1])]
            block = np.pad(block, [*grown, (0, 0)], mode="edge")
        if code == JPEG:
            return self._encode_jpeg(block, quality)
        if code in _OWN_CODECS:
            flat = block[..., 0] if block.shape[-1] == 1 else block
            return bytes(codec(np.ascontiguousarray(flat), **self._arguments()))
        data = np.ascontiguousarray(block.astype(self.stored))
        if page.predictor != 1:
            data = TIFF.PREDICTORS[page.predictor](data, axis=-2)
        options = {"axis": -2} if code == 32773 else {}
        packed = data.tobytes() if code == 1 else bytes(codec(data, **options))
        return bytes(imagecodecs.bitorder_encode(packed)) if page.fillorder == _REVERSED else packed

    def _arguments(self) -> dict[str, Any]:
        code = int(self.key.compression)
        if code in (33003, 33004, 33005, 34712):
            return {"codecformat": "j2k"}
        if code == 34887:
            parameters = self.key.tags.valueof(50674) or (0, 0)
            return {"compression": {1: "deflate", 2: "zstd"}.get(parameters[1])}
        return dict(_LOSSLESS.get(code, {}))

    def _encode_jpeg(self, block: np.ndarray, quality: int) -> bytes:
        flat = block[..., 0] if block.shape[-1] == 1 else block
        options: dict[str, Any] = {"level": quality}
        if block.shape[-1] == 3:
            ycbcr = int(self.key.photometric) == 6
            options |= {"colorspace": "rgb", "outcolorspace": "ycbcr" if ycbcr else "rgb"}
            if ycbcr:
                options["subsampling"] = self.key.subsampling or (2, 2)
        return bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(flat), **options))
