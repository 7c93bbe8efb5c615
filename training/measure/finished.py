"""A finished model on recorded bars after its training: asked, kept if wanted, and measured as a table.

Must not know the command line. Called by `training evaluate --data`.
"""

from collections.abc import Sequence
from pathlib import Path

from core.market import Timeframe
from inference import artifact
from training.measure.answers import answers, vault_start
from training.measure.tables import ALL, TESTED, Row, measured
from training.measure.verdicts import shown
from training.members.kept import save
from training.vault import bars as vault

EVERYTHING = "none"
_WIDTHS = "{:10} {:>8} {:>9} {:>9} {:>28} {:>24} {:>26} {:>6}"


def asked(
    folder: Path, lake: Path, *, settle_days: int, shut: str = "", keep: Path | None = None
) -> tuple[Row, ...]:
    """Measure an entry model on bars after its training; with `keep` the answers are written to that file.

    `shut` is the day from which bars are not read, "none" = all are, empty = the newest three months of its
    series stay shut. The first `settle_days` are fold 1, the rest is the test span. Raises as
    training.measure.answers.answers does.
    """
    kept = answers(folder, lake, vault_start=_vault(folder, lake, shut), settle_days=settle_days)
    if keep is not None:
        save(keep, kept)
    return measured(kept)


def lines(rows: Sequence[Row]) -> list[str]:
    """Give the rows of the test span as a table: all pairs, then each."""
    heads = ("pair", "rows", "log loss", "base", "gain", "AUC", "IC", "ECE")
    told = [_WIDTHS.format(*heads)]
    for row in (one for one in rows if one.span == TESTED):
        s = row.scores
        losses = f"{s.log_loss:.5f}", f"{s.log_loss_base:.5f}"
        intervals = shown(s.gain, 5), shown(s.auc, 4), shown(s.ic, 4)
        told.append(_WIDTHS.format(row.instrument, f"{s.rows:,}", *losses, *intervals, f"{s.ece:.3f}"))
    spans = [f"{one.start} to {one.end}" for one in rows if (one.span, one.instrument) == (TESTED, ALL)]
    told.append(f"decided {spans[0]}, after the model's training" if spans else "too few rows to measure")
    return told


def _vault(folder: Path, lake: Path, shut: str) -> int | None:
    if shut == EVERYTHING:
        return None
    if shut:
        return vault_start(shut)
    used = artifact.load(folder).card.data
    there = vault.series_of(lake, used.venue, Timeframe(used.timeframe))
    mine = [one for one in there if one.instrument in used.instruments]
    return vault.shut(lake, mine or there).start
