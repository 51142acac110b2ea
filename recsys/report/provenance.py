"""How to read the report, and what it takes to get the same numbers again."""

from recsys.evaluation.comparison import Comparison
from recsys.report.held_out import manner, seeded, which_test, which_validation
from recsys.report.standing import TIE_SHARE_OF_VARIANCE, TIE_TEST_ROWS, mse_step, tie_margin
from recsys.report.tables import COLUMNS
from recsys.report.wording import number, percent, short


def notes(comparison: Comparison) -> list[tuple[str, str]]:
    """The words of the report and their meanings."""
    meanings = {column.heading: column.meaning for column in COLUMNS[1:]}
    if comparison.protocol == "notebook":
        meanings["Best epoch"] = "epoch of the lowest loss on the test ratings, which stood in for validation ratings"
    meanings["Rating units"] = "whatever the ratings are counted in; their squares for squared errors"
    meanings["Warm and cold"] = "a test rating is cold if its user or its item has no training rating, else warm"
    margin = tie_margin(comparison)
    if margin > 0:
        meanings["Tie"] = (
            f"two MSEs at most {number(margin, mse_step(comparison))} apart, which is "
            f"{percent(margin / comparison.data.rating_sd**2)} of the variance of the ratings: about what another seed "
            f"or chance moves. It is {percent(TIE_SHARE_OF_VARIANCE)} from {TIE_TEST_ROWS:,} test ratings on, and more "
            f"with fewer of them"
        )
    else:
        meanings["Tie"] = "two equal MSEs, as the ratings do not vary"
    return [(word, f"{meaning}.") for word, meaning in meanings.items()]


def provenance(comparison: Comparison) -> list[tuple[str, str]]:
    """What this run was made with."""
    clipped = comparison.clipped_to
    facts = [
        ("Protocol", comparison.protocol),
        ("Seed of weights, dropout and shuffling", str(comparison.seed)),
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
