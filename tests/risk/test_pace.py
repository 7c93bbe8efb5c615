"""How many entries a day, asked of all candidates of one close together."""

import msgspec

from tests.risk.test_bot import BTC, ETH, POLICY, XRP, bot, judge, opinion


def test_entries_of_one_close_share_what_is_left_of_the_day():
    risk = bot(msgspec.structs.replace(POLICY, max_trades_per_day=2))
    intents, rows = judge(risk, opinion(BTC), opinion(ETH, up=0.7, down=0.1), opinion(XRP, up=0.65))
    assert {intent.instrument for intent in intents} == {ETH, XRP}, "the best expected values come first"
    refused = {row.instrument: row.rule for row in rows if row.rule}
    assert refused == {BTC: "max_trades_per_day"}
    assert len(risk.state.entered_at) == 2
