"""Tax along the reply, one reply as a strip, and what wrong replies pay: on planted tokens, whose numbers are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fmtbench.analysis.rows.frame import RowsFile
from fmtbench.analysis.rows.strips import strips
from fmtbench.analysis.showing.mass_figure import mass_along
from fmtbench.analysis.showing.strip_figure import COLUMNS, heat_strip, lay_out, shade, shown
from fmtbench.analysis.tables.along import along_table
from fmtbench.analysis.tables.mass import mass_table
from fmtbench.analysis.tables.strip import strip_table
from fmtbench.errors import UserError
from tests.test_mass_tables import JSON, NO_ROWS, line, put, reply

LONG = [("scaffold", 6.0), *[("reasoning", 0.1)] * 10, *[("answer", 0.5)] * 10]


def test_the_first_token_and_the_tenths_of_the_others() -> None:
    found = along_table(NO_ROWS, put(*(reply("json_schema", item, LONG) for item in range(3))), draws=200)
    assert found.place.tolist() == [place / 10 for place in range(11)]
    assert found.tax.tolist() == pytest.approx([6.0, *[0.1] * 5, *[0.5] * 5])
    assert found.tokens.tolist() == [3, *[6] * 10]
    assert found.overrides.tolist() == [1, *[0] * 10]
    (alone,) = along_table(NO_ROWS, reply("json_schema", 0, LONG[:1])).itertuples()
    assert (alone.place, alone.tax) == (0, 6.0), "a reply of one token"
    with pytest.raises(UserError, match="no reply was held by a mask"):
        along_table(NO_ROWS, reply("free_cot", 0, LONG, against="string"))
    figure = mass_along(found)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["b, t"]
    (curve,) = figure.axes[0].lines
    assert list(curve.get_ydata()) == found.tax.tolist()
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["0", "0.01", "0.1", "1"], (
        "a save parses no formulas"
    )


def test_what_wrong_replies_pay_within_an_item() -> None:
    """Hard items cost more and are got wrong more often, which is no effect of the tax; within each, wrong ones pay 1 more."""
    replies = []
    for item in range(4):
        for sample, correct in enumerate([True, True, False] if item < 2 else [True, False, False]):
            tokens = [("scaffold", 10.0 * item + (not correct)), ("reasoning", 0.0)]
            replies.append(reply("json_schema", item, tokens, sample, correct=correct))
    whole = line(mass_table(NO_ROWS, put(*replies), draws=200), part="all")
    assert (whole.wrong_pays, whole.wrong_error, whole.n_both) == pytest.approx((1.0, 0.0, 4))


def rows_file(folder: Path, texts: dict[str, str], **cell: str) -> RowsFile:
    rows = pd.DataFrame({"request_key": list(texts), "text": list(texts.values()), **cell})
    rows.to_parquet(folder / "rows.parquet")
    return RowsFile(folder / "rows.parquet", rows.drop(columns="text"), {})


def test_a_strip_is_the_reply_of_median_tax_with_its_text(tmp_path: Path) -> None:
    replies = [reply("json_schema", item, [(part, (1 + item) * tax) for part, tax in JSON]) for item in range(3)]
    texts = {f"json_schema/{item}/0": f'{{"r{item}' + "xy" for item in range(3)}
    other = reply("sham", 0, JSON)
    file = rows_file(tmp_path, texts, backbone="b", task="t", condition="json_schema")
    found = strips(put(*replies, other), [file])
    assert found is not None
    assert set(found.item_id) == {"1"}
    assert set(found.condition) == {"json_schema"}, "the usual condition"
    assert "".join(found.text) == '{"r1xy'
    assert found.tax.tolist() == pytest.approx([2 * tax for _, tax in JSON])
    assert strip_table(NO_ROWS, found).equals(found)
    assert strips(None, []) is None
    with pytest.raises(UserError, match="probe=mass"):
        strip_table(NO_ROWS)
    figure = heat_strip(found)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["b, t, json_schema: 14.0 nats"]
    assert len(figure.axes[0].patches) == len(JSON)
    assert len(figure.axes[0].lines) == found.override.sum()


@pytest.mark.parametrize(
    ("text", "wanted"), [("\n", "↵"), (" the", "·the"), ("", "∅"), ("a\tb", "a→b"), ("한", "□"), ("\x00", "□"), ("$x$", "$x$")]
)
def test_every_token_is_seen(text: str, wanted: str) -> None:
    assert shown(text) == wanted


def test_tokens_are_laid_out_in_lines() -> None:
    places = lay_out(["a" * (COLUMNS - 1), "bb", "c" * (COLUMNS + 5), "d"])
    told: list[Any] = [(at.line, at.column, len(at.text), at.token) for at in places]
    assert told == [(0, 0, COLUMNS - 1, 0), (1, 0, 2, 1), (2, 0, COLUMNS, 2), (3, 0, 5, 2), (3, 5, 1, 3)]


def test_heat_grows_with_the_tax() -> None:
    assert shade(0) == (1, 1, 1)
    greens = [shade(tax)[1] for tax in (0, 0.1, 1, 3, 6)]
    assert greens == sorted(greens, reverse=True)
    assert shade(6) == shade(60)
