# Runs what prepares a server, starts the server when told to, and ends it when whoever tells it has gone.
#   $1: the server's directory; $2: the signal that ends it at once; then the server's command.
# The end of standard input is the end of the test process, whatever ended that.
directory=$1 signal=$2 server=
shift 2
# The test process's end is a hang-up as well, if the server is frozen then: the system has pity on stopped processes
# that nobody is left to wake.
trap '' HUP
# An answer that nobody hears any more must not end this. (Unlike '', the servers do not inherit it.)
trap : PIPE
while read -r order; do
  case $order in
    # In the foreground: what prepares the server has come to its end before its directory is removed.
    run*)
      eval "${order#run}" </dev/null >"$directory/output" 2>&1
      echo "$?" ;;
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
  # What was frozen could not end. (The system may not list children: then the server kills them after a while.)
  kill -s CONT "$server" $(cat "/proc/$server/task/$server/children" 2>/dev/null) 2>/dev/null
  tries=$((tries + 1))
  [ "$tries" -lt 400 ] || signal=KILL
  sleep 0.05
done
cd / && rm -rf "$directory"
