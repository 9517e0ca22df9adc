"""Furnished rooms: fine parts, metal ribs, blinds, shaded lamps, light through a window.

What most scenes of renderers are made of, and what `build`'s rooms of a few solids lack: edges
thinner than a pixel, a picture lit by one bright opening alone, hundreds of parts of many colours.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.scenes import shapes
from benchmarks.scenes.build import DEPTH, METALS, Scene, _Maker

Boxes = list[tuple[Sequence[float], Sequence[float]]]
"""Centre and size of upright boxes."""


class Interior(_Maker):
    """Draws one furnished room."""

    def built(self) -> Scene:
        """The whole scene, without film and sampler."""
        low, high = (3.4, 4.0, 2.3), (6.5, 8.0, 3.4)
        self.wide, self.deep, self.high = (float(v) for v in self.random.uniform(low, high))
        scene: Scene = {
            "type": "scene",
            "integrator": {
                "type": "aov",
                "aovs": "albedo:albedo,normal:sh_normal",
                "image": {"type": "path", "max_depth": DEPTH + 2},
            },
        }
        scene |= self._shell()
        parts = {
            "table": (0.6, self._table),
            "chairs": (0.5, self._chairs),
            "shelf": (0.5, self._shelf),
            "ribs": (0.4, self._ribs),
            "panels": (0.35, self._panels),
            "pipes": (0.3, self._pipes),
            "rail": (0.25, self._rail),
            "stairs": (0.2, self._stairs),
            "curtain": (0.3, self._curtain),
            "frames": (0.5, self._frames),
            "mirror": (0.2, self._mirror),
        }
        for name, (share, part) in parts.items():
            if self.random.random() < share:
                scene |= {f"{name}_{key}": value for key, value in part().items()}
        scene |= self._things(int(self.random.integers(0, 5)), 0.3 * self.wide)
        scene |= self._lights(lit="sky" in scene)
        x = float(self.random.uniform(-0.38, 0.38)) * self.wide
        eye = [x, -0.46 * self.deep, float(self.random.uniform(0.7, 1.8))]
        aim = [float(v) for v in self.random.uniform((-0.8, 0, 0.5), (0.8, 1.5, 1.3))]
        scene["sensor"] = self._camera(eye, aim, (45, 80))
        return scene

    # --- the room -------------------------------------------------------------------------------

    def _shell(self) -> Scene:
        """Floor, ceiling and walls; in one of the side walls there can be a window to the sky."""
        wide, deep, high = self.wide, self.deep, self.high
        walls: dict[str, tuple[list[float], list[float], tuple[float, float]]] = {
            "floor": ([0, 0, 0], [0, 0, 1], (wide, deep)),
            "ceiling": ([0, 0, high], [0, 0, -1], (wide, deep)),
            "right": ([wide / 2, 0, high / 2], [-1, 0, 0], (deep, high)),
            "back": ([0, deep / 2, high / 2], [0, -1, 0], (wide, high)),
            "front": ([0, -deep / 2, high / 2], [0, 1, 0], (wide, high)),
        }
        window = self.random.random() < 0.6
        if not window:
            walls["left"] = ([-wide / 2, 0, high / 2], [1, 0, 0], (deep, high))
        metal = self.random.random() < 0.2
        shell: Scene = {}
        for name, where in walls.items():
            bsdf = self._metal() if metal and name != "floor" else self._paint()
            shell[name] = self._rectangle(*where) | {"bsdf": bsdf}
        return shell | self._window() if window else shell

    def _window(self) -> Scene:
        """The left wall around an opening, a frame of bars, often blinds; a sky outside."""
        x, deep, high = -self.wide / 2, self.deep, self.high
        middle = float(self.random.uniform(-0.2, 0.25)) * deep
        half = float(self.random.uniform(0.5, 1.3))
        sill, top = float(self.random.uniform(0.1, 0.9)), high * float(self.random.uniform(0.75, 1))
        near, far = middle - half, middle + half
        wall: Boxes = [
            ([x, (near - deep / 2) / 2, high / 2], [0.1, near + deep / 2, high]),
            ([x, (far + deep / 2) / 2, high / 2], [0.1, deep / 2 - far, high]),
            ([x, middle, sill / 2], [0.1, 2 * half, sill]),
            ([x, middle, (top + high) / 2], [0.1, 2 * half, max(high - top, 0.02)]),
        ]
        bars: Boxes = [
            ([x, y, (sill + top) / 2], [0.05, 0.04, top - sill])
            for y in np.linspace(near, far, int(self.random.integers(2, 6)))
        ]
        bars += [([x, middle, z], [0.05, 2 * half, 0.04]) for z in (sill, (sill + top) / 2, top)]
        scene = self._boxes("wall", wall, self._paint()) | self._boxes("bars", bars, self._paint())
        if self.random.random() < 0.35:
            slats: Boxes = [
                ([x + 0.1, middle, z], [0.05, 2 * half, 0.008])
                for z in np.arange(sill, top, float(self.random.uniform(0.05, 0.1)))
            ]
            scene |= self._boxes("slats", slats, self._paint())
        sky = shapes.sky(self.random) * np.float32(self.random.uniform(1, 4))
        turn = self._t().rotate([1, 0, 0], 90).rotate([0, 1, 0], float(self.random.uniform(0, 360)))
        return scene | {"sky": {"type": "envmap", "bitmap": self.mi.Bitmap(sky), "to_world": turn}}

    # --- furniture ------------------------------------------------------------------------------

    def _table(self) -> Scene:
        x, y = self._spot()
        size = [float(v) for v in self.random.uniform((0.7, 0.6, 0.4), (1.8, 1.1, 0.8))]
        parts = _legs(x, y, size, float(self.random.uniform(0.02, 0.07)))
        scene = self._boxes("top", parts, self._material(glass=False))
        things: Boxes = []
        for _ in range(int(self.random.integers(3, 14))):
            at = self.random.uniform(-0.45, 0.45, 2) * size[:2]
            high = float(self.random.uniform(0.02, 0.3))
            foot = self.random.uniform(0.03, 0.2, 2)
            things.append(([x + at[0], y + at[1], size[2] + high / 2], [*foot, high]))
        return scene | self._boxes("things", things, self._material(glass=False))

    def _chairs(self) -> Scene:
        parts: Boxes = []
        for _ in range(int(self.random.integers(1, 5))):
            x, y = self._spot()
            parts += _legs(x, y, [0.42, 0.42, 0.45], 0.03)
            back = float(self.random.choice([-0.2, 0.2]))
            bars = int(self.random.integers(1, 7))
            for at in np.linspace(-0.2, 0.2, bars):
                parts.append(([x + at, y + back, 0.7], [0.4 if bars == 1 else 0.025, 0.025, 0.5]))
        return self._boxes("chair", parts, self._material(glass=False))

    def _shelf(self) -> Scene:
        """Boards at the back wall, with books of a palette."""
        wide = float(self.random.uniform(0.8, 2))
        x = float(self.random.uniform(-0.5, 0.5)) * (self.wide - wide)
        y, high = self.deep / 2 - 0.15, self.high * float(self.random.uniform(0.5, 0.9))
        rows = np.linspace(0.1, high, int(self.random.integers(3, 8)))
        boards: Boxes = [([x, y, z], [wide, 0.28, 0.03]) for z in rows]
        boards += [([x + s * wide / 2, y, high / 2], [0.03, 0.28, high]) for s in (-1, 1)]
        books: Boxes = []
        for low, up in pairwise(rows):
            at = -wide / 2 + 0.05
            while at < wide / 2 - 0.08:
                thick = float(self.random.uniform(0.012, 0.06))
                tall = (up - low - 0.04) * float(self.random.uniform(0.5, 0.95))
                if self.random.random() < 0.85:
                    books.append(([x + at, y, low + 0.015 + tall / 2], [0.9 * thick, 0.2, tall]))
                at += thick
        return self._boxes("boards", boards, self._paint()) | self._boxes(
            "books", books, self._coat({"type": "diffuse"}, self._palette())
        )

    def _ribs(self) -> Scene:
        """Thin metal bars along a wall and the ceiling, one beside the other."""
        step = float(self.random.uniform(0.08, 0.4))
        thick = float(self.random.uniform(0.015, 0.06))
        side = float(self.random.choice([-1, 1])) * (self.wide / 2 - 0.06)
        ribs: Boxes = []
        for y in np.arange(-self.deep / 2, self.deep / 2, step):
            ribs.append(([side, y, self.high / 2], [0.1, thick, self.high]))
            ribs.append(([0, y, self.high - 0.05], [self.wide, thick, 0.08]))
        return self._boxes("rib", ribs, self._metal())

    def _panels(self) -> Scene:
        """The back wall under plates of many sizes and depths, as machines have them."""
        count = int(self.random.integers(60, 400))
        size = 10 ** self.random.uniform(-1.6, -0.4, (count, 3))
        size[:, 1] = self.random.uniform(0.02, 0.25, count)
        x = self.random.uniform(-0.5, 0.5, count) * self.wide
        z = self.random.uniform(0, 1, count) * self.high
        at = np.stack([x, np.full(count, self.deep / 2 - 0.03), z], -1)
        plates: Boxes = list(zip(at.tolist(), size.tolist(), strict=True))
        paint = self._coat({"type": "roughplastic", "alpha": 0.1}, self._palette())
        return self._boxes("plate", plates, self._metal() if self.random.random() < 0.6 else paint)

    def _pipes(self) -> Scene:
        bsdf, scene = self._metal(), {}
        for at in range(int(self.random.integers(2, 9))):
            radius = float(self.random.uniform(0.01, 0.07))
            x = float(self.random.choice([-1, 1])) * (self.wide / 2 - 0.12)
            z = float(self.random.uniform(0.1, 0.97)) * self.high
            ends = [x, -self.deep / 2, z], [x, self.deep / 2, z]
            if self.random.random() < 0.4:
                y = float(self.random.uniform(-0.3, 0.5)) * self.deep
                ends = [x, y, 0.0], [x, y, self.high]
            scene[f"pipe{at}"] = {
                "type": "cylinder",
                "p0": ends[0],
                "p1": ends[1],
                "radius": radius,
                "bsdf": bsdf,
            }
        return scene

    def _rail(self) -> Scene:
        y = float(self.random.uniform(-0.1, 0.35)) * self.deep
        bars: Boxes = [
            ([x, y, 0.45], [0.02, 0.02, 0.9])
            for x in np.arange(-self.wide / 2, self.wide / 2, float(self.random.uniform(0.06, 0.2)))
        ]
        return self._boxes("rail", [*bars, ([0, y, 0.92], [self.wide, 0.05, 0.04])], self._metal())

    def _stairs(self) -> Scene:
        x, wide = float(self.random.uniform(-0.3, 0.3)) * self.wide, 1.0
        steps: Boxes = [
            ([x, 0.1 * self.deep + 0.25 * n, 0.09 + 0.17 * n], [wide, 0.27, 0.05])
            for n in range(int(self.random.integers(4, 11)))
        ]
        return self._boxes("step", steps, self._paint())

    def _curtain(self) -> Scene:
        width, folds = float(self.random.uniform(0.6, 2)), float(self.random.uniform(4, 16))
        path = self.folder / "curtain.ply"
        path.write_bytes(shapes.ply(shapes.curtain(width, folds, self.high * 0.95)))
        x, y = float(self.random.uniform(-0.4, 0.4)) * self.wide, self.deep / 2 - 0.2
        cloth = {
            "type": "twosided",
            "bsdf": self._coat({"type": "diffuse"}, self._colour(0.1, 0.9)),
        }
        where = self._t().translate([x, y, 0])
        return {"cloth": {"type": "ply", "filename": str(path), "to_world": where, "bsdf": cloth}}

    def _frames(self) -> Scene:
        """Pictures on the back wall."""
        scene: Scene = {}
        for at in range(int(self.random.integers(1, 5))):
            x = float(self.random.uniform(-0.4, 0.4)) * self.wide
            z = float(self.random.uniform(0.45, 0.75)) * self.high
            size = [float(v) for v in self.random.uniform(0.25, 0.9, 2)]
            y = self.deep / 2 - 0.05
            edge: Boxes = [([x, y, z], [size[0] + 0.06, 0.04, size[1] + 0.06])]
            scene |= self._boxes(f"edge{at}", edge, self._material(glass=False))
            picture = self._coat({"type": "diffuse"}, self._image(shapes.clouds(self.random)))
            where = ([x, y - 0.03, z], [0, -1, 0], (size[0], size[1]))
            scene[f"picture{at}"] = self._rectangle(*where) | {"bsdf": picture}
        return scene

    def _mirror(self) -> Scene:
        at = [self.wide / 2 - 0.02, float(self.random.uniform(-0.1, 0.3)) * self.deep, 1.3]
        bsdf = {"type": "conductor", "material": "Al"}
        return {"glass": self._rectangle(at, [-1, 0, 0], (1.2, 1.2)) | {"bsdf": bsdf}}

    # --- light ----------------------------------------------------------------------------------

    def _lights(self, *, lit: bool) -> Scene:
        """Panels, strips and shaded bulbs; with a window there can be none."""
        scene: Scene = {}
        kinds = self.random.choice(
            ["panel", "strip", "shade", "small"], 3, p=[0.3, 0.3, 0.25, 0.15]
        )
        for at, kind in enumerate(kinds[: int(self.random.integers(0 if lit else 1, 4))]):
            x = float(self.random.uniform(-0.35, 0.35)) * self.wide
            y = float(self.random.uniform(-0.2, 0.4)) * self.deep
            if kind == "panel":
                size = [float(v) for v in self.random.uniform(0.2, 1.2, 2)]
                where = ([x, y, self.high - 0.12], [0, 0, -1], (size[0], size[1]))
                light = {"emitter": self._emitter(5 / (size[0] * size[1]))}
                scene[f"panel{at}"] = self._rectangle(*where) | light
            elif kind == "strip":
                side = float(self.random.choice([-1, 1])) * (self.wide / 2 - 0.15)
                z = float(self.random.uniform(0.3, 0.95)) * self.high
                long, thin = 0.8 * self.deep, float(self.random.uniform(0.02, 0.06))
                lamp: Boxes = [([side, 0, z], [thin, long, thin])]
                scene |= self._boxes(f"strip{at}", lamp, self._paint(), 1.5 / (long * thin))
            elif kind == "small":
                for n in range(int(self.random.integers(4, 20))):
                    scene |= self._bulb(f"small{at}_{n}", 0.45 * self.wide, self.high)
            else:
                z, radius = float(self.random.uniform(0.5, 0.8)) * self.high, 0.18
                shade = {
                    "type": "twosided",
                    "bsdf": self._coat({"type": "diffuse"}, self._colour(0.3, 0.9)),
                }
                scene[f"shade{at}"] = {
                    "type": "cylinder",
                    "p0": [x, y, z - 0.14],
                    "p1": [x, y, z + 0.14],
                    "radius": radius,
                    "bsdf": shade,
                }
                bulb = {"type": "sphere", "center": [x, y, z], "radius": 0.05}
                scene[f"bulb{at}"] = bulb | {"emitter": self._emitter(2.5 / 0.05)}
        return scene

    # --- what all are made of -------------------------------------------------------------------

    def _boxes(self, name: str, boxes: Boxes, bsdf: Scene, light: float = 0) -> Scene:
        """Boxes as one mesh; each has a place of its own in the texture. Lit where light is > 0."""
        path = self.folder / f"{name}{self.random.integers(1 << 30)}.ply"
        mesh, uv = shapes.boxes(np.array([b[0] for b in boxes]), np.array([b[1] for b in boxes]))
        path.write_bytes(shapes.ply(mesh, uv + self.random.random(2)))
        scene: Scene = {"type": "ply", "filename": str(path), "bsdf": bsdf}
        return {name: scene | {"emitter": self._emitter(light)} if light else scene}

    def _spot(self) -> tuple[float, float]:
        x, y = self.random.uniform((-0.35, -0.1), (0.35, 0.42)) * (self.wide, self.deep)
        return float(x), float(y)

    def _colour(self, low: float, high: float) -> Scene:
        """Mostly gray with a tint, as rooms are painted."""
        pure = self.random.random(3)
        share = float(self.random.beta(1, 3))
        gray = float(self.random.uniform(low, high))
        values = gray * (1 - share + share * pure / pure.mean())
        return {"type": "rgb", "value": values.clip(0, 0.95).tolist()}

    def _metal(self) -> Scene:
        rough = float(10 ** self.random.uniform(-1.5, -0.4))
        metal = {"type": "roughconductor", "material": str(self.random.choice(METALS))}
        return {"type": "twosided", "bsdf": metal | {"alpha": rough}}

    def _paint(self) -> Scene:
        """Of a wall, a floor or a frame: plain, wood or tiles; matt or varnished."""
        drawn = self.random.random()
        paint: Any = self._colour(0.15, 0.9)
        if drawn < 0.3:
            paint = self._image(shapes.wood(self.random), float(self.random.uniform(1, 6)))
        elif drawn < 0.5:
            paint = self._texture(2)
        kind: Scene = {"type": "diffuse"}
        if self.random.random() < 0.3:
            kind = {"type": "roughplastic", "alpha": float(10 ** self.random.uniform(-1.5, -0.5))}
        return {"type": "twosided", "bsdf": self._coat(kind, paint)}

    def _coat(self, kind: Scene, paint: Any) -> Scene:
        name = "reflectance" if kind["type"] == "diffuse" else "diffuse_reflectance"
        return kind | {name: paint}

    def _image(self, pixels: np.ndarray, repeat: float = 1, smooth: bool = True) -> Scene:
        image = {"type": "bitmap", "bitmap": self.mi.Bitmap(pixels), "raw": True}
        kind = {"filter_type": "bilinear" if smooth else "nearest"}
        return image | kind | {"to_uv": self._t().scale([repeat] * 3)}

    def _palette(self) -> Scene:
        """Some colours in squares: a box takes one by its place in the texture."""
        base, spread = self.random.uniform(0.05, 0.8, 3), float(self.random.uniform(0.1, 0.8))
        other = self.random.random((8, 8, 3))
        colours = (1 - spread) * base + spread * other
        return self._image(colours.astype(np.float32), smooth=False)


def _legs(x: float, y: float, size: Sequence[float], thick: float) -> Boxes:
    """A plate on four legs; size: width, depth, height."""
    wide, deep, high = size
    corners = [(sx, sy) for sx in (-1, 1) for sy in (-1, 1)]
    legs: Boxes = [
        (
            [x + sx * (wide / 2 - thick), y + sy * (deep / 2 - thick), high / 2],
            [thick, thick, high],
        )
        for sx, sy in corners
    ]
    return [([x, y, high], [wide, deep, thick]), *legs]
