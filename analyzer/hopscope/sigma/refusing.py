"""Why a rule can't be applied."""

from __future__ import annotations

from enum import StrEnum


class Cause(StrEnum):
    """What stands in the way, in the words that lists show."""

    INVALID = "not valid"
    COLLECTION = "collections, correlations and filters"
    SOURCE = "log source"
    EVENT = "event ids"
    FIELD = "fields"
    KEYWORDS = "keywords"
    PLACEHOLDERS = "placeholders"
    MODIFIER = "modifiers"
    REGEX = "regular expressions"
    CONDITION = "conditions"
    DUPLICATE = "ids that others have"


ELSEWHERE = frozenset({Cause.SOURCE, Cause.EVENT})
"""Causes of rules that are about something else altogether."""


class Refused(Exception):  # noqa: N818 - no error: a rule that isn't for this kind of record
    """A rule, or a rule over one kind of record, that can't be applied; the message says why."""

    def __init__(self, cause: Cause, reason: str):
        super().__init__(reason)
        self.cause, self.reason = cause, reason
