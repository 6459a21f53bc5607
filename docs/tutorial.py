"""Runs the commands of docs/tuning.md and writes what they print into it: `make docs`.

In a block ```console a line that begins with `$ ` is a command, lines that begin with `> ` go on with it, and
all others are what it prints. Comments before a block tell what a reader need not:

    <!-- at: 2026-01-27 08:30 -->   what hopscope's clock says from here on (UTC)
    <!-- file: NAME -->             the block that follows is written to that file instead of being run
    <!-- exits: 2 -->               the last command of the next block ends so; else 0 or 1 is asked for
    <!-- office -->                 the table that follows is made from bench/site_model/week.py

Commands run in bash, in an empty directory with a home of its own, in the order of the page.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "tuning.md"
FENCE = re.compile(r"^```")
MARK = re.compile(r"^<!-- (at|file|exits|office)(?:: (.*?))? -->$")
MINUTES = 10  # a command may take

# hopscope with another clock: the one function that its commands ask
HOPSCOPE = """\
#!/bin/sh
exec {python} -c '
import os
from datetime import datetime
from hopscope import options
options.now = lambda: datetime.fromisoformat(os.environ["TUTORIAL_NOW"])
from hopscope import cli
cli.main()' "$@"
"""


@dataclass
class Shell:
    """Where the commands run, and what the marks before a block have set."""

    work: Path
    now: str = "2026-01-27T08:30:00+00:00"
    exits: tuple[int, ...] = (0, 1)
    file: str | None = None
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        home, programs = self.work / "home", self.work / "bin"
        for directory in (home, programs):
            directory.mkdir()
        (self.work / "office").mkdir()
        (self.work / "office" / "bench").symlink_to(ROOT / "bench")
        python = shlex.quote(sys.executable)
        shims = {"hopscope": HOPSCOPE.format(python=python), "python": f'#!/bin/sh\nexec {python} "$@"\n'}
        for name, text in shims.items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        kept = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")  # compiled code
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("HOPSCOPE_", "XDG_"))},
            "HOME": str(home), "XDG_CACHE_HOME": kept, "PATH": f"{programs}:{os.environ['PATH']}", "USER": "ada",
            "LC_ALL": "C.UTF-8", "TZ": "UTC",
        }  # fmt: skip

    def run(self, command: str, last: bool) -> str:
        """What a command prints, errors too, as on a terminal. SystemExit when it ends otherwise than said."""
        done = subprocess.run(  # noqa: S603 - commands that stand in our own page
            ["bash", "-c", command],  # noqa: S607
            cwd=self.work / "office", env={**self.environment, "TUTORIAL_NOW": self.now}, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=60 * MINUTES,
        )  # fmt: skip
        if done.returncode not in (self.exits if last else (0, 1)):
            raise SystemExit(f"{command}: exit code {done.returncode}\n{done.stdout}")
        return done.stdout.replace(str(self.work / "home"), "~")

    def write(self, text: str) -> None:
        """Write the block of a `file` mark."""
        path = Path((self.file or "").replace("~", str(self.work / "home"), 1))
        path = path if path.is_absolute() else self.work / "office" / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        self.file = None

    def mark(self, kind: str, value: str) -> None:
        """Take what a mark says."""
        if kind == "at":
            self.now = f"{value.replace(' ', 'T')}:00+00:00"
        elif kind == "exits":
            self.exits = (int(value),)
        elif kind == "file":
            self.file = value


def refreshed(page: str, work: Path) -> str:
    """The page with every output as it is now; `work` is an empty directory."""
    shell, out = Shell(work), []
    lines = iter(page.splitlines())
    for line in lines:
        out.append(line)
        if match := MARK.match(line):
            shell.mark(match[1], match[2] or "")
            if match[1] == "office":
                out += ["", *office(), ""]
                _skip_table(lines)
        elif FENCE.match(line):
            block = _until_fence(lines)
            if line == "```console":
                block = list(_played(block, shell))
            elif shell.file is not None:
                shell.write("".join(f"{inner}\n" for inner in block))
            out += [*block, "```"]
    return "\n".join(out) + "\n"


def office() -> list[str]:
    """The table of who is in the office of the page, and why it looks like a hop."""
    sys.path.insert(0, str(ROOT / "bench"))
    from site_model import week

    count = Counter(p.kind for p in week.office().programs if p.kind != "exercise")
    return [
        "| kind | services | what it is, and why it looks like a hop | hop |",
        "| --- | ---: | --- | --- |",
        *(f"| {k} | {n} | {week.KINDS[k]} | {'**yes**' if k in week.HOPS else 'no'} |" for k, n in count.items()),
    ]


def _until_fence(lines: Iterator[str]) -> list[str]:
    block = []
    for line in lines:
        if FENCE.match(line):
            return block
        block.append(line)
    raise SystemExit("a block has no end")


def _skip_table(lines: Iterator[str]) -> None:
    """Over the old table and the empty line after it."""
    begun = False
    for line in lines:
        begun = begun or line.startswith("|")
        if begun and not line:
            return


def _played(block: list[str], shell: Shell) -> Iterator[str]:
    """The commands of a block, each with what it prints now."""
    commands: list[list[str]] = []
    for line in block:
        if line.startswith("$ "):
            commands.append([line])
        elif commands and line.startswith("> ") and all(told.startswith(("$ ", "> ")) for told in commands[-1]):
            commands[-1].append(line)
    for command in commands:
        yield from command
        yield from shell.run("\n".join(line[2:] for line in command), command is commands[-1]).splitlines()
    shell.exits = (0, 1)


def main() -> None:
    """Refresh docs/tuning.md."""
    with tempfile.TemporaryDirectory() as work:
        PAGE.write_text(refreshed(PAGE.read_text(encoding="utf-8"), Path(work)), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")


if __name__ == "__main__":
    main()
