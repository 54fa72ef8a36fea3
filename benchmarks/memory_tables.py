"""How the memory's settings were chosen, and what its parts are worth, as Markdown tables."""

from __future__ import annotations

from typing import Any

from report import NOT_MEASURED, markdown_table


def trust_table(result: dict[str, Any] | None) -> str:
    """Errors by a memory's ``trust``, ``same`` and ``doubt``."""
    if result is None:
        return NOT_MEASURED
    chosen = ("trust", "same", "doubt")
    names = list(dict.fromkeys(name for row in result["rows"] for name in row if name not in chosen))
    rows = []
    for row in result["rows"]:
        settings = ["no memory", "", ""] if row["trust"] is None else [f"{row[name]:g}" for name in chosen]
        rows.append([*settings, *(f"{row[name]:.3f}" if name in row else "" for name in names)])
    header = ["trust", "same (steps)", "doubt (cosine)", *names]
    return f"{markdown_table(header, rows)}\n\n{result['worlds']} validation worlds; squared errors of latents."


def tuning_table(result: dict[str, Any] | None) -> str:
    """What each setting of the fast learner changes, question by question."""
    if result is None:
        return NOT_MEASURED
    rows, question, back = [], None, ("back_in", "back_beyond") if result.get("back") else ()
    for row in result["rows"]:
        cells = [_change(row[arm]) for arm in ("own", *back, "other")]
        asked = row["question"] if row["question"] != question else ""
        question = row["question"]
        star = "*" if row.get("machine", result["machine"]) != result["machine"] else ""
        seconds = [f"{row[name] / result['worlds']:.1f}{star}" for name in ("seconds", "dream_seconds")]
        rows.append([asked, row["answer"], *cells, *seconds])
    asked = ["turning back, in the context", "turning back, beyond it"] if back else []
    header = ["question", "answer", "own memory [95 %]", *asked, "another world's [95 %]", "s a world to teach"]
    return (
        f"{markdown_table([*header, 'to dream'], rows)}\n\n{result['worlds']} validation worlds; change of the squared "
        f"error of the latents of a second turn around, against no memory. Each question varies one setting of the "
        f"world's own rule. {_processors(result)}"
    )


def _processors(result: dict[str, Any]) -> str:
    """Whose seconds a table shows."""
    usual = result["machine"]
    others = {row["machine"]["cpu"] for row in result["rows"] if row.get("machine", usual) != usual}
    starred = f"; *: {', '.join(sorted(others))}" if others else ""
    return f"Threads: {usual['threads']}; {usual['cpu']}{starred}."


def aging_table(result: dict[str, Any] | None) -> str:
    """What is left of a memory's first views, by how long ago they were learned."""
    if result is None:
        return NOT_MEASURED
    rows = []
    for row in result["rows"]:
        cells = [_change(age["own"]) for age in row["ages"]]
        rows.append([row["way"], *cells, _change(row["ages"][-1]["other"]), str(row["gradient_steps"])])
    first, *later = result["ages"]
    header = ["memory", f"{first} frames after" if first else "at once", *(f"after {age} frames" for age in later)]
    header += ["another world's, at the end", "steps taken"]
    return (
        f"{markdown_table(header, rows)}\n\n{result['worlds']} validation worlds; change of the squared error of the "
        "latents of the first turn around, against no memory, in brackets 95 % bootstrap intervals over worlds."
    )


def recognising_table(result: dict[str, Any] | None) -> str:
    """What a memory brings back after a prefix that it never saw, and after one that it did."""
    if result is None:
        return NOT_MEASURED
    ways = ("once", "again")
    rows = [
        [row["memory"], *(_change(row[way][part]) for way in ways for part in ("first", "own", "other"))]
        for row in result["rows"]
    ]
    header = ["memory"]
    for way in ("after a turn", "after a turn and a context"):
        header += [f"{way}: first chunk", "all", "another world's"]
    return (
        f"{markdown_table(header, rows)}\n\n{result['worlds']} validation worlds; change of the squared error of the "
        "latents, against no memory, in brackets 95 % bootstrap intervals over worlds."
    )


