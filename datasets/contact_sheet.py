"""A data set at a glance: the first frames of some episodes, and stretches of one episode with its actions."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from slowfast.actions import ActionSpec, Columns, Discrete, Keyboard, Language
from slowfast.datasets.store import Store

COLUMNS = 12
MARGIN = 4
CAPTION = 14
SMALLEST, LARGEST = 96, 256  # width of a picture in pixels
BACKGROUND, INK = (250, 250, 250), (20, 20, 20)

Tile = tuple[np.ndarray, str]


def contact_sheet(store: Store, episode: int = 0, camera: str | None = None) -> Image.Image:
    """First frames of up to 24 episodes spread over the store, then the first 24 frames of ``episode``.

    A frame of the second part is captioned with the action that led into it.
    """
    count = min(len(store), 2 * COLUMNS)
    chosen = np.linspace(0, len(store) - 1, count).round().astype(int)
    first = [(store.frames(int(i), 0, 1, camera)[0], f"episode {store.path(int(i)).stem}") for i in chosen]
    frames = store.frames(episode, 0, 2 * COLUMNS, camera)
    led_in = ["start", *action_labels(store.spec, store.actions(episode))]
    strip = list(zip(frames, led_in, strict=False))
    return _stacked([_grid("First frames", first), _grid(f"Episode {store.path(episode).stem}, step by step", strip)])


def action_labels(spec: ActionSpec, columns: Columns) -> list[str]:
    """A short caption per action: labels, held keys, sentences or numbers of the components that act."""
    parts = [_component_labels(spec, columns, component.name) for component in spec.acting]
    return [" ".join(filter(None, row)) for row in zip(*parts, strict=True)]


def _component_labels(spec: ActionSpec, columns: Columns, name: str) -> list[str]:
    component, values = spec[name], columns[name].tolist()
    if isinstance(component, Discrete):
        return ["" if value < 0 else component.labels[value] for value in values]
    if isinstance(component, Keyboard):
        return ["+".join(key for key, held in zip(component.keys, row, strict=True) if held == 1) for row in values]
    if isinstance(component, Language):
        return list(values)
    return [",".join(f"{number:.3g}" for number in row) for row in values]


def _grid(title: str, tiles: list[Tile]) -> Image.Image:
    height, width = tiles[0][0].shape[:2]
    # small pictures grow by whole factors, so that their pixels stay visible
    scale = math.ceil(SMALLEST / width) if width <= LARGEST else LARGEST / width
    size = (round(width * scale), max(1, round(height * scale)))
    pictures = [Image.fromarray(frame).resize(size, Image.Resampling.NEAREST) for frame, _ in tiles]
    step_x, step_y = size[0] + MARGIN, size[1] + CAPTION + MARGIN
    rows = math.ceil(len(tiles) / COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * step_x + MARGIN, rows * step_y + CAPTION + 2 * MARGIN), BACKGROUND)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    draw.text((MARGIN, MARGIN), title, INK, font)
    for k, (picture, (_, caption)) in enumerate(zip(pictures, tiles, strict=True)):
        x, y = MARGIN + k % COLUMNS * step_x, CAPTION + 2 * MARGIN + k // COLUMNS * step_y
        sheet.paste(picture, (x, y))
        draw.text((x, y + picture.height), _fitting(draw, font, caption, picture.width), INK, font)
    return sheet


def _fitting(
    draw: ImageDraw.ImageDraw, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, text: str, width: int
) -> str:
    while text and draw.textlength(text, font) > width:
        text = text[:-1]
    return text


def _stacked(parts: list[Image.Image]) -> Image.Image:
    sheet = Image.new("RGB", (max(p.width for p in parts), sum(p.height for p in parts)), BACKGROUND)
    offset = 0
    for part in parts:
        sheet.paste(part, (0, offset))
        offset += part.height
    return sheet
