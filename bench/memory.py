"""Memory: what a library gives back stays with the process."""

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # parameters of glibc's mallopt


def keep_memory() -> bool:
    """Whether the C library could be told; glibc can, but for more than 64 MB in other threads.

    By itself it asks the system for large arrays anew, or does not, by what the process gave back
    before.  Pages that are new cost a fault each, in a virtual machine a long one at times: of
    784-50-100-10 by batches of 8,192, PyTorch's took 31,000 in a job, a fifth of it, and what
    fastnn does before its first step 14 ms in one minute and 30 to 85 ms in another.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = {_MMAP_MAX: 0, _TRIM_THRESHOLD: -1}
    return all(mallopt(parameter, value) for parameter, value in settings.items())
