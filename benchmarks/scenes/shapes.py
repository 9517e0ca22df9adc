"""Meshes and textures made of numbers: what the scenes are built from beside simple solids."""

import numpy as np

Mesh = tuple[np.ndarray, np.ndarray]
"""Vertices (N, 3) float32, and faces (M, 3) int32 that name them, about one unit across."""


def knot(random: np.random.Generator) -> Mesh:
    """A torus knot; with one winding a ring."""
    p, q = random.choice([(1, 0), (2, 3), (3, 2), (2, 5)])
    t = np.linspace(0, 2 * np.pi, 161)[:-1]
    radius = 0.32 + 0.13 * np.cos(q * t)
    centre = np.stack([radius * np.cos(p * t), radius * np.sin(p * t), 0.16 * np.sin(q * t)], -1)
    along = np.roll(centre, -1, 0) - np.roll(centre, 1, 0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    side = np.cross(along, [0.0, 0.0, 1.0]) + 1e-6
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    up = np.cross(side, along)
    angle = np.linspace(0, 2 * np.pi, 17)[:-1]
    thick = random.uniform(0.06, 0.12)
    ring = np.cos(angle)[None, :, None] * side[:, None] + np.sin(angle)[None, :, None] * up[:, None]
    return _tube(centre[:, None] + thick * ring, closed=True)


def stone(random: np.random.Generator) -> Mesh:
    """A sphere with bumps."""
    theta, phi = np.meshgrid(
        np.linspace(1e-3, np.pi - 1e-3, 40), np.linspace(0, 2 * np.pi, 81)[:-1], indexing="ij"
    )
    way = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)
    bumps: np.ndarray = sum(  # type: ignore[assignment]
        random.uniform(0, 0.12) * np.sin(way @ random.normal(0, 5, 3) + random.uniform(0, 6))
        for _ in range(5)
    )
    return _tube(way * (0.42 * (1 + bumps))[..., None], closed=False)


def vase(random: np.random.Generator) -> Mesh:
    """A curve turned about the upright axis."""
    height = np.linspace(0, 1, 60)
    waves = sum(
        random.uniform(0, 0.1) * np.sin(random.uniform(2, 9) * height + random.uniform(0, 6))
        for _ in range(3)
    )
    radius = np.maximum(0.22 + waves, 0.05)
    phi = np.linspace(0, 2 * np.pi, 49)[:-1]
    rings = np.stack(
        [
            radius[:, None] * np.cos(phi),
            radius[:, None] * np.sin(phi),
            np.broadcast_to(height[:, None] - 0.5, (60, 48)),
        ],
        -1,
    )
    return _tube(rings, closed=False)


def leaves(random: np.random.Generator) -> Mesh:
    """Some hundreds of leaves of two triangles each, turned at random, in a ball."""
    count = int(random.integers(150, 500))
    centre = random.normal(0, 0.17, (count, 3))
    along, side = random.normal(0, 1, (2, count, 3))
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    side = np.cross(along, side)
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    long, wide = random.uniform(0.03, 0.12, (count, 1)), random.uniform(0.008, 0.03, (count, 1))
    corners = [-long * along, wide * side, long * along, -wide * side]
    vertices = np.stack([centre + corner for corner in corners], 1).reshape(-1, 3)
    first = 4 * np.arange(count, dtype=np.int32)[:, None]
    halves = np.array([[0, 1, 2], [0, 2, 3]], np.int32)  # of each leaf
    return vertices.astype(np.float32), np.concatenate([first + half for half in halves])


MESHES = (knot, stone, vase)


def _tube(rings: np.ndarray, *, closed: bool) -> Mesh:
    """Triangles between neighbours of (rings, points, 3); closed: the last ring meets the first."""
    count, points = rings.shape[:2]
    at = np.arange(count * points, dtype=np.int32).reshape(count, points)
    upper = at if closed else at[:-1]
    lower = np.roll(at, -1, 0) if closed else at[1:]
    a, b, c, d = upper, np.roll(upper, -1, 1), lower, np.roll(lower, -1, 1)
    faces = np.concatenate(
        [np.stack([a, c, b], -1).reshape(-1, 3), np.stack([b, c, d], -1).reshape(-1, 3)]
    )
    return rings.reshape(-1, 3).astype(np.float32), faces


