"""HTML made of values: what is not markup already is escaped, so no word of a run becomes markup.

Must not know reports. Called by trader.evaluation.page and trader.evaluation.compare_page.
"""

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from html import escape
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from core.errors import InternalError
from trader.dashboard.pages import PLOTLY

DASH = "\u2013"
MINUS = "\u2212"
THIN = "\u2009"
SHARED = ("dom.js", "format.js")
"""Scripts of the dashboard that the pages import; page.css, parts.css and mark.svg are shared, too."""

Row = TypeVar("Row")


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, *children: str | None, **attributes: object) -> Markup:
    """Give one element; `class_` and `aria_label` become `class` and `aria-label`, None is left out."""
    words = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        if value is not True
        else f" {key.rstrip('_')}"
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    return Markup(f"<{name}{words}>{join(children)}</{name}>")


def join(children: Iterable[str | None]) -> Markup:
    """Put nodes behind each other."""
    parts = (c if isinstance(c, Markup) else escape(c) for c in children if c is not None)
    return Markup("".join(parts))


class Column(NamedTuple, Generic[Row]):
    """A column of a table: its head, its cell, and `number`, `name`, `words` or nothing."""

    head: str
    cell: Callable[[Row], str]
    kind: str = "number"


def table(caption: str, columns: Sequence[Column[Row]], rows: Iterable[Row]) -> Markup:
    """Give a table that folds into cards where the window is narrow."""
    heads = [tag("th", c.head, scope="col", class_="number" if c.kind == "number" else None) for c in columns]
    body = [
        tag("tr", *(tag("td", c.cell(row), class_=c.kind or None, data_label=c.head) for c in columns))
        for row in rows
    ]
    return tag(
        "div",
        tag(
            "table",
            tag("caption", caption, class_="hidden"),
            tag("thead", tag("tr", *heads)),
            tag("tbody", *body),
            class_="cards",
        ),
        class_="scroll",
        tabindex="0",
        role="region",
        aria_label=caption,
    )


def panel(title: str, *children: str | None, count: str = "", id_: str | None = None) -> Markup:
    """Give a section with a head, as on the dashboard."""
    aside = tag("span", count, class_="count") if count else None
    return tag("section", tag("header", tag("h2", title), aside), *children, class_="panel", id=id_)


def percent(value: float | None, places: int = 1, *, plus: bool = False) -> str:
    """Write a fraction in percent."""
    return DASH if value is None else number(value * 100, places, plus=plus) + f"{THIN}%"


def number(value: float | Decimal | None, places: int = 2, *, plus: bool = False) -> str:
    """Write a figure with thin spaces between thousands."""
    if value is None:
        return DASH
    body = f"{abs(value):,.{places}f}".replace(",", THIN)
    if not float(body.replace(THIN, "")):
        return body
    return (MINUS if value < 0 else "+" if plus else "") + body


def lean(value: float | Decimal | None, text: str) -> Markup:
    """Colour a signed figure; the sign itself says the same to those who see no colour."""
    name = None if not value else "up" if value > 0 else "down"
    return tag("span", text, class_=name)


def hold_time(seconds: float | None) -> str:
    """Write a duration in the largest unit that keeps two digits."""
    if seconds is None:
        return DASH
    for unit, length in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f}{THIN}{unit}"
    return f"{seconds:.0f}{THIN}s"


def page(title: str, body: str, data: Mapping[str, Any], script: str, modules: Sequence[str] = ()) -> str:
    """Give one whole file that loads nothing: styles, scripts, plotly and the data are inside.

    `script` and `modules` name files of this package's static folder; `modules` are those that the
    script imports as `report/<name>`, the dashboard's come as `dashboard/<name>`.
    """
    imports = {f"dashboard/{name}": _address(_dashboard(name)) for name in SHARED}
    imports |= {f"report/{name}": _address(_own(name)) for name in modules}
    icon = base64.b64encode(_dashboard("mark.svg")).decode()
    styles = b"\n".join((_dashboard("page.css"), _dashboard("parts.css"), _own("report.css"))).decode()
    return _own("page.html").decode() % {
        "title": escape(title),
        "icon": f"data:image/svg+xml;base64,{icon}",
        "styles": styles,
        "imports": json.dumps({"imports": imports}),
        "body": body,
        "data": json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
        "plotly": _plotly(),
        "script": _own(script).decode(),
    }


def _own(name: str) -> bytes:
    return (resources.files("trader.evaluation") / "static" / name).read_bytes()


def _dashboard(name: str) -> bytes:
    return (resources.files("trader.dashboard") / "static" / name).read_bytes()


def _address(script: bytes) -> str:
    return f"data:text/javascript;base64,{base64.b64encode(script).decode()}"


def _plotly() -> str:
    """Read plotly's own JavaScript from where pip installed it; InternalError where it is not."""
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        raise InternalError("expected the plotly package; found none")
    return (Path(spec.origin).parent / "package_data" / PLOTLY).read_text(encoding="utf-8")
