# Ends the servers of one household and removes its folder when the pipe on standard input is closed,
# which happens however the process at its other end goes. Lines on the pipe: SIGNAL PID, and GONE PID for one that has
# ended, whose number may be somebody else's by then.
trap '' INT TERM HUP QUIT
folder=$1
servers=
while read -r signal pid; do
    if [ "$signal" = GONE ]; then
        left=
        for server in $servers; do
            [ "${server##*:}" = "$pid" ] || left="$left $server"
        done
        servers=$left
    else
        servers="$servers $signal:$pid"
    fi
done

# Whether a process still runs. One that is dead, and waits only for its parent to notice, does not.
runs() {
    kill -0 "$1" 2>/dev/null || return 1
    state=
    { read -r _ _ state _ <"/proc/$1/stat"; } 2>/dev/null
    [ "$state" != Z ]
}

for server in $servers; do
    kill -s "${server%%:*}" "${server##*:}" 2>/dev/null
done

# Up to 4 s: a server that is asked to quit needs a moment, and nothing may write into the folder while it is removed.
tries=0
while [ "$tries" -lt 200 ]; do
    alive=
    for server in $servers; do
        runs "${server##*:}" && alive=yes
    done
    [ -z "$alive" ] && break
    sleep 0.02
    tries=$((tries + 1))
done
for server in $servers; do
    kill -s KILL -- "-${server##*:}" 2>/dev/null
done
rm -rf -- "$folder"
