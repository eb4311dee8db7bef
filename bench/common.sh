# SPDX-License-Identifier: BSD-3-Clause
# Shared by the benchmarks: server CPU from /proc, medians, the machine's name. Sourced, not run.

# On-CPU nanoseconds of all threads of a process, those that ended not counted.
cpu_ns() {
    cat /proc/"$1"/task/*/schedstat 2>/dev/null | awk '{ s += $1 } END { printf "%.0f\n", s }'
}

rss_kb() {
    awk '/^VmRSS/ { print $2 }' /proc/"$1"/status
}

# Median of the arguments, and their range: "8.81 [8.50-9.10]".
median_range() {
    printf '%s\n' "$@" | sort -g | awk '{ a[NR] = $1 } END {
        m = NR % 2 ? a[(NR + 1) / 2] : (a[NR / 2] + a[NR / 2 + 1]) / 2
        printf "%.2f [%.2f-%.2f]\n", m, a[1], a[NR] }'
}

median() {
    median_range "$@" | cut -d' ' -f1
}

machine() {
    printf '%s, %s cores, Linux %s, load %s at the start' \
        "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)" "$(nproc)" "$(uname -r)" \
        "$(cut -d' ' -f1 /proc/loadavg)"
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
