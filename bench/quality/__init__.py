"""How well hopscope finds, measured: `python -m bench.quality` writes docs/quality.md and its figures."""
