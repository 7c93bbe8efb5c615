"""Configuration layers: read, merge, and remember which layer set which key.

Must not know what any key means. Called by trader.config alone.
A later layer wins key by key; arrays of tables (`[[trader]]`) merge by their `name`.
"""

import difflib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from core.errors import ConfigError

ENV_PREFIX = "TRADER_"
COMMAND_LINE = "command line"

Tree = dict[str, Any]


class Merged(NamedTuple):
    """The values of all layers, and for each leaf (dotted key) the layer that won."""

    values: Tree
    origins: dict[str, str]


class Layer(NamedTuple):
    """One source of values; `names` may say it more exactly per dotted key."""

    name: str
    values: Tree
    names: Mapping[str, str] = {}


def from_files(paths: Sequence[Path], *, tables: Sequence[str], path_keys: Iterable[str]) -> list[Layer]:
    """Read each file and, after it, the sorted `*.toml` of the folder `<stem>.d` beside it."""
    wanted = frozenset(path_keys)
    layers = []
    for path in paths:
        for file in (path, *sorted(path.with_suffix(".d").glob("*.toml"))):
            values = _keyed(_read(file), tables=tables, where=str(file))
            _anchor(values, (), wanted=wanted, folder=file.absolute().parent)
            layers.append(Layer(str(file), values))
    return layers


def from_env(env: Mapping[str, str]) -> Layer:
    """Read `TRADER_A__B=value` as key `a.b`; values are TOML literals, anything else is text.

    A table of an array is addressed by its name: `TRADER_TRADER__SCALP__STAGE`. Variables without
    a double underscore are not ours, but for TRADER_MODE.
    """
    values: Tree = {}
    names = {}
    for variable in sorted(env):
        inner = variable.removeprefix(ENV_PREFIX)
        if inner == variable or ("__" not in inner and inner != "MODE"):
            continue
        keys = inner.lower().split("__")
        _put(values, keys, literal(env[variable]), where=f"environment {variable}")
        names[".".join(keys)] = f"environment {variable}"
    return Layer("environment", values, names)


def from_overrides(overrides: Mapping[str, object]) -> Layer:
    """Take dotted keys as they are."""
    values: Tree = {}
    for key, value in overrides.items():
        _put(values, key.split("."), value, where=COMMAND_LINE)
    return Layer(COMMAND_LINE, values)


def literal(text: str) -> Any:
    """Read a TOML value (`60`, `true`, `["BTC/USD"]`); what is none is plain text."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return parsed["value"] if len(parsed) == 1 else text


def merge(layers: Iterable[Layer]) -> Merged:
    """Lay each layer over those before it."""
    merged = Merged({}, {})
    for layer in layers:
        _lay(merged, merged.values, layer, layer.values, ())
    return merged


def listed(values: Tree, tables: Sequence[str]) -> Tree:
    """Turn the named tables back into arrays, each with its `name` inside."""
    return {
        key: [{"name": name, **table} for name, table in value.items()]
        if key in tables and isinstance(value, dict)
        else value
        for key, value in values.items()
    }


def origin(origins: Mapping[str, str], key: str, default: str) -> str:
    """Give the layer that set `key`, or the first leaf below it, or the table above it."""
    if key in origins:
        return origins[key]
    below = (name for leaf, name in origins.items() if leaf.startswith(f"{key}."))
    above = (name for leaf, name in origins.items() if leaf.startswith(f"{key.rpartition('.')[0]}."))
    return next(below, next(above, default))


def nearest(word: str, names: Iterable[str]) -> str:
    """Give a half sentence with the nearest known name, or all of them when none is near."""
    known = sorted(names)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else f"expected one of: {', '.join(known)}"


def _read(path: Path) -> Tree:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: expected a readable file; found: {error.strerror}") from error
    except ValueError as error:  # broken TOML and broken UTF-8 alike
        raise ConfigError(f"{path}: expected TOML; found: {error}".replace("\n", " ")) from error


def _keyed(values: Tree, *, tables: Sequence[str], where: str) -> Tree:
    """Key each array of tables by `name`, so that layers can meet."""
    for table in tables:
        rows = values.get(table)
        if not isinstance(rows, list):
            continue
        keyed: Tree = {}
        for row in rows:
            name = row.pop("name", None) if isinstance(row, dict) else None
            if not isinstance(name, str):
                raise ConfigError(f"{where}: {table}: expected a name in every [[{table}]]; found none")
            if name in keyed:
                raise ConfigError(f"{where}: {table}: expected different names; found '{name}' twice")
            keyed[name] = row
        values[table] = keyed
    return values


def _anchor(values: Tree, keys: tuple[str, ...], *, wanted: frozenset[str], folder: Path) -> None:
    """Make relative paths relative to the file that names them; `*` stands for any table name."""
    for key, value in values.items():
        here = (*keys, key)
        if isinstance(value, dict):
            _anchor(value, here, wanted=wanted, folder=folder)
        elif isinstance(value, str) and value and _pattern(here) & wanted:
            values[key] = str((folder / Path(value).expanduser()).resolve())


def _pattern(keys: tuple[str, ...]) -> set[str]:
    return {".".join(keys), ".".join((keys[0], "*", *keys[2:]))}


def _put(values: Tree, keys: Sequence[str], value: object, *, where: str) -> None:
    table = values
    for key in keys[:-1]:
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            raise ConfigError(f"{where}: {'.'.join(keys)}: expected '{key}' to be a table; found a value")
    table[keys[-1]] = value


def _lay(merged: Merged, target: Tree, layer: Layer, values: Tree, keys: tuple[str, ...]) -> None:
    for key, value in values.items():
        here = (*keys, key)
        dotted = ".".join(here)
        if isinstance(value, dict):
            inner = target.get(key)
            if not isinstance(inner, dict):
                inner = target[key] = {}
            _lay(merged, inner, layer, value, here)
        else:
            target[key] = value
            merged.origins[dotted] = layer.names.get(dotted, layer.name)
