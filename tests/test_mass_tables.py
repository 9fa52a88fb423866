"""The tables of removed mass and of spelling on planted tokens: every number is known beforehand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fmtbench.analysis.tables.aligned import aligned_table
from fmtbench.analysis.tables.closing import closing_table
from fmtbench.analysis.tables.decoders import decoders_table
from fmtbench.analysis.tables.mass import mass_table
from fmtbench.analysis.tables.tokens import tokens_table
from fmtbench.errors import UserError

NO_ROWS = pd.DataFrame()
Spelt = Sequence[tuple[str, float]]
JSON: Spelt = [
    ("scaffold", 6.0),
    ("key", 0.0),
    ("reasoning", 0.1),
    ("reasoning", 0.3),
    ("scaffold", 0.5),
    ("answer", 0.0),
    ("end", 0.1),
]


def reply(condition: str, item: int, tokens: Spelt, sample: int = 0, **columns: Any) -> pd.DataFrame:
    """A reply of these tokens, each with its part and its tax."""
    tax = np.array([tax for _, tax in tokens])
    told: dict[str, Any] = {
        **{"backbone": "b", "task": "t", "condition": condition, "prompt": "plain", "seed": 0, "sample": sample},
        **{"item_id": str(item), "request_key": f"{condition}/{item}/{sample}", "correct": True, "status": "ok"},
        **{"against": "own", "decoder": "outlines 1", "dtype": "float32", "temperature": 0.0, "top_p": 1.0, "problem": None},
        **{"position": np.arange(len(tokens)), "token": 1, "end": np.arange(1, len(tokens) + 1), "bridge": False},
        **{"part": [part for part, _ in tokens], "left": -tax, "left_own": np.nan, "logprob": -tax - 1.0, "override": tax > 1},
        **{"allowed": 5, "top": 1, "first": "word", "breaks": 0.0, "closing": False, "words": np.nan, "respelt": False},
    }
    return pd.DataFrame(told | columns)


def put(*replies: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(replies, ignore_index=True)


def line(table: pd.DataFrame, **wanted: Any) -> Any:
    for name, value in wanted.items():
        table = table[table[name] == value]
    (found,) = table.itertuples()
    return found


def test_the_tax_of_each_part() -> None:
    table = mass_table(NO_ROWS, put(*(reply("json_schema", item, JSON) for item in range(4))))
    whole = line(table, part="all")
    assert (whole.replies, whole.tokens, whole.share) == (4, 28, 1)
    assert whole.tax_reply == pytest.approx(7.0)
    assert (whole.tax_reply_low, whole.tax_reply_high) == pytest.approx((7.0, 7.0)), "all replies are alike"
    assert whole.overrides == pytest.approx(1 / 7)
    rationale = line(table, part="reasoning")
    assert (rationale.tax, rationale.tax_reply) == pytest.approx((0.2, 0.4))
    parts = table[table.part.isin(["scaffold", "key", "whitespace", "reasoning", "answer", "end"])]
    assert parts.share.sum() == pytest.approx(1)
    assert parts.tax_reply.sum() == pytest.approx(7.0)
    assert line(table, part="first token").tax_reply == pytest.approx(6.0)
    assert line(table, part="behind the first token").tax_reply == pytest.approx(1.0)
    assert "whitespace" not in set(table.part), "nothing was written into it"


def test_only_the_first_tokens_of_a_rationale_are_its_beginning() -> None:
    long = [("scaffold", 1.0), *[("reasoning", float(tax)) for tax in range(1, 9)]]
    table = mass_table(NO_ROWS, put(reply("json_schema", 0, long), reply("json_schema", 1, long)))
    first = line(table, part="first 5 of the rationale")
    assert (first.tokens, first.tax_reply) == (10, pytest.approx(1 + 2 + 3 + 4 + 5))


def test_differences_are_paired_by_item() -> None:
    """Items differ by far more than the conditions do; the interval of the difference does not see that."""
    rng = np.random.default_rng(0)
    frames = []
    for item in range(40):
        base = float(rng.exponential(50))
        frames += [
            reply("json_schema", item, [("scaffold", base)]),
            reply("json_schema_unasked", item, [("scaffold", base + 3 + rng.normal(0, 0.5))]),
        ]
    table = mass_table(NO_ROWS, put(*frames))
    found = line(table, condition="json_schema_unasked", part="all")
    assert found.difference == pytest.approx(3, abs=0.3)
    assert 2.5 < found.difference_low < 3 < found.difference_high < 3.5
    assert found.tax_reply_high - found.tax_reply_low > 10, "unpaired, nothing would be seen"
    assert math.isnan(line(table, condition="json_schema", part="all").difference)


def test_the_floor_is_the_shams_and_replies_without_figures_are_counted() -> None:
    lost = reply("json_schema", 9, JSON).iloc[:1].assign(problem="left_grammar", part=None, left=np.nan)
    sham = reply("sham", 0, [("reasoning", 0.006), ("reasoning", 0.002)])
    table = mass_table(NO_ROWS, put(reply("json_schema", 0, JSON), lost, sham))
    assert table.floor.to_numpy() == pytest.approx(0.004)
    found = line(table, condition="json_schema", part="all")
    assert (found.replies, found.left_out) == (1, "left_grammar 1")
    alone = mass_table(NO_ROWS, lost)
    assert (alone.replies.tolist(), alone.left_out.tolist()) == ([0], ["left_grammar 1"])


def test_of_a_free_reply_only_the_rationale_is_held_against_a_string() -> None:
    free = reply("free_cot", 0, [("reasoning", 0.2), ("scaffold", 9.0), ("answer", 9.0)], against="string")
    table = mass_table(NO_ROWS, put(free, reply("json_schema", 0, JSON)))
    assert line(table, against="string", part="all").tax_reply == pytest.approx(0.2)


def test_masks_of_several_decoders_stay_apart() -> None:
    one, other = reply("json_schema", 0, JSON), reply("json_schema", 0, [("scaffold", 1.0)], decoder="xgrammar 2")
    table = mass_table(NO_ROWS, put(one, other))
    assert table[table.part == "all"].tax_reply.tolist() == pytest.approx([7.0, 1.0])


def test_the_closing_token() -> None:
    frames = []
    for item in range(10):
        wanted = "line_break" if item < 3 else "word"
        tokens = [("key", 0.0), ("reasoning", 0.0), ("reasoning", 0.0), ("scaffold", 2.0 if item < 6 else 0.1)]
        first = ["word", "line_break" if item == 0 else "word", "word", wanted]
        closing, words = [False, False, False, True], [np.nan, np.nan, np.nan, item]
        frames.append(reply("json_schema", item, tokens, first=first, closing=closing, words=words, breaks=0.25))
    cut = reply("json_schema", 10, [("key", 0.0), ("reasoning", 0.0)])
    (found,) = closing_table(NO_ROWS, put(*frames, cut)).itertuples()
    assert (found.replies, found.words) == (11, 4.5)
    assert found.closed == pytest.approx(10 / 11)
    assert (found.override, found.tax) == pytest.approx((0.6, 0.6 * 2 + 0.4 * 0.1))
    assert (found.line_break, found.word, found.mark, found.rest) == pytest.approx((0.5, 0.5, 0, 0))
    assert found.break_first == pytest.approx(1 / 21)
    assert found.breaks == pytest.approx(0.25)
    with pytest.raises(UserError, match="no masked reply has a rationale in a string that closes"):
        closing_table(NO_ROWS, cut)


def drawn(log_weights: Sequence[float], correct: Sequence[bool], per_item: int) -> pd.DataFrame:
    replies = [
        reply(
            "json_schema", k // per_item, [("scaffold", -weight)], k % per_item, left_own=[weight], temperature=1.0, correct=right
        )
        for k, (weight, right) in enumerate(zip(log_weights, correct))
    ]
    return put(*replies)


def test_weights_bring_back_what_the_model_would_say_given_the_grammar() -> None:
    """Two texts: masking draws them alike, but the model would write the second a tenth as often."""
    rng = np.random.default_rng(1)
    second = rng.random(1200) < 0.5
    (found,) = aligned_table(NO_ROWS, drawn(np.where(second, math.log(0.05), math.log(0.5)), ~second, 12)).itertuples()
    truth = 0.5 / 0.55
    assert found.masked == pytest.approx(0.5, abs=0.05)
    assert found.aligned == pytest.approx(truth, abs=0.02)
    assert found.aligned_low < truth < found.aligned_high
    assert found.ess == pytest.approx(1200 * 0.275**2 / (0.5 * 0.5**2 + 0.5 * 0.05**2), rel=0.05)
    assert found.note == ""
    assert found.right_less_wrong == pytest.approx(math.log(0.05) - math.log(0.5))


def test_one_draw_that_holds_the_weight_is_no_estimate() -> None:
    log_weights = np.full(72, -30.0)
    log_weights[5] = -3.0
    (found,) = aligned_table(NO_ROWS, drawn(log_weights, np.arange(72) % 2 == 0, 12)).itertuples()
    assert found.ess == pytest.approx(1, abs=0.01)
    assert math.isnan(found.aligned)
    assert found.note == "not usable: ESS 1.0 of 72"


def test_enough_draws_with_one_too_heavy_are_no_estimate_either() -> None:
    log_weights = np.zeros(400)
    log_weights[0] = math.log(60)
    (found,) = aligned_table(NO_ROWS, drawn(log_weights, np.arange(400) % 2 == 0, 4)).itertuples()
    assert found.ess > 30
    assert found.largest > 0.1
    assert math.isnan(found.aligned)


def test_what_right_draws_pay_is_compared_within_items() -> None:
    """Hard items are dear and wrong, easy ones cheap and right; within an item both pay alike."""
    frames = []
    for item in range(20):
        hard = item % 2
        for sample in range(10):
            right = sample == 0 if hard else sample != 0
            frames.append((item, sample, -40.0 * hard - 5.0, right))
    pieces = [
        reply("json_schema", i, [("scaffold", -w)], s, left_own=[w], temperature=1.0, correct=right) for i, s, w, right in frames
    ]
    (found,) = aligned_table(NO_ROWS, put(*pieces)).itertuples()
    assert (found.right_less_wrong, found.error, found.n_both) == pytest.approx((0, 0, 20))


def test_greedy_and_nucleus_draws_have_no_weights() -> None:
    greedy = reply("json_schema", 0, JSON)
    nucleus = reply("json_schema", 0, JSON, left_own=-1.0, top_p=0.9, temperature=1.0)
    for tokens in (greedy, nucleus):
        with pytest.raises(UserError, match="no masked reply was drawn"):
            aligned_table(NO_ROWS, tokens)


def test_shares_of_tokens_that_are_respelt() -> None:
    parts = ["scaffold", "key", "key", "reasoning", "answer", "scaffold", "end"]
    frames = []
    for item in range(10):
        for sample in range(2):
            bad = [False] * 7
            bad[1] = bad[2] = sample == 0  # the key, in every first draw
            bad[5] = item == 0
            tokens = [(part, 0.0) for part in parts]
            frames.append(reply("json_schema", item, tokens, sample, respelt=bad, correct=sample == 1 or item < 3))
    lost = reply("json_schema", 11, JSON).iloc[:1].assign(problem="special_inside", part=None)
    table = tokens_table(NO_ROWS, put(*frames, lost))
    whole = line(table, part="all")
    assert (whole.replies, whole.tokens) == (20, 120), "an end token is spelt in one way only"
    assert whole.respelt == pytest.approx((20 + 2) / 120)
    assert (whole.any_respelt, whole.before_answer) == pytest.approx((11 / 20, 0.5))
    assert (whole.key_effect, whole.n_both) == pytest.approx((-0.7, 10))
    assert whole.left_out == "special_inside 1"
    assert line(table, part="key").respelt == pytest.approx(0.5)
    assert line(table, part="reasoning").respelt == 0


def test_what_was_not_probed_names_the_command() -> None:
    for make in (mass_table, tokens_table, closing_table, aligned_table, decoders_table):
        with pytest.raises(UserError, match=r"run python -m experiments.lockin results=FOLDER probe=mass"):
            make(NO_ROWS)


def test_masks_of_two_libraries_are_compared_token_by_token() -> None:
    other = {"decoder": "xgrammar 2"}
    frames = []
    for item in range(4):
        one = reply("json_schema", item, JSON)
        frames += [one, one.assign(**other, allowed=[5, 5, 3, 5, 5, 5, 5], left=one.left - 0.001 * (item == 1))]
    lost = reply("json_schema", 9, JSON)
    refused = lost.iloc[:1].assign(problem="left_grammar", part=None, left=np.nan, **other)
    (found,) = decoders_table(NO_ROWS, put(*frames, lost, refused)).itertuples()
    assert (found.first, found.second, found.replies, found.tokens) == ("outlines 1", "xgrammar 2", 4, 28)
    assert (found.differing, found.more) == pytest.approx((1 / 7, 2))
    assert (found.apart, found.farthest) == pytest.approx((0.00025, 0.001))
    assert (found.forbidden, found.forbidden_first) == (1, 0)
    with pytest.raises(UserError, match="no reply was probed under two decoders"):
        decoders_table(NO_ROWS, lost)
