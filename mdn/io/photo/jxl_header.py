"""The header of a JPEG XL codestream: what decoders need it for, and what Python's do not tell.

Bits are read from the lowest up (ISO/IEC 18181-1, annexes A and D). The encoder at hand writes sRGB
or linear light and knows nothing else; since it stores lossless samples as they are, naming their
true colours is a matter of these bits alone: see `recoloured`.
"""

from dataclasses import dataclass, field

from mdn.io.colour import BT709, BT2020, HLG, P3, PQ, SRGB, UNSPECIFIED, Cicp

MAGIC = b"\xff\x0a"
GRAY = 1
ALPHA, BLACK = 0, 4  # types of extra channels

_SIZE = ((0, 9), (0, 13), (0, 18), (0, 30))
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_ENUM = ((0, 0), (1, 0), (2, 4), (18, 6))
_XY = ((0, 19), (524288, 19), (1048576, 20), (2097152, 21))
_D65, _CUSTOM = 1, 2
_PRIMARIES = {1: BT709, 9: BT2020, 11: P3}
_TRANSFERS = {1: 1, 2: UNSPECIFIED, 8: 8, 13: SRGB, 16: PQ, 18: HLG}
Pairs = list[tuple[int, int]]  # values, and how many bits of each are written
_PEAK = {PQ: 0x70E2, HLG: 0x63D0}  # candelas that full signal stands for, as half floats

_HEADER = 128
# What the standard expects of a profile's header: only differences from it are stored.
_EXPECTED = bytearray(_HEADER)
_EXPECTED[8] = 4
_EXPECTED[12:24] = b"mntrRGB XYZ "
_EXPECTED[36:40] = b"acsp"
_EXPECTED[70:72], _EXPECTED[72:76], _EXPECTED[78:80] = b"\xf6\xd6", b"\0\1\0\0", b"\xd3\x2d"
_PLATFORMS = {b"A": b"PPL", b"M": b"SFT", b"SG": b"I ", b"SU": b"NW"}


@dataclass
class JxlHeader:
    """What the header says."""

    # height, width: pixels as shown, unturned
    height: int = 0
    width: int = 0
    bits: int = 8  # of a sample
    floating: bool = False  # whether it is a floating-point number
    colours: int = 3  # 1 or 3 channels
    extra: tuple[int, ...] = ()  # types of the further channels
    orientation: int = 1  # 1 to 8, as in EXIF
    animated: bool = False  # whether there may be several frames
    xyb: bool = True  # whether colours are stored as perceived, which only lossy coding does
    icc: bool = False  # whether an ICC profile says what the colours are
    # what they are otherwise, or None where no number stands for it
    colour: Cicp | None = field(default_factory=lambda: Cicp(BT709, SRGB))


