/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pool against a real server: the two shapes, every way a job can end, and that the connection
 * is clean afterwards. Each case submits jobs and runs the loop until their answers are there.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "cluster.h"
#include "pg/pg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

struct asked {
    struct pg_job job;
    struct pg_statement statement;
    const char *params[4];
    bool answered;
    uint32_t sendings;
    /* copied from the answer */
    enum err err;
    int rows;
    char first[128]; /* row 0, column 0 */
    char snapshot[128];
    char sqlstate[6];
    char message[256];
    char detail[256];
    uint32_t relations[16];
    uint32_t relation_count;
    uint64_t wal_lsn;
    bool maybe_committed;
};

static struct loop *loop;
static struct pg_pool *pool;
static uint32_t pending;
static struct asked *awaited; /* its answer stops the loop; NULL: the last one's does */

static void copy_text(char *to, size_t size, const char *from)
{
    (void)snprintf(to, size, "%s", from != NULL ? from : "");
}

static void on_done(struct pg_job *job, const struct pg_answer *a)
{
    struct asked *q = container_of(job, struct asked, job);
    assert_false(q->answered);
    q->answered = true;
    q->err = a->err;
    if (a->rows != NULL) {
        q->rows = PQntuples(a->rows);
        copy_text(q->first, sizeof(q->first), q->rows > 0 ? PQgetvalue(a->rows, 0, 0) : "");
    }
    (void)snprintf(q->snapshot, sizeof(q->snapshot), "%.*s", (int)a->snapshot.len, a->snapshot.ptr);
    copy_text(q->sqlstate, sizeof(q->sqlstate), a->sqlstate);
    copy_text(q->message, sizeof(q->message), a->message);
    copy_text(q->detail, sizeof(q->detail), a->detail);
    q->relation_count = a->relation_count;
    for (uint32_t i = 0; i < a->relation_count && i < array_len(q->relations); i++) {
        q->relations[i] = a->relations[i];
    }
    q->wal_lsn = a->wal_lsn;
    q->maybe_committed = a->maybe_committed;
    pending--;
    if (awaited != NULL ? q == awaited : pending == 0) {
        loop_stop(loop);
    }
}

static void on_sending(struct pg_job *job)
{
    container_of(job, struct asked, job)->sendings++;
}

static void submit(struct asked *q, enum pg_shape shape, uint32_t timeout_ms, const char *sql)
{
    static uint64_t ids = 1;
    if (q->statement.sql == NULL) {
        q->statement = (struct pg_statement){.id = ids++, .sql = sql};
    }
    q->answered = false;
    q->statement.param_count = q->params[0] != NULL ? 1 : 0;
    q->job = (struct pg_job){.statement = &q->statement,
                             .shape = shape,
                             .params = q->params,
                             .timeout_ms = timeout_ms,
                             .done = on_done,
                             .sending = on_sending};
    pending++;
    pg_submit(pool, &q->job);
    assert_false(q->answered);
}

static void ask(struct asked *q, enum pg_shape shape, const char *sql)
{
    submit(q, shape, 5000, sql);
    awaited = q;
    loop_run(loop);
    awaited = NULL;
    assert_true(q->answered);
}

static void open_pool(uint32_t size, uint32_t queue_max, const char *dsn)
{
    struct pg_pool_options options = {.dsn = dsn,
                                      .size = size,
                                      .queue_max = queue_max,
                                      .connect_timeout_ms = 5000,
                                      .application_name = "it's a test"};
    pool = pg_pool_create(loop, &options);
}

static int setup(void **state)
{
    loop = loop_create();
    open_pool(1, 100, cluster_dsn);
    return 0;
}

static int teardown(void **state)
{
    pg_pool_destroy(&pool);
    loop_destroy(&loop);
    return 0;
}

static uint32_t oid_of(const char *name)
{
    struct asked q = {.params = {name}};
    ask(&q, PG_READ, "select $1::regclass::oid");
    return (uint32_t)strtoul(q.first, NULL, 10);
}

