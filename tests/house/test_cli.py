"""The command finds its verbs on disk, and turns mistakes into one line and exit status 2."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

import slowfast.cli
from slowfast.cli import main
from slowfast.cli._main import config_class
from slowfast.cli._verbs import Verb, verbs
from slowfast.config import ConfigError, draft, recipe_names

GREET = '''"""Greet someone."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Voice:
    volume: int = 3


@dataclass(frozen=True)
class Greet:
    """Greet someone, loudly or not.

    Example:
        slowfast greet --name Ada
    """

    name: str
    """Whom to greet."""
    times: int = 1
    voice: Voice = Voice()

    def __post_init__(self) -> None:
        if self.times < 1:
            raise ValueError(f"times must be at least 1, got {self.times}")


def run(config: Greet) -> int:
    if config.name == "nobody":
        raise FileNotFoundError("no greeting\\nfor nobody")
    if config.name == "crash":
        raise RuntimeError("a bug")
    print(config.name, config.times, config.voice.volume)
    return 0
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of verbs beside the shipped ones: `greet`, and the group `make` with `big-tea`."""
    (tmp_path / "greet.py").write_text(GREET)
    (tmp_path / "helper.py").write_text('"""Not a verb."""\n')
    (tmp_path / "make").mkdir()
    (tmp_path / "make" / "__init__.py").write_text('"""Make something."""\n')
    (tmp_path / "make" / "big_tea.py").write_text(GREET.replace("Greet someone.", "Make tea."))
    monkeypatch.setattr(slowfast.cli, "__path__", [*slowfast.cli.__path__, str(tmp_path)])
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith(("slowfast.cli.greet", "slowfast.cli.make"))]:
        del sys.modules[name]


def test_help_lists_the_verbs_and_imports_none(python: Callable[..., str], tmp_path: Path) -> None:
    code = """
import sys
from slowfast.cli import main
assert main(["--help"]) == 0
heavy = ("torch", "diffusers", "h5py", "vizdoom", "av", "transformers", "tyro")
assert not [name for name in heavy if name in sys.modules]
"""
    assert "usage: slowfast VERB" in python(code, tmp_path)


def _all_verbs(words: tuple[str, ...] = ()) -> Iterator[Verb]:
    for verb in verbs(words).values():
        yield verb
        if verb.group:
            yield from _all_verbs(verb.words)


@pytest.mark.parametrize("verb", [*_all_verbs()], ids=lambda verb: " ".join(verb.words))
def test_every_verb_has_a_summary_and_a_help_page_with_an_example(
    verb: Verb, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verb.summary.endswith(".")
    assert main([*verb.words, "--help"]) == 0
    page = capsys.readouterr().out
    assert verb.group or ("Example:" in page and f"slowfast {' '.join(verb.words)}" in page)


def test_help_of_a_verb_loads_no_torch(python: Callable[..., str], tmp_path: Path) -> None:
    verbs = [list(verb.words) for verb in _all_verbs() if not verb.group]
    code = f"""
import sys
from slowfast.cli import main
for words in {verbs!r}:
    assert main([*words, "--help"]) == 0
    assert not [name for name in ("torch", "diffusers", "h5py", "vizdoom") if name in sys.modules], words
"""
    assert "slowfast train slow" in python(code, tmp_path)


def _config_classes() -> list[type]:
    return [config_class(import_module(verb.module).run) for verb in _all_verbs() if not verb.group]


def test_configs_of_verbs_are_frozen_dataclasses() -> None:
    for cls in _config_classes():
        assert dataclasses.is_dataclass(cls)
        assert cls.__dataclass_params__.frozen, cls  # type: ignore[attr-defined]


@pytest.mark.parametrize("recipe", recipe_names())
def test_every_recipe_that_ships_fits_a_verb(recipe: str) -> None:
    refusals = []
    for cls in _config_classes():
        try:
            draft(cls, recipe, missing=None)
            return
        except ConfigError as error:
            refusals.append(f"{cls.__name__}: {error}")
    pytest.fail("\n".join(refusals))


def test_a_file_with_run_is_a_verb_and_a_package_is_a_group(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    page = capsys.readouterr().out
    assert "greet" in page
    assert "Make something." in page
    assert "helper" not in page
    assert main(["make", "--help"]) == 0
    assert "big-tea" in capsys.readouterr().out
    assert main(["make", "big-tea", "--name", "Ada"]) == 0


def test_command_line_beats_recipe_beats_default(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = folder / "loud.yaml"
    recipe.write_text("name: Ada\ntimes: 4\nvoice: {volume: 9}\n")
    assert main(["greet", "--recipe", str(recipe), "--times", "2"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "Ada 2 9\n"
    assert "times: 2" in captured.err
    assert main(["greet", f"--recipe={recipe}", "--voice.volume", "1"]) == 0
    assert capsys.readouterr().out == "Ada 4 1\n"


def test_help_shows_defaults_taken_from_the_recipe(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = folder / "loud.yaml"
    recipe.write_text("times: 41\n")
    assert main(["greet", "--recipe", str(recipe), "--help"]) == 0
    page = capsys.readouterr().out
    assert "default: 41" in page
    assert "Whom to greet." in page
    assert "--recipe" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gret"], "no verb 'gret'; did you mean 'greet'?"),
        (["make", "big-te"], "did you mean 'big-tea'?"),
        (["greet", "--name", "nobody"], "no greeting for nobody"),
        (["greet", "--recipe"], "--recipe needs a name or a path"),
        (["greet", "--recipe", "nowhere.yaml"], "nowhere.yaml: no such recipe file"),
    ],
)
def test_a_mistake_is_one_line_and_status_two(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error.splitlines()[-1]
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["greet"], "--name"),
        (["greet", "--name", "Ada", "--tims", "2"], "--times"),
        (["greet", "--name", "Ada", "--times", "x"], "--times"),
        (["greet", "--name", "Ada", "--times", "0"], "times must be at least 1, got 0"),
    ],
)
def test_options_that_do_not_fit_are_status_two(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "slowfast greet --help" in error


def test_debug_shows_the_traceback(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLOWFAST_DEBUG", "1")
    assert main(["greet", "--name", "nobody"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_bug_keeps_its_traceback(folder: Path) -> None:
    with pytest.raises(RuntimeError, match="a bug"):
        main(["greet", "--name", "crash"])


def test_module_and_script_are_the_same_command(python: Callable[..., str], tmp_path: Path) -> None:
    code = (
        "import runpy, sys; sys.argv = ['slowfast', '--version']; runpy.run_module('slowfast.cli', run_name='__main__')"
    )
    import slowfast

    assert python(code, tmp_path).strip() == f"slowfast {slowfast.__version__}"
