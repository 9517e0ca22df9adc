"""An ICC profile as a JPEG XL codestream carries it (ISO/IEC 18181-1, annex E and clause C).

The profile is stored by commands, then coded by entropy. Both are done in the plainest way that the
standard has: one command that takes all bytes as they are, and a code that gives each byte 8 bits.
A profile has some hundred bytes; what a better code would save is nothing beside the picture.
"""

_HEADER = 128
# What the standard expects of a profile's header: only differences from it are stored.
_EXPECTED = bytearray(_HEADER)
_EXPECTED[8] = 4
_EXPECTED[12:24] = b"mntrRGB XYZ "
_EXPECTED[36:40] = b"acsp"
_EXPECTED[70:72], _EXPECTED[72:76], _EXPECTED[78:80] = b"\xf6\xd6", b"\0\1\0\0", b"\xd3\x2d"
_PLATFORMS = {b"A": b"PPL", b"M": b"SFT", b"SG": b"I ", b"SU": b"NW"}

Pairs = list[tuple[int, int]]  # values, and how many bits of each are written


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
