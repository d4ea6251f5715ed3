# Runs a server for as long as its owner lives.
#   $1 signal that asks for a stop, $2 seconds until connections are cut, $3 folder to delete
#   afterwards or nothing, $4.. the server's command
# Standard input is a pipe whose other end the owner holds: it closes when the owner wants the
# server to stop, and when the owner dies, be it by SIGKILL. Standard output is the locked lock
# file. The server gets it as descriptor 3, so that the lock lasts until its last process ends.
stop=$1 grace=$2 doomed=$3
shift 3
exec 4<&0 </dev/null

"$@" 3>&1 >&2 4<&- &
server=$!

{
    # The server has ended by itself: nothing is left to wait for.
    trap 'kill "$!"; exit' TERM
    cat <&4 &
    wait "$!"
    # Repeated, because a server that has just been started may still ignore it.
    while kill -s "$stop" "$server"; do
        sleep 1 &
        wait "$!"
        grace=$((grace - 1))
        [ "$grace" -gt 0 ] || stop=QUIT
    done
} >/dev/null 2>&1 &
watch=$!
exec 4<&-

wait "$server"
status=$?
kill "$watch" 2>/dev/null
wait "$watch"
[ -z "$doomed" ] || rm -rf -- "$doomed"
exit "$status"
