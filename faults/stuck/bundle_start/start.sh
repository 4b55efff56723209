#!/bin/sh
set -e
ADDR=./store.sock
"$PY" store.py "$ADDR" &
for _ in 1 2 3 4 5 6 7 8 9 10; do
  [ -S "$ADDR" ] && break
  sleep 0.2
done
echo "$ADDR"
