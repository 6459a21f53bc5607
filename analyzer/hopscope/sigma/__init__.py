"""Sigma rules over records: loaded through pySigma, each compiled to one boolean expression over columns.

`load` reads rules from files and directories, and the rules that hopscope brings; what can't be applied is named
with its reason. `Matcher` applies them to batches of records and gathers what they fired on.
"""

from hopscope.sigma.matching import Matcher
from hopscope.sigma.rules import Rule, Rules, Unsupported, load

__all__ = ["Matcher", "Rule", "Rules", "Unsupported", "load"]
