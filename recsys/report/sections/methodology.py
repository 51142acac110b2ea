"""What the procedure of this run can show, how to read the report, and how to get the same numbers again."""

from collections.abc import Sequence

from recsys.evaluation.results import Comparison, ModelResult
from recsys.evaluation.thresholds import LEVEL, TIE_TEST_ROWS
from recsys.report.outcomes import effect, factorisation, in_order, mse_step, networks, tie_margin
from recsys.report.searches import (
    as_given,
    both_sides,
    equal_searches,
    head_start,
    same_budget,
    short_searches,
    side_searches,
    unequal_searches,
)
from recsys.report.section import Finding, Plot, Section, findings_on
from recsys.report.sections.results import ranking_columns, shown_columns
from recsys.report.sections.splits import (
    SEEDED,
    manner,
    pairs_in_two_parts,
    what_stays_open,
    which_test,
    which_validation,
)
from recsys.text import count, inside, listing, number, opening, percent, short


def models_section(comparison: Comparison, plots: Sequence[Plot]) -> Section | None:
    """Settings and layers of each trained model, folded; None without any."""
    parts = []
    for model in in_order(comparison.models):
        settings = [*model.settings.items(), ("engine", model.engine), ("device", model.device)]
        facts = [(name, ", ".join(map(str, v)) if isinstance(v, list) else str(v)) for name, v in settings]
        title = f"{opening(model.title)}: settings and layers"
        parts.append(Section("", title, facts=facts, listing=model.summary, folded=True))
    result = f"{len(parts)} trained"
    return Section("models", "The models", parts=parts, result=result) if parts else None


def section(comparison: Comparison, plots: Sequence[Plot]) -> Section:
    """How to read the report, and how to get its numbers again."""
    trials = ", all trials in trials.csv and trials.parquet" if comparison.tuning else ""
    pictures = ", the pictures in plots" if plots else ""
    files = f"The same numbers are in comparison.json and comparison.csv{trials}{pictures}, beside this file."
    parts = [
        Section("", "Words", facts=notes(comparison)),
        Section("", "This run", [Finding("files", files)], facts=provenance(comparison)),
    ]
    result = f"protocol {comparison.protocol}, seed {comparison.seed}"
    return Section("reading", "How to read this, and how it was made", parts=parts, result=result)


def repeat_section(folder: str) -> Section:
    """The command that repeats a run whose report is in `folder`."""
    text = "This computes everything anew and says whether the numbers are the same."
    command = f"mf-or-dnn --replay {folder}/manifest.json"
    return Section("repeat", "Repeat this run", [Finding("repeat", text)], listing=command)


def boxes(comparison: Comparison) -> list[Section]:
    """The parts of the discussion on the procedure, and on what it leaves open."""
    notebook = comparison.protocol == "notebook"
    title = "What is wrong with this procedure" if notebook else "What is fair about this run"
    return [
        Section("", title, procedure_findings(comparison), tone="warn" if notebook else "good"),
        Section("", "What this run does not settle", unsettled_findings(comparison), tone="warn"),
    ]


def procedure_findings(comparison: Comparison) -> list[Finding]:
    """The faults of protocol notebook, or what protocol fair does right."""
    if comparison.protocol == "notebook":
        texts = [
            optimism(comparison),
            pairs_in_two_parts(comparison),
            bare_factorisation(comparison),
            one_sided_tuning(comparison),
            _missing_baselines(comparison),
            "" if comparison.clipped_to else _UNCLIPPED,
            what_stays_open(comparison),
        ]
    else:
        texts = [
            _validation_chooses(comparison),
            _chosen_models(comparison),
            refits(comparison),
            equal_searches(comparison),
            "" if comparison.clipped_to is None else _CLIPPED,
            f"All models{' and baselines' if comparison.baselines else ''} are scored on the same "
            f"{count(comparison.data.test_rows, 'test rating')}.",
        ]
    return findings_on("procedure", texts)


def unsettled_findings(comparison: Comparison) -> list[Finding]:
    """What protocol fair leaves open; protocol notebook's faults say it already."""
    if comparison.protocol == "notebook":
        return []
    texts = [
        one_sided_tuning(comparison),
        head_start(comparison),
        short_searches(comparison),
        bare_factorisation(comparison),
        what_stays_open(comparison),
    ]
    return findings_on("unsettled", texts)


FEW_TEST_ROWS = 100
"""With fewer test ratings the margin of a tie is more than 6% of the variance."""

_UNCLIPPED = "Predictions are not clipped to the range of the ratings, which raises the error of those outside it."
_CLIPPED = "The bounds to which predictions are clipped come from the training ratings alone."


def _stops_by_validation(model: ModelResult) -> bool:
    """Whether a model's weights were picked by its losses on the held-out ratings."""
    return model.stopped_early or _is_positive(model.settings.get("patience"))


