"""The page of a comparison, for a reader who has nothing else: which head to use, and how sure one can be."""

from glm_assets.evaluation.report.data import Fact, ReportData
from glm_assets.evaluation.report.page import write_report

__all__ = ["Fact", "ReportData", "write_report"]
