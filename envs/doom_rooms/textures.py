"""Which of Freedoom's textures worlds are made of, chosen by rule from the WAD inside the vizdoom wheel.

Wall textures come from TEXTURE1 (composed from patches, so that their colours can be measured), floors and ceilings
from between F_START and F_END. Out are: animated ones, switches, doors, sky, placeholders, anything transparent, walls
that are not 128 units high and 64 or 128 wide, and pictures too dark, too white, too even or too harsh to be told apart
at 64x64 pixels. A hash of a texture's family puts about 15 % of them aside for the held-out split.
"""

from __future__ import annotations

import importlib.util
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from slowfast.envs.doom_rooms.wad import read_lumps

EXCLUDED_NAMES = re.compile(r"^SW[12]|DOOR|DOR\d|DOR$|SKY|DUMMY|EXIT|^SLIME|^LAVA|^NUKAGE|^BLOOD|WATER|^TELE|^GATE")
MAXIMUM_LUMINANCE = 190.0
WALL_BRIGHTNESS, FLAT_BRIGHTNESS = 70.0, 48.0
WALL_CONTRAST, WALL_CHROMA = 7.0, 50.0
TEXEL_CONTRAST = (5.0, 48.0)
HELD_OUT_PERCENT = 15
SPLITS = ("train", "held_out")


@dataclass(frozen=True)
class Texture:
    """One picture of the WAD, its figures on the scale 0..255: mean RGB, mean luminance, mean of the brightest
    channel, standard deviation of luminance over texels, and over means of 8x8 texels (what survives at a distance).
    """

    name: str
    kind: str
    color: tuple[float, float, float]
    luminance: float
    brightness: float
    texel_contrast: float
    contrast: float

    @property
    def chroma(self) -> float:
        return max(self.color) - min(self.color)

    @property
    def usable(self) -> bool:
        """Whether it is bright and structured enough to be told apart at 64x64 pixels, without harsh stripes."""
        low, high = TEXEL_CONTRAST
        if self.luminance > MAXIMUM_LUMINANCE or not low <= self.texel_contrast <= high:
            return False
        if self.kind == "flat":
            return self.brightness >= FLAT_BRIGHTNESS
        return self.brightness >= WALL_BRIGHTNESS and (self.contrast >= WALL_CONTRAST or self.chroma >= WALL_CHROMA)

    @property
    def family(self) -> str:
        """What the split hashes: a wall's name up to its first digit, a flat's whole name (many are mere numbers)."""
        return self.name if self.kind == "flat" else re.sub(r"\d.*$", "", self.name) or self.name

    @property
    def split(self) -> str:
        return SPLITS[zlib.crc32(f"rooms {self.family}".encode()) % 100 < HELD_OUT_PERCENT]


@dataclass(frozen=True)
class Catalogue:
    """The textures that a split's worlds may use."""

    walls: tuple[Texture, ...]
    flats: tuple[Texture, ...]


def package_folder() -> Path:
    """Where vizdoom is installed. Raises ``ImportError`` that names the extra if it is not."""
    spec = importlib.util.find_spec("vizdoom")
    if spec is None or spec.origin is None:
        raise ImportError('DoomRooms needs vizdoom, which is not installed: pip install "slowfast[doom]"')
    return Path(spec.origin).parent


@lru_cache
def catalogue(split: str) -> Catalogue:
    """The textures of ``"train"`` or ``"held_out"``, in the WAD's order. Takes half a second once a process."""
    if split not in SPLITS:
        raise ValueError(f"textures={split!r} is not one of {SPLITS}")
    walls, flats = all_textures()
    return Catalogue(
        tuple(texture for texture in walls if texture.split == split),
        tuple(texture for texture in flats if texture.split == split),
    )


@lru_cache
def all_textures() -> tuple[tuple[Texture, ...], tuple[Texture, ...]]:
    """Every usable wall and every usable flat, whatever its split."""
    pictures_of_walls, pictures_of_flats = _pictures()
    walls = (_measure(name, "wall", picture) for name, picture in pictures_of_walls.items())
    flats = (_measure(name, "flat", picture) for name, picture in pictures_of_flats.items())
    return tuple(t for t in walls if t.usable), tuple(t for t in flats if t.usable)


