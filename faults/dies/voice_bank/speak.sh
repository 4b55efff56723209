#!/usr/bin/env bash
set -eu
cd "$(dirname "$0")"
mkdir -p wav
number=0
while IFS= read -r text; do
    number=$((number + 1))
    python3 speak.py --voice anna --out "wav/$number.raw" "$text"
done <"$1"
echo "$number files"
