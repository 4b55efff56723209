#!/bin/sh
# Runs a command in a memory group of its own, as the containers of the deployment do.
group=/sys/fs/cgroup/memory/latents-$$
mkdir "$group" || exit 1
echo 80M >"$group/memory.limit_in_bytes"
sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group" "$@"
status=$?
rmdir "$group"
exit $status
