"""The built-in sensor: a capture in, records out, without Zeek."""

from __future__ import annotations

from hopscope.sensor.read import records

__all__ = ["records"]