def sampling_table(result: dict[str, Any] | None) -> str:
    """What each kind of memory brings back, by how the world samples."""
    if result is None:
        return NOT_MEASURED
    rows = []
    for row in result["rows"]:
        steps = f"**{row['sampling_steps']}**" if row["default"] else str(row["sampling_steps"])
        errors = [f"{row[arm]['latent']:.3f}" for arm in ("off", "on")]
        changes = [_change(row["effects"][name]) for name in ("memory", "other_memory")]
        rows.append([row["memory"].replace("_", " "), steps, *errors, *changes, f"{row['on']['psnr']:.1f}"])
    header = ["memory", "sampling steps", "error, no memory", "with memory", "its memory changes"]
    header += ["another world's memory", "PSNR with memory (dB)"]
    settings = result["settings"]
    return (
        f"{markdown_table(header, rows)}\n\n"
        f"{settings['worlds']} {settings['split']} worlds; squared errors of the latents of a second turn around, in "
        "brackets 95 % bootstrap intervals over worlds. In bold how the world samples by itself; other numbers of "
        "steps are spaced evenly."
    )


def _change(interval: dict[str, float], digits: int = 0) -> str:
    """Of a reduction: how the error changes."""
    value, low, high = (-100 * interval[name] for name in ("value", "high", "low"))
    return f"{value:+.{digits}f} % [{low:+.{digits}f}, {high:+.{digits}f}]".replace("-", "−")


def ablation_table(result: dict[str, Any] | None) -> str:
    """The paper's Table 4 on our worlds."""
    if result is None:
        return NOT_MEASURED
    rows = []
    for arm, row in result["rows"].items():
        closed, observed = row["closed"], row.get("observed")
        share = "" if closed is None else f"{100 * closed['value']:.0f} % [{_bounds(closed)}]".replace("-", "−")
        cuts = [f"{count:.2f}" for count in row["cuts"].values()]
        seen = "" if observed is None else _change(observed)
        rows.append([arm, f"{row['src']:.2f}", share, *cuts, f"{row['motion']:.1f}", seen])
    detectors = list(next(iter(result["rows"].values()))["cuts"])
    header = ["arm", "SRC", "of the way to the simulator", *(f"cuts ({name})" for name in detectors), "motion"]
    settings = result["settings"]
    table = markdown_table([*header, "observed recall: latent error"], rows)
    return (
        f"{table}\n\n{settings['worlds']} validation worlds, dreams of {settings['turns']} turns out and as many back; "
        "in brackets 95 % bootstrap intervals over worlds."
    )


def _bounds(interval: dict[str, float]) -> str:
    return f"{100 * interval['low']:.0f}, {100 * interval['high']:.0f}"


def loop_table(result: dict[str, Any] | None) -> str:
    """The slow-fast loop beside its control."""
    if result is None:
        return NOT_MEASURED
    rows = []
    for name, row in result["rows"].items():
        errors = [f"{row['arms'][arm]['latent']:.3f}" for arm in ("off", "on")]
        effects = [_change(row["effects"][effect], 1) for effect in ("memory", "other_memory")]
        control = row.get("against_control")
        itself = control is None or control["on"]["low"] == control["on"]["high"]
        against = ["", ""] if itself else [_change(control[arm], 1) for arm in ("off", "on")]
        rows.append([name, *errors, *effects, *against])
    header = ["world", "error, no memory", "with memory", "its memory changes", "another world's memory"]
    header += ["against the control, no memory", "with memory"]
    worlds = result["settings"]["worlds"]
    return (
        f"{markdown_table(header, rows)}\n\n{worlds} validation worlds; squared errors of the latents of a second turn "
        "around, in brackets 95 % bootstrap intervals over worlds, paired."
    )
