/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * users: people who work with the example shop, each with a connection of their own.
 *
 *     users ADDRESS USERS SECONDS THINK [SEED]
 *
 * First every route is asked a few times by one user: what the first one of the day meets. Then USERS of
 * them work for SECONDS, with THINK ms between two requests of one user, on average.
 *
 * A user thinks, asks, and waits for the answer: a random pause (exponential, so that users do not march
 * in step), a route by its weight, parameters as people choose them (their own business, this month, a
 * few products more often than others). So nobody waits in line and the times are those of answers, not of
 * a saturated machine. A time is from before the request is sent until the last byte has come.
 *
 * Output, one line for each route and kind of answer, times in microseconds:
 *
 *     ROUTE KIND COUNT P50 P95 P99 MAX        KIND: hot (a hit), cold (the database was asked), write
 *     = NAME VALUE                            totals
 *
 * Threads: each user is one; what it measured is read after it has ended.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "verify/wire.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { COLD_ROUNDS = 6, BUSINESSES = 3, SALE_LINES_MAX = 4, PATH_MAX_LEN = 160 };

enum kind { HOT, COLD, WRITE, KINDS };
static const char *const kind_names[] = {"hot", "cold", "write"};

struct times {
    uint32_t *us;
    size_t count;
    size_t cap;
};

struct user {
    pthread_t thread;
    const char *address;
    uint64_t random;
    uint32_t business;   /* 0: the owner, who looks at all of them */
    struct times *times; /* [route][kind] */
    uint64_t refused;    /* sales that the database refused: not enough stock */
    uint64_t failed;     /* answers with 5xx */
    uint64_t until_us;
    double think_us;
};

/* wire.h reports failures to its checker; here each one ends the measurement. */
void run_fail(struct run *r, const char *fmt, ...)
{
    (void)r;
    va_list args;
    va_start(args, fmt);
    (void)fputs("users: ", stderr);
    (void)vfprintf(stderr, fmt, args);
    (void)fputc('\n', stderr);
    va_end(args);
    exit(1);
}

/* --- choosing ------------------------------------------------------------------------------------- */

/* 0 <= draw < 1; xorshift64*. */
static double draw(struct user *u)
{
    u->random ^= u->random >> 12;
    u->random ^= u->random << 25;
    u->random ^= u->random >> 27;
    return (double)((u->random * 0x2545f4914f6cdd1dU) >> 11) / 9007199254740992.0;
}

static uint32_t pick(struct user *u, uint32_t first, uint32_t last)
{
    return first + (uint32_t)(draw(u) * (last - first + 1));
}

/* Small numbers more often. */
static uint32_t pick_popular(struct user *u, uint32_t first, uint32_t last)
{
    double d = draw(u);
    return first + (uint32_t)(d * d * (last - first + 1));
}

/* What generate.sql put there, by business. Services come before what has stock. */
static const struct {
    uint32_t first_product, first_stocked, last_product;
    uint32_t first_customer, last_customer;
} assortment[BUSINESSES + 1] = {
    [1] = {1, 1, 40, 1, 80},
    [2] = {41, 91, 140, 81, 140},
    [3] = {141, 141, 500, 141, 200},
};

static const char *const categories[BUSINESSES + 1][4] = {
    [1] = {"refill", "bottled", "containers", "equipment"},
    [2] = {"wash", "dry%20clean", "detergents", "supplies"},
    [3] = {"staples", "kitchen", "drinks", "household"},
};

static const char *const words[BUSINESSES + 1][4] = {
    [1] = {"refill", "bottle", "gallon", "pump"},
    [2] = {"wash", "bag", "bleach", "fold"},
    [3] = {"rice", "milk", "soap", "cola"},
};

static uint32_t business_of(struct user *u)
{
    return u->business != 0 ? u->business : pick(u, 1, BUSINESSES);
}

static uint32_t product_of(struct user *u, uint32_t business)
{
    return pick_popular(u, assortment[business].first_product, assortment[business].last_product);
}

/* --- the routes ----------------------------------------------------------------------------------- */

typedef void path_fn(struct user *u, char path[PATH_MAX_LEN]);

#define BY_BUSINESS(name, text)                                                                    \
    static void name(struct user *u, char path[PATH_MAX_LEN])                                      \
    {                                                                                              \
        (void)snprintf(path, PATH_MAX_LEN, text "?business_id=%u", business_of(u));                \
    }
BY_BUSINESS(customers, "/api/customers")
BY_BUSINESS(inventory, "/api/inventory")
BY_BUSINESS(low_stock, "/api/low-stock")
BY_BUSINESS(daily_sales, "/api/reports/daily-sales")
BY_BUSINESS(revenue, "/api/reports/revenue")
BY_BUSINESS(sales_by_product, "/api/reports/sales-by-product")
BY_BUSINESS(inventory_report, "/api/reports/inventory")
BY_BUSINESS(finance, "/api/finance/summary")

