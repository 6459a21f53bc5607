"""Labels: what people said of findings, which findings they fit, and how good findings are by them."""

from hopscope.labels.fits import Fit, Measure, groups_of, marked, measure, of
from hopscope.labels.kept import VERDICTS, Label, Verdict, changing, in_force, moment, parse, read, summary, write

__all__ = [
    "VERDICTS",
    "Fit",
    "Label",
    "Measure",
    "Verdict",
    "changing",
    "groups_of",
    "in_force",
    "marked",
    "measure",
    "moment",
    "of",
    "parse",
    "read",
    "summary",
    "write",
]
