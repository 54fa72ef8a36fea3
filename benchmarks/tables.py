"""The benchmarks' results as Markdown tables, for the README and the model card."""

from __future__ import annotations

from typing import Any

from report import NOT_MEASURED, markdown_table

from slowfast.evaluation.verdicts import headline, recall_table, recall_verdicts

Result = dict[str, Any]

QUALITY = {
    "codec_psnr": ("codec, PSNR in dB", ".1f", "≥"),
    "first_frame_ratio": ("first new frame, squared error / repeating the last frame", ".2f", "≤"),
    "chunk_ratio": ("chunk of new frames, squared error / repeating the last frame", ".2f", "≤"),
    "chunk_psnr": ("chunk of new frames, PSNR in dB", ".1f", ""),
    "repeat_psnr": ("… of the last frame, repeated", ".1f", ""),
    "action_sensitivity": ("action sensitivity: left and right swapped", "+.0%", "≥"),
    "text_action_sensitivity": ("… with the action in words alone", "+.0%", "≥"),
    "shuffled_actions": ("actions shuffled, over the chunk", "+.0%", "≥"),
    "text_shuffled_actions": ("… with the action in words alone", "+.0%", ""),
}
SPLITS = {"validation": "validation", "test": "test", "held_out": "held-out textures"}


def quality_table(result: Result | None) -> str:
    """One chunk ahead on unseen worlds, by split, beside the bars; and how fast."""
    if result is None:
        return NOT_MEASURED
    splits = [name for name in SPLITS if name in result["splits"]]
    rows = []
    for name, (label, form, sign) in QUALITY.items():
        cells = [result["splits"][split]["figures"][name] for split in splits]
        shown = [_cell(cell, form) for cell in cells]
        bar = f"{sign} {_number(result['bars'][name], form)}" if name in result["bars"] else ""
        rows.append([label, *shown, bar])
    table = markdown_table(["one chunk ahead, unseen worlds", *(SPLITS[split] for split in splits), "bar"], rows)
    return f"{table}\n\n{_quality_notes(result)}"


def routes_table(result: Result | None) -> str:
    """How much a world listens to its actions, by the road they take."""
    if result is None:
        return NOT_MEASURED
    splits = [name for name in SPLITS if name in result["splits"]]
    rows = []
    for prefix, label in (("", "the index alone"), ("text_", "the words alone")):
        for name, what in (("action_sensitivity", "left and right swapped"), ("shuffled_actions", "shuffled")):
            cells = [result["splits"][split]["figures"][f"{prefix}{name}"] for split in splits]
            rows.append([f"{label}: {what}", *(_cell(cell, "+.0%") for cell in cells)])
    header = [f"`{result['world']}`, rise of the squared error", *(SPLITS[split] for split in splits)]
    return markdown_table(header, rows)


def _quality_notes(result: Result) -> str:
    first = next(iter(result["splits"].values()))
    where = result["machine"]
    size = f", {result['megabytes']:.1f} MB on disk" if result.get("megabytes") else ""
    return (
        f"{first['windows']} windows from {first['worlds']} worlds a split, {result['prefix']} frames shown and "
        f"{result['new']} foretold with {result['sampling_steps']} sampling steps; in parentheses 95 % bootstrap "
        f"intervals over worlds. The codec on all {first['frames']} frames of these worlds. Held-out textures have no "
        f"bar. {_millions(result['parameters']['slow'])} parameters "
        f"(codec {_millions(result['parameters']['codec'])}){size}. One call of the denoiser on "
        f"{result['denoiser']['frames']} frames (bar: {result['bars']['denoiser_ms']:g} ms) takes "
        f"{_call_times(result['denoiser'])}; a dreamed frame {result['step']['milliseconds']:.0f} ms, with "
        f"{where['threads']} threads of {where['cpu']}, float32, torch {where['torch']}."
    )


CALLED = {"own": "", "compiled": " with `compile=True`", "stock": " by diffusers' own network of that size"}


def _call_times(found: dict[str, Any]) -> str:
    """The median over blocks of calls and the quietest block, of each network that was timed in turn."""
    return ", ".join(
        f"{found[name]['median']:.1f} ms (undisturbed {found[name]['quietest']:.1f}){what}"
        for name, what in CALLED.items()
        if name in found
    )