/* The whole list, one category of it, or a search. */
static void products(struct user *u, char path[PATH_MAX_LEN])
{
    uint32_t business = business_of(u);
    double how = draw(u);
    if (how < 0.6) {
        (void)snprintf(path, PATH_MAX_LEN, "/api/products?business_id=%u", business);
    } else if (how < 0.85) {
        (void)snprintf(path, PATH_MAX_LEN, "/api/products?business_id=%u&category=%s", business,
                       categories[business][pick(u, 0, 3)]);
    } else {
        (void)snprintf(path, PATH_MAX_LEN, "/api/products?business_id=%u&q=%s", business,
                       words[business][pick(u, 0, 3)]);
    }
}

static void product(struct user *u, char path[PATH_MAX_LEN])
{
    (void)snprintf(path, PATH_MAX_LEN, "/api/products/%u", product_of(u, business_of(u)));
}

static void stock(struct user *u, char path[PATH_MAX_LEN])
{
    uint32_t business = business_of(u);
    (void)snprintf(
        path, PATH_MAX_LEN, "/api/stock/%u",
        pick_popular(u, assortment[business].first_stocked, assortment[business].last_product));
}

static void prices(struct user *u, char path[PATH_MAX_LEN])
{
    (void)snprintf(path, PATH_MAX_LEN, "/api/prices?price_list_id=%u",
                   2 * business_of(u) - pick(u, 0, 1));
}

static void customer_statement(struct user *u, char path[PATH_MAX_LEN])
{
    uint32_t business = business_of(u);
    (void)snprintf(
        path, PATH_MAX_LEN, "/api/reports/customer-statement?customer_id=%u",
        pick_popular(u, assortment[business].first_customer, assortment[business].last_customer));
}

/* Of a hundred requests. Tills look up products, stock and customers and sell; the office reads lists and
 * reports. `path` NULL: a sale. */
static const struct route {
    const char *name;
    uint32_t weight;
    path_fn *path;
} routes[] = {
    {"GET /api/products", 20, products},
    {"GET /api/products/{id}", 10, product},
    {"GET /api/prices", 8, prices},
    {"GET /api/customers", 10, customers},
    {"GET /api/inventory", 8, inventory},
    {"GET /api/stock/{product_id}", 8, stock},
    {"GET /api/low-stock", 4, low_stock},
    {"GET /api/reports/daily-sales", 6, daily_sales},
    {"GET /api/reports/revenue", 3, revenue},
    {"GET /api/reports/sales-by-product", 3, sales_by_product},
    {"GET /api/reports/inventory", 3, inventory_report},
    {"GET /api/reports/customer-statement", 4, customer_statement},
    {"GET /api/finance/summary", 4, finance},
    {"POST /api/sales", 9, NULL},
};
enum { ROUTES = sizeof(routes) / sizeof(routes[0]) };

/* --- asking --------------------------------------------------------------------------------------- */

static void note(struct user *u, size_t route, enum kind kind, uint64_t us)
{
    struct times *t = &u->times[route * KINDS + kind];
    if (t->count == t->cap) {
        t->cap = t->cap > 0 ? t->cap * 2 : 64;
        t->us = xrealloc(t->us, t->cap * sizeof(*t->us));
    }
    t->us[t->count++] = (uint32_t)us;
}

static void send_sale(struct user *u, struct wire *w)
{
    static const char *const methods[] = {"cash", "cash", "card", "transfer"};
    char json[512];
    uint32_t business = business_of(u);
    int len = snprintf(
        json, sizeof(json),
        "{\"business_id\":%u,\"sold_on\":\"2026-10-31\",\"method\":\"%s\","
        "\"customer_id\":%u,\"lines\":[",
        business, methods[pick(u, 0, 3)],
        pick_popular(u, assortment[business].first_customer, assortment[business].last_customer));
    uint32_t lines = pick(u, 1, SALE_LINES_MAX);
    for (uint32_t i = 0; i < lines; i++) {
        len += snprintf(json + len, sizeof(json) - (size_t)len,
                        "%s{\"product_id\":%u,\"quantity\":%u}", i > 0 ? "," : "",
                        product_of(u, business), pick_popular(u, 1, 3));
    }
    (void)snprintf(json + len, sizeof(json) - (size_t)len, "]}");
    (void)http_post(w, "/api/sales", json);
}

static void ask(struct user *u, struct wire *w, size_t route)
{
    char path[PATH_MAX_LEN];
    struct http_reply reply;
    uint64_t begun = clock_now_us();
    if (routes[route].path == NULL) {
        send_sale(u, w);
    } else {
        routes[route].path(u, path);
        begun = clock_now_us();
        (void)http_get(w, path, NULL, (struct slice){NULL, 0});
    }
    (void)http_receive(w, &reply);
    uint64_t took = clock_now_us() - begun;
    if (reply.status >= 500) {
        u->failed++;
    } else if (routes[route].path == NULL) {
        u->refused += reply.status >= 400;
        note(u, route, WRITE, took);
    } else if (reply.status != 200) {
        run_fail(NULL, "%s answered %d: %.*s", path, reply.status, (int)reply.body.len,
                 reply.body.ptr);
    } else {
        note(u, route, reply.hit ? HOT : COLD, took);
    }
}

