"""Every error text that Kraken documents, or was seen to say, and what it proves."""

import re
from pathlib import Path

import pytest

from core.clock import SECOND
from venue import outcomes
from venue.outcomes import Outcome

NOTES = Path(__file__).parents[3] / "shared" / "kraken" / "PROTOCOL.md"
REJECT = """
EGeneral:Invalid arguments
EGeneral:Invalid arguments:volume
EGeneral:Invalid arguments:Index unavailable
EGeneral:Invalid arguments:no_mpp order option is only available when ordertype = market
EGeneral:Unknown method
EService:Market in cancel_only mode
EService:Market in post_only mode
EService:Deadline elapsed
EOrder:Insufficient funds
EOrder:Insufficient margin
EOrder:Cannot open position
EOrder:Cannot open opposing position
EOrder:Margin allowance exceeded
EOrder:Margin level too low
EOrder:Margin position size exceeded
EOrder:Order minimum not met
EOrder:Cost minimum not met
EOrder:Tick size check failed
EOrder:Invalid price
EOrder:Rate limit exceeded
EOrder:Orders limit exceeded
EOrder:Domain rate limit exceeded
EOrder:Positions limit exceeded
EOrder:Scheduled orders limit exceeded
EOrder:Unknown position
EOrder:Unknown order
EOrder:Invalid order
EOrder:Reduce only:No position exists
EOrder:Reduce only:Position is closed
EOrder:Reduce only:Non-PC
EQuery:Unknown asset pair
EQuery:Unknown asset
ETrade:Invalid request
EBM:limit exceeded:CAL
EFunding:Unknown withdraw key
ESession:Invalid session
Unsupported field: 'x' for the given msg type: add order
Unsupported field: 'params' for the given msg type: ping
Unsupported event
Cash_order_qty field must be a number_float
Token(s) not found
Currency pair not supported XBT/EUR
Subscription depth not supported
"""
UNKNOWN = """
EGeneral:Internal error
EGeneral:Internal error:17
EService:Unavailable
EService:Busy
EOrder:Something that nobody documented
ENew:Never seen
<html>520</html>
"""
RETRY = """
EAPI:Rate limit exceeded
EService: Throttled: 1688669448
EService:Throttled: 1688669448
EAuth:Rate limit exceeded
EAuth:Too many requests
Exceeded msg rate
"""
HALT = """
EAPI:Invalid key
EAPI:Invalid signature
EAPI:Invalid nonce
EGeneral:Temporary lockout
EGeneral:Permission denied
EAuth:Account temporary disabled
EAuth:Account unconfirmed
EAccount:Invalid permissions
"""
TABLE = {
    Outcome.DEFINITE_REJECT: REJECT,
    Outcome.UNKNOWN: UNKNOWN,
    Outcome.RETRY_READ: RETRY,
    Outcome.HALT: HALT,
}
ROWS = [(text, outcome) for outcome, texts in TABLE.items() for text in texts.strip().splitlines()]


@pytest.mark.parametrize("error, outcome", ROWS)
def test_error_text_proves_no_more_than_this(error, outcome):
    assert outcomes.classify(error) is outcome


def test_no_text_at_all_proves_nothing():
    assert outcomes.classify("") is Outcome.UNKNOWN


def documented(notes):
    """Give every error text of the notes' table, with the category that a list leaves out."""
    table = notes.split("### 4.3 Error strings")[1].split("### 4.4")[0]
    for line in table.splitlines():
        if not line.startswith("| E"):
            continue
        category = ""
        for text in re.split(r" / |; ", line.split("|")[1].strip()):
            head, colon, tail = text.partition(":")
            category = head if colon and head.startswith("E") else category
            words = re.sub(r"\s*[\[(].*", "", (tail if head == category else text)).strip()
            yield f"{category}:{words.removesuffix('*')}"


@pytest.mark.skipif(not NOTES.exists(), reason="the protocol notes are not beside this checkout")
def test_every_text_of_the_protocol_notes_is_in_the_table():
    texts = list(documented(NOTES.read_text()))
    assert len(texts) > 40
    unknown = {text for text in texts if outcomes.classify(text) is Outcome.UNKNOWN}
    # Ends of lists whose beginning is the text before them; spelt out in the table above.
    unknown -= {"EService:post_only mode", "EOrder:Position is closed", "EOrder:Non-PC"}
    assert unknown == {"EGeneral:Internal error", "EService:Unavailable", "EService:Busy"}


def test_a_throttled_text_names_its_end():
    assert outcomes.throttled_until("EService: Throttled: 1688669448") == 1688669448 * SECOND
    assert outcomes.throttled_until("EService:Throttled: 5") == 5 * SECOND
    assert outcomes.throttled_until("EService:Busy") is None


def test_unknown_order_is_recognised():
    assert outcomes.unknown_order("EOrder:Unknown order")
    assert not outcomes.unknown_order("EOrder:Insufficient funds")
