"""The exceptions of hopscope: few and shallow; each message names the place and the remedy."""

from __future__ import annotations


class HopscopeError(Exception):
    """Base of all errors that a user can act on; the message is one line."""


class UsageError(HopscopeError):
    """A wrong option, an unknown setting, a missing tool: nothing was read (exit code 2)."""


class InputError(HopscopeError):
    """Input that could not be read at all (exit code 3).

    `path` is the input as the user named it, `offset` the byte at which reading failed (None when
    there is no such place), `problem` what is wrong and `remedy` what to do about it.
    """

    def __init__(self, path: str, problem: str, remedy: str, offset: int | None = None):
        self.path, self.problem, self.remedy, self.offset = path, problem, remedy, offset
        where = path if offset is None else f"{path} at byte {offset}"
        super().__init__(f"{where}: {problem}; {remedy}")
