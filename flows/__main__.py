"""`python -m flows` is `senescope`."""

from flows.cli import main

main()
