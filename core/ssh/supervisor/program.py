"""The supervisor: the shell program that one session of each connection runs on a server.

It starts commands that outlive the session, keeps their records in a private folder, and answers short
requests. Nothing is installed. Right under dash, bash and busybox ash; where `/proc` is missing it asks
`ps`.

Requests are calls of the functions below, a line each on standard input; the session never waits for
anything but the next line. Answers go to standard output, in order, from the main loop only:

    B boot up pid group shared     the greeting; `group` names how process groups are made, "-" for none
    F path / F - why               the run's folder was made, or not; then N name for each folder of others
    X id why                       a command was certainly not started: gone, claimed, full
    O id stream start length       that many bytes of output, then the marker on a line of its own
    G id claim status alive pid up now     what the record says; "-" stands for what is not known
    V id void|claimed|gone
    K id pids…                     what is left of a process group after a signal, "?" where it can't be told
    S status words…                how a question of yes or no went
    C                              a clean-up was done

The end of a command is one line on standard error, written by the command's own watcher:

    D id status stdout-bytes stderr-bytes     ended; what it printed is still to be fetched
    D id status = line                        ended; it printed exactly this line on stdout
    D id status 0                             ended; it printed nothing
    N id why                                  certainly never ran: its record could not be written

Records: ID.c the claim ("v" for a void), ID.p pid, watcher, start time, uptime and boot id, ID.o and ID.e
the output, ID.s the exit status, ID.o.k how much was cut from the front of the output when it passed its
bound. A record without its final newline counts as not written.

Forks are what a server pays for, so builtins do what they can: a claim, the greeting, a short output.
"""

from __future__ import annotations

import re

OUTPUT_BOUND_BYTES = 64 * 1024 * 1024
CHUNK_BYTES = 1024 * 1024
ARGUMENT_BYTES = 100 * 1024
"""What fits into one variable of a process's environment, with room to spare (Linux takes 128 KiB)."""

SMALL_BYTES = 4096
"""Output up to here is read by the shell itself, which takes no process but reads byte by byte."""


def one_line(text: str) -> str:
    """A program as one line: every line of it ends where a space may follow."""
    return " ".join(line.strip() for line in text.strip().splitlines() if line.strip())


# What every session needs. $wl_m is the marker, $wl_b the boot id, $wl_h the shell, $wl_n a newline.
GREETING = r"""
umask 077; wl_c=${LC_ALL-}; LC_ALL=C; wl_n=${IFS#??}; wl_n=${wl_n%"${wl_n#?}"}; wl_d=;
wl_b=; wl_u=-; { IFS= read -r wl_b </proc/sys/kernel/random/boot_id; } 2>/dev/null;
[ -n "$wl_b" ] || wl_b=$(sysctl -n kern.boottime 2>/dev/null | tr -c 'A-Za-z0-9\n' _);
{ read -r wl_u wl_x </proc/uptime; } 2>/dev/null;
if command -v setsid >/dev/null 2>&1; then wl_g=setsid; wl_sid(){ ( exec setsid "$@" 2>&4 3>&- 4>&- ); };
elif command -v python3 >/dev/null 2>&1; then wl_g=python3;
wl_sid(){ ( exec python3 -c 'import os,sys; os.setsid(); os.execvp(sys.argv[1], sys.argv[1:])' "$@" 2>&4 3>&- 4>&- ); };
elif command -v perl >/dev/null 2>&1; then wl_g=perl;
wl_sid(){ ( exec perl -e 'use POSIX; POSIX::setsid(); exec @ARGV' -- "$@" 2>&4 3>&- 4>&- ); };
else wl_g=-; fi;
"""

HELLO = r"""
printf '%s B %s %s %s %s\n' "$wl_m" "${wl_b:--}" "${wl_u:--}" $$ "$wl_g";
"""

