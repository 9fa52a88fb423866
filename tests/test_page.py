"""The page that people open: what it holds, and what it does in a real headless Chromium."""

import base64
import gzip
import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pandas as pd
import pytest

from fmtbench.errors import UserError
from fmtbench.types import Row, Status
from tests.commanding import called
from tests.made_rows import coins, made_rows
from tests.made_study import HOSTILE, made_study

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CONDITIONS = ["free_cot", "direct", "json_schema"]


def made_page(root: Path, output: Path, *options: str) -> Path:
    called("tables", f"results={root}", "format=html", f"output={output}", "draws=200", *options)
    return output / "report.html"


def held(page: Path) -> dict[str, Any]:
    (packed,) = re.findall(r'<script id="data" type="text/plain">([\w+/=]+)</script>', page.read_text("utf-8"))
    return json.loads(gzip.decompress(base64.b64decode(packed)))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, Path]:
    folder = tmp_path_factory.mktemp("page")
    rows = made_study(folder / "mine", 40, CONDITIONS, words=20)
    return rows, made_page(folder / "mine", folder / "out")


# -- what it holds


def test_every_reply_is_in_the_page(study: tuple[pd.DataFrame, Path]) -> None:
    rows, page = study
    found = held(page)
    columns, names, items = found["rows"], found["names"], found["items"]
    back = pd.DataFrame(
        {
            "task": [names["task"][items["task"][i]] for i in columns["item"]],
            "item_id": [items["id"][i] for i in columns["item"]],
            "question": [items["question"][i] for i in columns["item"]],
            "condition": [names["condition"][i] for i in columns["condition"]],
            "status": [names["status"][i] for i in columns["status"]],
            **{name: columns[name] for name in ("text", "answer", "correct", "latent_correct", "completion_tokens")},
        }
    )
    keys = ["task", "item_id", "condition"]
    wanted = rows[back.columns].astype({"correct": int, "latent_correct": int}).sort_values(keys, ignore_index=True)
    pd.testing.assert_frame_equal(back.sort_values(keys, ignore_index=True), wanted, check_dtype=False)


def test_the_contrasts_are_those_of_the_tables(study: tuple[pd.DataFrame, Path], tmp_path: Path) -> None:
    _, page = study
    called("tables", f"results={page.parents[1] / 'mine'}", "table=[contrasts]", "figure=[]", f"output={tmp_path}", "draws=200")
    table = pd.read_csv(tmp_path / "appendix" / "contrasts.csv")
    found = pd.DataFrame(held(page)["contrasts"])
    keys = ["task", "condition", "reference"]
    assert found[keys].equals(table[keys])
    for name in ("difference", "low", "high", "p_adjusted"):
        assert found[name].tolist() == pytest.approx(table[name].tolist())


def test_the_same_rows_give_the_same_bytes(study: tuple[pd.DataFrame, Path], tmp_path: Path) -> None:
    assert made_page(study[1].parents[1] / "mine", tmp_path).read_bytes() == study[1].read_bytes()


def test_nothing_is_fetched_and_only_its_own_script_may_run(study: tuple[pd.DataFrame, Path]) -> None:
    text = study[1].read_text("utf-8")
    assert "default-src 'none'; style-src 'sha256-" in text
    assert not re.search(r"""(?:src|href)=["'](?!#)""", text)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|https?://", text)


def test_files_without_a_row_give_a_page_that_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_rows({"free_cot": coins(0, 3)}).head(0).to_parquet(tmp_path / "rows.parquet")
    page = made_page(tmp_path, tmp_path / "out")
    assert "there are no rows" in capsys.readouterr().err
    assert held(page)["rows"]["item"] == []


