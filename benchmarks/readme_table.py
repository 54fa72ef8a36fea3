"""Writes the figures of the README and the documentation from the benchmarks' JSON; ``--check`` only compares.

python benchmarks/readme_table.py
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import loading
import tyro
from format_tables import doctor_table, formats_table, fuzz_table
from memory_tables import (
    ablation_table,
    aging_table,
    loop_table,
    recognising_table,
    sampling_table,
    trust_table,
    tuning_table,
)
from policy_tables import follow_table, plan_table, policies_table, returns_table, walls_table
from recall_tables import recall_all, recall_beyond
from report import RESULTS, Parts, filled_parts, write_text
from tables import long_table, quality_table, routes_table, short_step_table, step_table, update_table

PAGES: dict[str, Parts] = {
    "README.md": {
        "figures": ("world_quality.json", quality_table),
        "recall": ("recall.json", recall_beyond),
        "acting": ("follow_back.json", follow_table),
        "long": ("long_rollout.json", long_table),
        "speed": ("env_steps.json", short_step_table),
        "updates": ("memory_update.json", update_table),
    },
    "docs/clips.md": {
        "formats": ("formats.json", formats_table),
        "fuzz": ("fuzz.json", fuzz_table),
    },
    "docs/policies.md": {
        "policies": ("dream_ppo.json", policies_table),
        "walls": ("walls.json", walls_table),
        "returns": ("dream_returns.json", returns_table),
    },
    "docs/concepts.md": {"routes": ("world_quality.json", routes_table)},
    "docs/data.md": {"loading": ("loading.json", loading.as_table)},
    "docs/doctor.md": {"doctor": ("doctor_faults.json", doctor_table)},
    "docs/environments.md": {"speed": ("env_steps.json", step_table), "plan": ("plan.json", plan_table)},
    "docs/follow.md": {"follow": ("follow.json", follow_table), "retrace": ("follow_back.json", follow_table)},
    "docs/tabletop.md": {"plan": ("plan_tabletop.json", plan_table)},
    "docs/memory.md": {
        "recall": ("recall.json", recall_all),
        "keys": ("recall_keys.json", recall_all),
        "tours": ("recall_tours.json", recall_all),
        "tuning": ("memory_tuning.json", tuning_table),
        "back": ("memory_tuning_back.json", tuning_table),
        "stepped": ("memory_tuning_stepped.json", tuning_table),
        "recognising": ("recognising.json", recognising_table),
        "aging": ("memory_aging.json", aging_table),
        "ablation": ("ablation.json", ablation_table),
        "loop": ("loop_control.json", loop_table),
        "live": ("loop_live.json", loop_table),
        "trust": ("trust_tuning.json", trust_table),
        "sampling": ("recall_by_sampling.json", sampling_table),
    },
}
"""The marked parts of each page."""


@dataclass(frozen=True)
class Settings:
    """``root``: where the pages are; ``results``: folder of the benchmarks' JSON."""

    root: Path = Path(__file__).parents[1]
    results: Path = RESULTS
    check: bool = False


def main(settings: Settings) -> int:
    stale = []
    for name, parts in PAGES.items():
        page = (settings.root / name).read_text(encoding="utf-8")
        new = filled_parts(page, parts, settings.results)
        if new == page:
            continue
        stale.append(name)
        if not settings.check:
            write_text(settings.root / name, new)
    if settings.check:
        for name in stale:
            print(f"{name} does not say what {settings.results} says: run benchmarks/readme_table.py")
        return int(bool(stale))
    print(f"written: {', '.join(stale) or 'nothing, all pages are up to date'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Settings, description=__doc__)))
