"""Documents say what is so: records, commands, options and printed output."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import click
import pytest

from hopscope import cli
from hopscope.heuristics import registry
from hopscope.heuristics.base import Heuristic
from support.documents import script

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["records", "settings", "heuristics", "coverage_page"])
def test_pages_made_from_definitions_are_current(name: str) -> None:
    written = script(name)
    assert written.PAGE.read_text(encoding="utf-8") == "\n".join(written.page()) + "\n", "run `make docs`"


@pytest.mark.parametrize(("name", "heuristic"), list(registry().items()))
def test_every_heuristic_is_in_the_readme_with_its_technique_and_in_the_changelog(
    name: str, heuristic: Heuristic
) -> None:
    [row] = [line for line in README.splitlines() if line.startswith("|") and f"heuristics/{name}.py" in line]
    assert heuristic.d3fend in row
    assert f"`{name}`" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def options() -> list[tuple[str, str]]:
    """Every command and its options, as typed."""
    group = cli.commands
    found = [("", option) for parameter in group.params for option in parameter.opts if option != "--help"]
    for name, command in group.commands.items():
        found.append((name, f"hopscope {name}"))
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                found += [(name, option) for option in parameter.opts]
    return found


@pytest.mark.parametrize(("command", "option"), options())
def test_every_command_and_option_is_in_the_readme(command: str, option: str) -> None:
    assert re.search(rf"{re.escape(option)}(?![\w-])", README), f"README.md says nothing of {command} {option}"


@pytest.mark.parametrize("code", [cli.NOTHING, cli.FOUND, cli.USAGE, cli.INPUT])
def test_every_exit_code_is_in_the_readme_and_the_help(code: int) -> None:
    assert re.search(rf"^\| {code} \|", README, re.MULTILINE)
    assert re.search(rf"^  {code}  ", cli.EXIT_CODES, re.MULTILINE)


def test_the_output_in_the_readme_is_what_the_commands_print(tmp_path: Path) -> None:
    outputs = script("outputs")
    shown = outputs.commands(README)
    assert any(command.startswith("hopscope hunt") for command in shown)
    if shutil.which("tshark") is None and any("dissect" in command for command in shown):
        pytest.skip("the README shows output of dissect, and tshark is not installed")
    assert outputs.refreshed(README, tmp_path) == README, "run `make docs`"


def test_every_file_that_documents_link_to_is_there() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/*.md"))):
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            if not target.startswith("https:"):
                assert (page.parent / target).exists(), f"{page.name} links to {target}"
