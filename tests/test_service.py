"""The systemd unit: what it allows, that systemd can read it, and that both copies say the same."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from trader.cli import run

ROOT = Path(__file__).parents[1]
UNIT = ROOT / "contrib" / "systemd" / "trader.service"
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not on this machine")


def directives(text):
    """The unit without comments, each line under its section; links to documents are no behaviour."""
    section, found = "", []
    for line in text.splitlines():
        if line.startswith("["):
            section = line
        elif line and not line.startswith(("#", "Documentation=")):
            found.append((section, line))
    return found


def analyze(*arguments):
    done = subprocess.run([ANALYZE, *arguments], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def printed(capsys):
    assert run(["systemd", "print", "--json"]) == 0
    return json.loads(capsys.readouterr().out)["unit"]


@pytest.fixture(params=["contrib", "printed"])
def unit(request, tmp_path):
    """Each copy as a file of its own whose programs exist here."""
    text = UNIT.read_text("utf-8") if request.param == "contrib" else request.getfixturevalue("printed")
    here = str(Path(sys.executable).parent)
    path = tmp_path / "trader.service"
    path.write_text(text.replace("/usr/lib/seamark/.venv/bin", here), "utf-8")
    return path


def test_the_printed_unit_is_the_one_in_contrib(printed):
    here = str(Path(sys.executable).parent)
    shipped = UNIT.read_text("utf-8").replace("/usr/lib/seamark/.venv/bin", here)
    assert directives(printed) == directives(shipped)


@needs_systemd
def test_exposure_stays_below_two(unit):
    code, text = analyze("security", "--offline=true", "--threshold=20", str(unit))
    assert code == 0, text
    (level,) = re.findall(r"exposure level for \S+: ([0-9.]+)", text)
    assert float(level) <= 2.0


@needs_systemd
def test_systemd_has_nothing_to_say_about_it(unit):
    if not Path(sys.executable).with_name("trader").exists():
        pytest.skip("the package is not installed here, so its command does not exist")
    assert analyze("verify", str(unit)) == (0, "")


def test_codes_that_a_restart_cannot_heal_end_the_service(printed):
    (line,) = [line for _, line in directives(printed) if line.startswith("RestartPreventExitStatus=")]
    assert line.partition("=")[2].split() == ["3", "64", "77", "78"]
