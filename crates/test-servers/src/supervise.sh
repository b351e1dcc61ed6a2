# Starts a server when told to, and ends it when whoever tells it has gone.
#   $1: the server's directory; $2: the signal that ends it at once; then the server's command.
# The end of standard input is the end of the test process, whatever ended that.
directory=$1 signal=$2 server=
shift 2
while read -r order; do
  case $order in
    start)
      "$@" </dev/null >>"$directory/log" 2>&1 &
      server=$!
      echo "$server" ;;
    reap)
      wait "$server"
      server=
      echo "$?" ;;
  esac
done
# Again and again: a server that has just been started may not listen to signals yet. The shell takes note of the
# server's end while it waits for `sleep`.
tries=0
while [ -n "$server" ] && kill -s "$signal" "$server" 2>/dev/null; do
  kill -s CONT "$server" 2>/dev/null
  tries=$((tries + 1))
  [ "$tries" -lt 400 ] || signal=KILL
  sleep 0.05
done
cd / && rm -rf "$directory"
