"""A small picture of points and the straight line through them, as SVG text.

Must not know what is plotted. Called by benchmarks.curve.
"""

from collections.abc import Sequence
from typing import NamedTuple

WIDTH, HEIGHT, MARGIN = 300, 220, 44
INK, POINT, FIT = "#333", "#1f6feb", "#d97706"


class Panel(NamedTuple):
    """One figure by number of instruments; the line is intercept + slope x."""

    title: str
    x: Sequence[float]
    y: Sequence[float]
    intercept: float
    slope: float


def svg(panels: Sequence[Panel]) -> str:
    """Give all panels beside each other."""
    width = WIDTH * len(panels)
    body = "".join(_panel(panel, WIDTH * number) for number, panel in enumerate(panels))
    size = f'width="{width}" height="{HEIGHT}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {width} {HEIGHT}">'
    style = '<g font-family="sans-serif" font-size="11">'
    return f'{head}<rect {size} fill="#fff"/>{style}{body}</g></svg>\n'


def _panel(panel: Panel, left: int) -> str:
    high_x = max(panel.x)
    high_y = max(*panel.y, panel.intercept + panel.slope * high_x) * 1.05

    def place(x: float, y: float) -> tuple[float, float]:
        across = left + MARGIN + (WIDTH - 2 * MARGIN) * x / high_x
        return across, HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * max(y, 0.0) / high_y

    (x0, y0), (x1, y1) = place(0, 0), place(high_x, high_y)
    points = [place(x, y) for x, y in zip(panel.x, panel.y, strict=True)]
    (fx0, fy0), (fx1, fy1) = place(0, panel.intercept), place(high_x, panel.intercept + panel.slope * high_x)
    parts = [
        f'<path d="M{x0:.1f} {y1:.1f}V{y0:.1f}H{x1:.1f}" fill="none" stroke="{INK}"/>',
        f'<path d="M{fx0:.1f} {fy0:.1f}L{fx1:.1f} {fy1:.1f}" stroke="{FIT}"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{POINT}"/>' for x, y in points),
        _text(left + WIDTH / 2, 20, panel.title),
        _text(left + WIDTH / 2, HEIGHT - 12, "instruments"),
        _text(x1, y0 + 14, f"{high_x:,.0f}"),
        _text(x0 - 2, y1 + 4, f"{high_y:,.0f}", anchor="end"),
        _text(x0 - 2, y0 + 4, "0", anchor="end"),
    ]
    return "".join(parts)


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{INK}">{text}</text>'
