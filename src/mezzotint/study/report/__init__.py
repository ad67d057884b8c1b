"""A study's table as one static page, with thumbnails, CSV and Parquet beside it."""

from mezzotint.study.report.findings import Plot
from mezzotint.study.report.page import CellSets, PageFacts, html, write

__all__ = ["CellSets", "PageFacts", "Plot", "html", "write"]
