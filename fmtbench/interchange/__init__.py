"""Results in the formats of other tools: lm-evaluation-harness, Inspect, and data sets of the Hugging Face Hub."""