def test_what_is_missing_is_noted_and_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = pd.concat([made_rows({name: coins(k, 6)}, task=task) for k, name in enumerate(CONDITIONS) for task in ("t", "u")])
    rows = rows[~((rows.task == "u") & (rows.condition == "direct"))]
    rows = rows[~((rows.task == "t") & (rows.condition == "json_schema") & (rows.item_id == "4"))]
    rows.to_parquet(tmp_path / "rows.parquet")
    note = "missing: b/t/json_schema/0-seed0 (5 of 6 items); b/u/direct/0-seed0 (0 of 6 items)"
    found = held(made_page(tmp_path, tmp_path / "out"))
    assert note[1:] in found["notes"][0]
    assert [line for line in found["accuracy"] if line.get("absent")] == [
        {"backbone": "b", "task": "u", "condition": "direct", "absent": True}
    ]
    called("tables", f"results={tmp_path}", "table=[main]", "figure=[]", f"output={tmp_path / 'out'}")
    assert note in capsys.readouterr().err
    for ending in ("md", "csv"):
        assert note in (tmp_path / "out" / "appendix" / f"main.{ending}").read_text()


def test_a_refused_cell_is_named_with_its_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_rows({"free_cot": coins(0, 4)}).to_parquet(tmp_path / "rows.parquet")
    (tmp_path / "refused").mkdir()
    made_rows({"json_schema": coins(0, 4)}).head(0).to_parquet(tmp_path / "refused" / "rows.parquet")
    (tmp_path / "refused" / "manifest.json").write_text(json.dumps({"refused": "schema 0a1b needs more than 10 s"}))
    (note,) = held(made_page(tmp_path, tmp_path / "out"))["notes"]
    assert note.endswith("refused/rows.parquet holds no rows: schema 0a1b needs more than 10 s")
    called("tables", f"results={tmp_path}", "table=[main]", "figure=[]", f"output={tmp_path / 'out'}")
    assert "holds no rows: schema 0a1b needs more than 10 s" in capsys.readouterr().err


def test_items_of_another_seed_are_not_missing(tmp_path: Path) -> None:
    rows = pd.concat([made_rows({"free_cot": coins(0, 4), "direct": coins(1, 4)}, seed=seed) for seed in (0, 1)])
    rows["item_id"] = rows.seed.astype(str) + "/" + rows.item_id
    rows.to_parquet(tmp_path / "rows.parquet")
    assert held(made_page(tmp_path, tmp_path / "out"))["notes"] == []


@pytest.mark.parametrize(
    ("option", "said"),
    [("format=pdf", "format=pdf: give html"), ("table=[main]", "leave out table=$")],
)
def test_options_that_mean_nothing_are_refused(tmp_path: Path, option: str, said: str) -> None:
    made_rows({"free_cot": coins(0, 3)}).to_parquet(tmp_path / "rows.parquet")
    words = [option] if option.startswith("format") else [option, "format=html"]
    with pytest.raises(UserError, match=said):
        called("tables", f"results={tmp_path}", *words)


# -- what it does


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no chromium is installed (apt install chromium)")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Opened:
    """A page in the browser, and all that it complained of or asked for."""

    def __init__(self, browser: Any, path: Path, width: int = 1300, address: str = "", **context: Any) -> None:
        self.tab = browser.new_context(viewport={"width": width, "height": 900}, **context).new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.tab.on("console", lambda message: self.complaints.append(message.text))
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("request", lambda request: self.requests.append(request.url))
        started = time.perf_counter()
        self.tab.goto(path.as_uri() + (f"#{address}" if address else ""))
        self.tab.wait_for_selector("html[data-ready]", state="attached")
        self.seconds = time.perf_counter() - started

    def count(self) -> str:
        return self.tab.inner_text("#count")

    def close(self) -> None:
        assert self.complaints == []
        assert {url.split(":")[0] for url in self.requests} == {"file"}
        self.tab.context.close()