def _is_tuned(model: ModelResult) -> bool:
    return _stops_by_validation(model) or _is_positive(model.settings.get("dropout"))


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and value > 0


def optimism(comparison: Comparison) -> str:
    """In protocol notebook: which models were chosen on the test ratings."""
    if not comparison.models:
        return ""
    rows = count(comparison.data.test_rows, "test rating")
    picked = [inside(model.title) for model in in_order(comparison.models) if _stops_by_validation(model)]
    if not picked:
        return (
            f"The {rows} that give the scores were also watched epoch by epoch during training; no model was stopped "
            f"by them in this run, but choosing among the models by them is choosing on the test."
        )
    return (
        f"The epoch whose weights are kept for {listing(picked)} was chosen on the same {rows} that give the scores, "
        f"so {'its test error is' if len(picked) == 1 else 'their test errors are'} optimistic: "
        f"on ratings that were not used, expect higher errors."
    )


def bare_factorisation(comparison: Comparison) -> str:
    """Whether the matrix factorisation is a dot product and nothing else; empty where it is more or absent."""
    model = factorisation(comparison)
    if model is None:
        return ""
    size, ids = model.settings.get("embedding_size"), comparison.data.users + comparison.data.items
    if not isinstance(size, int) or model.parameters != ids * size:
        return ""
    penalties = [value for name, value in model.settings.items() if name.startswith(("l2", "reg", "weight_decay"))]
    missing = "mean nor biases" if any(penalties) else "mean nor biases nor regularisation"
    return (
        f"{opening(inside(model.title))} is a bare dot product here: all of its {model.parameters:,} parameters are "
        f"the {size} factors of {ids:,} users and items. It has neither {missing}, and has to model the biases "
        f"of users and items with its factors."
    )


def one_sided_tuning(comparison: Comparison) -> str:
    """Whether only one side was tuned, or none by a search; empty without two sides."""
    return unequal_searches(comparison) or without_search(comparison)


def without_search(comparison: Comparison) -> str:
    """How the settings of two sides came about where no search chose any; empty where one did."""
    model, rivals = factorisation(comparison), networks(comparison)
    if model is None or not rivals or side_searches(comparison):
        return ""
    if as_given(comparison):
        return (
            f"No settings were searched (--budget 0): {listing([inside(row.title) for row in (model, *rivals)])} have "
            "those that were given, so neither is known to be at its best."
        )
    tuned = [inside(network.title) for network in rivals if _is_tuned(network)]
    if tuned and not _is_tuned(model):
        return (
            f"{opening(listing(tuned))} {'was' if len(tuned) == 1 else 'were'} tuned by hand, with dropout or early "
            f"stopping, and {inside(model.title)} was not tuned at all. A hand-tuned network against an untuned "
            f"factorisation cannot show that networks are better, or worse, than matrix factorisation in general."
        )
    if tuned:
        return (
            f"Both sides were held back by hand, {listing(tuned)} and {inside(model.title)}; no search chose their "
            f"settings, so neither is known to be at its best."
        )
    return "No side was tuned: no search chose any settings, so neither is known to be at its best."


def few_test_ratings(comparison: Comparison) -> str:
    """Whether there are so few test ratings that their errors say next to nothing; empty where there are enough."""
    rows = comparison.data.test_rows
    if rows >= FEW_TEST_ROWS:
        return ""
    were = "rating was" if rows == 1 else "ratings were"
    return f"Only {rows:,} {were} tested on: chance alone can put these errors in another order."


def limits(comparison: Comparison) -> str:
    """In one sentence, what the comparison does not show."""
    model, rivals = factorisation(comparison), networks(comparison)
    seeds = count(max((len(row.seeds) for row in comparison.models), default=1) or 1, "seed")
    splits = count(1 + len(comparison.other_splits), "split")
    if model is None or not rivals:
        return f"{opening(seeds)} and {splits}: others would change every error a little."
    effort = _effort(comparison, model, rivals)
    return (
        f"{opening(seeds)}, {splits}, and {effort}, on one set of ratings: this says nothing about networks and matrix "
        f"factorisation in general."
    )


def _effort(comparison: Comparison, model: ModelResult, rivals: Sequence[ModelResult]) -> str:
    """In a few words, how the settings were tuned."""
    searches = side_searches(comparison)
    if both_sides(searches):
        if not same_budget(searches):
            return "searches of unequal budgets"
        trials = [f"{len(tuning.trials):,}" for tuning in searches]
        if len({*trials}) == 1:
            return f"a search of {trials[0]} trials a side"
        return f"searches of {listing(trials)} trials"
    if searches:
        return f"a search of {listing([inside(tuning.title) for tuning in searches])} alone"
    if as_given(comparison):
        return "settings as given on both sides"
    tuned = [inside(network.title) for network in rivals if _is_tuned(network)]
    if tuned and not _is_tuned(model):
        return f"{listing(tuned)} tuned by hand against {inside(model.title)} not tuned at all"
    return "no hyperparameter search on either side"