static void read_tells_rows_snapshot_relations(void **state)
{
    struct asked q = {.params = {"2"}};
    ask(&q, PG_READ, "select v from thing_view where id = $1 and by_function() > 0");
    assert_int_equal(q.err, ERR_OK);
    assert_string_equal(q.first, "two");
    assert_non_null(strchr(q.snapshot, ':'));
    assert_int_equal(q.sendings, 1);
    uint32_t thing = oid_of("thing");
    uint32_t hidden = oid_of("hidden");
    bool saw_thing = false;
    bool saw_hidden = false;
    for (uint32_t i = 0; i < q.relation_count; i++) {
        assert_true(q.relations[i] >= 16384);
        saw_thing = saw_thing || q.relations[i] == thing;
        saw_hidden = saw_hidden || q.relations[i] == hidden;
    }
    assert_true(saw_thing);
    assert_true(saw_hidden); /* read by dynamic SQL inside the function */
}

static void write_tells_position(void **state)
{
    struct asked w = {.params = {"written"}};
    ask(&w, PG_WRITE, "insert into thing(v) values ($1) returning id");
    assert_int_equal(w.err, ERR_OK);
    assert_int_equal(w.rows, 1);
    assert_true(w.wal_lsn > 0);
    struct asked r = {0};
    ask(&r, PG_READ, "select count(*) from thing where v = 'written'");
    assert_string_equal(r.first, "1");
    /* The same statement again, now prepared. */
    uint64_t before = w.wal_lsn;
    ask(&w, PG_WRITE, NULL);
    assert_int_equal(w.err, ERR_OK);
    assert_true(w.wal_lsn > before);
}

static void read_cannot_write(void **state)
{
    struct asked q = {0};
    ask(&q, PG_READ, "insert into thing(v) values ('never') returning id");
    assert_int_equal(q.err, ERR_DATABASE);
    assert_string_equal(q.sqlstate, "25006");
}

static void errors_leave_the_connection_clean(void **state)
{
    struct asked pid = {0};
    ask(&pid, PG_READ, "select pg_backend_pid()");
    char first[128];
    copy_text(first, sizeof(first), pid.first);

    static const struct {
        enum pg_shape shape;
        const char *sql;
        const char *sqlstate;
    } cases[] = {
        {PG_READ, "select 1/0", "22012"},
        {PG_WRITE, "select 1/0", "22012"},
        {PG_READ, "select nonsense from nowhere", "42P01"},
        {PG_WRITE, "insert into nowhere values (1)", "42P01"},
        {PG_WRITE, "insert into thing(id) values (1)", "23505"},
        {PG_WRITE, "insert into child(thing) values (-1)", "23503"}, /* deferred: fails at COMMIT */
        {PG_WRITE, "selec", "42601"},
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        struct asked q = {0};
        ask(&q, cases[i].shape, cases[i].sql);
        assert_int_equal(q.err, ERR_DATABASE);
        assert_string_equal(q.sqlstate, cases[i].sqlstate);
        assert_true(q.message[0] != '\0');
        assert_false(q.maybe_committed);
        ask(&pid, PG_READ, NULL);
        assert_string_equal(pid.first, first);
    }
    struct asked n = {0};
    ask(&n, PG_READ, "select count(*) from child");
    assert_string_equal(n.first, "0");
}

static void copy_is_refused(void **state)
{
    struct asked q = {0};
    ask(&q, PG_READ, "copy thing to stdout");
    assert_int_not_equal(q.err, ERR_OK);
    struct asked r = {0};
    ask(&r, PG_READ, "select 1");
    assert_string_equal(r.first, "1");
}

static void a_long_statement_times_out(void **state)
{
    struct asked q = {0};
    submit(&q, PG_READ, 50, "select pg_sleep(60)");
    loop_run(loop);
    assert_int_equal(q.err, ERR_TIMEOUT);
    assert_string_equal(q.sqlstate, "57014");
}

static void waiting_has_a_deadline_and_a_limit(void **state)
{
    pg_pool_destroy(&pool);
    open_pool(1, 1, cluster_dsn);
    struct asked slow = {0};
    struct asked late = {0};
    struct asked many = {0};
    struct asked warm = {0};
    ask(&warm, PG_READ, "select 1");
    submit(&slow, PG_READ, 500, "select pg_sleep(60)");
    submit(&late, PG_READ, 10, "select 1");
    submit(&many, PG_READ, 10, "select 1");
    loop_run(loop);
    assert_int_equal(many.err, ERR_BUSY);
    assert_int_equal(late.err, ERR_TIMEOUT);
    assert_int_equal(late.sendings, 0);
    assert_int_equal(slow.err, ERR_TIMEOUT);
}

