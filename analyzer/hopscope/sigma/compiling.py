"""A rule as one boolean expression over the columns of a kind of record."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.rule import SigmaRule
from sigma.types import (
    CompareOperators,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaRegularExpressionFlag,
    SigmaString,
    SigmaTimestampPart,
    SpecialChars,
)

from hopscope.addresses import unmapped, unmapped_network
from hopscope.records import HOST_EVENT_IDS, PROTOCOLS
from hopscope.sigma import fields, regexes
from hopscope.sigma.columns import HOST_EVENT
from hopscope.sigma.expressions import And, Expression, Not, Or, Test
from hopscope.sigma.refusing import Cause, Refused

UNSET = frozenset({"", "-"})
"""Texts by which logs say that there is no value; records have null there."""

_COMPARISONS = {
    CompareOperators.LT: "lt",
    CompareOperators.LTE: "lte",
    CompareOperators.GT: "gt",
    CompareOperators.GTE: "gte",
}
_FLAGS = {
    SigmaRegularExpressionFlag.IGNORECASE: "i",
    SigmaRegularExpressionFlag.MULTILINE: "m",
    SigmaRegularExpressionFlag.DOTALL: "s",
}


def compile_rule(rule: SigmaRule, kind: str) -> Expression:
    """The expression of a rule over a kind of record; changes the rule. Raises Refused."""
    if any("|" in condition for condition in rule.detection.condition):
        raise Refused(Cause.CONDITION, "it counts events (an aggregation in its condition)")
    if kind == HOST_EVENT:
        _check_events(rule)
    if any(item.field is None for item in fields.items(rule)):
        raise Refused(Cause.KEYWORDS, "it searches for words in whole events; records have fields")
    fields.to_columns(rule, kind)
    parts: list[Expression] = []
    for condition in rule.detection.parsed_condition:
        tree = condition.parsed
        if tree is None:
            raise Refused(Cause.CONDITION, "its condition holds nothing")
        parts.append(_expression(tree, kind))
    return _either(parts)


def _check_events(rule: SigmaRule) -> None:
    read = HOST_EVENT_IDS.get(rule.logsource.service or "")
    if rule.logsource.product != "windows" or read is None:
        return
    values = [v for item in fields.items(rule) if item.field == "EventID" for v in item.value]
    told = {str(v) for v in values if isinstance(v, SigmaNumber | SigmaString)}
    if told and told.isdisjoint(map(str, read)):
        which = ", ".join(sorted(told)[:5]) + (" ..." if len(told) > 5 else "")
        known = " and ".join(map(str, sorted(read)))
        raise Refused(Cause.EVENT, f"it is about {rule.logsource.service} events {which}; {known} are read")


def _expression(node: Any, kind: str) -> Expression:
    if isinstance(node, ConditionAND | ConditionOR):
        parts = [_expression(part, kind) for part in node.args]
        return _either(parts) if isinstance(node, ConditionOR) else _every(parts)
    if isinstance(node, ConditionNOT):
        return Not(_expression(node.args[0], kind))
    if isinstance(node, ConditionFieldEqualsValueExpression):
        return _test(node.field, node.value, kind)
    if isinstance(node, ConditionValueExpression):
        raise Refused(Cause.KEYWORDS, "it searches for words in whole events; records have fields")
    raise Refused(Cause.CONDITION, f"its condition has a {type(node).__name__}, which is not known")


def _either(parts: list[Expression]) -> Expression:
    return parts[0] if len(parts) == 1 else Or(tuple(parts))


def _every(parts: list[Expression]) -> Expression:
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _test(field: str, value: Any, kind: str) -> Expression:
    column, sort = fields.column_of(field, kind)
    match value:
        case SigmaNull():
            return Test(column, "null")
        case SigmaExists():
            return Not(Test(column, "null")) if value.exists else Test(column, "null")
        case SigmaExpansion():
            return _either([_test(field, v, kind) for v in value.values])
        case SigmaRegularExpression():
            return Test(column, "regex", _regex(value))
        case SigmaCIDRExpression():
            if sort not in ("address", "texts"):
                raise Refused(Cause.MODIFIER, f"cidr on {column}, which holds no addresses")
            return Test(column, "network", str(unmapped_network(value.network)))
        case SigmaCompareExpression():
            return _comparison(column, sort, value)
        case SigmaFieldReference():
            return _reference(column, sort, value, kind)
        case SigmaTimestampPart():
            raise Refused(Cause.MODIFIER, "it looks at parts of times (minute, hour, day ...)")
        case SigmaNumber():
            return _number(column, sort, value.number)
        case SigmaBool():
            return Test(column, "equals", "true" if value.boolean else "false")
        case SigmaString():
            return _string(column, sort, value)
    raise Refused(Cause.MODIFIER, f"it has a value of an unknown sort ({type(value).__name__})")


def _number(column: str, sort: str, number: float) -> Test:
    if sort == "number":
        return Test(column, "eq", number)
    return _plain(column, sort, str(number), cased=False)


def _comparison(column: str, sort: str, value: SigmaCompareExpression) -> Expression:
    if sort != "number":
        raise Refused(Cause.MODIFIER, f"it compares {column}, which is text, with a number")
    if value.op == CompareOperators.NEQ:
        return Not(Test(column, "eq", value.number.number))
    return Test(column, _COMPARISONS[value.op], value.number.number)


def _reference(column: str, sort: str, value: SigmaFieldReference, kind: str) -> Test:
    other, other_sort = fields.column_of(value.field, kind)
    if "texts" in (sort, other_sort):
        raise Refused(Cause.MODIFIER, "fieldref on a field with several values")
    ops = {(False, False): "same", (True, False): "same_start", (False, True): "same_end", (True, True): "same_part"}
    return Test(column, ops[value.starts_with, value.ends_with], other)


def _regex(value: SigmaRegularExpression) -> str:
    if value.contains_placeholder():
        raise Refused(Cause.PLACEHOLDERS, _placeholders(value.regexp))
    flags = "".join(sorted(_FLAGS[flag] for flag in value.flags))
    pattern = (f"(?{flags})" if flags else "") + str(value.regexp)
    regexes.check(pattern)
    return pattern


def _placeholders(text: SigmaString) -> str:
    names = sorted({part.name for part in text.s if not isinstance(part, str | SpecialChars)})
    return "it has placeholders for lists of your own: " + ", ".join(f"%{name}%" for name in names)


def _string(column: str, sort: str, value: SigmaString) -> Expression:
    if value.contains_placeholder():
        raise Refused(Cause.PLACEHOLDERS, _placeholders(value))
    cased = isinstance(value, SigmaCasedString)
    parts = [part for part in value.s if isinstance(part, str | SpecialChars)]
    text = "".join(part for part in parts if isinstance(part, str))
    if not any(isinstance(part, SpecialChars) for part in parts):
        return _plain(column, sort, text, cased)
    if not text and SpecialChars.WILDCARD_SINGLE not in parts:
        return Not(Test(column, "null"))  # any value
    ends = (parts[0] is SpecialChars.WILDCARD_MULTI, parts[-1] is SpecialChars.WILDCARD_MULTI)
    inner = parts[ends[0] : len(parts) - ends[1]]
    if len(inner) == 1 and isinstance(inner[0], str) and any(ends):
        op = {(True, False): "ends", (False, True): "starts", (True, True): "contains"}[ends]
        return Test(column, op, text if cased else lower(text), cased)
    pattern = rf"\A(?s:{''.join(_piece(part, cased) for part in parts)})\z"
    regexes.check(pattern)
    return Test(column, "like", pattern, cased)


def _piece(part: str | SpecialChars, cased: bool) -> str:
    if isinstance(part, str):
        return re.escape(part if cased else lower(part))
    return ".*" if part is SpecialChars.WILDCARD_MULTI else "."


def _plain(column: str, sort: str, text: str, cased: bool) -> Test:
    if text in UNSET:
        return Test(column, "null")
    if sort == "number":
        try:
            return Test(column, "eq", SigmaNumber(text).number)
        except ValueError:
            pass  # never equal, but what a rule says is tested as it stands
    if sort == "address":
        text = shortest(text)
    if column == "proto":
        text = PROTOCOLS.get(text, text)  # Security writes numbers, records have names
    return Test(column, "equals", text if cased else lower(text), cased)


def lower(text: str) -> str:
    """In lower case, as Arrow has it for the columns."""
    return str(pc.utf8_lower(pa.scalar(text)).as_py())


def shortest(text: str) -> str:
    """An address in its shortest form, an IPv4 one that is mapped to IPv6 as IPv4; other texts as they are."""
    try:
        return str(unmapped(ipaddress.ip_address(text)))
    except ValueError:
        return text
