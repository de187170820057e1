"""How a broken contract is told: ``assert`` is gone under ``python -O``, and explains nothing without a test runner."""

from __future__ import annotations


class Broken(AssertionError):  # noqa: N818 - as its base, it is what a test says and no error of the program
    """The component does not keep the contract; the text says where."""


def require(kept: object, text: str) -> None:
    """``Broken`` with ``text`` unless ``kept``."""
    if not kept:
        raise Broken(text)