class Bits:
    """Reads a codestream bit by bit. Raises ValueError at its end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "little")
        self._length = 8 * len(data)
        self.at = 0

    def take(self, count: int) -> int:
        """The next bits, as a number."""
        if self.at + count > self._length:
            raise ValueError("the header is cut short")
        value = self._value >> self.at & (1 << count) - 1
        self.at += count
        return value

    def choose(self, kinds: tuple[tuple[int, int], ...]) -> int:
        """A number in one of four (offset, bits) kinds."""
        offset, count = kinds[self.take(2)]
        return offset + self.take(count)

    def between(self, start: int, stop: int) -> tuple[int, int]:
        """A stretch that was read already, and how many bits it has."""
        return self._value >> start & (1 << stop - start) - 1, stop - start


def read_header(codestream: bytes) -> JxlHeader:
    """The header of a codestream. Raises ValueError: it is cut short, or is none."""
    return _read(Bits(codestream[:_LONGEST]))[0]


_LONGEST = 2**16  # bytes; headers have a few dozen, names of extra channels aside


def recoloured(codestream: bytes, colour: Cicp | None, icc: bytes | None) -> bytes:
    """A codestream of lossless samples, under other colours.

    Args:
        codestream: from an encoder, with a header of its own, not yet with a profile.
        colour: what the samples are where no profile says it; None for sRGB.
    """
    bits = Bits(codestream[:_LONGEST])
    header, places = _read(bits)
    if header.xyb or header.icc:
        raise ValueError("only lossless samples without a profile can be given other colours")
    extra = places.get("extra_fields", 0)
    peak = None if icc or colour is None else _PEAK.get(colour.transfer)
    out = [bits.between(16, places["metadata"]), (0, 1)]  # not all as usual
    out.append((1 if peak or extra else 0, 1))
    if extra:
        out.append(bits.between(extra, places["depth"]))
    elif peak:
        out.append((0, 6))  # upright, no intrinsic size, no preview, no animation
    out.append(bits.between(places["depth"], places["colour"]))
    out += _colour_bits(header.colours, colour or Cicp(BT709, SRGB), icc)
    if peak:
        out += [(0, 1), (peak, 16), (0, 16 + 1 + 16)]
    elif extra:
        out.append((1, 1))  # tone mapping as usual
    out += [(0, 2), (1, 1)]  # no extensions, colour transforms as usual
    out += icc_bits(icc) if icc else []
    value = length = 0
    for number, count in out:
        value |= number << length
        length += count
    head = value.to_bytes((length + 7) // 8, "little")
    return MAGIC + head + codestream[(places["end"] + 7) // 8 :]


def _read(bits: Bits) -> tuple[JxlHeader, dict[str, int]]:
    """The header, and where its parts begin, in bits."""
    if bits.take(16) != int.from_bytes(MAGIC, "little"):
        raise ValueError("no codestream")
    header, places = JxlHeader(), dict[str, int]()
    header.height, header.width = _size(bits)
    places["metadata"] = bits.at
    usual = bits.take(1)
    extra_fields = not usual and bool(bits.take(1))
    if extra_fields:
        places["extra_fields"] = bits.at
        header.orientation = bits.take(3) + 1
        if bits.take(1):  # intrinsic size
            _size(bits)
        if bits.take(1):
            raise ValueError("a preview within, which is not supported")
        header.animated = bool(bits.take(1))
        if header.animated:  # no more is needed of it
            return header, places
    places["depth"] = bits.at
    if not usual:
        header.floating, header.bits = _depth(bits)
        bits.take(1)  # whether 16-bit buffers suffice
        count = bits.choose(((0, 0), (1, 0), (2, 4), (1, 12)))
        header.extra = tuple(_extra_channel(bits) for _ in range(count))
        header.xyb = bool(bits.take(1))
        places["colour"] = bits.at
        _read_colour(bits, header)
        if extra_fields and not bits.take(1):
            bits.take(16 + 16 + 1 + 16)  # tone mapping
        if bits.take(2):
            raise ValueError("extensions, which are not supported")
    places["end"] = bits.at + 1
    if not bits.take(1) and not header.xyb:
        raise ValueError("colour transforms without XYB")
    return header, places


def _size(bits: Bits) -> tuple[int, int]:
    small = bits.take(1)
    height = 8 * (bits.take(5) + 1) if small else 1 + bits.choose(_SIZE)
    ratio = bits.take(3)
    if ratio:
        across, down = _RATIOS[ratio - 1]
        return height, height * across // down
    return height, 8 * (bits.take(5) + 1) if small else 1 + bits.choose(_SIZE)


def _depth(bits: Bits) -> tuple[bool, int]:
    if bits.take(1):
        depth = bits.choose(((32, 0), (16, 0), (24, 0), (1, 6)))
        bits.take(4)  # bits of the exponent
        return True, depth
    return False, bits.choose(((8, 0), (10, 0), (12, 0), (1, 6)))


def _extra_channel(bits: Bits) -> int:
    if bits.take(1):
        return ALPHA
    kind = bits.choose(_ENUM)
    _depth(bits)
    bits.choose(((0, 0), (3, 0), (4, 0), (1, 3)))  # how much smaller it is
    for _ in range(bits.choose(((0, 0), (0, 4), (16, 5), (48, 10)))):
        bits.take(8)  # its name
    if kind == ALPHA:
        bits.take(1)  # premultiplied
    elif kind == 2:  # a spot colour
        bits.take(4 * 16)
    elif kind == 5:  # of a mosaic
        bits.choose(((1, 0), (0, 2), (3, 4), (19, 8)))
    return kind


def _read_colour(bits: Bits, header: JxlHeader) -> None:
    if bits.take(1):
        return
    header.icc = bool(bits.take(1))
    space = bits.choose(_ENUM)
    header.colours = 1 if space == GRAY else 3
    header.colour = None
    if header.icc:
        return
    if space > GRAY:
        raise ValueError("colours of an unknown space")
    white = bits.choose(_ENUM)
    if white == _CUSTOM:
        _ = [bits.choose(_XY) for _ in range(2)]
    primaries = 1
    if space != GRAY:
        primaries = bits.choose(_ENUM)
        if primaries == _CUSTOM:
            _ = [bits.choose(_XY) for _ in range(6)]
    gamma = bits.take(1)
    transfer = bits.take(24) if gamma else bits.choose(_ENUM)
    bits.choose(_ENUM)  # rendering intent
    if white == _D65 and primaries in _PRIMARIES and not gamma and transfer in _TRANSFERS:
        header.colour = Cicp(_PRIMARIES[primaries], _TRANSFERS[transfer])


def _colour_bits(colours: int, colour: Cicp, icc: bytes | None) -> Pairs:
    out = [(0, 1), (1 if icc else 0, 1), *_enum(GRAY if colours == 1 else 0)]  # not all as usual
    if icc:
        return out
    out += _enum(_D65)
    if colours != 1:
        out += _enum({number: kind for kind, number in _PRIMARIES.items()}[colour.primaries])
    out.append((0, 1))  # a named curve, not a power
    out += _enum({number: kind for kind, number in _TRANSFERS.items()}[colour.transfer])
    return out + _enum(0)  # perceptual


def _enum(value: int) -> Pairs:
    if value < 2:
        return [(value, 2)]
    return [(2, 2), (value - 2, 4)] if value < 18 else [(3, 2), (value - 18, 6)]


def can_name(colour: Cicp) -> bool:
    """Whether the header has a number for these colours."""
    return colour.primaries in _PRIMARIES.values() and colour.transfer in _TRANSFERS.values()


def icc_bits(profile: bytes) -> Pairs:
    """The bits that follow a codestream's header for a profile of at least 128 bytes."""
    if len(profile) < _HEADER:
        raise ValueError("an ICC profile has at least 128 bytes")
    commands = _number(0) + b"\1" + _number(len(profile) - _HEADER)
    body = _number(len(profile)) + _number(len(commands)) + commands + _differences(profile)
    coded = body + profile[_HEADER:]
    return [*_length(len(coded)), *_code(), *((_reversed(byte), 8) for byte in coded)]


