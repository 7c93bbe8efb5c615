"""An import that kills itself with SIGKILL at its n-th call: python -m tests.feeds.kill_import N ZIP LAKE.

Called by test_archive. Counted are the calls that Python makes and the C functions it enters, so any
moment between two of them can be the last one. With N = 0 it ends and prints how many there were.
"""

import os
import signal
import sys
from pathlib import Path

from feeds.archive import Wanted, import_archive
from feeds.archive_names import PairNames


def main() -> None:
    last, archive, lake = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    calls = 0

    def count(_frame, event, _argument) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")
        if calls == last:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)
    import_archive(archive, lake, Wanted(PairNames(), bars=True))
    sys.setprofile(None)
    sys.stdout.write(f"{calls}\n")


if __name__ == "__main__":
    main()
