"""`python -m pipelines` is `senescope`."""

from pipelines.cli import main

main()
