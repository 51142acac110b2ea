from collections.abc import Callable

import pytest

from recsys.evaluation.results import Comparison, HistoryScore
from recsys.models.specs import Family
from recsys.report.sections.histories import section


@pytest.fixture
def comparison(with_mse: Callable[..., Comparison]) -> Comparison:
    return with_mse()


def score(name: str, family: Family, histories: str, mse: float) -> HistoryScore:
    return HistoryScore(name=name, title=name, family=family, histories=histories, val_mse=mse - 0.01, mse=mse)


def texts(comparison: Comparison, *scores: HistoryScore) -> list[str]:
    found = section(comparison.model_copy(update={"histories": list(scores)}), [])
    assert found is not None
    return [finding.text for finding in found.findings]


def test_nothing_is_said_where_nothing_was_measured(comparison: Comparison) -> None:
    assert section(comparison.model_copy(update={"histories": []}), []) is None


def test_histories_that_help_get_the_credit_and_depth_that_does_not_gets_none(comparison: Comparison) -> None:
    told = texts(
        comparison,
        score("deep", "dnn", "none", 0.8),
        score("deep", "dnn", "both", 0.7),
        score("factors", "mf", "none", 0.75),
        score("factors", "mf", "both", 0.7001),
    )
    assert told[0].startswith("Reading both histories lowers the test MSE of deep by 12.5%")
    assert told[1].startswith("Reading both histories lowers the test MSE of factors")
    assert told[2].startswith("With the same inputs, factors and deep tie")


def test_histories_that_harm_and_a_model_that_is_ahead_are_named(comparison: Comparison) -> None:
    told = texts(
        comparison,
        score("deep", "dnn", "none", 0.7),
        score("deep", "dnn", "both", 0.8),
        score("factors", "mf", "none", 0.6),
        score("factors", "mf", "both", 0.6),
    )
    assert told[0].startswith("Reading both histories raises the test MSE of deep")
    assert told[1].startswith("Reading both histories hardly changes the test MSE of factors")
    assert told[2].startswith("With the same inputs, factors is ahead by")


def test_a_fit_that_failed_leaves_a_gap(comparison: Comparison) -> None:
    shown = comparison.model_copy(update={"histories": [score("deep", "dnn", "none", 0.7)]})
    found = section(shown, [])
    assert found is not None
    assert not found.findings
    assert [cell.text for cell in found.tables[0].rows[0]][2:] == ["–", "–"]
