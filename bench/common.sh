# SPDX-License-Identifier: BSD-3-Clause
# Shared by the benchmarks: servers and their CPU and memory, medians, the machine's name. Sourced, not run.
#
# A benchmark calls begin_work first: it makes a private directory, $dir, and sees to it that every server
# started by launch() is ended and the directory removed, on every way out.

FRESHET_BIN=${FRESHET_BIN:-build/release/freshet}
ROUNDS=${ROUNDS:-3}
declare -A pid port samples

begin_work() {
    dir=$(mktemp -d "${TMPDIR:-/tmp}/freshet-bench-XXXXXX")
    trap 'end_work' EXIT
    trap 'exit 130' INT TERM HUP
}

end_work() {
    local code=$?
    trap '' INT TERM HUP
    stop_all
    if declare -F end_database >/dev/null; then
        end_database
    fi
    rm -rf "$dir"
    exit "$code"
}

# --- programs ----------------------------------------------------------------------------------------

# Builds the drivers written in C, in freshet's build directory; `$drivers` is where they are.
drivers=$(dirname "$FRESHET_BIN")/bench
build_drivers() {
    ninja -C "$(dirname "$FRESHET_BIN")" "${@/#/bench/}" >"$dir/ninja.log" ||
        { cat "$dir/ninja.log" >&2; return 1; }
}

# NAME, command...: starts a server that ends with this script, and waits for its port, ${port[NAME]}.
launch() {
    local name=$1
    shift
    setpriv --pdeathsig TERM -- "$@" >"$dir/$name.log" 2>&1 &
    pid[$name]=$!
    if [ -n "${port[$name]:-}" ]; then
        wait_port "${port[$name]}" "${pid[$name]}" || { tail -n 20 "$dir/$name.log" >&2; return 1; }
    fi
}

stop() {
    if [ -n "${pid[$1]:-}" ]; then
        kill "${pid[$1]}" 2>/dev/null || true
        wait "${pid[$1]}" 2>/dev/null || true
        unset "pid[$1]"
    fi
}

stop_all() {
    local name
    for name in "${!pid[@]}"; do
        stop "$name"
    done
}

# Waits until a TCP port answers, by connecting.
wait_port() {
    local port=$1 pid=$2
    until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        kill -0 "$pid" 2>/dev/null || { echo "the server on port $port did not start" >&2; return 1; }
    done
}

free_port() {
    /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# --- what they use -----------------------------------------------------------------------------------

# A process and all below it.
tree() {
    local child
    echo "$1"
    for child in $(pgrep -P "$1"); do
        tree "$child"
    done
}

# On-CPU nanoseconds of all threads of processes, those that ended not counted.
cpu_ns() {
    local one
    for one in "$@"; do
        cat /proc/"$one"/task/*/schedstat 2>/dev/null || true
    done | awk '{ s += $1 } END { printf "%.0f\n", s }'
}

tree_cpu_ns() {
    # shellcheck disable=SC2046  # one word each
    cpu_ns $(tree "$1")
}

rss_kb() {
    awk '/^VmRSS/ { print $2 }' /proc/"$1"/status
}

# Proportional set size of processes: memory that they share counts once.
pss_kb() {
    local one
    for one in "$@"; do
        cat /proc/"$one"/smaps_rollup 2>/dev/null || true
    done | awk '/^Pss:/ { s += $2 } END { print s + 0 }'
}

# Where a server's CPU goes, as lines of Markdown: samples of its program counter for some seconds. Needs a load.
# PID, seconds. Says so when this machine does not allow it.
profile() {
    if ! perf record -q -e cpu-clock -F 4999 -p "$1" -o "$dir/perf" -- sleep "$2" >/dev/null 2>&1; then
        echo 'not measured: `perf record` is not allowed here'
        return 0
    fi
    perf report -i "$dir/perf" --sort dso --stdio 2>/dev/null | awk '
        /^ *[0-9.]+%/ { v = $1 + 0; if ($2 ~ /kernel|vdso/) k += v; else if ($2 == "freshet") f += v; else l += v }
        END { printf "kernel %.0f %%, freshet %.0f %%, libraries %.0f %%", k, f, l }'
    perf report -i "$dir/perf" --sort dso,sym --stdio 2>/dev/null | awk '
        /^ *[0-9.]+%/ && $2 !~ /kernel/ && n < 7 { printf "%s `%s` %s", n++ ? "," : "; the most of what is not kernel:", $4, $1 }'
    echo
}

# --- figures -----------------------------------------------------------------------------------------

# Median of the arguments, and their range: "8.81 [8.50-9.10]".
median_range() {
    printf '%s\n' "$@" | sort -g | awk -v decimals="${decimals:-2}" '{ a[NR] = $1 } END {
        m = NR % 2 ? a[(NR + 1) / 2] : (a[NR / 2] + a[NR / 2 + 1]) / 2
        f = "%." decimals "f"
        printf f " [" f "-" f "]\n", m, a[1], a[NR] }'
}

median() {
    median_range "$@" | cut -d' ' -f1
}

# What was collected under a name: "8.81 [8.50-9.10]", or a dash.
figure() {
    if [ -n "${samples[$1]:-}" ]; then
        # shellcheck disable=SC2086  # one word each
        median_range ${samples[$1]}
    else
        echo "-"
    fi
}

ratio() { # of the medians of two names
    awk -v a="$(figure "$1")" -v b="$(figure "$2")" 'BEGIN { printf "%.2f\n", a / b }'
}

calc() { # an expression of awk
    awk "BEGIN { printf \"%.3f\\n\", $1 }"
}

machine() {
    printf '%s, %s cores, Linux %s' \
        "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)" "$(nproc)" "$(uname -r)"
}

load_at_start=$(cut -d' ' -f1 /proc/loadavg)
# The first lines of every results file: how it came about. $1: the command.
said_how() {
    echo "Made by \`$1\`: $(machine), other load on the machine at the start: $load_at_start."
    echo "Medians of $ROUNDS rounds, with the range from the lowest to the highest in brackets: that is the noise."
}

comma() { # 12345 -> 12,345
    echo "$1" | sed ':a; s/\([0-9]\)\([0-9]\{3\}\)\($\|,\)/\1,\2\3/; ta'
}