def test_filters_and_clicks(study: tuple[pd.DataFrame, Path], chromium: Any) -> None:
    rows, page = study
    opened = Opened(chromium, page)
    tab = opened.tab
    assert opened.count() == "40 of 40 items, 120 of 120 replies."
    right = rows.pivot(index="item_id", columns="condition", values="correct")
    lost = {name: right.free_cot & ~right[name] for name in ("direct", "json_schema")}
    tab.select_option("select[name=disagreement]", "lost")
    expected = (sum(one.astype(int) for one in lost.values()) > 0).sum(), sum(one.sum() for one in lost.values())
    assert opened.count() == f"{expected[0]} of 40 items, {expected[1]} of 120 replies."
    tab.select_option("select[name=disagreement]", "")
    tab.select_option("select[name=task]", "sums")
    assert opened.count() == "20 of 40 items, 60 of 120 replies."
    assert tab.locator("#contrasts tbody tr").count() == 2
    assert "task=sums" in tab.url
    loops = ((rows.task == "sums") & (rows.status == "loop")).sum()
    tab.get_by_role("button", name=re.compile("^loop")).click()
    assert f", {loops} of 120 replies." in opened.count()
    tab.get_by_role("button", name=re.compile("^loop")).click()
    tab.click("summary")
    tab.uncheck("input[name=condition-direct]")
    assert opened.count() == "20 of 40 items, 40 of 120 replies."
    tab.keyboard.press("Escape")
    tab.fill("input[type=search]", "sums/8")
    tab.get_by_text(re.compile("^1 of 40 items")).wait_for()
    tab.locator(".line .tile").nth(1).click()
    shown = rows[(rows.item_id == "sums/8") & (rows.condition == "json_schema")].iloc[0]
    assert tab.inner_text(".side-right .text") == shown.text
    assert tab.inner_text(".question") == shown.question
    assert tab.locator(".side-right mark").count() > 0
    assert "json_schema" in "".join(tab.locator(".side-right mark").all_inner_texts()), "the only word the other text lacks"
    tab.uncheck("dialog input[type=checkbox]")
    assert tab.locator("mark").count() == 0
    opened.close()


def test_the_keyboard_is_enough(study: tuple[pd.DataFrame, Path], chromium: Any) -> None:
    rows, page = study
    opened = Opened(chromium, page)
    tab = opened.tab
    tab.focus("#grid")
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        tab.keyboard.press(key)
    active = tab.get_attribute("#grid", "aria-activedescendant")
    label = tab.get_attribute(f"#{active}", "aria-label")
    tab.keyboard.press("Enter")
    item = tab.inner_text("#detail-title").split(": ")[1]
    assert label.startswith("Direct answer: ")
    assert tab.inner_text(".side-right .text") == rows[(rows.item_id == item) & (rows.condition == "direct")].text.item()
    tab.keyboard.press("n")
    assert tab.inner_text("#detail-title").split(": ")[1] != item
    tab.keyboard.press("Escape")
    tab.locator("dialog[open]").wait_for(state="detached")
    tab.keyboard.press("Control+End")
    assert tab.get_attribute("#grid", "aria-activedescendant") == "cell-39-2"
    assert tab.locator("#cell-39-2").is_visible()
    opened.close()


def test_texts_of_models_are_never_html(chromium: Any, tmp_path: Path) -> None:
    rows = made_rows({"free_cot": coins(0, 2), f"c{HOSTILE}": coins(1, 2)})
    names = [name for name, hint in get_type_hints(Row).items() if hint in (str, str | None, Status) and name != "condition"]
    rows = rows.assign(**dict.fromkeys(names, HOSTILE) | {"item_id": HOSTILE + rows.item_id})
    (tmp_path / "rows.parquet").parent.mkdir(exist_ok=True)
    rows.to_parquet(tmp_path / "rows.parquet")
    assert len(names) > 12
    opened = Opened(chromium, made_page(tmp_path, tmp_path / "out"))
    tab = opened.tab
    tab.locator(".line .tile").first.click()
    assert tab.evaluate("document.querySelector('.side-right .text').textContent") == HOSTILE
    assert tab.evaluate("[window.hit ?? null, document.images.length, document.querySelectorAll('b').length]") == [None, 0, 0]
    opened.close()


