"""What a study is: its file, its sample table, its design, and the check of all three."""

from pipelines.study.model import Study, load_study, parse_study

__all__ = ["Study", "load_study", "parse_study"]