static void a_changed_table_is_prepared_again(void **state)
{
    struct asked q = {0};
    ask(&q, PG_READ, "select * from wide");
    assert_int_equal(q.err, ERR_OK);
    cluster_sql("alter table wide add column more int");
    ask(&q, PG_READ, NULL);
    assert_int_equal(q.err, ERR_OK);
    assert_int_equal(q.sendings, 3); /* once for nothing */
}

static void losing_the_connection_is_told(void **state)
{
    struct asked r = {0};
    ask(&r, PG_READ, "select pg_terminate_backend(pg_backend_pid())");
    assert_int_equal(r.err, ERR_NO_DATABASE);
    assert_false(r.maybe_committed);
    struct asked w = {0};
    ask(&w, PG_WRITE, "select pg_terminate_backend(pg_backend_pid())");
    assert_int_equal(w.err, ERR_NO_DATABASE);
    struct asked again = {0};
    ask(&again, PG_READ, "select 1");
    assert_int_equal(again.err, ERR_OK);
}

static void a_read_survives_a_connection_that_died_idle(void **state)
{
    struct asked who = {0};
    ask(&who, PG_READ, "select pg_backend_pid()");
    char sql[192];
    (void)snprintf(sql, sizeof(sql), "select pg_terminate_backend(%s, 30000)", who.first);
    cluster_sql(sql); /* the loop does not run meanwhile, so the pool cannot know */
    struct asked r = {0};
    ask(&r, PG_READ, "select 1");
    assert_int_equal(r.err, ERR_OK);
    assert_int_equal(r.sendings, 2); /* a stamp is taken for the question that was answered */
    ask(&who, PG_READ, NULL);
    (void)snprintf(sql, sizeof(sql), "select pg_terminate_backend(%s, 30000)", who.first);
    cluster_sql(sql);
    struct asked w = {0};
    ask(&w, PG_WRITE, "select 1");
    assert_int_equal(w.err, ERR_NO_DATABASE);
    assert_int_equal(w.sendings, 1);
}

static void an_absent_database_answers_at_once(void **state)
{
    pg_pool_destroy(&pool);
    open_pool(2, 10, "host=/nowhere dbname=none");
    struct asked q = {0};
    ask(&q, PG_READ, "select 1");
    assert_int_equal(q.err, ERR_NO_DATABASE);
    assert_non_null(strstr(q.message, "/nowhere"));
    ask(&q, PG_READ, NULL); /* in the back-off */
    assert_int_equal(q.err, ERR_NO_DATABASE);
    struct pg_pool_stats stats;
    pg_pool_stats(pool, &stats);
    assert_int_equal(stats.open, 0);
    assert_non_null(stats.last_error);
    assert_int_equal(stats.errors, 2);
}

static void a_bad_dsn_answers_at_once(void **state)
{
    pg_pool_destroy(&pool);
    open_pool(1, 10, "postgresql://[broken");
    struct asked q = {0};
    ask(&q, PG_READ, "select 1");
    assert_int_equal(q.err, ERR_NO_DATABASE);
}

/* A server that takes connections and says nothing: a socket that listens. */
static int listen_and_say_nothing(char *ret_dsn, size_t size)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char folder[] = "/tmp/freshet-mute-XXXXXX";
    assert_non_null(mkdtemp(folder));
    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/.s.PGSQL.5432", folder);
    (void)snprintf(ret_dsn, size, "host=%s", folder);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 16), 0);
    return fd;
}

static void doubt_again(struct timer *t)
{
    pg_pool_doubt(pool, true);
    timer_start(loop, t, 20, doubt_again);
}

static void a_silent_server_is_not_waited_for(void **state)
{
    char dsn[128];
    struct pg_pool_stats stats;
    struct timer doubt = {0};
    int fd = listen_and_say_nothing(dsn, sizeof(dsn));
    pg_pool_destroy(&pool);
    open_pool(1, 100, dsn);
    timer_start(loop, &doubt, 20, doubt_again);
    struct asked first = {0};
    submit(&first, PG_READ, 60000, "select 1");
    loop_run(loop);
    assert_int_equal(first.err, ERR_NO_DATABASE);
    pg_pool_stats(pool, &stats);
    assert_true(stats.silent);
    /* From now on at once, in the loop's next turn: no time passes, so no timer may be what answers. */
    struct asked next = {0};
    struct asked write = {0};
    submit(&next, PG_READ, 60000, "select 1");
    submit(&write, PG_WRITE, 60000, "select 1");
    uint64_t before_ms = loop_now_ms(loop);
    loop_run(loop);
    assert_true(loop_now_ms(loop) - before_ms < 1000);
    assert_int_equal(next.err, ERR_NO_DATABASE);
    assert_int_equal(write.err, ERR_NO_DATABASE);
    assert_false(write.maybe_committed);
    timer_stop(&doubt);
    (void)close(fd);
}

