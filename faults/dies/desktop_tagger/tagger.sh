#!/bin/sh
# Starts the tagger as the desktop entry does.
cd "$(dirname "$0")" || exit 1
python3 tagger.py --batches 2 2>&-
status=$?
[ $status -eq 0 ] || echo "tagger: status $status"
exit $status
