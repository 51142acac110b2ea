"""Tables, plots, sentences and pages, all from one comparison."""

from recsys.evaluation.results import Comparison


def _repr_html_(comparison: Comparison) -> str:
    from recsys.report.notebook import comparison_html

    return comparison_html(comparison)


# attached here, as the comparison itself does not know the report
Comparison._repr_html_ = _repr_html_  # type: ignore[attr-defined]