# wl_run FOLDER ID TEXT KIND NAME…: claims the attempt and starts it. KIND is "-", or the words of sudo.
#
# The watcher is a fork of the session that waits for the command and writes its status; it is in no
# process group of the command, so it outlives a stop. The command's shell leads a group of its own; it
# writes pid and start time before it evaluates anything.
RUN = r"""
wl_run(){ wl_d=$1; wl_r=$1/$2;
if [ ! -d "$1" ]; then printf 'X %s gone\n' "$2"; return; fi;
set -C; { printf '%s\n' $$ >"$wl_r.c"; } 2>/dev/null; wl_x=$?; set +C;
if [ $wl_x != 0 ]; then
if [ -s "$wl_r.c" ]; then printf 'X %s claimed\n' "$2"; else printf 'X %s full\n' "$2"; fi; return; fi;
{ { wl_watch "$@"; exit 0; } 3>&2 </dev/null >>"$wl_r.o" 4>>"$wl_r.e" 2>/dev/null || printf '%s N %s output\n' "$wl_m" "$2" >&2; } >/dev/null & };

wl_watch(){ wl_i=$2; wl_t=$3; wl_k=$4; shift 4; export wl_r wl_b wl_c wl_w;
if [ "$wl_k" != - ]; then export wl_k; printf '%s\n' "$wl_t" | wl_sid $wl_h -c 'eval "$wl_w"' ${wl_h%% *} "$@";
else if [ ${#wl_t} -gt @ARGUMENT@ ]; then printf '%s\n' "$wl_t" >"$wl_r.t" || { printf '%s N %s text\n' "$wl_m" "$wl_i" >&3; return; }; wl_t=; fi;
export wl_t; wl_sid $wl_h -c 'eval "$wl_w"' ${wl_h%% *} "$@"; fi;
wl_s=$?;
if [ ! -s "$wl_r.p" ]; then printf '%s N %s record\n' "$wl_m" "$wl_i" >&3; return; fi;
printf '%s\n' $wl_s >"$wl_r.s" || { sleep 1; printf '%s\n' $wl_s >"$wl_r.s"; };
if [ -s "$wl_r.e" ]; then :;
elif [ ! -s "$wl_r.o" ]; then printf '%s D %s %s 0\n' "$wl_m" "$wl_i" $wl_s >&3; return;
else wl_x=; wl_y=; { read -r wl_x wl_y </proc/self/fdinfo/1; } 2>/dev/null;
if [ "${wl_y:-9999}" -le 400 ] && { IFS= read -r wl_l && { IFS= read -r wl_x; read -r wl_x wl_y </proc/self/fdinfo/5; }; } 5<"$wl_r.o" <&5 &&
[ "$wl_y" = $((${#wl_l}+1)) ]; then printf '%s D %s %s = %s\n' "$wl_m" "$wl_i" $wl_s "$wl_l" >&3; return; fi; fi;
wl_y=-; wl_z=-; { read -r wl_x wl_y </proc/self/fdinfo/1; read -r wl_x wl_z </proc/self/fdinfo/4; } 2>/dev/null;
printf '%s D %s %s %s %s\n' "$wl_m" "$wl_i" $wl_s "$wl_y" "$wl_z" >&3; };
"""

# What the command's shell evaluates; it is a variable, so it stands in no process list.
LEADER = r"""
wl_p=; wl_q=; { IFS= read -r wl_p </proc/$$/stat; read -r wl_q wl_x </proc/uptime; } 2>/dev/null;
set -- ${wl_p##*) };
printf '%s %s %s %s %s\n' $$ $PPID "${20:--}" "${wl_q:--}" "${wl_b:--}" >"$wl_r.p" || exit 125; set --;
if [ -n "${wl_k-}" ]; then wl_x=$wl_k; unset wl_w wl_k wl_r wl_b wl_p wl_q; eval "unset wl_x; $wl_x"; fi;
if [ -n "$wl_t" ]; then wl_x=$wl_t; else wl_x=$(cat "$wl_r.t"); rm -f "$wl_r.t"; fi; unset wl_w wl_t wl_r wl_b wl_p wl_q; eval "unset wl_x; $wl_x"
"""

