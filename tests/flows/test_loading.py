import gc

import pytest

from flows import session


def test_scikit_learn_is_loaded_whole_before_keras_loads_a_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the split, which imports it in another thread."""
    loaded: list[str] = []
    monkeypatch.setattr(session, "import_module", loaded.append)
    monkeypatch.setattr(gc, "freeze", lambda: None)
    with session._keras_loading():
        pass
    assert loaded == ["sklearn.model_selection", "recsys.training.train"]
