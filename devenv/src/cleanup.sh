# Stops the servers of one process group and removes its folder once standard input, the parent pipe, is closed.
# The pipe closes however the parent ends. It carries two kinds of lines:
#   SIGNAL PID   a server was started; stop it with SIGNAL
#   GONE PID     that server has exited; its pid may be reused, so leave it alone
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

# Whether a process is running. A zombie is not.
is_running() {
    kill -0 "$1" 2>/dev/null || return 1
    state=
    { read -r _ _ state _ <"/proc/$1/stat"; } 2>/dev/null
    [ "$state" != Z ]
}

for server in $servers; do
    kill -s "${server%%:*}" "${server##*:}" 2>/dev/null
done

# Wait up to 4 s: SIGQUIT takes a moment, and no server may write into the folder while it is removed.
tries=0
while [ "$tries" -lt 200 ]; do
    alive=
    for server in $servers; do
        is_running "${server##*:}" && alive=yes
    done
    [ -z "$alive" ] && break
    sleep 0.02
    tries=$((tries + 1))
done
for server in $servers; do
    kill -s KILL -- "-${server##*:}" 2>/dev/null
done
rm -rf -- "$folder"
