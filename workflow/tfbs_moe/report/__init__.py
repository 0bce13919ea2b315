"""The report: one page that a reader opens, made from the files of a run."""

from tfbs_moe.report.build import build_report
from tfbs_moe.report.inputs import report_inputs

__all__ = ["build_report", "report_inputs"]
