#!/bin/bash
# Two nodes of a Slurm cluster on this machine: `nodes.sh FOLDER BATCH_SCRIPT ARGUMENT...` runs the script on the first.
#
# Each node has its own processes, network and RAY_TMPDIR, so Ray finds there what it finds on a machine of its own; all
# other files are shared. What Slurm's daemons tell each other are files in FOLDER:
#
#     step        the task that the second node runs too (written by the stub of srun)
#     stop        SIGTERM to the batch script and to the tasks of both nodes
#     kill        SIGKILL to all processes of the step (written by the stub of srun)
#     code        the exit code of the batch script
#
# Nothing outlives the outermost process.
set -eu
folder=$1 local=/tmp/gansearch-$SLURM_JOB_ID
apart=(unshare --net --pid --mount --fork --kill-child --mount-proc)

case ${NODE:-} in
"")
    mkdir -p "$local"
    NODE=none exec "${apart[@]}" --map-root-user bash "$0" "$@"
    ;;
none)
    ip link add first type veth peer name second
    for node in first second; do
        NODE=$node "${apart[@]}" bash "$0" "$@" &
        while [ "$(readlink "/proc/$!/ns/net")" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.1; done
        ip link set "$node" netns $!
    done
    wait
    ;;
*)
    mount -t tmpfs none "$local"
    ip link set lo up
    until ip link set "$NODE" up 2>/dev/null; do sleep 0.1; done
    if [ "$NODE" = first ]; then
        ip address add 10.77.0.1/24 dev first
        bash "${@:2}" &
    else
        ip address add 10.77.0.2/24 dev second
        until [ -e "$folder/step" ]; do sleep 0.1; done
        bash "$folder/step" &
    fi
    ip route add default dev "$NODE"
    echo $! >>"$local/tasks"
    until [ -e "$folder/stop" ] || [ -e "$folder/kill" ] || ! kill -0 $! 2>/dev/null; do sleep 0.1; done
    if [ -e "$folder/stop" ]; then xargs kill <"$local/tasks" || true; fi
    if [ "$NODE" = first ]; then
        code=0
        wait $! || code=$?
        echo $code >"$folder/code"
    fi
    until [ -e "$folder/kill" ]; do sleep 0.1; done
    ;;
esac
