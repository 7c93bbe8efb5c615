import ctypes
import platform
import subprocess
import sys

import pytest

from trader.heap import give_back

GLIBC = platform.libc_ver()[0] == "glibc"


def test_it_tells_whether_this_c_library_can():
    assert give_back() == hasattr(ctypes.CDLL(None), "malloc_trim")


@pytest.mark.skipif(not GLIBC, reason="only glibc keeps what is freed below something in use")
def test_what_is_freed_below_something_in_use_goes_back():
    script = (
        "import ctypes, os; from trader.heap import give_back; libc = ctypes.CDLL(None); "
        "libc.malloc.restype = ctypes.c_void_p; libc.free.argtypes = [ctypes.c_void_p]; "
        "mb = lambda: int(open('/proc/self/statm').read().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 1e6; "
        "taken = [libc.malloc(65536) for _ in range(800)]; [ctypes.memset(at, 1, 65536) for at in taken]; "
        "top = libc.malloc(1000); [libc.free(at) for at in taken]; "
        "before = mb(); give_back(); print(before - mb() > 40)"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (found.stdout.strip(), found.stderr) == ("True", "")
