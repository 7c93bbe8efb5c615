"""Why an opinion came out as it did: inputs, members, blend, gates, and the rule that refused.

Must not know where opinions are kept. Called by trader.state for the running daemon and by
trader.journal_explain for what a journal holds, so that both say it in the same words.
"""

from collections.abc import Iterable
from itertools import zip_longest
from typing import Any

import msgspec

from core.clock import SECOND
from core.events import Prediction
from core.signal import BookState, Filter, Finding, Opinion, Vote
from core.text import iso
from risk.limits import RULES
from trader.state_opinions import MODEL_STAGES, Asked, DecisionLine, OpinionLine
from trader.state_view import number

Json = dict[str, Any]
MILLISECOND = SECOND // 1000


def explained(line: OpinionLine, decided: DecisionLine | None) -> Json:
    """Give one opinion with everything that led to it and what became of it.

    `verdict` is one sentence: the gate that silenced the models, the rule that refused, or that the
    opinion became an intent.
    """
    asked, opinion = line.asked, line.opinion
    return {
        "trader": asked.trader,
        "instrument": opinion.instrument,
        "timeframe": asked.timeframe.value,
        "at": iso(asked.ts_close),
        "answered": iso(asked.ts),
        "model_hash": asked.model_hash,
        "late": asked.late,
        "latency_ms": round(asked.latency_ns / MILLISECOND, 3),
        "stages_ms": {
            stage: round(ns / MILLISECOND, 3)
            for stage, ns in zip(MODEL_STAGES, asked.stages, strict=False)  # empty where nothing was measured
        },
        "ready": opinion.ready,
        "gate": "" if opinion.ready else opinion.reason or "not ready",
        "input_age_s": number(opinion.age_s),
        "blend": _chances(opinion),
        "spread": number(opinion.spread),
        "book": _book(opinion.book),
        "members": [_member(*pair) for pair in _votes(asked, opinion)],
        "filters": [_filter(*pair) for pair in _findings(asked, opinion)],
        "decision": _decision(decided),
        "verdict": _verdict(opinion, decided),
    }


def answered(event: Prediction, *, ts: int, latency_ns: int) -> Json:
    """Give the answer to a question, of which nothing was decided: a row for each instrument."""
    asked = Asked.of(msgspec.structs.replace(event, ts=ts, latency_ns=latency_ns, opinions=()))
    rows = [explained(OpinionLine(asked, opinion), None) for opinion in event.opinions]
    for row in rows:
        del row["decision"], row["verdict"]
    return {"trader": asked.trader, "model_hash": asked.model_hash, "at": iso(asked.ts_close), "rows": rows}


def told(row: Json) -> list[str]:
    """Write one explanation for a terminal."""
    late = ", LATE" if row["late"] else ""
    answered = f"answered in {row['latency_ms']:g} ms{late}"
    inputs = f"inputs {_figure(row['input_age_s'])} s old"
    lines = [
        f"{row['instrument']} {row['trader']} {row['timeframe']} bar of {row['at']}: {row['verdict']}",
        f"  model    {row['model_hash'][:12] or '-'}  {answered}  {inputs}",
        f"  blend    {_odds(row['blend'])}  members {_figure(row['spread'])} apart",
    ]
    width = max((len(member["name"]) for member in row["members"]), default=0)
    lines += [
        f"  member   {member['name']:<{width}}  {_odds(member)}  weight {_figure(member['weight'])}"
        f"  {_figure(member['age_s'], 0)} s old"
        for member in row["members"]
    ]
    lines += [f"  {one['role']:<8} {_filtered(one)}" for one in row["filters"]]
    book = row["book"]
    if book:
        lines.append(
            f"  book     spread {_figure(book['spread'], 5)}  imbalance {_figure(book['imbalance'])}"
            f"  mean {_figure(book['imbalance_mean'])}  of the levels {_figure(book['depth_imbalance'])}"
            f"  {_figure(book['age_s'], 1)} s old"
        )
    decision = row["decision"]
    if decision:
        lines.append(
            f"  decision {decision['direction']} at {_figure(decision['confidence'])}, "
            f"expected value {_figure(decision['expected_value'], 5)}, "
            f"rule {decision['rule'] or 'none'} {decision['detail']}".rstrip()
        )
    return lines


def _votes(asked: Asked, opinion: Opinion) -> Iterable[tuple[str, Vote]]:
    # A vote without a name is shown all the same: what is not explained must not vanish.
    for index, vote in enumerate(opinion.votes):
        yield (asked.members[index] if index < len(asked.members) else f"member {index + 1}"), vote


def _member(name: str, vote: Vote) -> Json:
    return {
        "name": name,
        "down": number(vote.p_down),
        "hold": number(vote.p_hold),
        "up": number(vote.p_up),
        "weight": number(vote.weight),
        "age_s": number(vote.age_s),
    }


def _findings(asked: Asked, opinion: Opinion) -> Iterable[tuple[Filter, Finding | None]]:
    """Pair the filters with what they said; managers, and all before the first answer, said nothing."""
    yield from zip_longest(asked.filters, opinion.findings[: len(asked.filters)])


def _filter(one: Filter, found: Finding | None) -> Json:
    """Give one filter; `passed` is None where it was not asked or had nothing fresh to say."""
    chance = None if found is None else found.chance
    return {
        "name": one.name,
        "role": one.role,
        "says": one.says,
        "low": number(one.low),
        "high": number(one.high),
        "chance": None if chance is None else number(chance),
        "age_s": None if found is None else number(found.age_s),
        "passed": None if chance is None else one.low <= chance <= one.high,
    }


def _filtered(one: Json) -> str:
    if one["role"] == "manager":
        return f"{one['name']}  speaks of open positions only"
    if one["chance"] is None:
        return f"{one['name']}  {one['says']} not known"
    bounds = f"{one['low']:.3f} to {one['high']:.3f}"
    verdict = "passes" if one["passed"] else "refuses"
    chance, age = _figure(one["chance"]), _figure(one["age_s"], 0)
    return f"{one['name']}  {one['says']} {chance}, allowed {bounds}: {verdict}  {age} s old"


def _book(book: BookState | None) -> Json | None:
    return None if book is None else msgspec.structs.asdict(book)


def _chances(opinion: Opinion) -> Json:
    return {"down": number(opinion.p_down), "hold": number(opinion.p_hold), "up": number(opinion.p_up)}


def _decision(line: DecisionLine | None) -> Json | None:
    if line is None:
        return None
    decision = line.decision
    return {
        "direction": str(decision.direction),
        "confidence": number(decision.confidence),
        "expected_value": number(decision.expected_value),
        "rule": decision.rule,
        "sentence": RULES.get(decision.rule, decision.rule.replace("_", " ")),
        "detail": decision.detail,
    }


def _verdict(opinion: Opinion, line: DecisionLine | None) -> str:
    if not opinion.ready:
        return f"no opinion: {opinion.reason or 'not ready'}"
    if line is None:
        return "nothing was decided on it"
    if not line.decision.rule:
        return f"it became an intent: {line.decision.direction}"
    sentence = RULES.get(line.decision.rule, line.decision.rule)
    return f"{sentence} {f'({line.decision.detail})' if line.decision.detail else ''}".rstrip()


def _odds(chances: Json) -> str:
    return " ".join(f"{name} {_figure(chances[name])}" for name in ("down", "hold", "up"))


def _figure(value: float | None, places: int = 3) -> str:
    return "-" if value is None else f"{value:.{places}f}"
