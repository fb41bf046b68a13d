"""The Prefect side: the same functions as `senescope run`, scheduled."""
