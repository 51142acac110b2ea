"""The checks of a comparison, one record each: what may be wrong with it, by the numbers, and what to do.

Whoever adds a check adds its record here and a heading of its name to docs/checks.md. The report, comparison.json, the
terminal, `--mute` and `--strict` read the records. A rule is the function of a section where a section says the same.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from recsys.errors import BadSettings
from recsys.evaluation.results import Comparison, FiredCheck, Severity
from recsys.report import check_rules as rules
from recsys.report.searches import head_start, not_searched, short_searches, unequal_searches
from recsys.report.sections.baselines import unbeaten
from recsys.report.sections.cold_start import mostly_clipped
from recsys.report.sections.methodology import bare_factorisation, few_test_ratings, without_search
from recsys.report.sections.seeds import seeds_disagree
from recsys.report.sections.splits import changed_by_splits, pairs_in_two_parts
from recsys.text import listing


@dataclass(frozen=True, kw_only=True)
class Check:
    """A check.

    Attributes:
        id: as people cite it, such as "C01"; it never changes.
        name: the same in words, for the command line, and the anchor of its heading in docs/checks.md.
        title: what it means that it fired, in a few words.
        rule: what was measured, as a sentence with its numbers; empty where the check did not fire.
        tip: what to do about it.
    """

    id: str
    name: str
    title: str
    severity: Severity
    rule: Callable[[Comparison], str]
    tip: str


CHECKS = (
    Check(
        id="C01",
        name="no-answer",
        title="No answer",
        severity="error",
        rule=rules.no_answer,
        tip="Get a score of both families on ratings that vary and whose users and items are known, for instance with "
        "--split-by random.",
    ),
    Check(
        id="C02",
        name="selected-on-test",
        title="Selected on the test ratings",
        severity="error",
        rule=rules.selected_on_test,
        tip="Use --protocol fair, which selects on validation ratings.",
    ),
    Check(
        id="C03",
        name="test-small",
        title="Few test ratings",
        severity="error",
        rule=few_test_ratings,
        tip="Use more ratings, or a larger --test-size.",
    ),
    Check(
        id="C04",
        name="budget-unequal",
        title="Unequal search budgets",
        severity="error",
        rule=unequal_searches,
        tip="Search both families with the same --budget, and see why a search had no trials.",
    ),
    Check(
        id="C05",
        name="duplicates-kept",
        title="Repeated ratings kept",
        severity="note",
        rule=rules.repeated_pairs,
        tip="Where one rating of a pair is to count, use the last with --duplicates last, or their mean with "
        "--duplicates mean.",
    ),
    Check(
        id="C06",
        name="not-searched",
        title="Settings not searched",
        severity="warning",
        rule=without_search,
        tip="Search the settings of both families: --protocol fair with a --budget above 0.",
    ),
    Check(
        id="C07",
        name="search-short",
        title="Short searches",
        severity="warning",
        rule=short_searches,
        tip="Raise --budget; trials that were run already are cached.",
    ),
    Check(
        id="C08",
        name="search-cut",
        title="Searches cut short",
        severity="warning",
        rule=rules.searches_cut_short,
        tip="Raise --budget, which allows more training time, or search fewer --models.",
    ),
    Check(
        id="C09",
        name="search-failed",
        title="All new trials failed",
        severity="warning",
        rule=not_searched,
        tip="See the reason of each trial in trials.csv, and repeat the run when it is put right.",
    ),
    Check(
        id="C10",
        name="optimum-at-edge",
        title="Optimum at the edge of a range",
        severity="warning",
        rule=rules.at_an_edge,
        tip="Give the setting a value beyond that end, with the option of its model, and compare the validation MSEs.",
    ),
    Check(
        id="C11",
        name="bare-factorisation",
        title="Bare matrix factorisation",
        severity="warning",
        rule=bare_factorisation,
        tip="Use --protocol fair, which compares with matrix factorisation that has biases and regularisation.",
    ),
    Check(
        id="C12",
        name="model-failed",
        title="Failed models",
        severity="warning",
        rule=rules.failed_models,
        tip="See the reason, and repeat the command: what was trained is cached.",
    ),
    Check(
        id="C13",
        name="one-seed",
        title="One seed",
        severity="warning",
        rule=rules.one_seed,
        tip="Train with several: --seeds 5.",
    ),
    Check(
        id="C14",
        name="seeds-disagree",
        title="Seeds disagree",
        severity="warning",
        rule=seeds_disagree,
        tip="Train with more --seeds, and read the interval of the difference.",
    ),
    Check(
        id="C15",
        name="split-flips",
        title="Another verdict under another split",
        severity="warning",
        rule=changed_by_splits,
        tip="Decide which split is like the use of the model, and report the verdicts of all; more --splits say how "
        "often it changes.",
    ),
    Check(
        id="C16",
        name="baseline-not-beaten",
        title="Baseline not beaten",
        severity="warning",
        rule=unbeaten,
        tip="Use the baseline, or raise --budget; both families may have learnt nothing beyond it.",
    ),
    Check(
        id="C17",
        name="overfitting",
        title="Overfitted weights scored",
        severity="warning",
        rule=rules.overfitted,
        tip="Stop early with the model's patience, or give it fewer epochs or more regularisation.",
    ),
    Check(
        id="C18",
        name="still-learning",
        title="Training cut short",
        severity="warning",
        rule=rules.still_learning,
        tip="Give the model more epochs, or a higher learning rate.",
    ),
    Check(
        id="C19",
        name="clipped-often",
        title="Most predictions clipped",
        severity="warning",
        rule=mostly_clipped,
        tip="Give the model more epochs or another learning rate.",
    ),
    Check(
        id="C20",
        name="cold-share-high",
        title="Many cold test ratings",
        severity="warning",
        rule=rules.high_cold_share,
        tip="Read the errors on warm and on cold test ratings apart.",
    ),
    Check(
        id="C21",
        name="data-small",
        title="Few training ratings",
        severity="warning",
        rule=rules.few_training_ratings,
        tip="Use more ratings, or leave out users and items with next to none.",
    ),
    Check(
        id="C22",
        name="validation-small",
        title="Few validation ratings",
        severity="warning",
        rule=rules.few_validation_ratings,
        tip="Use more ratings, or a larger --validation-size.",
    ),
    Check(
        id="C23",
        name="test-read-before",
        title="Test ratings read more than once",
        severity="warning",
        rule=rules.test_read_before,
        tip="Confirm a choice that these scores have suggested on other ratings, such as another --split-seed.",
    ),
    Check(
        id="C24",
        name="data-drift",
        title="The ratings drifted",
        severity="warning",
        rule=rules.drift("data drift"),
        tip="See where the ratings come from before the scores are compared with earlier ones.",
    ),
    Check(
        id="C25",
        name="error-drift",
        title="Errors increased",
        severity="warning",
        rule=rules.drift("accuracy drift"),
        tip="See what changed since the run named there, and repeat that one with --replay.",
    ),
    Check(
        id="C26",
        name="model-changed",
        title="Another model chosen than before",
        severity="note",
        rule=rules.drift("chosen model"),
        tip="Compare the validation MSEs of both: a choice between two that are close may change with any run.",
    ),
    Check(
        id="C27",
        name="one-split",
        title="One split",
        severity="note",
        rule=rules.one_split,
        tip="Repeat the comparison with --splits 3 or --splits-also time.",
    ),
    Check(
        id="C28",
        name="head-start",
        title="Head start of the searches",
        severity="note",
        rule=head_start,
        tip="Compare on ratings of your own, which the ranges were not chosen on.",
    ),
    Check(
        id="C29",
        name="rows-set-aside",
        title="Invalid rows set aside",
        severity="note",
        rule=rules.rows_set_aside,
        tip="Read quarantine.csv beside the report, and correct the file.",
    ),
    Check(
        id="C30",
        name="left-out",
        title="Rows left out",
        severity="note",
        rule=rules.left_out,
        tip="Use a machine with more memory, or fewer ratings with --max-rows.",
    ),
    Check(
        id="C31",
        name="trials-failed",
        title="Failed trials",
        severity="note",
        rule=rules.trials_that_failed,
        tip="See the reason of each in trials.csv.",
    ),
    Check(
        id="C32",
        name="rating-apart",
        title="A rating apart from the scale",
        severity="warning",
        rule=rules.apart,
        tip="See what the source says of this number before the errors are compared: they are those of predicting it, "
        "too.",
    ),
    Check(
        id="C33",
        name="times-unreadable",
        title="Times that cannot be read",
        severity="note",
        rule=rules.unreadable_times,
        tip="Say how the times are written with --time-format; splits by time need all of them.",
    ),
    Check(
        id="C34",
        name="pairs-in-two-parts",
        title="Pairs in training and test",
        severity="error",
        rule=pairs_in_two_parts,
        tip="Use --protocol fair, which keeps the ratings of a pair together, or --duplicates last or mean.",
    ),
    Check(
        id="C35",
        name="equal-times",
        title="Equal times at the cut",
        severity="warning",
        rule=rules.equal_times,
        tip="Give each rating its time to the second, or hold out ratings at random: --split-by random or kfold.",
    ),
)


def with_checks(comparison: Comparison) -> Comparison:
    """Return the comparison with the checks that fire for it, none of them muted."""
    measured = ((check, check.rule(comparison)) for check in CHECKS)
    fired = [
        FiredCheck(
            id=check.id,
            name=check.name,
            title=check.title,
            severity=check.severity,
            measured=text,
            tip=check.tip,
        )
        for check, text in measured
        if text
    ]
    return comparison.model_copy(update={"checks": fired})


def with_muted(comparison: Comparison, muted: Collection[str]) -> Comparison:
    """Return the comparison with the checks of these ids or names muted, and no others.

    Raises:
        BadSettings: there is no such check.
    """
    require_known(muted)
    fired = [
        check.model_copy(update={"muted": bool({check.id, check.name} & {*muted})}) for check in comparison.checks or []
    ]
    return comparison.model_copy(update={"checks": None if comparison.checks is None else fired})


def require_known(names: Iterable[str]) -> None:
    """Raise BadSettings unless each is the id or the name of a check."""
    known = [name for check in CHECKS for name in (check.id, check.name)]
    for name in names:
        if name not in known:
            near = get_close_matches(name, known) or [CHECKS[0].id, "…", CHECKS[-1].id]
            raise BadSettings(f"--mute {name!r} is no check; near are {listing(near)} (docs/checks.md has all).")


def unmuted(comparison: Comparison, severity: Severity) -> list[FiredCheck]:
    """The checks of this severity that fired and are not muted."""
    return [check for check in comparison.checks or [] if check.severity == severity and not check.muted]