def _differences(profile: bytes) -> bytes:
    expected = bytearray(_EXPECTED)
    expected[:4] = len(profile).to_bytes(4, "big")
    expected[80:84] = profile[4:8]
    for start, rest in _PLATFORMS.items():
        if profile[40:].startswith(start):
            expected[40 + len(start) : 44] = rest
    return bytes(a - b & 255 for a, b in zip(profile, expected, strict=False))


def _number(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    number = bytearray()
    while value > 127:
        number.append(value & 127 | 128)
        value >>= 7
    return bytes([*number, value])


def _length(value: int) -> Pairs:
    """A number of up to 64 bits (B.2.3): twelve bits, then eight by eight."""
    pairs, value = [(3, 2), (value & 4095, 12)], value >> 12
    while value:
        pairs += [(1, 1), (value & 255, 8)]
        value >>= 8
    return [*pairs, (0, 1)]


def _code() -> Pairs:
    """The description of the code: 256 symbols of 8 bits each, the same in every context."""
    return [
        (0, 1),  # no repetitions
        (1, 1), (0, 2),  # all contexts share one code
        (1, 1),  # a prefix code
        (8, 4), (0, 4), (0, 4),  # numbers below 2^8 are symbols themselves
        (1, 1), (7, 4), (127, 7),  # 1 + 128 + 127 symbols
        (0, 2),  # lengths are coded: ten lengths that do not occur, the one that does, seven more
        *[(0, 2)] * 10, (1, 2), *[(0, 2)] * 7,
    ]  # fmt: skip


def _reversed(byte: int) -> int:
    """Codes are written from their highest bit on."""
    return int(f"{byte:08b}"[::-1], 2)
