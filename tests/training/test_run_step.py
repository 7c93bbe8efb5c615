"""The page of steps names commands and options that there are."""

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
