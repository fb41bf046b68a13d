"""A study's run: one image after another, then the tables of all.

Nothing is imported here: worker processes import `pipelines.run.image` alone, without the tables'
libraries, which must not be loaded before a fork.
"""
