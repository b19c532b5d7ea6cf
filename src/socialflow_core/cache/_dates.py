"""Dates as HTTP writes them (RFC 9110, 5.6.7)."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

__all__ = ["http_date", "parse_http_date"]


def http_date(moment: datetime) -> str:
    """*moment* as HTTP writes it (RFC 9110, 5.6.7); it has to know its time zone.

    >>> http_date(datetime(2027, 1, 15, 8, 0, tzinfo=UTC))
    'Fri, 15 Jan 2027 08:00:00 GMT'
    """
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def parse_http_date(text: str) -> datetime | None:
    """The moment that a date of HTTP names, None if it is no date.

    >>> parse_http_date("Fri, 15 Jan 2027 08:00:00 GMT")
    datetime.datetime(2027, 1, 15, 8, 0, tzinfo=datetime.timezone.utc)
    """
    try:
        moment = parsedate_to_datetime(text)
        # A date without a zone is one of the two older forms, which are in UTC.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
