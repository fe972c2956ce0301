"""Memory between the steps of a trial on a CPU."""

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h; mallopt(3)
_MOST, _MOST_OF_OLD = 1 << 30, 32 << 20  # older glibc refuses more than the second


def keep_freed_memory() -> None:
    """Lets this process keep what it frees, so that a step finds the pages of the one before.

    A step frees all its maps, several MB each, which glibc gives back to the system; the next step then waits for new
    pages, zeroed one by one. The price: up to 1 GiB that was in use once (by an FID's batches, say) stays with the
    process. Without glibc nothing changes.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        if not libc.mallopt(_M_MMAP_THRESHOLD, _MOST):
            libc.mallopt(_M_MMAP_THRESHOLD, _MOST_OF_OLD)
        libc.mallopt(_M_TRIM_THRESHOLD, _MOST)