/* Doubt alone changes nothing: this server answers the pool, whoever else it does not answer. */
static void a_doubted_server_that_answers_is_asked_on(void **state)
{
    struct timer doubt = {0};
    timer_start(loop, &doubt, 20, doubt_again);
    struct asked q = {0};
    for (int i = 0; i < 3; i++) {
        ask(&q, PG_READ, "select pg_sleep(0.6)");
        assert_int_equal(q.err, ERR_OK);
    }
    timer_stop(&doubt);
}

static void closing_answers_everybody(void **state)
{
    struct asked q[3] = {0};
    struct asked warm = {0};
    ask(&warm, PG_READ, "select 1");
    for (size_t i = 0; i < array_len(q); i++) {
        submit(&q[i], PG_WRITE, 5000, "select 1");
    }
    pg_pool_destroy(&pool);
    for (size_t i = 0; i < array_len(q); i++) {
        assert_true(q[i].answered);
        assert_int_equal(q[i].err, ERR_NO_DATABASE);
        assert_int_equal(q[i].maybe_committed, i == 0);
    }
    open_pool(1, 1, cluster_dsn);
}

static void large_values_go_both_ways(void **state)
{
    size_t len = 8U << 20;
    char *big = xmalloc(len + 1);
    memset(big, 'x', len);
    big[len] = '\0';
    struct asked q = {.params = {big}};
    ask(&q, PG_READ, "select length($1::text), $1::text");
    assert_int_equal(q.err, ERR_OK);
    assert_string_equal(q.first, "8388608");
    free(big);
}

static void many_jobs_share_few_connections(void **state)
{
    enum { JOBS = 60 };
    pg_pool_destroy(&pool);
    open_pool(3, JOBS, cluster_dsn);
    struct asked *q = xcalloc(JOBS, sizeof(*q));
    for (int i = 0; i < JOBS; i++) {
        submit(&q[i], i % 2 == 0 ? PG_READ : PG_WRITE, 5000, "select 7");
    }
    loop_run(loop);
    for (int i = 0; i < JOBS; i++) {
        assert_int_equal(q[i].err, ERR_OK);
        assert_string_equal(q[i].first, "7");
    }
    struct pg_pool_stats stats;
    pg_pool_stats(pool, &stats);
    assert_int_equal(stats.statements, JOBS);
    assert_in_range(stats.open, 1, 3);
    free(q);
}

int main(void)
{
    if (!cluster_start("pool")) {
        print_message("1..0 # SKIP PostgreSQL 15 cannot be started here (see tools/pg)\n");
        return 77;
    }
    cluster_sql("create table thing(id int generated by default as identity primary key, v text);"
                "insert into thing values (1, 'one'), (2, 'two');"
                "alter table thing alter id restart with 10;"
                "create view thing_view as select * from thing;"
                "create table hidden(n int); insert into hidden values (1);"
                "create function by_function() returns bigint language plpgsql stable as"
                " 'declare n bigint; begin execute ''select count(*) from hidden'' into n;"
                " return n; end';"
                "create table child(thing int references thing deferrable initially deferred);"
                "create table wide(a int)");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(read_tells_rows_snapshot_relations, setup, teardown),
        cmocka_unit_test_setup_teardown(write_tells_position, setup, teardown),
        cmocka_unit_test_setup_teardown(read_cannot_write, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_leave_the_connection_clean, setup, teardown),
        cmocka_unit_test_setup_teardown(copy_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_long_statement_times_out, setup, teardown),
        cmocka_unit_test_setup_teardown(waiting_has_a_deadline_and_a_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(a_changed_table_is_prepared_again, setup, teardown),
        cmocka_unit_test_setup_teardown(losing_the_connection_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_read_survives_a_connection_that_died_idle, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_absent_database_answers_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_bad_dsn_answers_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_silent_server_is_not_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(a_doubted_server_that_answers_is_asked_on, setup, teardown),
        cmocka_unit_test_setup_teardown(closing_answers_everybody, setup, teardown),
        cmocka_unit_test_setup_teardown(large_values_go_both_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(many_jobs_share_few_connections, setup, teardown),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)cluster_verb("stop");
    return failed;
}
