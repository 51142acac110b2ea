"""A report's folder: the page, its Markdown twin, the numbers and the pictures."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from recsys.evaluation.comparison import Comparison
from recsys.report.markdown import markdown_report
from recsys.report.page import html_page
from recsys.report.plots import draw_plots
from recsys.report.svg import standalone
from recsys.report.tables import table_csv
from recsys.report.trial_files import trials_csv, trials_table


def write_report(comparison: Comparison, predictions: pd.DataFrame, folder: Path) -> None:
    """Write report.html, report.md, comparison.json, comparison.csv and plots/*.svg and *.png.

    Where settings were searched, also trials.parquet and trials.csv.

    The same comparison and predictions give the same bytes.

    Args:
        comparison: what the run found.
        predictions: one row per test rating, with the columns user, item, rating, cold, user_ratings,
            item_ratings and one per scored model and baseline.
        folder: an existing folder.
    """
    plots = draw_plots(comparison, predictions)
    texts = {
        "report.html": html_page(comparison, plots),
        "report.md": markdown_report(comparison, plots, embedded=False),
        "comparison.json": comparison.model_dump_json(indent=2) + "\n",
        "comparison.csv": table_csv(comparison),
    }
    if comparison.tuning:
        texts["trials.csv"] = trials_csv(comparison)
        pq.write_table(trials_table(comparison), folder / "trials.parquet", compression="zstd")
    pictures = folder / "plots"
    pictures.mkdir(exist_ok=True)
    for plot in plots:
        texts[f"plots/{plot.name}.svg"] = standalone(plot.svg)
        (pictures / f"{plot.name}.png").write_bytes(plot.png)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
