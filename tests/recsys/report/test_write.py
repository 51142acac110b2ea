import base64
import hashlib
import html
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from recsys.evaluation.results import Comparison, FailedModel, LearningCurve, SearchedSetting
from recsys.report.checks import with_checks
from recsys.report.markdown import embedded_markdown, escaped
from tests.made_reports import pages_of, publish_made
from tests.made_searches import dnn_search, mf_search, trial, tuning

Made = tuple[Comparison, pd.DataFrame]
HOSTILE = '=_<script>alert("x")</script> & $x^2$ | `a` ](plots/errors.png) <b>\x00\x1b[31m'


class Page(HTMLParser):
    """The parts of a page that the tests look at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src", "xlink:href", "aria-labelledby", "clip-path"):
                self.references.append(value or "")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


@pytest.fixture
def without_png(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the PNG files empty, which take as long as all the rest: the page has the same drawings as SVG."""
    from matplotlib.figure import Figure

    save = Figure.savefig

    def save_unless_png(figure: Figure, file: IO[Any], **options: Any) -> None:
        if options["format"] != "png":
            save(figure, file, **options)

    monkeypatch.setattr(Figure, "savefig", save_unless_png)


def write(made: Made, folder: Path) -> Path:
    return publish_made(*made, folder)


def content(folder: Path) -> dict[str, bytes]:
    """The files of a report, whose pages name its folder in the command that repeats the run."""
    named = f"{folder.parent.name}/{folder.name}/".encode()
    return {
        path.relative_to(folder).as_posix(): path.read_bytes().replace(named, b"reports/report/")
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def folder(fair: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(fair, tmp_path_factory.mktemp("fair") / "report")


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


def test_report_has_its_files(folder: Path) -> None:
    names = set(content(folder))
    assert {"report.html", "report.md", "comparison.json", "comparison.csv"} <= names
    pictures = {name for name in names if name.startswith("plots/")}
    stems = {Path(name).stem for name in pictures}
    assert {
        "errors",
        "costs",
        "ratings",
        "loss-mf",
        "error-time",
        "predicted-dnn",
        "predicted-item-knn",
        "by-user",
        "by-item",
    } <= stems
    assert pictures == {f"plots/{stem}{ending}" for stem in stems for ending in (".png", ".svg")}


def test_report_of_a_whole_run_has_every_section_in_both_twins(whole: Made, tmp_path: Path) -> None:
    folder = write(whole, tmp_path / "report")
    page, markdown = ((folder / name).read_text(encoding="utf-8") for name in ("report.html", "report.md"))
    for heading in ("Seeds", "Under other splits", "What it costs", "Do predictions mean what they say?"):
        assert f">{heading}<span>" in page
        assert f"## {heading}" in markdown
    parsed = Page(page)
    assert len(parsed.ids) == len(set(parsed.ids))
    assert {"accuracy-cost", "calibration-mf-tuned"} <= {path.stem for path in (folder / "plots").iterdir()}
    assert Comparison.model_validate_json((folder / "comparison.json").read_bytes()) == whole[0]


def test_page_of_a_single_seed_has_no_section_of_seeds_or_splits(page: str) -> None:
    assert ">Seeds<span>" not in page
    assert ">Under other splits<span>" not in page
    assert ">What it costs<span>" in page


def test_comparison_comes_back_whole_from_its_json(folder: Path, fair: Made) -> None:
    assert Comparison.model_validate_json((folder / "comparison.json").read_bytes()) == fair[0]


def test_matplotlib_style_of_the_reader_changes_nothing(fair: Made, folder: Path, tmp_path: Path) -> None:
    import matplotlib

    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path"}):
        assert content(write(fair, tmp_path / "styled")) == content(folder)


def test_page_needs_no_network(page: str) -> None:
    body = re.sub(r"<meta http-equiv[^>]*>", "", page)
    links = re.findall(r"""(?:src|href|url\(|@import)\s*=?\s*["'(]?([^"')\s>]+)""", body)
    assert [link for link in links if not link.startswith("#")] == []
    assert set(re.findall(r"https?://[^\"'\s<]+", page)) == {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }


def test_the_page_allows_its_own_script_and_no_other(page: str) -> None:
    [script] = re.findall(r"<script>(.*?)</script>", page, flags=re.S)
    assert page.count("<script") == 1
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page


def test_contents_lead_to_every_section_and_every_heading_has_an_anchor(page: str) -> None:
    [contents] = re.findall(r"<nav.*?</nav>", page, flags=re.S)
    assert re.findall(r'href="#([^"]+)"', contents) == re.findall(r'<h2 id="([^"]+)"', page)
    assert re.findall(r"<h[23](?! id=)[^>]*>", page) == []


@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no Chromium")
def test_tables_are_sorted_and_copied_in_a_browser(page: str, tmp_path: Path) -> None:
    probe = """
        const table = document.querySelector("#results ~ .scroll table");
        table.tHead.rows[0].cells[1].querySelector("button").click();
        const found = document.createElement("textarea");
        found.id = "found";
        found.textContent = JSON.stringify([grid(table), formats.Markdown(grid(table)), formats.LaTeX(grid(table))]);
        document.body.append(found);
    """
    free = re.sub(r"<meta http-equiv[^>]*>", "", page)
    (tmp_path / "page.html").write_text(free.replace("</body>", f"<script>{probe}</script></body>"), encoding="utf-8")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--virtual-time-budget=2000", "--dump-dom", (tmp_path / "page.html").as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    [found] = re.findall(r'<textarea id="found">(.*?)</textarea>', shown, flags=re.S)
    rows, markdown, latex = json.loads(html.unescape(found))
    errors = [float(row[1]) for row in rows[1:]]
    assert len(errors) >= 5
    assert errors == sorted(errors)
    assert markdown.splitlines()[0] == f"| {' | '.join(rows[0])} |"
    assert latex.count(r" \\") == len(rows)


def test_ids_are_unique_and_every_reference_meets_one(page: str) -> None:
    parsed = Page(page)
    assert len(parsed.ids) == len(set(parsed.ids))
    targets = {value.removeprefix("url(").strip("#)") for value in parsed.references}
    assert targets
    assert targets <= set(parsed.ids)


def test_every_plot_has_a_text_for_those_who_cannot_see_it(page: str) -> None:
    plots = re.findall(r"<svg [^>]*>(?:<title[^>]*>([^<]*)</title>)?", page)
    assert len(plots) >= 10
    assert all(len(title) > 20 for title in plots)
    assert page.count('role="img"') == len(plots)


def test_plots_follow_the_theme_and_leak_no_style(page: str) -> None:
    drawings = "".join(re.findall(r"<svg .*?</svg>", page, flags=re.S))
    assert "var(--mf)" in drawings
    assert not re.findall(r"#[0-9a-fA-F]{6}", drawings)
    assert "<style" not in drawings


def test_numbers_of_page_markdown_and_comparison_agree(page: str, folder: Path, fair: Made) -> None:
    best = min(fair[0].baselines, key=lambda row: row.mse)
    written = f"{best.mse:.4f}"
    row = next(row for row in Page(page).rows if row and row[0].strip().lower() == best.title.lower())
    assert written in row[1]
    assert written in (folder / "report.md").read_text(encoding="utf-8")


def test_small_report_is_well_below_its_limit(page: str) -> None:
    assert len(page) < 500_000


def searched(made: Made) -> Made:
    comparison, predictions = made
    return comparison.model_copy(update={"tuning": [mf_search(), dnn_search()]}), predictions


@pytest.fixture(scope="module")
def searched_folder(fair: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(searched(fair), tmp_path_factory.mktemp("searched") / "report")


def test_searches_are_in_the_page_its_twin_and_files_of_their_own(searched_folder: Path) -> None:
    parsed = Page((searched_folder / "report.html").read_text(encoding="utf-8"))
    markdown = (searched_folder / "report.md").read_text(encoding="utf-8")
    assert len(parsed.ids) == len(set(parsed.ids))
    assert ["Trials run", "24", "30"] in [[cell.strip() for cell in row] for row in parsed.rows]
    assert "| Trials run | 24 | 30 |" in markdown
    assert "How the settings were searched" in markdown
    assert pq.read_table(searched_folder / "trials.parquet").num_rows == 54
    assert (searched_folder / "trials.csv").read_text(encoding="utf-8").count("\n") == 55


def test_same_comparison_gives_the_same_bytes_in_another_thread_beside_another(
    fair: Made, folder: Path, searched_folder: Path, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(2) as pool:
        again = list(pool.map(lambda made, name: content(write(made, tmp_path / name)), (fair, searched(fair)), "ab"))
    assert again == [content(folder), content(searched_folder)]


def test_without_a_search_nothing_speaks_of_one(folder: Path, page: str) -> None:
    assert not [name for name in content(folder) if "trials" in name or "search" in name]
    assert "How the settings were searched" not in page
    assert "trials.csv" not in page


def hostile(made: Made) -> Made:
    comparison, predictions = made
    odd = [SearchedSetting(name=HOSTILE, choices=[HOSTILE, "plain"])]
    trials = [trial(0, 0.8, {HOSTILE: HOSTILE}), trial(1, 0.7, {HOSTILE: "plain"}), trial(2, None, reason=HOSTILE)]
    searches = [tuning("dnn_tuned", trials, title=HOSTILE, searched=odd)]
    models = [m.model_copy(update={"title": HOSTILE, "summary": f"```\n{HOSTILE}"}) for m in comparison.models]
    facts = comparison.data.model_copy(update={"source": HOSTILE, "licence": HOSTILE, "ignored_columns": [HOSTILE]})
    failed = [FailedModel(name="other", title=HOSTILE, reason=HOSTILE)]
    return comparison.model_copy(
        update={"models": models, "data": facts, "failed": failed, "tuning": searches}
    ), predictions


@pytest.mark.usefixtures("without_png")
def test_hostile_texts_stay_texts(fair: Made, tmp_path: Path) -> None:
    folder = write(hostile(fair), tmp_path / "report")
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert [tag for tag in page.tags if tag in ("script", "b")] == ["script"]  # its own
    markdown = (folder / "report.md").read_text(encoding="utf-8")
    outside = re.sub(r"(?ms)^(`{3,})text\n.*?^\1$", "", markdown)
    assert "<" not in outside.replace("<0.1", "")
    for picture in (folder / "plots").glob("*.svg"):
        tree = ElementTree.parse(picture)
        assert not [element for element in tree.iter() if element.tag.rpartition("}")[2] in ("script", "b")]


def test_markdown_escapes_what_it_would_take_for_markup() -> None:
    assert escaped("a|b_c*d\n<e>") == r"a\|b\_c\*d &lt;e&gt;"


def test_markdown_links_its_pictures_and_can_carry_them(folder: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", (folder / "report.md").read_text(encoding="utf-8"))
    assert links
    assert all((folder / link).is_file() for link in links)
    carried = re.findall(r"\]\(([^)]+)\)", embedded_markdown(folder))
    assert len(carried) == len(links)
    assert all(link.startswith("data:image/png;base64,") for link in carried)


def without_models(made: Made) -> Made:
    comparison, predictions = made
    failed = [FailedModel(name=m.name, title=m.title, reason="no memory") for m in comparison.models]
    kept = predictions.drop(columns=[m.name for m in comparison.models])
    return comparison.model_copy(update={"models": [], "failed": failed}), kept


def without_neighbours(made: Made) -> Made:
    comparison, predictions = made
    baselines = [row for row in comparison.baselines if row.name != "item_knn"]
    skipped = [FailedModel(name="item_knn", title="item kNN", reason="too many items")]
    changed = comparison.model_copy(update={"baselines": baselines, "skipped": skipped})
    return changed, predictions.drop(columns=["item_knn"])


def long_history(made: Made) -> Made:
    comparison, predictions = made
    history = LearningCurve(
        loss=[1 / (1 + n) for n in range(10_000)], val_loss=[1 + 1 / (1 + n) for n in range(10_000)]
    )
    models = [model.model_copy(update={"history": history}) for model in comparison.models]
    return comparison.model_copy(update={"models": models}), predictions


@pytest.mark.usefixtures("without_png")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without_models, "No answer: every model failed"),
        (lambda made: (made[0], made[1].iloc[:0]), "Results"),
        (lambda made: (made[0].model_copy(update={"baselines": []}), made[1]), "No baseline was scored"),
        (lambda made: (made[0].model_copy(update={"models": [], "baselines": []}), made[1]), "No answer"),
        (long_history, "Loss per epoch"),
        (without_neighbours, "Item kNN was left out: too many items."),
    ],
)
def test_report_is_written_whatever_is_missing(
    fair: Made, tmp_path: Path, change: Callable[[Made], Made], said: str
) -> None:
    page = (write(change(fair), tmp_path / "report") / "report.html").read_text(encoding="utf-8")
    assert said in page
    assert len(page) < 1_000_000


@pytest.mark.usefixtures("without_png")
@pytest.mark.parametrize(
    "kind",
    [
        {"rows": 1},
        {"rows": 40, "cold_share": 1.0},
        {"rows": 2000, "scale": 2e5, "grid": 0},
        {"rows": 2000, "scale": 0.2, "grid": 0},
        {"rows": 300_000, "protocol": "notebook"},
    ],
)
def test_report_is_written_whatever_the_size_and_scale(
    make: Callable[..., Made], tmp_path: Path, kind: dict[str, Any]
) -> None:
    page = (write(make(**kind), tmp_path / "report") / "report.html").read_text(encoding="utf-8")
    assert len(page) < 500_000
    assert "nan" not in " ".join(cell.lower() for row in Page(page).rows for cell in row)


def test_terminal_and_pages_do_not_load_matplotlib() -> None:
    modules = "recsys.report.sections.results, recsys.report.sections.verdict, recsys.report.publish"
    check = f"import sys, {modules}; sys.exit('matplotlib' in sys.modules or 'tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_plots_do_not_load_pyplot() -> None:
    drawing = "from recsys.report.svg import sheet, style\nwith style(): sheet(3.0)"
    check = f"import sys, recsys.report.sections.tuning_plots\n{drawing}\nsys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


SNAPSHOT = Path(__file__).parent / "snapshot.md"


def test_sentences_of_a_whole_report_are_those_that_were_reviewed(whole: Made) -> None:
    """To review a change: MF_OR_DNN_SNAPSHOT=write python -m pytest -n0 tests/recsys/report -k reviewed; git diff."""
    text = pages_of(with_checks(whole[0]))[1]
    if os.environ.get("MF_OR_DNN_SNAPSHOT") == "write":
        SNAPSHOT.write_text(text, encoding="utf-8", newline="\n")
    assert text == SNAPSHOT.read_text(encoding="utf-8")