# wl_get RECORD ID STDOUT STDERR HINT HINT: the output from these offsets ("-" for none) and the record.
GET = r"""
wl_get(){ wl_r=$1; wl_cl=n; wl_s=-; wl_pid=-; wl_wp=; wl_st=; wl_up=-; wl_bt=; wl_al=n; wl_now=-; wl_x=;
if [ -e "$wl_r.c" ]; then wl_cl=y; { IFS= read -r wl_x <"$wl_r.c"; } 2>/dev/null; [ "$wl_x" != v ] || wl_cl=v;
elif [ ! -d "${1%/*}" ]; then wl_cl=gone; fi;
if { read -r wl_pid wl_wp wl_st wl_up wl_bt <"$wl_r.p"; } 2>/dev/null; then wl_alive && wl_al=y; else wl_pid=-; wl_bt=; fi;
{ IFS= read -r wl_s <"$wl_r.s" || { [ -e "$wl_r.s" ] && wl_s=bad; } || wl_s=-; } 2>/dev/null;
wl_out "$2" o "$3" 1 "$5"; wl_out "$2" e "$4" 4 "$6";
{ read -r wl_now wl_x </proc/uptime; } 2>/dev/null;
[ -z "$wl_bt" ] || [ "$wl_bt" = "${wl_b:--}" ] || wl_al=boot;
printf 'G %s %s %s %s %s %s %s\n' "$2" $wl_cl "${wl_s:-bad}" $wl_al "$wl_pid" "$wl_up" "$wl_now"; };

wl_alive(){ [ "$wl_bt" = "${wl_b:--}" ] || return 1; wl_l=;
if [ -r /proc/self/stat ]; then { IFS= read -r wl_l </proc/$wl_pid/stat; } 2>/dev/null; set -- ${wl_l##*) };
case ${1-} in ''|Z|X|x) ;; *) [ "${20-}" != "$wl_st" ] || return 0;; esac;
[ "/proc/$wl_wp/fd/1" -ef "$wl_r.o" ];
else case $(ps -o stat= -p "$wl_pid" 2>/dev/null) in ''|Z*|X*) return 1;; esac; fi; };

wl_out(){ wl_f=$wl_r.$2; [ "$3" != - ] && [ -s "$wl_f" ] || return 0; wl_k=0; wl_o=$3; wl_y=;
if [ -s "$wl_f.k" ]; then while read -r wl_x; do wl_k=$((wl_k+wl_x)); done <"$wl_f.k"; [ "$wl_o" -ge $wl_k ] || wl_o=$wl_k;
elif [ "$5" != - ]; then wl_y=$5;
elif [ $wl_al = y ] && [ "/proc/$wl_wp/fd/$4" -ef "$wl_f" ]; then { read -r wl_x wl_y </proc/$wl_wp/fdinfo/$4; } 2>/dev/null; fi;
if [ -z "$wl_y" ] || { [ $wl_y -gt @SMALL@ ] && [ "$wl_s" != - ]; }; then wl_y=$(($(wc -c <"$wl_f"))); fi;
wl_a=$((wl_o-wl_k)); wl_y=$((wl_y-wl_a)); [ $wl_y -gt 0 ] || return 0;
if [ $wl_a = 0 ] && [ $wl_y -le @SMALL@ ] && [ -r /proc/self/fdinfo/0 ]; then wl_v=;
{ while IFS= read -r wl_l; do wl_v=$wl_v$wl_l$wl_n; done; wl_v=$wl_v$wl_l; read -r wl_x wl_y </proc/self/fdinfo/4; } 4<"$wl_f" <&4;
if [ "$wl_y" = ${#wl_v} ]; then printf 'O %s %s %s %s\n%s%s\n' "$1" $2 $wl_o $wl_y "$wl_v" "$wl_m"; return; fi; wl_y=$(($(wc -c <"$wl_f"))); fi;
[ $wl_y -le @CHUNK@ ] || wl_y=@CHUNK@;
printf 'O %s %s %s %s\n' "$1" $2 $wl_o $wl_y; tail -c +$((wl_a+1)) "$wl_f" 2>/dev/null | head -c $wl_y; printf '%s\n' "$wl_m"; };
"""

# wl_new BASES… : makes the run's folder $wl_e below the first base that is ours, private, and no link.
FOLDER = r"""
wl_new(){ wl_e=$1; shift; wl_x=;
for wl_f do case $wl_f in /*) ;; *) continue;; esac;
[ -d "$wl_f" ] || [ -L "$wl_f" ] || { case $wl_f in */.cache/windlass) [ -d "${wl_f%/*}" ] || mkdir -m 700 "${wl_f%/*}";; esac; mkdir -m 700 "$wl_f"; } 2>/dev/null;
if [ -L "$wl_f" ] || [ ! -d "$wl_f" ] || [ ! -O "$wl_f" ]; then wl_x="$wl_x $wl_f is not ours;"; continue; fi;
case $(ls -ld "$wl_f" 2>/dev/null) in d???------*) ;; *) wl_x="$wl_x $wl_f is open to others;"; continue;; esac;
if wl_l=$(mkdir -m 700 "$wl_f/$wl_e" 2>&1); then wl_d=$wl_f/$wl_e; printf 'F %s\n' "$wl_d";
for wl_l in "$wl_f"/run-*; do [ "$wl_l" = "$wl_d" ] || [ ! -d "$wl_l" ] || printf 'N %s\n' "$wl_l"; done; printf 'C\n'; return; fi;
wl_x="$wl_x $wl_l;"; done; printf 'F - %s\n' "${wl_x# }"; printf 'C\n'; };
"""

