"""The retry of transactions: labels, time limit, pauses."""

from __future__ import annotations

import random
import time

from .._core import ConnectionFailure, OperationFailure, ServerTimeout

UNKNOWN_RESULT = "UnknownTransactionCommitResult"
"""The label of a commit that may have happened."""

_LIMIT = 120.0
"""Seconds after which nothing is retried, by the drivers' specification of transactions."""
_MAX_TIME_MS_EXPIRED = 50
_FIRST_PAUSE = 0.005
_LONGEST_PAUSE = 0.5


class TransactionRetry:
    """The retries of one `with_transaction`."""

    def __init__(self) -> None:
        self._end = time.monotonic() + _LIMIT
        self._count = 0

    def allows(self, error: BaseException) -> bool:
        """Return whether the whole transaction may be retried."""
        return has_label(error, "TransientTransactionError") and time.monotonic() < self._end

    def allows_commit(self, error: BaseException) -> bool:
        """Return whether its commit may be sent again.

        False after the commit's own `maxTimeMS`: the specification forbids it.
        """
        expired = getattr(error, "code", 0) == _MAX_TIME_MS_EXPIRED
        return has_label(error, UNKNOWN_RESULT) and not expired and time.monotonic() < self._end

    def pause(self) -> float:
        """Return the seconds before the next retry, longer each time, so that conflicting transactions diverge."""
        self._count += 1
        return float(random.random() * min(_FIRST_PAUSE * 1.5**self._count, _LONGEST_PAUSE))


def has_label(error: BaseException, label: str) -> bool:
    """Return whether an error has a label of the server or the driver."""
    return isinstance(error, (OperationFailure, ConnectionFailure, ServerTimeout)) and label in error.labels
