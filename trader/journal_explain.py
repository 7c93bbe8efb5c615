"""What a journal says of an opinion: the newest one about an instrument at a moment, explained.

Must not know the engine or a running daemon. Called by `trader model explain`. The rows are read as
they stand; `trader replay --verify` is what proves them.
"""

from pathlib import Path
from typing import Any

from core.errors import JournalError
from core.events import Decisions, Prediction
from trader.journal_read import JournalReader
from trader.records import Record, decode_command, decode_event
from trader.state_explain import explained
from trader.state_opinions import Asked, DecisionLine, OpinionLine

LATEST = 2**63 - 1
LOOKED_AT = 5_000
"""Predictions that are looked through for an instrument: days of a trader's closes."""


def from_journal(
    database: Path, instrument: str, *, trader: str = "", until: int = LATEST
) -> list[dict[str, Any]]:
    """Give an explanation for each trader that had an opinion about the instrument by `until`, ns UTC.

    JournalError when the file is no journal.
    """
    reader = JournalReader(database)
    try:
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for number, row in enumerate(reader.newest("prediction", trader=trader, until=until)):
            if number == LOOKED_AT:
                break
            event = _prediction(database, row)
            key = (event.trader, event.timeframe.value)
            line = None if key in found else _line(event, instrument)
            if line is not None:
                found[key] = explained(line, _decided(database, reader, row.seq, instrument))
        return [found[key] for key in sorted(found)]
    finally:
        reader.close()


def _prediction(database: Path, row: Record) -> Prediction:
    event = decode_event(row.body)
    if not isinstance(event, Prediction):
        msg = f"{database}: step {row.seq}: expected a prediction; found {row.kind}"
        raise JournalError(msg)
    return event


def _line(event: Prediction, instrument: str) -> OpinionLine | None:
    opinion = next((o for o in event.opinions if o.instrument == instrument), None)
    return None if opinion is None else OpinionLine(Asked.of(event), opinion)


def _decided(database: Path, reader: JournalReader, seq: int, instrument: str) -> DecisionLine | None:
    for row in reader.rows(seq):
        if row.kind != "decisions":
            continue
        made = decode_command(row.body)
        if not isinstance(made, Decisions):
            msg = f"{database}: step {seq}: expected decisions; found {row.kind}"
            raise JournalError(msg)
        for decision in made.rows:
            if decision.instrument == instrument:
                return DecisionLine(made.trader, made.timeframe, made.ts_close, decision)
    return None
