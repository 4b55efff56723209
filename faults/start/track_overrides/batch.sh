#!/bin/sh
# Tracks every clip of a list; stops at the first that does not work.
list=$1
done=0
while read -r clip; do
    echo "[batch] $clip"
    python3 track.py video="$clip" tracker.max_age=40 tracker.iou_tresh=0.45 || {
        status=$?
        echo "[batch] $clip ended with $status after $done clips" >&2
        exit $status
    }
    done=$((done + 1))
done <"$list"
echo "[batch] $done clips tracked"
