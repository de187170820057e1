"""Start a program that dies with its parent: ``python -IS launch.py SIGNAL PARENT_PID PROGRAM ARGUMENTS...``.

A program of its own, because setting this in a forked child would run Python code between fork and exec in a process
that has threads. Imports nothing beyond what it needs: it is in front of every process of a party.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Ask the kernel for the signal, make sure that the parent still lives, become the program."""
    signal, parent, *program = arguments
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal)) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != int(parent):
        sys.exit("the parent has died")
    os.execv(program[0], program)  # noqa: S606 (an argument list, no shell)


if __name__ == "__main__":
    main(sys.argv[1:])