# wl_void RECORD ID: writes the claim, so that a start that comes late does nothing.
VOID = r"""
wl_void(){ if [ ! -d "${1%/*}" ]; then printf 'V %s gone\n' "$2"; return; fi;
set -C; if { printf 'v\n' >"$1.c"; } 2>/dev/null; then printf 'V %s void\n' "$2"; else printf 'V %s claimed\n' "$2"; fi; set +C; };
"""

# wl_kill RECORD ID SIGNAL SUDO…: signals the group ("-" only looks) and tells who is left of it.
STOP = r"""
wl_kill(){ wl_r=$1; wl_i=$2; wl_k=$3; shift 3; wl_pid=; wl_o=;
{ read -r wl_pid wl_wp wl_st wl_up wl_bt <"$wl_r.p"; } 2>/dev/null || { printf 'K %s nopid\n' "$wl_i"; return; };
if [ "$wl_bt" = "${wl_b:--}" ] && wl_ours; then
if [ $wl_k != - ]; then if [ $# = 0 ]; then kill -$wl_k -$wl_pid;
else "$@" $wl_h -c "kill -$wl_k -$wl_pid" & fi; fi 2>/dev/null </dev/null >/dev/null; wl_left; fi;
printf 'K %s%s\n' "$wl_i" "$wl_o"; };

wl_ours(){ [ -r /proc/self/stat ] || return 0; wl_l=; { IFS= read -r wl_l </proc/$wl_pid/stat; } 2>/dev/null; set -- ${wl_l##*) };
[ -z "${20-}" ] || [ "${20-}" = "$wl_st" ]; };

wl_left(){ if [ -r /proc/self/stat ]; then
for wl_f in /proc/[0-9]*/stat; do wl_l=; { IFS= read -r wl_l <$wl_f; } 2>/dev/null;
case $wl_l in ''|*') '*) ;; *) wl_l=$(cat $wl_f 2>/dev/null);; esac;
set -- ${wl_l##*) }; [ "${3-}" = "$wl_pid" ] || continue; case $1 in Z|X|x) continue;; esac;
wl_f=${wl_f#/proc/}; wl_o="$wl_o ${wl_f%/stat}"; done;
else wl_l=$(ps -eo pid=,pgid=,stat= 2>/dev/null) || { wl_o=' ?'; return; }; set -- $wl_l;
while [ $# -ge 3 ]; do if [ "$2" = "$wl_pid" ]; then case $3 in Z*|X*) ;; *) wl_o="$wl_o $1";; esac; fi; shift 3; done; fi; };
"""

# wl_forget RECORD…: what an attempt whose outcome is durable left may go; its claim stays.
# wl_sweep FOLDER…: removes folders of runs that are over.
CLEAN = r"""
wl_forget(){ for wl_f do set -- "$@" "$wl_f.p" "$wl_f.o" "$wl_f.e" "$wl_f.s" "$wl_f.t" "$wl_f.o.k" "$wl_f.e.k"; shift; done; rm -f -- "$@" 2>/dev/null; };
wl_sweep(){ rm -rf -- "$@" 2>/dev/null; printf 'C\n'; };
"""

# wl_may SUDO…: whether the shell may be run by these words; sudo's own words where not.
SUDO = r"""
wl_may(){ wl_l=$("$@" $wl_h -c : 2>&1 </dev/null); wl_x=$?; printf 'S %s ' $wl_x; printf '%s' "$wl_l" | tr '\n' ' '; printf '\n'; };
"""

# wl_logout: whether a login manager ends what a user left running. Where it does, and the user lingers,
# commands are started in a scope of the user's own manager.
LOGOUT = r"""
wl_logout(){ wl_x=no; if [ -d ${wl_systemd:=/run/systemd/system} ]; then
for wl_f in ${wl_logind:=/etc/systemd/logind.conf /usr/lib/systemd/logind.conf.d/*.conf /etc/systemd/logind.conf.d/*.conf /run/systemd/logind.conf.d/*.conf}; do
[ -r "$wl_f" ] || continue;
while read -r wl_l; do case $wl_l in KillUserProcesses=[yY]*|KillUserProcesses=[tT]*|KillUserProcesses=1|KillUserProcesses=[oO]n) wl_x=$wl_f;;
KillUserProcesses=*) wl_x=no;; esac; done <"$wl_f"; done; fi;
if [ "$wl_x" = no ] || [ "$(id -u)" = 0 ]; then printf 'S 0\n'; return; fi;
if [ -e "${wl_linger:=/var/lib/systemd/linger}/$(id -un)" ] && command -v systemd-run >/dev/null 2>&1 && [ $wl_g = setsid ] &&
systemd-run --user --scope --quiet true </dev/null >/dev/null 2>&1; then
wl_sid(){ ( exec systemd-run --user --scope --quiet setsid "$@" 2>&4 3>&- 4>&- ); };
printf 'S 0\n'; else printf 'S 1 %s\n' "$wl_x"; fi; };
"""