static void think(struct user *u)
{
    double us = -log(1.0 - draw(u)) * u->think_us;
    uint64_t now = clock_now_us();
    if (now + (uint64_t)us > u->until_us) {
        us = u->until_us > now ? (double)(u->until_us - now) : 0;
    }
    struct timespec pause = {.tv_sec = (time_t)(us / 1e6), .tv_nsec = (long)fmod(us, 1e6) * 1000};
    (void)nanosleep(&pause, NULL);
}

static void *work(void *arg)
{
    struct user *u = arg;
    struct wire w;
    (void)wire_open(&w, NULL, u->address);
    for (think(u); clock_now_us() < u->until_us; think(u)) {
        uint32_t ticket = pick(u, 0, 99);
        size_t route = 0;
        while (ticket >= routes[route].weight) {
            ticket -= routes[route].weight;
            route++;
        }
        ask(u, &w, route);
    }
    wire_close(&w);
    return NULL;
}

/* Each route with each business (or a few rows of it), once: what the first user of the day meets. */
static void ask_cold(struct user *u)
{
    struct wire w;
    (void)wire_open(&w, NULL, u->address);
    for (int round = 0; round < COLD_ROUNDS; round++) {
        u->business = (uint32_t)round % BUSINESSES + 1;
        for (size_t route = 0; route < ROUTES; route++) {
            if (routes[route].path != NULL) {
                ask(u, &w, route);
            }
        }
    }
    wire_close(&w);
}

/* --- telling -------------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    const uint32_t *x = a;
    const uint32_t *y = b;
    return (*x > *y) - (*x < *y);
}

static uint32_t percentile(const struct times *t, double p)
{
    size_t rank = (size_t)ceil(p * (double)t->count);
    return t->us[rank > 0 ? rank - 1 : 0];
}

static struct times merge(const struct user *users, size_t count, size_t route, size_t kind)
{
    struct times all = {0};
    for (size_t i = 0; i < count; i++) {
        const struct times *t = &users[i].times[route * KINDS + kind];
        if (t->count > 0) {
            all.us = xrealloc(all.us, (all.count + t->count) * sizeof(*all.us));
            memcpy(all.us + all.count, t->us, t->count * sizeof(*all.us));
            all.count += t->count;
        }
    }
    if (all.count > 0) {
        qsort(all.us, all.count, sizeof(*all.us), by_size);
    }
    return all;
}

static void tell(const struct user *users, size_t count)
{
    uint64_t totals[KINDS] = {0};
    uint64_t refused = 0;
    uint64_t failed = 0;
    for (size_t route = 0; route < ROUTES; route++) {
        for (size_t kind = 0; kind < KINDS; kind++) {
            struct times all = merge(users, count, route, kind);
            totals[kind] += all.count;
            if (all.count > 0) {
                printf("%s\t%s\t%zu\t%u\t%u\t%u\t%u\n", routes[route].name, kind_names[kind],
                       all.count, percentile(&all, 0.5), percentile(&all, 0.95),
                       percentile(&all, 0.99), percentile(&all, 1));
            }
            free(all.us);
        }
    }
    for (size_t i = 0; i < count; i++) {
        refused += users[i].refused;
        failed += users[i].failed;
    }
    printf("=\thot\t%lu\n=\tcold\t%lu\n=\twrites\t%lu\n=\trefused\t%lu\n=\tfailed\t%lu\n",
           totals[HOT], totals[COLD], totals[WRITE], refused, failed);
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        (void)fprintf(stderr, "usage: users ADDRESS USERS SECONDS THINK-MS [SEED]\n");
        return 2;
    }
    size_t count = strtoul(argv[2], NULL, 10);
    uint64_t seed = argc > 5 ? strtoull(argv[5], NULL, 10) : 1;
    struct user *users = xcalloc(count + 1, sizeof(*users)); /* the last one comes first */
    for (size_t i = 0; i <= count; i++) {
        users[i] = (struct user){.address = argv[1],
                                 .random = (seed * 1000 + i + 1) * 0x9e3779b97f4a7c15U,
                                 .business = (uint32_t)(i % (BUSINESSES + 1)),
                                 .times = xcalloc(ROUTES * KINDS, sizeof(struct times)),
                                 .think_us = strtod(argv[4], NULL) * 1000};
    }
    ask_cold(&users[count]);
    uint64_t until_us = clock_now_us() + strtoull(argv[3], NULL, 10) * 1000000;
    for (size_t i = 0; i < count; i++) {
        users[i].until_us = until_us;
        (void)pthread_create(&users[i].thread, NULL, work, &users[i]);
    }
    for (size_t i = 0; i < count; i++) {
        (void)pthread_join(users[i].thread, NULL);
    }
    tell(users, count + 1);
    return 0;
}