def _rule(rule: dict[str, Any]) -> str:
    """A memory rule in words."""
    parts = []
    if rule["steps"]:
        dreamed = "" if rule.get("dreamed_steps") is None else f" ({rule['dreamed_steps']} on a chunk that was dreamed)"
        layers = rule["layers"].replace("_", " ")
        parts.append(
            f"{rule['steps']} steps a chunk{dreamed}, rank {rule['rank']}, learning rate {rule['learning_rate']:g}, "
            f"{layers}"
        )
    if rule.get("recalled"):
        parts.append(f"{rule['recalled']} frames of up to {rule['bank']} are shown again, found by {rule['recall_by']}")
    return f"Rule `{rule['name']}`: {'; '.join(parts)}"


def revisit_table(result: Result | None) -> str:
    """What was seen once and is dreamed again, by arm, and what follows from it in words."""
    if result is None:
        return NOT_MEASURED
    recall = result["recall"]
    table = recall_table(recall)
    sentences = "\n".join(f"- {sentence}" for sentence in recall_verdicts(recall))
    shown = markdown_table(list(table.header), [list(row) for row in table.rows])
    return (
        f"**{headline(recall)}.**\n\n{shown}\n\n{sentences}\n\n{recall['worlds']} worlds of the {result['split']} "
        f"seeds: {recall['seen']} real steps are seen and remembered, then {recall['dreamed']} frames are dreamed "
        f"without looking again. {_rule(result['rule'])}; all worlds were shown together in "
        f"{recall['taught']['seconds']:.0f} s with {result['machine']['threads']} threads."
    )


def long_table(result: Result | None) -> str:
    """What becomes of a long dream: how far from real frames, whether it obeys, how much memory it takes."""
    if result is None:
        return NOT_MEASURED
    columns = {
        "drift_early": ".3f",
        "drift_late": ".3f",
        "drift_ratio": ".2f",
        "wrong_turn_rise_early": "+.0%",
        "wrong_turn_rise_late": "+.0%",
        "resident_early_mib": ".0f",
        "resident_late_mib": ".0f",
    }
    rows = [
        [row["frames"], *(_number(row[name], form) if name in row else "" for name, form in columns.items())]
        for row in result["rows"]
    ]
    header = ["", "distance, frames 10 to 60", "last 50", "ratio", "wrong turn, 10 to 60", "last 50"]
    table = markdown_table([*header, "MiB, 50 to 100", "last 50"], rows)
    settings = result["settings"]
    return (
        f"{table}\n\n{settings['episodes']} dreams of {settings['frames']} frames from test worlds. *Distance*: "
        f"squared maximum mean discrepancy from {settings['real']} real frames of other worlds, in features of "
        f"{result['features']}; its ratio may be at most {result['drift_bar']:g}. *Wrong turn*: how much worse a frame "
        "fits the opposite of the turn that was asked for; 0 where the dream is frozen or deaf. *MiB*: resident memory "
        "of the process."
    )


def step_table(result: Result | None) -> str:
    """How fast the environment steps."""
    if result is None:
        return NOT_MEASURED
    rows = [
        [
            str(row["environments"]),
            row["memory"].replace("_", " "),
            str(row["frames_per_step"]),
            _sampling(row),
            f"{row['frames_per_second']:.1f}",
            *(f"{row[f'{part}_percent']:.0f} %" for part in ("denoise", "decode", "memory", "head", "else")),
            *(f"{row[name]:.2f}" if name in row else "" for name in ("first_frame_ratio", "walk_ratio", "walk_detail")),
            _number(row["recall_change"], "+.0%").replace("-", "−") if "recall_change" in row else "",
        ]
        for row in result["rows"]
    ]
    header = ["environments", "memory", "frames a step", "sampling", "frames a second"]
    header += ["denoising", "decoding", "learning", "heads", "rest"]
    header += ["first frame / repeating", "walk / repeating", "detail / codec", "seen before"]
    where, settings = result["machine"], result["settings"]
    return (
        f"{markdown_table(header, rows)}\n\n`slowfast/Dream-v0` on {settings['device']}, {settings['dtype']}, "
        f"{where['threads']} threads of {where['cpu']}. Frames a second of all environments together. Sampling: steps; "
        "*kept*, with `keep_prefix`; *rolled*, with `roll_prefix`; *compiled*, with `compile=True`. The last "
        "columns say what quality that way to sample has, without a memory by `sampling_steps.py`: errors of the first "
        "frame and of a walk frame by frame, and the detail that it ends with; and with one by "
        "`recall_by_sampling.py`: *seen before*, how it changes the error of views that were seen and have left the "
        "context."
        f"{_memory_cost(result['rows'])}"
    )


