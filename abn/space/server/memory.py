"""Freed memory goes back to the system: glibc keeps much of it, in an arena a thread, and a server has many threads."""

import ctypes
import platform
import threading
import time

M_ARENA_MAX = -8  # from malloc.h
ARENAS = 2
EVERY = 20.0  # seconds


def give_back_freed() -> bool:
    """Few arenas from now on, and what is free in them handed back every EVERY seconds. Call it before threads start.

    Returns False, and does nothing, where the C library is not glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    libc.mallopt(M_ARENA_MAX, ARENAS)
    threading.Thread(target=_trim, args=(libc,), name="trim", daemon=True).start()
    return True


def _trim(libc: ctypes.CDLL) -> None:
    while True:
        time.sleep(EVERY)
        libc.malloc_trim(0)
