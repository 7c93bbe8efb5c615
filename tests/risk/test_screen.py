"""The screen of whole histories refuses nothing that risk would not refuse by the same rule."""

from decimal import Decimal

import numpy as np
from hypothesis import event, given, settings
from hypothesis import strategies as st

from core.market import Quote, Timeframe
from core.signal import Opinion
from risk import edge, limits
from risk.policy import ModelTerms, RiskPolicy
from risk.screen import PASSES, REFUSED, screen

TICK = 0.01
SHARES = st.sampled_from([0.0, 0.1, 0.3333, 0.45, 0.450000001, 0.5, 0.9, 1.0])
NONSENSE = st.sampled_from([0.0, -1.0, float("inf"), float("nan")])
POSITIVE = st.one_of(*[st.floats(0.0005, 0.02)] * 12, NONSENSE)


@settings(max_examples=400, deadline=None)
@given(
    p=st.one_of(*[st.tuples(SHARES, SHARES, SHARES)] * 9, st.tuples(SHARES, NONSENSE, SHARES)),
    atr=POSITIVE,
    close=POSITIVE,
    last=st.floats(0.05, 1e5).map(lambda price: round(price, 2)),
    ticks=st.integers(-2, 2),
    spread=st.integers(1, 50),
    worth=st.sampled_from([-0.05, -0.001, 0.0, 0.0005, 0.05]),
    confidence=st.sampled_from([0.0, 0.45, 1.0]),
    fee=st.sampled_from([0.0, 0.004, 0.01]),
    barrier=st.sampled_from([0.5, 3.0]),
)
def test_what_the_screen_refuses_risk_refuses(
    p, atr, close, last, ticks, spread, worth, confidence, fee, barrier
):
    policy = RiskPolicy(min_confidence=confidence, min_expected_value=worth, taker_fee=fee)
    terms = ModelTerms("hash", "model", Timeframe.M5, barrier, 12)
    atr, close = atr * last, close * 100 * last
    scales = np.array([[atr, 0.01, close]])
    usable, price = np.array([True]), np.array([last])
    (code,) = screen(
        np.array([p]), scales, usable, price, policy=policy, terms=terms, off_by=2 * TICK
    ).tolist()
    event(REFUSED[code] or "passes")
    if code == PASSES:
        return
    mid = Decimal(str(last)) + ticks * Decimal(str(TICK))
    half = Decimal(spread) * Decimal("0.005")
    bid = max(mid - half, Decimal("0.005"))
    quote = Quote("BTC/USDT", 0, bid, 2 * mid - bid, Decimal(1), Decimal(1))
    opinion = Opinion("BTC/USDT", True, *p, atr, 0.01, close)
    if edge.usable(opinion):
        assert REFUSED[code] == "not_ready"
        return
    refused = limits.check_edge(edge.read(opinion, quote, terms=terms, taker_fee=fee), policy)
    assert refused is not None
    assert refused.rule == REFUSED[code]
