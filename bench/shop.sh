# SPDX-License-Identifier: BSD-3-Clause
# A private PostgreSQL with the example shop, for the benchmarks that need one. Sourced after common.sh.
#
#   begin_database      starts the cluster; $super is the superuser's connection string
#   load_shop DAYS      makes the database "shop" with that many days of sales
#   policy_of DATABASE  the head of a policy: listeners on free ports, the database; to be completed
#   start_freshet       runs setup-sql for $dir/freshet.yaml, then the daemon; sets $http, $resp and $admin

cluster=bench-$$
super=""

begin_database() {
    tools/pg start "$cluster" $$ >"$dir/dsn"
    super=$(cut -d' ' -f1,2 "$dir/dsn")
    read_postmaster
}

read_postmaster() {
    postmaster=$(head -1 "$(readlink "build/pg/$cluster")/data/postmaster.pid")
}

end_database() {
    if [ -L "build/pg/$cluster" ]; then
        tools/pg stop "$cluster" || true
    fi
}

sql() { # DATABASE, options of psql
    local database=$1
    shift
    PGOPTIONS="-c client_min_messages=warning" \
        psql -qXAt -v ON_ERROR_STOP=1 -d "$super dbname=$database" "$@"
}

load_shop() {
    sql postgres -c 'CREATE DATABASE shop'
    sql shop -f examples/shop/schema.sql
    sql shop -v days="$1" -f examples/shop/generate.sql
    sql shop -c 'VACUUM ANALYZE' -c CHECKPOINT
}

policy_of() {
    cat <<Y
listen: { http: "127.0.0.1:0", resp: "127.0.0.1:0", admin: "127.0.0.1:0" }
database: { dsn: "${super/user=postgres/user=freshet} dbname=$1" }
Y
}

start_freshet() { # DATABASE
    "$FRESHET_BIN" setup-sql --dsn "$super dbname=$1" "$dir/freshet.yaml" >"$dir/setup.sql"
    sql "$1" -f "$dir/setup.sql" >/dev/null
    run_freshet
}

run_freshet() {
    local word line
    rm -f "$dir/ready"
    mkfifo "$dir/ready"
    setpriv --pdeathsig TERM -- "$FRESHET_BIN" serve --log warn "$dir/freshet.yaml" \
        >"$dir/ready" 2>"$dir/freshet.log" &
    pid[freshet]=$!
    read -r -t 30 line <"$dir/ready" || { cat "$dir/freshet.log" >&2; return 1; }
    for word in $line; do
        case $word in
        http=*) http=${word#http=} ;;
        resp=*) resp=${word#resp=} ;;
        admin=*) admin=${word#admin=} ;;
        esac
    done
}

# A figure of the running daemon by name, as `freshet stats` says it.
stat_of() {
    curl -sf "http://$admin/stats" | awk -v n="$1" '$1 == n { print $2 }'
}