def short_step_table(result: Result | None) -> str:
    """One environment and sixteen, a frame a step, with prefixes that roll or are looked at anew."""
    if result is None:
        return NOT_MEASURED
    rows = [
        row
        for row in result["rows"]
        if row["environments"] in (1, 16)
        and row["frames_per_step"] == 1
        and (row["roll_prefix"] or not row["keep_prefix"])
    ]
    return step_table({**result, "rows": rows})


def _sampling(row: dict[str, Any]) -> str:
    prefix = "rolled" if row["roll_prefix"] else "kept" if row["keep_prefix"] else None
    how = [name for name in (prefix, "compiled" if row["compiled"] else None) if name]
    return ", ".join([str(row["sampling_steps"]), *how])


def _memory_cost(rows: list[dict[str, Any]]) -> str:
    """What a memory costs where one environment takes one step at a time, sampled as most memories were."""
    single = [row for row in rows if row["environments"] == row["frames_per_step"] == 1]
    ways = [_sampling(row) for row in single]
    usual = max(ways, key=ways.count, default="")
    alone = {row["memory"]: row for row in single if _sampling(row) == usual}
    if "off" not in alone or len(alone) == 1:
        return ""
    free = alone["off"]["milliseconds_per_frame"]
    costs = [
        f"{name.replace('_', ' ')} {_number(row['milliseconds_per_frame'] / free - 1, '+.0%')}"
        for name, row in alone.items()
        if name != "off"
    ]
    return (
        f" Sampled in {usual} steps, a frame of one environment takes longer with a memory: {', '.join(costs)} (the "
        "paper's: +6.8 % a sample)."
    )


def update_table(result: Result | None) -> str:
    """What one stacked update costs beside a loop over PEFT adapters."""
    if result is None:
        return NOT_MEASURED
    rows = [
        [
            row["layers"].replace("_", " "),
            str(row["episodes"]),
            f"{row['update_stacked_ms']:.0f}",
            f"{row['update_peft_ms']:.0f}",
            f"{row['update_ratio']:.2f}",
            f"{row['update_stacked_mib']:.0f}",
            f"{row['update_peft_mib']:.0f}",
            _reading(row),
            _number(row["forward_peft_ms"] / row["forward_alone_ms"] - 1, "+.0%"),
        ]
        for row in result["rows"]
    ]
    header = ["adapted layers", "episodes", "update stacked, ms", "loop over PEFT, ms", "ratio"]
    header += ["stacked, MiB", "loop, MiB", "reading stacked", "reading by the loop"]
    table = markdown_table(header, rows)
    merged = [row for row in result["rows"] if row["episodes"] == 1]
    merging = f" Merging one memory: {max(row['attach_ms'] for row in merged):.0f} ms an update." if merged else ""
    settings = result["settings"]
    clock = "processor time" if settings.get("clock") == "cpu" else "elapsed time"
    return (
        f"{table}\n\nOne gradient step on a window an episode, {_millions(result['parameters'])} parameters, rank "
        f"{settings['rank']}, {settings['precision']}, {settings['device']}, {settings['threads']} threads, {clock}, "
        f"torch {result['machine']['torch']}. *MiB*: what is allocated at the peak of an update. *Reading*: how much "
        f"longer one call of the network takes than without memories, stacked the median of {settings['pairs']} pairs "
        f"of calls or more, the fewer episodes the more, with its 95 % bootstrap interval; one memory is merged "
        f"into the weights.{merging}{_peak_cost(result['parameters'], merged)}"
    )


def _peak_cost(parameters: int, single: list[dict[str, Any]]) -> str:
    """What learning takes of memory beside sampling, of one episode, whose weights lie there in both."""
    if not single:
        return ""
    weights, last = 4 * parameters / 2**20, single[-1]
    without, learning = (weights + last[name] for name in ("forward_alone_mib", "update_stacked_mib"))
    return (
        f" With the weights ({weights:.0f} MiB), a call for one episode takes {without:.0f} MiB at its peak and an "
        f"update of {last['layers'].replace('_', ' ')} {learning:.0f}, {_number(learning / without - 1, '+.0%')} (the "
        "paper's, at 1.7 B parameters: +3.7 %)."
    )


def _reading(row: dict[str, Any]) -> str:
    value, low, high = (_number(row[f"forward_overhead{end}"], "+.1%") for end in ("", "_low", "_high"))
    return f"{value} [{low[:-2]}, {high[:-2]}]"


def _number(value: float, form: str) -> str:
    return f"{value:{form}}".replace("%", " %")


def _cell(cell: dict[str, float], form: str) -> str:
    value, low, high = (_number(cell[name], form) for name in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f} M"
