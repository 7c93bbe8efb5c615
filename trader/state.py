"""The read model: what page, CLI and metrics show, as JSON-able values.

Must not know the engine, clocks or sockets. Fed by the live shell and by replay; read by the
dashboard, telemetry, the status command and the demo's report.
"""

from typing import Any

from core.market import Timeframe
from trader import state_explain, state_view
from trader.state_desk import DeskBoard


class ReadModel(DeskBoard):
    """A pure fold of steps with a face: the same steps give the same view."""

    def view(self) -> dict[str, Any]:
        """Give everything but the candles as JSON-able values; money as text, times as ISO-8601."""
        return state_view.view(self)

    def chart(self, instrument: str, timeframe: Timeframe) -> dict[str, Any]:
        """Give one chart: bars as columns, fills, and the lines of an open position."""
        return state_view.chart(self, instrument, timeframe)

    def explain(self, instrument: str, trader: str = "") -> dict[str, Any]:
        """Give why the newest opinions about an instrument are what they are; no trader = all."""
        rows = [state_explain.explained(*found) for found in self.opinions.of(instrument, trader)]
        return {"instrument": instrument, "rows": rows}
