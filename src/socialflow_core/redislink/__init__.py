"""The fast, bounded path to Redis: one round trip, a deadline, a circuit that a probe closes."""

from ._interface import Argument, AsyncLink, Link, LinkOptions, Script

__all__ = ["Argument", "AsyncLink", "Link", "LinkOptions", "Script"]
