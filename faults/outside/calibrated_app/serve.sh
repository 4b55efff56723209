#!/bin/sh
# The application asks to be started again after it has calibrated the camera.
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
for attempt in 1 2; do
  python3 app.py --port "$port"
  status=$?
  [ $status = 3 ] || break
  echo "starting again"
done
exit $status
