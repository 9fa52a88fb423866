"""From rows to evidence: frames, statistics, tables. No engine is imported here, so tables rebuild on a laptop."""
