"""The report: one model made from a sealed result, written as PDF and JSON into one folder."""

from evaltoolkit.report.blocks import ReportModel
from evaltoolkit.report.card import card
from evaltoolkit.report.model import build
from evaltoolkit.report.typst_pdf import render_pdf
from evaltoolkit.report.write import write_bytes, write_file, write_files, write_report

__all__ = ["ReportModel", "build", "card", "render_pdf", "write_bytes", "write_file", "write_files", "write_report"]
