"""The image's recipe, read as text: what it installs, what it sets, what it starts with.

Nothing is built here; a builder needs the network.
"""

import re
import shutil
import tomllib
from pathlib import Path

import pytest

from trader.commands.options import usual_file
from trader.config import load

ROOT = Path(__file__).parents[1]
RECIPE = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
INSTRUCTIONS = [line.strip() for line in RECIPE.splitlines() if line.strip() and not line.startswith("#")]
TRAINING = {"torch", "lightgbm", "scikit-learn", "onnx", "onnxmltools", "skl2onnx", "sympy"}
TESTING = {"pytest", "hypothesis", "coverage", "ta-lib", "playwright", "ruff", "mypy", "import-linter"}


def environment():
    """Every variable that the image sets."""
    lines = [line.removeprefix("ENV ") for line in INSTRUCTIONS if line.startswith("ENV ")]
    return dict(pair.split("=", 1) for line in lines for pair in line.split())


def locked(name):
    text = (ROOT / "requirements" / f"{name}.lock").read_text("utf-8")
    return {found.lower() for found in re.findall(r"^([A-Za-z0-9_.-]+)==", text, re.MULTILINE)}


def kept(path):
    """Tell whether .dockerignore lets a path into the build: everything is out but what is named."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert rules[0] == "*"
    return any(path == rule[1:] or path.startswith(f"{rule[1:]}/") for rule in rules if rule[0] == "!")


@pytest.fixture
def etc(tmp_path):
    """The configuration folder as the image and the service's instructions make it."""
    folder = tmp_path / "etc" / "trader"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "configs" / "paper-kraken.toml", folder / "trader.toml")
    (folder / "models").symlink_to(ROOT / "configs" / "models")
    return folder


def test_every_variable_is_a_key_that_the_configuration_knows(etc):
    ours = {name: value for name, value in environment().items() if name.startswith("TRADER_")}
    assert ours
    config = load([etc / "trader.toml"], ours)
    for name in ours:
        key = name.removeprefix("TRADER_").lower().replace("__", ".")
        assert config.explain(key).layer == f"environment {name}"
    assert (config.dashboard.host, config.dashboard.local_host) == ("0.0.0.0", "127.0.0.1")
    assert f"EXPOSE {config.dashboard.port}" in INSTRUCTIONS


def test_it_starts_with_a_configuration_whose_models_are_there(etc, monkeypatch):
    (copy,) = [line for line in INSTRUCTIONS if "/etc/trader/trader.toml" in line]
    assert "install -m 0644 /usr/lib/seamark/configs/paper-kraken.toml /etc/trader/trader.toml" in copy
    assert "ln -s /usr/lib/seamark/configs/models /etc/trader/models" in copy
    assert INSTRUCTIONS[-2:] == ['ENTRYPOINT ["trader"]', 'CMD ["run"]']
    assert environment()["CONFIGURATION_DIRECTORY"] == "/etc/trader"
    monkeypatch.setenv("CONFIGURATION_DIRECTORY", str(etc))
    monkeypatch.chdir(etc.parent)
    assert usual_file(demo=False) == etc / "trader.toml"
    config = load([usual_file(demo=False)], environment())
    assert str(config.journal.directory) == environment()["STATE_DIRECTORY"]
    for trader in config.traders:
        assert (trader.model / "card.json").is_file()


def test_only_the_boot_and_the_daemon_set_are_installed():
    used = set(re.findall(r"-r (\S+)", RECIPE))
    assert used == {"requirements/boot.lock", "requirements/daemon.lock"}
    assert RECIPE.count("--require-hashes") == len(re.findall(r"-r \S+", RECIPE))


def test_no_training_and_no_test_package_is_in_the_daemons_lock():
    found = locked("daemon")
    assert {"aiohttp", "onnxruntime"} <= found
    assert not found & (TRAINING | TESTING)
    assert not [name for name in found if name.startswith(("nvidia", "triton"))]


def test_the_build_sees_configs_and_no_tests():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    needed = [*packages, "configs/paper-kraken.toml", "configs/models", "pyproject.toml"]
    needed += ["requirements/daemon.lock", "requirements/boot.lock", *project["project"]["license-files"]]
    needed += [project["project"].get("readme", "README.md")]
    assert [path for path in needed if not kept(path)] == []
    assert not any(kept(path) for path in ("tests", "docs", "benchmarks", ".git", ".venv", ".demo", ".env"))


def test_it_runs_as_nobody_in_particular():
    users = [line for line in INSTRUCTIONS if line.startswith("USER ")]
    assert users == ["USER 10001:10001"]
    assert "STOPSIGNAL SIGTERM" in INSTRUCTIONS
    assert Path(environment()["NUMBA_CACHE_DIR"]).is_absolute()
