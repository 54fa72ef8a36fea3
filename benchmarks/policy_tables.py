"""What policies and plans were worth in real worlds, as Markdown tables for the documentation."""

from __future__ import annotations

from typing import Any

from report import NOT_MEASURED, markdown_table

from slowfast.evaluation.acting import trips
from slowfast.evaluation.follow import summary as followed

ARMS = {
    "luck": "random moves",
    "rhythm": "sees nothing: a step, a turn, a step, a turn",
    "few": "PPO, real frames, as many as the dream began with",
    "dream": "PPO in the dream",
    "real": "PPO, real frames, as many as were dreamed",
    "map": "has a map: walks on while the way is free",
}
SHORT = {
    "luck": "random moves",
    "rhythm": "the walker that sees nothing",
    "few": "PPO with the dream's first frames",
    "dream": "PPO in the dream",
    "real": "PPO with as many real frames",
    "map": "the walker with a map",
}


def policies_table(result: dict[str, Any] | None) -> str:
    """Each arm's return in unseen real worlds, what it learned from, and who earned more than whom."""
    if result is None:
        return NOT_MEASURED
    rows = []
    for arm, label in ARMS.items():
        if arm not in result["arms"]:
            continue
        found = result["arms"][arm]
        dreamed = found["frames"] if arm == "dream" else 0
        real = result["first_frames"] if arm == "dream" else found["frames"]
        forward = found["shares"][result["moves"].index("forward")]
        rows.append(
            [
                label,
                f"{real:,}" if real else "",
                f"{dreamed:,}" if dreamed else "",
                _of(found["return"], ".1f"),
                f"{forward:.0%}".replace("%", " %"),
                f"{found['learning_seconds'] / 60:.0f}" if found["frames"] else "",
            ]
        )
    header = ["learned from", "real frames", "dreamed frames", "steps covered an episode", "moves forward", "minutes"]
    sentences = "\n".join(_sentence(pair) for pair in result["more"])
    return f"{markdown_table(header, rows)}\n\n{sentences}\n\n{_notes(result)}"


def _sentence(pair: dict[str, Any]) -> str:
    verdict = "more than" if pair["low"] > 0 else "less than" if pair["high"] < 0 else "not surely other than"
    return f"- {SHORT[pair['arm']]}: {verdict} {SHORT[pair['than']]}, {_of(pair, '+.1f')}."


def _notes(result: dict[str, Any]) -> str:
    settings, where = result["settings"], result["machine"]
    own, plural = result["world_frames"], "s" * (settings["trainings"] > 1)
    trained = "" if own is None else f" The world itself was trained on {own:,} real frames, once and for any task."
    return (
        f"Episodes of {settings['episode']} steps in {len(result['seeds'])} worlds of the {settings['split']} seeds; "
        f"{settings['trainings']} training{plural} an arm. In brackets 95 % bootstrap intervals over worlds "
        f"and trainings.{trained} Dreams of `{result['world']}`, memory {settings['memory']}, "
        f"{settings['environments']} at once.{_sampled(settings)} Minutes of one training, "
        f"{where['threads']} threads of {where['cpu']}."
    )


def _of(interval: dict[str, float], form: str) -> str:
    value, low, high = (f"{interval[name]:{form}}" for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def _sampled(settings: dict[str, Any]) -> str:
    said = {name: value for name, value in settings["sampling"].items() if value is not None}
    if not said:
        return ""
    return f" Dreams were sampled with {', '.join(f'`{name}={value}`' for name, value in said.items())}."


def plan_table(result: dict[str, Any] | None) -> str:
    """Who succeeded how often, and how it was planned: ``slowfast plan``'s ``plan.json``."""
    if result is None:
        return NOT_MEASURED
    config = result["config"]
    settings = ", ".join(f"{name} {value}" for name, value in config["settings"].items())
    shown = trips.table(result)
    return (
        f"{shown}\n\n{result['worlds']} worlds of the {config['split']} seeds, {config['away']} steps away, at "
        f"most {config['limit']} steps (who needs more counts with {config['limit']}); {config['planner']} "
        f"({settings}); in brackets 95 % bootstrap intervals over worlds. *Seconds*: planning and acting, of all "
        f"worlds.{_sampled(config)}"
    )


def walls_table(result: dict[str, Any] | None) -> str:
    """How far a step forward leads at a wall and in the open: ``walls.json``."""
    if result is None:
        return NOT_MEASURED
    where = {"wall": "at a wall", "open": "in the open"}
    rows = []
    for row in result["rows"]:
        true = result["true"][row["place"]]
        cells = [_of(interval, ".2f") for interval in (true, row["odometry"], row["dreamed"])]
        rows.append([f"{row['world']}, {where[row['place']]}", *cells])
    settings = result["settings"]
    table = markdown_table(["", "really", "read from true frames", "in the dream"], rows)
    met = ", ".join(f"`{policy}` {share:.1%}".replace("%", " %") for policy, share in result["walls_met"].items())
    return (
        f"{table}\n\nSteps that a step forward leads, means of {settings['ahead']} in a row, without memory, at "
        f"{settings['places']} places of each kind in rooms of the {settings['split']} seeds; in brackets 95 % "
        "bootstrap intervals over places. Steps forward that led nowhere, in "
        f"{settings['episodes']} episodes of each policy that collects clips: {met}."
    )


def returns_table(result: dict[str, Any] | None) -> str:
    """What reality pays a policy and what dreams do: ``dream_returns.json``."""
    if result is None:
        return NOT_MEASURED
    settings = result["settings"]
    length = settings["episode"] // settings["parts"]
    named = {"forward": "always forward", **ARMS}
    rows = []
    for row in result["rows"]:
        label = named.get(row["policy"]) or named.get(row["policy"].rpartition("-")[0], row["policy"])
        where = "real rooms" if row["where"] == "real" else f"dreams of `{row['where']}`"
        rows.append([label, where, _of(row["return"], ".1f"), *(f"{part:.2f}" for part in row["parts"])])
    header = ["policy", "acts in", "steps covered an episode"]
    header += [f"a step, {first + 1} to {first + length}" for first in range(0, settings["episode"], length)]
    return (
        f"{markdown_table(header, rows)}\n\nEpisodes from the same {settings['places']} places in rooms of the "
        f"{settings['split']} seeds; a dream has seen the first frame alone. In brackets 95 % bootstrap intervals over "
        f"places. Memory {settings['memory']}.{_sampled(settings)}"
    )


def follow_table(result: dict[str, Any] | None) -> str:
    """How well words were followed: ``slowfast follow``'s ``follow.json``."""
    if result is None:
        return NOT_MEASURED
    config = result["config"]
    goals = ", ".join(f"*{goal}*" for goal in config["sub_goals"])
    way = "walked out by their words and followed back by the opposite ones" if config["retrace"] else "followed"
    shown = followed.table(result)
    return (
        f"{shown}\n\n{goals}, a chunk each, {way}, in {result['worlds']} worlds of the {config['split']} "
        "seeds; in brackets 95 % bootstrap intervals over worlds. *Seconds*: of all worlds."
    )
