"""Settings from the command line and from a YAML file."""

from pathlib import Path

import pytest

from flows.options import application, from_yaml, merged, option, with_words_for_flags
from recsys.errors import BadSettings
from recsys.settings import Settings


def test_options_on_the_command_line_win_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("protocol: notebook\ndata:\n  max_rows: 7\ndnn:\n  dropout: 0.5\n  units: [64, 32]\n")
    base = from_yaml(str(path))
    assert (base.data.max_rows, base.dnn.units, base.protocol) == (7, (64, 32), "notebook")
    both = merged(base, Settings.model_validate({"dnn": {"dropout": 0.1}, "data": {"bad_rows": "quarantine"}}))
    assert (both.dnn.dropout, both.dnn.units) == (0.1, (64, 32))
    assert (both.data.max_rows, both.data.bad_rows, both.protocol) == (7, "quarantine", "notebook")


def test_a_fold_on_the_command_line_is_one_of_the_folds_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("split:\n  split_by: kfold\n  folds: 10\n")
    assert merged(from_yaml(str(path)), Settings.model_validate({"split": {"fold": 7}})).split.fold == 7
    with pytest.raises(BadSettings, match="Fold 10 does not exist: 10 folds"):
        merged(from_yaml(str(path)), Settings.model_validate({"split": {"fold": 10}}))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("dnn:\n  dropout: 2\n", "dnn.dropout should be less than 1, not 2."),
        ("dnn:\n  droput: 0.1\n", "dnn.droput is not a setting"),
        ("output:\n  store: ''\n", "output.store is empty: give it a value, or leave it out."),
        ("- 1\n", "should be a valid dictionary"),
        ("a: [", "is not YAML"),
    ],
)
def test_a_bad_settings_file_is_named_with_its_mistake(text: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(BadSettings, match=r"run\.yaml") as refused:
        from_yaml(str(path))
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (("split", "test_size"), "--test-size"),
        (("dnn_tuned", "learning_rate"), "--dnn-tuned.learning-rate"),
        (("dnn", "units", 0), "--dnn.units"),
        (("seed",), "--seed"),
    ],
)
def test_a_field_is_called_by_its_option(place: tuple[int | str, ...], expected: str) -> None:
    assert option(place) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--refit", "no", "--plots=no"], (False, False)),
        (["--plots", "no", "--refit"], (True, False)),
        (["--refit", "false", "--plots", "yes"], (False, True)),
    ],
)
def test_a_word_after_a_flag_turns_it_on_and_off(given: list[str], expected: tuple[bool, bool]) -> None:
    _, bound, *_ = application().parse_args(with_words_for_flags(given), exit_on_error=False, print_error=False)
    settings = bound.arguments["settings"]
    assert (settings.winner.refit, settings.output.plots) == expected
