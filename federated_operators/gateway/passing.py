"""Errors that may pass by themselves: what failed for one of them is tried again, all others are final."""

from __future__ import annotations

import errno
import sqlite3

from federatedml.errors import FedError

# A disk, or a table of the system, that is full or does not answer now. Not what is wrong with a name or its rights.
_PASSING = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ESTALE, errno.EBUSY, errno.ETIMEDOUT),
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN, errno.EINTR),
    }
)


def may_pass(error: Exception) -> bool:
    """Whether the same may succeed later: somebody is not there, or a disk is full or does not answer."""
    if isinstance(error, FedError):
        return error.retryable
    if isinstance(error, sqlite3.OperationalError):  # of which a wrong statement is one
        return getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR
    return isinstance(error, OSError) and error.errno in _PASSING