def _measure(name: str, kind: str, picture: np.ndarray) -> Texture:
    red, green, blue = (np.ascontiguousarray(picture[..., channel], np.float64) for channel in range(3))
    luminance = 0.299 * red + 0.587 * green + 0.114 * blue
    height, width = luminance.shape
    coarse = luminance.reshape(height // 8, 8, width // 8, 8).mean((1, 3))
    return Texture(
        name,
        kind,
        (float(red.mean()), float(green.mean()), float(blue.mean())),
        luminance=float(luminance.mean()),
        brightness=float(np.maximum(np.maximum(red, green), blue).mean()),
        texel_contrast=float(luminance.std()),
        contrast=float(coarse.std()),
    )


def _pictures() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Wall and flat pictures by name, ``uint8 [h, w, 3]``, after the rules about names, sizes and transparency."""
    folder = package_folder()
    lumps = read_lumps(folder / "freedoom2.wad")
    by_name = dict(lumps)
    palette = np.frombuffer(by_name["PLAYPAL"], np.uint8)[:768].reshape(256, 3)
    definitions = _wall_definitions(by_name["TEXTURE1"])
    names = [name for name, _ in lumps]
    flat_names = [n for n in names[names.index("F_START") : names.index("F_END")] if len(by_name[n]) == 4096]
    animated = _animated(folder / "vizdoom.pk3", [name for name, *_ in definitions], flat_names)

    walls = {}
    patch_names = _patch_names(by_name["PNAMES"])
    patches: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name, width, height, parts in definitions:
        if height != 128 or width not in (64, 128) or name in animated or EXCLUDED_NAMES.search(name):
            continue
        indices, covered = np.zeros((height, width), np.uint8), np.zeros((height, width), bool)
        for left, top, number in parts:
            patch = patch_names[number]
            if patch not in patches:
                patches[patch] = _decode_patch(by_name[patch])
            _paste(indices, covered, *patches[patch], left, top)
        if covered.all():
            walls[name] = palette[indices]
    flats = {
        name: palette[np.frombuffer(by_name[name], np.uint8).reshape(64, 64)]
        for name in flat_names
        if name not in animated and not EXCLUDED_NAMES.search(name)
    }
    return walls, flats


def _wall_definitions(lump: bytes) -> list[tuple[str, int, int, list[tuple[int, int, int]]]]:
    """(name, width, height, [(left, top, patch number)]) of each texture in a TEXTURE1 lump."""
    (count,) = struct.unpack_from("<i", lump)
    result = []
    for offset in struct.unpack_from(f"<{count}i", lump, 4):
        name, width, height, parts = struct.unpack_from("<8s4xHH4xH", lump, offset)
        placed = [struct.unpack_from("<hhH", lump, offset + 22 + 10 * part) for part in range(parts)]
        result.append((name.rstrip(b"\0").decode("ascii"), width, height, placed))
    return result


def _patch_names(lump: bytes) -> list[str]:
    (count,) = struct.unpack_from("<i", lump)
    return [lump[4 + 8 * i : 12 + 8 * i].split(b"\0")[0].decode("ascii").upper() for i in range(count)]


def _decode_patch(lump: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Palette indices and coverage ``[h, w]`` of a picture stored as columns of posts (row, length, texels)."""
    width, height = struct.unpack_from("<HH", lump)
    indices, covered = np.zeros((height, width), np.uint8), np.zeros((height, width), bool)
    for column, position in enumerate(struct.unpack_from(f"<{width}I", lump, 8)):
        while lump[position] != 255:
            row, length = lump[position], lump[position + 1]
            rows = slice(row, min(row + length, height))
            indices[rows, column] = np.frombuffer(lump, np.uint8, rows.stop - row, position + 3)
            covered[rows, column] = True
            position += length + 4
    return indices, covered


def _paste(
    indices: np.ndarray, covered: np.ndarray, patch: np.ndarray, patch_covered: np.ndarray, left: int, top: int
) -> None:
    """Draw a patch at (left, top), cut to the texture's edges."""
    height, width = indices.shape
    rows = slice(max(top, 0), min(top + patch.shape[0], height))
    columns = slice(max(left, 0), min(left + patch.shape[1], width))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    source = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
    mask = patch_covered[source]
    indices[rows, columns][mask] = patch[source][mask]
    covered[rows, columns] |= mask


def _animated(archive: Path, walls: list[str], flats: list[str]) -> set[str]:
    """Names in the engine's ANIMATED table (records of kind, last name, first name, speed) and everything between."""
    with zipfile.ZipFile(archive) as package:
        table = package.read("animated.lmp")
    found: set[str] = set()
    for offset in range(0, len(table) - 22, 23):
        kind, last, first = struct.unpack_from("<B9s9s", table, offset)
        if kind == 255:
            break
        names = flats if kind & 1 == 0 else walls
        start, stop = (name.split(b"\0")[0].decode("ascii").upper() for name in (first, last))
        if start in names and stop in names:
            low, high = sorted((names.index(start), names.index(stop)))
            found.update(names[low : high + 1])
    return found
