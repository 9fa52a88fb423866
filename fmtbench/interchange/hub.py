"""A folder for the Hugging Face Hub: the rows as parquet, and a card that describes them.

    DIR/README.md                      the card; its front matter tells `datasets` where the rows are
    DIR/data/<backbone>.parquet        one split per backbone

`datasets.load_dataset("DIR")` opens it. `hf upload NAME DIR --repo-type dataset` uploads it to the Hub; fmtbench never does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from fmtbench.analysis.showing.markdown import to_markdown
from fmtbench.analysis.showing.readable import readable
from fmtbench.analysis.tables.main import accuracy_table
from fmtbench.interchange.cells import ScoredCell, by_backbone, safe
from fmtbench.store.files import replacing, write_text

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M"))
CARD = """\
---
{front}---

# {name}

Replies of language models to the same items in different formats, read and scored by fmtbench: what does forcing a model into
a format do to what it knows?

{count:,} replies; backbones: {backbones}; tasks: {tasks}; conditions: {conditions}. Each line is a reply:
`question` and `gold` are the item, `condition` says how it was asked and what the decoder allowed, `text` is the reply,
`answer` and `correct` are what the condition's own format yields (strict), `marked_answer` and `marked_correct` what is stated
by any mark in use, `latent_answer` and `latent_correct` what a lenient reader finds, and `status` says how the reply ended.

```python
from datasets import load_dataset

rows = load_dataset("THIS FOLDER, OR ITS NAME ON THE HUB", split="{split}")
```

## Accuracy

In per cent of all items, with 95% intervals; Δ: difference to free_cot on the same items.

{table}
## Where the items come from

{sources}

Made by fmtbench at {commits}.
"""


def write(cells: Sequence[ScoredCell], output: Path) -> list[Path]:
    """One parquet file for each backbone, and the card. Returns the files."""
    (output / "data").mkdir(parents=True, exist_ok=True)
    schema = pa.Schema.from_pandas(_frame(cells), preserve_index=False).remove_metadata()
    written = []
    for backbone, own in by_backbone(cells).items():
        path = output / "data" / f"{safe(backbone)}.parquet"
        with replacing(path) as part:
            pq.write_table(pa.Table.from_pandas(_frame(own), schema=schema, preserve_index=False).replace_schema_metadata(), part)
        written.append(path)
    write_text(output / "README.md", card(cells, output.resolve().name))
    return [*written, output / "README.md"]


def _frame(cells: Sequence[ScoredCell]) -> pd.DataFrame:
    return pd.concat([cell.rows for cell in cells], ignore_index=True)


def split_name(backbone: str) -> str:
    """Split names consist of letters, digits and underscores only."""
    return re.sub(r"\W", "_", backbone)


def card(cells: Sequence[ScoredCell], name: str) -> str:
    rows = _frame(cells)
    backbones = list(by_backbone(cells))
    return CARD.format(
        front=yaml.safe_dump(_front(name, backbones, len(rows)), sort_keys=False, allow_unicode=True),
        name=name,
        count=len(rows),
        backbones=", ".join(backbones),
        split=split_name(backbones[0]),
        tasks=", ".join(dict.fromkeys(cell.task for cell in cells)),
        conditions=", ".join(dict.fromkeys(cell.condition for cell in cells)),
        table=to_markdown(readable(accuracy_table(rows))),
        sources=_sources(cells),
        commits=", ".join(sorted({cell.commit[:12] or "an unknown commit" for cell in cells})),
    )


def _front(name: str, backbones: Sequence[str], count: int) -> dict[str, object]:
    files = [{"split": split_name(backbone), "path": f"data/{safe(backbone)}.parquet"} for backbone in backbones]
    size = next((label for most, label in SIZES if count < most), "n>10M")
    return {
        "pretty_name": name,
        "tags": ["evaluation", "structured-output", "constrained-decoding", "fmtbench"],
        "size_categories": [size],
        "configs": [{"config_name": "default", "data_files": files}],
    }


def _sources(cells: Sequence[ScoredCell]) -> str:
    """One line per task. Questions belong to their authors, so their licences go with them."""
    lines = {}
    for cell in cells:
        source = cell.source
        facts = [str(source[key]) for key in ("hub_id", "licence", "citation") if source.get(key)]
        lines[cell.task] = f"- `{cell.task}`: {', '.join(facts) or ('generated' if cell.config else 'source not known')}"
    return "\n".join(lines.values())