def test_an_opened_reply_has_an_address(study: tuple[pd.DataFrame, Path], chromium: Any) -> None:
    """The address opens it again, also where filters hide the item; closing takes it away; an unknown one is said."""
    rows, page = study
    opened = Opened(chromium, page)
    opened.tab.fill("input[type=search]", "sums/8")
    opened.tab.get_by_text(re.compile("^1 of 40 items")).wait_for()
    opened.tab.locator(".line .tile").nth(1).click()
    address = opened.tab.url
    assert opened.tab.get_attribute("dialog a", "href") == "#" + address.partition("#")[2]
    opened.tab.keyboard.press("Escape")
    opened.tab.wait_for_function("!location.hash.includes('item=')", timeout=10_000)  # the dialog says later that it closed
    opened.close()
    direct = rows[(rows.item_id == "sums/8") & (rows.condition == "direct")].text.item()
    for suffix in ("", "&task=riddles"):
        again = Opened(chromium, page, address=address.partition("#")[2].replace("search=sums%2F8&", "") + suffix)
        assert again.tab.inner_text(".side-right .text") == direct
        again.close()
    wrong = Opened(chromium, page, address="item=sums%2F999&of=sums&by=b&reply=direct&variant=0")
    assert wrong.tab.locator("dialog[open]").count() == 0
    assert wrong.tab.inner_text(".notice") == "The address of this page names an item that is not here: sums, sums/999."
    wrong.close()


def test_the_prompt_of_a_reply_is_shown_as_it_was_sent(chromium: Any, tmp_path: Path) -> None:
    called(
        "run",
        "backend=scripted",
        "task=[capitals]",
        "condition=[free_cot,json_schema]",
        "limit=3",
        f"results={tmp_path}",
        "name=p",
    )
    sent = {}
    for path in tmp_path.rglob("requests.jsonl"):
        for line in path.read_text().splitlines():
            one = json.loads(line)
            sent[path.parent.parent.name, one["item"]["id"]] = one["request"]["messages"][0]["content"]
    page = made_page(tmp_path / "p", tmp_path / "out")
    assert len(held(page)["asked"]) == 2, "a condition's prompt is held once, whatever the item"
    opened = Opened(chromium, page)
    for column, condition in enumerate(("free_cot", "json_schema")):
        opened.tab.locator("#cell-0-0, #cell-0-1").nth(column).locator(".tile").click()
        opened.tab.click(".side-right summary")
        item = opened.tab.inner_text("#detail-title").partition(": ")[2]
        assert opened.tab.inner_text(".side-right .prompt .text") == f"user:\n{sent[condition, item]}"
        opened.tab.keyboard.press("Escape")
    opened.close()


def test_nothing_is_hidden_at_1280_pixels_and_long_ids_keep_their_ends(chromium: Any, tmp_path: Path) -> None:
    names = ["free_cot", "json_schema_restricted_25", "json_schema_answer_first"]
    frames = [
        made_rows({name: coins(k, 30, 2) for k, name in enumerate(names)}, backbone=b, task="shuffled_objects")
        for b in ("smollm2_135m", "qwen2_5_coder_0_5b")
    ]
    rows = pd.concat(frames)
    rows["item_id"] = "a_very_long_folder_of_a_data_set/with_a_long_name_of_its_own/" + rows.item_id
    rows.to_parquet(tmp_path / "rows.parquet")
    opened = Opened(chromium, made_page(tmp_path, tmp_path / "out"), width=1280)
    wide = "node => [node.scrollWidth, node.clientWidth]"
    for name in ("Differences", "Accuracy"):
        inside, seen = opened.tab.get_by_role("region", name=name).evaluate(wide)
        assert inside <= seen
    cells = opened.tab.locator(".line .name")
    whole, seen = cells.first.evaluate(wide)
    assert whole > seen, "the test needs a name that is cut"
    assert cells.first.evaluate("node => getComputedStyle(node).direction") == "rtl", "which cuts at the front"
    texts = opened.tab.locator("#contrasts tbody").inner_text()
    assert "JSON schema, answer first" in texts
    assert "json_schema" not in texts
    assert opened.tab.evaluate("document.getElementById('finding').getBoundingClientRect().top") < 200
    opened.close()


