"""Rules from YAML, through pySigma: nothing of a rule is executed, and what can't be read is named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule
from sigma.rule.base import SigmaYAMLLoader

from hopscope.errors import UsageError
from hopscope.sigma.columns import CONNECTION, DNS_QUERY, HOST_EVENT
from hopscope.sigma.compiling import compile_rule
from hopscope.sigma.expressions import Expression
from hopscope.sigma.fields import Lacking, serves
from hopscope.sigma.refusing import Cause, Refused
from hopscope.sigma.regexes import POLICY
from hopscope.sigma.rules import LEVELS, Rule, Unsupported
from hopscope.sigma.shipped import SUFFIXES

KINDS = (HOST_EVENT, CONNECTION, DNS_QUERY)
LARGEST = 1 << 20  # bytes: rules are a few thousand
DEEPEST = 500  # levels
MODIFIERS = 8  # of a field; public rules have four at most
MARKS = frozenset({"detection", "logsource", "correlation", "filter"})
"""A document that has one of these is meant as a rule; others lie beside rules and are passed over."""

_OPENING = re.compile(rb"[\[{]")
_INDENT = re.compile(rb"[ \-?:\x00]+")


def below(path: Path, seen: set[Path]) -> list[Rule | Unsupported] | None:
    """The rules of a file, or of a directory's files in the order of their names; None where it holds none.

    Files in `seen` are passed over, and added to it. Raises UsageError for a path that isn't there or can't be read.
    """
    found: list[Rule | Unsupported] = []
    known = False
    try:
        for file in sorted(_files(path)) if path.is_dir() else [path]:
            if file.resolve() in seen:
                known = True
                continue
            seen.add(file.resolve())
            if file.stat().st_size > LARGEST:
                found.append(Unsupported(str(file), "", f"is larger than {LARGEST >> 20} MB, which no rule is"))
            else:
                found.extend(of_text(file.read_bytes(), str(file)))
    except OSError as e:
        where = e.filename or path
        raise UsageError(f"{where}: can't be read ({e.strerror}); name files or directories of rules") from e
    return found if found or known else None


def _files(directory: Path) -> Iterator[Path]:
    return (p for p in directory.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())


def of_text(text: bytes, place: str) -> Iterator[Rule | Unsupported]:
    """The rules of a file's text, each of its documents one."""
    try:
        if _deep(text):
            yield Unsupported(place, "", f"is nested more than {DEEPEST} levels deep, as no rule is")
            return
        documents = list(yaml.load_all(text, SigmaYAMLLoader))
    except yaml.YAMLError as e:
        yield Unsupported(place, "", f"is no YAML{_where(e)}")
        return
    except Exception as e:  # dates that are none, unhashable keys ...: whatever it is, it's this file's alone
        yield Unsupported(place, "", f"is no YAML that can be read ({_first_line(e)})")
        return
    meant = [d for d in documents if isinstance(d, dict) and not MARKS.isdisjoint(d)]
    collection = any("action" in document for document in meant)
    for document in meant:
        yield _rule(document, place, collection)


def _deep(text: bytes) -> bool:
    """It is nested too deeply: libyaml's documents are built by recursion in C, which has no bound of its own."""
    if len(_OPENING.findall(text)) + max(map(len, _INDENT.findall(text)), default=0) <= DEEPEST:
        return False  # a level takes a bracket, or a column of indentation, and there are not as many
    depth = 0
    for event in yaml.parse(text, SigmaYAMLLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            return True
    return False


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or _first_line(error)
    return f": {problem}" if mark is None else f" at line {mark.line + 1}: {problem}"


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _rule(document: dict[Any, Any], place: str, collection: bool) -> Rule | Unsupported:
    title = told if isinstance(told := document.get("title"), str) else ""
    title = title[:300]
    try:
        _check_modifiers(document.get("detection"))
        if collection:
            raise Refused(Cause.COLLECTION, "collections (action: global) are not applied")
        return _compiled(document, title, place)
    except Refused as e:
        return Unsupported(place, title, e.reason, e.cause)
    except SigmaError as e:
        return Unsupported(place, title, f"pySigma: {_first_line(e)}")
    except Exception as e:  # what pySigma didn't expect of a rule mustn't keep the others from being applied
        return Unsupported(place, title, f"can't be read ({type(e).__name__}: {_first_line(e)})")


def _check_modifiers(detection: Any) -> None:
    """Raises Refused where a field has more modifiers than any rule: base64 upon base64 makes texts of any size."""
    waiting, seen = [detection], set[int]()
    while waiting:
        node = waiting.pop()
        if not isinstance(node, dict | list) or id(node) in seen:  # aliases lead to the same again
            continue
        seen.add(id(node))
        for key in node if isinstance(node, dict) else ():
            if isinstance(key, str) and key.count("|") > MODIFIERS:
                raise Refused(Cause.MODIFIER, f"it has more than {MODIFIERS} modifiers of one field ({key[:60]} ...)")
        waiting.extend(node.values() if isinstance(node, dict) else node)


def _compiled(document: dict[Any, Any], title: str, place: str) -> Rule:
    if "correlation" in document or "filter" in document:
        raise Refused(Cause.COLLECTION, "correlations and filters of other rules are not applied")
    expressions: dict[str, Expression] = {}
    refused: list[Refused] = []
    for kind in _kinds(document.get("logsource")):
        rule = SigmaRule.from_dict(document, policy=POLICY)  # each time anew: pipelines change it
        try:
            expressions[kind] = compile_rule(rule, kind)
        except Refused as e:
            refused.append(e)
    if not expressions:
        raise min(refused, key=lambda e: e.fields if isinstance(e, Lacking) else 0)  # the nearest to be applied
    level = str(rule.level) if rule.level is not None else "medium"
    tags = tuple(str(tag).lower() for tag in rule.tags)
    assert level in LEVELS
    return Rule(str(rule.id or title), title, level, tags, place, expressions)


def _kinds(logsource: Any) -> list[str]:
    """The kinds of records that a rule of that log source is about. Raises Refused where there are none."""
    told = logsource if isinstance(logsource, dict) else {}
    source = {name: told.get(name) for name in ("product", "category", "service")}
    if not any(source.values()) or not all(isinstance(value, str | None) for value in source.values()):
        return list(KINDS)  # it isn't valid, as pySigma will tell
    kinds = [kind for kind in KINDS if serves(kind, source["category"], source["product"], source["service"])]
    if not kinds:
        named = ", ".join(f"{name} {value}" for name, value in source.items() if value)
        raise Refused(Cause.SOURCE, f"its log source ({named}) is not among the records")
    return kinds
