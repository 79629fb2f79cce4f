# shellcheck shell=sh
# Takes the service's lock and keeps it until stdin ends, which is when whoever holds it ends. Run as `sh -c SCRIPT vch-lb WHO`:
# prints `held`, `busy` with who has it, or `without` with why it can't be had. Who has it stands in the locked file.
command -v flock >/dev/null || {
	echo without flock is not in its image
	exit
}
true 2>/dev/null <>/tmp/vch-lb.lock || {
	echo without no file can be made in its /tmp
	exit
}
exec 9<>/tmp/vch-lb.lock
flock -n 9 2>/dev/null
case $? in
0)
	printf '%s\n' "$1" >/tmp/vch-lb.lock
	echo held
	exec cat >/dev/null
	;;
1)
	read -r who <&9
	printf 'busy %s\n' "$who"
	;;
*) echo without flock fails in it ;;
esac
