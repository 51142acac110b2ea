"""A comparison that shows itself in a notebook."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from typing import Any

import pandas as pd

from recsys.evaluation.results import Comparison
from recsys.report.answer import headline
from recsys.report.notebook import comparison_html

Made = tuple[Comparison, pd.DataFrame]


def shown(comparison: Any) -> str:
    text: str = comparison._repr_html_()
    return text


def test_a_comparison_shows_headline_rows_and_one_drawing(whole: Made) -> None:
    text = shown(whole[0])
    page = ElementTree.fromstring(text)
    assert page.findtext("p/strong") == f"{headline(whole[0])}."
    first = [row[0].text for row in page.iterfind("table/tbody/tr")]
    assert len(first) == len([*whole[0].models, *whole[0].combinations, *whole[0].baselines])
    assert {"MF", "Tuned DNN", "Bias only"} <= {*first}
    assert page.findall("table/tbody/tr/td/strong")
    assert text.count("<svg") == 1
    assert text == comparison_html(whole[0])


def test_texts_of_users_are_no_markup(fair: Made) -> None:
    hostile = fair[0].models[0].model_copy(update={"title": '<script>"x"</script>'})
    text = shown(fair[0].model_copy(update={"models": [hostile, *fair[0].models[1:]]}))
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_drawings_of_two_comparisons_share_no_id(with_mse: Callable[..., Comparison]) -> None:
    texts = [shown(with_mse(mf=mse, dnn=0.8)) for mse in (0.7, 0.9)]
    one, other = ({*re.findall(r'\bid="([^"]+)"', text)} for text in texts)
    assert one
    assert not one & other
    assert {*re.findall(r'(?:url\(|href="|labelledby=")#?([\w-]+)', texts[0])} == one


def test_without_rows_there_is_no_drawing(with_mse: Callable[..., Comparison]) -> None:
    text = shown(with_mse(failed=("mf", "dnn")))
    assert "No answer" in text
    assert "<svg" not in text
