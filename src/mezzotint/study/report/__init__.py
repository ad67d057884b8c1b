"""A study's table as one static page, with thumbnails, CSV and Parquet beside it."""

from mezzotint.study.report.findings import Plot
from mezzotint.study.report.page import About, CellSets, html, write

__all__ = ["About", "CellSets", "Plot", "html", "write"]
