#!/bin/sh
# sh paper/article.sh OUTPUT    makes OUTPUT/paper.pdf of paper/paper.tex, with its references
set -eu
mkdir -p "$1"
output=$(cd "$1" && pwd)
cd "$(dirname "$0")"
latex() { pdflatex -interaction=batchmode -halt-on-error -output-directory="$output" paper.tex > /dev/null; }
latex
(here=$(pwd) && cd "$output" && BIBINPUTS="$here" bibtex -terse paper)
latex
latex
echo "$output/paper.pdf"
