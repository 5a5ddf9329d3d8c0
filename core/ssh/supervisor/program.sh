# The supervisor, part by part; program.py sends a part as one line when it is first needed.
#
# Lines are joined, so each is a whole statement or ends with a word after which one may follow. Builtins do
# what they can: processes are what a server pays for. Every name of ours begins with wl_.
#
# The session's variables: wl_m the marker, wl_h the shell, wl_n a newline, wl_b the boot id, wl_c the locale
# of the login and wl_um its umask, wl_g how process groups are made, wl_d the folder of the newest command,
# wl_last its record until that is forgotten, wl_w what the leader of a command evaluates.

#: greeting
wl_x=
{ { read -r wl_x; read -r wl_x wl_um; } </proc/self/status; } 2>/dev/null
[ "$wl_x" = Umask: ] || wl_um=$(umask)
umask 077
# Whoever listens may go in the middle of an answer; the session must live to see to what goes on (wl_bye).
# A signal that is caught, unlike one that is ignored, is as ever again for commands.
trap : PIPE
wl_c=${LC_ALL-}
LC_ALL=C
wl_n=${IFS#??}
wl_n=${wl_n%"${wl_n#?}"}
wl_d=
wl_last=
wl_b=
wl_u=-
{ IFS= read -r wl_b </proc/sys/kernel/random/boot_id; } 2>/dev/null
[ -n "$wl_b" ] || wl_b=$(sysctl -n kern.boottime 2>/dev/null | tr -c 'A-Za-z0-9\n' _)
{ read -r wl_u wl_x </proc/uptime; } 2>/dev/null
# A subshell of its own says how it died to nobody: the output belongs to the command.
if command -v setsid >/dev/null 2>&1; then
    wl_g=setsid
    wl_sid() { ( exec setsid "$@" 2>&4 3>&- 4>&- ); }
elif command -v python3 >/dev/null 2>&1; then
    wl_g=python3
    wl_sid() { ( exec python3 -c 'import os,sys; os.setsid(); os.execvp(sys.argv[1], sys.argv[1:])' "$@" 2>&4 3>&- 4>&- ); }
elif command -v perl >/dev/null 2>&1; then
    wl_g=perl
    wl_sid() { ( exec perl -e 'use POSIX; POSIX::setsid(); exec @ARGV' -- "$@" 2>&4 3>&- 4>&- ); }
else
    wl_g=-
fi
printf '%s B %s %s %s %s\n' "$wl_m" "${wl_b:--}" "${wl_u:--}" $$ "$wl_g"

#: leader
# The command's own shell, which leads its process group. It writes pid, watcher, start time, uptime and
# boot id before it evaluates anything; what it evaluates came as a variable, a file or its input.
wl_p=
wl_q=
{ IFS= read -r wl_p </proc/$$/stat; read -r wl_q wl_x </proc/uptime; } 2>/dev/null
set -- ${wl_p##*) }
printf '%s %s %s %s %s\n' $$ $PPID "${20:--}" "${wl_q:--}" "${wl_b:--}" >"$wl_r.p" || exit 125
set --
umask $wl_um
if [ -n "${wl_k-}" ]; then
    wl_x=$wl_k
elif [ -n "$wl_t" ]; then
    wl_x=$wl_t
else
    wl_x=$(cat "$wl_r.t")
    rm -f "$wl_r.t"
fi
unset wl_w wl_k wl_t wl_r wl_b wl_p wl_q wl_um
eval "unset wl_x; $wl_x"

#: run
# wl_run FOLDER ID TEXT KIND NAME...: claims an attempt and starts it. KIND is "-", or becomes another user.
wl_run() {
    wl_d=$1
    wl_r=$1/$2
    if [ ! -d "$1" ]; then
        printf 'X %s gone\n' "$2"
        return
    fi
    # To make the file is to claim. It may still be empty when somebody else finds it, which says nothing.
    set -C
    { printf '' >"$wl_r.c"; } 2>/dev/null
    wl_x=$?
    set +C
    if [ $wl_x != 0 ] && [ -e "$wl_r.c" ]; then
        printf 'X %s claimed\n' "$2"
        return
    fi
    if [ $wl_x != 0 ] || ! { printf '%s\n' $$ >"$wl_r.c"; } 2>/dev/null; then
        printf 'X %s full\n' "$2"
        return
    fi
    wl_last=$wl_r
    {
        { wl_watch "$@"; exit 0; } 3>&2 </dev/null >>"$wl_r.o" 4>>"$wl_r.e" 2>/dev/null ||
        printf '%s N %s output\n' "$wl_m" "$2" >&2
    } >/dev/null &
}

# The watcher: waits for the command, writes its status and tells it. It is in no process group of the
# command, so it outlives a stop. Its descriptors: 1 and 4 the output files, 3 the session's stderr.
wl_watch() {
    wl_i=$2
    wl_t=$3
    wl_k=$4
    shift 4
    export wl_r wl_b wl_c wl_w wl_um
    if [ "$wl_k" != - ]; then
        export wl_k
        printf '%s\n' "$wl_t" | wl_sid $wl_h -c 'eval "$wl_w"' ${wl_h%% *} "$@"
    else
        wl_k=
        if [ ${#wl_t} -gt @ARGUMENT@ ]; then
            if ! printf '%s\n' "$wl_t" >"$wl_r.t"; then
                printf '%s N %s text\n' "$wl_m" "$wl_i" >&3
                return
            fi
            wl_t=
        fi
        export wl_t
        wl_sid $wl_h -c 'eval "$wl_w"' ${wl_h%% *} "$@"
    fi
    wl_s=$?
    # 125 is also what the leader says when it could write only a part.
    if [ ! -s "$wl_r.p" ] || { [ $wl_s = 125 ] && ! read -r wl_x <"$wl_r.p"; }; then
        printf '%s N %s record\n' "$wl_m" "$wl_i" >&3
        return
    fi
    printf '%s\n' $wl_s >"$wl_r.s" || { sleep 1; printf '%s\n' $wl_s >"$wl_r.s"; }
    if [ ! -s "$wl_r.e" ]; then
        if [ ! -s "$wl_r.o" ]; then
            printf '%s D %s %s 0\n' "$wl_m" "$wl_i" $wl_s >&3
            return
        fi
        # A few short lines on standard output alone are told with the end, ^ for each newline. Whether that
        # is all is read from the position behind it, as a read leaves out NUL bytes.
        wl_y=
        { read -r wl_x wl_y </proc/self/fdinfo/1; } 2>/dev/null
        if [ "${wl_y:-9999}" -le 400 ] && [ ! -s "$wl_r.o.k" ]; then
            wl_v=
            {
                while IFS= read -r wl_l; do
                    case $wl_l in
                    *^*) break ;;
                    esac
                    wl_v=$wl_v$wl_l^
                done
                read -r wl_x wl_z </proc/self/fdinfo/5
            } 5<"$wl_r.o" <&5
            if [ -z "$wl_l" ] && [ "$wl_z" = $wl_y ] && [ ${#wl_v} = $wl_y ]; then
                printf '%s D %s %s = %s\n' "$wl_m" "$wl_i" $wl_s "$wl_v" >&3
                return
            fi
        fi
    fi
    wl_y=-
    wl_z=-
    { read -r wl_x wl_y </proc/self/fdinfo/1; read -r wl_x wl_z </proc/self/fdinfo/4; } 2>/dev/null
    printf '%s D %s %s %s %s\n' "$wl_m" "$wl_i" $wl_s "$wl_y" "$wl_z" >&3
}

#: guard
# wl_bye: the session ends. Where commands go on, somebody must bound what they print. A forgotten record has
# no output file; the newest start may have none yet.
wl_bye() {
    [ -n "$wl_d" ] || return 0
    for wl_f in "$wl_d"/*.o ${wl_last:+"$wl_last.o"}; do
        if [ ! -e "${wl_f%.o}.s" ] && { [ -e "$wl_f" ] || [ "${wl_f%.o}" = "$wl_last" ]; }; then
            wl_guard "$wl_d"
            return
        fi
    done
}

# wl_guard FOLDER: sees to it that one process bounds what the commands of a folder print. It outlives the
# session while commands run. The file "guard" says which one it is.
wl_guard() {
    wl_me=
    if { read -r wl_me wl_v <"$1/guard"; } 2>/dev/null; then
        if [ -r /proc/self/stat ]; then
            wl_look $wl_me
            [ "$wl_at" != "$wl_v" ] || return 0
        else
            ! kill -0 $wl_me 2>/dev/null || return 0
        fi
    fi
    {
        exec </dev/null >/dev/null 2>&1
        trap '' HUP INT
        wl_look self
        wl_me=${wl_l%% *}
        [ -n "$wl_me" ] || wl_me=$($wl_h -c 'echo $PPID')
        printf '%s %s\n' $wl_me "${wl_at:--}" >"$1/guard"
        printf '' >"$1/cutting"
        wl_tries=0
        wl_t=0
        wl_look $$
        wl_s0=$wl_at
        while [ -d "$1" ]; do
            if [ $wl_t -lt 10 ]; then sleep 0.2 || sleep 1; else sleep 1; fi
            wl_x=
            read -r wl_x wl_y <"$1/guard"
            [ "${wl_x:-$wl_me}" = $wl_me ] || exit 0
            wl_l0=
            wl_t=$((wl_t+1))
            for wl_p in "$1"/*.p; do
                wl_r=${wl_p%.p}
                [ -e "$wl_p" ] && [ ! -e "$wl_r.s" ] || continue
                { read -r wl_pid wl_wp wl_st wl_up wl_bt <"$wl_p" && wl_alive; } || continue
                wl_l0=y
                wl_cut "$wl_r.o" 1
                wl_cut "$wl_r.e" 4
            done
            [ -n "$wl_l0" ] || [ $wl_t -lt 10 ] || wl_here || exit 0
        done
    } &
}

# wl_here: whether the session is still there; its number alone may be somebody else's by now.
wl_here() {
    if [ -r /proc/self/stat ]; then
        wl_look $$
        [ -n "$wl_at" ] && [ "$wl_at" = "$wl_s0" ]
    else
        kill -0 $$
    fi
}

# wl_big FOLDER SIZE: an output of this size was seen of a command that runs.
wl_big() {
    [ $2 -le $((@BOUND@/16)) ] || wl_guard "$1"
}

# wl_cut FILE DESCRIPTOR: empties a file that passed the bound and notes how much that was. The watcher's
# own position tells what was printed between the look and the cut, as long as nothing was printed since.
# A session that promised bytes of a file says so in "reading", and finds "cutting" where it is too late;
# one that says so for too long hangs, and is not waited for.
wl_cut() {
    [ -s "$1" ] || return 0
    wl_y=
    if [ ! -e "$1.k" ] && [ "/proc/$wl_wp/fd/$2" -ef "$1" ]; then read -r wl_x wl_y </proc/$wl_wp/fdinfo/$2; fi
    [ ${wl_y:-0} != 0 ] || wl_y=$(($(wc -c <"$1")))
    [ $wl_y -le $((@BOUND@/16)) ] || wl_t=0
    [ $wl_y -gt @BOUND@ ] || return 0
    wl_f=${1%/*}
    printf c >"$wl_f/cutting"
    wl_tries=$((wl_tries+1))
    if [ ! -s "$wl_f/reading" ] || [ $wl_tries -gt 25 ]; then
        wl_tries=0
        wl_y=$(($(wc -c <"$1")))
        printf '' >"$1"
        wl_z=0
        { read -r wl_x wl_z </proc/$wl_wp/fdinfo/$2; }
        [ "${wl_z:-0}" -le $wl_y ] || wl_y=$wl_z
        printf '%s\n' $wl_y >>"$1.k"
    fi
    printf '' >"$wl_f/cutting"
}

# wl_look PID: state and start time of a process into wl_is and wl_at, "" where it is gone.
wl_look() {
    wl_l=
    { IFS= read -r wl_l </proc/$1/stat; } 2>/dev/null
    set -- ${wl_l##*) }
    wl_is=${1-}
    wl_at=${20-}
}

# wl_alive: whether the command of the record that was read, or its watcher, is there and the one recorded.
wl_alive() {
    [ "$wl_bt" = "${wl_b:--}" ] || return 1
    if [ -r /proc/self/stat ]; then
        wl_look $wl_pid
        case $wl_is in
        ''|Z|X|x) ;;
        *) [ "$wl_at" != "$wl_st" ] || return 0 ;;
        esac
        [ "/proc/$wl_wp/fd/1" -ef "$wl_r.o" ]
    else
        case $(ps -o stat= -p "$wl_pid" 2>/dev/null) in
        ''|Z*|X*) return 1 ;;
        esac
    fi
}

#: get
# wl_get RECORD ID STDOUT STDERR HINT HINT: output from these offsets, and the record.
wl_get() {
    wl_r=$1
    wl_cl=n
    wl_s=-
    wl_pid=-
    wl_up=-
    wl_bt=
    wl_al=n
    wl_now=-
    wl_late=
    wl_x=
    if [ -e "$wl_r.c" ]; then
        wl_cl=y
        { IFS= read -r wl_x <"$wl_r.c"; } 2>/dev/null
        [ "$wl_x" != v ] || wl_cl=v
    elif [ ! -d "${1%/*}" ]; then
        wl_cl=gone
    fi
    if { read -r wl_pid wl_wp wl_st wl_up wl_bt <"$wl_r.p"; } 2>/dev/null; then
        wl_alive && wl_al=y
    else
        wl_pid=-
        wl_bt=
    fi
    # After the look at the process: one that ended between both has its status here. Without its newline a
    # record was not written whole.
    { IFS= read -r wl_s <"$wl_r.s" || { [ -e "$wl_r.s" ] && wl_s=bad; } || wl_s=-; } 2>/dev/null
    wl_out "$2" o "$3" 1 "$5"
    wl_out "$2" e "$4" 4 "$6"
    { read -r wl_now wl_x </proc/uptime; } 2>/dev/null
    [ -z "$wl_bt" ] || [ "$wl_bt" = "${wl_b:--}" ] || wl_al=boot
    # The end is told with the last of the output, not before it.
    [ -z "$wl_late" ] || { wl_s=-; wl_al=y; }
    printf 'G %s %s %s %s %s %s %s\n' "$2" $wl_cl "${wl_s:-bad}" $wl_al "$wl_pid" "$wl_up" "$wl_now"
}

# wl_out ID STREAM OFFSET DESCRIPTOR HINT: what a stream printed beyond an offset. How much there is tell, in
# this order: the hint, the watcher's own position in its file, wc. A command may open its output anew (by
# /dev/stdout): then the position lags behind, and a file that it emptied is shorter than what was read of it.
wl_out() {
    wl_f=$wl_r.$2
    [ -s "$wl_f" ] || return 0
    # Sizes must hold, and what is promised must be there: a guard does not cut meanwhile.
    wl_z=${wl_r%/*}
    wl_hold
    if [ -s "$wl_z/cutting" ]; then
        wl_late=y
        wl_guard "$wl_z"
    else
        wl_print "$@"
    fi
    [ ! -e "$wl_z/guard" ] || printf '' >"$wl_z/reading"
}

wl_hold() {
    [ ! -e "$wl_z/guard" ] || printf r >"$wl_z/reading"
}

# wl_gone: how much was cut from the front of the file, into wl_k.
wl_gone() {
    wl_k=0
    [ ! -s "$wl_f.k" ] || while read -r wl_x; do wl_k=$((wl_k+wl_x)); done <"$wl_f.k"
}

wl_print() {
    wl_gone
    wl_o=$3
    wl_y=0
    if [ -s "$wl_f.k" ]; then
        [ "$wl_o" -ge $wl_k ] || wl_o=$wl_k
    elif [ "$5" = '?' ]; then
        :
    elif [ "$5" != - ]; then
        wl_y=$5
    elif [ $wl_al = y ] && [ "/proc/$wl_wp/fd/$4" -ef "$wl_f" ]; then
        { read -r wl_x wl_y </proc/$wl_wp/fdinfo/$4; } 2>/dev/null
    fi
    wl_a=$((wl_o-wl_k))
    wl_e=
    if [ $wl_y = 0 ] || [ $wl_y -lt $wl_a ] ||
    { [ "$wl_s" != - ] && { [ $wl_a -gt 0 ] || [ $wl_y -gt @SMALL@ ]; }; }; then
        wl_y=$(($(wc -c <"$wl_f")))
        wl_e=y
    fi
    if [ "$wl_s" = - ]; then
        wl_big "$wl_z" $wl_y
        wl_hold
    fi
    [ $wl_y != $wl_a ] || return 0
    if [ $wl_a = 0 ] && [ $wl_y -le @SMALL@ ] && [ -r /proc/self/fdinfo/0 ]; then
        wl_v=
        {
            while IFS= read -r wl_l; do wl_v=$wl_v$wl_l$wl_n; done
            wl_v=$wl_v$wl_l
            read -r wl_x wl_y </proc/self/fdinfo/5
        } 5<"$wl_f" <&5
        # A read leaves out NUL bytes: then there is less than the position says.
        if [ "$wl_y" = ${#wl_v} ]; then
            printf 'O %s %s %s %s\n%s%s\n' "$1" $2 $wl_o $wl_y "$wl_v" "$wl_m"
            return
        fi
        wl_e=
    fi
    [ -n "$wl_e" ] || wl_y=$(($(wc -c <"$wl_f")))
    if [ $wl_y -lt $wl_a ]; then
        # Cut by a guard that did not wait any longer, or emptied by the command itself.
        [ ! -s "$wl_z/cutting" ] || { wl_late=y; return; }
        wl_v=$wl_k
        wl_gone
        [ $wl_v = $wl_k ] || { wl_late=y; return; }
        printf '%s\n' $wl_a >>"$wl_f.k"
        wl_a=0
    fi
    wl_y=$((wl_y-wl_a))
    [ $wl_y -le @CHUNK@ ] || wl_y=@CHUNK@
    if [ $wl_y -gt 0 ]; then
        printf 'O %s %s %s %s\n' "$1" $2 $wl_o $wl_y
        tail -c +$((wl_a+1)) "$wl_f" 2>/dev/null | head -c $wl_y
        printf '%s\n' "$wl_m"
    fi
}

#: folder
# wl_new NAME BASE: makes the run's folder below a base that is ours, private, and no link; names the folders
# of other runs.
wl_new() {
    wl_f=$2
    case $wl_f in
    */.cache/windlass) [ -d "${wl_f%/*}" ] || mkdir -m 700 "${wl_f%/*}" 2>/dev/null ;;
    esac
    [ -d "$wl_f" ] || [ -L "$wl_f" ] || mkdir -m 700 "$wl_f" 2>/dev/null
    wl_x=
    case $wl_f in
    /*) ;;
    *) wl_x='no home folder is known;' ;;
    esac
    if [ -n "$wl_x" ]; then
        :
    elif [ -L "$wl_f" ] || [ ! -d "$wl_f" ] || [ ! -O "$wl_f" ]; then
        wl_x="$wl_f is not a folder of ours;"
    else
        case $(ls -ld "$wl_f" 2>/dev/null) in
        d???------*) wl_x=$(mkdir -m 700 "$wl_f/$1" 2>&1) ;;
        *) wl_x="$wl_f is open to others;" ;;
        esac
    fi
    if [ -n "$wl_x" ]; then
        printf 'F - %s\n' "$wl_x"
    else
        printf 'F %s\n' "$wl_f/$1"
        wl_y=0
        for wl_l in "$wl_f"/run-*; do
            case $wl_l in
            "$wl_f/${1%.*}".*) continue ;;
            esac
            [ -d "$wl_l" ] || continue
            wl_y=$((wl_y+1))
            [ $wl_y -le 1000 ] || break
            printf 'N %s\n' "$wl_l"
        done
    fi
    printf 'C\n'
}

#: void
# wl_void RECORD ID: writes the claim of an attempt, so that a start that comes late does nothing.
wl_void() {
    if [ ! -d "${1%/*}" ]; then
        printf 'V %s gone\n' "$2"
        return
    fi
    set -C
    if { printf '' >"$1.c"; } 2>/dev/null; then wl_x=void; else wl_x=claimed; fi
    set +C
    # On a full disk the file alone must do: whoever finds it starts nothing.
    if [ $wl_x = void ]; then printf 'v\n' >"$1.c"; elif [ ! -e "$1.c" ]; then wl_x=full; fi 2>/dev/null
    printf 'V %s %s\n' "$2" $wl_x
}

#: stop
# wl_kill RECORD ID SIGNAL SUDO...: signals the group ("-" only looks) and tells who is left of it.
wl_kill() {
    wl_r=$1
    wl_i=$2
    wl_k=$3
    shift 3
    wl_o=
    if ! { read -r wl_pid wl_wp wl_st wl_up wl_bt <"$wl_r.p"; } 2>/dev/null; then
        printf 'K %s nopid\n' "$wl_i"
        return
    fi
    if [ "$wl_bt" = "${wl_b:--}" ] && wl_ours; then
        if [ $wl_k = - ]; then
            :
        elif [ $# = 0 ]; then
            kill -$wl_k -$wl_pid 2>/dev/null
        else
            # Whoever asks for it may take its time: the session goes on.
            "$@" $wl_h -c "kill -$wl_k -$wl_pid" </dev/null >/dev/null 2>&1 &
        fi
        wl_left
    fi
    printf 'K %s%s\n' "$wl_i" "$wl_o"
}

# Whether the group is still the one that was started: a leader of another start is somebody else's.
wl_ours() {
    [ -r /proc/self/stat ] || return 0
    wl_look $wl_pid
    [ -z "$wl_at" ] || [ "$wl_at" = "$wl_st" ]
}

# Gone is read from the process table, never from kill's own status: no member that is not a zombie.
wl_left() {
    if [ -r /proc/self/stat ]; then
        for wl_f in /proc/[0-9]*/stat; do
            wl_l=
            { IFS= read -r wl_l <$wl_f; } 2>/dev/null
            # A name with a newline in it hides the rest of the line.
            case $wl_l in
            ''|*') '*) ;;
            *) wl_l=$(cat $wl_f 2>/dev/null) ;;
            esac
            set -- ${wl_l##*) }
            [ "${3-}" = "$wl_pid" ] || continue
            case $1 in
            Z|X|x) continue ;;
            esac
            wl_f=${wl_f#/proc/}
            wl_o="$wl_o ${wl_f%/stat}"
        done
    elif wl_l=$(ps -eo pid=,pgid=,stat= 2>/dev/null); then
        set -- $wl_l
        while [ $# -ge 3 ]; do
            if [ "$2" = "$wl_pid" ]; then
                case $3 in
                Z*|X*) ;;
                *) wl_o="$wl_o $1" ;;
                esac
            fi
            shift 3
        done
    else
        wl_o=' ?'
    fi
}

#: clean
# wl_forget RECORD...: what an attempt whose outcome is durable left may go; its claim stays, but for that of
# a passing command, whose name nobody uses again.
wl_forget() {
    for wl_f do
        [ "$wl_f" != "$wl_last" ] || wl_last=
        case ${wl_f##*/} in
        *-*) set -- "$@" "$wl_f.c" ;;
        esac
        set -- "$@" "$wl_f.p" "$wl_f.o" "$wl_f.e" "$wl_f.s" "$wl_f.t" "$wl_f.o.k" "$wl_f.e.k"
        shift
    done
    rm -f -- "$@" 2>/dev/null
}

# wl_sweep FOLDER...: removes folders of runs that are over.
wl_sweep() {
    rm -rf -- "$@" 2>/dev/null
    printf 'C\n'
}

#: sudo
# wl_may SUDO...: whether the shell may be run by these words; their own words where not.
wl_may() {
    wl_l=$("$@" $wl_h -c : 2>&1 </dev/null)
    wl_x=$?
    printf 'S %s ' $wl_x
    printf '%s' "$wl_l" | tr '\n' ' '
    printf '\n'
}

#: logout
# wl_logout: whether a login manager ends what a user leaves running. Where it does and the user lingers,
# commands are started in a scope of the user's own manager.
wl_logout() {
    wl_x=no
    if [ -d ${wl_systemd:=/run/systemd/system} ]; then
        for wl_f in ${wl_logind:=/etc/systemd/logind.conf /usr/lib/systemd/logind.conf.d/*.conf /etc/systemd/logind.conf.d/*.conf}; do
            [ -r "$wl_f" ] || continue
            while read -r wl_l; do
                case $wl_l in
                KillUserProcesses=[yYtT1]*|KillUserProcesses=[oO][nN]*) wl_x=$wl_f ;;
                KillUserProcesses=*) wl_x=no ;;
                esac
            done <"$wl_f"
        done
    fi
    if [ "$wl_x" = no ] || [ "$(id -u)" = 0 ]; then
        printf 'S 0\n'
        return
    fi
    if [ -e "${wl_linger:=/var/lib/systemd/linger}/$(id -un)" ] && [ $wl_g = setsid ] &&
    systemd-run --user --scope --quiet true </dev/null >/dev/null 2>&1; then
        wl_sid() { ( exec systemd-run --user --scope --quiet setsid "$@" 2>&4 3>&- 4>&- ); }
        printf 'S 0\n'
    else
        printf 'S 1 %s\n' "$wl_x"
    fi
}
