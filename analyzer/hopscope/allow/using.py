"""The allowlist as commands use it: which file, read again while a command stays, and when its entries matched."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable
from datetime import date, datetime
from pathlib import Path

from hopscope import places
from hopscope.allow import asns, entries, firing, matched
from hopscope.allow.applying import Shown, apply
from hopscope.allow.entries import Allowlist
from hopscope.allow.firing import Fired
from hopscope.config import Config, FusionSettings
from hopscope.errors import UsageError
from hopscope.findings import Finding, RuleMatch
from hopscope.outputs import words

OFF = "none"


class Using:
    """The allowlist of a run.

    `named` is what was given with --allow: a file that must exist, `none` for no allowlist, None for the usual one.
    Raises UsageError when it can't be read.
    """

    def __init__(self, named: str | None, config: Config, now: Callable[[], datetime], must_exist: bool | None = None):
        self._named, self._config, self._now = named, config, now
        self._must_exist = named is not None if must_exist is None else must_exist
        self.path = places.allow_file(os.environ) if named is None else Path(named)
        self._seen = self._stamp()
        self._bare: tuple[int, ...] | None = ()  # the stamp of a file that was gone or empty when last looked at
        self.allowlist = self._load()

    def over(self, findings: Iterable[Finding], made: datetime | None = None) -> Shown:
        """The findings after the allowlist; keeps when its entries matched, where that can be kept.

        `made` is when the findings were, if not now: to look at them again makes no entry of use again.
        """
        now = self._now()
        shown = apply(findings, self.allowlist, now, self._config.fusion)
        return dataclasses.replace(shown, lines=(*shown.lines, *self._note(shown.matched, min(now, made or now))))

    def fired(self, matches: Iterable[RuleMatch], made: datetime | None = None) -> Fired:
        """What rules fired on after the allowlist, as `over`."""
        now = self._now()
        fired = firing.apply(matches, self.allowlist, now)
        return dataclasses.replace(fired, lines=(*fired.lines, *self._note(fired.matched, min(now, made or now))))

    def _note(self, entries_used: frozenset[str], when: datetime) -> tuple[str, ...]:
        """Keep when entries matched; what stands in the way."""
        if entries_used:
            ids = [e.id for e in self.allowlist.entries]
            try:
                matched.note(places.matches_file(os.environ), self.path, entries_used, ids, when.date())
            except UsageError as e:  # findings are worth more than when an entry was last of use
                return (f"last matches aren't kept: {e}",)
        return ()

    @property
    def fusion(self) -> FusionSettings:
        """By which a finding that lost evidence is scored."""
        return self._config.fusion

    @property
    def today(self) -> date:
        """The day, in UTC, by which entries expire."""
        return self._now().date()

    def refresh(self, config: Config | None = None) -> str | None:
        """Read the file again when it changed, or with other settings; the line that tells it, None when nothing did.

        A file that can't be read leaves the entries as they were, and is told once for each change. One that is gone
        or empty is taken when it is so still the next time: an editor may be about to write it.
        """
        stamp = self._stamp()
        if stamp == self._seen and config is None:
            return None
        if config is None and not (stamp and stamp[1]) and stamp != self._bare:
            self._bare = stamp
            return None
        self._bare = ()
        changed, self._seen = stamp != self._seen, stamp
        self._config = config or self._config
        try:
            self.allowlist = self._load()
        except UsageError as e:
            return f"{e}; the allowlist stays as it was"
        if stamp is None:
            return f"{self.path}: is gone; nothing is hidden any more" if changed else None
        return f"{self.path}: read again, {words.plural(len(self.allowlist.entries), 'entry')}" if changed else None

    def _load(self) -> Allowlist:
        if self._named == OFF:
            return Allowlist()
        database = self._config.network.asn_database
        return entries.load(self.path, asns.database(database) if database else None, self._must_exist)

    def _stamp(self) -> tuple[int, int, int] | None:
        if self._named == OFF:
            return None
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
