#!/bin/bash
# Decodes a clip, scores its frames and keeps the last lines of the decoder's log.
set -u
log=$(mktemp -u).log
mkfifo "$log"
exec 3<>"$log"
rm "$log"
echo "scoring ${1:-200} frames"
python3 decode.py --frames "${1:-200}" 2>&3 | python3 score.py || exit 1
timeout 1 tail -n 3 <&3
echo "clip scored"
