#!/bin/bash
# Two indexers work on the same store, in turns.
python3 indexer.py --name words --seconds 7 &
first=$!
sleep 0.6
python3 indexer.py --name pictures --seconds 1
code=$?
wait "$first" || code=1
exit $code
