"""Results in the shapes that other tools read: lm-evaluation-harness, Inspect, and the Hub's data sets."""