def boxes(centre: np.ndarray, size: np.ndarray) -> tuple[Mesh, np.ndarray]:
    """Upright boxes of centres and sizes (N, 3), their faces flat; and (24 N, 2) texture places.

    A box has one colour of a texture of squares, and a small part of any other.
    """
    corner = np.array(list(np.ndindex(2, 2, 2))) - 0.5
    sides = [(4, 6, 7, 5), (0, 1, 3, 2), (2, 3, 7, 6), (0, 4, 5, 1), (1, 5, 7, 3), (0, 2, 6, 4)]
    points = corner[np.array(sides).ravel()]
    vertices = (centre[:, None] + size[:, None] * points).reshape(-1, 3)
    first = 4 * np.arange(6 * len(centre), dtype=np.int32)[:, None]
    faces = np.concatenate([first + half for half in np.array([[0, 1, 2], [0, 2, 3]], np.int32)])
    place = np.stack([np.arange(len(centre)) * 0.618, np.arange(len(centre)) * 0.414], -1) % 1
    uv = np.repeat(np.floor(8 * place) / 8 + 0.02, 24, 0)
    span = np.tile([[0, 0], [0, 1], [1, 1], [1, 0]], (6 * len(centre), 1)) * 0.08
    return (vertices.astype(np.float32), faces), uv + span


def curtain(width: float, folds: float, height: float) -> Mesh:
    """A cloth that hangs in waves, `width` wide and `height` high, its foot at 0."""
    x = np.linspace(-width / 2, width / 2, 200)
    z = np.linspace(0, height, 12)
    y = 0.05 * np.sin(2 * np.pi * folds * x[None] / width + 0.4 * np.sin(z)[:, None])
    rows = np.stack([np.broadcast_to(x, y.shape), y, np.broadcast_to(z[:, None], y.shape)], -1)
    at = np.arange(rows.shape[0] * 200, dtype=np.int32).reshape(-1, 200)
    a, b, c, d = at[:-1, :-1], at[:-1, 1:], at[1:, :-1], at[1:, 1:]
    faces = np.concatenate([np.stack([a, b, c], -1), np.stack([b, d, c], -1)]).reshape(-1, 3)
    return rows.reshape(-1, 3).astype(np.float32), faces


def wood(random: np.random.Generator, side: int = 128) -> np.ndarray:
    """A texture, (side, side, 3) float32 in 0..1: rings cut along, in boards."""
    across, along = np.mgrid[:side, :side] / side
    board = np.floor(random.integers(3, 8) * across)
    shift = random.uniform(0, 6, 16)[board.astype(int)]
    wave = 0.03 * np.sin(2 * np.pi * (along + shift)) + 0.01 * np.sin(14 * np.pi * along + shift)
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * random.uniform(15, 40) * (across + wave) + shift)
    dark = random.uniform((0.1, 0.05, 0.02), (0.45, 0.3, 0.2))
    light = dark + random.uniform(0.05, 0.35)
    tone = random.uniform(0.8, 1.1, 16)[board.astype(int)][..., None]
    return ((dark + (light - dark) * rings[..., None]) * tone).clip(0, 1).astype(np.float32)


def ply(mesh: Mesh, uv: np.ndarray | None = None) -> bytes:
    """A mesh as a binary PLY file, with places in a texture (N, 2) where they are given."""
    vertices, faces = mesh
    header = (
        "ply\nformat binary_little_endian 1.0\n"
        f"element vertex {len(vertices)}\n"
        "property float x\nproperty float y\nproperty float z\n"
        + ("" if uv is None else "property float u\nproperty float v\n")
        + f"element face {len(faces)}\n"
        "property list uchar int vertex_indices\nend_header\n"
    )
    table = np.empty(len(faces), dtype=[("count", "u1"), ("at", "<i4", 3)])
    table["count"], table["at"] = 3, faces
    if uv is not None:
        vertices = np.concatenate([vertices, uv], -1)
    return header.encode() + vertices.astype("<f4").tobytes() + table.tobytes()


def clouds(random: np.random.Generator, side: int = 128) -> np.ndarray:
    """A texture, (side, side, 3) float32 in 0..1: two colours mixed by noise of many sizes."""
    field = np.zeros((side, side))
    for octave in (2, 4, 8, 16, 32):
        coarse = random.random((octave + 1, octave + 1))
        at = np.linspace(0, octave, side)
        rows = np.stack([np.interp(at, np.arange(octave + 1), row) for row in coarse])
        full = np.stack([np.interp(at, np.arange(octave + 1), column) for column in rows.T], 1)
        field += full / octave**0.7
    field = (field - field.min()) / np.ptp(field)
    low, high = random.uniform(0.05, 0.9, (2, 3))
    return (low + (high - low) * field[..., None]).astype(np.float32)


def sky(random: np.random.Generator) -> np.ndarray:
    """Light from all around, (64, 128, 3) float32 linear: a gradient, and often a small sun."""
    up = np.linspace(1, -1, 64)[:, None, None]
    zenith, horizon = random.uniform(0.15, 0.7, 3), random.uniform(0.5, 1.2, 3)
    ground = random.uniform(0.05, 0.3, 3)
    light = np.where(up > 0, horizon + (zenith - horizon) * np.abs(up) ** 0.5, ground)
    light = np.repeat(light, 128, 1)
    if random.random() < 0.7:
        row, column, size = random.integers(6, 26), random.integers(0, 124), random.integers(1, 5)
        light[row : row + size, column : column + size] += random.uniform(200, 1500) / size
    return light.astype(np.float32)