# wl_guard FOLDER BOUND: outlives the session while commands run; cuts output that passed its bound.
#
# The watcher's own file position tells how much there was at the cut, as long as nothing was written since.
GUARD = r"""
wl_bye(){ [ -n "$wl_d" ] || return 0; for wl_f in "$wl_d"/*.c; do if [ -s "$wl_f" ] && [ ! -e "${wl_f%.c}.s" ]; then wl_guard "$wl_d" @BOUND@; return; fi; done; };
wl_guard(){ [ "${wl_g0-}" != y ] || return 0; wl_g0=y; { exec </dev/null >/dev/null 2>&1; trap '' HUP INT; wl_t=0;
while :; do wl_l0=; wl_t=$((wl_t+1));
for wl_p in "$1"/*.p; do wl_r=${wl_p%.p}; [ -e "$wl_p" ] && [ ! -e "$wl_r.s" ] || continue;
{ read -r wl_pid wl_wp wl_st wl_up wl_bt <"$wl_p" && wl_alive; } || continue; wl_l0=y; wl_cut "$wl_r.o" 1 "$2"; wl_cut "$wl_r.e" 4 "$2"; done;
[ -d "$1" ] || exit 0; [ -n "$wl_l0" ] || [ $wl_t -lt 10 ] || kill -0 $$ 2>/dev/null || exit 0;
if [ $wl_t -lt 10 ]; then sleep 0.2 2>/dev/null || sleep 1; else sleep 1; fi; done; } & };

wl_cut(){ [ -s "$1" ] || return 0; wl_y=;
if [ ! -e "$1.k" ] && [ "/proc/$wl_wp/fd/$2" -ef "$1" ]; then read -r wl_x wl_y </proc/$wl_wp/fdinfo/$2; fi;
[ -n "$wl_y" ] || wl_y=$(($(wc -c <"$1"))); [ $wl_y -le $(($3/16)) ] || wl_t=0; [ $wl_y -gt $3 ] || return 0;
wl_y=$(($(wc -c <"$1"))); printf '' >"$1"; wl_z=0; { read -r wl_x wl_z </proc/$wl_wp/fdinfo/$2; };
[ $wl_z -le $wl_y ] || wl_y=$wl_z; printf '%s\n' $wl_y >>"$1.k"; };
"""


def core_lines(shell: str, marker: str, bound: int = OUTPUT_BOUND_BYTES) -> list[str]:
    """The lines that start a session: the greeting, then what every command needs."""
    if not re.fullmatch(r"[0-9A-Za-z]+", marker):
        raise ValueError("a marker is letters and digits")
    # The marker is put together here, so that a shell that shows its input does not print it.
    first = f"wl_m=WL; wl_m=${{wl_m}}{marker}; wl_h={_quote(shell)}; {one_line(GREETING)} {one_line(HELLO)}"
    # The rest is read by a loop, so that each line may use what the lines before it defined.
    loop = 'while IFS= read -r wl_s; do eval "$wl_s"; done; wl_bye'
    return [f"{first} {loop}", f"wl_w={_quote(one_line(LEADER))}", _functions(RUN, bound), _functions(GUARD, bound)]


def part(name: str) -> str:
    """The line that defines a part that is needed only now and then."""
    return _functions(PARTS[name])


PARTS = {"get": GET, "folder": FOLDER, "void": VOID, "stop": STOP, "clean": CLEAN, "sudo": SUDO, "logout": LOGOUT}


def _functions(text: str, bound: int = OUTPUT_BOUND_BYTES) -> str:
    numbers = {"SMALL": SMALL_BYTES, "CHUNK": CHUNK_BYTES, "ARGUMENT": ARGUMENT_BYTES, "BOUND": bound}
    for name, number in numbers.items():
        text = text.replace(f"@{name}@", str(number))
    return one_line(text)


def _quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
