"""Whether the real LeRobot loads what `slowfast export --to lerobot` writes, in an environment of its own.

Makes build/interop with pip (once), exports episodes of DoomRooms and of a world with a mixed action, loads them there
with LeRobotDataset, and compares every frame, action, reward and task. Writes JSON with the date and the versions.

    python benchmarks/lerobot_interop.py
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import venv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from report import RESULTS, write_json

from slowfast.actions import ActionSpec, Continuous, Discrete, Keyboard, Language
from slowfast.datasets.collect import collect
from slowfast.datasets.episode import Episode
from slowfast.datasets.export.lerobot_features import task_component, task_texts
from slowfast.datasets.export.pipeline import export
from slowfast.datasets.export.survey import survey
from slowfast.datasets.store import Store, write_episode

POLICY = "slowfast.envs.policies:make_policy:explore"
LEROBOT = "lerobot==0.4.4"
NO_DEPENDENCIES = (LEROBOT, "torchvision==0.25.0")
"""Installed without what they ask for: their pins allow no torch that comes as a CPU build, and a CUDA build is
gigabytes. Of torchvision the Python part is used; its compiled operators do not load and are not needed to read."""
NOTE = (
    "torch and torchvision are not the versions that lerobot pins, torch is a CPU build, and torchvision's compiled "
    "operators are declared but not there; frames are decoded by lerobot's pyav backend"
)
PACKAGES = (
    "torch==2.13.0",
    "datasets>=4,<5",
    "av>=15,<16",
    "huggingface-hub>=0.34.2,<0.36",
    "accelerate>=1.10,<2",
    "draccus==0.10.0",
    "deepdiff>=7.0.1,<9",
    "einops>=0.8,<0.9",
    "jsonlines>=4,<5",
    "packaging>=24.2,<26",
    "pandas",
    "pillow",
    "pyarrow",
    "termcolor>=2.4,<4",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environment", type=Path, default=Path("build/interop"))
    parser.add_argument("--episodes", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--out", type=Path, default=RESULTS / "interop.json")
    arguments = parser.parse_args()
    python = environment(arguments.environment)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        sets = {"doom-rooms": _doom_rooms(folder, arguments), "mixed actions": _mixed(folder, arguments)}
        found = {name: loaded(python, _exported(folder / name, store)) for name, store in sets.items()}
    result = {"date": datetime.date.today().isoformat(), **_versions(python), "note": NOTE, "sets": found}
    write_json(arguments.out, result)
    print(as_table(result))
    return 0 if all(checked["same"] for checked in found.values()) else 1


def environment(folder: Path) -> Path:
    """The Python of an environment with LeRobot in it, made where it is not there or is of other packages."""
    python, wanted = folder / "bin/python", "\n".join((*PACKAGES, *NO_DEPENDENCIES)) + "\n"
    stamp = folder / "slowfast-interop.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        venv.create(folder, with_pip=True, clear=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *PACKAGES], check=True)
        subprocess.run([*pip, "--no-deps", *NO_DEPENDENCIES], check=True)
        stamp.write_text(wanted)
    return python


def loaded(python: Path, folder: Path) -> dict[str, Any]:
    """What LeRobot's reader makes of ``folder/lerobot``, beside ``folder/expected.npz``."""
    script = Path(__file__).with_name("lerobot_interop_reader.py")
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "cache")}
    done = subprocess.run(
        [python.absolute(), script, folder], capture_output=True, text=True, env=offline, cwd=folder, check=False
    )
    if done.returncode:
        sys.exit(f"{folder}: LeRobot cannot load it:\n{done.stderr}")
    found: dict[str, Any] = json.loads((folder / "found.json").read_text())
    return found


def as_table(result: dict[str, Any]) -> str:
    lines = [f"{result['date']}: {', '.join(f'{name} {version}' for name, version in result['versions'].items())}"]
    for name, found in result["sets"].items():
        psnr = ", ".join(f"{name} {of['median']:.1f} ({of['worst']:.1f})" for name, of in found["psnr"].items())
        verdict = "the same" if found["same"] else f"NOT the same: {found['different']}"
        counted = f"{found['episodes']} episodes, {found['rows']} rows"
        lines.append(f"{name:<15} {counted}: {verdict}; median (worst) frame in dB: {psnr}")
    return "\n".join(lines)


def _exported(folder: Path, store: Store) -> Path:
    """The export and, as plain arrays, what has to be in it, row by row."""
    folder.mkdir(parents=True, exist_ok=True)
    export(store.folder, "lerobot", folder / "lerobot")
    tasks = task_component(survey(store))
    rows: dict[str, list[np.ndarray]] = {}
    for episode in store:
        acting = [component for component in store.spec.components if not isinstance(component, Language)]
        actions = np.concatenate([episode.actions[c.name].reshape(len(episode), -1) for c in acting], 1)
        parts: dict[str, Any] = {f"frames/{name}": frames for name, frames in episode.frames.items()}
        parts |= {"action": np.concatenate([actions, actions[-1:]]), "next.reward": np.append(episode.rewards, 0)}
        parts |= {"task": task_texts(episode, tasks).astype(str)}
        parts |= {f"observation.{name}": states for name, states in episode.states.items()}
        for name, value in parts.items():
            rows.setdefault(name, []).append(value)
    arrays = {name: np.concatenate(parts) for name, parts in rows.items()}
    np.savez(folder / "expected.npz", fps=store.fps(0), lengths=store.lengths + 1, **arrays)
    return folder


def _doom_rooms(folder: Path, arguments: argparse.Namespace) -> Store:
    out = folder / "collected"
    return collect("slowfast/DoomRooms-v0", POLICY, range(arguments.episodes), out, steps=arguments.steps)


def _mixed(folder: Path, arguments: argparse.Namespace) -> Store:
    """The same pictures under an action of a choice, a vector and keys, a state, and tasks that change on the way."""
    spec = ActionSpec(
        (
            Discrete("gear", ("low", "high")),
            Continuous("arm", (-1.0,) * 3, (1.0,) * 3, ("x", "y", "z")),
            Keyboard("keys", ("grip", "lift")),
            Language("task"),
        )
    )
    rng = np.random.default_rng(0)
    for number, episode in enumerate(Store(folder / "collected")):
        count = len(episode)
        actions: dict[str, Any] = {
            "gear": rng.integers(0, 2, count),
            "arm": rng.uniform(-1, 1, (count, 3)).astype(np.float32),
            "keys": rng.integers(0, 2, (count, 2)),
            "task": np.where(np.arange(count) < count // 2, "pick up the cube", "lay it down – gently").astype(object),
        }
        states = {"state": rng.normal(size=(count + 1, 5)).astype(np.float32)}
        mixed: Episode = replace(episode, spec=spec, actions=actions, states=states, infos={}, fps=12.5)
        write_episode(folder / "mixed", mixed, "none", number, index=False)
    return Store(folder / "mixed")


def _versions(python: Path) -> dict[str, Any]:
    names = ("lerobot", "datasets", "torch", "torchvision", "av", "pyarrow", "pandas", "numpy")
    code = f"from importlib.metadata import version; import json; print(json.dumps({{n: version(n) for n in {names}}}))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return {"python": sys.version.split()[0], "versions": json.loads(done.stdout)}


if __name__ == "__main__":
    sys.exit(main())
