#!/bin/sh
# The job of one node: a memory group with the share it was given.
share=${SHARE:-80M}
group=/sys/fs/cgroup/memory/shards-$$
mkdir "$group" || exit 1
echo "$share" >"$group/memory.limit_in_bytes"
(
    sh -c 'echo $PPID' >"$group/cgroup.procs"
    exec python3 coordinator.py 3
)
status=$?
rmdir "$group"
exit $status
