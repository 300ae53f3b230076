"""Self-contained pages for a reader who has nothing else: which head to use and how sure one can be, or a study."""

from glm_assets.evaluation.report.data import Fact, ReportData
from glm_assets.evaluation.report.page import write_report
from glm_assets.evaluation.report.study_page import PageFigure, PageTable, Section, StudyPage, write_study_page

__all__ = [
    "Fact",
    "PageFigure",
    "PageTable",
    "ReportData",
    "Section",
    "StudyPage",
    "write_report",
    "write_study_page",
]
