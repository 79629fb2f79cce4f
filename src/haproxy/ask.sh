# shellcheck shell=sh
# What HAProxy's processes in the load balancer are, what they listen on, and what the one says that answers. Run as
# `sh -c SCRIPT vch-lb TRIES QUESTION COUNTS [PID/START/SOCKET]...`: first waits, TRIES tenths of a second at most, until none
# of these processes holds its socket any more. With COUNTS `open` each process's clients are counted: connections on a port
# that HAProxy listens on. `whole` on the last line proves that it ran to its end.
socket=/tmp/haproxy.sock
read_process() {
	read -r line 2>/dev/null <"/proc/$1/stat" || return 1
	name=${line#*\(} name=${name%\)*}
	# shellcheck disable=SC2086
	set -- ${line##*\) }
	parent=$2 start=${20}
}
held() {
	for key; do
		pid=${key%%/*} rest=${key#*/}
		read_process "$pid" || continue
		[ "$start" = "${rest%%/*}" ] || continue
		case $(ls -l "/proc/$pid/fd" 2>/dev/null) in *"socket:[${rest#*/}]"*) return 0 ;; esac
	done
	return 1
}
ask() {
	if command -v socat >/dev/null; then
		printf '%s\n' "$question" | socat -t 3 -T 3 - "UNIX-CONNECT:$socket"
	elif command -v perl >/dev/null; then
		perl -MIO::Socket::UNIX -e '
			alarm 3; my $s = IO::Socket::UNIX->new(Peer => shift) or exit 1; print $s @ARGV, "\n"; print while <$s>
		' "$socket" "$question"
	elif command -v nc >/dev/null; then
		printf '%s\n' "$question" | nc -w 3 "local:$socket" || printf '%s\n' "$question" | nc -w 3 -U "$socket"
	else
		echo no-client
	fi 2>/dev/null
}
tries=$1 question=$2 counts=$3
shift 3
while [ "$tries" -gt 0 ] && held "$@"; do
	sleep 0.1
	tries=$((tries - 1))
done
sockets='' ports=' ' clients=''
for table in /proc/net/tcp /proc/net/tcp6; do
	[ -r "$table" ] || continue
	while read -r _ address _ state _ _ _ _ _ inode _; do
		[ "$state" = 0A ] && sockets="$sockets $inode" ports="$ports${address##*:} "
	done <"$table"
done
for table in /proc/net/tcp /proc/net/tcp6; do
	if [ "$counts" != open ] || ! [ -r "$table" ]; then continue; fi
	while read -r _ address _ state _ _ _ _ _ inode _; do
		[ "$state" = 01 ] || continue
		case $ports in *" ${address##*:} "*) clients="$clients
socket:[$inode]" ;; esac
	done <"$table"
done
for key; do sockets="$sockets ${key##*/}"; done
for process in /proc/[0-9]*; do
	pid=${process#/proc/}
	read_process "$pid" || continue
	case $name in haproxy*) ;; *) continue ;; esac
	has=none
	files=$(ls -l "$process/fd" 2>/dev/null) || has=unknown
	for inode in $sockets; do
		case $files in *"socket:[$inode]"*) has="$has,$inode" ;; esac
	done
	echo "process $pid $parent $start $has $(tr '\0\n' '  ' <"$process/cmdline")"
	[ "$counts" = open ] || continue
	# An empty pattern would be in every line.
	[ -z "$clients" ] || set -- "$(printf '%s\n' "$files" | grep -c -F "${clients#?}")"
	echo "open $pid ${1:-0}"
done
# How long the machine has been up, and its clock; how long ago the newest of its files was put there, whatever time they carry.
now=$(date +%s)
changed=$(stat -c %Z /usr/local/etc/haproxy/haproxy.cfg /usr/local/etc/haproxy/tls.pem 2>/dev/null | sort -n | tail -n 1)
read -r up _ 2>/dev/null </proc/uptime
echo "up $up $now"
[ -n "$changed" ] && echo "files $((now - changed)) ${up%%.*}"
sum=$(sha256sum </usr/local/etc/haproxy/tls.pem 2>/dev/null) && echo "cert ${sum%% *}"
[ -S "$socket" ] && ask | sed 's/^/said /'
echo whole
