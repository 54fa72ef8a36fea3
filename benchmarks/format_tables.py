"""What is known of ingestion, as Markdown: formats that are read, damage that was survived, faults that were found."""

from __future__ import annotations

from typing import Any

from report import NOT_MEASURED, markdown_table

Result = dict[str, Any]

KINDS = {"discrete": "choice", "continuous": "vector", "keyboard": "keys", "language": "sentences"}
NONE = "–"


def formats_table(result: Result | None) -> str:
    """A row a format: recognised, read, written, and read back by the format's own library."""
    if result is None:
        return NOT_MEASURED
    rows = [
        [
            row["title"],
            "has to be named" if row["recognised"] is None else _yes(row["recognised"]),
            NONE if row["read"] is None else f"{row['read']} of {row['expected']}",
            _actions(row["actions"]),
            _frames(row["frames"]),
            *(_verdict(row[group]) for group in ("rewards", "states")),
            _yes(row["exported"]),
            _own(row["own_library"]),
        ]
        for row in result["rows"]
    ]
    header = ["format", "recognised", "episodes read", "actions", "frames", "rewards", "states"]
    table = markdown_table([*header, "`slowfast export`", "read back by its own library"], rows)
    notes = [f"{row['title']}: {row['why']}." for row in result["rows"] if row.get("why")]
    size = result["set"]
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    said = (
        f"{size['episodes']} episodes of {size['of']}, {size['frames']} frames of {size['size'][0]}x{size['size'][1]}, "
        "written in each format and read again. *Actions*: what came back exactly, a choice by its number or its "
        "label. *Frames*: exactly, or the PSNR of all frames after the format's video compression; one frame off would "
        f"be {size['psnr_one_frame_off']:.1f} dB. *{NONE}*: the set has none, or it was not tried. {versions}."
    )
    return "\n\n".join([table, " ".join([said, *notes])])


def _actions(found: dict[str, list[str]] | None) -> str:
    if found is None:
        return NONE
    same, lost = (", ".join(KINDS[kind] for kind in found[name]) for name in ("same", "lost"))
    return (same or "none") + (f" (not: {lost})" if lost else "")


def _frames(found: float | str | None) -> str:
    if found is None:
        return NONE
    return found if isinstance(found, str) else f"{found:.1f} dB"


def _verdict(found: str | None) -> str:
    return NONE if found is None else "**no**" if found == "no" else found


def _own(found: dict[str, Any] | None) -> str:
    if found is None:
        return NONE
    when = f", {found['date']}" if "date" in found else ""
    return f"{'the same' if found['same'] else '**not the same**'} ({found['library']} {found['version']}{when})"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


OUTCOMES = {
    "read": "read whole",
    "fewer": "a smaller set read",
    "skipped": "recordings skipped, with a reason",
    "refused": "source refused",
    "raised": "other exception",
    "died": "process died",
    "memory": "memory limit",
    "slow": "time limit",
}
BAD = ("raised", "died", "memory", "slow")
"""What must not happen, whatever a file holds."""


def fuzz_table(result: Result | None) -> str:
    """A row a format: what came of so many damaged sets."""
    if result is None:
        return NOT_MEASURED
    rows = [
        [row["title"], str(row["rounds"]), *(str(row["counts"][outcome]) for outcome in OUTCOMES)]
        for row in result["rows"]
    ]
    total = {outcome: sum(row["counts"][outcome] for row in result["rows"]) for outcome in OUTCOMES}
    rounds = sum(row["rounds"] for row in result["rows"])
    rows.append(["all", str(rounds), *map(str, total.values())])
    settings = result["settings"]
    bad = sum(total[outcome] for outcome in BAD)
    slowest = max(row["slowest_processor_seconds"] for row in result["rows"])
    peak = max(row["peak_mebibytes"] for row in result["rows"])
    table = markdown_table(["format", "rounds", *OUTCOMES.values()], rows)
    return (
        f"{table}\n\nThe last four have to be 0; they are {_count(bad)}. Limits of a round: "
        f"{settings['gibibytes']:g} GiB of address space, 1 GiB in use, {settings['seconds']:g} s; the slowest took "
        f"{slowest:.1f} s of processor time, the largest process {peak:.0f} MiB. *Read whole*: as many frames as "
        "before; what was damaged is not needed, or is a value or a pixel that might as well be true. *A smaller set*: "
        "a file or the end of one is gone and nothing in the rest says so, or the rest looks like another format."
    )


def doctor_table(result: Result | None) -> str:
    """A row a kind of fault: planted, found, at the right frame, and what other checks said."""
    if result is None:
        return NOT_MEASURED
    rows = [
        [
            f"`{row['check']}`",
            row["what"],
            f"{row['found']} of {row['planted']}",
            f"{row['at_frame']} of {row['with_frame']}" if row["with_frame"] else NONE,
            ", ".join(f"{check} {count}" for check, count in row["others"].items()) or "none",
        ]
        for row in result["rows"]
    ]
    settings = result["settings"]
    alarms = sum(len(one["alarms"]) for one in result["clean"])
    raised = f"{_count(alarms)} alarm{'' if alarms == 1 else 's'}"
    found, planted = (sum(row[name] for row in result["rows"]) for name in ("found", "planted"))
    sets = len(result["clean"])
    table = markdown_table(["check", "planted", "found", "at its frame", "other alarms"], rows)
    return (
        f"{table}\n\n{found} of {planted} planted faults were found. {sets} examinations of sets without "
        f"faults raised {raised} ({settings['clean']} sets of {settings['train']} training and "
        f"{settings['validation']} validation episodes of DoomRooms, {settings['steps']} steps each, with the action "
        "as a choice and as a vector). *Found*: its own check says so, as an error or a warning, in the right episode. "
        "*Other alarms*: errors and warnings, of all sets together, by other checks or about other episodes; most "
        "follow from the fault: a picture that comes back after it hung is a cut, too."
    )


def _count(number: int) -> str:
    """What should be 0."""
    return f"**{number}**" if number else "0"