def test_dark_by_preference_and_by_button(study: tuple[pd.DataFrame, Path], chromium: Any) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    shown = []
    for scheme in ("light", "dark"):
        opened = Opened(chromium, study[1], color_scheme=scheme)
        before = opened.tab.evaluate(colour)
        opened.tab.click("#theme")
        shown.append((before, opened.tab.evaluate(colour)))
        opened.close()
    assert shown[0] == shown[1][::-1]
    assert shown[0][0] != shown[0][1]


def test_a_heat_strip_where_a_probe_ran(chromium: Any, tmp_path: Path) -> None:
    rows = made_rows({"free_cot": coins(0, 2), "json_schema": coins(1, 2)}, text="two 😀 words")
    probed = rows.condition == "json_schema"
    rows["mass"] = pd.Series([[1.0, 0.5, 0.25] if one else None for one in probed])
    rows["token_ends"] = pd.Series([[4, 6, 11] if one else None for one in probed])
    rows.to_parquet(tmp_path / "rows.parquet")
    opened = Opened(chromium, made_page(tmp_path, tmp_path / "out"))
    opened.tab.locator(".line .tile").nth(1).click()
    titles = opened.tab.eval_on_selector_all(".side-right .heat i", "bars => bars.map(bar => bar.title)")
    assert titles == ["two : 0.0% removed", "😀 : 50.0% removed", "words: 75.0% removed"]
    assert f"tax {np.log(8):.2f} nats" in opened.tab.inner_text(".side-right")
    assert opened.tab.locator(".side-left .heat").count() == 0
    opened.close()


def test_missing_and_empty_are_said_in_the_page(chromium: Any, tmp_path: Path) -> None:
    rows = made_rows({"free_cot": coins(0, 5), "direct": coins(1, 5)})
    for name, kept in (("some", rows[(rows.condition == "free_cot") | (rows.item_id != "3")]), ("none", rows.head(0))):
        (tmp_path / name).mkdir()
        kept.to_parquet(tmp_path / name / "rows.parquet")
    opened = Opened(chromium, made_page(tmp_path / "some", tmp_path / "out"))
    assert opened.tab.locator(".line .missing").count() == 1
    assert "direct/0-seed0 (4 of 5 items)" in opened.tab.inner_text(".notice")
    opened.close()
    opened = Opened(chromium, made_page(tmp_path / "none", tmp_path / "out"))
    assert opened.tab.inner_text(".notice").startswith("There are no rows")
    assert opened.tab.locator("main").is_hidden()
    opened.close()


@pytest.mark.parametrize("items", [120, pytest.param(1000, marks=pytest.mark.slow)])
def test_many_rows(chromium: Any, tmp_path: Path, items: int) -> None:
    rows = made_study(tmp_path / "big", items, [*CONDITIONS, "json_prompt", "sham"], prompts=2, words=40 if items < 1000 else 120)
    page = made_page(tmp_path / "big", tmp_path / "out")
    opened = Opened(chromium, page)
    print(f"\n{len(rows):,} rows, {page.stat().st_size / 1e6:.1f} MB: shown after {opened.seconds:.2f} s")
    assert opened.count() == f"{items:,} of {items:,} items, {10 * items:,} of {10 * items:,} replies."
    assert opened.tab.evaluate("document.querySelectorAll('*').length") < 3000, "only what is in sight is in the document"
    started = time.perf_counter()
    opened.tab.select_option("select[name=disagreement]", "lost")
    print(f"filtered after {time.perf_counter() - started:.2f} s: {opened.count()}")
    opened.tab.focus("#grid")
    opened.tab.keyboard.press("Control+End")
    assert opened.tab.locator(".cell.active").is_visible()
    opened.close()
