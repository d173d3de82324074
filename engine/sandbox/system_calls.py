"""Limits the system calls of an evaluator process to an allow-list, with a seccomp filter (Linux on x86-64 and arm64).

The filter is a BPF program that `prctl` installs. A forbidden call fails with EPERM; the process goes on. The filter
cannot be removed. There is no call on the list that opens a file or socket, starts a process or thread, or changes
another process.
"""

from __future__ import annotations

import ctypes
import platform
import struct
import sys
import threading

#: Number of the machine in the filter's data (linux/audit.h), and the allowed calls by their numbers on it.
_MACHINES: dict[str, tuple[int, dict[str, int]]] = {
    "x86_64": (
        0xC000003E,
        {
            "read": 0, "write": 1, "fstat": 5, "lseek": 8, "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12,
            "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "readv": 19, "writev": 20, "sched_yield": 24,
            "mremap": 25, "madvise": 28, "nanosleep": 35, "setitimer": 38, "getpid": 39, "exit": 60,
            "gettimeofday": 96, "getrusage": 98, "sigaltstack": 131, "gettid": 186, "time": 201, "futex": 202,
            "restart_syscall": 219, "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230,
            "exit_group": 231, "getrandom": 318, "rseq": 334,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "lseek": 62, "read": 63, "write": 64, "readv": 65, "writev": 66, "fstat": 80, "exit": 93, "exit_group": 94,
            "futex": 98, "nanosleep": 101, "setitimer": 103, "clock_gettime": 113, "clock_getres": 114,
            "clock_nanosleep": 115, "sched_yield": 124, "restart_syscall": 128, "sigaltstack": 132,
            "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139, "getrusage": 165, "gettimeofday": 169,
            "getpid": 172, "gettid": 178, "brk": 214, "munmap": 215, "mremap": 216, "mmap": 222, "mprotect": 226,
            "madvise": 233, "getrandom": 278, "rseq": 293,
        },
    ),
}  # fmt: skip

_ALLOW, _FAIL_WITH_EPERM, _KILL = 0x7FFF0000, 0x00050001, 0x80000000
#: BPF instructions: load a word of the call's data, jump when equal, jump when greater or equal, return.
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER_AT, _MACHINE_AT = 0, 4
#: On x86-64 the calls of the x32 interface have numbers from here on.
_FIRST_OF_X32 = 0x40000000
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2


def allow_only_listed_calls() -> None:
    """Installs the filter in this process, which has one thread. Raises OSError where it cannot be installed.

    Everything that opens a file must have happened before: imports, codecs, shared libraries.
    """
    machine = _MACHINES.get(platform.machine()) if sys.platform == "linux" else None
    if machine is None or sys.maxsize < 1 << 32:
        raise OSError("There is no list of system calls for this machine.")
    _install(_program(*machine))


def can_limit_calls() -> bool:
    """Tells whether this system takes a filter of system calls, by installing one that allows everything.

    A filter holds for one thread, so a thread of its own takes it, and ends.
    """
    taken: list[bool] = []

    def take() -> None:
        try:
            _install([(_RETURN, 0, 0, _ALLOW)])
        except OSError:
            return
        taken.append(platform.machine() in _MACHINES and sys.maxsize > 1 << 32)

    if sys.platform == "linux":
        thread = threading.Thread(target=take)
        thread.start()
        thread.join()
    return taken == [True]


def _install(program: list[tuple[int, int, int, int]]) -> None:
    code = b"".join(struct.pack("HBBI", *one) for one in program)
    held = ctypes.create_string_buffer(code, len(code))
    described = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(held)))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in (
        (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(described), 0, 0),
    ):
        if libc.prctl(*(ctypes.c_ulong(one) for one in arguments)):
            number = ctypes.get_errno()
            raise OSError(number, "The filter of system calls was refused.")


def _program(machine: int, calls: dict[str, int]) -> list[tuple[int, int, int, int]]:
    """Returns the instructions: (code, jump if true, jump if false, value)."""
    program = [(_LOAD, 0, 0, _MACHINE_AT), (_EQUAL, 1, 0, machine), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER_AT)]
    if machine == _MACHINES["x86_64"][0]:
        program += [(_AT_LEAST, 0, 1, _FIRST_OF_X32), (_RETURN, 0, 0, _KILL)]
    numbers = sorted(calls.values())
    # a match jumps over the remaining comparisons and the refusal
    program += [(_EQUAL, len(numbers) - place, 0, number) for place, number in enumerate(numbers)]
    return [*program, (_RETURN, 0, 0, _FAIL_WITH_EPERM), (_RETURN, 0, 0, _ALLOW)]
