"""What is written by `make docs` is current: the shipped rules as compiled, and the table of fields."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hopscope.sigma import reading, shipped
from hopscope.sigma.rules import Rule
from support.documents import script

ROOT = Path(__file__).resolve().parents[3]


def test_the_shipped_rules_are_kept_as_they_compile_now() -> None:
    compiled = list(shipped.compiled())
    assert compiled
    rules = [one for one in compiled if isinstance(one, Rule)]
    assert rules == compiled  # each can be applied
    kept = ROOT / "analyzer" / "hopscope" / "sigma" / shipped.KEPT
    assert kept.read_text(encoding="utf-8") == shipped.to_keep(rules), "run `make docs`"
    assert list(shipped.rules()) == rules


def test_rules_that_were_changed_are_compiled_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "analyzer" / "hopscope" / "sigma" / "rules" / "portmap_io_dns.yml").read_bytes()
    changed = text.replace(b"title: ", b"title: Changed ")
    monkeypatch.setattr(shipped, "_files", lambda _: [("one.yml", changed)])
    [rule] = shipped.rules.__wrapped__()
    assert rule.title.startswith("Changed ")
    assert rule == next(reading.of_text(changed, "hopscope/one.yml"))


def test_the_table_of_fields_is_current() -> None:
    page = "\n".join(script("sigma_rules").page()) + "\n"
    assert (ROOT / "docs" / "sigma.md").read_text(encoding="utf-8") == page, "run `make docs`"


def test_the_shipped_rules_are_applied_without_waiting_for_pysigma() -> None:
    script = "import sys; from hopscope import sigma; sigma.Matcher(sigma.load([])); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=300)
    assert not {"sigma", "sigma.rule", "yaml", "hopscope.sigma.reading"} & set(done.stdout.split())
