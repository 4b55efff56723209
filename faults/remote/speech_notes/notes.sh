#!/bin/sh
# Turns the notes of some days into text.
cd "$(dirname "$0")" || exit 1
for day in "$@"; do
    echo "== $day"
    if ! python3 transcribe.py "$day" >"$day.txt"; then
        echo "no text for $day" >&2
        exit 4
    fi
    cat "$day.txt"
done
