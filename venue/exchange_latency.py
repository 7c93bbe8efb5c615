"""How long a request is on its way to the matching engine.

Must not know requests' contents or the agenda. Called by venue.exchange when something is sent.
"""

from hashlib import blake2b
from math import exp
from statistics import NormalDist

import msgspec

_NORMAL = NormalDist()
_BITS = 64


class Latency(msgspec.Struct, frozen=True):
    """A log-normal delay: `median_ns`, and `sigma` of its logarithm (0 = always the median).

    The draw follows from the request itself and not from how many calls were made before it, so that
    two runs which look at the market differently still delay the same request by the same time.
    """

    median_ns: int
    sigma: float = 0.0
    seed: int = 1

    def of(self, request: str, ts: int) -> int:
        """Give the delay in ns of what is sent at `ts`; `request` names it, as a client id does."""
        if self.sigma == 0:
            return self.median_ns
        digest = blake2b(f"{self.seed} {ts} {request}".encode(), digest_size=_BITS // 8).digest()
        uniform = (int.from_bytes(digest) + 0.5) / 2**_BITS
        return round(self.median_ns * exp(self.sigma * _NORMAL.inv_cdf(min(uniform, 1 - 2**-53))))