def _missing_baselines(comparison: Comparison) -> str:
    """The notebook has no baseline; whether this run added any."""
    added = len(comparison.baselines)
    if not added:
        return "There is no baseline, so an error has nothing to be compared with."
    return (
        f"The notebook itself has no baseline. The {count(added, 'baseline')} of this page "
        f"{'was' if added == 1 else 'were'} added, as an error needs something to be compared with."
    )


def _validation_chooses(comparison: Comparison) -> str:
    """In protocol fair: which ratings were used in the training."""
    data = comparison.data
    were = "was" if data.test_rows == 1 else "were"
    untouched = f"The {count(data.test_rows, 'test rating')} {were} not used in any training, and read once, to score."
    if not comparison.models:
        return untouched
    picked = [inside(model.title) for model in in_order(comparison.models) if _stops_by_validation(model)]
    choice = f"The epoch kept for {listing(picked)} was chosen" if picked else "The losses per epoch were watched"
    rows = count(data.validation_rows, "validation rating")
    return f"{choice} on {rows} held out of the training ratings. {untouched}"


def _chosen_models(comparison: Comparison) -> str:
    """Which models stand for their families, and which do not; empty where no family had a choice."""
    others = [inside(model.title) for model in in_order(comparison.models) if model.chosen is False]
    if not others:
        return ""
    chosen = listing([inside(model.title) for model in in_order(comparison.models) if model.chosen])
    beside = f"{listing(others)} {'has a row' if len(others) == 1 else 'have rows'} of one seed"
    return (
        f"The models that are compared, {chosen}, are those of the lowest validation loss in their families; {beside}."
    )


def refits(comparison: Comparison) -> str:
    """Which scored weights come from a refit, and what chose its epochs; empty without any."""
    models = [model for model in in_order(comparison.models) if model.refitted_rows is not None]
    if not models:
        return ""
    rows = listing([count(rows, "rating") for rows in sorted({model.refitted_rows or 0 for model in models})])
    epochs = [(_stops_by_validation(model), f"{inside(model.title)} ({model.scored_epoch:,})") for model in models]
    picked = listing([text for stops, text in epochs if stops])
    fixed = listing([text for stops, text in epochs if not stops])
    chosen = f"the lowest validation loss chose the epochs of {picked}"
    if fixed:
        chosen = f"{chosen}, the settings those of {fixed}" if picked else f"the settings chose the epochs of {fixed}"
    return (
        f"The weights that are scored come from a refit from scratch on training and validation ratings together "
        f"({rows}); {chosen}."
    )


def notes(comparison: Comparison) -> list[tuple[str, str]]:
    """The words of the report and their meanings."""
    meanings = {column.heading: column.meaning for column in shown_columns(comparison)[1:]}
    if comparison.protocol == "notebook":
        meanings["Best epoch"] = "epoch of the lowest loss on the test ratings, which stood in for validation ratings"
    if comparison.ranking and comparison.ranking.users:
        meanings |= {column.heading: column.meaning for column in ranking_columns()[1:]}
    meanings["Rating units"] = "the unit of the ratings; its square for squared errors"
    meanings["Warm and cold"] = "a test rating is cold if its user or its item has no training rating, else warm"
    meanings["Tie"] = _tie(comparison)
    if comparison.differences:
        meanings["95% interval, p"] = (
            f"confidence interval and p value of a difference of MSEs, from {comparison.resamples:,} bootstrap "
            f"resamples of the test users, each with all test ratings; p is corrected after Holm for testing "
            f"{count(len(comparison.differences), 'difference')}. Neither covers another training or another split"
        )
    return [(word, f"{meaning}.") for word, meaning in meanings.items()]


def _tie(comparison: Comparison) -> str:
    margin, smallest, variance = tie_margin(comparison), effect(comparison), comparison.data.rating_sd**2
    if variance == 0:
        return "two equal MSEs, as the ratings do not vary"
    step = mse_step(comparison)
    reason = "about what another seed or chance changes" if comparison.min_effect is None else "as set for this run"
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
    seeds = dict.fromkeys(seed.seed for model in comparison.models for seed in model.seeds) or [comparison.seed]
    facts = {
        "Protocol": comparison.protocol,
        "Seed of weights, dropout and shuffling": ", ".join(map(str, seeds)),
        "Split": manner(comparison),
        "Seed of the split": str(comparison.split_seed) if comparison.split_by in SEEDED else "",
        "Test ratings": which_test(comparison),
        "Validation ratings": which_validation(comparison) if comparison.protocol == "fair" else "",
        "Predictions clipped to": f"{short(clipped[0])} to {short(clipped[1])}" if clipped else "not clipped",
    }
    return [(name, text) for name, text in facts.items() if text]
