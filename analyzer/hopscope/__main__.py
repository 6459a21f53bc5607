"""`python -m hopscope`."""

from hopscope.cli import main

main()
