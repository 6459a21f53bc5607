"""Dissectors: pure functions from payload bytes to facts. None raises on hostile input."""
