"""Doom's WAD archives: reading the lumps of an IWAD and writing a one-map PWAD.

A WAD is a 12-byte header (magic, lump count, directory offset), the lumps' bytes, and a directory of 16-byte entries.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

HEADER = struct.Struct("<4sii")
ENTRY = struct.Struct("<ii8s")

GUARD_BYTES = 8192
"""Filler before and after the map's text, larger than any read buffer: see :func:`map_wad`."""

TEXT_BYTES = 65536
"""Fixed size of the TEXTMAP lump in bytes."""


def read_lumps(path: Path) -> list[tuple[str, bytes]]:
    """All lumps of a WAD in order, as (name, bytes). Raises ``ValueError`` on a file that is no WAD."""
    data = path.read_bytes()
    if len(data) < HEADER.size or data[:4] not in (b"IWAD", b"PWAD"):
        raise ValueError(f"{path} is not a WAD file: expected it to start with IWAD or PWAD, got {data[:4]!r}")
    _, count, directory = HEADER.unpack_from(data)
    lumps = []
    for index in range(count):
        offset, size, name = ENTRY.unpack_from(data, directory + index * ENTRY.size)
        lumps.append((name.rstrip(b"\0").decode("ascii", "replace"), data[offset : offset + size]))
    return lumps


def write_lumps(lumps: Sequence[tuple[str, bytes]]) -> bytes:
    """A PWAD that holds ``lumps`` in order."""
    entries, offset = [], HEADER.size
    for name, body in lumps:
        entries.append(ENTRY.pack(offset, len(body), name.encode("ascii")))
        offset += len(body)
    return HEADER.pack(b"PWAD", len(lumps), offset) + b"".join(body for _, body in lumps) + b"".join(entries)


def map_wad(text: str) -> bytes:
    """A PWAD with one UDMF map, MAP01, whose size does not depend on the map.

    The engine keeps its file handle and directory from start to end and reads the map again at every new episode. So
    a file of constant layout may be overwritten in place, and a new world costs milliseconds instead of a new
    engine. The guards keep the map's text clear of what the engine's file buffer may still hold.

    Raises ``ValueError`` if ``text`` does not fit.
    """
    body = text.encode("ascii")
    if len(body) > TEXT_BYTES - GUARD_BYTES:
        raise ValueError(f"the map's text has {len(body)} bytes, at most {TEXT_BYTES - GUARD_BYTES} fit")
    return write_lumps(
        [("GUARD", b" " * GUARD_BYTES), ("MAP01", b""), ("TEXTMAP", body.ljust(TEXT_BYTES)), ("ENDMAP", b"")]
    )
