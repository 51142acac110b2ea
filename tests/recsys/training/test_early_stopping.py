import pytest

from recsys.training.callbacks import EarlyStopping


def epochs_run(losses: list[float], patience: int) -> tuple[int, EarlyStopping]:
    stopping = EarlyStopping(patience)
    for loss in losses:
        stopping.better(loss)
        if stopping.exhausted():
            break
    return len(stopping.losses), stopping


def test_the_notebooks_run_stops_after_five_epochs_with_the_second() -> None:
    run, stopping = epochs_run([0.8272, 0.7963, 0.7985, 0.8016, 0.7996, 0.79], patience=3)
    assert (run, stopping.best_epoch, stopping.scored_epoch(run)) == (5, 2, 2)


def test_an_equal_loss_is_no_better() -> None:
    run, stopping = epochs_run([1.0, 1.0, 1.0, 1.0], patience=2)
    assert (run, stopping.best_epoch) == (3, 1)


def test_without_patience_nothing_stops_and_the_last_weights_count() -> None:
    run, stopping = epochs_run([1.0, 2.0, 3.0], patience=0)
    assert (run, stopping.best_epoch, stopping.scored_epoch(run)) == (3, 1, 3)


@pytest.mark.parametrize(("losses", "expected"), [([2.0, 1.0], [True, True]), ([1.0, 2.0], [True, False])])
def test_better_means_strictly_lower_than_all_before(losses: list[float], expected: list[bool]) -> None:
    stopping = EarlyStopping(3)
    assert [stopping.better(loss) for loss in losses] == expected
