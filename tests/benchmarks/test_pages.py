"""Pages say what the benchmarks measured: figures come from JSON, by script, or not at all."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import model_card
import pytest
import readme_table
import recall_tables
import report
import tables

from slowfast.world_folder import find_world

ROOT = Path(__file__).parents[2]
CARD = ROOT / "slowfast/checkpoints/doom-rooms/README.md"


def quality(sensitivity: float) -> dict[str, Any]:
    cell = {"value": sensitivity, "low": sensitivity - 0.1, "high": sensitivity + 0.1}
    split = {"windows": 8, "worlds": 2, "frames": 97, "figures": dict.fromkeys(tables.QUALITY, cell)}
    return {
        "world": "doom-rooms",
        "base_hash": "b" * 64,
        "prefix": 4,
        "new": 4,
        "sampling_steps": 4,
        "parameters": {"slow": 6_100_000, "codec": 2_000_000},
        "megabytes": 17.5,
        "machine": {"cpu": "a CPU", "cores": 2, "threads": 2, "torch": "2.13.0"},
        "denoiser": {
            "frames": 5,
            "own": {"median": 21.34, "quietest": 19.26},
            "stock": {"median": 25.1, "quietest": 24.0},
        },
        "step": {"milliseconds": 101.0},
        "bars": {"action_sensitivity": 1.0, "denoiser_ms": 25.0},
        "splits": {"validation": split, "held_out": split},
    }


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    """The pages as they stand, to be written to."""
    for name in readme_table.PAGES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


def test_the_pages_say_what_the_results_say() -> None:
    assert readme_table.main(readme_table.Settings(check=True)) == 0


def test_the_card_says_what_the_results_say() -> None:
    page = CARD.read_text(encoding="utf-8")
    assert model_card.fill(page, report.RESULTS) == page


def test_nothing_is_left_unmeasured() -> None:
    for page in (*(ROOT / name for name in readme_table.PAGES), CARD):
        text = page.read_text(encoding="utf-8")
        assert report.NOT_MEASURED not in text, page
        for image in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
            assert (page.parent / image).is_file(), f"{page} shows {image}, which is not there"


@pytest.mark.parametrize("name", ["world_quality.json", "revisit.json"])
def test_results_are_of_the_checkpoint_that_ships(name: str) -> None:
    from slowfast.world_model import WorldModel

    result = report.read_json(report.RESULTS / name)
    assert result is not None
    assert result["base_hash"] == WorldModel.from_pretrained(find_world("doom-rooms")).base_hash


def test_a_new_result_changes_the_page_and_the_check_says_so(copies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = copies / "results"
    report.write_json(results / "world_quality.json", quality(1.37))
    settings = readme_table.Settings(copies, results)
    assert readme_table.main(readme_table.Settings(copies, results, check=True)) == 1
    assert "README.md does not say what" in capsys.readouterr().out
    assert readme_table.main(settings) == 0
    text = (copies / "README.md").read_text(encoding="utf-8")
    assert "| action sensitivity: left and right swapped | +137 % (+127 % to +147 %) |" in text
    assert "(bar: 25 ms) takes 21.3 ms (undisturbed 19.3), 25.1 ms (undisturbed 24.0) by diffusers' own" in text
    assert "the words alone: shuffled" in (copies / "docs/concepts.md").read_text(encoding="utf-8")
    assert readme_table.main(readme_table.Settings(copies, results, check=True)) == 0


def test_recall_stands_beside_its_controls_place_by_place() -> None:
    change = {"value": 0.4, "low": 0.35, "high": 0.45}
    figures = {"latent": 0.6, "psnr": 18.0, "ssim": 0.5, "feature": 0.4, "right": 0.61}
    arms = {
        "no memory": {**figures, "latent": 1.0, "against_none": None},
        "retrieval": {**figures, "against_none": {"reduction": change}},
    }
    place = {"frames": 16.0, "chance": 0.011, "arms": arms}
    result = {
        "places": {"in the context": place, "beyond the context": place},
        "seeds": {"circle": [1, 2, 3]},
        "seen": {"circle": 16},
        "split": "test",
        "extractor": "a network",
    }
    beyond, everything = recall_tables.recall_beyond(result), recall_tables.recall_all(result)
    assert "**Beyond the context**, 16 frames in each of 3 worlds (a view picked at random is right in 1.1 %)" in beyond
    assert "| retrieval | 0.600 | −40 % [−45 %, −35 %] | 18.00 | 0.500 | 0.400 | 61 % |" in beyond
    assert "In the context" not in beyond
    assert "In the context" in everything


def test_a_result_of_the_world_as_it_was_before_says_so() -> None:
    shipped = {"world": "doom-rooms", "base_hash": "b" * 64}
    before = "a" * 64
    for result in ({"base_hash": before}, {"world": {"name": "doom-rooms", "base_hash": before}}):
        assert report.measured_on(result, shipped).endswith("(weights `aaaaaaaaaaaa`).")
    of_another = {"world": {"name": "tabletop", "base_hash": before}}
    for result in (None, {}, {"world": "doom-rooms"}, {"base_hash": shipped["base_hash"]}, of_another):
        assert report.measured_on(result, shipped) == ""


def test_what_stands_outside_the_marks_is_kept() -> None:
    page = "before\n<!-- a:begin -->\nold\n<!-- a:end -->\nafter <!-- b:begin -->\nkept\n<!-- b:end -->"
    new = report.filled(page, "a", "new \\1")
    assert new == page.replace("\nold\n", "\n\nnew \\1\n\n")
    with pytest.raises(ValueError, match="exactly one part"):
        report.filled(page, "c", "new")


def test_the_updates_table_reads_the_benchmark_as_it_is() -> None:
    row = {"layers": "temporal_attention", "episodes": 4, "update_stacked_ms": 181.0, "update_peft_ms": 320.0}
    row |= {"update_ratio": 1.77, "update_stacked_mib": 90.0, "update_peft_mib": 40.0, "attach_ms": 2.0}
    row |= {"forward_overhead": 0.051, "forward_overhead_low": 0.042, "forward_overhead_high": 0.06}
    row |= {"forward_peft_ms": 150.0, "forward_alone_ms": 100.0, "forward_alone_mib": 10.0}
    settings = {"rank": 16, "threads": 2, "precision": "float32", "device": "cpu", "pairs": 24}
    result = {"rows": [row], "settings": settings, "parameters": 5e6, "machine": {"torch": "2.13.0"}}
    row_written = "| temporal attention | 4 | 181 | 320 | 1.77 | 90 | 40 | +5.1 % [+4.2, +6.0] | +50 % |"
    assert row_written in tables.update_table(result)
    single = {**result, "rows": [{**row, "episodes": 1}]}
    assert "Merging one memory: 2 ms" in tables.update_table(single)
    takes = "a call for one episode takes 29 MiB at its peak and an update of temporal attention 109, +275 %"
    assert takes in tables.update_table(single)


def test_long_dreams_and_speed_stand_beside_their_baselines() -> None:
    real = {"frames": "real", "drift_early": 0.4, "drift_late": 0.41, "drift_ratio": 1.02}
    dreamed = {**real, "frames": "dreamed, memory off", "drift_ratio": 1.3, "resident_early_mib": 700.0}
    settings = {"episodes": 8, "frames": 500, "real": 1024}
    result = {"rows": [real, dreamed], "settings": settings, "features": "a network", "drift_bar": 1.5}
    text = tables.long_table(result)
    assert "| real | 0.400 | 0.410 | 1.02 |" in text
    assert "may be at most 1.5" in text
    shares = {f"{part}_percent": 20.0 for part in ("denoise", "decode", "memory", "head", "else")}
    row = {"environments": 16, "memory": "temp_lora", "frames_per_step": 4, "frames_per_second": 12.34, **shares}
    row |= {"sampling_steps": 2, "keep_prefix": True, "roll_prefix": False, "compiled": False}
    row |= {"first_frame_ratio": 0.478, "walk_ratio": 0.544, "walk_detail": 0.3, "recall_change": -0.981}
    where = {"threads": 2, "cpu": "a CPU"}
    speed = {
        "rows": [row],
        "settings": {"device": "cpu", "dtype": "float32"},
        "machine": where,
    }
    assert "| 16 | temp lora | 4 | 2, kept | 12.3 | 20 % |" in tables.step_table(speed)
    assert "| 0.48 | 0.54 | 0.30 | −98 % |" in tables.step_table(speed)
    rolled = {"rows": [{**row, "roll_prefix": True, "compiled": True}]}
    assert "| 2, rolled, compiled | 12.3 |" in tables.step_table({**speed, **rolled})
    alone = {**row, "environments": 1, "frames_per_step": 1}
    rows = [{**alone, "memory": "off", "milliseconds_per_frame": 50.0}, {**alone, "milliseconds_per_frame": 75.0}]
    assert "with a memory: temp lora +50 %" in tables.step_table({**speed, "rows": rows})


def test_a_result_is_written_whole(tmp_path: Path) -> None:
    report.write_json(tmp_path / "deep" / "result.json", {"value": 1})
    assert json.loads((tmp_path / "deep" / "result.json").read_text()) == {"value": 1}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["result.json"]
