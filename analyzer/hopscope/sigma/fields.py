"""The fields of a rule as columns of a kind of record: pySigma's pipelines, which are data in `pipelines/`."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from importlib import resources

from sigma.processing.pipeline import ProcessingPipeline
from sigma.processing.transformations import AddConditionTransformation
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaLogSource, SigmaRule
from sigma.types import SigmaFieldReference

from hopscope.sigma.columns import NAMES, SORTS
from hopscope.sigma.refusing import Cause, Refused

_UNDERSCORED = re.compile(r"\bof\s+_", re.IGNORECASE)

COLUMN = "record."
"""What the pipelines begin the names of columns with, so that no field of a rule passes for one."""


class Lacking(Refused):
    """Fields of a rule, so many of them, that the records don't have."""

    def __init__(self, reason: str, fields: int):
        super().__init__(Cause.FIELD, reason)
        self.fields = fields


@functools.cache
def pipeline(kind: str) -> ProcessingPipeline:
    """The pipeline for a kind of record."""
    text = resources.files("hopscope.sigma").joinpath("pipelines", f"{kind}.yml").read_text(encoding="utf-8")
    return ProcessingPipeline.from_yaml(text)


@functools.cache
def serves(kind: str, category: str | None, product: str | None, service: str | None) -> bool:
    """Records of a kind hold what rules of that log source are about."""
    rule = SigmaRule(logsource=SigmaLogSource(category, product, service))
    return any(item.match_rule_conditions(rule) for item in pipeline(kind).items)


def to_columns(rule: SigmaRule, kind: str) -> None:
    """Change the fields of a rule to the columns of a kind of record, and add what restricts it to its log source.

    Raises Lacking where the records don't have all the fields.
    """
    lacking = sorted({field for field in _fields(rule) if field.startswith(COLUMN)})
    if not lacking:
        _check_names(rule, kind)
        pipeline(kind).apply(rule)
        lacking = sorted({field for field in _fields(rule) if not field.startswith(COLUMN)})
    if lacking:
        raise Lacking(f"{NAMES[kind]} have no {', '.join(lacking)}", len(lacking))


def _check_names(rule: SigmaRule, kind: str) -> None:
    """Raises Refused where the rule's own detections would be mixed with those that the pipeline adds."""
    made = (item.transformation for item in pipeline(kind).items)
    added = {t.name for t in made if isinstance(t, AddConditionTransformation)}
    if taken := added & rule.detection.detections.keys():
        raise Refused(Cause.CONDITION, f"its detection {min(taken)} is called as one of hopscope's; call it otherwise")
    for condition in rule.detection.condition:
        if _UNDERSCORED.search(condition):
            raise Refused(Cause.CONDITION, "it asks for some of the detections that begin with an underscore")


def column_of(field: str, kind: str) -> tuple[str, str]:
    """A mapped field's column and the column's sort."""
    name = field.removeprefix(COLUMN)
    return name, SORTS[kind][name]


def _fields(rule: SigmaRule) -> Iterator[str]:
    for item in items(rule):
        if item.field is not None:
            yield item.field
        yield from (value.field for value in item.value if isinstance(value, SigmaFieldReference))


def items(rule: SigmaRule) -> Iterator[SigmaDetectionItem]:
    """Every field with its values, of all detections of a rule."""
    waiting: list[SigmaDetection | SigmaDetectionItem] = list(rule.detection.detections.values())
    while waiting:
        item = waiting.pop()
        if isinstance(item, SigmaDetection):
            waiting.extend(item.detection_items)
        else:
            yield item
