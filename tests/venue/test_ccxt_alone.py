import subprocess
import sys

import pytest

from venue.ccxt_alone import alone


def run(script: str) -> str:
    """Run a script in a process that has not seen ccxt; give what it printed."""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


def test_exchange_comes_without_the_hundred_others():
    script = (
        "import sys; from venue.ccxt_alone import alone; kraken, error = alone('kraken'); "
        "exchange = kraken({'apiKey': 'key', 'secret': 'c2VjcmV0'}); "
        "exchange.sign('Balance', ['private'], 'POST', {}); "
        "assert kraken.__name__ == 'kraken' and error.__name__ == 'BaseError'; "
        "print(sorted(name for name in sys.modules if name in ('ccxt', 'ccxt.async_support') "
        "or name.startswith('ccxt.async_support.') and name.count('.') == 2))"
    )
    assert run(script) == "['ccxt.async_support.base', 'ccxt.async_support.kraken']"


def test_whole_of_ccxt_can_follow_with_the_same_classes_and_is_used_from_then_on():
    script = (
        "from venue.ccxt_alone import alone; kraken, error = alone('kraken'); "
        "import ccxt, ccxt.async_support as whole; "
        "print(whole.kraken is kraken, ccxt.BaseError is error, whole.binance.__name__, "
        "'binance' in ccxt.exchanges, alone('kraken') == (kraken, error), "
        "alone('binance').exchange is whole.binance)"
    )
    assert run(script) == "True True binance True True True"


def test_unknown_exchange_is_refused_by_name():
    with pytest.raises(ImportError, match="found 'no_such_exchange'"):
        alone("no_such_exchange")
