"""Runs the commands whose output README.md shows, and writes what they print into it: `make docs`.

A block that is kept so follows a comment `<!-- output of: COMMAND -->`. ID in the command stands for the
finding that the hunt before it kept.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from hopscope import places, store

# hopscope on one day, whenever it is run: what it prints names days to come
HOPSCOPE = """
from datetime import UTC, datetime
from hopscope import options
options.now = lambda: datetime(2026, 11, 22, 9, tzinfo=UTC)
from hopscope import cli
cli.main()
"""
ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"(<!-- output of: (.*?) -->\n```console\n).*?(```\n)", re.DOTALL)


def commands(text: str) -> list[str]:
    """The commands whose output the text shows, in order."""
    return [match[2] for match in BLOCK.finditer(text)]


def refreshed(text: str, home: Path) -> str:
    """The text with every block as it is now; findings are kept below `home` meanwhile."""

    def block(match: re.Match[str]) -> str:
        command = match[2]
        if "ID" in command.split():
            command = command.replace("ID", store.read(places.findings_file({"HOME": str(home)}))[0].id)
        return f"{match[1]}$ {command}\n{output(command, home)}{match[3]}"

    return BLOCK.sub(block, text)


def output(command: str, home: Path) -> str:
    """What a command prints on standard output, run from the project's root by this interpreter's hopscope."""
    program, *arguments = shlex.split(command)
    if program != "hopscope":
        raise SystemExit(f"{command}: only hopscope's own output is kept")
    kept = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")  # compiled code
    env = {**os.environ, "HOME": str(home), "XDG_STATE_HOME": "", "XDG_CACHE_HOME": kept}
    done = subprocess.run(  # noqa: S603 - commands that stand in our own README
        [sys.executable, "-c", HOPSCOPE, *arguments], cwd=ROOT, env=env, capture_output=True, text=True, timeout=600
    )
    if done.returncode not in (0, 1):
        raise SystemExit(f"{command}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


def main() -> None:
    """Refresh README.md."""
    with tempfile.TemporaryDirectory() as home:
        README.write_text(refreshed(README.read_text(encoding="utf-8"), Path(home)), encoding="utf-8")
    sys.stdout.write(f"wrote {README}\n")


if __name__ == "__main__":
    main()
