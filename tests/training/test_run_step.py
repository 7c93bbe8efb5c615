"""The page of steps names commands and options that there are."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from trader.cli import app as trader
from training.cli import app as training

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "docs" / "run_step.md", ROOT / "docs" / "synthetic.md")
COMMANDS = [
    line.split("   #")[0].strip()
    for page in PAGES
    for line in page.read_text(encoding="utf-8").splitlines()
    if line.startswith(("    training ", "    trader "))
]
TOOLS = {"training": typer.main.get_command(training), "trader": typer.main.get_command(trader)}


def test_the_pages_have_commands():
    assert len(COMMANDS) > 25


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_and_option_on_the_page_exists(line):
    tool, *words = shlex.split(line)
    command = TOOLS[tool]
    while words and not words[0].startswith("-") and hasattr(command, "commands"):
        assert words[0] in command.commands, line
        command = command.commands[words.pop(0)]
    known = {
        "--help",
        *(option for param in command.params for option in (*param.opts, *param.secondary_opts)),
    }
    used = {word.split("=")[0] for word in words if word.startswith("-")}
    assert used <= known, line
    assert not hasattr(command, "commands"), f"{line}: a group is no command"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_file_on_the_page_exists(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)", text):
        # Pages of results are written by commands that the page of steps names.
        assert target.startswith("results/") or (page.parent / target).exists(), target
    for path in re.findall(r"configs/[\w/-]+\.toml", text):
        assert (ROOT / path).is_file(), path
    for path in re.findall(r"`(training/[\w/]+(?:\.py)?)`", text):
        assert (ROOT / path).exists(), path
