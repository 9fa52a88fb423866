"""The generated parts of README.md and docs/: commands, groups of conf/, columns of rows, public names."""
