import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from recsys.store.fingerprint import Fingerprint, code_of, versions_of


@pytest.fixture
def package(tmp_path: Path) -> Path:
    root = tmp_path / "lib"
    root.mkdir()
    (root / "__init__.py").write_text("")
    (root / "model.py").write_text("from lib.layers import size\n\ndef build():\n    return size()\n")
    (root / "layers.py").write_text("def size():\n    import lib.numbers\n    return lib.numbers.FIFTY\n")
    (root / "numbers.py").write_text("FIFTY = 50\n")
    (root / "unrelated.py").write_text("ONE = 1\n")
    return root


def change(path: Path, text: str) -> None:
    path.write_text(text)
    os.utime(path, ns=(path.stat().st_mtime_ns + 1, path.stat().st_mtime_ns + 1))


def test_the_closure_holds_what_is_imported_however_far_away(package: Path) -> None:
    assert set(code_of(["lib.model"], package)) == {"lib.model", "lib.layers", "lib.numbers", "lib"}


def test_a_helper_of_a_helper_counts(package: Path) -> None:
    before = code_of(["lib.model"], package)
    change(package / "numbers.py", "FIFTY = 51\n")
    after = code_of(["lib.model"], package)
    assert {name for name in before if before[name] != after[name]} == {"lib.numbers"}


def test_comments_docstrings_and_formatting_do_not_count(package: Path) -> None:
    before = code_of(["lib.model"], package)
    change(package / "numbers.py", '"""Numbers."""\n\n# fifty\nFIFTY   =   50\n')
    assert code_of(["lib.model"], package) == before


def test_a_module_that_is_not_imported_does_not_count(package: Path) -> None:
    before = code_of(["lib.model"], package)
    change(package / "unrelated.py", "ONE = 2\n")
    assert code_of(["lib.model"], package) == before


def test_a_missing_module_is_an_error(package: Path) -> None:
    with pytest.raises(ModuleNotFoundError):
        code_of(["lib.absent"], package)


def test_the_training_code_of_one_family_is_not_part_of_the_other() -> None:
    mf, dnn = (code_of([f"recsys.models.{name}", "recsys.training.train"]) for name in ("mf", "mlp"))
    assert "recsys.models.mlp" in dnn
    assert "recsys.models.mlp" not in mf
    assert "recsys.training.keras_engine" in mf


@pytest.mark.parametrize("model", ["mf", "biased_mf", "mlp", "neumf", "baselines", "item_knn"])
def test_a_change_of_wording_or_of_a_data_sets_record_trains_no_model_again(model: str) -> None:
    code = set(code_of([f"recsys.models.{model}", "recsys.models.serialization", "recsys.training.train"]))
    assert "recsys.models.layers" in code or model in ("baselines", "item_knn")
    assert not code & {"recsys.text", "recsys.settings", "recsys.data.datasets", "recsys.data.download"}


def fingerprint(**changes: object) -> Fingerprint:
    whole: dict[str, object] = {
        "task": "train_dnn",
        "layer": "models",
        "inputs": {"codes": {"user.npy": "aa"}},
        "settings": {"settings": {"dropout": 0.3, "epochs": 10}},
        "code": {"recsys.models.mlp": "11"},
        "versions": versions_of(["numpy"]),
    }
    return Fingerprint(**(whole | changes))  # type: ignore[arg-type]


def test_the_key_survives_json() -> None:
    assert Fingerprint(**json.loads(json.dumps(asdict(fingerprint())))).key == fingerprint().key


def test_every_part_changes_the_key() -> None:
    variants = [
        fingerprint(),
        fingerprint(inputs={"codes": {"user.npy": "ab"}}),
        fingerprint(settings={"settings": {"dropout": 0.2, "epochs": 10}}),
        fingerprint(code={"recsys.models.mlp": "12"}),
        fingerprint(versions={"numpy": "0"}),
        fingerprint(task="train_dnn_tuned"),
    ]
    assert len({variant.key for variant in variants}) == len(variants)


def test_differences_name_the_leaf() -> None:
    other = fingerprint(settings={"settings": {"dropout": 0.2, "epochs": 10}})
    assert fingerprint().differences(other) == [("settings.settings.dropout", 0.3, 0.2)]
