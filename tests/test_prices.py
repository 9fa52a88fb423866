"""Money: prices with their units, in the plan beforehand and in the table of costs after."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.starting.build import build
from fmtbench.analysis.tables.cost import cost_table
from fmtbench.errors import UserError
from fmtbench.price import Prices
from tests.commanding import command
from tests.conftest import composed
from tests.http_server import serving
from tests.made_rows import made_rows

IN, OUT = "2.50 USD/1M", "10 USD/1M"
PRICED = (f"backend.price_in={IN}", f"backend.price_out={OUT}")


def test_a_price_is_of_one_token() -> None:
    prices = Prices.read(IN, "0.01 USD/1K")
    assert prices == Prices(prompt=2.5e-6, reply=1e-5, currency="USD")
    assert prices is not None
    assert prices.of(1000, 200) == pytest.approx(0.0045)
    assert Prices.read(None, None) is None
    assert Prices.read("0 EUR/1M", "0.5EUR/M") == Prices(prompt=0, reply=5e-7, currency="EUR")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((2.5, OUT), r"price_in=2\.5: give a number .* such as '2\.50 USD/1M'"),
        (("2.5", OUT), "a currency and a number of tokens"),
        (("2.5 USD", OUT), "a currency and a number of tokens"),
        (("-2.5 USD/1M", OUT), "at least 0"),
        (("nan USD/1M", OUT), "price_in=nan USD/1M: give a number"),
        ((float("nan"), OUT), "price_in=nan"),
        (("inf USD/1M", OUT), "price_in=inf"),
        ((IN, None), "price_in is given and price_out is not"),
        ((None, OUT), "price_out is given and price_in is not"),
        ((IN, "10 EUR/1M"), "price_in is in USD and price_out in EUR"),
        (([], OUT), "price_in=\\[\\]"),
    ],
)
def test_what_is_no_price_is_refused_in_one_line(given: tuple[object, object], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        Prices.read(*given)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=message):
        cost_table(made_rows({"free_cot": np.ones(4)}), draws=100, price_in=given[0], price_out=given[1])


@pytest.mark.parametrize("override", ["backend.price_in=2.5", "backend.price_in=nan", "backend.price_out=10 USD/1M"])
def test_the_setting_is_refused_as_well(override: str) -> None:
    with pytest.raises(UserError, match=r"price_(in|out)"):
        build(composed("backend=server", override).backend, "backend")


def planted(seed: int = 0) -> pd.DataFrame:
    """40 items under two conditions, with counts of tokens from a fixed generator."""
    rows = made_rows({"free_cot": np.arange(40) % 4 > 0, "direct": np.arange(40) % 2 > 0})
    random = np.random.default_rng(seed)
    return rows.assign(prompt_tokens=random.integers(50, 90, len(rows)), completion_tokens=random.integers(5, 50, len(rows)))


def test_the_table_of_costs_says_what_replies_cost() -> None:
    """Against a sum over rows."""
    rows = planted()
    table = cost_table(rows, draws=100, price_in=IN, price_out=OUT).set_index("condition")
    each = 2.5e-6 * rows.prompt_tokens + 1e-5 * rows.completion_tokens
    for condition, own in each.groupby(rows.condition):
        assert table.money[condition] == pytest.approx(1000 * own.mean())
        assert table.money_per_correct[condition] == pytest.approx(
            1000 * own.sum() / rows[rows.condition == condition].correct.sum()
        )
    assert set(table.currency) == {"USD"}
    assert f"All replies together: {each.sum():.3g} USD" in table.attrs["below"][0]


def test_without_a_price_there_is_no_money_in_it() -> None:
    table = cost_table(planted(), draws=100)
    assert not {"money", "money_per_correct", "currency"} & set(table.columns)
    assert "below" not in table.attrs


def test_one_backbone_with_a_price_and_one_without() -> None:
    rows = planted()
    other = rows.assign(backbone="free")
    backbone, task = rows.backbone.iloc[0], rows.task.iloc[0]
    prices = Prices.read(IN, OUT)
    assert prices is not None
    table = cost_table(pd.concat([rows, other]), draws=100, prices={(backbone, task, "free_cot"): prices})
    priced = table[table.money.notna()]
    assert list(zip(priced.backbone, priced.condition)) == [(backbone, "free_cot")]


def test_the_plan_says_it_before_and_the_table_after(tmp_path: Path) -> None:
    with serving() as seen:
        where = ("backend=server", "backbone=served", f"backend.url={seen.url}", "backend.dialect=openai", f"results={tmp_path}")
        run = (*where, *PRICED, "name=x", "task=[addition]", "condition=[free_cot,direct]", "limit=5")
        before = command("plan", *run)
        assert before.code == 0, before.err
        at_most = re.search(r"At most about ([\d.e-]+) USD: ([\d,]+) prompt tokens and ([\d,]+) of replies", before.out)
        assert at_most, before.out
        prompt, reply = (int(count.replace(",", "")) for count in at_most.groups()[1:])
        assert float(at_most[1]) == pytest.approx((2.5 * prompt + 10 * reply) / 1e6, rel=0.005)
        assert not seen.bodies
        done = command("run", *run)
        assert done.code == 0, done.err
        after = command("plan", *run, "limit=15")
        # The server counts 9 and 5 tokens a reply; 20 replies are missing.
        assert "180 prompt tokens and 100 of replies, at 2.5 USD a million prompt tokens, 10 of replies" in after.out
        made = command("tables", f"results={tmp_path}/x", "table=[cost]", "figure=[]", "draws=100")
        assert made.code == 0, made.err
    page = next(tmp_path.rglob("cost.md")).read_text()
    table = pd.read_csv(next(tmp_path.rglob("cost.csv")))
    assert table.money.to_numpy() == pytest.approx(np.full(2, 1000 * (9 * 2.5 + 5 * 10) / 1e6))
    assert "All replies together: 0.000725 USD" in page
    assert "money for 1000 replies" in page


def test_the_plan_names_the_cells_that_a_dialect_cannot_express(tmp_path: Path) -> None:
    with serving() as seen:
        where = ("backend=server", "backbone=served", f"backend.url={seen.url}", f"results={tmp_path}", "name=x", "limit=2")
        grid = ("task=[addition]", "condition=[free_cot,sham,json_schema,think_then_json]")
        one, two = (command("plan", *where, *grid, f"backend.dialect={dialect}") for dialect in ("openai", "llamacpp"))
    assert "addition/sham, addition/think_then_json: does not run: backend.dialect=openai sends JSON schemas" in one.out
    assert "x: 2 cells, 4 requests" in one.out, "what does not run is not counted"
    assert "does not run" not in two.out
    assert "x: 4 cells, 8 requests" in two.out
