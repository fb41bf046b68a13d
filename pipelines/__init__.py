"""From images to tables: the study, its images, the run over them, its tables and its report."""
