"""Where hopscope keeps its files: the XDG base directory specification, for settings and for state."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def settings_file(env: Mapping[str, str]) -> Path:
    """The settings that are read where no file is named."""
    return _under(env, "CONFIG", ".config") / "hopscope.toml"


def allow_file(env: Mapping[str, str]) -> Path:
    """The allowlist."""
    return _under(env, "CONFIG", ".config") / "allow.toml"


def findings_file(env: Mapping[str, str]) -> Path:
    """The findings of the last run."""
    return _under(env, "STATE", ".local/state") / "findings.jsonl"


def run_of(findings: Path) -> Path:
    """What the run behind the findings of a file weighed: a directory beside it."""
    return findings.with_name(f"{findings.name}.run") if findings.suffix == ".run" else findings.with_suffix(".run")


def labels_file(env: Mapping[str, str]) -> Path:
    """What people said of findings."""
    return _under(env, "STATE", ".local/state") / "labels.jsonl"


def matches_file(env: Mapping[str, str]) -> Path:
    """When each allowlist entry last matched a finding."""
    return _under(env, "STATE", ".local/state") / "allow-matches.json"


def baselines(env: Mapping[str, str]) -> Path:
    """The directory of learnt baselines, one directory for each version."""
    return _under(env, "STATE", ".local/state") / "baselines"


def _under(env: Mapping[str, str], kind: str, usual: str) -> Path:
    named = env.get(f"XDG_{kind}_HOME", "")
    # the specification has relative paths ignored
    base = Path(named) if named.startswith("/") else Path(env.get("HOME") or "~").expanduser() / usual
    return base / "hopscope"
