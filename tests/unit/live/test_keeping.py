"""A place that can't be written to ends no running analyzer."""

from __future__ import annotations

from pathlib import Path

import pytest

from hopscope import store
from hopscope.live.commands import _Keeping
from support.findings import FINDING


def test_what_cannot_be_kept_is_told_once_until_it_can_be_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "findings.jsonl"
    kept = _Keeping(path)

    def save() -> str:
        kept(lambda place: store.save(place, [FINDING]))
        return capsys.readouterr().err

    assert save() == ""
    path.unlink()
    path.mkdir()
    assert save().startswith("hopscope: what was found isn't kept: ")
    assert save() == ""
    path.rmdir()
    assert save() == ""
    assert store.read(path) == [FINDING]
    path.unlink()
    path.mkdir()
    assert "isn't kept" in save()
