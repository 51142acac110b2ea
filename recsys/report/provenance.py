"""How to read the report, and what it takes to get the same numbers again."""

from recsys.evaluation.comparison import Comparison
from recsys.evaluation.effect import LEVEL
from recsys.report.held_out import manner, seeded, which_test, which_validation
from recsys.report.standing import TIE_TEST_ROWS, effect, mse_step, tie_margin
from recsys.report.tables import RANKING_COLUMNS, shown_columns
from recsys.report.wording import count, number, percent, short


def notes(comparison: Comparison) -> list[tuple[str, str]]:
    """The words of the report and their meanings."""
    meanings = {column.heading: column.meaning for column in shown_columns(comparison)[1:]}
    if comparison.protocol == "notebook":
        meanings["Best epoch"] = "epoch of the lowest loss on the test ratings, which stood in for validation ratings"
    if comparison.ranking and comparison.ranking.users:
        meanings |= {column.heading: column.meaning for column in RANKING_COLUMNS[1:]}
    meanings["Rating units"] = "whatever the ratings are counted in; their squares for squared errors"
    meanings["Warm and cold"] = "a test rating is cold if its user or its item has no training rating, else warm"
    meanings["Tie"] = _tie(comparison)
    if comparison.differences:
        meanings["95% interval, p"] = (
            f"how sure a difference of MSEs is, from drawing the test users anew {comparison.resamples:,} times, each "
            f"with all test ratings; p is how often chance alone would bring a difference as large, corrected after "
            f"Holm for testing {count(len(comparison.differences), 'difference')}. Neither covers another training or "
            f"another split"
        )
    return [(word, f"{meaning}.") for word, meaning in meanings.items()]


def _tie(comparison: Comparison) -> str:
    margin, smallest, variance = tie_margin(comparison), effect(comparison), comparison.data.rating_sd**2
    if variance == 0:
        return "two equal MSEs, as the ratings do not vary"
    step = mse_step(comparison)
    reason = "about what another seed or chance moves" if comparison.min_effect is None else "as this run was told"
    tested = (
        f"two MSEs whose difference is below {number(smallest, step)} ({percent(smallest / variance)} of the variance "
        f"of the ratings), or whose corrected p is {LEVEL:g} or more. Where no p was computed, "
        if comparison.differences
        else ""
    )
    return (
        f"{tested}two MSEs at most {number(margin, step)} apart, which is {percent(margin / variance)} of the variance "
        f"of the ratings: {reason}. It is {percent(smallest / variance)} from "
        f"{TIE_TEST_ROWS:,} test ratings on, and more with fewer of them"
    )


def provenance(comparison: Comparison) -> list[tuple[str, str]]:
    """What this run was made with."""
    clipped = comparison.clipped_to
    facts = [
        ("Protocol", comparison.protocol),
        ("Seed of weights, dropout and shuffling", _seeds(comparison)),
        ("Split", manner(comparison)),
    ]
    if seeded(comparison):
        facts.append(("Seed of the split", str(comparison.split_seed)))
    facts.append(("Test ratings", which_test(comparison)))
    if comparison.protocol == "fair":
        facts.append(("Validation ratings", which_validation(comparison)))
    facts.append(
        ("Predictions clipped to", f"{short(clipped[0])} to {short(clipped[1])}" if clipped else "not clipped")
    )
    return facts


def _seeds(comparison: Comparison) -> str:
    used = list(dict.fromkeys(seed.seed for model in comparison.models for seed in model.seeds))
    return ", ".join(map(str, used or [comparison.seed]))
