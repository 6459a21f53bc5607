"""The allowlist: what a defender has looked at and knows to be ordinary, with reason, author and expiry."""

from hopscope.allow.applying import Shown, apply
from hopscope.allow.entries import Allowlist, Entry, load
from hopscope.allow.proposing import command_for, toml_for

__all__ = ["Allowlist", "Entry", "Shown", "apply", "command_for", "load", "toml_for"]
